"""Writes the models of the corpus that hold a family of operators each (needs onnx): python3 generate.py"""

import os

import numpy as np
from onnx import TensorProto as T, helper as H, numpy_helper as N, save

HERE = os.path.dirname(os.path.abspath(__file__))


def weights(name, *shape, dtype=np.float32):
    values = np.arange(int(np.prod(shape))) % 7 - 3
    return N.from_array((values * (1 if np.issubdtype(dtype, np.integer) else 0.25)).astype(dtype).reshape(shape), name)


def ints(name, *values):
    return N.from_array(np.array(values, np.int64), name)


def model(name, nodes, inputs, outputs, initializers=(), opset=21):
    info = [H.make_tensor_value_info(n, t, s) for n, t, s in inputs]
    out = [H.make_tensor_value_info(n, t, None) for n, t in outputs]
    graph = H.make_graph(nodes, "g", info, out, list(initializers))
    save(H.make_model(graph, opset_imports=[H.make_opsetid("", opset)], ir_version=10), os.path.join(HERE, name + ".onnx"))


node = H.make_node
model("callee", [node("Gather", ["x", "i"], ["g"], axis=0), node("MatMul", ["g", "w"], ["m"]), node("Add", ["m", "b"], ["s"]), node("Relu", ["s"], ["y"])],
      [("x", T.FLOAT, ["n", 3]), ("i", T.INT64, ["k"]), ("b", T.FLOAT, [4])], [("y", T.FLOAT)], [weights("w", 3, 4)])
model("convolutions", [
    node("Conv", ["x", "w"], ["a"], pads=[0, 0, 1, 1], strides=[1, 1]), node("Conv", ["a", "p"], ["b"], pads=[0, 0, 0, 0]),
    node("Conv", ["b", "d"], ["c"], group=4, pads=[1, 1, 1, 1], strides=[2, 2]), node("MaxPool", ["c"], ["e"], kernel_shape=[2, 2], pads=[0, 0, 1, 1]),
    node("AveragePool", ["e"], ["f"], kernel_shape=[2, 2], count_include_pad=1), node("ConvTranspose", ["f", "t"], ["y"], strides=[2, 2])],
    [("x", T.FLOAT, [1, 3, 9, 8])], [("y", T.FLOAT)], [weights("w", 4, 3, 2, 2), weights("p", 4, 4, 1, 1), weights("d", 4, 1, 3, 3), weights("t", 4, 2, 2, 2)])
model("convolution_dynamic", [node("Conv", ["x", "w", "b"], ["a"], pads=[1, 1], strides=[2], dilations=[1]), node("Relu", ["a"], ["y"])],
      [("x", T.FLOAT, ["n", 2, "length"])], [("y", T.FLOAT)], [weights("w", 3, 2, 3), weights("b", 3)])
model("attention", [
    node("MatMul", ["x", "wq"], ["q"]), node("MatMul", ["x", "wk"], ["k"]), node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
    node("MatMul", ["q", "kt"], ["s"]), node("Softmax", ["s"], ["p"], axis=-1), node("MatMul", ["p", "x"], ["o"]),
    node("Add", ["o", "x"], ["r"]), node("LayerNormalization", ["r", "g", "g"], ["y"], axis=-1)],
    [("x", T.FLOAT, ["batch", "n", 8])], [("y", T.FLOAT)], [weights("wq", 8, 8), weights("wk", 8, 8), weights("g", 8)])
model("recurrent", [node("LSTM", ["x", "w", "r", "b"], ["a", "h", "c"], hidden_size=3), node("Squeeze", ["a", "one"], ["s"]),
                    node("GRU", ["s", "gw", "gr"], ["y", "last"], hidden_size=2)],
      [("x", T.FLOAT, ["n", 2, 4])], [("y", T.FLOAT), ("h", T.FLOAT)],
      [weights("w", 1, 12, 4), weights("r", 1, 12, 3), weights("b", 1, 24), ints("one", 1), weights("gw", 1, 6, 3), weights("gr", 1, 6, 2)])
