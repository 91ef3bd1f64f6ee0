//! Corners of operators: generated code on both paths against the reference of what nodes are made of.

mod protos;
mod single;

use anyhow::{Context, Result, ensure};
use orogen::{Model, Step};
use orogen_differential::{Executor, Expected, Reference, Way};
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;
use protos::{float, ints, model, number, plain_node, value};
use single::{attribute, check_node, check_outputs, constant, given, integers, numbers, text};

const FLOATS: [DType; 4] = [DType::F32, DType::F64, DType::F16, DType::BF16];

/// `y = Einsum(x)` where every dimension is known at run time alone.
fn open_einsum(equation: &str, x: &TensorData) -> Result<[Result<TensorData>; 2]> {
    let mut node = plain_node("", "Einsum", &["x"], &["y"]);
    node.attribute = vec![text("equation", equation)];
    let dims: Vec<i64> = x.dims().iter().map(|it| it.cast_signed()).collect();
    let mut declared = value("x", number(x.dtype()), &dims);
    let shape = declared.r#type.as_mut().and_then(|it| it.tensor_type.as_mut()?.shape.as_mut());
    for (i, dim) in shape.context("a tensor")?.dim.iter_mut().enumerate() {
        *dim = DimensionProto { dim_param: Some(format!("d{i}")), ..DimensionProto::default() };
    }
    let graph = GraphProto {
        node: vec![node],
        name: "g".into(),
        input: vec![declared],
        output: vec![ValueInfoProto { name: "y".into(), r#type: None }],
        ..GraphProto::default()
    };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, model("", graph).to_bytes())?;
    let model = Model::open(&file)?;
    let inputs = [("x".to_owned(), x.clone())].into_iter().collect();
    let reference = Reference { name: equation.to_owned(), inputs, outputs: Expected::new() };
    Ok([Executor::Reference(Way::Native, Step::Import), Executor::Jit(Way::Native)].map(|executor| {
        let mut found = executor.run_model(&model, std::slice::from_ref(&reference))?;
        found.pop().context("a call")?.get("y").cloned().context("an output")
    }))
}

#[test]
fn diagonals() -> Result<()> {
    // What lies beside a diagonal does not matter, whatever it is.
    let beside = [1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 5.0, f64::NAN, 7.0, 8.0, 9.0];
    let square = TensorData::from_f64(DType::F32, &[3, 3], beside);
    for (equation, expected) in [("ii->i", vec![1.0, 5.0, 9.0]), ("ii", vec![15.0])] {
        check_node("Einsum", vec![text("equation", equation)], &[given(square.clone())], 0.0)?;
        for found in open_einsum(equation, &square)? {
            ensure!(found?.to_f64() == expected, "{equation}");
        }
    }
    for equation in ["bii->bi", "iib->ib", "ibi->i", "iii->i", "ibib->bi"] {
        let rank = equation.find('-').context("an arrow")?;
        let x = numbers(DType::I64, &vec![3; rank]);
        check_node("Einsum", vec![text("equation", equation)], &[given(x.clone())], 0.0)?;
        let [a, b] = open_einsum(equation, &x)?;
        ensure!(a? == b?, "{equation}");
    }
    for found in open_einsum("ii->i", &numbers(DType::F32, &[0, 0]))? {
        ensure!(found?.is_empty());
    }
    for found in open_einsum("ii->i", &numbers(DType::F32, &[2, 3]))? {
        let error = format!("{:?}", found.err().context("the call is refused")?);
        ensure!(error.contains("share a label"), "{error}");
    }
    let wrong =
        check_node("Einsum", vec![text("equation", "ii->i")], &[given(numbers(DType::F32, &[2, 3]))], 0.0);
    let error = format!("{:?}", wrong.err().context("the model is refused")?);
    ensure!(error.contains("S001") && error.contains("share a label"), "{error}");
    Ok(())
}

#[test]
fn largest_elements_of_regions() -> Result<()> {
    // The image of each, and corners: inside, of one element, beyond the border, the other way round.
    let regions = [
        [0.0, 0.0, 0.0, 3.0, 5.0],
        [1.0, 1.5, 2.5, 4.0, 4.4],
        [1.0, 2.0, 2.0, 2.0, 2.0],
        [0.0, -3.0, 4.0, 1.0, 9.0],
        [0.0, 20.0, 20.0, 30.0, 30.0],
        [1.0, 4.0, 4.0, 1.0, 1.0],
    ];
    for dtype in FLOATS {
        let flat = regions.iter().flatten().copied();
        for scale in [1.0, 0.5] {
            let attributes = vec![ints("pooled_shape", &[2, 3]), float("spatial_scale", scale)];
            let regions = constant(TensorData::from_f64(dtype, &[6, 5], flat.clone()));
            check_node("MaxRoiPool", attributes, &[given(numbers(dtype, &[2, 2, 6, 5])), regions], 0.0)?;
        }
    }
    Ok(())
}

#[test]
fn operands_of_attention_differ_in_type() -> Result<()> {
    let heads = |dtype| given(numbers(dtype, &[1, 2, 3, 4]));
    for (of_values, of_mask) in [
        (DType::F32, DType::I8),
        (DType::F64, DType::F16),
        (DType::F16, DType::U64),
        (DType::BF16, DType::F64),
    ] {
        let operands =
            [heads(DType::F32), heads(DType::F32), heads(of_values), given(numbers(of_mask, &[3, 3]))];
        let attributes = vec![attribute("is_causal", 1)];
        check_outputs("Attention", &["y", "keys", "values"], attributes, &operands, 1e-5)?;
    }
    Ok(())
}

#[test]
fn functions_of_integers_are_cut_off() -> Result<()> {
    for dtype in [DType::I8, DType::U16, DType::I32, DType::U64] {
        check_node("Erf", Vec::new(), &[given(numbers(dtype, &[3, 5]))], 0.0)?;
        // The largest number of a window is 1, and not what is one rounding less.
        let window = vec![attribute("output_datatype", i64::from(number(dtype)))];
        check_node("BlackmanWindow", window, &[constant(TensorData::from_f64(DType::I64, &[], [8.0]))], 0.0)?;
    }
    Ok(())
}

#[test]
fn truth_values_meet() -> Result<()> {
    let bits = |dims: &[u64], list: &[u8]| TensorData::from_slice(DType::Bool, dims, list);
    for reduction in ["add", "mul", "max", "min"] {
        let x = given(bits(&[3, 2], &[0, 1, 1, 0, 0, 1]));
        let updates = given(bits(&[2, 2], &[1, 0, 0, 1]));
        let places = TensorData::from_slice(DType::I64, &[2, 1], &[1i64, 1]);
        check_node("ScatterND", vec![text("reduction", reduction)], &[x, given(places), updates], 0.0)?;
    }
    let columns = [
        given(bits(&[1, 4, 4], &[0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0])),
        constant(integers(&[3, 3])),
        constant(integers(&[2, 2])),
    ];
    check_node("Col2Im", Vec::new(), &columns, 0.0)
}

#[test]
fn one_number_is_its_largest() -> Result<()> {
    for (op, axis) in [("ArgMax", 0), ("ArgMin", -1)] {
        check_node(op, vec![attribute("axis", axis)], &[given(numbers(DType::F32, &[]))], 0.0)?;
    }
    let wrong = check_node("ArgMax", vec![attribute("axis", 1)], &[given(numbers(DType::F32, &[]))], 0.0);
    ensure!(format!("{:?}", wrong.err().context("the model is refused")?).contains("axis 1 is out of range"));
    Ok(())
}
