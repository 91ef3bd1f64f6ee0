//! Axes, steps and lengths that are known only at run time: generated code of the dataflow path against the reference of
//! the operator, and against the same node with numbers that are part of the model.

mod protos;
mod single;

use anyhow::{Context, Result, ensure};
use orogen::{Model, Step};
use orogen_differential::{Executor, Expected, Reference, Way, compare};
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;
use protos::{model, number, plain_node, value};
use single::{attribute, integers, numbers};

/// An operand of the node.
#[derive(Clone)]
struct Operand {
    data: TensorData,
    /// What is known at run time alone.
    open: Open,
}

#[derive(Clone, Copy, PartialEq)]
enum Open {
    Nothing,
    Sizes,
    Rank,
}

fn of(data: TensorData) -> Operand {
    Operand { data, open: Open::Nothing }
}

fn open(data: TensorData) -> Operand {
    Operand { data, open: Open::Sizes }
}

fn of_any_rank(data: TensorData) -> Operand {
    Operand { data, open: Open::Rank }
}

/// Runs `y = op(operands)`; operands that are not there are left out, the last `constants` are part of the model.
fn run(
    op: &str,
    attributes: &[(&str, i64)],
    operands: &[Option<Operand>],
    constants: usize,
    executor: Executor,
) -> Result<TensorData> {
    let names: Vec<String> = (0..operands.len())
        .map(|i| operands[i].as_ref().map_or_else(String::new, |_| format!("x{i}")))
        .collect();
    let mut node = plain_node("", op, &names.iter().map(String::as_str).collect::<Vec<_>>(), &["y"]);
    node.attribute = attributes.iter().map(|(name, i)| attribute(name, *i)).collect();
    let mut graph = GraphProto {
        node: vec![node],
        name: "g".into(),
        output: vec![ValueInfoProto { name: "y".into(), r#type: None }],
        ..GraphProto::default()
    };
    let mut inputs = Expected::new();
    for (i, operand) in operands.iter().enumerate() {
        let Some(Operand { data, open }) = operand else { continue };
        let name = format!("x{i}");
        let dims: Vec<i64> = data.dims().iter().map(|it| it.cast_signed()).collect();
        if i + constants >= operands.len() {
            graph.initializer.push(TensorProto {
                name,
                data_type: number(data.dtype()),
                dims,
                raw_data: Some(data.bytes().to_vec().into()),
                ..TensorProto::default()
            });
            continue;
        }
        let mut declared = value(&name, number(data.dtype()), &dims);
        if *open == Open::Rank {
            declared.r#type.as_mut().and_then(|it| it.tensor_type.as_mut()).context("a tensor")?.shape = None;
        }
        if *open == Open::Sizes {
            let shape = declared.r#type.as_mut().and_then(|it| it.tensor_type.as_mut()?.shape.as_mut());
            for (at, dim) in shape.context("a tensor")?.dim.iter_mut().enumerate() {
                *dim = DimensionProto { dim_param: Some(format!("d{i}_{at}")), ..DimensionProto::default() };
            }
        }
        graph.input.push(declared);
        inputs.insert(name, data.clone());
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, model("", graph).to_bytes())?;
    let reference = Reference { name: op.to_owned(), inputs, outputs: Expected::new() };
    let mut found = executor.run_model(&Model::open(&file)?, std::slice::from_ref(&reference))?;
    let outputs = found.pop().context("a call")?;
    outputs.get("y").cloned().context("an output")
}

const NATIVE: Executor = Executor::Jit(Way::Native);
const REFERENCE: Executor = Executor::Reference(Way::Native, Step::Import);

/// The axes, or what goes with them, are given by the caller: the same as when they are part of the model.
fn same(
    op: &str,
    attributes: &[(&str, i64)],
    operands: &dyn Fn() -> Vec<Option<Operand>>,
    allowed: f64,
) -> Result<()> {
    let what = || {
        let operands = operands();
        let text: Vec<String> = operands
            .iter()
            .flatten()
            .map(|it| {
                format!(
                    "{} {:?} {:?}",
                    it.data.dtype(),
                    it.data.dims(),
                    it.data.to_f64().iter().take(4).collect::<Vec<_>>()
                )
            })
            .collect();
        format!("{op} {attributes:?} of {text:?}")
    };
    let list = operands();
    let constants = list.len() - 1;
    let expected = run(op, attributes, &list, constants, REFERENCE).with_context(what)?;
    for executor in [REFERENCE, NATIVE] {
        let found = run(op, attributes, &list, 0, executor).with_context(what)?;
        let pair = |it: TensorData| -> Expected { [("y".to_owned(), it)].into_iter().collect() };
        let worst = compare(&pair(found), &pair(expected.clone())).with_context(what)?;
        ensure!(worst.error <= allowed, "{}: {executor}: error {}", what(), worst.error);
    }
    Ok(())
}

/// The call ends with an error that holds this text.
fn refused(op: &str, attributes: &[(&str, i64)], operands: &[Option<Operand>], text: &str) -> Result<()> {
    refused_by(&[REFERENCE, NATIVE], op, attributes, operands, &[text])
}

/// The same on some executors: the error holds all of these texts.
fn refused_by(
    executors: &[Executor],
    op: &str,
    attributes: &[(&str, i64)],
    operands: &[Option<Operand>],
    texts: &[&str],
) -> Result<()> {
    for executor in executors.iter().copied() {
        let Err(error) = run(op, attributes, operands, 0, executor) else {
            anyhow::bail!("{op}: {executor}: no error");
        };
        let error = format!("{error:?}");
        for text in texts {
            ensure!(error.contains(text), "{op}: {executor}: no `{text}` in {error}");
        }
    }
    Ok(())
}

const REDUCTIONS: [&str; 10] = [
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
    "ReduceLogSum",
    "ReduceLogSumExp",
];

#[test]
fn reductions_over_axes_of_the_call() -> Result<()> {
    for op in REDUCTIONS {
        let dtype = DType::F32;
        let data = TensorData::from_f64(dtype, &[2, 3, 4], (0..24).map(|i| f64::from(i * 5 % 7 + 1) / 4.0));
        for keep in [0, 1] {
            for axes in [&[1][..], &[-1, 0]] {
                same(
                    op,
                    &[("keepdims", keep)],
                    &|| vec![Some(of(data.clone())), Some(of(integers(axes)))],
                    1e-5,
                )?;
            }
        }
        // As many axes as the caller likes.
        for (axes, noop) in [(&[2, 0][..], 0), (&[], 0), (&[], 1), (&[-2], 1)] {
            let attributes = [("keepdims", 1), ("noop_with_empty_axes", noop)];
            same(op, &attributes, &|| vec![Some(of(data.clone())), Some(open(integers(axes)))], 1e-5)?;
        }
    }
    Ok(())
}

#[test]
fn no_axes_leave_what_is_done_with_each_element() -> Result<()> {
    let data = || TensorData::from_f64(DType::F32, &[2], [-3.0, 2.0]);
    for (op, expected) in
        [("ReduceL1", [3.0, 2.0]), ("ReduceSumSquare", [9.0, 4.0]), ("ReduceSum", [-3.0, 2.0])]
    {
        for axes in [Some(of(integers(&[]))), Some(open(integers(&[])))] {
            let found = run(op, &[("noop_with_empty_axes", 1)], &[Some(of(data())), axes], 0, NATIVE)?;
            ensure!(found.to_f64() == expected, "{op}: {:?}", found.to_f64());
        }
    }
    Ok(())
}

#[test]
fn reductions_of_other_types_and_sizes() -> Result<()> {
    for dtype in [DType::F64, DType::F16, DType::I32, DType::I64] {
        for op in ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceL2"] {
            let allowed = if dtype == DType::F16 { 2e-3 } else { 1e-12 };
            let data = numbers(dtype, &[3, 2, 2]);
            same(op, &[], &|| vec![Some(open(data.clone())), Some(of(integers(&[0, -1])))], allowed)?;
        }
    }
    for op in ["ReduceSum", "ReduceProd", "ReduceMax", "ReduceLogSumExp"] {
        let data = numbers(DType::F32, &[2, 0, 4]);
        for axes in [[1, 2], [0, 2]] {
            for keep in [0, 1] {
                let operands = || vec![Some(open(data.clone())), Some(of(integers(&axes)))];
                same(op, &[("keepdims", keep)], &operands, 0.0)?;
            }
        }
    }
    let bools = TensorData::from_f64(DType::Bool, &[2, 2], [1.0, 0.0, 0.0, 0.0]);
    same("ReduceMax", &[], &|| vec![Some(of(bools.clone())), Some(of(integers(&[1])))], 0.0)
}

#[test]
fn the_rank_of_a_reduction_follows_from_how_many_axes_there_are() -> Result<()> {
    let data = numbers(DType::F32, &[2, 3, 4]);
    for axes in [&[][..], &[1], &[0, -1], &[2, 1, 0]] {
        let operands = || vec![Some(of(data.clone())), Some(open(integers(axes)))];
        same("ReduceSum", &[("keepdims", 0)], &operands, 0.0)?;
        same("ReduceMax", &[("keepdims", 0), ("noop_with_empty_axes", 1)], &operands, 0.0)?;
    }
    let ones = numbers(DType::F32, &[1, 3, 1]);
    for axes in [&[0][..], &[2], &[-1, 0]] {
        same("Squeeze", &[], &|| vec![Some(of(ones.clone())), Some(open(integers(axes)))], 0.0)?;
    }
    Ok(())
}

#[test]
fn dimensions_come_and_go_where_the_call_says() -> Result<()> {
    let data = numbers(DType::F32, &[1, 3, 1, 5]);
    for axes in [&[0][..], &[2], &[-2], &[2, 0], &[0, -2]] {
        same("Squeeze", &[], &|| vec![Some(of(data.clone())), Some(of(integers(axes)))], 0.0)?;
        same("Squeeze", &[], &|| vec![Some(open(data.clone())), Some(of(integers(axes)))], 0.0)?;
    }
    for axes in [&[0][..], &[4], &[-1], &[5, 0], &[2, 1, 4], &[-1, 0, 3]] {
        same("Unsqueeze", &[], &|| vec![Some(open(data.clone())), Some(of(integers(axes)))], 0.0)?;
        let single = numbers(DType::I64, &[]);
        if axes.len() == 1 && axes[0] <= 0 {
            same("Unsqueeze", &[], &|| vec![Some(of(single.clone())), Some(of(integers(axes)))], 0.0)?;
        }
    }
    Ok(())
}

#[test]
fn slices_and_pads_of_axes_of_the_call() -> Result<()> {
    let data = numbers(DType::F32, &[7, 4, 5]);
    let all = [
        (&[0, 0][..], &[3, 10][..], &[0, 1][..], &[1, 1][..]),
        (&[1, -2], &[1000, -1], &[-1, 0], &[2, 1]),
        (&[10, -1], &[-20, -5], &[0, 2], &[-2, -1]),
        (&[6, 0, 3], &[i64::MIN, i64::MAX, 3], &[0, 2, 1], &[i64::MIN, i64::MAX, 1]),
    ];
    for (starts, ends, axes, steps) in all {
        let operands = |axes: Option<&[i64]>, steps: Option<&[i64]>| {
            let list = |it: &[i64]| Some(of(integers(it)));
            let mut all = vec![Some(open(data.clone())), list(starts), list(ends), axes.and_then(list)];
            all.extend(steps.map(list));
            all
        };
        same("Slice", &[], &|| operands(Some(axes), Some(steps)), 0.0)?;
        same("Slice", &[], &|| operands(Some(axes), None), 0.0)?;
        same("Slice", &[], &|| operands(None, Some(steps)), 0.0)?;
    }
    for (pads, axes) in [(&[1, 2, 0, 3][..], &[2, 0][..]), (&[2, 1], &[-2]), (&[0, -1], &[1])] {
        let value = TensorData::from_f64(DType::F32, &[], [9.0]);
        let operands = || {
            let axes = Some(of(integers(axes)));
            vec![Some(of(data.clone())), Some(of(integers(pads))), Some(of(value.clone())), axes]
        };
        same("Pad", &[], &operands, 0.0)?;
    }
    Ok(())
}

#[test]
fn sums_and_transforms_along_an_axis_of_the_call() -> Result<()> {
    for dtype in [DType::F32, DType::I32] {
        let data = numbers(dtype, &[2, 3, 4]);
        for axis in [0, 1, -1] {
            let scalar = TensorData::from_slice(DType::I32, &[], &[axis as i32]);
            for attributes in [&[][..], &[("exclusive", 1)], &[("reverse", 1)]] {
                same(
                    "CumSum",
                    attributes,
                    &|| vec![Some(open(data.clone())), Some(of(scalar.clone()))],
                    0.0,
                )?;
                same(
                    "CumProd",
                    attributes,
                    &|| vec![Some(open(data.clone())), Some(of(scalar.clone()))],
                    0.0,
                )?;
            }
            same("CumSum", &[], &|| vec![Some(of(data.clone())), Some(of(integers(&[axis])))], 0.0)?;
        }
    }
    let axis = |it: i64| TensorData::from_slice(DType::I64, &[], &[it]);
    for at in [0, 1, -2, -3] {
        let signal = numbers(DType::F32, &[1, 6, 4, 1]);
        let operands = || vec![Some(of(signal.clone())), None, Some(of(axis(at)))];
        same("DFT", &[], &operands, 1e-5)?;
        same("DFT", &[("onesided", 1)], &operands, 1e-5)?;
        let spectrum = numbers(DType::F32, &[1, 6, 4, 2]);
        let operands = || vec![Some(of(spectrum.clone())), None, Some(of(axis(at)))];
        same("DFT", &[("inverse", 1)], &operands, 1e-5)?;
        if at % 2 != 0 {
            // One side of a signal of length 0 is no transform: there is no version for axis 0.
            same("DFT", &[("inverse", 1), ("onesided", 1)], &operands, 1e-5)?;
        }
    }
    Ok(())
}

#[test]
fn frames_of_a_step_and_a_length_of_the_call() -> Result<()> {
    let scalar = |it: i64| TensorData::from_slice(DType::I64, &[], &[it]);
    for parts in [1, 2] {
        let signal = numbers(DType::F32, &[2, 20, parts]);
        for (step, length) in [(3, 8), (5, 7), (30, 20), (1, 1)] {
            let window = numbers(DType::F32, &[length as u64]);
            for sides in (if parts == 1 { &[0, 1][..] } else { &[0][..] }).iter() {
                let attributes = [("onesided", *sides)];
                let plain =
                    || vec![Some(of(signal.clone())), Some(of(scalar(step))), None, Some(of(scalar(length)))];
                same("STFT", &attributes, &plain, 1e-5)?;
                let seen =
                    || vec![Some(of(signal.clone())), Some(of(scalar(step))), Some(open(window.clone()))];
                same("STFT", &attributes, &seen, 1e-5)?;
            }
        }
    }
    let signal = || Some(of(numbers(DType::F32, &[1, 9, 1])));
    let number = |it| Some(of(scalar(it)));
    refused("STFT", &[], &[signal(), number(0), None, number(4)], "its step, which is positive")?;
    refused("STFT", &[], &[signal(), number(2), None, number(-1)], "frames, which is positive")
}

#[test]
fn elements_are_dropped_when_the_call_trains() -> Result<()> {
    let data = numbers(DType::F32, &[10, 40]);
    let mode = |it: f64| TensorData::from_f64(DType::Bool, &[], [it]);
    let ratio = |it: f64| TensorData::from_f64(DType::F32, &[], [it]);
    for dtype in [DType::F32, DType::F64, DType::F16] {
        let data = numbers(dtype, &[10, 40]);
        for (share, trains) in [(0.25, 1.0), (0.0, 1.0), (0.75, 0.0), (1.0, 0.0)] {
            let operands = || vec![Some(of(data.clone())), Some(of(ratio(share))), Some(of(mode(trains)))];
            same("Dropout", &[("seed", 7)], &operands, 0.0)?;
        }
    }
    let call = |seed, share: f64, trains: f64| -> Result<Vec<f64>> {
        let operands = [Some(of(data.clone())), Some(of(ratio(share))), Some(of(mode(trains)))];
        Ok(run("Dropout", &[("seed", seed)], &operands, 0, NATIVE)?.to_f64())
    };
    let kept = data.to_f64();
    ensure!(call(7, 0.9, 0.0)? == kept && call(7, 0.0, 1.0)? == kept);
    let dropped = call(7, 0.25, 1.0)?;
    ensure!(dropped != call(8, 0.25, 1.0)?, "the seed says which elements");
    let zeros =
        dropped.iter().filter(|it| **it == 0.0).count() - kept.iter().filter(|it| **it == 0.0).count();
    // A quarter of those that were not 0, and what chance adds.
    ensure!((50..130).contains(&zeros), "{zeros}");
    let scaled = dropped.iter().zip(&kept).all(|(a, b)| *a == 0.0 || (a - b / 0.75).abs() < 1e-5);
    ensure!(scaled, "what is kept is larger by what is missing");
    for share in [1.0, -0.5] {
        let operands = [Some(of(data.clone())), Some(of(ratio(share))), Some(of(mode(1.0)))];
        refused("Dropout", &[], &operands, "its ratio")?;
    }
    Ok(())
}

#[test]
fn what_is_out_of_range_is_an_error_of_the_call() -> Result<()> {
    let data = || Some(open(numbers(DType::F32, &[2, 3, 4])));
    let named = |axes: &[i64]| match axes {
        [_] => "its axes",
        _ => "how many different axes it names",
    };
    for axes in [&[3][..], &[-4], &[0, 0], &[1, -2], &[i64::MAX]] {
        let named = named(axes);
        let list = || Some(of(integers(axes)));
        refused("ReduceSum", &[], &[data(), list()], named)?;
        refused("ReduceMax", &[("keepdims", 0)], &[data(), list()], named)?;
        let zeros = || Some(of(integers(&vec![0; axes.len()])));
        refused("Slice", &[], &[data(), zeros(), zeros(), list()], named)?;
        let none = || Some(of(integers(&vec![0; 2 * axes.len()])));
        refused("Pad", &[], &[data(), none(), None, list()], named)?;
        if axes.len() == 1 {
            refused("CumSum", &[], &[data(), list()], named)?;
        }
    }
    for axes in [&[4][..], &[-5], &[0, 0], &[1, -4]] {
        refused("Unsqueeze", &[], &[data(), Some(of(integers(axes)))], named(axes))?;
    }
    let ones = Some(open(numbers(DType::F32, &[1, 3, 0])));
    refused("Squeeze", &[], &[ones, Some(of(integers(&[1])))], "which are 1")?;
    let bounds = || Some(of(integers(&[0])));
    refused("Slice", &[], &[data(), bounds(), bounds(), bounds(), bounds()], "not 0")?;
    let signal = Some(of(numbers(DType::F32, &[1, 6, 4, 1])));
    let last = Some(of(TensorData::from_slice(DType::I64, &[], &[3i64])));
    refused("DFT", &[], &[signal, None, last], "cannot be 3")
}

#[test]
fn lengths_and_numbers_of_images_out_of_range_are_errors_of_the_call() -> Result<()> {
    let executors = [REFERENCE, NATIVE, Executor::Jit(Way::Legacy)];
    let refused = |op: &str, attributes: &[(&str, i64)], operands: &[Option<Operand>], text: &str| {
        refused_by(&executors, op, attributes, operands, &[text])
    };
    let x = |dims: &[u64]| Some(of(numbers(DType::F32, dims)));
    let list = |it: &[i64]| Some(of(integers(it)));
    let narrow = |it: &[i32]| Some(of(TensorData::from_slice(DType::I32, &[it.len() as u64], it)));
    // What the interpreter and generated code both say.
    let which = |index: i64| format!("index {index} is out of range for ");
    for wrong in [4, -1] {
        let time = [("time_axis", 0), ("batch_axis", 1)];
        refused("ReverseSequence", &time, &[x(&[3, 2]), list(&[1, wrong])], &which(wrong))?;
        for (op, gates) in [("RNN", 1), ("GRU", 3), ("LSTM", 4)] {
            let weights = [x(&[3, 2, 2]), x(&[1, gates * 5, 2]), x(&[1, gates * 5, 5]), None];
            let mut operands = weights.to_vec();
            operands.push(narrow(&[3, wrong as i32]));
            refused(op, &[("hidden_size", 5)], &operands, &which(wrong))?;
        }
        let attention =
            [x(&[2, 1, 2, 4]), x(&[2, 1, 3, 4]), x(&[2, 1, 3, 4]), None, None, None, list(&[1, wrong])];
        refused("Attention", &[], &attention, &which(wrong))?;
        refused(
            "TensorScatter",
            &[],
            &[x(&[2, 1, 3, 4]), x(&[2, 1, 1, 4]), list(&[1, wrong])],
            &which(wrong),
        )?;
    }
    for wrong in [2, -1] {
        let regions = [x(&[2, 1, 4, 4]), x(&[2, 4]), list(&[0, wrong])];
        refused("RoiAlign", &[("sampling_ratio", 1)], &regions, &which(wrong))?;
        refused("NegativeLogLikelihoodLoss", &[], &[x(&[2, 2]), list(&[0, wrong])], &which(wrong))?;
    }
    Ok(())
}

#[test]
fn lists_are_as_long_as_the_call_says() -> Result<()> {
    let x = || Some(of(numbers(DType::F32, &[3, 4])));
    let image = || Some(of(numbers(DType::F32, &[1, 2, 4, 5])));
    let list = |it: &[i64]| Some(open(integers(it)));
    let shape = |operands: Vec<Option<Operand>>, op: &str| same(op, &[], &|| operands.clone(), 1e-6);
    for (op, x, numbers) in [
        ("Tile", x(), &[2, 3][..]),
        ("Pad", x(), &[1, 2, 0, -1]),
        ("Split", x(), &[3]),
        ("CenterCropPad", x(), &[5, 2]),
        ("Reshape", x(), &[2, -1, 3]),
        ("Expand", x(), &[2, 1, 3, 4]),
        ("Unsqueeze", x(), &[0, -1, 2]),
        ("Unsqueeze", x(), &[]),
        ("GatherND", x(), &[1, 2]),
        ("GatherND", x(), &[2]),
    ] {
        shape(vec![x, list(numbers)], op)?;
    }
    shape(vec![image(), None, None, list(&[1, 2, 7, 3])], "Resize")?;
    let bounds =
        |n: usize| vec![x(), list(&[1, 0][..n]), list(&[3, 9][..n]), list(&[-1, 0][..n]), list(&[1, 2][..n])];
    for count in 0..3 {
        shape(bounds(count), "Slice")?;
        shape(bounds(count)[..3].to_vec(), "Slice")?;
        let pads = [1, 0, 2, 1];
        shape(vec![x(), list(&pads[..2 * count]), None, list(&[1, -2][..count])], "Pad")?;
    }
    let refused = |op: &str, operands: &[Option<Operand>], text: &str| refused(op, &[], operands, text);
    let long = "how many numbers operand 1 has";
    for op in ["Tile", "Pad", "Split", "CenterCropPad"] {
        refused(op, &[x(), list(&[1, 1, 1])], long)?;
        refused(op, &[x(), list(&[])], long)?;
    }
    refused("Resize", &[image(), None, None, list(&[4, 5])], "how many numbers operand 3 has")?;
    refused("Slice", &[x(), list(&[0, 0]), list(&[1])], "how many numbers operand 2 has")?;
    refused("Slice", &[x(), list(&[0, 0, 0]), list(&[1, 1, 1])], "how many axes it slices")?;
    refused("Pad", &[x(), list(&[0, 0]), None, list(&[0, 1])], long)?;
    refused("Unsqueeze", &[x(), list(&[0, 1, 2, 3, 4, 5, 6])], "how many axes it adds")?;
    refused("Expand", &[x(), list(&[1; 9])], "the rank that its shape gives")?;
    refused("GatherND", &[x(), list(&[0, 0, 0])], "how many dimensions its indices name")
}

#[test]
fn inputs_may_have_any_rank() -> Result<()> {
    for dims in [&[][..], &[2, 0, 3], &[1, 2, 1, 1, 1, 1, 1, 3]] {
        let data = numbers(DType::F32, dims);
        for op in ["Shape", "Transpose"] {
            same(op, &[], &|| vec![Some(of_any_rank(data.clone()))], 0.0)?;
        }
        let list = || Some(of(integers(&[-1])));
        same("Reshape", &[], &|| vec![Some(of_any_rank(data.clone())), list()], 0.0)?;
    }
    let product =
        || vec![Some(of_any_rank(numbers(DType::F32, &[2, 3, 4]))), Some(of(numbers(DType::F32, &[4, 5])))];
    same("MatMul", &[], &product, 0.0)?;
    let sum = || {
        vec![Some(of_any_rank(numbers(DType::F32, &[2, 1]))), Some(of_any_rank(numbers(DType::F32, &[3])))]
    };
    same("Add", &[], &sum, 0.0)?;
    let wide = Some(of_any_rank(numbers(DType::F32, &[1; 9])));
    refused("Relu", &[], &[wide], "its number of dimensions")?;
    let vector = Some(of_any_rank(numbers(DType::F32, &[3])));
    refused("MatMul", &[], &[vector, Some(of(numbers(DType::F32, &[4, 5])))], "of a matrix product")?;
    let x = || Some(of_any_rank(numbers(DType::F32, &[3])));
    let many = [Some(of_any_rank(numbers(DType::Bool, &[3]))), x(), x()];
    refused("Where", &[], &many, "more than 512 versions")
}

#[test]
fn transforms_of_a_length_of_the_call() -> Result<()> {
    let scalar = |it: i64| Some(of(TensorData::from_slice(DType::I64, &[], &[it])));
    for length in [1, 5, 8] {
        let of = |parts| vec![Some(of(numbers(DType::F32, &[2, 6, parts]))), scalar(length), scalar(1)];
        same("DFT", &[], &|| of(2), 1e-5)?;
        same("DFT", &[("onesided", 1)], &|| of(1), 1e-5)?;
        same("DFT", &[("inverse", 1)], &|| of(2), 1e-5)?;
        same("DFT", &[("inverse", 1), ("onesided", 1)], &|| of(2), 1e-5)?;
    }
    let signal = || Some(of(numbers(DType::F32, &[1, 6, 1])));
    for length in [0, -4, i64::MIN, i64::MAX] {
        refused("DFT", &[], &[signal(), scalar(length), scalar(1)], "its length, which is positive")?;
    }
    refused("DFT", &[], &[signal(), scalar(1 << 30), scalar(1)], "the size of its matrix")
}

#[test]
fn numbers_that_are_none_are_errors_of_the_call() -> Result<()> {
    let scalar = |it: f64| Some(of(TensorData::from_f64(DType::F32, &[], [it])));
    let long = |it: i64| Some(of(TensorData::from_slice(DType::I64, &[], &[it])));
    for [start, limit, step] in
        [[0.0, 4.0, f64::NAN], [f64::NAN, 4.0, 1.0], [0.0, f64::INFINITY, 1.0], [0.0, 1.0, 0.0]]
    {
        refused("Range", &[], &[scalar(start), scalar(limit), scalar(step)], "a finite number of steps")?;
    }
    refused(
        "Range",
        &[],
        &[long(i64::MIN), long(i64::MAX), long(1)],
        "the distance from its start to its limit",
    )?;
    refused("Range", &[], &[long(0), long(4), long(0)], "its step, which is not 0")?;
    let image = || Some(of(numbers(DType::F32, &[1, 1, 4, 4])));
    for scale in [f64::NAN, 0.0, -1.0] {
        let scales = Some(of(TensorData::from_f64(DType::F32, &[4], [1.0, 1.0, scale, 2.0])));
        refused("Resize", &[], &[image(), None, scales.clone()], "numbers above 0")?;
    }
    let places = Some(of(integers(&[0, 1])));
    let values = Some(of(numbers(DType::F32, &[2])));
    refused("OneHot", &[], &[places, scalar(f64::NAN), values], "its depth")?;
    let boxes = Some(of(numbers(DType::F32, &[1, 2, 4])));
    let scores = Some(of(numbers(DType::F32, &[1, 1, 2])));
    refused("NonMaxSuppression", &[], &[boxes, scores, long(1), scalar(f64::NAN)], "from 0 to 1")?;
    let mel = |rate: i64, low: f64| vec![long(4), long(8), long(rate), scalar(low), scalar(400.0)];
    refused("MelWeightMatrix", &[], &mel(0, 0.0), "its sample rate")?;
    refused("MelWeightMatrix", &[], &mel(1000, f64::NAN), "its frequencies")?;
    let shape = Some(of(integers(&[0, -1])));
    let empty = Some(of(numbers(DType::F32, &[0, 2])));
    refused("Reshape", &[("allowzero", 1)], &[empty, shape], "no 0 beside a -1")
}

/// Sizes of a call that no memory has room for, or that wrap around when they are multiplied, end it with an error that
/// names the node or the output; the errors of axes, sizes and ranks show what was given and what is allowed.
#[test]
fn hostile_sizes_are_errors_of_the_call() -> Result<()> {
    let x = |dims: &[u64]| Some(open(numbers(DType::F32, dims)));
    let list = |it: &[i64]| Some(of(integers(it)));
    let long = |it: i64| Some(of(TensorData::from_slice(DType::I64, &[], &[it])));
    let (half, most) = (1i64 << 32, i64::MAX);
    let node = |op: &str| format!("the node of `y` ({op})");
    let refused = |op: &str, operands: &[Option<Operand>], texts: &[&str]| -> Result<()> {
        refused_by(&[NATIVE], op, &[], operands, texts)
    };
    let wide = "what is compared does not fit in 64 bits";
    for shape in [&[half, half][..], &[1 << 31, 1 << 33], &[1 << 38, 1 << 26], &[1 << 22, 1 << 21, 1 << 21]] {
        refused("Reshape", &[x(&[2, 3]), list(shape)], &[&node("Reshape"), wide])?;
        refused("Reshape", &[x(&[0, 3]), list(shape)], &[&node("Reshape"), wide])?;
        refused("ConstantOfShape", &[list(shape)], &["output `y`", "more memory than can be addressed"])?;
    }
    for op in ["Reshape", "Expand", "Tile", "CenterCropPad"] {
        let operand = if op == "Expand" { x(&[1, 1]) } else { x(&[2, 3]) };
        let of = |sizes: [i64; 2]| [operand.clone(), list(&sizes)];
        refused(op, &of([most, 2]), &[&node(op), "at most 1099511627776, got 9223372036854775807"])?;
        refused(op, &of([1 << 62, 4]), &[&node(op), "at most 1099511627776, got 4611686018427387904"])?;
        if op != "Reshape" {
            refused(op, &of([half, half]), &["more memory than can be addressed"])?;
            refused(op, &of([-1, 2]), &[&node(op), "element 0 of input `x1`: expected at least 0, got -1"])?;
        }
    }
    let twice = ["how many -1 its shape has: expected at most 1, got 2"];
    refused("Reshape", &[x(&[2, 3]), list(&[-1, -1])], &twice)?;
    refused(
        "Reshape",
        &[x(&[2, 3]), list(&[-2, 3])],
        &["the sizes of its shape: expected at least -1, got -2"],
    )?;
    let pads = |it: [i64; 4]| [x(&[2, 3]), list(&it)];
    refused("Pad", &pads([most, 0, most, 0]), &["output `y`", "more memory than can be addressed"])?;
    refused(
        "Pad",
        &pads([i64::MIN, 0, 0, 0]),
        &[&node("Pad"), "expected at least 0, got -1152921504606846974"],
    )?;
    let sizes = |it: [i64; 4]| [x(&[1, 1, 4, 4]), None, None, list(&it)];
    refused("Resize", &sizes([1, 1, half, half]), &["more memory than can be addressed"])?;
    refused("Resize", &sizes([1, 1, most, 2]), &[&node("Resize"), "expected at most 1099511627776"])?;
    refused("OneHot", &[list(&[0, 1]), long(most), x(&[2])], &[&node("OneHot"), "expected at most"])?;
    refused("Range", &[long(0), long(most), long(1)], &[&node("Range"), "expected at most 1099511627776"])?;
    let windows = |sizes: [i64; 2], block: [i64; 2]| [x(&[1, 4, 4]), list(&sizes), list(&block)];
    refused("Col2Im", &windows([most, 2], [1, 1]), &[&node("Col2Im"), "expected at most 1099511627776"])?;
    refused("Split", &[x(&[6, 2]), list(&[1 << 62, 1 << 62])], &[&node("Split"), "expected at most"])?;
    let theta = || Some(of(numbers(DType::F32, &[1, 2, 3])));
    refused("AffineGrid", &[theta(), list(&[1, 1, half, half])], &["more memory than can be addressed"])?;
    refused("ReduceSum", &[x(&[2, 3]), list(&[5])], &["its axes: expected at most 1, got 5"])?;
    refused("ReduceSum", &[x(&[2, 3]), list(&[0, -3])], &["its axes: expected at least -2, got -3"])?;
    let any = |dims: &[u64]| Some(of_any_rank(numbers(DType::F32, dims)));
    let rank = "how many dimensions `x0` has: expected at least 1, got 0";
    refused("MatMul", &[any(&[]), any(&[3])], &[&node("MatMul"), rank])?;
    let nine = "input `x0`: its number of dimensions: expected at most 8, got 9";
    refused("MatMul", &[any(&[1; 9]), any(&[3])], &[nine])
}

#[test]
fn the_legacy_path_says_what_only_a_call_decides() -> Result<()> {
    let x = || Some(of(numbers(DType::F32, &[2, 3])));
    let axes = || Some(of(integers(&[1])));
    for op in ["CumSum", "CumProd", "ReduceSum", "Unsqueeze"] {
        let text = "are known only at run time";
        refused_by(&[Executor::Jit(Way::Legacy)], op, &[], &[x(), axes()], &[text])?;
    }
    Ok(())
}
