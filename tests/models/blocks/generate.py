#!/usr/bin/env python3
"""Makes a model whose weights of few bits are scaled in blocks along the sum, and references by ONNX Runtime.

    python3 generate.py

Writes model.onnx and reference_*.npz beside itself: one model, three numbers of rows. Needs numpy, ml_dtypes, onnx and
onnxruntime.
"""

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
RANDOM = np.random.default_rng(41)
K, N, BLOCK = 96, 40, 32
SHORT = 72
U8 = np.uint8


def integers(dtype, low, high, *dims):
    return RANDOM.integers(low, high, dims).astype(np.int8).astype(dtype)


def scales(*dims):
    return RANDOM.uniform(0.01, 0.1, dims).astype(np.float32)


def blob(depth, bits):
    return RANDOM.integers(0, 256, (N, -(-depth // BLOCK), BLOCK * bits // 8)).astype(U8)


def points(depth, bits):
    return RANDOM.integers(0, 256, (N, -(-(-(-depth // BLOCK) * bits) // 8))).astype(U8)


COUNT = K // BLOCK
CONSTANTS = {
    "signed": integers(ml_dtypes.int4, -8, 8, K, N),
    "unsigned": integers(ml_dtypes.uint4, 0, 16, K, N),
    "turned": integers(ml_dtypes.uint4, 0, 16, N, K),
    "whole": integers(np.int8, -128, 128, K, N),
    "scale": scales(COUNT, N),
    "turned_scale": scales(N, COUNT),
    "zero": integers(ml_dtypes.uint4, 0, 16, COUNT, N),
    "turned_zero": integers(ml_dtypes.uint4, 0, 16, N, COUNT),
    "column_scale": scales(N),
    "column_zero": integers(ml_dtypes.uint4, 0, 16, N),
    "four": blob(K, 4),
    "four_short": blob(SHORT, 4),
    "eight": blob(K, 8),
    "two": blob(K, 2),
    "one_block": blob(BLOCK, 4),
    "four_zero": points(K, 4),
    "eight_zero": points(K, 8),
    "two_zero": points(K, 2),
    "float_zero": RANDOM.uniform(0, 15, (N, COUNT)).astype(np.float32),
    "one_scale": scales(N, 1),
    "bias": RANDOM.standard_normal(N).astype(np.float32),
    "table": integers(ml_dtypes.uint4, 0, 16, N, K),
    "bytes": RANDOM.integers(0, 256, (N, K // 2)).astype(U8),
}

BITS = {"K": K, "N": N, "bits": 4, "block_size": BLOCK}
GATHER = {"block_size": BLOCK, "gather_axis": 0, "quantize_axis": 1}
NODES = [
    # Blocks of the standard's quantisation, along rows and along columns.
    ("DequantizeLinear", ["signed", "scale"], ["w0"], {"axis": 0, "block_size": BLOCK}),
    ("MatMul", ["x", "w0"], ["signed_y"], {}),
    ("DequantizeLinear", ["unsigned", "scale", "zero"], ["w1"], {"axis": 0, "block_size": BLOCK}),
    ("MatMul", ["x", "w1"], ["unsigned_y"], {}),
    ("DequantizeLinear", ["turned", "turned_scale", "turned_zero"], ["w2"], {"axis": 1, "block_size": BLOCK}),
    ("Transpose", ["w2"], ["w2t"], {"perm": [1, 0]}),
    ("MatMul", ["x", "w2t"], ["turned_product"], {}),
    ("Add", ["turned_product", "bias"], ["turned_sum"], {}),
    ("Relu", ["turned_sum"], ["turned_y"], {}),
    ("DequantizeLinear", ["whole", "scale"], ["w3"], {"axis": 0, "block_size": BLOCK}),
    ("MatMul", ["x", "w3"], ["whole_y"], {}),
    # One scale and zero point for each column.
    ("DequantizeLinear", ["unsigned", "column_scale", "column_zero"], ["w4"], {"axis": 1}),
    ("MatMul", ["x", "w4"], ["column_y"], {}),
    # The same numbers themselves.
    ("DequantizeLinear", ["unsigned", "scale", "zero"], ["numbers"], {"axis": 0, "block_size": BLOCK}),
    ("MatMulNBits", ["x", "four", "turned_scale"], ["four_y"], BITS),
    ("MatMulNBits", ["x", "four", "turned_scale", "four_zero", "", "bias"], ["zero_y"], BITS),
    ("MatMulNBits", ["x", "four", "turned_scale", "float_zero"], ["float_y"], BITS),
    ("MatMulNBits", ["x", "eight", "turned_scale", "eight_zero"], ["eight_y"], {**BITS, "bits": 8}),
    ("MatMulNBits", ["x", "two", "turned_scale", "two_zero"], ["two_y"], {**BITS, "bits": 2}),
    ("MatMulNBits", ["short", "four_short", "turned_scale", "four_zero"], ["short_y"], {**BITS, "K": SHORT}),
    ("MatMulNBits", ["tiny", "one_block", "one_scale"], ["tiny_y"], {**BITS, "K": BLOCK}),
    ("GatherBlockQuantized", ["table", "ids", "turned_scale", "turned_zero"], ["table_y"], GATHER),
    ("GatherBlockQuantized", ["bytes", "ids", "turned_scale"], ["bytes_y"], {**GATHER, "bits": 4}),
]
INPUTS = {
    "x": (TensorProto.FLOAT, ["rows", K]),
    "short": (TensorProto.FLOAT, ["rows", SHORT]),
    "tiny": (TensorProto.FLOAT, ["rows", BLOCK]),
    "ids": (TensorProto.INT64, ["rows", 2]),
}
OUTPUTS = [
    "signed_y unsigned_y turned_y whole_y column_y numbers four_y zero_y float_y eight_y two_y short_y tiny_y".split(),
    ["table_y", "bytes_y"],
]


def main():
    def node(op, inputs, outputs, attributes):
        domain = "com.microsoft" if op in ("MatMulNBits", "GatherBlockQuantized") else ""
        return helper.make_node(op, inputs, outputs, domain=domain, **attributes)

    outputs = [name for names in OUTPUTS for name in names]
    graph = helper.make_graph(
        [node(*it) for it in NODES],
        "blocks",
        [helper.make_tensor_value_info(name, *ty) for name, ty in INPUTS.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(data, name) for name, data in CONSTANTS.items()],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.save(model, HERE / "model.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    for name, rows in {"a": 1, "b": 5, "c": 19}.items():
        inputs = {
            "x": RANDOM.standard_normal((rows, K)).astype(np.float32),
            "short": RANDOM.standard_normal((rows, SHORT)).astype(np.float32),
            "tiny": RANDOM.standard_normal((rows, BLOCK)).astype(np.float32),
            "ids": RANDOM.integers(0, N, (rows, 2)).astype(np.int64),
        }
        results = session.run(outputs, inputs)
        arrays = {f"in:{key}": value for key, value in inputs.items()}
        arrays |= {f"out:{key}": value for key, value in zip(outputs, results)}
        np.savez(HERE / f"reference_{name}.npz", **arrays)


if __name__ == "__main__":
    main()
