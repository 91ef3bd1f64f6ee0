"""The official ONNX backend suite on another implementation; `cargo xtask conformance --peer NAME` runs this.

    peers.py NAME [REGEX]   prints `CASE<tab>END<tab>DETAIL` for each case whose name holds a match

Ends are those of the lists: pass, wrong, unsupported (it is refused, or an operator of it has no kernel), failed, crash, hang.
Models are given as the suite has them, and outputs compared by its rules, in a process of its own for each case.
"""

import os
import re
import resource
import signal
import sys
import warnings

import numpy as np
import onnx
from onnx.backend.test.runner import Runner

import suite

# Seconds of a processor that a case may take.
LIMIT = 100


# How what has no kernel, or no value in Python, is told.
MISSING = ("NOT_IMPLEMENTED", "ot implemented", "NotImplemented", "not supported", "nsupported", "No corresponding Numpy type",
           "can't be converted to MLDataType", "ParameterMismatch")


class Refused(Exception):
    """The model, rather than an input of it, is not taken."""


def taking(build):
    try:
        return build()
    except Exception as error:
        raise Refused(str(error)) from error


def onnxruntime(model):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    data = model.SerializeToString()
    session = taking(lambda: ort.InferenceSession(data, options, providers=["CPUExecutionProvider"]))

    def run(inputs):
        packed = ("int4", "uint4", "int2", "uint2")
        if any(isinstance(it, np.ndarray) and it.dtype.name in packed for it in inputs.values()):
            raise NotImplementedError("its Python package takes no array of elements below a byte")
        odd = {it.name: it.type.tensor_type.elem_type for it in model.graph.input}
        special = lambda value: isinstance(value, np.ndarray) and value.dtype.type.__module__ == "ml_dtypes"
        if not any(special(it) for it in inputs.values()):
            return session.run(None, inputs)
        make = ort.OrtValue.ortvalue_from_numpy_with_onnx_type
        given = {
            name: make(value, odd[name]) if special(value) else ort.OrtValue.ortvalue_from_numpy(value)
            for name, value in inputs.items()
        }
        return [it.numpy() for it in session.run_with_ort_values(None, given)]

    return run


def reference(model):
    from onnx.reference import ReferenceEvaluator

    session = taking(lambda: ReferenceEvaluator(model))
    return lambda inputs: session.run(None, inputs)


def openvino(model):
    import openvino

    core = openvino.Core()
    core.set_property("CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"})
    compiled = taking(lambda: core.compile_model(core.read_model(model.SerializeToString()), "CPU"))

    def run(inputs):
        # Inputs that nothing reads are not there any more.
        known = {name for it in compiled.inputs for name in it.get_names()}
        results = compiled({name: it for name, it in inputs.items() if name in known})
        return [results[i] for i in range(len(model.graph.output))]

    return run


PEERS = {"onnxruntime": onnxruntime, "reference": reference, "openvino": openvino}


def as_typed(wanted, found):
    """Bits of a type that the peer has no name for in Python, as that type."""
    arrays = isinstance(wanted, np.ndarray) and isinstance(found, np.ndarray)
    if arrays and wanted.dtype.type.__module__ == "ml_dtypes" and found.dtype in (np.uint8, np.uint16):
        return found.view(wanted.dtype) if found.itemsize == wanted.itemsize else found
    return found


def end(peer, case, model, inputs, outputs):
    given = {it.name for it in model.graph.initializer}
    open_inputs = [it.name for it in model.graph.input if it.name not in given]
    names = open_inputs if len(open_inputs) == len(inputs) else [it.name for it in model.graph.input]
    inputs = {name: suite.normal(it) for name, it in zip(names, inputs, strict=True)}
    try:
        run = PEERS[peer](model)
    except Refused as error:
        return "unsupported", error
    try:
        found = run(inputs)
    except Exception as error:
        missing = any(it in str(error) for it in MISSING) or isinstance(error, (NotImplementedError, TypeError))
        return "unsupported" if missing else "failed", error
    try:
        wanted, found = suite.normal(outputs), suite.normal(found)
        found = [as_typed(*it) for it in zip(wanted, found, strict=True)]
        Runner.assert_similar_outputs(wanted, found, case.rtol, case.atol)
    except Exception as error:
        return "wrong", error
    return "pass", ""


def in_a_process(peer, case, data):
    """How a case ends in a process that may crash, or take too long."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT + 1))
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        try:
            what, why = end(peer, case, *data)
        except BaseException as error:
            what, why = "other", error
        os.write(writing, f"{what}\t{' '.join(str(why).split())[:300]}".encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        said = file.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        late = os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
        return "hang\t" if late else f"crash\tsignal {os.WTERMSIG(status)}"
    return said or "crash\tit said nothing"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    wanted = re.compile(sys.argv[2] if len(sys.argv) > 2 else "")
    for _, case, data in suite.cases():
        if wanted.search(case.name):
            print(f"{case.name}\t{in_a_process(sys.argv[1], case, data)}", flush=True)
