//! Elements at places that data choose, one by one: scatters with and without a combination, the numbers of what is
//! selected, vectors that are stacked. Results against the reference, on every instruction set that this machine runs.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{Random, all_cpus, assert_close, call, compiled_with, dlpack, in_memory, plan_of};
use orogen_ir::loops::{TensorProgram, parse_program, verify};
use orogen_ir::plan::{parse_plan, verify as verify_plan};
use orogen_ir::types::{ConstPool, DType, TensorData};
use orogen_reference::{eval_plan, eval_program};
use orogen_runtime::{Tensor, Value};

fn parse(text: &str) -> TensorProgram {
    let program = parse_program(text).unwrap_or_else(|it| panic!("{it}\n{text}"));
    verify(&program).unwrap_or_else(|it| panic!("{it}\n{text}"));
    program
}

/// Runs a program of one size on inputs of several everywhere: every part of it is vector code, and one is what `part`
/// says.
fn check(text: &str, cases: &[(i64, Vec<TensorData>)], part: &str) {
    let program = parse(text);
    let oracle = |(size, inputs): &(i64, Vec<TensorData>)| {
        eval_program(&program, &[*size], inputs).unwrap_or_else(|it| panic!("{it}\n{text}"))
    };
    let expected: Vec<Vec<TensorData>> = cases.iter().map(oracle).collect();
    for options in all_cpus() {
        let compiled = compiled_with(&plan_of(&program, &[0]), &options);
        let strategy = compiled.kernels()[0].strategy.clone();
        let what = format!("{} {strategy:?}\n{text}", options.cpu);
        assert!(strategy.iter().any(|it| it.contains(part)), "no `{part}`: {what}");
        assert!(!strategy.iter().any(|it| it.contains("scalar loops")), "{what}");
        let function = in_memory(&compiled, true);
        for ((size, inputs), expected) in cases.iter().zip(&expected) {
            let got = call(&function, inputs).unwrap();
            for (got, expected) in got.iter().zip(expected) {
                assert_close(&format!("{size}: {what}"), got, expected);
            }
        }
    }
}

/// A plan that scatters updates into a copy of its first operand, or into its own memory where it is `state`.
fn scatter_plan(dtype: DType, indices: DType, n: u64, value: &str, state: bool) -> String {
    let (over, copy) = match state {
        true => (" over %in0", "move %in0 to %out0".to_owned()),
        false => ("", format!("copy %in0 to %out0; {}", 9 * 20 * dtype.size())),
    };
    format!(
        "plan @main {{
  in x: {dtype}[9, 20]
  in at: {indices}[{n}, 2]
  in u: {dtype}[{n}]
  out y: {dtype}[9, 20]{over}
  kernel @scatter {{
    in %at: {indices}[{n}, 2]
    in %u: {dtype}[{n}]
    inout %y: {dtype}[9, 20]
    loop k < {n} {{
      %y[checked {{%at[k, 0]}}, checked {{%at[k, 1]}}] = {value}
    }}
  }}
  steps {{
    alloc %out0
    {copy}
    call 0 @scatter(%in1, %in2, %out0)
  }}
}}
"
    )
}

/// Points with many twins: a sum of what was there before must see each of them.
fn points(random: &mut Random, dtype: DType, n: u64) -> TensorData {
    let values = (0..2 * n).map(|i| match (i % 2, random.below(4)) {
        (0, 0) => -(1.0 + random.below(9) as f64),
        (0, _) => random.below(9) as f64,
        _ => random.below(20) as f64 - 10.0,
    });
    let values: Vec<f64> = values.collect();
    TensorData::from_f64(dtype, &[n, 2], values)
}

