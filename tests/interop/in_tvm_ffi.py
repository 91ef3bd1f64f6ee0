"""Libraries in a real tvm-ffi host: `pip install apache-tvm-ffi numpy`, then `python tests/interop/in_tvm_ffi.py OROGEN`.

Nothing of Orogen's runtime takes part: tvm-ffi loads the library, calls its functions, and provides the function of the
host that one of them calls. The wheel is no part of the toolchain, so this is no test of Cargo: `cargo xtask ci interop`
installs it and runs this.
"""

import ctypes
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import tvm_ffi

HERE = pathlib.Path(__file__).resolve().parent
MODULE = HERE.parent / "differential" / "tests" / "functions" / "host.flow"


def view(tensor):
    """The memory of a view; it has no owner, so it cannot be exported through DLPack."""
    pointer = ctypes.cast(tensor.data_ptr(), ctypes.POINTER(ctypes.c_float))
    return np.ctypeslib.as_array(pointer, shape=tuple(tensor.shape))


def error_of(kind, call, *args):
    try:
        call(*args)
    except kind as error:
        return str(error)
    raise AssertionError("it did not fail")


def main(orogen):
    with tempfile.TemporaryDirectory() as folder:
        library = pathlib.Path(folder) / "host.so"
        command = [orogen, "compile", MODULE, "-o", library, "--opt-in", "dataflow-ir"]
        subprocess.run(command, check=True)
        module = tvm_ffi.load_module(str(library))
        x = np.array([[3, 1, 2, 0], [1, -1, 0, 5]], dtype=np.float32)
        given = tvm_ffi.from_dlpack(x)
        rounds = tvm_ffi.from_dlpack(np.array(3))

        # A function without the host, and what it says of wrong arguments.
        assert (np.from_dlpack(module.twice(given)) == 2 * x).all()
        wrong = tvm_ffi.from_dlpack(np.zeros((2, 3), np.float32))
        assert "dimension 1: expected 4, got 3" in error_of(ValueError, module.twice, wrong)

        # Functions of the host: missing, failing, leaving the result unwritten, right.
        assert "acme.sort_rows" in error_of(RuntimeError, module.main, given, rounds)

        # tvm-ffi remembers in a module what it found for it, so one function does what it is told to.
        behaviour = []
        tvm_ffi.register_global_func("acme.sort_rows", lambda x, y, by: behaviour[-1](x, y, by))

        def fails(x, y, by):
            raise IndexError("not today")

        behaviour.append(fails)
        assert "not today" in error_of(IndexError, module.main, given, rounds)
        behaviour.append(lambda x, y, by: None)
        assert "unwritten" in error_of(RuntimeError, module.main, given, rounds)

        def sort_rows(x, y, by):
            assert by == 2
            view(y)[:] = np.sort(view(x), axis=1)

        behaviour.append(sort_rows)
        y, last = (np.from_dlpack(it) for it in module.main(given, rounds))
        assert np.allclose(y, np.sort(np.exp(x), axis=1))
        assert np.allclose(last, 8 * np.sort(x, axis=1))

        # Private functions are none of the module's.
        assert "sorted" in error_of(AttributeError, lambda: module.sorted)
    print("tvm-ffi", tvm_ffi.__version__, "loads the library, calls it and serves it")


if __name__ == "__main__":
    main(sys.argv[1])
