#!/usr/bin/env python3
"""Makes a model of the operators on quantised values that ONNX Runtime's quantiser writes, and references by it.

    python3 generate.py

Writes model.onnx and reference_*.npz beside itself: one model, two sizes. Needs numpy, onnx and onnxruntime.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
RANDOM = np.random.default_rng(12)
U8, I8, I32 = np.uint8, np.int8, np.int32


def integers(dtype, *dims):
    info = np.iinfo(dtype)
    return RANDOM.integers(info.min, info.max + 1, dims).astype(dtype)


def number(value, dtype=np.float32):
    return np.array(value, dtype)


CONSTANTS = {
    "scale": number(0.02),
    "other": number(0.013137),
    "zero": number(131, U8),
    "none": number(0, U8),
    "sum_scale": number(0.031171),
    "product_scale": number(0.027113),
    "unit": number(1 / 256),
    # A network: a convolution, a residual, a depthwise convolution, a mean, a layer.
    "kernel": integers(I8, 8, 4, 1, 1),
    "kernel_scale": RANDOM.uniform(0.002, 0.01, 8).astype(np.float32),
    "kernel_none": np.zeros(8, I8),
    "bias": RANDOM.integers(-9999, 9999, 8).astype(I32),
    "depth": integers(I8, 8, 1, 3, 3),
    "residual": integers(U8, 1, 8, 1, 9),
    "dense": integers(I8, 5, 8),
    "dense_scale": RANDOM.uniform(0.002, 0.01, 5).astype(np.float32),
    "dense_none": np.zeros(5, I8),
    "dense_bias": RANDOM.integers(-999, 999, 5).astype(I32),
    # Products whose results are numbers.
    "w": integers(I8, 8, 6),
    "w_scale": number(0.011),
    "w_zero": number(-3, I8),
    "w_bias": RANDOM.standard_normal(6).astype(np.float32),
    "x_zero": number(120, U8),
}

X = ["x", "scale", "zero"]
NODES = [
    ("QLinearConv", [*X, "kernel", "kernel_scale", "kernel_none", "sum_scale", "none", "bias"], ["pointwise"], {}),
    ("QLinearAdd", ["pointwise", "sum_scale", "none", "residual", "other", "zero", "sum_scale", "zero"], ["sum"], {}),
    (
        "QLinearConv",
        ["sum", "sum_scale", "zero", "depth", "kernel_scale", "kernel_none", "sum_scale", "zero", "bias"],
        ["depthwise"],
        {"group": 8, "pads": [1, 1, 1, 1]},
    ),
    ("QLinearGlobalAveragePool", ["depthwise", "sum_scale", "zero", "other", "zero"], ["mean"], {"channels_last": 0}),
    ("Flatten", ["mean"], ["features"], {}),
    (
        "QGemm",
        ["features", "other", "zero", "dense", "dense_scale", "dense_none", "dense_bias", "sum_scale", "zero"],
        ["layer"],
        {"transB": 1},
    ),
    ("QGemm", ["features", "other", "zero", "dense", "dense_scale", "dense_none"], ["numbers"], {"transB": 1, "alpha": 0.5}),
    ("QLinearMul", ["pointwise", "sum_scale", "none", "sum", "sum_scale", "zero", "product_scale", "zero"], ["product"], {}),
    ("QLinearSigmoid", [*X, "unit", "none"], ["sigmoid"], {}),
    ("QLinearLeakyRelu", [*X, "scale", "zero"], ["leaky"], {"alpha": 0.1137}),
    ("QLinearSoftmax", [*X, "unit", "none"], ["softmax"], {"axis": -1, "opset": 13}),
    ("QLinearAveragePool", [*X, "other", "zero"], ["pooled"], {"kernel_shape": [2, 3], "strides": [1, 2], "pads": [0, 1, 1, 0]}),
    ("QLinearConcat", ["other", "zero", *X, "leaky", "scale", "zero", "pooled_q", "other", "zero"], ["joined"], {"axis": 1}),
    ("Cast", ["flags"], ["condition"], {"to": TensorProto.BOOL}),
    ("QLinearWhere", ["condition", *X, "leaky", "other", "zero", "scale", "x_zero"], ["chosen"], {}),
    ("MatMulIntegerToFloat", ["rows", "w", "scale", "w_scale", "x_zero", "w_zero", "w_bias"], ["floats"], {}),
    ("DynamicQuantizeMatMul", ["data", "w", "w_scale", "w_zero", "w_bias"], ["dynamic"], {}),
    ("QuantizeLinear", ["data", "scale", "zero"], ["quantized"], {"domain": "com.microsoft"}),
    ("DequantizeLinear", ["quantized", "other", "zero"], ["back"], {"domain": "com.microsoft"}),
]
STANDARD = {"QLinearConv", "Flatten", "Cast"}
INPUTS = {
    "x": (TensorProto.UINT8, [1, 4, "H", 9]),
    "pooled_q": (TensorProto.UINT8, [1, 2, "H", 9]),
    "flags": (TensorProto.UINT8, ["H", 9]),
    "rows": (TensorProto.UINT8, ["N", 8]),
    "data": (TensorProto.FLOAT, ["N", 8]),
}
BYTES = "sum layer product sigmoid leaky softmax pooled joined chosen".split()
FLOATS = "numbers floats dynamic back".split()


def main():
    def node(op, inputs, outputs, attributes):
        domain = "" if op in STANDARD else "com.microsoft"
        return helper.make_node(op, inputs, outputs, **{"domain": domain, **attributes})

    outputs = {name: TensorProto.UINT8 for name in BYTES} | {name: TensorProto.FLOAT for name in FLOATS}
    graph = helper.make_graph(
        [node(*it) for it in NODES],
        "qoperator",
        [helper.make_tensor_value_info(name, *ty) for name, ty in INPUTS.items()],
        [helper.make_tensor_value_info(name, ty, None) for name, ty in outputs.items()],
        [numpy_helper.from_array(data, name) for name, data in CONSTANTS.items()],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.save(model, HERE / "model.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    for name, (h, n) in {"a": (8, 7), "b": (3, 1)}.items():
        inputs = {
            "x": integers(U8, 1, 4, h, 9),
            "pooled_q": integers(U8, 1, 2, h, 9),
            "flags": RANDOM.integers(0, 2, (h, 9)).astype(U8),
            "rows": integers(U8, n, 8),
            "data": (RANDOM.standard_normal((n, 8)) * 2).astype(np.float32),
        }
        results = session.run(list(outputs), inputs)
        arrays = {f"in:{key}": value for key, value in inputs.items()}
        arrays |= {f"out:{key}": value for key, value in zip(outputs, results)}
        np.savez(HERE / f"reference_{name}.npz", **arrays)


if __name__ == "__main__":
    main()