#[test]
fn points_are_scattered_in_order() {
    for dtype in DType::computed() {
        let last = "%y[checked {%at[k, 0]}, checked {%at[k, 1]}]";
        let mut values = vec!["%u[k]".to_owned()];
        if dtype != DType::Bool {
            values.extend(["+", "*"].map(|op| format!("{last} {op} %u[k]")));
            values.extend(["max", "min"].map(|op| format!("{op}({last}, %u[k])")));
            values.push(format!("%u[k] * %u[k] - {last}"));
        }
        for (i, value) in values.iter().enumerate() {
            for (n, indices) in [(3, DType::I64), (37, if i % 2 == 0 { DType::I32 } else { DType::I64 })]
                .into_iter()
                .skip((i > 1).into())
            {
                let text = scatter_plan(dtype, indices, n, value, false);
                let plan =
                    parse_plan(&text, &ConstPool::default()).unwrap_or_else(|it| panic!("{it}\n{text}"));
                verify_plan(&plan).unwrap_or_else(|it| panic!("{it}\n{text}"));
                let mut random = Random(n + i as u64);
                let x = random.tensor(dtype, &[9, 20]);
                let inputs = [x, points(&mut random, indices, n), random.tensor(dtype, &[n])];
                let expected = eval_plan(&plan, &inputs).unwrap();
                for options in all_cpus() {
                    let compiled = compiled_with(&plan, &options);
                    let strategy = compiled.kernels()[0].strategy.clone();
                    let what = format!("{} {strategy:?}\n{text}", options.cpu);
                    assert!(n < 8 || strategy.iter().all(|it| it.contains("strips")), "{what}");
                    let got = call(&in_memory(&compiled, true), &inputs).unwrap();
                    assert_close(&what, &got[0], &expected[0]);
                }
            }
        }
    }
}

/// What one kernel updates, in loops of all kinds.
fn refusing(body: &str) -> String {
    format!(
        "plan @main {{
  in x: f32[9, 20]
  in at: i64[30]
  in u: f32[30, 20]
  out y: f32[9, 20] over %in0
  kernel @scatter {{
    in %at: i64[30]
    in %u: f32[30, 20]
    inout %y: f32[9, 20]
{body}  }}
  steps {{
    alloc %out0
    move %in0 to %out0
    call 0 @scatter(%in1, %in2, %out0) loc(\"node `s` (Scatter)\")
  }}
}}
"
    )
}

#[test]
fn an_index_out_of_range_leaves_state_as_it_was() {
    let kinds = [
        ("rows", "    loop k < 30 {\n      for j < 20 { %y[checked {%at[k]}, j] = %u[k, j] }\n    }\n"),
        (
            "sums of rows",
            "    loop k < 30 {\n      for j < 20 { %y[checked {%at[k]}, j] = %y[checked {%at[k]}, j] + %u[k, j] }\n    }\n",
        ),
        ("points", "    loop k < 30 {\n      %y[checked {%at[k]}, 3] = %u[k, 3]\n    }\n"),
        (
            "sums of points",
            "    loop k < 30 {\n      %y[checked {%at[k]}, 3] = %y[checked {%at[k]}, 3] + %u[k, 3]\n    }\n",
        ),
        (
            "elements",
            "    loop k < 5 {\n      for j < 20 { %y[checked {%at[j + k]}, j] = %u[k, j] }\n    }\n",
        ),
        (
            "sums of elements",
            "    loop k < 5 {\n      for j < 20 { %y[checked {%at[j + k]}, j] = %y[checked {%at[j + k]}, j] + %u[k, j] }\n    }\n",
        ),
        (
            "what is gathered",
            "    loop k < 5 {\n      %y[checked {%at[k]}, 3] = %u[checked {%at[k + 20]}, 3]\n    }\n",
        ),
        (
            "scalar loops",
            "    loop k < 30 {\n      %y[checked {%at[k]}, 3] = sin(%y[checked {%at[k]}, 4]) + %u[k, 3]\n    }\n",
        ),
    ];
    for (kind, body) in kinds {
        let text = refusing(body);
        let plan = parse_plan(&text, &ConstPool::default()).unwrap_or_else(|it| panic!("{it}\n{text}"));
        verify_plan(&plan).unwrap_or_else(|it| panic!("{it}\n{text}"));
        let mut random = Random(3);
        let (x, u) = (random.tensor(DType::F32, &[9, 20]), random.tensor(DType::F32, &[30, 20]));
        let tensor = |data: &TensorData| {
            let dims: Vec<i64> = data.dims().iter().map(|it| *it as i64).collect();
            Tensor::from_bytes(dlpack(data.dtype()), &dims, &data.unpacked()).unwrap()
        };
        // The last index that a loop reads is bad, or none.
        for bad in [Some(40), Some(-40), None] {
            let mut at: Vec<i64> = (0..30).map(|i| i * 5 % 9).collect();
            if let Some(bad) = bad {
                at[if kind.contains("elements") || kind == "what is gathered" { 23 } else { 29 }] = bad;
            }
            let at = TensorData::from_slice(DType::I64, &[30], &at);
            for options in all_cpus() {
                let compiled = compiled_with(&plan, &options);
                let what = format!("{kind} {} {bad:?} {:?}", options.cpu, compiled.kernels()[0].strategy);
                let state = tensor(&x);
                let args = [&state, &tensor(&at), &tensor(&u)].map(|it| Value::from(it.clone()));
                let result = in_memory(&compiled, true).call(&args);
                let now = TensorData::from_unpacked(
                    DType::F32,
                    x.dims().to_vec(),
                    state.as_bytes().unwrap().to_vec().into(),
                )
                .unwrap();
                let Some(bad) = bad else {
                    result.unwrap();
                    let inputs = [x.clone(), at.clone(), u.clone()];
                    let expected = eval_plan(&plan, &inputs).unwrap();
                    assert_close(&what, &now, &expected[0]);
                    assert_ne!(now.bytes(), x.bytes(), "{what}");
                    continue;
                };
                let error = result.expect_err(&what).to_string();
                assert!(error.contains(&format!("index {bad} is out of range for dimension 0")), "{error}");
                assert_eq!(now.bytes(), x.bytes(), "{what}");
            }
        }
    }
}

