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

/// Whether a node can read the bits of one type as those of the other.
fn is_bit_cast(from: DType, to: DType) -> bool {
    let named = |it: DType| it.row().onnx.is_some() && it != DType::Str;
    named(from) && named(to) && from.width() == to.width()
}

/// A model that converts its input and a constant of the same values to every other type that is admitted.
fn casts(op: &str, x: &TensorData, admits: &dyn Fn(DType) -> bool) -> Result<Model> {
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
    for to in DType::ALL.into_iter().filter(|it| *it != from && admits(*it)) {
        for operand in ["x", "c"] {
            let result = format!("{operand}_{}", to.name());
            let mut node = plain_node("", op, &[operand], &[&result]);
            node.attribute.push(attribute::int("to", i64::from(number(to))));
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
        check_one(&x, &casts("Cast", &x, &is_cast)?, &same)?;
    }
    Ok(())
}

/// The model gives the same for its input as for its constant, and on every executor.
fn check_one(x: &TensorData, model: &Model, same: &dyn Fn(&TensorData, &TensorData) -> bool) -> Result<()> {
    let (from, count) = (x.dtype(), x.len());
    let inputs: Expected = [("x".to_owned(), x.clone())].into_iter().collect();
    let reference = Reference { name: from.name().to_owned(), inputs, outputs: Expected::new() };
    let mut first: Option<Expected> = None;
    for executor in [
        Executor::Reference(Way::Native, Step::Import),
        Executor::Jit(Way::Legacy),
        Executor::Jit(Way::Native),
    ] {
        let found = executor.run_model(model, std::slice::from_ref(&reference));
        let found = found.with_context(|| format!("{from}: {executor}"))?.pop().context("outputs")?;
        let expected = first.get_or_insert_with(|| found.clone());
        for (name, found) in &found {
            let computed = format!("x_{}", name.rsplit('_').next().unwrap_or_default());
            ensure!(found.len() == count, "{from}: {executor}: {name} has {} elements", found.len());
            ensure!(same(found, &expected[computed.as_str()]), "{from}: {executor}: {name} differs");
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

#[test]
fn bits_of_one_type_are_those_of_another() -> Result<()> {
    let exact = |a: &TensorData, b: &TensorData| a.content() == b.content();
    for from in DType::ALL.into_iter().filter(|it| *it != DType::C128 && is_bit_cast(*it, *it)) {
        let admits = |to: DType| is_bit_cast(from, to);
        for count in [1, 7, 150] {
            let x = operand(from, count);
            check_one(&x, &casts("BitCast", &x, &admits)?, &exact)?;
        }
    }
    Ok(())
}

#[test]
fn bits_of_another_width_are_refused() -> Result<()> {
    let x = operand(DType::F32, 2);
    let model = casts("BitCast", &x, &|to| to == DType::F64)?;
    let inputs: Expected = [("x".to_owned(), x)].into_iter().collect();
    let reference = Reference { name: "width".to_owned(), inputs, outputs: Expected::new() };
    let found = Executor::Jit(Way::Native).run_model(&model, &[reference]);
    let error = format!("{:?}", found.err().context("an error")?);
    ensure!(error.contains("elements of 32 bits (f32) are not those of 64 bits (f64)"), "{error}");
    Ok(())
}
