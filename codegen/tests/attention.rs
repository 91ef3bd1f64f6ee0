//! The routine for attention beside its definition in the reference, on every instruction set.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{Random, all_cpus, assert_close, call, call_divided, compiled, compiled_with, in_memory};
use orogen_codegen::{Metadata, compile};
use orogen_ir::plan::{CallPlan, parse_plan, verify};
use orogen_ir::types::{ConstPool, DType, TensorData};
use orogen_reference::eval_plan;

/// A plan of one call: dimensions of the operands, and what else the routine is told.
fn plan(attrs: &str, operands: &[(&str, &str)], result: &str) -> CallPlan {
    let sizes = ["b", "m", "n"];
    let names = ["q", "k", "v", "mask"];
    let all = |word: &str, sign: &str| -> String {
        names
            .iter()
            .zip(operands)
            .map(|(name, (ty, dims))| format!("  {word} {sign}{name}: {ty}[{dims}]\n"))
            .collect()
    };
    let declared: String = sizes.iter().map(|it| format!("  size {it}\n")).collect();
    let args: String = (0..operands.len()).map(|i| format!("%in{i}, ")).collect();
    let dtype = operands[0].0;
    let from: String = ["b", "m", "n"]
        .iter()
        .zip([3, 4, 5])
        .map(|(it, i)| format!("  from {it} = %in{}[0]\n", operands.len() + i - 3))
        .collect();
    let text = format!(
        "plan @main {{\n{declared}{}  in sb: i8[b]\n  in sm: i8[m]\n  in sn: i8[n]\n  out y: {dtype}[{result}]\n{from}  routine @r = \"attention\" with {{{attrs}}} {{\n{declared}{}    out %y: {dtype}[{result}]\n  }}\n  steps {{\n    alloc %out0\n    call 0 @r({args}%out0) [b, m, n]\n  }}\n}}\n",
        all("in", ""),
        all("in", "%"),
    );
    let plan = parse_plan(&text, &ConstPool::default()).unwrap_or_else(|it| panic!("{text}\n{it}"));
    verify(&plan).unwrap_or_else(|it| panic!("{text}\n{it}"));
    plan
}

/// Data of the operands of a plan where its sizes are these.
fn inputs(operands: &[(&str, &str)], [b, m, n]: [u64; 3]) -> Vec<TensorData> {
    let mut random = Random(b * 1000 + m * 100 + n);
    let size = |it: &str| match it.trim() {
        "b" => b,
        "m" => m,
        "n" => n,
        number => number.parse().expect("a number"),
    };
    let mut inputs: Vec<TensorData> = operands
        .iter()
        .map(|(ty, dims)| {
            let dims: Vec<u64> = dims.split(',').map(size).collect();
            random.tensor(ty.parse::<DType>().expect("a type"), &dims)
        })
        .collect();
    inputs.extend([b, m, n].map(|it| TensorData::from_f64(DType::I8, &[it], vec![0.0; it as usize])));
    inputs
}

fn agree(attrs: &str, operands: &[(&str, &str)], result: &str, sizes: &[[u64; 3]]) {
    let plan = plan(attrs, operands, result);
    let compiled: Vec<_> = all_cpus().iter().map(|it| compiled_with(&plan, it)).collect();
    for sizes in sizes {
        let inputs = inputs(operands, *sizes);
        let wanted = eval_plan(&plan, &inputs).unwrap();
        for (cpu, compiled) in compiled.iter().enumerate() {
            let what = format!("{attrs} {operands:?} {sizes:?} on {cpu}");
            assert_close(&what, &call(&in_memory(compiled, true), &inputs).unwrap()[0], &wanted[0]);
            assert_close(&what, &call_divided(compiled, &inputs).unwrap()[0], &wanted[0]);
        }
    }
}

/// Around tiles and blocks: 192 queries and 256 keys are the most of a block.
const SIZES: [[u64; 3]; 6] = [[1, 1, 1], [2, 5, 3], [1, 33, 257], [1, 200, 40], [0, 3, 3], [2, 3, 0]];

#[test]
fn operands_and_results_may_be_transposed() {
    let heads = "q_perm = [0, 2, 1, 3], k_perm = [0, 2, 1, 3], v_perm = [0, 2, 1, 3], out_perm = [0, 2, 1, 3], scale = 0.35";
    let operands =
        [("f32", "b, m, 3, 8"), ("f32", "b, n, 3, 8"), ("f32", "b, n, 3, 20"), ("f32", "b, 1, 1, n")];
    agree(heads, &operands, "b, m, 3, 20", &SIZES);
    let turned = "q_perm = [0, 2, 1], k_perm = [0, 2, 1], v_perm = [0, 2, 1], scale = -0.5";
    agree(turned, &[("f32", "b, 8, m"), ("f32", "b, 8, n"), ("f32", "b, 5, n")], "b, m, 5", &SIZES);
}

