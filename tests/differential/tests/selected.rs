//! Results as long as the data say, `Unique` and `NonMaxSuppression`, and determinants of many columns, against plain
//! definitions.

mod protos;
mod single;

use anyhow::{Context, Result, ensure};
use orogen::{Model, Step};
use orogen_differential::{Executor, Expected, Reference, Way};
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;
use protos::{model, number, plain_node, value};
use single::{attribute, integers};

/// The results of one node on the dataflow path, the same by the reference and by generated code.
fn results(
    op: &str,
    attributes: &[(&str, i64)],
    outputs: &[&str],
    operands: &[TensorData],
) -> Result<Vec<TensorData>> {
    let names: Vec<String> = (0..operands.len()).map(|i| format!("x{i}")).collect();
    let mut node = plain_node("", op, &names.iter().map(String::as_str).collect::<Vec<_>>(), outputs);
    node.attribute = attributes.iter().map(|(name, i)| attribute(name, *i)).collect();
    let given = |(name, it): (&String, &TensorData)| {
        let dims: Vec<i64> = it.dims().iter().map(|it| it.cast_signed()).collect();
        value(name, number(it.dtype()), &dims)
    };
    let graph = GraphProto {
        node: vec![node],
        name: "g".into(),
        input: names.iter().zip(operands).map(given).collect(),
        output: outputs.iter().map(|it| ValueInfoProto { name: (*it).into(), r#type: None }).collect(),
        ..GraphProto::default()
    };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, model("", graph).to_bytes())?;
    let model = Model::open(&file)?;
    let inputs: Expected = names.into_iter().zip(operands.iter().cloned()).collect();
    let reference = Reference { name: op.to_owned(), inputs, outputs: Expected::new() };
    let mut first: Option<Vec<TensorData>> = None;
    for executor in [
        Executor::Reference(Way::Native, Step::Import),
        Executor::Reference(Way::Native, Step::PlanMemory),
        Executor::Jit(Way::Native),
    ] {
        let found = executor.run_model(&model, std::slice::from_ref(&reference));
        let found = found.with_context(|| format!("{op}: {executor}"))?.pop().context("outputs")?;
        let found: Vec<TensorData> = outputs.iter().map(|it| found[*it].clone()).collect();
        ensure!(first.as_ref().is_none_or(|it| *it == found), "{op}: {executor}: {found:?}, not {first:?}");
        first = Some(found);
    }
    first.context("an executor")
}

/// Numbers of few values.
fn few(dtype: DType, dims: &[u64], seed: u64) -> TensorData {
    let count = dims.iter().product::<u64>();
    let least = if dtype.is_float() || dtype.is_signed_int() { 1.0 } else { 0.0 };
    TensorData::from_f64(dtype, dims, (0..count).map(|i| ((i * i * 7 + seed * i) % 5 % 3) as f64 - least))
}

/// The first place of each slice, in order of the slices or of the places; which of them each slice is; how many are equal.
fn unique(slices: &[Vec<f64>], is_sorted: bool) -> [Vec<i64>; 3] {
    let mut firsts: Vec<usize> = (0..slices.len()).filter(|i| !slices[..*i].contains(&slices[*i])).collect();
    if is_sorted {
        firsts.sort_by(|a, b| slices[*a].partial_cmp(&slices[*b]).expect("numbers"));
    }
    let is = |slice: &Vec<f64>| firsts.iter().position(|it| slices[*it] == *slice).expect("one of them");
    let which: Vec<i64> = slices.iter().map(|it| is(it) as i64).collect();
    let counts = (0..firsts.len() as i64).map(|i| which.iter().filter(|it| **it == i).count() as i64);
    [firsts.iter().map(|it| *it as i64).collect(), which.clone(), counts.collect()]
}

#[test]
fn unique_elements_and_slices() -> Result<()> {
    let outputs = ["y", "places", "inverse", "counts"];
    for dtype in [DType::F32, DType::I64, DType::F16, DType::U8, DType::Bool] {
        for (dims, axis) in [
            (&[17][..], None),
            (&[4, 5], None),
            (&[9, 2], Some(0)),
            (&[2, 9], Some(-1)),
            (&[2, 8, 2], Some(1)),
            (&[1], None),
            (&[6, 1], Some(0)),
            (&[6, 300], Some(0)),
        ] {
            for is_sorted in [true, false] {
                let x = few(dtype, dims, dims.len() as u64);
                let x = if dtype == DType::Bool { few(dtype, dims, 3) } else { x };
                let mut attributes = vec![("sorted", i64::from(is_sorted))];
                attributes.extend(axis.map(|it| ("axis", it)));
                let found = results("Unique", &attributes, &outputs, std::slice::from_ref(&x))?;
                let all = x.to_f64();
                let rank = dims.len() as i64;
                let n = axis.map_or(all.len(), |it| dims[it.rem_euclid(rank) as usize] as usize);
                let inner: usize = axis.map_or(1, |it| {
                    dims[it.rem_euclid(rank) as usize + 1..].iter().product::<u64>() as usize
                });
                let slice = |i: usize| -> Vec<f64> {
                    (0..all.len()).filter(|at| at / inner % n == i).map(|at| all[at]).collect()
                };
                let slices: Vec<Vec<f64>> = (0..n).map(slice).collect();
                let wanted = unique(&slices, is_sorted);
                let what = format!("{dtype}{dims:?} along {axis:?}, sorted {is_sorted}");
                for (found, wanted) in found[1..].iter().zip(&wanted) {
                    assert_eq!(found.to_i64(), *wanted, "{what}");
                }
                let kept: Vec<f64> = {
                    let count = wanted[0].len();
                    let outer = all.len() / n / inner;
                    let at = (0..outer * count * inner).map(|i| {
                        let (row, place) = (i / inner / count, wanted[0][i / inner % count] as usize);
                        all[(row * n + place) * inner + i % inner]
                    });
                    at.collect()
                };
                assert_eq!((found[0].dtype(), found[0].to_f64()), (dtype, kept), "{what}");
            }
        }
    }
    Ok(())
}

/// Boxes that are kept: image, class and box.
fn kept(corners: &[[f32; 4]], scores: &[f32], limit: usize, overlap: f32, least: f32) -> Vec<i64> {
    let mut order: Vec<usize> = (0..scores.len()).filter(|it| scores[*it] > least).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let area = |it: [f32; 4]| (it[2] - it[0]) * (it[3] - it[1]);
    let covers = |a: [f32; 4], b: [f32; 4]| {
        let common = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0) * (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
        common > 0.0 && common / (area(a) + area(b) - common) > overlap
    };
    let mut kept: Vec<usize> = Vec::new();
    for at in order {
        if kept.len() < limit && !kept.iter().any(|it| covers(corners[*it], corners[at])) {
            kept.push(at);
        }
    }
    kept.into_iter().map(|it| it as i64).collect()
}

#[test]
fn boxes_that_overlap_are_dropped() -> Result<()> {
    // More boxes than take a turn together.
    let (images, classes, n) = (2usize, 2usize, 90usize);
    // Eighths, so that centres and corners say exactly the same.
    let eighths = |i: usize, of: usize| (i * i * 13 + i * 7) % of;
    let corners: Vec<[f32; 4]> = (0..images * n)
        .map(|i| {
            let (y, x) = (eighths(i, 31), eighths(i + 5, 29));
            let (h, w) = (2 + 2 * eighths(i + 3, 7), 2 + 2 * eighths(i + 11, 5));
            [y, x, y + h, x + w].map(|it| it as f32 / 8.0)
        })
        .collect();
    let scores: Vec<f32> = (0..images * classes * n).map(|i| eighths(i, 17) as f32 / 16.0).collect();
    let dims = |list: &[usize]| list.iter().map(|it| *it as u64).collect::<Vec<u64>>();
    let floats = |list: &[usize], values: Vec<f32>| {
        TensorData::from_f64(DType::F32, &dims(list), values.into_iter().map(f64::from))
    };
    for (limit, overlap, least, centred) in [
        (3, 0.25, 0.2, false),
        (100, 0.5, 0.0, false),
        (100, 0.0, 0.5, true),
        (1, 1.0, 0.9, true),
        (0, 0.5, 0.0, false),
    ] {
        let numbers = corners.iter().enumerate().flat_map(|(i, it)| match (centred, i % 2) {
            (true, _) => [(it[0] + it[2]) / 2.0, (it[1] + it[3]) / 2.0, it[2] - it[0], it[3] - it[1]],
            // Corners come in any order.
            (false, 0) => *it,
            (false, _) => [it[2], it[1], it[0], it[3]],
        });
        let operands = [
            floats(&[images, n, 4], numbers.collect()),
            floats(&[images, classes, n], scores.clone()),
            integers(&[limit]),
            floats(&[1], vec![overlap]),
            floats(&[1], vec![least]),
        ];
        let attributes = [("center_point_box", i64::from(centred))];
        let found = results("NonMaxSuppression", &attributes, &["y"], &operands)?;
        let mut wanted = Vec::new();
        for (image, class) in (0..images).flat_map(|image| (0..classes).map(move |class| (image, class))) {
            let first = (image * classes + class) * n;
            let of = &corners[image * n..][..n];
            for at in kept(of, &scores[first..][..n], limit as usize, overlap, least) {
                wanted.extend([image as i64, class as i64, at]);
            }
        }
        assert_eq!(found[0].dims(), [wanted.len() as u64 / 3, 3], "{limit} {overlap} {least} {centred}");
        assert_eq!(found[0].to_i64(), wanted, "{limit} {overlap} {least} {centred}");
    }
    // Without a limit there are none.
    let operands =
        [floats(&[images, n, 4], vec![0.5; images * n * 4]), floats(&[images, classes, n], scores)];
    assert_eq!(results("NonMaxSuppression", &[], &["y"], &operands)?[0].dims(), [0, 3]);
    Ok(())
}

/// Rows in another order, and below the diagonal what elimination takes exactly.
#[test]
fn determinants_of_many_columns() -> Result<()> {
    let n = 66u64;
    let element = |row: u64, column: u64| match (row % n, column) {
        (row, column) if row == column => 2.0,
        (row, column) if row < column => ((row + 2 * column) % 3) as f64 - 1.0,
        (row, column) if row == column + 1 && row % 8 == 1 => 1.0,
        _ => 0.0,
    };
    // The first three rows turned, and then two exchanged: an odd permutation.
    let order = |row: u64| [1, 2, 0, 4, 3].get(row as usize).copied().unwrap_or(row);
    let values = (0..2 * n * n).map(|i| {
        let (row, column) = (i / n % n, i % n);
        element(if i < n * n { row } else { order(row) }, column)
    });
    let x = TensorData::from_f64(DType::F32, &[2, n, n], values);
    let found = results("Det", &[], &["y"], &[x])?;
    let [even, odd] = found[0].to_f64()[..] else { panic!("two matrices") };
    ensure!(even == -odd && even > 2f64.powi(n as i32 - 10), "{even}, {odd}");
    Ok(())
}
