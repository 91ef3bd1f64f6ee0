#!/usr/bin/env python3
"""Makes a model whose values have ranks that only the call knows, and references by ONNX Runtime.

    python3 generate.py

Writes model.onnx and reference_*.npz beside itself: one model, several sizes. Needs numpy, onnx and onnxruntime.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
FLOAT, INT, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
RANDOM = np.random.default_rng(11)


def value(name, kind=FLOAT, dims=None):
    return helper.make_tensor_value_info(name, kind, dims)


def node(op, ins, outs, **attributes):
    return helper.make_node(op, ins, outs, name=outs[0], **attributes)


def constant(name, data):
    return numpy_helper.from_array(np.asarray(data), name)


# An `If` whose branches differ in rank, and what goes on with both: one result of either rank, one of one rank.
squeezed = helper.make_graph([node("Squeeze", ["x", "axis"], ["squeezed"])], "then", [], [value("squeezed")])
kept = helper.make_graph([node("Identity", ["x"], ["kept"])], "else", [], [value("kept")])
# A carried value that begins as one number and is a list of one from the first turn on.
turn = helper.make_graph(
    [
        node("Gather", ["items", "i"], ["item"], axis=0),
        node("Unsqueeze", ["item", "first"], ["listed"]),
        node("Add", ["total", "listed"], ["next"]),
        node("Identity", ["go"], ["going"]),
    ],
    "turn",
    [value("i", INT, []), value("go", BOOL, []), value("total")],
    [value("going", BOOL, []), value("next"), value("item", FLOAT, [])],
)
NODES = [
    node("Shape", ["x"], ["sizes"]),
    node("Gather", ["sizes", "one"], ["columns"], axis=0),
    node("Equal", ["columns", "one"], ["alone"]),
    node("If", ["alone"], ["either"], then_branch=squeezed, else_branch=kept),
    node("Relu", ["either"], ["positive"]),
    node("ReduceSum", ["positive"], ["sum"], keepdims=0),
    node("Mul", ["sum", "scale"], ["scaled"]),
    # A shape that is as long as the data say.
    node("Expand", ["row", "shape"], ["expanded"]),
    node("Sqrt", ["expanded"], ["root"]),
    node("Shape", ["root"], ["root_shape"]),
    node("ConstantOfShape", ["root_shape"], ["zeros"]),
    node("Loop", ["turns", "", "start"], ["total_after", "collected"], body=turn),
    node("Mul", ["total_after", "scale"], ["doubled"]),
]
INPUTS = [
    value("x", FLOAT, ["B", "C", 3]),
    value("row", FLOAT, [3]),
    value("shape", INT, ["L"]),
    value("items", FLOAT, ["K"]),
    value("turns", INT, []),
]
OUTPUTS = [value(it) for it in ("positive", "scaled", "root", "zeros", "doubled", "collected")]
CONSTANTS = [
    constant("axis", np.array([1])),
    constant("one", np.array(1)),
    constant("first", np.array([0])),
    constant("scale", np.float32(2)),
    constant("start", np.float32(0.5)),
]


def model():
    graph = helper.make_graph(NODES, "ranks", INPUTS, OUTPUTS, CONSTANTS)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def reference(session, name, x, shape, turns):
    made = {
        "x": RANDOM.standard_normal(x).astype(np.float32),
        "row": np.abs(RANDOM.standard_normal(3)).astype(np.float32),
        "shape": np.array(shape, np.int64),
        "items": RANDOM.standard_normal(4).astype(np.float32),
        "turns": np.array(turns, np.int64),
    }
    names = [it.name for it in OUTPUTS]
    arrays = {f"in:{key}": data for key, data in made.items()}
    arrays |= {f"out:{key}": data for key, data in zip(names, session.run(names, made))}
    np.savez(HERE / f"reference_{name}.npz", **arrays)
    print(name, {key: data.shape for key, data in arrays.items()})


onnx.save(model(), HERE / "model.onnx")
made = onnxruntime.InferenceSession(HERE / "model.onnx")
reference(made, "squeezed", (2, 1, 3), [3], 3)
reference(made, "kept", (2, 4, 3), [2, 1], 1)
reference(made, "empty", (0, 5, 3), [2, 0, 3], 0)
reference(made, "long", (1, 1, 3), [2, 1, 2, 1, 3], 4)
reference(made, "number", (3, 2, 3), [], 2)
