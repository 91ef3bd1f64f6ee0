#!/usr/bin/env python3
"""Makes a model of quantised operators in the forms that exporters write, and references by ONNX Runtime.

    python3 generate.py

Writes model.onnx and reference_*.npz beside itself: one model, two sizes. Needs numpy, onnx and onnxruntime.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
RANDOM = np.random.default_rng(11)


def integers(dtype, *dims):
    info = np.iinfo(dtype)
    return RANDOM.integers(info.min, info.max + 1, dims).astype(dtype)


def scales(*dims):
    return RANDOM.uniform(0.002, 0.03, dims).astype(np.float32)


def number(value, dtype=np.float32):
    return np.array(value, dtype)


U8, I8, I32 = np.uint8, np.int8, np.int32
CONSTANTS = {
    # Products of integers.
    "w": integers(I8, 70, 24),
    "w_zero": integers(I8, 24),
    "zero_u8": number(131, U8),
    "zero_i8": number(-7, I8),
    "none_u8": number(0, U8),
    # Layers with everything quantised, as operators.
    "scale": number(0.02),
    "w_scale": scales(24),
    "w_none": np.zeros(24, I8),
    "y_scale": number(0.9),
    "kernel": integers(I8, 6, 2, 3, 3),
    "kernel_scale": scales(6),
    "kernel_none": np.zeros(6, I8),
    "bias": RANDOM.integers(-9999, 9999, 6).astype(I32),
    "conv_scale": number(0.25),
    # Layers between numbers that are quantised and back.
    "dense": integers(I8, 24, 70),
    "dense_scale": scales(24),
    "depth": integers(I8, 4, 1, 3, 3),
    "depth_scale": scales(4),
    "depth_bias": RANDOM.integers(-999, 999, 4).astype(I32),
    "depth_bias_scale": None,
    "rows": number([1, -1], np.int64),
    # A table that is as small in the library as it is here.
    "table": integers(I8, 40, 16),
    "half": RANDOM.standard_normal((40, 16)).astype(np.float16),
    # Weights of dynamic quantisation.
    "z": integers(I8, 70, 24),
    "z_bias": RANDOM.standard_normal(24).astype(np.float32),
    # A table in blocks of three rows, the last of which is short.
    "blocks": integers(I8, 8, 5),
    "blocks_scale": scales(3, 5),
    "blocks_zero": integers(I8, 3, 5),
    # Both directions of an LSTM. What is fed back is small: one that is rounded the other way, since ONNX Runtime
    # approximates activations, stays within the tolerance.
    "lstm_w": integers(I8, 2, 70, 24),
    "lstm_w_scale": RANDOM.uniform(0.0005, 0.001, 2).astype(np.float32),
    "lstm_w_zero": number([3, -5], I8),
    "lstm_r": integers(I8, 2, 6, 24),
    "lstm_r_scale": RANDOM.uniform(0.0001, 0.0002, 2).astype(np.float32),
    "lstm_r_zero": number([9, 0], I8),
    "lstm_bias": RANDOM.standard_normal((2, 48)).astype(np.float32) / 4,
}
WEIGHTS = np.random.default_rng(12)


def weights(dtype, *dims):
    info = np.iinfo(dtype)
    return WEIGHTS.integers(info.min, info.max + 1, dims).astype(dtype)


def weight_scales(*dims):
    return WEIGHTS.uniform(0.002, 0.03, dims).astype(np.float32)


# Weights that alone are quantised, in products with numbers.
CONSTANTS |= {
    "only_w": weights(I8, 70, 24),
    "only_w_scale": weight_scales(24),
    "cast_w": weights(I8, 70, 24),
    "cast_w_scale": weight_scales(1, 24),
    "shifted_w": weights(U8, 24, 70),
    "shifted_scale": number(0.01),
    "shifted_zero": number(128, U8),
    "around_w": weights(U8, 70, 20),
    "around_scale": weight_scales(20),
    "around_zero": weights(U8, 20),
    "long_w": weights(np.int16, 70, 24),
    "long_scale": number(0.00003),
    "half_w": WEIGHTS.standard_normal((70, 24)).astype(np.float16),
    "left_w": weights(I8, 9, 5),
    "left_scale": weight_scales(9),
    "line_w": weights(I8, 6, 5, 3),
    "line_scale": weight_scales(6),
    "line_bias": WEIGHTS.standard_normal(6).astype(np.float32),
    "each_w": weights(U8, 5, 1, 3),
    "each_scale": weight_scales(5),
    "each_zero": weights(U8, 5),
}
CONSTANTS["depth_bias_scale"] = (CONSTANTS["depth_scale"] * CONSTANTS["scale"]).astype(np.float32)

NODES = [
    ("MatMulInteger", ["a", "w", "a_zero", "w_zero"], ["product"], {}),
    ("MatMulInteger", ["a", "w"], ["plain_product"], {}),
    ("ConvInteger", ["image", "kernel", "zero_u8"], ["convolved"], {"pads": [1, 0, 2, 1], "group": 2, "strides": [2, 1]}),
    (
        "QLinearMatMul",
        ["a", "a_scale", "a_zero", "w", "w_scale", "w_none", "y_scale", "zero_u8"],
        ["layer"],
        {},
    ),
    (
        "QLinearConv",
        ["image", "scale", "zero_u8", "kernel", "kernel_scale", "kernel_none", "conv_scale", "zero_u8", "bias"],
        ["conv_layer"],
        {"pads": [1, 1, 1, 1], "group": 2},
    ),
    # Gemm with transposed weights, and what follows, on bytes again.
    ("DequantizeLinear", ["a", "scale", "zero_u8"], ["a_number"], {}),
    ("DequantizeLinear", ["dense", "dense_scale"], ["dense_number"], {"axis": 0}),
    ("Gemm", ["a_number", "dense_number"], ["gemm"], {"transB": 1}),
    ("Relu", ["gemm"], ["positive"], {}),
    ("QuantizeLinear", ["positive", "y_scale", "none_u8"], ["gemm_layer"], {}),
    # A depthwise convolution, then moves of its result.
    ("DequantizeLinear", ["image", "scale", "zero_u8"], ["image_number"], {}),
    ("DequantizeLinear", ["depth", "depth_scale"], ["depth_number"], {"axis": 0}),
    ("DequantizeLinear", ["depth_bias", "depth_bias_scale"], ["depth_bias_number"], {"axis": 0}),
    ("Conv", ["image_number", "depth_number", "depth_bias_number"], ["depthwise"], {"group": 4, "pads": [1, 1, 1, 1]}),
    ("QuantizeLinear", ["depthwise", "conv_scale", "zero_u8"], ["depth_q"], {}),
    ("DequantizeLinear", ["depth_q", "conv_scale", "zero_u8"], ["depth_back"], {}),
    ("MaxPool", ["depth_back"], ["pooled"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("Transpose", ["pooled"], ["last"], {"perm": [0, 2, 3, 1]}),
    ("Reshape", ["last", "rows"], ["flat"], {}),
    ("QuantizeLinear", ["flat", "conv_scale", "zero_u8"], ["moved"], {}),
    # Rows of tables.
    ("DequantizeLinear", ["table", "scale", "zero_i8"], ["table_number"], {}),
    ("Gather", ["table_number", "ids"], ["embedded"], {}),
    ("Cast", ["half"], ["half_number"], {"to": TensorProto.FLOAT}),
    ("Gather", ["half_number", "ids"], ["embedded_half"], {}),
    # Data that is quantised when it is there.
    ("DynamicQuantizeLinear", ["x"], ["x_q", "x_scale", "x_zero"], {}),
    ("MatMulInteger", ["x_q", "z", "x_zero"], ["x_sum"], {}),
    ("Cast", ["x_sum"], ["x_float"], {"to": TensorProto.FLOAT}),
    ("Mul", ["x_scale", "scale"], ["x_factor"], {}),
    ("Mul", ["x_float", "x_factor"], ["x_scaled"], {}),
    ("Add", ["x_scaled", "z_bias"], ["dynamic"], {}),
    (
        "DynamicQuantizeLSTM",
        ["x", "lstm_w", "lstm_r", "lstm_bias", "", "", "", ""]
        + ["lstm_w_scale", "lstm_w_zero", "lstm_r_scale", "lstm_r_zero"],
        ["steps", "last_h", "last_c"],
        {"direction": "bidirectional", "hidden_size": 6, "domain": "com.microsoft"},
    ),
    # Rows of a table that is scaled in blocks.
    ("DequantizeLinear", ["blocks", "blocks_scale", "blocks_zero"], ["blocks_number"], {"axis": 0, "block_size": 3}),
    ("Gather", ["blocks_number", "ids"], ["embedded_blocks"], {}),
    # Weights that alone are quantised: one scale for each column, as operator and as arithmetic; unsigned around 128,
    # transposed; any zero points; of 16 bits; on the left; the table again, which is used twice.
    ("DequantizeLinear", ["only_w", "only_w_scale"], ["only_number"], {"axis": 1}),
    ("MatMul", ["x", "only_number"], ["only"], {}),
    ("Cast", ["cast_w"], ["cast_number"], {"to": TensorProto.FLOAT}),
    ("Mul", ["cast_number", "cast_w_scale"], ["cast_scaled"], {}),
    ("MatMul", ["x", "cast_scaled"], ["cast_product"], {}),
    ("DequantizeLinear", ["shifted_w", "shifted_scale", "shifted_zero"], ["shifted_number"], {}),
    ("Gemm", ["a_number", "shifted_number"], ["shifted"], {"transB": 1}),
    ("DequantizeLinear", ["around_w", "around_scale", "around_zero"], ["around_number"], {"axis": 1}),
    ("MatMul", ["x", "around_number"], ["around"], {}),
    ("DequantizeLinear", ["long_w", "long_scale"], ["long_number"], {}),
    ("MatMul", ["x", "long_number"], ["long"], {}),
    ("Cast", ["half_w"], ["half_w_number"], {"to": TensorProto.FLOAT}),
    ("MatMul", ["x", "half_w_number"], ["half_product"], {}),
    ("DequantizeLinear", ["left_w", "left_scale"], ["left_number"], {"axis": 0}),
    ("MatMul", ["left_number", "x"], ["left"], {}),
    ("Transpose", ["table_number"], ["table_turned"], {"perm": [1, 0]}),
    ("MatMul", ["embedded", "table_turned"], ["logits"], {}),
    # The same of convolutions.
    ("DequantizeLinear", ["line_w", "line_scale"], ["line_number"], {"axis": 0}),
    ("Conv", ["x", "line_number", "line_bias"], ["line"], {"pads": [1, 1]}),
    ("DequantizeLinear", ["each_w", "each_scale", "each_zero"], ["each_number"], {"axis": 0}),
    ("Conv", ["x", "each_number"], ["each"], {"pads": [1, 1], "group": 5}),
]

INPUTS = {
    "a": (TensorProto.UINT8, ["N", 70]),
    "a_zero": (TensorProto.UINT8, []),
    "a_scale": (TensorProto.FLOAT, []),
    "image": (TensorProto.UINT8, [1, 4, "H", 9]),
    "ids": (TensorProto.INT64, ["T"]),
    "x": (TensorProto.FLOAT, ["B", 5, 70]),
}
OUTPUTS = {
    "product": TensorProto.INT32,
    "plain_product": TensorProto.INT32,
    "convolved": TensorProto.INT32,
    "layer": TensorProto.UINT8,
    "conv_layer": TensorProto.UINT8,
    "gemm_layer": TensorProto.UINT8,
    "moved": TensorProto.UINT8,
    "embedded": TensorProto.FLOAT,
    "embedded_half": TensorProto.FLOAT,
    "dynamic": TensorProto.FLOAT,
    "steps": TensorProto.FLOAT,
    "last_h": TensorProto.FLOAT,
    "last_c": TensorProto.FLOAT,
    "embedded_blocks": TensorProto.FLOAT,
}
ONLY_WEIGHTS = ["only", "cast_product", "shifted", "around", "long", "half_product", "left", "logits", "line", "each"]
OUTPUTS |= {name: TensorProto.FLOAT for name in ONLY_WEIGHTS}


def main():
    graph = helper.make_graph(
        [helper.make_node(op, inputs, outputs, **attributes) for op, inputs, outputs, attributes in NODES],
        "quantized",
        [helper.make_tensor_value_info(name, *ty) for name, ty in INPUTS.items()],
        [helper.make_tensor_value_info(name, ty, None) for name, ty in OUTPUTS.items()],
        [numpy_helper.from_array(data, name) for name, data in CONSTANTS.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)], ir_version=10)
    onnx.save(model, HERE / "model.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    for name, (n, h, t, b) in {"a": (13, 8, 7, 2), "b": (1, 6, 1, 1)}.items():
        inputs = {
            "a": integers(U8, n, 70),
            "a_zero": number(97, U8),
            "a_scale": number(0.017),
            "image": integers(U8, 1, 4, h, 9),
            "ids": RANDOM.integers(-8, 8, t),
            "x": (RANDOM.standard_normal((b, 5, 70)) * 3 + 1).astype(np.float32),
        }
        results = session.run(list(OUTPUTS), inputs)
        arrays = {f"in:{key}": value for key, value in inputs.items()}
        arrays |= {f"out:{key}": value for key, value in zip(OUTPUTS, results)}
        np.savez(HERE / f"reference_{name}.npz", **arrays)


if __name__ == "__main__":
    main()