model("shapes", [
    node("Shape", ["x"], ["s"]), node("Slice", ["s", "zero", "one", "zero"], ["n"]), node("Concat", ["n", "minus"], ["t"], axis=0),
    node("Reshape", ["x", "t"], ["r"]), node("Split", ["r"], ["u", "v"], axis=1, num_outputs=2), node("Concat", ["v", "u"], ["c"], axis=1),
    node("Pad", ["c", "pads"], ["p"]), node("Tile", ["p", "reps"], ["w"]), node("Unsqueeze", ["w", "zero"], ["z"]), node("Flatten", ["z"], ["y"], axis=2)],
    [("x", T.FLOAT, ["n", 2, 3])], [("y", T.FLOAT)], [ints("zero", 0), ints("one", 1), ints("minus", -1), ints("pads", 1, 0, 0, 2), ints("reps", 1, 2)])
model("indices", [
    node("Gather", ["x", "i"], ["g"], axis=1), node("GatherElements", ["g", "j"], ["e"], axis=1), node("ScatterElements", ["g", "j", "e"], ["s"], axis=1),
    node("ScatterND", ["s", "k", "u"], ["d"]), node("OneHot", ["i", "depth", "values"], ["h"]), node("MatMul", ["d", "h"], ["y"]), node("CumSum", ["y", "axis"], ["z"])],
    [("x", T.FLOAT, [2, 4]), ("i", T.INT64, [3]), ("j", T.INT64, [2, 2]), ("k", T.INT64, [1, 2])], [("z", T.FLOAT)],
    [weights("u", 1), ints("depth", 4), N.from_array(np.array([0, 1], np.float32), "values"), N.from_array(np.array(1, np.int64), "axis")])
model("reductions", [
    node("ReduceMean", ["x", "axes"], ["m"], keepdims=1), node("Sub", ["x", "m"], ["d"]), node("ReduceSumSquare", ["d", "axes"], ["v"]),
    node("ReduceMax", ["d"], ["t"], keepdims=0), node("LogSoftmax", ["d"], ["l"], axis=1), node("ArgMax", ["l"], ["i"], axis=1), node("Sum", ["v", "t", "l"], ["y"])],
    [("x", T.FLOAT, ["n", 5, 3])], [("y", T.FLOAT), ("i", T.INT64)], [ints("axes", 1, 2)])
model("quantized", [
    node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("MatMulInteger", ["q", "w", "z"], ["i"]), node("Cast", ["i"], ["f"], to=T.FLOAT),
    node("Mul", ["f", "s"], ["y"]), node("DequantizeLinear", ["q", "s", "z"], ["d"])],
    [("x", T.FLOAT, [3, 4])], [("y", T.FLOAT), ("d", T.FLOAT)],
    [N.from_array(np.array(0.5, np.float32), "s"), N.from_array(np.array(3, np.uint8), "z"), weights("w", 4, 2, dtype=np.int8)])
model("half", [node("LayerNormalization", ["x", "g"], ["n"]), node("Gelu", ["n"], ["a"]), node("MatMul", ["a", "w"], ["y"])],
      [("x", T.FLOAT16, ["n", 8])], [("y", T.FLOAT16)], [weights("g", 8, dtype=np.float16), weights("w", 8, 4, dtype=np.float16)])
model("activations", [
    node("Softplus", ["x"], ["a"]), node("Elu", ["a"], ["b"]), node("HardSwish", ["b"], ["c"]), node("Erf", ["c"], ["d"]), node("Clip", ["d", "lo", "hi"], ["e"]),
    node("PRelu", ["e", "slope"], ["f"]), node("Where", ["m", "f", "x"], ["y"]), node("Resize", ["y", "", "", "sizes"], ["z"], mode="linear")],
    [("x", T.FLOAT, [1, 2, 4]), ("m", T.BOOL, [4])], [("z", T.FLOAT)],
    [N.from_array(np.array(-0.5, np.float32), "lo"), N.from_array(np.array(0.5, np.float32), "hi"), weights("slope", 2, 1), ints("sizes", 1, 2, 6)])
