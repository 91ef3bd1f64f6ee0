"""Writes the models of the examples; needs the Python package onnx."""

from pathlib import Path

from onnx import TensorProto, helper, save

HERE = Path(__file__).parent
OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("com.acme", 1)]


def write(name, nodes, defaults=()):
    """A model of inputs x: f32[n, 4], and those with a default, and one output y."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])
    others = [helper.make_tensor_value_info(it.name, it.data_type, it.dims) for it in defaults]
    graph = helper.make_graph(nodes, name, [x, *others], [y], defaults)
    model = helper.make_model(graph, opset_imports=OPSETS, producer_name="examples", ir_version=8)
    save(model, HERE / f"{name}.onnx")


# y = Swish(x), an operator that ONNX does not have.
write("swish", [helper.make_node("Swish", ["x"], ["y"], "swish", domain="com.acme", alpha=1.5)])
# y = x * sigmoid(x), then the root of its square.
write(
    "gate",
    [
        helper.make_node("Sigmoid", ["x"], ["s"], "sigmoid"),
        helper.make_node("Mul", ["x", "s"], ["g"], "gate"),
        helper.make_node("Mul", ["g", "g"], ["q"], "square"),
        helper.make_node("Sqrt", ["q"], ["y"], "root"),
    ],
)
# Each row of x in rising order, an operator of another domain.
write("sort", [helper.make_node("SortRows", ["x"], ["y"], "sort", domain="com.acme")])
# y = x / 8
eighth = helper.make_tensor("eight", TensorProto.FLOAT, [], [8.0])
write(
    "scale",
    [
        helper.make_node("Constant", [], ["c"], "constant", value=eighth),
        helper.make_node("Div", ["x", "c"], ["y"], "scale"),
    ],
)
# y = x * gain, where a caller may leave gain out: it is 2 then.
gain = helper.make_tensor("gain", TensorProto.FLOAT, [1], [2.0])
write("gain", [helper.make_node("Mul", ["x", "gain"], ["y"], "gain")], [gain])
