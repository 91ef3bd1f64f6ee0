"""The official ONNX backend suite as files, and its own comparison; `cargo xtask conformance` runs this.

    suite.py write FOLDER     a folder a case (model.onnx, inputs.npz, expected.npz), and cases.json when all are written
    suite.py compare FOLDER   reads lines `CASE<tab>OUTPUTS.npz<tab>JSON of the tool`; prints `CASE<tab>` and what differs

Files hold values as the tool does: a type that .npz lacks as the narrowest one that holds it, strings as text, the elements of
a sequence `s` as `s[0]`, `s[1]`, ... (`s[]` when it is empty), and no array for what has no value.
"""

import glob
import io
import json
import os
import sys
import warnings
import zipfile

import ml_dtypes
import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import DATA_DIR, load_model_tests
from onnx.backend.test.runner import Runner, _normalize_tensor

# Names of the tool, and the types that stand for those that .npz lacks.
NAMES = {
    "bool": "bool", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64", "uint8": "u8", "uint16": "u16",
    "uint32": "u32", "uint64": "u64", "float16": "f16", "float32": "f32", "float64": "f64", "complex64": "c64",
    "complex128": "c128", "object": "string", "bfloat16": "bf16", "float8_e4m3fn": "f8e4m3fn",
    "float8_e4m3fnuz": "f8e4m3fnuz", "float8_e5m2": "f8e5m2", "float8_e5m2fnuz": "f8e5m2fnuz",
    "float8_e8m0fnu": "f8e8m0fnu", "float4_e2m1fn": "f4e2m1fn", "int4": "i4", "int2": "i2", "uint4": "u4",
    "uint2": "u2",
}
STAND_IN = {it: np.float32 for it in NAMES.values() if it.startswith(("bf16", "f8", "f4"))}
STAND_IN |= {"i4": np.int8, "i2": np.int8, "u4": np.uint8, "u2": np.uint8}


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def array(value):
    """A value as .npz holds it, and its type."""
    dtype = NAMES[value.dtype.name]
    if dtype == "string":
        texts = [text(it) for it in value.reshape(-1)]
        return np.array(texts, dtype=str).reshape(value.shape), dtype
    return value.astype(STAND_IN.get(dtype, value.dtype)), dtype


def arrays(name, value):
    """The arrays of a value, each with its key and type."""
    if value is None:
        return
    if not isinstance(value, list):
        yield (name, *array(value))
    elif not value:
        yield f"{name}[]", np.zeros(0, np.uint8), None
    else:
        for i, item in enumerate(value):
            yield (f"{name}[{i}]", *array(item))


def normal(value):
    if isinstance(value, (list, tuple)):
        return [normal(it) for it in value]
    return None if value is None else np.asarray(_normalize_tensor(value))


def from_files(case):
    """The model, inputs and outputs of a case that lies in the package."""
    model = onnx.load(f"{case.model_dir}/model.onnx")
    (folder,) = glob.glob(f"{case.model_dir}/test_data_set*")

    def read(kind, infos):
        found = []
        for i in range(len(glob.glob(f"{folder}/{kind}_*.pb"))):
            Runner._load_proto(None, f"{folder}/{kind}_{i}.pb", found, infos[i].type)
        return found

    return model, read("input", model.graph.input), read("output", model.graph.output)


def light(case):
    """A large network with weights of one value, and what it computes of an input that is made here."""
    path = os.path.join(DATA_DIR, "light", os.path.basename(case.url))
    model = onnx.load(path)
    given = {it.name for it in model.graph.initializer}
    inputs = [Runner.generate_dummy_data(it, name=case.name) for it in model.graph.input if it.name not in given]
    output = onnx.TensorProto()
    with open(path.removesuffix(".onnx") + "_output_0.pb", "rb") as file:
        output.ParseFromString(file.read())
    return model, inputs, [numpy_helper.to_array(output)]


