//! Kernels that abort: an index from data that is out of range ends the call with an error, on every instruction set,
//! with threads and without, and nothing outside of the buffers is touched.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{Random, all_cpus, assert_close, call, compiled_with, in_memory, plan_of};
use orogen_ir::loops::{TensorProgram, parse_program, print_program, verify};
use orogen_ir::plan::Step;
use orogen_ir::types::{DType, Effects, TensorData};
use orogen_reference::eval_program;

fn parse(text: &str) -> TensorProgram {
    let program = parse_program(text).unwrap_or_else(|it| panic!("{it}\n{text}"));
    verify(&program).unwrap_or_else(|it| panic!("{it}\n{text}"));
    assert_eq!(print_program(&program).text, text);
    assert_eq!(program.effects(), Effects::ABORT);
    program
}

/// What the oracle and the code say to these inputs: the same results, or the same clause about an index.
fn check(text: &str, sizes: &[i64], inputs: &[TensorData], wrong: Option<&str>) {
    check_strategy(text, sizes, inputs, wrong, |_| true);
}

/// The same, for code that is made in some way.
fn check_strategy(
    text: &str,
    sizes: &[i64],
    inputs: &[TensorData],
    wrong: Option<&str>,
    wanted: impl Fn(&[String]) -> bool,
) {
    let program = parse(text);
    let expected = eval_program(&program, sizes, inputs);
    let mut plan = plan_of(&program, sizes);
    if let Some(Step::Kernel { source, .. }) = plan.steps.last_mut() {
        *source = "node `g` (Gather)".into();
    }
    for options in all_cpus() {
        for (threads, host) in [(1, false), (1, true), (4, true)] {
            let compiled =
                compiled_with(&plan, &orogen_codegen::CodegenOptions { threads, ..options.clone() });
            let strategy = compiled.kernels()[0].strategy.clone();
            let what = format!("{} {threads} {host} {sizes:?} {strategy:?}\n{text}", options.cpu);
            assert!(wanted(&strategy), "{what}");
            let got = call(&in_memory(&compiled, host), inputs);
            let Some(wrong) = wrong else {
                let (got, expected) = (got.unwrap(), expected.as_ref().unwrap());
                got.iter().zip(expected).for_each(|(got, expected)| assert_close(&what, got, expected));
                continue;
            };
            let oracle = expected.as_ref().unwrap_err();
            let index = wrong.split(" is out").next().unwrap();
            assert!(oracle.message.starts_with(&format!("{index} is out of range")), "{oracle:?} {what}");
            let error = got.unwrap_err().to_string();
            // Without a host an error goes to tvm-ffi, which is not there.
            if host {
                assert_eq!(error, format!("`main`: IndexError: node `g` (Gather): {wrong}"), "{what}");
            }
        }
    }
}

fn ints(dtype: DType, values: &[i64]) -> TensorData {
    TensorData::from_f64(dtype, &[values.len() as u64], values.iter().map(|it| *it as f64))
}

#[test]
fn rows_are_gathered_or_refused() {
    for (dtype, width) in [(DType::I64, 40), (DType::I32, 40), (DType::I32, 1), (DType::I16, 7)] {
        let text = format!(
            "kernel @rows {{
  size n
  in %x: f32[30, {width}]
  in %ids: {dtype}[n]
  out %y: f32[n, {width}]
  for i < n, j < {width} {{ %y[i, j] = %x[checked {{%ids[i]}}, j] * f32(0.5) }}
}}
"
        );
        let x = Random(3).tensor(DType::F32, &[30, width]);
        let place =
            |index: i64| format!("index {index} is out of range for dimension 0 of `x`, which has 30");
        for (ids, wrong) in [
            (vec![0, 29, -1, -30, 7], None),
            (vec![], None),
            (vec![1, 30, 2], Some(30)),
            (vec![-31], Some(-31)),
            (vec![5, 5, 5, 5, 30_000], Some(30_000)),
        ] {
            let inputs = [x.clone(), ints(dtype, &ids)];
            check(&text, &[ids.len() as i64], &inputs, wrong.map(place).as_deref());
        }
        if dtype == DType::I64 {
            for index in [i64::MIN, i64::MAX] {
                let ids = TensorData::from_slice(dtype, &[1], &[index]);
                check(&text, &[1], &[x.clone(), ids], Some(&place(index)));
            }
        }
    }
}