/// The numbers of elements that are selected, and how many there are.
#[test]
fn what_is_selected_is_numbered() {
    for dtype in DType::computed() {
        let (number, cast) = (if dtype.is_float() { "0.5" } else { "3" }, "cast<bool>(%x[i])");
        let mut hits = vec![if dtype == DType::Bool { "%x[i]" } else { cast }.to_owned()];
        if dtype != DType::Bool {
            hits.push(format!("%x[i] < {dtype}({number})"));
            hits.push("%x[i] < %limit[0]".to_owned());
        }
        for hit in hits {
            let limit =
                if hit.contains("limit") { format!("  in %limit: {dtype}[1]\n") } else { String::new() };
            let text = format!(
                "kernel @select {{
  size n
  in %x: {dtype}[n]
{limit}  out %places: i64[n]
  out %count: i64[1]
  %count[0] = i64(0)
  for j < n {{ %places[j] = i64(0) }}
  loop i < n {{
    %places[{{min(max(%count[0], i64(0)), dim<i64>(i))}}] = dim<i64>(i)
    %count[0] = %count[0] + cast<i64>({hit})
  }}
}}
"
            );
            let case = |n: u64| {
                let mut random = Random(n);
                let sparse = random.below(3);
                let values: Vec<f64> = (0..n)
                    .map(|_| match random.below(1 + 5 * sparse) {
                        0 if sparse < 2 => 1.0,
                        1 if dtype.is_float() => -0.0,
                        2 if dtype.is_float() => f64::NAN,
                        3 if dtype.is_signed_int() => -1.0,
                        _ => 0.0,
                    })
                    .collect();
                let mut inputs = vec![TensorData::from_f64(dtype, &[n], values)];
                if !limit.is_empty() {
                    inputs.push(TensorData::from_f64(dtype, &[1], [1.0]));
                }
                (n as i64, inputs)
            };
            check(&text, &[0, 1, 2, 7, 8, 16, 17, 31, 64, 100, 257].map(case), "compaction");
        }
    }
}

#[test]
fn stacked_vectors_are_interleaved() {
    for dtype in DType::computed() {
        for count in [2usize, 3, 4, 8] {
            let names: Vec<String> = (0..count).map(|i| format!("x{i}")).collect();
            let inputs: String = names.iter().map(|it| format!("  in %{it}: {dtype}[5, n]\n")).collect();
            let stages: String = (0..count)
                .map(|i| {
                    format!("  for i{i} < 5, j{i} < n, k{i} < 1 {{ %y[i{i}, j{i}, k{i} + {i}] = %x{i}[i{i}, j{i}] }}\n")
                })
                .collect();
            let text =
                format!("kernel @stack {{\n  size n\n{inputs}  out %y: {dtype}[5, n, {count}]\n{stages}}}\n");
            let case = |n: u64| {
                let mut random = Random(n);
                (n as i64, names.iter().map(|_| random.tensor(dtype, &[5, n])).collect())
            };
            check(&text, &[0, 1, 7, 16, 33].map(case), "strips");
        }
    }
}

#[test]
fn sums_of_two_vectors_are_interleaved_with_their_products() {
    let text = "kernel @pairs {
  size n
  in %x: f32[n]
  in %z: f32[n]
  out %y: f32[n, 2]
  for i < n { %y[i, 0] = %x[i] + %z[i] }
  for j < n { %y[j, 1] = %x[j] * %z[j] }
}
";
    let case = |n: u64| {
        let mut random = Random(n);
        (n as i64, vec![random.tensor(DType::F32, &[n]), random.tensor(DType::F32, &[n])])
    };
    check(text, &[0, 3, 16, 50].map(case), "strips of 2*n (2 by 2");
}
