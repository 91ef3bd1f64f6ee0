#!/usr/bin/env python3
"""Makes a model of the operators that ONNX Runtime's optimiser fuses, and of Fourier transforms, and references.

    python3 generate.py

Writes model.onnx and reference_*.npz beside itself: one model, two sizes. The references are ONNX Runtime's, but those of
Fourier transforms, which are numpy's in float64. Needs numpy, onnx and onnxruntime.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
RANDOM = np.random.default_rng(29)
FRAME, STEP = 16, 5


def floats(*dims):
    return RANDOM.standard_normal(dims).astype(np.float32)


CONSTANTS = {
    "gamma": floats(16),
    "beta": floats(16),
    "bias": floats(16),
    "w": floats(16, 12),
    "w_transposed": floats(12, 16),
    "kernel": floats(4, 3, 3, 3),
    "kernel_bias": floats(4),
    "gemm_bias": floats(12),
    "step": np.array(STEP, np.int64),
    "window": np.hanning(FRAME).astype(np.float32),
    "frame": np.array(FRAME, np.int64),
    "length": np.array(12, np.int64),
    "axis": np.array(1, np.int64),
}

NODES = [
    ("Gelu", ["x"], ["gelu"], {}),
    ("BiasGelu", ["x", "bias"], ["bias_gelu"], {}),
    ("FastGelu", ["x", "bias"], ["fast_gelu"], {}),
    ("QuickGelu", ["x"], ["quick_gelu"], {"alpha": 1.5}),
    ("SkipLayerNormalization", ["x", "skip", "gamma", "beta", "bias"], ["normal", "mean", "deviation", "sum"], {}),
    ("SkipSimplifiedLayerNormalization", ["x", "skip", "gamma"], ["rms_normal", "", "", "rms_sum"], {"epsilon": 1e-5}),
    ("FusedMatMul", ["x", "w_transposed"], ["product"], {"transB": 1, "alpha": 0.25}),
    ("FusedConv", ["image", "kernel", "kernel_bias"], ["convolved"], {"pads": [1, 1, 1, 1], "activation": "Clip", "activation_params": [-1.0, 0.5]}),
    ("FusedConv", ["image", "kernel", "kernel_bias", "convolved"], ["residual"], {"pads": [1, 1, 1, 1], "activation": "LeakyRelu", "activation_params": [0.25]}),
    ("FusedGemm", ["rows", "w", "gemm_bias"], ["layer"], {"activation": "HardSigmoid", "activation_alpha": 0.3, "activation_beta": 0.4}),
    ("STFT", ["signal", "step", "window", "frame"], ["spectrum"], {}),
    ("DFT", ["signal_10", "length", "axis"], ["one_side"], {"onesided": 1}),
    ("DFT", ["one_side", "length", "axis"], ["real"], {"onesided": 1, "inverse": 1}),
    ("DFT", ["pairs", "", "axis"], ["inverse"], {"inverse": 1}),
]
STANDARD = {"STFT", "DFT"}
INPUTS = {
    "x": ["N", 7, 16],
    "skip": ["N", 7, 16],
    "rows": ["N", 16],
    "image": ["N", 3, "H", 9],
    "signal": ["N", "L", 1],
    "signal_10": ["N", 10, 1],
    "pairs": ["N", 9, 3, 2],
}
FOURIER = {
    "spectrum": lambda it: np.fft.rfft(frames(it["signal"][..., 0]) * CONSTANTS["window"]),
    "one_side": lambda it: np.fft.rfft(it["signal_10"][..., 0], n=12),
    "real": lambda it: np.fft.irfft(np.fft.rfft(it["signal_10"][..., 0], n=12), n=12),
    "inverse": lambda it: np.fft.ifft(it["pairs"][..., 0] + 1j * it["pairs"][..., 1], axis=1),
}


def frames(signal):
    starts = range(0, signal.shape[1] - FRAME + 1, STEP)
    return np.stack([signal[:, start : start + FRAME] for start in starts], 1)


def parts(values):
    list = [values.real, values.imag] if np.iscomplexobj(values) else [values]
    return np.stack(list, -1).astype(np.float32)


def main():
    def node(op, inputs, outputs, attributes):
        domain = "" if op in STANDARD else "com.microsoft"
        return helper.make_node(op, inputs, outputs, domain=domain, **attributes)

    def info(name, dims):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)

    outputs = [name for _, _, results, _ in NODES for name in results if name]
    graph = helper.make_graph(
        [node(*it) for it in NODES],
        "fused",
        [info(name, dims) for name, dims in INPUTS.items()],
        [info(name, None) for name in outputs],
        [numpy_helper.from_array(data, name) for name, data in CONSTANTS.items()],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.save(model, HERE / "model.onnx")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for name, (n, h, length) in {"a": (2, 8, 41), "b": (1, 3, 16)}.items():
        sizes = {"N": n, "H": h, "L": length}
        inputs = {key: floats(*(sizes.get(it, it) for it in dims)) for key, dims in INPUTS.items()}
        results = dict(zip(outputs, session.run(outputs, inputs)))
        for key, transform in FOURIER.items():
            exact = parts(transform(inputs))
            assert np.abs(exact - results[key]).max() < 1e-4 or key == "real", key
            results[key] = exact
        arrays = {f"in:{key}": value for key, value in inputs.items()}
        arrays |= {f"out:{key}": value for key, value in results.items()}
        np.savez(HERE / f"reference_{name}.npz", **arrays)


if __name__ == "__main__":
    main()
