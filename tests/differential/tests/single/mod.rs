//! Models of a single operator: the reference of the operator against generated code, on both paths.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each suite uses its part")]

use anyhow::{Context, Result, ensure};
use orogen::{Model, Step};
use orogen_differential::{Executor, Expected, Reference, Way, compare};
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;

pub use crate::protos::{int as attribute, text};
use crate::protos::{model, number, plain_node, value};

/// The types that operators are tried with.
pub const TYPES: [DType; 9] = [
    DType::F32,
    DType::F64,
    DType::F16,
    DType::BF16,
    DType::I64,
    DType::I32,
    DType::I16,
    DType::I8,
    DType::U8,
];

/// Small whole numbers of both signs, as far as the type has them, so that sums are exact in every order.
pub fn numbers(dtype: DType, dims: &[u64]) -> TensorData {
    let least = if dtype.is_signed_int() || dtype.is_float() { -3.0 } else { 0.0 };
    let count = dims.iter().product::<u64>();
    TensorData::from_f64(dtype, dims, (0..count).map(|i| ((i * 37 + 11) % 7) as f64 + least))
}

/// An operand; a constant is part of the model.
pub struct Operand {
    data: TensorData,
    constant: bool,
}

/// An operand that the caller gives.
pub fn given(data: TensorData) -> Operand {
    Operand { data, constant: false }
}

/// An operand that the model holds.
pub fn constant(data: TensorData) -> Operand {
    Operand { data, constant: true }
}

/// `y = op(operands)`: generated code gives what the reference of the operator gives.
pub fn check(op: &str, attributes: &[(&str, i64)], operands: &[Operand]) -> Result<()> {
    check_within(op, attributes, operands, 0.0)
}

/// The same, but for an error relative to the largest result.
pub fn check_within(op: &str, attributes: &[(&str, i64)], operands: &[Operand], allowed: f64) -> Result<()> {
    check_node(op, attributes.iter().map(|(name, i)| attribute(name, *i)).collect(), operands, allowed)
}

/// The same with attributes of any kind.
pub fn check_node(
    op: &str,
    attributes: Vec<AttributeProto>,
    operands: &[Operand],
    allowed: f64,
) -> Result<()> {
    check_outputs(op, &["y"], attributes, operands, allowed)
}

/// The same for any number of results. An operator of another domain is `domain::name`.
pub fn check_outputs(
    op: &str,
    outputs: &[&str],
    attributes: Vec<AttributeProto>,
    operands: &[Operand],
    allowed: f64,
) -> Result<()> {
    let names: Vec<String> = (0..operands.len()).map(|i| format!("x{i}")).collect();
    let (domain, op) = op.split_once("::").unwrap_or(("", op));
    let mut node = plain_node(domain, op, &names.iter().map(String::as_str).collect::<Vec<_>>(), outputs);
    node.attribute = attributes;
    let dims = |it: &TensorData| it.dims().iter().map(|it| it.cast_signed()).collect::<Vec<i64>>();
    let mut graph = GraphProto {
        node: vec![node],
        name: "g".into(),
        output: outputs.iter().map(|it| ValueInfoProto { name: (*it).into(), r#type: None }).collect(),
        ..GraphProto::default()
    };
    let mut inputs = Expected::new();
    for (name, Operand { data, constant }) in names.iter().zip(operands) {
        if *constant {
            graph.initializer.push(TensorProto {
                name: name.clone(),
                data_type: number(data.dtype()),
                dims: dims(data),
                raw_data: Some(data.bytes().to_vec().into()),
                ..TensorProto::default()
            });
        } else {
            graph.input.push(value(name, number(data.dtype()), &dims(data)));
            inputs.insert(name.clone(), data.clone());
        }
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, model(domain, graph).to_bytes())?;
    let model = Model::open(&file)?;
    let what = format!("{op} of {} {:?}", operands[0].data.dtype(), operands[0].data.dims());
    let reference = Reference { name: what.clone(), inputs, outputs: Expected::new() };
    let run = |executor: Executor| -> Result<Expected> {
        let found = executor.run_model(&model, std::slice::from_ref(&reference));
        found.with_context(|| format!("{what}: {executor}"))?.pop().context("an output")
    };
    let expected = run(Executor::Reference(Way::Native, Step::Import))?;
    for executor in [Executor::Jit(Way::Legacy), Executor::Jit(Way::Native)] {
        let worst = compare(&run(executor)?, &expected).with_context(|| format!("{what}: {executor}"))?;
        ensure!(worst.error <= allowed, "{what}: {executor}: error {}", worst.error);
    }
    Ok(())
}

/// A list of `i64`.
pub fn integers(values: &[i64]) -> TensorData {
    TensorData::from_slice(DType::I64, &[values.len() as u64], values)
}