def cases():
    for case in load_model_tests(kind="node"):
        ((inputs, outputs),) = case.data_sets
        yield "node", case, (case.model, inputs, outputs)
    for kind in ("simple", "pytorch-converted", "pytorch-operator"):
        for case in load_model_tests(kind=kind):
            yield kind, case, from_files(case)
    for case in load_model_tests(kind="real"):
        yield "light", case, light(case)


def operators(graph):
    for node in graph.node:
        yield f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
        for attribute in node.attribute:
            for inner in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
                yield from operators(inner)


def group(kind, model, name):
    domains = {it.domain for it in model.opset_import}
    if kind != "node":
        return kind
    if "ai.onnx.preview.training" in domains:
        return "training"
    if "ai.onnx.ml" in domains:
        return "ml"
    if "_expanded" in name:
        return "expanded"
    return "preview" if "ai.onnx.preview" in domains else "core"


def write_npz(path, found):
    with zipfile.ZipFile(path, "w") as file:
        for key, value, _ in found:
            # np.savez refuses names that archives may have.
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(value, order="C"), allow_pickle=False)
            file.writestr(f"{key}.npy", buffer.getvalue())


def read_npz(path):
    with zipfile.ZipFile(path) as file:
        read = lambda it: np.lib.format.read_array(io.BytesIO(file.read(it)), allow_pickle=False)
        return {it.removesuffix(".npy"): read(it) for it in file.namelist()}


def write(folder):
    listed = []
    for kind, case, (model, inputs, outputs) in cases():
        into = f"{folder}/{case.name}"
        os.makedirs(into, exist_ok=True)
        with open(f"{into}/model.onnx", "wb") as file:
            file.write(model.SerializeToString())
        given = {it.name for it in model.graph.initializer}
        open_inputs = [it for it in model.graph.input if it.name not in given]
        named = open_inputs if len(open_inputs) == len(inputs) else model.graph.input
        pairs = zip(named, inputs, strict=True)
        write_npz(f"{into}/inputs.npz", [it for info, value in pairs for it in arrays(f"in:{info.name}", normal(value))])
        pairs = zip(model.graph.output, outputs, strict=True)
        found = [it for info, value in pairs for it in arrays(info.name, normal(value))]
        write_npz(f"{into}/expected.npz", found)
        listed.append({
            "name": case.name, "group": group(kind, model, case.name), "operators": sorted(set(operators(model.graph))),
            "rtol": case.rtol, "atol": case.atol, "types": {key: dtype for key, _, dtype in found},
        })
    listed.sort(key=lambda it: it["name"])
    with open(f"{folder}/cases.json", "w") as file:
        json.dump(listed, file)


def differs(folder, case, saved, said):
    """What is wrong with outputs; nothing when the suite takes them."""
    expected, got = read_npz(f"{folder}/{case['name']}/expected.npz"), read_npz(saved)
    types = {it["name"]: it["dtype"] for it in json.loads(said)["outputs"]}
    if sorted(expected) != sorted(got):
        return f"outputs {sorted(got)} instead of {sorted(expected)}"
    for key, dtype in case["types"].items():
        if dtype is None:
            continue
        if types.get(key) != dtype:
            return f"{key} has type {types.get(key)} instead of {dtype}"
        pair = [expected[key], got[key]]
        if dtype == "string":
            pair = [it.astype(object) for it in pair]
        elif dtype == "bf16":
            # The suite has limits of its own for it.
            pair = [it.astype(ml_dtypes.bfloat16) for it in pair]
        try:
            Runner.assert_similar_outputs([pair[0]], [pair[1]], case["rtol"], case["atol"])
        except Exception as error:
            return f"{key}: {' '.join(str(error).split())[:300]}"
    return None


def compare(folder):
    with open(f"{folder}/cases.json") as file:
        listed = {it["name"]: it for it in json.load(file)}
    for line in sys.stdin:
        name, saved, said = line.rstrip("\n").split("\t", 2)
        try:
            wrong = differs(folder, listed[name], saved, said)
        except Exception as error:
            wrong = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        print(f"{name}\t{wrong or ''}", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    {"write": write, "compare": compare}[sys.argv[1]](sys.argv[2])
