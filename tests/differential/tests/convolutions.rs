//! Convolutions, transposed ones and pools over one to four axes in every element type, on both paths, by the reference and
//! by generated code: the same bits, because every sum of these values is exact.

mod protos;

use anyhow::{Context, Result, ensure};
use orogen::{Model, Step};
use orogen_differential::{Executor, Expected, Reference, Way};
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;
use protos::{data_for, ints, model, number, plain_node, value};

fn node(op: &str, inputs: &[&str], group: i64, attributes: &[(&str, &[i64])]) -> NodeProto {
    let mut node = plain_node("", op, inputs, &["y"]);
    node.attribute = attributes.iter().map(|(name, list)| ints(name, list)).collect();
    if op.starts_with("Conv") {
        node.attribute.push(attribute::int("group", group));
    }
    node
}

/// Numbers of both signs, which the sums of all types hold exactly.
fn image(dtype: DType, dims: &[i64]) -> TensorData {
    let dims: Vec<u64> = dims.iter().map(|it| it.unsigned_abs()).collect();
    let count = dims.iter().product::<u64>();
    TensorData::from_f64(dtype, &dims, (0..count).map(|i| ((i * 37 + 11) % 17) as f64 - 8.0))
}

/// `y` of a node over `x`, and over the others as constants or, when they are `given`, as inputs too. All executors give
/// what the reference of the imported model gives.
fn check(node: NodeProto, x: &TensorData, others: &[(&str, TensorData)], given: bool) -> Result<()> {
    let what = format!("{} {} {:?} {:?} {:?}", node.op_type, x.dtype(), x.dims(), node.attribute, given);
    let dims = |data: &TensorData| data.dims().iter().map(|it| it.cast_signed()).collect::<Vec<i64>>();
    let constant = |(name, data): &(&str, TensorData)| TensorProto {
        name: (*name).into(),
        data_type: number(data.dtype()),
        dims: dims(data),
        raw_data: Some(data.bytes().to_vec().into()),
        ..TensorProto::default()
    };
    let mut inputs = vec![("x", x.clone())];
    inputs.extend(others.iter().filter(|_| given).cloned());
    let onnx = number(x.dtype());
    let graph = GraphProto {
        node: vec![node],
        name: "g".into(),
        initializer: if given { Vec::new() } else { others.iter().map(constant).collect() },
        input: inputs.iter().map(|(name, data)| value(name, onnx, &dims(data))).collect(),
        output: vec![ValueInfoProto { name: "y".into(), r#type: None }],
        ..GraphProto::default()
    };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, model("", graph).to_bytes())?;
    let model = Model::open(&file)?;
    let inputs: Expected = inputs.into_iter().map(|(name, data)| (name.to_owned(), data)).collect();
    let reference = Reference { name: what.clone(), inputs, outputs: Expected::new() };
    let run = |executor: Executor| -> Result<TensorData> {
        let found = executor.run_model(&model, std::slice::from_ref(&reference));
        let found = found.with_context(|| format!("{what}: {executor}"))?.pop().context("an output")?;
        Ok(found["y"].clone())
    };
    let expected = run(Executor::Reference(Way::Legacy, Step::Import))?;
    for executor in [
        Executor::Reference(Way::Legacy, Step::PlanMemory),
        Executor::Jit(Way::Legacy),
        Executor::Jit(Way::Native),
    ] {
        let found = run(executor)?;
        ensure!(found.dims() == expected.dims(), "{what}: {executor}: {:?}", found.dims());
        for i in 0..expected.len() {
            let same = found.bits(i) == expected.bits(i)
                || found.get_f64(i) == expected.get_f64(i)
                || found.get_f64(i).is_nan() && expected.get_f64(i).is_nan();
            let [found, expected] = [&found, &expected].map(|it| it.get_f64(i));
            ensure!(same, "{what}: {executor}: element {i} is {found}, not {expected}");
        }
    }
    Ok(())
}

/// The extents of an image of so many axes.
const EXTENTS: [i64; 4] = [3, 4, 5, 18];

#[test]
fn convolutions_and_pools_over_any_axes() -> Result<()> {
    let types = [DType::F32, DType::F64, DType::F16, DType::BF16, DType::I64, DType::I32];
    for rank in 1..=4 {
        let extents = &EXTENTS[4 - rank..];
        let of = |list: [i64; 4]| list[4 - rank..].to_vec();
        let (kernel, strides, dilations) = (of([2, 1, 3, 3]), of([1, 2, 1, 2]), of([1, 1, 2, 1]));
        let pads = [of([1, 0, 1, 1]), of([0, 0, 2, 1])].concat();
        for (i, dtype) in types.into_iter().enumerate() {
            let slides = [
                ("kernel_shape", &kernel[..]),
                ("strides", &strides[..]),
                ("dilations", &dilations[..]),
                ("pads", &pads[..]),
            ];
            // Both with constants and with inputs, in turn.
            let given = (i + rank) % 2 == 0;
            for (group, channels, weights) in [(2, 4, [6, 2]), (3, 3, [3, 1])] {
                let x = image(dtype, &[&[2, channels], extents].concat());
                let w = data_for(dtype, &[&weights[..], &kernel].concat());
                let b = data_for(dtype, &[weights[0]]);
                let node = node("Conv", &["x", "w", "b"], group, &slides);
                check(node, &x, &[("w", w), ("b", b)], given)?;
            }
            if dtype.is_float() {
                let x = image(dtype, &[&[2, 3], extents].concat());
                check(node("MaxPool", &["x"], 1, &slides), &x, &[], false)?;
                // Means of so many elements are exact.
                let slides = [("kernel_shape", &of([2, 1, 2, 4])[..]), ("strides", &strides[..])];
                check(node("AveragePool", &["x"], 1, &slides), &x, &[], false)?;
            }
        }
    }
    Ok(())
}

/// Padding is zeros that weights are multiplied by: an infinite one makes NaN there and nowhere else, whatever the kernel.
#[test]
fn infinite_weights_meet_padding() -> Result<()> {
    for (group, c, m, kernel, stride) in [
        (1, 3, 5, 3, 1),
        (1, 3, 5, 3, 2),
        (1, 16, 16, 3, 1),
        (8, 1, 1, 3, 1),
        (8, 1, 1, 5, 2),
        (2, 2, 3, 3, 1),
    ] {
        let dims = [group * m, c, kernel, kernel];
        let count = dims.iter().product::<i64>();
        let weights = (0..count).map(|i| if i % 29 == 7 { f64::INFINITY } else { (i % 5) as f64 - 2.0 });
        let dims = dims.map(i64::unsigned_abs);
        let w = TensorData::from_f64(DType::F32, &dims, weights);
        let x = image(DType::F32, &[1, group * c, 9, 19]);
        let b = data_for(DType::F32, &[group * m]);
        let slides = [("pads", &[1, 2, 1, 0][..]), ("strides", &[stride, stride][..])];
        for given in [false, true] {
            let node = node("Conv", &["x", "w", "b"], group, &slides);
            check(node, &x, &[("w", w.clone()), ("b", b.clone())], given)?;
        }
    }
    Ok(())
}

/// Integers to the ends of a type, many of them the least one.
fn integers_of_all_bits(dtype: DType, dims: &[i64]) -> TensorData {
    let dims: Vec<u64> = dims.iter().map(|it| it.unsigned_abs()).collect();
    let count = dims.iter().product::<u64>();
    let (bits, least) = (dtype.width() as i32, if dtype.is_signed_int() { -0.5 } else { 0.0 });
    let number = |i: u64| if i.is_multiple_of(3) { 0.0 } else { (i * 40_503 % 65_536) as f64 / 65_536.0 };
    let values = (0..count).map(|i| ((number(i) + least) * 2f64.powi(bits)).floor());
    TensorData::from_f64(dtype, &dims, values)
}

/// Sums of narrow integers in their own type wrap, whatever the order and the width that they are added in.
#[test]
fn narrow_sums_wrap() -> Result<()> {
    for dtype in [DType::I8, DType::U8, DType::I16, DType::U16] {
        for given in [false, true] {
            for (group, c, m, kernel) in [(1, 5, 7, 3), (2, 4, 3, 2), (1, 6, 3, 1), (4, 1, 1, 3)] {
                let x = integers_of_all_bits(dtype, &[2, group * c, 7, 19]);
                let w = integers_of_all_bits(dtype, &[group * m, c, kernel, kernel]);
                let b = integers_of_all_bits(dtype, &[group * m]);
                let slides = [("pads", &[1, 0, 1, 1][..]), ("strides", &[1, 2][..])];
                let node = node("Conv", &["x", "w", "b"], group, &slides);
                check(node, &x, &[("w", w), ("b", b)], given)?;
            }
            let x = integers_of_all_bits(dtype, &[2, 3, 4, 9]);
            let w = integers_of_all_bits(dtype, &[3, 5, 4, 4]);
            let slides = [("strides", &[2, 2][..]), ("pads", &[1, 1, 1, 1][..])];
            check(node("ConvTranspose", &["x", "w"], 1, &slides), &x, &[("w", w)], given)?;
            for [m, k, n] in [[17, 37, 21], [1, 64, 33], [5, 1, 3]] {
                let (x, w) = (integers_of_all_bits(dtype, &[m, k]), integers_of_all_bits(dtype, &[k, n]));
                let product = NodeProto { attribute: Vec::new(), ..node("MatMul", &["x", "w"], 1, &[]) };
                check(product, &x, &[("w", w)], given)?;
            }
        }
    }
    Ok(())
}

/// Extents of the taps against strides, one and several phases of each kind, padding of both ends, groups.
#[test]
fn transposed_convolutions_by_phases() -> Result<()> {
    let cases: [(&[i64], &[i64], &[i64], &[i64], &[i64]); 18] = [
        // kernel, strides, pads, output padding, dilations
        (&[2, 2], &[2, 2], &[0, 0, 0, 0], &[0, 0], &[1, 1]),
        (&[3, 2], &[3, 2], &[0, 0, 0, 0], &[0, 0], &[1, 1]),
        (&[4, 4], &[2, 2], &[1, 1, 1, 1], &[0, 0], &[1, 1]),
        (&[3, 3], &[2, 2], &[1, 1, 1, 1], &[1, 1], &[1, 1]),
        (&[3, 4], &[1, 2], &[0, 0, 1, 3], &[0, 1], &[2, 1]),
        (&[2, 5], &[2, 3], &[0, 4, 0, 1], &[0, 2], &[1, 1]),
        (&[1, 2], &[2, 3], &[0, 1, 0, 0], &[1, 0], &[1, 1]),
        (&[16], &[8], &[4, 4], &[0], &[1]),
        (&[7], &[3], &[0, 6], &[2], &[1]),
        (&[3, 2, 4], &[2, 2, 2], &[1, 0, 1, 1, 0, 1], &[1, 0, 0], &[1, 1, 1]),
        (&[3, 3, 3], &[1, 1, 1], &[1, 1, 1, 1, 1, 1], &[0, 0, 0], &[1, 1, 1]),
        // Strides and dilations with a common divisor, and without.
        (&[3, 3], &[2, 2], &[1, 1, 1, 1], &[0, 0], &[2, 2]),
        (&[4, 5], &[3, 3], &[0, 2, 3, 1], &[1, 0], &[2, 4]),
        (&[3, 2], &[2, 1], &[0, 0, 4, 0], &[1, 0], &[3, 2]),
        (&[5], &[4], &[3, 2], &[3], &[6]),
        (&[2], &[3], &[0, 0], &[1], &[2]),
        (&[3, 3], &[3, 3], &[0, 0, 0, 0], &[0, 0], &[2, 2]),
        (&[3, 2, 4], &[2, 2, 3], &[1, 0, 1, 1, 0, 1], &[1, 0, 0], &[3, 2, 2]),
    ];
    for (i, (kernel, strides, pads, extra, dilations)) in cases.into_iter().enumerate() {
        let extents = &EXTENTS[4 - kernel.len()..];
        let types = [DType::F32, DType::F64, DType::I64, DType::F16];
        for (group, c, m) in [(1, 3, 2), (2, 2, 3)] {
            let dtype = types[(i + group as usize) % 4];
            let x = image(dtype, &[&[2, group * c], extents].concat());
            let w = data_for(dtype, &[&[group * c, m], kernel].concat());
            let b = data_for(dtype, &[group * m]);
            let slides =
                [("strides", strides), ("pads", pads), ("output_padding", extra), ("dilations", dilations)];
            let node = node("ConvTranspose", &["x", "w", "b"], group, &slides);
            check(node, &x, &[("w", w), ("b", b)], i % 2 == 0)?;
        }
    }
    Ok(())
}

/// What is not finite reaches the elements that it is multiplied for, and no other one.
#[test]
fn infinities_spread_no_further_than_taps() -> Result<()> {
    let mut values = vec![1.0; 2 * 5 * 6];
    (values[7], values[40]) = (f64::INFINITY, f64::NAN);
    let x = TensorData::from_f64(DType::F32, &[1, 2, 5, 6], values);
    for (kernel, stride, dilation) in
        [(3, 2, 1), (4, 2, 1), (2, 3, 1), (5, 3, 1), (3, 2, 2), (4, 2, 3), (3, 3, 2)]
    {
        let w = image(DType::F32, &[2, 2, kernel, kernel]);
        let slides: [(&str, &[i64]); 3] =
            [("strides", &[stride, stride]), ("pads", &[1, 0, 0, 1]), ("dilations", &[dilation, dilation])];
        check(node("ConvTranspose", &["x", "w"], 1, &slides), &x, &[("w", w)], false)?;
    }
    Ok(())
}

/// A tap of a transposed convolution that comes from no position adds nothing, though its weight be infinite.
#[test]
fn infinite_weights_meet_no_padding_where_there_is_none() -> Result<()> {
    for (kernel, stride, dilation, pad) in
        [(3, 1, 1, 0), (3, 1, 2, 1), (3, 2, 1, 1), (2, 3, 1, 0), (3, 5, 2, 0), (2, 2, 1, 0)]
    {
        let x = image(DType::F32, &[1, 2, 5, 6]);
        let count = 2 * 3 * kernel * kernel;
        let mut values = vec![0.5; count as usize];
        (values[1], values[count as usize - 1]) = (f64::INFINITY, f64::NEG_INFINITY);
        let w = TensorData::from_f64(DType::F32, &[2, 3, kernel, kernel], values);
        let slides: [(&str, &[i64]); 3] = [
            ("strides", &[stride, stride]),
            ("pads", &[pad, 0, 0, pad]),
            ("dilations", &[dilation, dilation]),
        ];
        for given in [false, true] {
            check(node("ConvTranspose", &["x", "w"], 1, &slides), &x, &[("w", w.clone())], given)?;
        }
    }
    Ok(())
}
