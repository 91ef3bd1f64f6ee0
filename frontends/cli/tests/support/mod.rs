//! Running the tool, and small ONNX and NumPy files.
#![allow(dead_code, reason = "each test file uses a part")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a run of the tool left.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the tool in a folder.
pub(crate) fn orogen(folder: &Path, args: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orogen"));
    let Output { status, stdout, stderr } =
        command.args(args).current_dir(folder).output().expect("the tool starts");
    Outcome {
        status: status.code().expect("the tool ends by itself"),
        out: String::from_utf8_lossy(&stdout).into_owned(),
        err: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// An `.npz` file of arrays: key, NumPy type, shape as Python writes it, whether in Fortran order, elements.
pub(crate) fn npz(path: &Path, arrays: &[(&str, &str, &str, bool, &[u8])]) {
    let mut archive = zip::ZipWriter::new(std::fs::File::create(path).expect("a file"));
    for (key, kind, shape, fortran, elements) in arrays {
        let order = if *fortran { "True" } else { "False" };
        let head = format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        archive.start_file(format!("{key}.npy"), zip::write::SimpleFileOptions::default()).expect("an entry");
        archive.write_all(b"\x93NUMPY\x01\x00").expect("the magic");
        archive.write_all(&(head.len() as u16).to_le_bytes()).expect("the length");
        archive.write_all(head.as_bytes()).expect("the head");
        archive.write_all(elements).expect("the elements");
    }
    archive.finish().expect("the end");
}

/// Bytes of floats.
pub(crate) fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|it| it.to_le_bytes()).collect()
}

/// Names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let name = |it: std::io::Result<std::fs::DirEntry>| it.expect("an entry").file_name();
    let mut names: Vec<String> = entries.map(|it| name(it).to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A file of `tests/models`.
pub(crate) fn kept(path: &str) -> String {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models");
    models.canonicalize().expect("the models are there").join(path).to_string_lossy().into_owned()
}

/// A folder with a file in it.
pub(crate) fn folder_with(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("writing a small file");
    (folder, path)
}

/// Protobuf, as much as a model needs. Field numbers are those of `onnx.proto`.
pub(crate) mod onnx {
    fn varint(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value > 127 {
            bytes.push(value as u8 & 127 | 128);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    fn number(field: u64, value: u64) -> Vec<u8> {
        [varint(field << 3), varint(value)].concat()
    }

    fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
        [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
    }

    /// A float tensor of a graph's signature; dimensions are numbers or names.
    pub(crate) fn value(name: &str, dims: &[&str]) -> Vec<u8> {
        let dim = |it: &&str| match it.parse() {
            Ok(size) => bytes(1, &number(1, size)),
            Err(_) => bytes(1, &bytes(2, it.as_bytes())),
        };
        let shape: Vec<u8> = dims.iter().flat_map(dim).collect();
        let tensor = [number(1, 1), bytes(2, &shape)].concat();
        [bytes(1, name.as_bytes()), bytes(2, &bytes(1, &tensor))].concat()
    }

    /// A node.
    pub(crate) fn node(op: &str, domain: &str, inputs: &[&str], outputs: &[&str], name: &str) -> Vec<u8> {
        let mut node: Vec<u8> = inputs.iter().flat_map(|it| bytes(1, it.as_bytes())).collect();
        node.extend(outputs.iter().flat_map(|it| bytes(2, it.as_bytes())));
        node.extend(
            [bytes(3, name.as_bytes()), bytes(4, op.as_bytes()), bytes(7, domain.as_bytes())].concat(),
        );
        node
    }

    /// A float initializer that claims a size and holds some bytes.
    pub(crate) fn initializer(name: &str, claimed: u64, content: &[u8]) -> Vec<u8> {
        [number(1, claimed), number(2, 1), bytes(8, name.as_bytes()), bytes(9, content)].concat()
    }

    /// A model of operator set 17.
    pub(crate) fn model(
        nodes: &[Vec<u8>],
        initializers: &[Vec<u8>],
        inputs: &[Vec<u8>],
        outputs: &[Vec<u8>],
    ) -> Vec<u8> {
        let mut graph: Vec<u8> = nodes.iter().flat_map(|it| bytes(1, it)).collect();
        graph.extend(bytes(2, b"graph"));
        graph.extend(initializers.iter().flat_map(|it| bytes(5, it)));
        graph.extend(inputs.iter().flat_map(|it| bytes(11, it)));
        graph.extend(outputs.iter().flat_map(|it| bytes(12, it)));
        let opset = [bytes(1, b""), number(2, 17)].concat();
        [number(1, 8), bytes(8, &opset), bytes(7, &graph)].concat()
    }

    /// `y = relu(x)`.
    pub(crate) fn relu(input: &str, output: &str, dims: &[&str]) -> Vec<u8> {
        let node = node("Relu", "", &[input], &[output], "positive");
        model(&[node], &[], &[value(input, dims)], &[value(output, dims)])
    }
}
