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


def value(tensor):
    """A tensor as ONNX Runtime takes it: an array, or where NumPy has no such type one of its own values."""
    array = numpy_helper.to_array(tensor)
    if tensor.data_type == onnx.TensorProto.STRING:
        return ort.OrtValue.ortvalue_from_numpy(np.vectorize(lambda it: it.decode() if isinstance(it, bytes) else it,
                                                             otypes=[object])(array) if array.size else array)
    if array.dtype.type.__module__ == "ml_dtypes":
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array, tensor.data_type)
    return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array).reshape(array.shape))


def run(session, data):
    tensors = {it.name: value(it) for it in onnx.ModelProto.FromString(data).graph.initializer}
    names = [it.name for it in session.get_outputs()]
    outputs = session.run_with_ort_values(names, {it.name: tensors[it.name] for it in session.get_inputs()})
    model = onnx.ModelProto()
    for name, output in zip(names, outputs, strict=True):
        array = output.numpy()
        kind = output.element_type()
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
    while True:
        data = message()
        used = resource.getrusage(resource.RUSAGE_SELF)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + LIMIT, resource.RLIM_INFINITY))
        made, refused = None, ""
        try:
            made = session(data)
        except Exception as error:
            refused = str(error)
        for _ in range(struct.unpack("<I", read(4))[0]):
            inputs = message()
            if made is None:
                answer(b"u", refused.encode())
                continue
            try:
                answer(b"k", run(made, inputs))
            except Exception as error:
                missing = any(it in str(error) for it in MISSING) or isinstance(error, (NotImplementedError, TypeError))
                answer(b"u" if missing else b"f", str(error).encode())


if __name__ == "__main__":
    main()
