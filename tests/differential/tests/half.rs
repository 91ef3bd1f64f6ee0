//! Normalisations of f16 values whose squares are no f16 values: statistics are computed in the type that the model names,
//! on both paths, by the reference and by generated code.

mod protos;

use anyhow::{Context, Result, ensure};
use orogen::{Model, Step};
use orogen_differential::{Executor, Expected, Reference, Way};
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;
use protos::{model, plain_node, value};

const DIMS: [i64; 3] = [2, 4, 10];

/// Values to 450 and their negatives, exact in f16.
fn operand() -> Vec<f64> {
    (0..80).map(|i| f64::from((i * 37 + 11) % 73 - 36) * 12.5).collect()
}

fn data(dims: &[i64], values: impl IntoIterator<Item = f64>) -> TensorData {
    let dims: Vec<u64> = dims.iter().map(|it| it.unsigned_abs()).collect();
    TensorData::from_f64(DType::F16, &dims, values)
}

/// Mean and reciprocal of the standard deviation.
fn statistics(x: &[f64]) -> [f64; 2] {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let variance = x.iter().map(|it| (it - mean) * (it - mean)).sum::<f64>() / x.len() as f64;
    [mean, 1.0 / (variance + 1e-5).sqrt()]
}

fn standardized(group: usize) -> Vec<f64> {
    let x = operand();
    let groups = x.chunks(group).flat_map(|x| {
        let [mean, inverse] = statistics(x);
        x.iter().map(move |it| (it - mean) * inverse)
    });
    groups.collect()
}

/// `op(x, scale, bias, …)` gives these outputs, each of its type, within the precision of f16.
fn check(
    op: &str,
    attribute: &[(&str, i64)],
    parameters: &[(&str, &[i64], f64)],
    expected: &[(DType, Vec<f64>)],
) -> Result<()> {
    let inputs =
        [("x", DIMS.as_slice())].into_iter().chain(parameters.iter().map(|(name, dims, _)| (*name, *dims)));
    let outputs: Vec<String> = (0..expected.len()).map(|i| format!("y{i}")).collect();
    let names: Vec<&str> = inputs.clone().map(|it| it.0).collect();
    let mut node = plain_node("", op, &names, &outputs.iter().map(String::as_str).collect::<Vec<_>>());
    node.attribute.extend(attribute.iter().map(|(name, i)| attribute::int(name, *i)));
    let graph = GraphProto {
        node: vec![node],
        name: "g".into(),
        input: inputs.map(|(name, dims)| value(name, data_type::FLOAT16, dims)).collect(),
        output: outputs.iter().map(|it| ValueInfoProto { name: it.clone(), r#type: None }).collect(),
        ..GraphProto::default()
    };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, model("", graph).to_bytes())?;
    let model = Model::open(&file)?;
    let filled = parameters.iter().map(|(name, dims, fill)| {
        let count = dims.iter().product::<i64>() as usize;
        ((*name).to_owned(), data(dims, vec![*fill; count]))
    });
    let inputs: Expected = [("x".to_owned(), data(&DIMS, operand()))].into_iter().chain(filled).collect();
    let reference = Reference { name: op.to_owned(), inputs, outputs: Expected::new() };
    for executor in [
        Executor::Reference(Way::Native, Step::Import),
        Executor::Reference(Way::Legacy, Step::Import),
        Executor::Jit(Way::Legacy),
        Executor::Jit(Way::Native),
    ] {
        let found = executor.run_model(&model, std::slice::from_ref(&reference));
        let found = found.with_context(|| format!("{op}: {executor}"))?.pop().context("an output")?;
        for (name, (dtype, wanted)) in outputs.iter().zip(expected) {
            let found = &found[name.as_str()];
            ensure!(found.dtype() == *dtype, "{op}: {executor}: {name} is {}", found.dtype());
            let values = found.to_f64();
            ensure!(values.len() == wanted.len(), "{op}: {executor}: {name} has {} elements", values.len());
            for (found, wanted) in values.iter().zip(wanted) {
                let near = (found - wanted).abs() <= 2e-3 * (1.0 + wanted.abs());
                ensure!(near, "{op}: {executor}: {name} holds {found} but expected {wanted}");
            }
        }
    }
    Ok(())
}

#[test]
fn layer_normalization() -> Result<()> {
    let (row, plane) = (standardized(10), standardized(40));
    let scaled = |x: &[f64]| x.iter().map(|it| it * 0.5 + 0.25).collect::<Vec<f64>>();
    check(
        "LayerNormalization",
        &[],
        &[("s", &[10], 0.5), ("b", &[10], 0.25)],
        &[(DType::F16, scaled(&row))],
    )?;
    // Scale and bias of another rank than what is normalised.
    check(
        "LayerNormalization",
        &[("axis", 1)],
        &[("s", &[10], 0.5), ("b", &[10], 0.25)],
        &[(DType::F16, scaled(&plane))],
    )
}

#[test]
fn statistics_are_returned_in_the_type_that_is_asked_for() -> Result<()> {
    let x = operand();
    let statistic = |i: usize| x.chunks(10).map(|it| statistics(it)[i]).collect::<Vec<f64>>();
    let outputs = [(DType::F16, standardized(10)), (DType::F32, statistic(0)), (DType::F32, statistic(1))];
    check("LayerNormalization", &[], &[("s", &[10], 1.0)], &outputs)
}

#[test]
fn instance_and_group_normalization() -> Result<()> {
    let [one, zero]: [(&str, &[i64], f64); 2] = [("s", &[4], 1.0), ("b", &[4], 0.0)];
    check("InstanceNormalization", &[], &[one, zero], &[(DType::F16, standardized(10))])?;
    check("GroupNormalization", &[("num_groups", 2)], &[one, zero], &[(DType::F16, standardized(20))])
}

#[test]
fn root_mean_square_normalization() -> Result<()> {
    let x = operand();
    let rows = x.chunks(10).flat_map(|x| {
        let square = x.iter().map(|it| it * it).sum::<f64>() / x.len() as f64;
        x.iter().map(move |it| it / (square + 1e-5).sqrt())
    });
    check("RMSNormalization", &[], &[("s", &[10], 1.0)], &[(DType::F16, rows.collect())])
}

/// Lengths whose squares alone are no f16 values.
#[test]
fn lengths_of_vectors() -> Result<()> {
    let length = |x: &[f64]| x.iter().map(|it| it * it).sum::<f64>().sqrt();
    let x = operand();
    let rows: Vec<f64> = x.chunks(10).map(length).collect();
    check("GlobalLpPool", &[], &[], &[(DType::F16, rows.clone())])?;
    check("ReduceL2", &[], &[], &[(DType::F16, vec![length(&x)])])?;
    let scaled = x.chunks(10).zip(rows).flat_map(|(x, length)| x.iter().map(move |it| it / length));
    check("LpNormalization", &[], &[], &[(DType::F16, scaled.collect())])
}
