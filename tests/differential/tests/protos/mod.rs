//! Models made in memory.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test uses its part")]

use anyhow::{Context, Result, ensure};
use orogen::{CompileOptions, Model, OptIn};
use orogen_ir::types::{DType, TensorData};
pub use orogen_onnx::proto::attribute::{float, int, ints, text, texts};
use orogen_onnx::proto::*;

pub fn shape(dims: &[i64]) -> TensorShapeProto {
    let dim = dims.iter().map(|it| DimensionProto { dim_value: Some(*it), dim_param: None });
    TensorShapeProto { dim: dim.collect() }
}

/// What files call a type.
pub fn number(dtype: DType) -> i32 {
    dtype.row().onnx.expect("a type of ONNX")
}

pub fn value(name: &str, elem_type: i32, dims: &[i64]) -> ValueInfoProto {
    let tensor_type = TensorTypeProto { elem_type, shape: Some(shape(dims)) };
    let ty = TypeProto { tensor_type: Some(tensor_type), ..TypeProto::default() };
    ValueInfoProto { name: name.into(), r#type: Some(ty) }
}

/// A node without attributes.
pub fn plain_node(domain: &str, op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        domain: domain.into(),
        op_type: op.into(),
        input: inputs.iter().map(|it| (*it).to_string()).collect(),
        output: outputs.iter().map(|it| (*it).to_string()).collect(),
        ..NodeProto::default()
    }
}

/// Small numbers of either sign for floats; 0, 1, 0, … for integers, which may be indices.
pub fn data_for(dtype: DType, dims: &[i64]) -> TensorData {
    let dims: Vec<u64> = dims.iter().map(|it| it.unsigned_abs()).collect();
    let count = dims.iter().product::<u64>();
    let at = |i: u64| {
        if dtype.is_float() { ((i.pow(3) * 5 + i * 37 + 5) % 19) as f64 / 4.0 - 2.0 } else { (i % 2) as f64 }
    };
    TensorData::from_f64(dtype, &dims, (0..count).map(at))
}

/// A model of one graph, with version 1 of a domain beside the standard operators.
pub fn model(domain: &str, graph: GraphProto) -> ModelProto {
    let mut opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 21 }];
    if !domain.is_empty() {
        opset_import.push(OperatorSetIdProto { domain: domain.into(), version: 1 });
    }
    ModelProto { ir_version: 10, graph: Some(Box::new(graph)), opset_import, ..ModelProto::default() }
}

/// Whether the library of a model is no larger than its file and a tenth of it.
pub fn is_no_larger(what: &str, model: &ModelProto) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (file, library) = (folder.path().join("model.onnx"), folder.path().join("model.so"));
    std::fs::write(&file, model.to_bytes())?;
    let options = CompileOptions { opt_in: OptIn::DataflowIr, ..CompileOptions::default() };
    let artifact = orogen::compile(&Model::open(&file)?, &options);
    artifact.with_context(|| what.to_owned())?.write_library(&library)?;
    let [from, to] = [&file, &library].map(|it| std::fs::metadata(it).map(|it| it.len()));
    let (from, to) = (from?, to?);
    ensure!(to <= from + from / 10, "{what}: {to} bytes of {from}");
    Ok(())
}
