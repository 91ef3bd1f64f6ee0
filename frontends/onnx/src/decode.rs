//! Bytes to a decoded model, and what a file is that is none.

use crate::graph::{self, Opsets, normal_domain, opsets};
use crate::mapping::map_file;
use crate::proto::{FunctionProto, GraphProto, ModelProto, NodeProto};
use crate::table::OpTable;
use crate::tensor::TensorLoader;
use indexmap::IndexMap;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use prost::Message;
use prost::bytes::Bytes;
use std::path::Path;

/// Code of the diagnostic for a model file that cannot be read.
pub const CANNOT_READ: &str = "X001";

/// The oldest version of the standard operator set that is understood.
pub const OLDEST_OPSET: i64 = 1;
/// The newest version of the standard operator set that is understood.
pub const NEWEST_OPSET: i64 = 28;

/// The first version of the file format that names operator sets: files before it hold operators of the first one.
const FIRST_WITH_OPSETS: i64 = 3;

/// A decoded model.
#[derive(Debug)]
pub struct Model {
    pub(crate) proto: ModelProto,
    pub(crate) opsets: Opsets,
    pub(crate) loader: TensorLoader,
    /// Model-local functions by domain, name and overload.
    functions: IndexMap<(String, String, String), usize>,
}

impl Model {
    /// Reads a model file. External data is looked for beside it.
    pub fn open(path: impl AsRef<Path>) -> Result<Model, Diagnostics> {
        let path = path.as_ref();
        let at = |it: Diagnostic| Diagnostics::from(it.at(format!("file `{}`", path.display())));
        let bytes = map_file(path)
            .map_err(|error| at(Diagnostic::error(CANNOT_READ, format!("cannot read the model: {error}"))))?;
        let directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Self::decode(bytes, TensorLoader::new(Some(directory))).map_err(at)
    }

