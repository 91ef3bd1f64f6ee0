#!/usr/bin/env python3
"""Makes a model of the operators of `com.microsoft` that transformers are exported with, and references.

    python3 generate.py

Writes model.onnx and reference_*.npz beside itself: one model, two sizes. The references are ONNX Runtime's. Needs numpy, onnx
and onnxruntime.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
RANDOM = np.random.default_rng(31)
HEADS, SHARED, SIZE = 4, 2, 16
HIDDEN = HEADS * SIZE


def floats(*dims):
    return RANDOM.standard_normal(dims).astype(np.float32)


def bytes_of(dtype, *dims):
    info = np.iinfo(dtype)
    return RANDOM.integers(info.min, info.max + 1, dims).astype(dtype)


ANGLES = RANDOM.uniform(-3, 3, (24, SIZE // 2)).astype(np.float32)
CONSTANTS = {
    "words": floats(11, HIDDEN),
    "positions": floats(24, HIDDEN),
    "segments": floats(2, HIDDEN),
    "gamma": floats(HIDDEN),
    "beta": floats(HIDDEN),
    "w": floats(HIDDEN, 3 * HIDDEN) / 8,
    "w_bytes": bytes_of(np.int8, HIDDEN, 3 * HIDDEN),
    "w_scale": np.array(0.002, np.float32),
    "w_zero": np.array(3, np.int8),
    "bias": floats(3 * HIDDEN),
    "byte_scale": np.array(0.02, np.float32),
    "byte_zero": np.array(125, np.uint8),
    "cos": np.cos(ANGLES),
    "sin": np.sin(ANGLES),
    "sink": floats(HEADS),
    "first": np.array([3], np.int64),
    "one": np.array(1, np.int64),
    "axis": np.array([1], np.int64),
    "diagonal": np.array(-1, np.int64),
    "kernel": bytes_of(np.int8, 4, 3, 3, 3),
    "kernel_scale": RANDOM.uniform(0.01, 0.02, 4).astype(np.float32),
    "kernel_zero": np.zeros(4, np.int8),
    "image_scale": np.array(0.03, np.float32),
    "image_zero": np.array(120, np.uint8),
    "result_scale": np.array(0.6, np.float32),
    "average_scale": np.array(0.0371, np.float32),
    "result_zero": np.array(110, np.uint8),
}

GROUPS = {"num_heads": HEADS, "kv_num_heads": SHARED}
NODES = [
    ("EmbedLayerNormalization", ["ids", "kinds", "words", "positions", "segments", "gamma", "beta", "mask"], ["x", "counts"], {}),
    ("Attention", ["x", "w", "bias", "mask"], ["attended"], {"num_heads": HEADS}),
    ("Attention", ["x", "w", "bias", "", "past"], ["ahead", "present"], {"num_heads": HEADS, "unidirectional": 1}),
    ("QAttention", ["bytes", "w_bytes", "bias", "byte_scale", "w_scale", "mask", "byte_zero", "w_zero"], ["of_bytes"], {"num_heads": HEADS, "unidirectional": 1}),
    ("MultiHeadAttention", ["x", "attended", "ahead", "bias", "mask"], ["heads"], {"num_heads": HEADS, "mask_filter_value": -4.0}),
    ("MultiHeadAttention", ["step", "step", "step", "", "", "", "keys", "values"], ["next", "next_keys", "next_values"], {"num_heads": HEADS}),
    ("MultiHeadAttention", ["x", "keys", "values"], ["across"], {"num_heads": HEADS, "scale": 0.2}),
    # The two sizes as builders of language models write them.
    ("Shape", ["seen"], ["seen_shape"], {}),
    ("Gather", ["seen_shape", "one"], ["seen_size"], {}),
    ("Cast", ["seen_size"], ["total"], {"to": TensorProto.INT32}),
    ("ReduceSum", ["seen", "axis"], ["seen_count"], {"keepdims": 0}),
    ("Sub", ["seen_count", "one"], ["seen_last"], {}),
    ("Cast", ["seen_last"], ["last"], {"to": TensorProto.INT32}),
    ("GroupQueryAttention", ["packed", "", "", "group_keys", "group_values", "last", "total", "cos", "sin"], ["grouped", "more_keys", "more_values"], {"do_rotary": 1, **GROUPS}),
    ("GroupQueryAttention", ["packed", "", "", "group_keys", "group_values", "last", "total", "cos", "sin", "", "", "sink"], ["sunk", "sunk_keys", "sunk_values"], {"do_rotary": 1, "rotary_interleaved": 1, "local_window_size": 3, "softcap": 2.5, **GROUPS}),
    ("Shape", ["x"], ["x_shape"], {}),
    ("Gather", ["x_shape", "one"], ["x_size"], {}),
    ("Cast", ["x_size"], ["x_total"], {"to": TensorProto.INT32}),
    ("GroupQueryAttention", ["x", "narrow", "narrow", "", "", "x_last", "x_total", "cos", "sin"], ["prompt", "prompt_keys", "prompt_values"], {"do_rotary": 1, "smooth_softmax": 1, **GROUPS}),
    ("RotaryEmbedding", ["x", "first", "cos", "sin"], ["rotated"], {}),
    ("RotaryEmbedding", ["keys", "places", "cos", "sin"], ["turned"], {"interleaved": 1}),
    ("QLinearConv", ["image", "image_scale", "image_zero", "kernel", "kernel_scale", "kernel_zero", "result_scale", "result_zero"], ["convolved"], {"channels_last": 1, "pads": [1, 1, 1, 1]}),
    ("QLinearAveragePool", ["image", "image_scale", "image_zero", "average_scale", "result_zero"], ["averaged"], {"channels_last": 1, "kernel_shape": [2, 2]}),
    ("NhwcMaxPool", ["image"], ["largest"], {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "strides": [2, 1]}),
    ("FusedMatMul", ["keys", "values"], ["product"], {"transBatchA": 1, "transBatchB": 1, "transB": 1}),
    ("Inverse", ["matrices"], ["inverses"], {}),
    ("Trilu", ["matrices", "diagonal"], ["lower"], {"upper": 0}),
]
STANDARD = {"Shape", "Gather", "Cast", "ReduceSum", "Sub"}
INPUTS = {
    "ids": (np.int32, ["N", "S"]),
    "kinds": (np.int32, ["N", "S"]),
    "mask": (np.int32, ["N", "S"]),
    "past": (np.float32, [2, "N", HEADS, "P", SIZE]),
    "bytes": (np.uint8, ["N", "S", HIDDEN]),
    "step": (np.float32, ["N", 1, HIDDEN]),
    "keys": (np.float32, ["N", HEADS, "P", SIZE]),
    "values": (np.float32, ["N", HEADS, "P", SIZE]),
    "seen": (np.int64, ["N", "T"]),
    "packed": (np.float32, ["N", 1, (HEADS + 2 * SHARED) * SIZE]),
    "group_keys": (np.float32, ["N", SHARED, "P", SIZE]),
    "group_values": (np.float32, ["N", SHARED, "P", SIZE]),
    "narrow": (np.float32, ["N", "S", SHARED * SIZE]),
    "x_last": (np.int32, ["N"]),
    "places": (np.int64, ["N", "P"]),
    "image": (np.uint8, ["N", "S", 5, 3]),
    "matrices": (np.float32, ["N", 5, 5]),
}


def make(name, dtype, dims, sizes):
    if dtype == np.float32:
        return floats(*dims)
    if dtype == np.uint8:
        return bytes_of(dtype, *dims)
    if name == "x_last":
        return np.full(dims, sizes["S"] - 1, dtype)
    if name == "seen":
        return np.ones(dims, dtype)
    most = {"ids": 11, "kinds": 2, "mask": 2, "places": 24}[name]
    values = RANDOM.integers(0, most, dims).astype(dtype)
    if name == "mask":
        values[:, 0] = 1
    return values


def main():
    def node(op, inputs, outputs, attributes):
        domain = "" if op in STANDARD else "com.microsoft"
        return helper.make_node(op, inputs, outputs, domain=domain, **attributes)

    inner = {name for _, inputs, _, _ in NODES for name in inputs}
    outputs = [name for op, _, results, _ in NODES for name in results if name and op not in STANDARD]
    outputs = [name for name in outputs if name not in inner or name in ("x", "attended")]
    inputs = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), dims) for name, (dtype, dims) in INPUTS.items()]
    constants = [numpy_helper.from_array(data, name) for name, data in CONSTANTS.items()]
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]

    def model(results):
        graph = helper.make_graph([node(*it) for it in NODES], "microsoft", inputs, results, constants)
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    untyped = model([onnx.ValueInfoProto(name=name) for name in outputs])
    session = onnxruntime.InferenceSession(untyped.SerializeToString(), options)
    typed = None
    for name, (n, s, p) in {"a": (2, 5, 4), "b": (1, 3, 7)}.items():
        sizes = {"N": n, "S": s, "P": p, "T": p + 1}
        feed = {key: make(key, dtype, [sizes.get(it, it) for it in dims], sizes) for key, (dtype, dims) in INPUTS.items()}
        results = dict(zip(outputs, session.run(outputs, feed)))
        typed = typed or [helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(it.dtype), None) for key, it in results.items()]
        arrays = {f"in:{key}": value for key, value in feed.items()}
        arrays |= {f"out:{key}": value for key, value in results.items()}
        np.savez(HERE / f"reference_{name}.npz", **arrays)
    onnx.save(model(typed), HERE / "model.onnx")


if __name__ == "__main__":
    main()
