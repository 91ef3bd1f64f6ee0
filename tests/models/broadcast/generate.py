#!/usr/bin/env python3
"""Makes a model whose dimensions are 1 in some calls and broadcast there, and references by numpy.

    python3 generate.py

Writes model.onnx and reference_*.npz beside itself: one model, several sizes. Needs numpy and onnx.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

HERE = Path(__file__).parent
FLOAT = TensorProto.FLOAT
RANDOM = np.random.default_rng(7)
WEIGHT = RANDOM.standard_normal((6, 16)).astype(np.float32)
BIAS = RANDOM.standard_normal(16).astype(np.float32)
FOUR = RANDOM.standard_normal((1, 4)).astype(np.float32)

INPUTS = {
    "a": ["N", "S"],
    "b": ["M", "T"],
    "keep": ["K", 1],
    "c": ["P", 3, 5],
    "d": ["Q", 5, 8],
    "x": ["N", 6],
    "r": ["M", 16],
    "e": ["N", "D"],
    "f": ["F", "S"],
}

NODES = [
    # Rows and columns, twice with the same pair, and an operation that needs the sizes afterwards.
    ("Add", ["a", "b"], ["sum"], {}),
    ("Mul", ["sum", "a"], ["again"], {}),
    ("Softmax", ["again"], ["rows"], {"axis": -1}),
    ("Greater", ["keep", "zero"], ["kept"], {}),
    ("Where", ["kept", "a", "b"], ["chosen"], {}),
    # Batches of products.
    ("MatMul", ["c", "d"], ["product"], {}),
    # A residual after a product.
    ("MatMul", ["x", "weight"], ["linear"], {}),
    ("Add", ["linear", "r"], ["residual"], {}),
    ("Add", ["residual", "bias"], ["biased"], {}),
    ("Relu", ["biased"], ["layer"], {}),
    # A constant beside a dynamic dimension.
    ("Add", ["e", "four"], ["fours"], {}),
    # A sum of dimensions beside one.
    ("Concat", ["a", "a"], ["twice"], {"axis": 0}),
    ("Sub", ["twice", "f"], ["difference"], {}),
    # A shape that is computed.
    ("Shape", ["sum"], ["shape"], {}),
    ("Expand", ["a", "shape"], ["expanded"], {}),
    ("Transpose", ["expanded"], ["turned"], {"perm": [1, 0]}),
]

OUTPUTS = ["rows", "chosen", "product", "layer", "fours", "difference", "turned"]


def model():
    value = lambda name, dims: helper.make_tensor_value_info(name, FLOAT, dims)
    nodes = [helper.make_node(op, ins, outs, name=outs[0], **attrs) for op, ins, outs, attrs in NODES]
    unknown = {"product": 3}
    outputs = [value(it, [None] * unknown.get(it, 2)) for it in OUTPUTS]
    constants = {"weight": WEIGHT, "bias": BIAS, "four": FOUR, "zero": np.zeros((), np.float32)}
    graph = helper.make_graph(
        nodes,
        "broadcast",
        [value(name, dims) for name, dims in INPUTS.items()],
        outputs,
        [onnx.numpy_helper.from_array(data, name) for name, data in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(made)
    return made


def expected(a, b, keep, c, d, x, r, e, f):
    total = a + b
    again = total * a
    exps = np.exp(again - again.max(axis=-1, keepdims=True))
    twice = np.concatenate([a, a])
    return {
        "rows": exps / exps.sum(axis=-1, keepdims=True),
        "chosen": np.where(keep > 0, a, b),
        "product": c @ d,
        "layer": np.maximum(x @ WEIGHT + r + BIAS, 0),
        "fours": e + FOUR,
        "difference": twice - f,
        "turned": np.broadcast_to(a, total.shape).T,
    }


def reference(name, **sizes):
    made = {}
    for key, dims in INPUTS.items():
        shape = [sizes.get(it, it) for it in dims]
        made[key] = RANDOM.standard_normal(shape).astype(np.float32)
    wanted = expected(**made)
    arrays = {f"in:{key}": data for key, data in made.items()}
    arrays |= {f"out:{key}": np.ascontiguousarray(data, dtype=np.float32) for key, data in wanted.items()}
    np.savez(HERE / f"reference_{name}.npz", **arrays)


onnx.save(model(), HERE / "model.onnx")
reference("equal", N=5, M=5, S=9, T=9, K=5, P=4, Q=4, D=4, F=10)
reference("left_one", N=1, M=5, S=1, T=9, K=5, P=1, Q=3, D=1, F=2)
reference("right_one", N=5, M=1, S=9, T=1, K=1, P=3, Q=1, D=4, F=1)
reference("mixed", N=5, M=1, S=1, T=33, K=1, P=1, Q=1, D=1, F=10)
reference("one", N=1, M=1, S=1, T=1, K=1, P=1, Q=1, D=1, F=2)
reference("empty", N=0, M=1, S=3, T=3, K=1, P=0, Q=1, D=4, F=1)
