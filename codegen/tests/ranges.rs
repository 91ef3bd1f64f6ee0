//! Conditions that hold in a range of each row: of sizes and axes, or of an integer that data give. Results against the
//! reference on every instruction set, in lanes as narrow as the values.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{Random, all_cpus, assert_close, call, call_divided, compiled_with, in_memory, plan_of};
use orogen_ir::loops::{parse_program, verify};
use orogen_ir::types::{DType, TensorData};
use orogen_reference::eval_program;

const COMPARISONS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

/// Runs `select(condition, %x, otherwise)` over two planes of rows; `%k` is an integer for each row.
fn check(condition: &str, otherwise: &str, dtype: DType, [rows, n]: [i64; 2], ks: &[i64]) {
    let text = format!(
        "kernel @ranges {{
  size m
  size n
  in %x: {dtype}[2, m, n]
  in %y: {dtype}[n]
  in %k: i64[m]
  out %z: {dtype}[2, m, n]
  for b < 2, i < m, j < n {{ %z[b, i, j] = select({condition}, %x[b, i, j], {otherwise}) }}
}}
"
    );
    let program = parse_program(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
    verify(&program).unwrap_or_else(|it| panic!("{it}\n{text}"));
    let mut random = Random(n as u64 + 3);
    let k: Vec<u8> = (0..rows as usize).flat_map(|i| ks[i % ks.len()].to_le_bytes()).collect();
    let inputs = [
        random.tensor(dtype, &[2, rows as u64, n as u64]),
        random.tensor(dtype, &[n as u64]),
        TensorData::new(DType::I64, vec![rows as u64], k.into()).unwrap(),
    ];
    let sizes = [rows, n];
    let expected = eval_program(&program, &sizes, &inputs).unwrap();
    for options in all_cpus() {
        let compiled = compiled_with(&plan_of(&program, &sizes), &options);
        let strategy = compiled.kernels()[0].strategy.clone();
        let narrow = dtype.size() < 4 && !dtype.is_float();
        let lanes = if narrow { format!("lanes of {} bits", 8 * dtype.size()) } else { String::new() };
        assert!(!strategy.iter().any(|it| it.contains("scalar")), "{strategy:?}\n{text}");
        assert!(
            strategy.iter().all(|it| it.contains("1 guarded") && it.contains(&lanes)),
            "{strategy:?}\n{text}"
        );
        let what = format!("{} {sizes:?} {strategy:?}\n{text}", options.cpu);
        let got = call(&in_memory(&compiled, true), &inputs).unwrap();
        assert_close(&what, &got[0], &expected[0]);
        let got = call_divided(&compiled, &inputs).unwrap();
        assert_close(&what, &got[0], &expected[0]);
    }
}

#[test]
fn ranges_of_sizes_and_axes() {
    for op in COMPARISONS {
        for sides in [
            "dim<i64>(j) {op} dim<i64>(i)",
            "dim<i64>(i - j + 3) {op} i64(0)",
            "dim<i64>(n - 5) {op} dim<i64>(j + 2*i)",
        ] {
            let condition = sides.replace("{op}", op);
            for dtype in [DType::F32, DType::I8, DType::Bool] {
                check(&condition, &zero(dtype), dtype, [7, 83], &[0]);
            }
            check(&condition, "%y[j]", DType::I16, [5, 37], &[0]);
            check(&condition, "%y[j]", DType::F16, [40, 19], &[0]);
            check(&condition, "%y[j]", DType::F64, [3, 70], &[0]);
        }
    }
}

/// Beyond both ends of the row, and at the ends of the type.
#[test]
fn ranges_that_data_give() {
    let ks = [0, -1, 1, 82, 83, 84, 40, 1000, i64::MIN, i64::MAX, i64::MIN + 1, 1 << 41, -(1 << 41), 1 << 32];
    for op in COMPARISONS {
        for condition in [format!("dim<i64>(j) {op} %k[i]"), format!("%k[i] {op} dim<i64>(j + i - 2)")] {
            for dtype in [DType::F32, DType::U8, DType::Bool, DType::I64] {
                check(&condition, &zero(dtype), dtype, [14, 83], &ks);
            }
            check(&condition, "%y[j]", DType::BF16, [14, 83], &ks);
        }
    }
    // One row, of one element and more.
    for n in [1, 2, 200] {
        check("%k[i] == dim<i64>(j)", "%y[j]", DType::I8, [1, n], &[n - 1]);
    }
}

/// What is elsewhere: a constant, where the text has one of the type.
fn zero(dtype: DType) -> String {
    if dtype == DType::Bool { "%y[j]".to_owned() } else { format!("{dtype}(0)") }
}
