//! Kernels that write where they read, through the code generator on every instruction set: elementwise results over an
//! operand, updates, state of the caller.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{Random, all_cpus, assert_close, call, compiled_with, dlpack, in_memory};
use orogen_ir::plan::{CallPlan, parse_plan, print_plan, verify};
use orogen_ir::types::{ConstPool, DType, TensorData};
use orogen_reference::eval_plan;
use orogen_runtime::{Tensor, Value};

fn plan(text: &str) -> CallPlan {
    let plan = parse_plan(text, &ConstPool::default()).unwrap_or_else(|it| panic!("{it}\n{text}"));
    verify(&plan).unwrap_or_else(|it| panic!("{it}\n{text}"));
    assert_eq!(print_plan(&plan).text, text);
    plan
}

/// Runs a plan everywhere; `part` is in the strategy of its first kernel.
fn check(text: &str, inputs: &[TensorData], part: &str) {
    let plan = plan(text);
    let expected = eval_plan(&plan, inputs).unwrap_or_else(|it| panic!("{it}\n{text}"));
    for options in all_cpus() {
        let compiled = compiled_with(&plan, &options);
        let strategy = compiled.kernels()[0].strategy.clone();
        assert!(strategy.iter().any(|it| it.contains(part)), "no `{part}` in {strategy:?}\n{text}");
        let got = call(&in_memory(&compiled, true), inputs).unwrap();
        for (got, expected) in got.iter().zip(&expected) {
            assert_close(&format!("{} {strategy:?}\n{text}", options.cpu), got, expected);
        }
    }
}

/// Vectors, their tails, and what is less than a vector: every element is read before it is written.
#[test]
fn elementwise_results_lie_over_an_operand() {
    for (dtype, value) in [
        (DType::F32, "tanh(%x[i, j]) * %b[j] + %x[i, j]"),
        (DType::F32, "select(%x[i, j] < f32(0.0), %b[j], %x[i, j])"),
        (DType::F16, "%x[i, j] + %b[j]"),
        (DType::I64, "max(%x[i, j], %b[j])"),
        (DType::I8, "%x[i, j] + %b[j]"),
    ] {
        for (n, c) in [(1, 1), (3, 7), (2, 8), (5, 16), (1, 33), (9, 70), (0, 4)] {
            let text = format!(
                "plan @main {{
  in x: {dtype}[{n}, {c}]
  in b: {dtype}[{c}]
  out y: {dtype}[{n}, {c}]
  arena 8192
  slot %s0: {dtype}[{n}, {c}] = ^0[0]
  kernel @k {{
    in %x: {dtype}[{n}, {c}]
    in %b: {dtype}[{c}]
    out %y: {dtype}[{n}, {c}]
    for i < {n}, j < {c} {{ %y[i, j] = {value} }}
  }}
  steps {{
    alloc ^0
    alloc %out0
    copy %in0 to %s0; {bytes}
    call 0 @k(%s0, %in1, %s0)
    call 0 @k(%s0, %in1, %s0)
    copy %s0 to %out0; {bytes}
  }}
}}
",
                bytes = n * c * dtype.size() as u64
            );
            let mut random = Random(n * 100 + c);
            let inputs = [random.tensor(dtype, &[n, c]), random.tensor(dtype, &[c])];
            check(&text, &inputs, "");
        }
    }
}

#[test]
fn updates_write_what_they_say_and_nothing_else() {
    for width in [1, 5, 8, 40] {
        let text = format!(
            "plan @main {{
  size n
  in x: f32[9, {width}]
  in at: i64[n]
  in u: f32[n, {width}]
  out y: f32[9, {width}]
  from n = %in1[0]
  kernel @scatter {{
    size n
    in %at: i64[n]
    in %u: f32[n, {width}]
    inout %y: f32[9, {width}]
    loop k < n {{
      for j < {width} {{ %y[checked {{%at[k]}}, j] = %u[k, j] }}
    }}
  }}
  steps {{
    alloc %out0
    copy %in0 to %out0; {bytes}
    call 0 @scatter(%in1, %in2, %out0) [n]
  }}
}}
",
            bytes = 9 * width * 4
        );
        for at in [vec![], vec![3i64], vec![0, -1, 4, 0]] {
            let n = at.len() as u64;
            let mut random = Random(7);
            let inputs = [
                random.tensor(DType::F32, &[9, width]),
                TensorData::from_slice(DType::I64, &[n], &at),
                random.tensor(DType::F32, &[n, width]),
            ];
            check(&text, &inputs, if width > 1 { "strips" } else { "" });
        }
    }
}

const STATE: &str = "\
plan @main {
  size n
  in past: f32[n, 4]
  in row: f32[4]
  in at: i64[1]
  out present: f32[n, 4] over %in0
  from n = %in0[0]
  kernel @write {
    size n
    in %row: f32[4]
    in %at: i64[1]
    inout %past: f32[n, 4]
    for j < 4 { %past[checked {%at[0]}, j] = %row[j] }
  }
  steps {
    alloc %out0
    move %in0 to %out0
    call 0 @write(%in1, %in2, %out0) [n] loc(\"node `w` (ScatterND)\")
  }
}
";

#[test]
fn state_is_written_in_the_memory_of_the_caller() {
    let plan = plan(STATE);
    let function = in_memory(&compiled_with(&plan, &all_cpus()[0]), true);
    let mut random = Random(3);
    let (past, row) = (random.tensor(DType::F32, &[6, 4]), random.tensor(DType::F32, &[4]));
    let tensor = |data: &TensorData| {
        let dims: Vec<i64> = data.dims().iter().map(|it| *it as i64).collect();
        Tensor::from_bytes(dlpack(data.dtype()), &dims, &data.unpacked()).unwrap()
    };
    let at = TensorData::from_slice(DType::I64, &[1], &[-2i64]);
    let expected = eval_plan(&plan, &[past.clone(), row.clone(), at.clone()]).unwrap();
    let state = tensor(&past);
    let value = |it: &Tensor| Value::from(it.clone());
    function.call(&[value(&state), value(&tensor(&row)), value(&tensor(&at))]).unwrap();
    assert_eq!(state.as_bytes().unwrap(), &expected[0].bytes()[..]);
    // No other input may lie over it.
    let rows = tensor(&TensorData::from_slice(DType::F32, &[1, 4], &[1.0f32, 2.0, 3.0, 4.0]));
    let flat = parse_plan(
        &STATE
            .replace("in row: f32[4]", "in row: f32[1, 4]")
            .replace("in %row: f32[4]", "in %row: f32[1, 4]")
            .replace("= %row[j]", "= %row[0, j]"),
        &ConstPool::default(),
    )
    .unwrap();
    let function = in_memory(&compiled_with(&flat, &all_cpus()[0]), true);
    let error = function.call(&[
        value(&rows),
        value(&rows),
        value(&tensor(&TensorData::from_slice(DType::I64, &[1], &[0i64]))),
    ]);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("input `past` is state, which the call writes, and shares memory with input `row`"),
        "{error}"
    );
}
