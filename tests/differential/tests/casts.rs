//! Conversions between all types are one definition: what is folded when a model is compiled is what its code computes,
//! on both paths, for short and long tensors, for values out of range and NaN.

mod protos;

use anyhow::{Context, Result, ensure};
use orogen::{Model, Step};
use orogen_differential::{Executor, Expected, Reference, Way};
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;
use protos::{model, number, plain_node, value};

/// Values around the ends of all types, `count` of them.
fn operand(dtype: DType, count: usize) -> TensorData {
    let mut values = vec![f64::NAN, 1e30, f64::NEG_INFINITY, f64::INFINITY, -1e30, -1e9, 1e9, 65_519.999_999];
    values.extend([0.0, -0.0, 0.4, -0.6, 1.5, 2.5, -1.0, 3.5e38, 1e-5, 6e-8, -1e-40, 5e-324]);
    for bits in [7, 8, 11, 15, 16, 24, 31, 32, 53, 63, 64] {
        let end = 2f64.powi(bits);
        values.extend([end - 1.0, end - 0.5, end, end + 1.0, end * 1.5, end * (1.0 + 2f64.powi(-11))]);
        values.extend([-end, -end - 1.0, -end * 1.01]);
    }
    TensorData::from_f64(dtype, &[count as u64], values.into_iter().cycle().take(count))
}

/// Whether a node can name the type, and cast to it and from it.
fn is_cast(dtype: DType) -> bool {
    dtype.row().onnx.is_some() && !dtype.is_only_moved()
}

/// A model that casts its input and a constant of the same values to every other type.
fn casts(x: &TensorData) -> Result<Model> {
    let from = x.dtype();
    let mut graph = GraphProto { name: "g".into(), ..GraphProto::default() };
    graph.input.push(value("x", number(from), &[x.len() as i64]));
    graph.initializer.push(TensorProto {
        name: "c".into(),
        dims: vec![x.len() as i64],
        data_type: number(from),
        raw_data: Some(x.bytes().to_vec().into()),
        ..TensorProto::default()
    });
    for to in DType::ALL.into_iter().filter(|it| *it != from && is_cast(*it)) {
        for operand in ["x", "c"] {
            let result = format!("{operand}_{}", to.name());
            let mut node = plain_node("", "Cast", &[operand], &[&result]);
            node.attribute.push(AttributeProto {
                name: "to".into(),
                i: i64::from(number(to)),
                kind: attribute_type::INT,
                ..AttributeProto::default()
            });
            graph.node.push(node);
            graph.output.push(ValueInfoProto { name: result, r#type: None });
        }
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, model("", graph).to_bytes())?;
    Ok(Model::open(&file)?)
}

fn same(a: &TensorData, b: &TensorData) -> bool {
    let nan = |it: &TensorData, i: usize| it.dtype().is_float() && it.get_f64(i).is_nan();
    (0..a.len()).all(|i| a.bits(i) == b.bits(i) || nan(a, i) && nan(b, i))
}

fn check(count: usize) -> Result<()> {
    for from in DType::ALL.into_iter().filter(|it| is_cast(*it)) {
        let x = operand(from, count);
        let model = casts(&x)?;
        let inputs: Expected = [("x".to_owned(), x.clone())].into_iter().collect();
        let reference = Reference { name: from.name().to_owned(), inputs, outputs: Expected::new() };
        let mut first: Option<Expected> = None;
        for executor in [
            Executor::Reference(Way::Native, Step::Import),
            Executor::Jit(Way::Legacy),
            Executor::Jit(Way::Native),
        ] {
            let found = executor.run_model(&model, std::slice::from_ref(&reference));
            let found = found.with_context(|| format!("{from}: {executor}"))?.pop().context("outputs")?;
            let expected = first.get_or_insert_with(|| found.clone());
            for (name, found) in &found {
                let computed = format!("x_{}", name.rsplit('_').next().unwrap_or_default());
                ensure!(found.len() == count, "{from}: {executor}: {name} has {} elements", found.len());
                ensure!(same(found, &expected[computed.as_str()]), "{from}: {executor}: {name} differs");
            }
        }
    }
    Ok(())
}

#[test]
fn one_element() -> Result<()> {
    check(1)
}

#[test]
fn part_of_a_vector() -> Result<()> {
    check(7)
}

#[test]
fn vectors_and_a_rest() -> Result<()> {
    check(150)
}
