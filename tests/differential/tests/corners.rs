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

/// What names no image and no element is an error of the call, which says where.
#[test]
fn regions_and_places_are_checked() -> Result<()> {
    for owner in [f64::NAN, -1.0, 2.0, f64::INFINITY] {
        let region = TensorData::from_f64(DType::F32, &[1, 5], [owner, 0.0, 0.0, 1.0, 1.0]);
        let operands = [given(numbers(DType::F32, &[2, 1, 3, 3])), given(region)];
        let found = check_node("MaxRoiPool", vec![ints("pooled_shape", &[1, 1])], &operands, 0.0);
        let error = format!("{:?}", found.err().context("an error")?);
        ensure!(error.contains("is out of range"), "{owner}: {error}");
    }
    for place in [-1, 16, i64::MIN] {
        let places = TensorData::from_slice(DType::I64, &[1, 1, 1, 2], &[3, place]);
        let operands = [given(numbers(DType::F32, &[1, 1, 1, 2])), given(places)];
        let window = vec![ints("kernel_shape", &[1, 2]), ints("strides", &[1, 8])];
        let found = check_node("MaxUnpool", window, &operands, 0.0);
        let error = format!("{:?}", found.err().context("an error")?);
        ensure!(error.contains("out of range"), "{place}: {error}");
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

#[test]
fn integers_are_quantised_and_floats_multiplied() -> Result<()> {
    let one = |dtype, number: f64| constant(TensorData::from_f64(dtype, &[], [number]));
    let operands = [given(numbers(DType::I32, &[3, 4])), one(DType::I32, 2.0), one(DType::U8, 3.0)];
    check_node("QuantizeLinear", Vec::new(), &operands, 0.0)?;
    let (low, high) = (DType::F8E4M3FN, DType::F8E5M2);
    for (a, b, y) in [(low, high, DType::U8), (DType::I8, low, high), (DType::U8, DType::I8, low)] {
        let operand =
            |dtype, dims: &[u64]| [given(numbers(dtype, dims)), one(DType::F32, 0.5), one(dtype, 0.0)];
        let mut operands: Vec<_> = operand(a, &[3, 4]).into_iter().chain(operand(b, &[4, 2])).collect();
        operands.extend([one(DType::F32, 0.25), one(y, 0.0)]);
        check_node("QLinearMatMul", Vec::new(), &operands, 0.0)?;
    }
    Ok(())
}

#[test]
fn other_domains() -> Result<()> {
    let check = |op: &str, attributes, operands: &[_], allowed| {
        check_outputs(&format!("com.microsoft::{op}"), &["y"], attributes, operands, allowed)
    };
    let matrix = |rows| given(numbers(DType::F32, &[rows, 4]));
    check("CDist", vec![text("metric", "euclidean")], &[matrix(3), matrix(5)], 1e-6)?;
    check("ExpandDims", Vec::new(), &[matrix(3), constant(integers(&[1]))], 0.0)?;
    check(
        "GatherND",
        Vec::new(),
        &[matrix(3), given(TensorData::from_f64(DType::I32, &[2, 1], [2.0, -1.0]))],
        0.0,
    )?;
    check("Pad", vec![text("mode", "edge")], &[matrix(3), constant(integers(&[0, 1, 2, 0]))], 0.0)?;
    let tokens = TensorData::from_f64(
        DType::I64,
        &[2, 9],
        [1, 2, 3, 1, 2, 0, 0, 1, 2, 3, 3, 3, 0, 1, 3, 3, 1, 3].map(f64::from),
    );
    for length in [1, 2, 3, 12] {
        let operands = [given(tokens.clone()), given(numbers(DType::F32, &[2, 4]))];
        check("NGramRepeatBlock", vec![attribute("ngram_size", length)], &operands, 0.0)?;
    }
    for mode in ["bilinear", "nearest"] {
        let regions = TensorData::from_f64(DType::F32, &[2, 4], [0.1, 0.2, 0.8, 0.9, -0.3, 0.0, 1.2, 1.0]);
        let operands = [
            given(numbers(DType::F32, &[2, 3, 5, 6])),
            given(regions),
            given(TensorData::from_f64(DType::I32, &[2], [1.0, 0.0])),
            constant(integers(&[3, 4])),
        ];
        check("CropAndResize", vec![text("mode", mode), float("extrapolation_value", 7.0)], &operands, 1e-5)?;
    }
    for (bits, bytes) in [(2, 8), (4, 16), (8, 32)] {
        let bytes_of =
            |count: u64| TensorData::from_f64(DType::U8, &[count], (0..count).map(|i| (i * 91 % 256) as f64));
        let blocks = (0..32).map(|i| f64::from(i * 5 % 2));
        let operands = [
            given(numbers(DType::F32, &[3, 32])),
            constant(bytes_of(5 * bytes)),
            constant(TensorData::from_f64(DType::F32, &[10], (0..10).map(|i| f64::from(i) / 8.0))),
            constant(bytes_of(5 * (2_u64 * bits).div_ceil(8))),
            constant(TensorData::from_f64(DType::I32, &[32], blocks)),
        ];
        let attributes = vec![
            attribute("K", 32),
            attribute("N", 5),
            attribute("block_size", 16),
            attribute("bits", bits.cast_signed()),
        ];
        check("MatMulNBits", attributes, &operands, 1e-5)?;
    }
    Ok(())
}

#[test]
fn what_is_left_open_is_decided() -> Result<()> {
    let i32s = |list: &[i32]| TensorData::from_slice(DType::I32, &[list.len() as u64], list);
    let f32s = |list: &[f32]| TensorData::from_slice(DType::F32, &[list.len() as u64], list);
    let (x, y) = (i32s(&[5, -5, 0, i32::MIN, 7, i32::MIN]), i32s(&[0, 0, 0, -1, -1, 2]));
    for fmod in [0, 1] {
        check_node("Mod", vec![attribute("fmod", fmod)], &[given(x.clone()), given(y.clone())], 0.0)?;
    }
    check_node("Div", Vec::new(), &[given(x.clone()), given(y.clone())], 0.0)?;
    check_node(
        "Pow",
        Vec::new(),
        &[given(i32s(&[2, 1, -1, 0, 3, -3])), given(i32s(&[-1, -1, -3, -1, 40, 3]))],
        0.0,
    )?;
    check_node("Abs", Vec::new(), &[given(x)], 0.0)?;
    let wide = TensorData::from_slice(DType::U8, &[4], &[8u8, 9, 200, 7]);
    for direction in ["LEFT", "RIGHT"] {
        let ones = given(TensorData::from_slice(DType::U8, &[4], &[255u8, 255, 255, 255]));
        check_node("BitShift", vec![text("direction", direction)], &[ones, given(wide.clone())], 0.0)?;
    }
    let row = f32s(&[1.0, f32::NAN, 3.0, f32::NAN, -1.0]);
    for op in ["ReduceMax", "ReduceMin", "ArgMax", "ArgMin"] {
        check_node(op, vec![attribute("keepdims", 0)], &[given(row.clone())], 0.0)?;
    }
    check_outputs("TopK", &["y", "places"], Vec::new(), &[given(row), constant(integers(&[3]))], 0.0)?;
    for op in ["ReduceMax", "ReduceMin", "ReduceSum", "ReduceProd", "ReduceMean"] {
        check_node(op, vec![attribute("keepdims", 0)], &[given(f32s(&[]))], 0.0)?;
    }
    let places = TensorData::from_slice(DType::I64, &[3], &[1i64, 1, 1]);
    check_node(
        "ScatterElements",
        Vec::new(),
        &[given(f32s(&[0.0; 3])), given(places), given(f32s(&[1.0, 2.0, 3.0]))],
        0.0,
    )
}

#[test]
fn recurrent_layers_without_a_step() -> Result<()> {
    for (op, gates, outputs) in [("RNN", 1, 2), ("GRU", 3, 2), ("LSTM", 4, 3)] {
        let mut operands = vec![
            given(numbers(DType::F32, &[0, 2, 3])),
            constant(numbers(DType::F32, &[1, gates * 4, 3])),
            constant(numbers(DType::F32, &[1, gates * 4, 4])),
            constant(numbers(DType::F32, &[1, gates * 8])),
            constant(TensorData::from_f64(DType::I32, &[2], [0.0, 0.0])),
        ];
        operands.push(given(numbers(DType::F32, &[1, 2, 4])));
        let outputs = &["y", "h", "c"][..outputs];
        check_outputs(op, outputs, vec![attribute("hidden_size", 4)], &operands, 0.0)?;
    }
    Ok(())
}

#[test]
fn integer_layers_of_sequences_that_differ_in_length() -> Result<()> {
    for direction in ["forward", "reverse", "bidirectional"] {
        let d = if direction == "bidirectional" { 2 } else { 1 };
        let one = |dtype, number: f64| constant(TensorData::from_f64(dtype, &[d], vec![number; d as usize]));
        let operands = [
            given(numbers(DType::F32, &[4, 3, 3])),
            constant(numbers(DType::I8, &[d, 3, 20])),
            constant(numbers(DType::I8, &[d, 5, 20])),
            constant(numbers(DType::F32, &[d, 40])),
            given(TensorData::from_f64(DType::I32, &[3], [2.0, 4.0, 0.0])),
            given(numbers(DType::F32, &[d, 3, 5])),
            given(numbers(DType::F32, &[d, 3, 5])),
            constant(numbers(DType::F32, &[d, 15])),
            one(DType::F32, 0.02),
            one(DType::I8, 1.0),
            one(DType::F32, 0.03),
            one(DType::I8, 0.0),
        ];
        let attributes = vec![attribute("hidden_size", 5), text("direction", direction)];
        check_outputs("com.microsoft::DynamicQuantizeLSTM", &["y", "h", "c"], attributes, &operands, 2e-2)?;
    }
    Ok(())
}

#[test]
fn experts() -> Result<()> {
    let scores =
        || given(TensorData::from_f64(DType::F32, &[5, 4], (0..20).map(|i| f64::from(i * 7 % 20) / 8.0)));
    let small = |dims: &[u64]| {
        let count = dims.iter().product::<u64>();
        TensorData::from_f64(DType::F32, dims, (0..count).map(|i| ((i * 29 + 5) % 57) as f64 / 40.0 - 0.7))
    };
    for (activation, fusion, width) in
        [("relu", 0, 16), ("gelu", 0, 16), ("silu", 0, 16), ("swiglu", 1, 32), ("swiglu", 2, 32)]
    {
        let mut attributes = vec![attribute("k", 2), text("activation_type", activation)];
        attributes.extend([attribute("normalize_routing_weights", 1), attribute("swiglu_fusion", fusion)]);
        let operands = [
            given(small(&[5, 8])),
            scores(),
            constant(small(&[4, width, 8])),
            constant(small(&[4, width])),
            constant(small(&[4, 8, 16])),
            constant(small(&[4, 8])),
        ];
        check_outputs("com.microsoft::MoE", &["y"], attributes, &operands, 1e-5)?;
    }
    for (bits, block, blocks) in [(4, 0, 1), (8, 0, 1), (4, 16, 2)] {
        let bytes = |dims: &[u64]| {
            let count = dims.iter().product::<u64>();
            constant(TensorData::from_f64(DType::U8, dims, (0..count).map(|i| (i * 91 % 256) as f64)))
        };
        let scales = |rows: u64| match block {
            0 => constant(TensorData::from_f64(DType::F32, &[4, rows], vec![0.02; 4 * rows as usize])),
            _ => constant(TensorData::from_f64(
                DType::F32,
                &[4, rows, blocks],
                vec![0.02; (4 * rows * blocks) as usize],
            )),
        };
        let packed = 32 * bits / 8;
        let operands = [
            given(small(&[5, 32])),
            scores(),
            bytes(&[4, 32, packed]),
            scales(32),
            constant(small(&[4, 32])),
            bytes(&[4, 32, packed]),
            scales(32),
        ];
        let mut attributes = vec![attribute("k", 2), attribute("expert_weight_bits", bits.cast_signed())];
        attributes.push(attribute("block_size", block));
        check_outputs("com.microsoft::QMoE", &["y"], attributes, &operands, 1e-5)?;
    }
    Ok(())
}
