//! Floats of 8 and 4 bits, integers of 4 and 2: cast to and from, moved and kept as constants, on both paths, by the reference and by generated code.

mod protos;

use anyhow::{Context, Result, ensure};
use orogen::{Model, Step};
use orogen_differential::{Executor, Expected, Reference, Way};
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;
use protos::{int, ints, is_no_larger, model, number, plain_node, value};

/// A model of these nodes gives `y`, bit by bit, whatever computes it.
fn check(
    what: &str,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    x: &TensorData,
    y: &TensorData,
) -> Result<()> {
    let dims: Vec<i64> = x.dims().iter().map(|it| it.cast_signed()).collect();
    let graph = GraphProto {
        node: nodes,
        name: "g".into(),
        initializer: constants,
        input: vec![value("x", number(x.dtype()), &dims)],
        output: vec![ValueInfoProto { name: "y".into(), r#type: None }],
        ..GraphProto::default()
    };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, model("", graph).to_bytes())?;
    check_model(what, &Model::open(&file)?, x, y)
}

fn check_model(what: &str, model: &Model, x: &TensorData, y: &TensorData) -> Result<()> {
    let inputs: Expected = [("x".to_owned(), x.clone())].into_iter().collect();
    let reference = Reference { name: what.to_owned(), inputs, outputs: Expected::new() };
    for executor in [
        Executor::Reference(Way::Native, Step::Import),
        Executor::Reference(Way::Legacy, Step::Import),
        Executor::Reference(Way::Legacy, Step::PlanMemory),
        Executor::Jit(Way::Legacy),
        Executor::Jit(Way::Native),
    ] {
        let found = executor.run_model(model, std::slice::from_ref(&reference));
        let found = found.with_context(|| format!("{what}: {executor}"))?.pop().context("an output")?;
        let found = &found["y"];
        ensure!(
            found.dtype() == y.dtype() && found.dims() == y.dims(),
            "{what}: {executor}: {}",
            found.dtype()
        );
        for i in 0..y.len() {
            let same = found.bits(i) == y.bits(i)
                || y.dtype().is_float() && y.get_f64(i).is_nan() && found.get_f64(i).is_nan();
            ensure!(same, "{what}: {executor}: {} becomes {}", x.get_f64(i % x.len()), found.get_f64(i));
        }
    }
    Ok(())
}

/// Values in and beyond the range of each type, with what they become: saturated, and not.
const VALUES: [f64; 12] =
    [0.0, -0.0, 1.0, -1.3, 0.001, 300.0, 464.0, 470.0, -61_440.0, 1e9, f64::INFINITY, f64::NAN];

#[test]
fn casts_saturate_or_not_as_the_node_says() -> Result<()> {
    const NAN: f64 = f64::NAN;
    const INF: f64 = f64::INFINITY;
    for (dtype, saturated, beyond) in [
        (DType::F8E4M3FN, [288.0, 448.0, 448.0, -448.0, 448.0, 448.0], [288.0, 448.0, NAN, NAN, NAN, NAN]),
        (DType::F8E4M3FNUZ, [240.0, 240.0, 240.0, -240.0, 240.0, 240.0], [NAN; 6]),
        (
            DType::F8E5M2,
            [320.0, 448.0, 448.0, -57344.0, 57344.0, 57344.0],
            [320.0, 448.0, 448.0, -INF, INF, INF],
        ),
        (
            DType::F8E5M2FNUZ,
            [320.0, 448.0, 448.0, -57344.0, 57344.0, 57344.0],
            [320.0, 448.0, 448.0, NAN, NAN, NAN],
        ),
    ] {
        for (saturate, ends) in [(1, saturated), (0, beyond)] {
            let small = &VALUES[..5];
            let infinity = dtype.float_format().and_then(|it| it.infinity()).unwrap_or(0);
            let bits = small.iter().chain(&ends).chain(&[NAN]).map(|it| match it.is_infinite() {
                true => infinity as u8 | if *it < 0.0 { 0x80 } else { 0 },
                false => dtype.float_bits(*it) as u8,
            });
            let y = TensorData::from_unpacked(dtype, vec![12], bits.collect::<Vec<u8>>().into())?;
            for from in [DType::F32, DType::F64] {
                let mut cast = plain_node("", "Cast", &["x"], &["y"]);
                cast.attribute = vec![int("to", number(dtype).into()), int("saturate", saturate)];
                let x = TensorData::from_f64(from, &[12], VALUES);
                check(&format!("{from} to {dtype}, saturate {saturate}"), vec![cast], Vec::new(), &x, &y)?;
            }
        }
    }
    Ok(())
}

/// Powers of two have three roundings, no sign and no zero; what is not finite is NaN.
#[test]
fn powers_of_two_round_as_the_node_says() -> Result<()> {
    let dtype = DType::F8E8M0FNU;
    let (least, most) = (2f64.powi(-127), 2f64.powi(127));
    let values = [1.0, 1.25, 1.5, 1.75, -3.0, 0.0, least, 1.75 * most, 1.25 * most, f64::INFINITY, f64::NAN];
    let nan = f64::NAN;
    for (mode, saturate, wanted) in [
        ("up", 1, [1.0, 2.0, 2.0, 2.0, 4.0, least, least, most, most, nan, nan]),
        ("up", 0, [1.0, 2.0, 2.0, 2.0, 4.0, least, least, nan, nan, nan, nan]),
        ("down", 1, [1.0, 1.0, 1.0, 1.0, 2.0, least, least, most, most, nan, nan]),
        ("down", 0, [1.0, 1.0, 1.0, 1.0, 2.0, least, least, most, most, nan, nan]),
        ("nearest", 1, [1.0, 1.0, 2.0, 2.0, 4.0, least, least, most, most, nan, nan]),
        ("nearest", 0, [1.0, 1.0, 2.0, 2.0, 4.0, least, least, nan, most, nan, nan]),
        ("", 1, [1.0, 2.0, 2.0, 2.0, 4.0, least, least, most, most, nan, nan]),
    ] {
        let y = TensorData::from_f64(dtype, &[11], wanted);
        for from in [DType::F32, DType::F64, DType::BF16] {
            let mut cast = plain_node("", "Cast", &["x"], &["y"]);
            cast.attribute = vec![int("to", number(dtype).into()), int("saturate", saturate)];
            if !mode.is_empty() {
                cast.attribute.push(attribute::text("round_mode", mode));
            }
            let x = TensorData::from_f64(from, &[11], values);
            check(&format!("{from} {mode}, saturate {saturate}"), vec![cast], Vec::new(), &x, &y)?;
        }
    }
    Ok(())
}

#[test]
fn every_number_is_read_and_moved() -> Result<()> {
    for dtype in DType::ALL.into_iter().filter(|it| it.is_storage() && it.row().onnx.is_some()) {
        let canonical = |it: u8| {
            let low = it & (0xff >> (8 - dtype.width()));
            if dtype.is_float() { low } else { dtype.wrap(low.into()) as u8 }
        };
        let x = TensorData::from_unpacked(
            dtype,
            vec![16, 16],
            (0..=255).map(canonical).collect::<Vec<u8>>().into(),
        )?;
        let mut cast = plain_node("", "Cast", &["x"], &["y"]);
        cast.attribute = vec![int("to", number(DType::F32).into())];
        let wide = TensorData::from_f64(DType::F32, &[16, 16], x.to_f64());
        check(&format!("{dtype} to f32"), vec![cast], Vec::new(), &x, &wide)?;

        let turned: Vec<u8> = (0..256).map(|i| canonical((i % 16 * 16 + i / 16) as u8)).collect();
        let turned = TensorData::from_unpacked(dtype, vec![16, 16], turned.into())?;
        let transpose = plain_node("", "Transpose", &["x"], &["y"]);
        check(&format!("{dtype} transposed"), vec![transpose], Vec::new(), &x, &turned)?;
    }
    Ok(())
}

/// Types that files of ONNX cannot name come as text: every number is read from a constant and from the caller, cast, moved
/// and written again.
#[test]
fn types_without_a_number_of_onnx_come_as_text() -> Result<()> {
    let unnamed: Vec<DType> = DType::ALL.into_iter().filter(|it| it.row().onnx.is_none()).collect();
    assert_eq!(unnamed, [DType::F8E3M4, DType::F8E4M3, DType::F6E2M3FN, DType::F6E3M2FN]);
    for dtype in unnamed {
        // A sum with 0 may keep the sign of a negative 0 or not: it is left out.
        let (counts, sign) = (0xff >> (8 - dtype.width()), 1 << (dtype.width() - 1));
        let bits: Vec<u8> = (0..=255).map(|i: u8| if i & counts == sign { 0 } else { i & counts }).collect();
        let x = TensorData::from_unpacked(dtype, vec![16, 16], bits.clone().into())?;
        // Every finite number is text.
        let finite = x.to_f64().into_iter().filter(|it| it.is_finite()).map(|it| it.to_string());
        let finite: Vec<String> = finite.collect();
        let count = finite.len();
        let text = format!(
            "graph @g(%x: {dtype}[16, 16]) {{\n%c = const {dtype}[{count}] [{}]\n%0 = cast(%c) {{to = f32}}\n\
             %1 = reduce_sum(%0) {{axes = [0], keepdims = false}}\n%2 = transpose(%x) {{perm = [1, 0]}}\n\
             %3 = cast(%2) {{to = f32}}\n%4 = add(%3, %1)\n%5 = cast(%4) {{to = {dtype}}}\nreturn y = %5\n}}\n",
            finite.join(", ")
        );
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("model.graph");
        std::fs::write(&file, text)?;
        // The sum of them is 0.
        let turned: Vec<u8> = (0..256).map(|i| bits[i % 16 * 16 + i / 16]).collect();
        let turned = TensorData::from_unpacked(dtype, vec![16, 16], turned.into())?;
        check_model(&format!("{dtype} as text"), &Model::open(&file)?, &x, &turned)?;
    }
    Ok(())
}

#[test]
fn quantised_weights_are_narrow() -> Result<()> {
    let types = [DType::F8E4M3FN, DType::F8E5M2, DType::F4E2M1FN, DType::I4, DType::I2];
    let rows = [[1.0, -2.0, 0.5], [1.0, -2.0, 0.5], [1.0, -2.0, 0.5], [1.0, -2.0, 7.0], [1.0, -2.0, 0.0]];
    for (dtype, [a, b, c]) in types.into_iter().zip(rows) {
        let weights = TensorData::from_f64(dtype, &[3], [a, b, c]);
        let constant = |name: &str, data: &TensorData| TensorProto {
            name: name.into(),
            data_type: number(data.dtype()),
            dims: data.dims().iter().map(|it| it.cast_signed()).collect(),
            raw_data: Some(data.bytes().to_vec().into()),
            ..TensorProto::default()
        };
        let scale = TensorData::from_f64(DType::F32, &[], [0.25]);
        let nodes = vec![
            plain_node("", "DequantizeLinear", &["w", "s"], &["v"]),
            plain_node("", "Mul", &["x", "v"], &["y"]),
        ];
        let x = TensorData::from_f64(DType::F32, &[3], [1.0, 2.0, 3.0]);
        let y = TensorData::from_f64(DType::F32, &[3], [0.25 * a, 0.5 * b, 0.75 * c]);
        check(
            &format!("weights of {dtype}"),
            nodes,
            vec![constant("w", &weights), constant("s", &scale)],
            &x,
            &y,
        )?;
    }
    Ok(())
}

#[test]
fn quantisation_saturates_at_the_width() -> Result<()> {
    for (dtype, expected) in [
        (DType::I4, [0.0, 2.0, -8.0, 7.0]),
        (DType::U4, [0.0, 2.0, 0.0, 15.0]),
        (DType::I2, [0.0, 1.0, -2.0, 1.0]),
        (DType::F4E2M1FN, [0.0, 2.0, -6.0, 6.0]),
    ] {
        let scale = TensorData::from_f64(DType::F32, &[], [0.5]);
        let initializer = TensorProto {
            name: "s".into(),
            data_type: number(DType::F32),
            raw_data: Some(scale.bytes().to_vec().into()),
            ..TensorProto::default()
        };
        let mut node = plain_node("", "QuantizeLinear", &["x", "s"], &["y"]);
        node.attribute = vec![int("output_dtype", number(dtype).into())];
        let x = TensorData::from_f64(DType::F32, &[4], [0.0, 1.0, -40.0, 40.0]);
        let y = TensorData::from_f64(dtype, &[4], expected);
        check(&format!("quantised to {dtype}"), vec![node], vec![initializer], &x, &y)?;
    }
    Ok(())
}

/// Products and convolutions with weights of a few bits, beside floats and beside bytes: sums of small integers, which every
/// way computes exactly.
#[test]
fn products_take_weights_as_they_are() -> Result<()> {
    let constant = |name: &str, data: &TensorData| TensorProto {
        name: name.into(),
        data_type: number(data.dtype()),
        dims: data.dims().iter().map(|it| it.cast_signed()).collect(),
        raw_data: Some(data.bytes().to_vec().into()),
        ..TensorProto::default()
    };
    let number = |i: u64, least: i64, count: u64| least + (i * 37 % count).cast_signed();
    for (dtype, least, count) in
        [(DType::I4, -8, 16), (DType::U4, 0, 16), (DType::I2, -2, 4), (DType::U2, 0, 4)]
    {
        let (m, k) = (19u64, 23u64);
        let w: Vec<i64> = (0..m * k).map(|i| number(i, least, count)).collect();
        let x: Vec<i64> = (0..k).map(|i| number(i, -5, 11)).collect();
        let sums = |w: &dyn Fn(u64, u64) -> i64| {
            let sum = |r: u64| (0..k).map(|c| w(r, c) * x[c as usize]).sum::<i64>();
            (0..m).map(|r| sum(r) as f64 / 4.0).collect::<Vec<f64>>()
        };
        let (by_row, by_column) =
            (sums(&|r, c| w[(r * k + c) as usize]), sums(&|r, c| w[(c * m + r) as usize]));
        let numbers = |dims: &[u64], values: &[i64], dtype: DType| {
            TensorData::from_f64(dtype, dims, values.iter().map(|it| *it as f64))
        };
        let scales = [("s", 0.25), ("one", 1.0)]
            .map(|(name, it)| constant(name, &TensorData::from_f64(DType::F32, &[], [it])));
        let zero = constant("five", &TensorData::from_f64(DType::U8, &[], [5.0]));
        let dequantized = plain_node("", "DequantizeLinear", &["w", "s"], &["v"]);
        let quantized = [
            plain_node("", "QuantizeLinear", &["x", "one", "five"], &["q"]),
            plain_node("", "DequantizeLinear", &["q", "one", "five"], &["f"]),
        ];
        for (op, left, of_weights, of_x, of_y, expected) in [
            ("MatMul", true, vec![m, k], vec![k, 1], vec![m, 1], &by_row),
            ("MatMul", false, vec![k, m], vec![1, k], vec![1, m], &by_column),
            ("MatMul", false, vec![1, k, m], vec![1, 1, k], vec![1, 1, m], &by_column),
            ("Conv", false, vec![m, k, 1, 1], vec![1, k, 1, 1], vec![1, m, 1, 1], &by_row),
        ] {
            for bytes in [false, true] {
                let from = if bytes { "f" } else { "x" };
                let operands = if left { ["v", from] } else { [from, "v"] };
                let mut nodes = vec![dequantized.clone()];
                nodes.extend(quantized.iter().filter(|_| bytes).cloned());
                nodes.push(plain_node("", op, &operands, &["y"]));
                let mut constants = vec![constant("w", &numbers(&of_weights, &w, dtype)), zero.clone()];
                constants.extend(scales.clone());
                check(
                    &format!("{op} with weights {of_weights:?} of {dtype}, bytes {bytes}"),
                    nodes,
                    constants,
                    &numbers(&of_x, &x, DType::F32),
                    &TensorData::from_f64(DType::F32, &of_y, expected.iter().copied()),
                )?;
            }
        }
    }
    Ok(())
}

/// A library is no larger than the model and a tenth of it, whatever its weights are multiplied with: what products do not
/// read as it is becomes bytes in the call.
#[test]
fn libraries_are_no_larger_than_their_models() -> Result<()> {
    // The bits do not matter to what they are packed to.
    let constant = |name: &str, dtype: DType, dims: &[i64]| {
        let count = dims.iter().product::<i64>().unsigned_abs() as usize;
        let data = TensorData::from_f64(dtype, &[count as u64], (0..count).map(|i| (i * 7 % 4) as f64));
        TensorProto {
            name: name.into(),
            data_type: dtype.row().onnx.unwrap_or_default(),
            dims: dims.to_vec(),
            raw_data: Some(data.bytes().to_vec().into()),
            ..TensorProto::default()
        }
    };
    let (i4, u4, u2, i8, f32) = (DType::I4, DType::U4, DType::U2, DType::I8, DType::F32);
    let product = (vec![1200, 1024], vec![5, 1200], vec![5, 1024]);
    let depthwise = (vec![32_768, 1, 5, 5], vec![1, 32_768, 3, 3], vec![1, 32_768, 3, 3]);
    let images = (vec![512, 512, 3, 3], vec![1, 512, 3, 3], vec![1, 512, 3, 3]);
    for (op, dtype, block, zero, bytes, (of_w, of_x, of_y)) in [
        ("MatMul", i4, 100, false, false, &product),
        ("MatMul", i4, 30, false, false, &product),
        ("MatMul", u4, 6, true, false, &product),
        ("MatMul", i8, 5, true, false, &product),
        ("MatMul", u2, 30, false, false, &product),
        ("MatMul", u2, 0, true, true, &product),
        ("Conv", i4, 0, false, false, &depthwise),
        ("Conv", u4, 0, true, false, &depthwise),
        ("Conv", i4, 0, false, true, &depthwise),
        ("Conv", u2, 0, true, true, &depthwise),
        ("Conv", u2, 0, false, true, &images),
        ("Conv", u4, 0, true, true, &images),
    ] {
        let what = format!("{op} {dtype}, blocks of {block}, zero {zero}, bytes {bytes}");
        let axis = if op == "MatMul" { usize::from(block == 0) } else { 0 };
        let of_scale = match block {
            0 => vec![of_w[axis]],
            block => vec![(of_w[0] + block - 1) / block, of_w[1]],
        };
        let mut constants = vec![constant("w", dtype, of_w), constant("s", f32, &of_scale)];
        let mut operands = vec!["w", "s"];
        if zero {
            constants.push(constant("z", dtype, &of_scale));
            operands.push("z");
        }
        let mut dequantized = plain_node("", "DequantizeLinear", &operands, &["v"]);
        dequantized.attribute = vec![int("axis", axis as i64), int("block_size", block)];
        let mut nodes = vec![dequantized];
        if bytes {
            constants.push(constant("one", f32, &[]));
            nodes.push(plain_node("", "DequantizeLinear", &["x", "one"], &["f"]));
        }
        let mut last = plain_node("", op, &[if bytes { "f" } else { "x" }, "v"], &["y"]);
        if op == "Conv" {
            let reach = of_w[2] / 2;
            last.attribute = vec![int("group", of_x[1] / of_w[1]), ints("pads", &[reach; 4])];
        }
        nodes.push(last);
        let of_input = if bytes { DType::U8 } else { f32 };
        let graph = GraphProto {
            node: nodes,
            name: "g".into(),
            initializer: constants,
            input: vec![value("x", of_input.row().onnx.unwrap_or_default(), of_x)],
            output: vec![value("y", f32.row().onnx.unwrap_or_default(), of_y)],
            ..GraphProto::default()
        };
        is_no_larger(&what, &model("", graph))?;
    }
    Ok(())
}