#[test]
fn elements_are_gathered_or_refused() {
    for dtype in [DType::F32, DType::F64, DType::BF16, DType::Bool] {
        for indices in [DType::I64, DType::I32] {
            let text = format!(
                "kernel @elements {{
  size n
  size c
  in %x: {dtype}[3, n]
  in %ids: {indices}[3, c]
  out %y: {dtype}[3, c]
  for i < 3, j < c {{ %y[i, j] = %x[i, checked {{%ids[i, j]}}] }}
}}
"
            );
            let vector = |strategy: &[String]| strategy.iter().all(|it| it.contains("strips"));
            let place = |index: i64, n: i64| {
                format!("index {index} is out of range for dimension 1 of `x`, which has {n}")
            };
            for (n, c, wrong) in
                [(30, 41, None), (30, 16, Some((7, -31))), (30, 41, Some((122, 30))), (1, 3, None)]
            {
                let x = Random(3).tensor(dtype, &[3, n as u64]);
                let mut ids: Vec<i64> = (0..3 * c).map(|it| (it * 7 + 3) % (2 * n) - n).collect();
                if let Some((at, index)) = wrong {
                    ids[at] = index;
                }
                let ids = TensorData::from_f64(indices, &[3, c as u64], ids.iter().map(|it| *it as f64));
                let wrong = wrong.map(|it| place(it.1, n));
                check_strategy(&text, &[n, c], &[x, ids], wrong.as_deref(), vector);
            }
            // Of no elements none is in range, but none is asked for either.
            let empty = |n: u64| Random(3).tensor(dtype, &[3, n]);
            let ids = TensorData::from_f64(indices, &[3, 2], [0.0; 6]);
            check(&text, &[0, 2], &[empty(0), ids], Some(&place(0, 0)));
            let none = TensorData::from_f64(indices, &[3, 0], []);
            check(&text, &[0, 0], &[empty(0), none], None);
        }
    }
}

/// Many rows run in ranges on several threads; one of them is wrong.
#[test]
fn ranges_that_run_at_once_tell_of_one_index() {
    let text = "\
kernel @many {
  in %x: f32[64, 256]
  in %ids: i64[4096]
  out %y: f32[4096, 256]
  for i < 4096, j < 256 { %y[i, j] = %x[checked {%ids[i]}, j] }
}
";
    let x = Random(3).tensor(DType::F32, &[64, 256]);
    let ids: Vec<i64> = (0..4096).map(|it| it % 64).collect();
    check(text, &[], &[x.clone(), ints(DType::I64, &ids)], None);
    let mut wrong = ids;
    wrong[3000] = 64;
    let place = "index 64 is out of range for dimension 0 of `x`, which has 64";
    check(text, &[], &[x, ints(DType::I64, &wrong)], Some(place));
}

#[test]
fn unsigned_indices_do_not_count_from_the_end() {
    let text = "\
kernel @bytes {
  in %x: i32[3]
  in %ids: u8[4]
  out %y: i32[4]
  for i < 4 { %y[i] = %x[checked {%ids[i]}] }
}
";
    let x = ints(DType::I32, &[5, 6, 7]);
    check(text, &[], &[x.clone(), ints(DType::U8, &[2, 1, 0, 2])], None);
    let place = "index 255 is out of range for dimension 0 of `x`, which has 3";
    check(text, &[], &[x, ints(DType::U8, &[2, 1, 255, 2])], Some(place));
}

/// What is stored out of range, and what is loaded from a buffer without elements, though the load has a guard.
#[test]
fn stores_and_empty_dimensions_are_checked() {
    let text = "\
kernel @scatter {
  size n
  size r
  in %u: f32[n, 5]
  in %at: i64[n]
  out %y: f32[r, 5]
  for i < r, j < 5 { %y[i, j] = f32(0.0) }
  loop k < n {
    for j_1 < 5 { %y[checked {%at[k]}, j_1] = %y[checked {%at[k]}, j_1] + %u[k, j_1] }
  }
}
";
    let inputs = |at: &[i64]| [Random(4).tensor(DType::F32, &[at.len() as u64, 5]), ints(DType::I64, at)];
    check(text, &[3, 4], &inputs(&[1, -1, 1]), None);
    check(text, &[0, 0], &inputs(&[]), None);
    let place =
        |index: i64, r: i64| format!("index {index} is out of range for dimension 0 of `y`, which has {r}");
    check(text, &[3, 4], &inputs(&[1, 4, 1]), Some(&place(4, 4)));
    check(text, &[1, 0], &inputs(&[0]), Some(&place(0, 0)));
    let guarded = "\
kernel @guarded {
  size n
  in %x: f32[n, 2]
  in %at: i32[3]
  out %y: f32[3, 4]
  for i < 3, j < 4 { %y[i, j] = %x[checked {%at[i]}, j - 1 | f32(9.0)] }
}
";
    let x = Random(5).tensor(DType::F32, &[2, 2]);
    check(guarded, &[2], &[x.clone(), ints(DType::I32, &[0, 1, -2])], None);
    let place = "index 2 is out of range for dimension 0 of `x`, which has 2";
    check(guarded, &[2], &[x, ints(DType::I32, &[0, 2, -2])], Some(place));
}
