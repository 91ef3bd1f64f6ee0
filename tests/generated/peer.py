"""ONNX Runtime as an executor of drawn models; `src/peer.rs` says what comes in and what goes out."""

import resource
import struct
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

# Seconds of a processor that a model may take.
LIMIT = 60

# How what has no kernel, or no value in Python, is told.
MISSING = ("NOT_IMPLEMENTED", "ot implemented", "not supported", "nsupported", "No corresponding Numpy type",
           "can't be converted to MLDataType", "non-string numpy arrays")


def read(count):
    data = sys.stdin.buffer.read(count)
    if len(data) < count:
        sys.exit(0)
    return data


def message():
    return read(struct.unpack("<I", read(4))[0])


def answer(letter, data):
    sys.stdout.buffer.write(struct.pack("<I", len(data) + 1) + letter + data)
    sys.stdout.buffer.flush()


def session(data):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def unpacked(data):
    """The type and the array of each tensor, by its name."""
    found = {}
    for tensor in onnx.ModelProto.FromString(data).graph.initializer:
        array = numpy_helper.to_array(tensor)
        if tensor.data_type == onnx.TensorProto.STRING and array.size:
            array = np.vectorize(lambda it: it.decode() if isinstance(it, bytes) else it, otypes=[object])(array)
        found[tensor.name] = (tensor.data_type, np.ascontiguousarray(array).reshape(array.shape))
    return found


def value(kind, array):
    """A tensor as ONNX Runtime takes it: an array, or where NumPy has no such type one of its own values."""
    if array.dtype.type.__module__ == "ml_dtypes":
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array, kind)
    return ort.OrtValue.ortvalue_from_numpy(array)


def run(session, tensors):
    """Name, type and array of each output: nothing but what ONNX Runtime does, so that it is what an error is of."""
    names = [it.name for it in session.get_outputs()]
    inputs = {it.name: value(*tensors[it.name]) for it in session.get_inputs()}
    outputs = session.run_with_ort_values(names, inputs)
    return [(name, it.element_type(), it.numpy()) for name, it in zip(names, outputs, strict=True)]


def packed(outputs):
    model = onnx.ModelProto()
    for name, kind, array in outputs:
        if array.dtype == object:
            tensor = onnx.helper.make_tensor(name, onnx.TensorProto.STRING, array.shape,
                                             [it.encode() for it in array.reshape(-1).tolist()])
        else:
            tensor = numpy_helper.from_array(array, name)
            # Bits of a type that NumPy has no name for.
            tensor.data_type = kind
        model.graph.initializer.append(tensor)
    return model.SerializeToString()


def main():
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    while True:
        data = message()
        used = resource.getrusage(resource.RUSAGE_SELF)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + LIMIT, hard))
        made, refused = None, ""
        try:
            made = session(data)
        except Exception as error:
            refused = str(error)
        for _ in range(struct.unpack("<I", read(4))[0]):
            tensors = unpacked(message())
            if made is None:
                answer(b"u", refused.encode())
                continue
            try:
                outputs = run(made, tensors)
            except Exception as error:
                missing = any(it in str(error) for it in MISSING) or isinstance(error, (NotImplementedError, TypeError))
                answer(b"u" if missing else b"f", str(error).encode())
                continue
            answer(b"k", packed(outputs))


if __name__ == "__main__":
    main()
