//! Plans so long that they are cut into parts, each a function of its own.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{Random, call, jit};
use orogen_ir::plan::{CallPlan, parse_plan, verify};
use orogen_ir::types::{ConstPool, DType, TensorData};
use orogen_reference::eval_plan;
use std::fmt::Write;

const INPUTS: usize = 180;
const ADDS: usize = 300;

const KERNELS: &str = "
  kernel @add {
    size n
    in %a: f32[n]
    in %b: f32[n]
    out %y: f32[n]
    for i < n { %y[i] = %a[i] * f32(0.5) + %b[i] }
  }
  kernel @below {
    in %at: i64[1]
    in %end: i64[1]
    out %c: bool[]
    %c[] = %at[0] < %end[0]
  }
  kernel @next {
    in %at: i64[1]
    out %next: i64[1]
    for i < 1 { %next[i] = %at[i] + i64(1) }
  }
";

/// `ADDS` additions into `%out0`.
fn adds(text: &mut String) {
    for i in 0..ADDS {
        let (from, to) = if i % 2 == 0 { (0, 1) } else { (1, 0) };
        writeln!(text, "      call 0 @add(%out{from}, %in{}, %out{to}) [n]", 1 + i % (INPUTS - 1)).unwrap();
    }
}

/// Inputs `x0` to `x179` of `n`, `twice` of `2*n`, the number of turns and a condition. Both sides of the branch and the
/// body of the loop are longer than a part; a symbol counts the turns.
fn long() -> CallPlan {
    let mut text = "plan @main {\n  size n\n  size k\n  integer m\n".to_owned();
    for i in 0..INPUTS {
        writeln!(text, "  in x{i}: f32[n]").unwrap();
    }
    let [twice, turns, cond] = [INPUTS, INPUTS + 1, INPUTS + 2];
    text += "  in twice: f32[2*n]\n  in turns: i64[1]\n  in cond: bool[]\n";
    text += "  out y: f32[n]\n  out z: f32[n]\n  out at: i64[1]\n  out next: i64[1]\n  out c: bool[]\n  out w: f32[2*n]\n";
    text += "  from n = %in0[0]\n  constant i64[1] [0]\n";
    text += KERNELS;
    text += "  steps {\n";
    (0..6).for_each(|i| writeln!(text, "    alloc %out{i}").unwrap());
    writeln!(text, "    bind k = %in{turns}[0]: i64\n    check k >= 0 \"turns\"").unwrap();
    text += "    let m = k\n    copy %in0 to %out0; 4*n\n    copy #0 to %out2; 8\n";
    adds(&mut text);
    writeln!(text, "    while {{\n      call 1 @below(%out2, %in{turns}, %out4)\n    }} %out4 {{").unwrap();
    text += "      call 2 @next(%out2, %out3)\n      copy %out3 to %out2; 8\n      let m = m + 2\n";
    adds(&mut text);
    writeln!(text, "    }}\n    if %in{cond} {{").unwrap();
    adds(&mut text);
    text += "      let m = m + 100\n    } else {\n";
    adds(&mut text);
    adds(&mut text);
    text += "    }\n    check m <= 12 \"all turns\"\n";
    adds(&mut text);
    writeln!(text, "    copy %out2 to %out3; 8\n    copy %in{twice} to %out5; 8*n\n  }}\n}}").unwrap();
    let plan = parse_plan(&text, &ConstPool::default()).unwrap_or_else(|it| panic!("{it}"));
    verify(&plan).unwrap_or_else(|it| panic!("{it}"));
    plan
}

fn inputs(n: u64, turns: i64, cond: bool) -> Vec<TensorData> {
    let mut random = Random(7);
    let mut all: Vec<TensorData> = (0..INPUTS).map(|_| random.tensor(DType::F32, &[n])).collect();
    all.push(random.tensor(DType::F32, &[2 * n]));
    all.push(TensorData::from_f64(DType::I64, &[1], [turns as f64]));
    all.push(TensorData::from_f64(DType::Bool, &[], [f64::from(u8::from(cond))]));
    all
}

#[test]
fn parts_compute_what_the_plan_says() {
    let plan = long();
    for host in [true, false] {
        let function = jit(&plan, host);
        for (n, turns) in [(5, 0), (3, 1), (17, 4)] {
            let given = inputs(n, turns, false);
            let expected = eval_plan(&plan, &given).unwrap();
            assert_eq!(call(&function, &given).unwrap(), expected, "{n}, {turns}");
        }
    }
}

#[test]
fn an_error_in_a_part_ends_the_call() {
    let plan = long();
    let function = jit(&plan, true);
    let error = |given: &[TensorData]| call(&function, given).unwrap_err().to_string();
    let mut given = inputs(4, 1, false);
    given[INPUTS - 2] = Random(1).tensor(DType::F32, &[5]);
    let text = error(&given);
    assert!(text.contains("input `x178`: dimension 0 (`n`): expected 4, got 5"), "{text}");
    let mut given = inputs(4, 1, false);
    given[INPUTS] = Random(1).tensor(DType::F32, &[9]);
    let text = error(&given);
    assert!(text.contains("input `twice`: dimension 0 (`2*n`): expected 8, got 9"), "{text}");
    // The symbol is counted by the loop and by the branch, in parts of their own.
    let text = error(&inputs(4, 5, false));
    assert!(text.contains("all turns: expected at most 12, got 15"), "{text}");
    let text = error(&inputs(4, 1, true));
    assert!(text.contains("all turns: expected at most 12, got 103"), "{text}");
    let text = error(&inputs(4, -1, true));
    assert!(text.contains("element 0 of input `turns`: expected at least 0, got -1"), "{text}");
    assert!(call(&function, &inputs(4, 1, false)).is_ok());
}

/// A text that takes all the room of a message does not take what stands between its numbers.
#[test]
fn a_long_message_ends_with_its_numbers() {
    let text = format!(
        "plan @main {{
  size n
  in x: f32[n]
  out y: f32[n]
  from n = %in0[0]
  steps {{
    check n <= 2 \"{}\"
    alloc %out0
    copy %in0 to %out0; 4*n
  }}
}}
",
        "m".repeat(2000)
    );
    let plan = parse_plan(&text, &ConstPool::default()).unwrap_or_else(|it| panic!("{it}"));
    let error = call(&jit(&plan, true), &[Random(1).tensor(DType::F32, &[3])]).unwrap_err().to_string();
    assert!(error.len() > 850 && error.ends_with("m 2, got 3"), "{error}");
}