    /// Decodes a model from memory. External data is an error.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Model, Diagnostics> {
        Ok(Self::decode(Bytes::from(bytes.into()), TensorLoader::new(None))?)
    }

    /// Wraps a model made in memory.
    pub fn from_proto(proto: ModelProto) -> Result<Model, Diagnostics> {
        Ok(Self::checked(proto, TensorLoader::new(None))?)
    }

    /// What wrote the file, for example `pytorch 2.9`; may be empty.
    pub fn producer(&self) -> String {
        format!("{} {}", self.proto.producer_name, self.proto.producer_version).trim().to_string()
    }

    /// Version of the standard operator set.
    pub fn opset(&self) -> Option<i64> {
        self.opsets.get("").copied()
    }

    /// Operator set versions by domain, as the model lists them.
    pub fn opsets(&self) -> impl Iterator<Item = (&str, i64)> {
        self.opsets.iter().map(|(domain, version)| (domain.as_str(), *version))
    }

    pub(crate) fn graph(&self) -> &GraphProto {
        self.proto.graph.as_deref().expect("a checked model has a graph")
    }

    /// The model-local function that a node calls, unless `table` has a converter for a custom operator of that
    /// name.
    pub(crate) fn callee(&self, node: &NodeProto, table: &OpTable) -> Option<(usize, &FunctionProto)> {
        if self.functions.is_empty() {
            return None;
        }
        let domain = normal_domain(&node.domain);
        let key = (domain.to_string(), node.op_type.clone(), node.overload.clone());
        let index = *self.functions.get(&key)?;
        let version = self.opsets.get(domain).copied().unwrap_or(1);
        let custom = !domain.is_empty() && table.knows(domain, &node.op_type, version);
        (!custom).then(|| (index, &self.proto.functions[index]))
    }

    fn decode(bytes: Bytes, loader: TensorLoader) -> Result<Model, Diagnostic> {
        if let Some(what) = recognise(&bytes) {
            return Err(Diagnostic::error("X002", format!("this is no ONNX model but {what}")));
        }
        let length = bytes.len();
        let proto = ModelProto::decode(bytes).map_err(|error| {
            let diagnostic = Diagnostic::error("X003", "this is no ONNX model, or it is damaged")
                .note(format!("the protobuf decoder says: {error}"))
                .note(format!("the file has {length} bytes"));
            if error.to_string().contains("underflow") {
                return diagnostic.help("the file seems to end early: fetch it again");
            }
            diagnostic
        })?;
        Self::checked(proto, loader)
    }

    fn checked(proto: ModelProto, loader: TensorLoader) -> Result<Model, Diagnostic> {
        let Some(graph) = proto.graph.as_deref() else {
            return Err(Diagnostic::error("X004", "this is no ONNX model: it has no graph"));
        };
        if graph.output.is_empty() {
            return Err(Diagnostic::error("X004", "the model has no outputs"));
        }
        let mut opsets = opsets(&proto.opset_import);
        if proto.ir_version < FIRST_WITH_OPSETS && opsets.is_empty() {
            opsets.insert(String::new(), OLDEST_OPSET);
        }
        match opsets.get("") {
            Some(version) if *version < OLDEST_OPSET => {
                return Err(Diagnostic::error(
                    "X005",
                    format!("operator set {version} is older than the oldest supported, {OLDEST_OPSET}"),
                )
                .help("convert the model with onnx.version_converter, or export it again"));
            }
            Some(version) if *version > NEWEST_OPSET => {
                return Err(Diagnostic::error(
                    "X005",
                    format!("operator set {version} is newer than the newest supported, {NEWEST_OPSET}"),
                )
                .help("export the model for an older operator set"));
            }
            Some(_) => {}
            None if graph::uses_domain(&graph.node, "") => {
                return Err(Diagnostic::error(
                    "X005",
                    "the model does not say which version of the standard operators it uses",
                )
                .note("`opset_import` has no entry for the domain `ai.onnx`"));
            }
            None => {}
        }
        let functions = proto
            .functions
            .iter()
            .enumerate()
            .map(|(i, it)| ((normal_domain(&it.domain).to_string(), it.name.clone(), it.overload.clone()), i))
            .collect();
        Ok(Model { opsets, proto, loader, functions })
    }
}

/// Names the format of a file that is certainly not ONNX.
fn recognise(bytes: &[u8]) -> Option<&'static str> {
    const MAGIC: [(usize, &[u8], &str); 12] = [
        (0, b"PK\x03\x04", "a zip archive (a PyTorch checkpoint, a Keras model or an .npz file)"),
        (0, b"\x80\x02", "a Python pickle (an old PyTorch checkpoint)"),
        (0, b"\x80\x04", "a Python pickle"),
        (0, b"GGUF", "a GGUF file"),
        (4, b"TFL3", "a TensorFlow Lite model"),
        (4, b"ORTM", "a model in ONNX Runtime's own format; use the .onnx file it was made from"),
        (0, b"\x89HDF", "an HDF5 file"),
        (0, b"\x7fELF", "an ELF file (a compiled library or program)"),
        (0, b"\x93NUMPY", "a NumPy array"),
        (0, b"\x1f\x8b", "a gzip archive; unpack it first"),
        (0, b"version https://git-lfs", "a Git LFS pointer; fetch the file itself with `git lfs pull`"),
        (6, b"\0\0{\"", "a safetensors file"),
    ];
    if bytes.is_empty() {
        return Some("an empty file");
    }
    for (offset, magic, what) in MAGIC {
        if bytes.get(offset..).is_some_and(|it| it.starts_with(magic)) {
            return Some(what);
        }
    }
    let start = &bytes[..bytes.len().min(256)];
    // Field 1 of a model, the usual first byte, is 0x08: a control character that text does not hold.
    let text = start.iter().all(|it| matches!(it, b'\t' | b'\n' | b'\r' | 0x20..=0x7e));
    text.then_some("a text file")
}