#[test]
fn narrow_floats_are_computed_as_f32() {
    for ty in ["f16", "bf16"] {
        let operands = [(ty, "b, 2, m, 16"), (ty, "b, 1, n, 16"), (ty, "b, 1, n, 16"), ("bool", "m, n")];
        agree("scale = 0.25, hidden = -10000.0, safe = true", &operands, "b, 2, m, 16", &SIZES[..3]);
        let operands = [(ty, "b, m, 16"), (ty, "b, n, 16"), (ty, "b, n, 4"), (ty, "n")];
        agree("scale = 0.25, k_perm = [0, 1, 2]", &operands, "b, m, 4", &SIZES[..3]);
    }
}

/// A block that is hidden whole takes nothing from those after it; a row that sees nothing is NaN, or 0.
#[test]
fn rows_that_see_nothing() {
    let operands = [("f32", "b, m, 4"), ("f32", "b, n, 4"), ("f32", "b, n, 4"), ("bool", "m, n")];
    for safe in [false, true] {
        let plan = plan(&format!("scale = 1.0, safe = {safe}"), &operands, "b, m, 4");
        let mut inputs = inputs(&operands, [1, 3, 600]);
        let shown = |row: u64, key: u64| match row {
            0 => key >= 590,
            1 => false,
            _ => key < 3,
        };
        let values = (0..3 * 600).map(|i| f64::from(u8::from(shown(i / 600, i % 600))));
        inputs[3] = TensorData::from_f64(DType::Bool, &[3, 600], values.collect::<Vec<_>>());
        let wanted = eval_plan(&plan, &inputs).unwrap();
        let found = call(&in_memory(&compiled(&plan), true), &inputs).unwrap();
        assert_close("rows", &found[0], &wanted[0]);
        assert_eq!(found[0].get_f64(4).is_nan(), !safe);
    }
}

/// Large scores of many terms, in several blocks: each result is as near to that of f64 as `docs/accuracy.md` says.
#[test]
fn errors_are_within_their_bound() {
    let (m, n, d, e) = (7, 600, 64, 24);
    let operands = [("f32", "b, m, 64"), ("f32", "b, n, 64"), ("f32", "b, n, 24")];
    for scale in [0.125, -1.5] {
        let plan = plan(&format!("scale = {scale:?}"), &operands, "b, m, 24");
        let inputs = inputs(&operands, [1, m as u64, n as u64]);
        let [q, k, v] = [&inputs[0], &inputs[1], &inputs[2]].map(TensorData::to_f64);
        let largest = v.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
        // A mean and how far away from it a result may be, for each column of each row.
        let wanted = |row: usize| {
            let terms = |key: usize| (0..d).map(move |i| (row * d + i, key * d + i));
            let scores = (0..n).map(|key| terms(key).map(|(a, b)| q[a] * k[b]).sum::<f64>() * scale);
            let scores: Vec<f64> = scores.collect();
            let sizes = (0..n).map(|key| terms(key).map(|(a, b)| (q[a] * k[b] * scale).abs()).sum::<f64>());
            let size = sizes.fold(0.0, f64::max);
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|it| (it - most).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let blocks = n.div_ceil(256) as f64;
            let units = (d as f64 + 4.0 + 2.0 * blocks) * size + n as f64 + 7.0 * blocks + 8.0;
            let bound = units * 2.0_f64.powi(-23) * largest;
            let mean =
                |column: usize| (0..n).map(|key| weights[key] * v[key * e + column]).sum::<f64>() / sum;
            (0..e).map(|column| (mean(column), bound)).collect::<Vec<_>>()
        };
        let wanted: Vec<(f64, f64)> = (0..m).flat_map(wanted).collect();
        for (cpu, options) in all_cpus().iter().enumerate() {
            let found = call(&in_memory(&compiled_with(&plan, options), true), &inputs).unwrap()[0].to_f64();
            assert_eq!(found.len(), wanted.len());
            for (found, (mean, bound)) in found.into_iter().zip(&wanted) {
                let error = (found - mean).abs();
                assert!(error <= *bound, "{error:e} is more than {bound:e} on {cpu}, scale {scale}");
            }
        }
    }
}

/// Law N3.
#[test]
fn shapes_that_are_no_attention_are_refused() {
    let f32s = |dims: [&'static str; 3]| dims.map(|it| ("f32", it));
    for (attrs, operands, result) in [
        ("scale = 1.0", f32s(["b, m, 4", "b, n, 5", "b, n, 4"]), "b, m, 4"),
        ("scale = 1.0", f32s(["b, m, 4", "b, n, 4", "b, m, 4"]), "b, m, 4"),
        ("scale = 1.0", f32s(["b, m, 4", "m, n, 4", "b, n, 4"]), "b, m, 4"),
        ("scale = 1.0, q_perm = [0, 0, 1]", f32s(["b, m, 4", "b, n, 4", "b, n, 4"]), "b, m, 4"),
        ("scale = 1.0, q_perm = [2, 1, 0]", f32s(["4, m, b", "b, n, 4", "b, n, 4"]), "b, m, 4"),
        ("safe = true", f32s(["b, m, 4", "b, n, 4", "b, n, 4"]), "b, m, 4"),
    ] {
        let plan = plan(attrs, &operands, result);
        let refused = compile(&plan.into(), &Metadata::default(), &harness::options()).expect_err("refused");
        assert_eq!(refused.0[0].code, "C008", "{attrs} {operands:?}");
    }
}
