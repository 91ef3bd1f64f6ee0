//! Phases of kernels: how they are divided, and that results have the same bits whatever the ranges are (laws D1 to D4 of
//! `select::parts`), on every instruction set.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{all_cpus, assert_close, call, call_divided, compiled_with, in_memory, with_constants};
use orogen_codegen::{CodegenOptions, Compiled, Cpu};
use orogen_ir::loops::{TensorProgram, parse_program, verify};
use orogen_ir::types::TensorData;
use orogen_reference::eval_program;

struct Case {
    text: &'static str,
    constants: &'static [&'static str],
    /// For each phase, the iterations that may run at the same time, where lanes are those of AVX2.
    extents: &'static [&'static str],
    sizes: &'static [i64],
}

fn program(text: &str) -> TensorProgram {
    let program = parse_program(text).unwrap_or_else(|it| panic!("{it}\n{text}"));
    verify(&program).unwrap_or_else(|it| panic!("{it}\n{text}"));
    program
}

fn extents(compiled: &Compiled) -> Vec<&str> {
    compiled.kernels()[0].phases.iter().map(|it| &it.extent[..]).collect()
}

impl Case {
    fn check(&self) {
        let Case { text, constants, sizes, .. } = *self;
        let program = program(text);
        let (plan, all, given) = with_constants(&program, sizes, constants, 7);
        let expected = eval_program(&program, sizes, &all).unwrap();
        for options in all_cpus() {
            let compiled = compiled_with(&plan, &options);
            let what = format!("{} {:?}\n{text}", options.cpu, compiled.kernels()[0].strategy);
            if options.cpu == Cpu::Avx2 {
                assert_eq!(extents(&compiled), self.extents, "{what}");
            }
            let got = call_divided(&compiled, &given).unwrap();
            got.iter().zip(&expected).for_each(|(got, expected)| assert_close(&what, got, expected));
            // One thread, no host, and code that knows of one thread alone.
            let serial = compiled_with(&plan, &CodegenOptions { threads: 1, ..options.clone() });
            assert_eq!(extents(&serial), ["1"], "{what}");
            for whole in [in_memory(&compiled, true), in_memory(&compiled, false), in_memory(&serial, true)] {
                let whole = call(&whole, &given).unwrap();
                for (got, whole) in got.iter().zip(&whole) {
                    assert_eq!(got.bytes(), whole.bytes(), "{what}");
                }
            }
        }
    }
}

/// A reduction in two stages, whose first result lies in memory that all threads see.
const TWO_STAGES: Case = Case {
    text: "kernel @two {
  in %x: f32[96, 40, 64]
  out %y: f32[64]
  out %z: f32[96, 64]
  local %t: f32[96, 64]
  for i < 96, k < 64 { %t[i, k] = sum j < 40 { %x[i, j, k] } }
  for k2 < 64 { %y[k2] = max i2 < 96 { %t[i2, k2] } }
  for i3 < 96, k3 < 64 { %z[i3, k3] = %t[i3, k3] * f32(0.5) }
}
",
    constants: &[],
    extents: &["96", "1"],
    sizes: &[],
};

/// A product, and rows over what it made.
const PRODUCT_AND_ROWS: Case = Case {
    text: "kernel @product_rows {
  size m
  in %x: f32[m, 200]
  in %w: f32[200, 300]
  out %y: f32[m, 300]
  local %t: f32[m, 300]
  local %most: f32[m]
  for i < m, j < 300 { %t[i, j] = sum k < 200 { %x[i, k] * %w[k, j] } }
  for i2 < m { %most[i2] = max j2 < 300 { %t[i2, j2] } }
  for i3 < m, j3 < 300 { %y[i3, j3] = exp(%t[i3, j3] - %most[i3]) }
}
",
    constants: &["w"],
    extents: &["floordiv(m + 5, 6)", "m"],
    sizes: &[131],
};

/// One result of many elements: partial results, and what combines them.
const WHOLE: Case = Case {
    text: "kernel @whole {
  in %x: f32[48, 50, 100]
  out %y: f32[1]
  out %z: f32[2]
  for i < 1 { %y[i] = sum a < 48, b < 50, c < 100 { %x[a, b, c] * %x[a, b, c] } }
  for j < 2 { %z[j] = max d < 48, e < 25, f < 100 { %x[d, 2 * e + j, f] } }
}
",
    constants: &[],
    extents: &["48", "1", "48", "1"],
    sizes: &[],
};

/// The same, so many times as the caller says.
const WHOLE_OF_ANY_SIZE: Case = Case {
    text: "kernel @any {
  size n
  in %x: f32[n, 30, 100]
  out %y: f32[1]
  out %z: f32[1]
  for i < 1 { %y[i] = sum a < n, b < 30, c < 100 { %x[a, b, c] } }
  for j < 1 { %z[j] = %y[j] * f32(0.5) }
}
",
    constants: &[],
    extents: &["n", "1"],
    sizes: &[37],
};

/// One row of sums over many: its elements are divided.
const ONE_ROW: Case = Case {
    text: "kernel @row {
  in %x: f32[200, 700]
  out %y: f32[700]
  for j < 700 { %y[j] = sum i < 200 { %x[i, j] } }
}
",
    constants: &[],
    extents: &["6"],
    sizes: &[],
};

/// Rows that are cut into halves, which are read in the other order, between two other parts.
const ROTATED: Case = Case {
    text: "kernel @rotated {
  in %x: f32[2000, 64]
  in %c: f32[2000, 64]
  out %y: f32[2000, 64]
  out %z: f32[2000, 64]
  local %t: f32[2000, 64]
  for i < 2000, j < 64 { %y[i, j] = %x[i, j] * %c[i, j] }
  for i2 < 2000, j2 < 64 {
    %t[i2, j2] = select(dim<i64>(j2) < i64(32), neg(%x[i2, j2 + 32 | f32(0.0)]), %x[i2, j2 - 32 | f32(0.0)])
  }
  for i3 < 2000, j3 < 64 { %z[i3, j3] = %t[i3, j3] + %y[i3, j3] }
}
",
    constants: &[],
    extents: &["32", "2000", "32"],
    sizes: &[],
};

/// An image of few outputs: channels are divided, with their biases and what is added to them.
const FEW_OUTPUTS: Case = Case {
    text: "kernel @channels {
  in %x: f32[1, 80, 9, 5]
  in %w: f32[310, 80, 3, 3]
  in %b: f32[310]
  in %r: f32[1, 310, 7, 3]
  out %y: f32[1, 310, 7, 3]
  local %t: f32[1, 310, 7, 3]
  for n < 1, m < 310, h < 7, v < 3 { %t[n, m, h, v] = sum c < 80, i < 3, j < 3 { %x[n, c, h + i, v + j] * %w[m, c, i, j] } }
  for n2 < 1, m2 < 310, h2 < 7, v2 < 3 { %y[n2, m2, h2, v2] = %t[n2, m2, h2, v2] + %b[m2] + %r[n2, m2, h2, v2] }
}
",
    constants: &["w"],
    extents: &["3"],
    sizes: &[],
};

/// Two loops over time that have nothing to do with each other: each is for one thread.
const TWO_WAYS: Case = Case {
    text: "kernel @ways {
  size n
  in %x: f32[n, 200]
  in %w: f32[2, 200, 200]
  out %y: f32[n, 2, 200]
  local %u: f32[n, 200]
  local %a: f32[200]
  local %b: f32[200]
  local %p: f32[200]
  local %q: f32[200]
  for i < n, j < 200 { %u[i, j] = %x[i, j] * f32(0.5) }
  for j1 < 200 { %a[j1] = f32(0.0) }
  for j2 < 200 { %b[j2] = f32(1.0) }
  loop t < n {
    for j3 < 200 { %p[j3] = sum k3 < 200 { %a[k3] * %w[0, j3, k3] } }
    for j4 < 200 { %a[j4] = tanh(%p[j4] * f32(0.05) + %u[t, j4]) }
    for j5 < 200 { %y[t, 0, j5] = %a[j5] }
  }
  loop s < n {
    for j6 < 200 { %q[j6] = sum k6 < 200 { %b[k6] * %w[1, j6, k6] } }
    for j7 < 200 { %b[j7] = tanh(%q[j7] * f32(0.05) + %u[n - s - 1, j7]) }
    for j8 < 200 { %y[n - s - 1, 1, j8] = %b[j8] }
  }
}
",
    constants: &["w"],
    extents: &["floordiv(25*n + 511, 512)", "1", "2"],
    sizes: &[37],
};

/// Law D4: without it loops are one after the other.
#[test]
fn loops_that_meet_are_not_beside_each_other() {
    let apart = TWO_WAYS.text;
    for (from, to) in [
        // The same elements of a result, and a local that the other one reads.
        ("%y[n - s - 1, 1, j8]", "%y[n - s - 1, 0, j8]"),
        ("+ %u[n - s - 1, j7]", "+ %a[j7]"),
        // An input may be where a result is.
        ("+ %u[n - s - 1, j7]", "+ %x[n - s - 1, j7]"),
    ] {
        let text = apart.replace(from, to);
        assert_ne!(text, apart);
        let parsed = parse_program(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
        let (plan, ..) = with_constants(&parsed, &[37], &["w"], 7);
        let compiled = compiled_with(&plan, &CodegenOptions { cpu: Cpu::Avx2, ..CodegenOptions::default() });
        assert!(!extents(&compiled).contains(&"2"), "{text}\n{:?}", extents(&compiled));
    }
}

#[test]
fn ranges_of_phases_give_the_same_bits() {
    for case in
        [TWO_STAGES, WHOLE, WHOLE_OF_ANY_SIZE, PRODUCT_AND_ROWS, ONE_ROW, FEW_OUTPUTS, ROTATED, TWO_WAYS]
    {
        case.check();
    }
}

/// Law D3: of two parts, neither is worth a second thread.
#[test]
fn small_parts_are_one_phase() {
    let text = PRODUCT_AND_ROWS.text;
    for (m, phases) in [("8", 1), ("4000", 2)] {
        let fixed = text.replace("  size m\n", "").replace("[m, ", &format!("[{m}, "));
        let fixed = fixed.replace("[m]", &format!("[{m}]")).replace(" < m", &format!(" < {m}"));
        let (plan, ..) = with_constants(&program(&fixed), &[], &["w"], 7);
        let compiled = compiled_with(&plan, &CodegenOptions::default());
        assert_eq!(compiled.kernels()[0].phases.len(), phases, "{fixed}");
    }
}

/// A phase that aborts is the last one: what comes after it would read what is not there.
#[test]
fn nothing_runs_after_a_phase_that_aborts() {
    let text = "kernel @aborts {
  in %x: f32[500, 300]
  in %ids: i64[400]
  out %y: f32[400, 300]
  out %z: f32[300]
  for i < 400, j < 300 { %y[i, j] = %x[checked {%ids[i]}, j] * f32(2.0) }
  for j2 < 300 { %z[j2] = sum i2 < 400 { %y[i2, j2] } }
}
";
    let program = program(text);
    for wrong in [None, Some(500), Some(-501)] {
        let mut ids: Vec<i64> = (0..400).map(|it| it * 7 % 500).collect();
        ids[333] = wrong.unwrap_or(-500);
        let (plan, mut all, _) = with_constants(&program, &[], &[], 7);
        all[1] = TensorData::from_slice(orogen_ir::types::DType::I64, &[400], &ids);
        for options in all_cpus() {
            let compiled = compiled_with(&plan, &options);
            assert_eq!(compiled.kernels()[0].phases.len(), 2);
            let got = call(&in_memory(&compiled, true), &all);
            match wrong {
                None => {
                    let expected = eval_program(&program, &[], &all).unwrap();
                    got.unwrap().iter().zip(&expected).for_each(|it| assert_close(text, it.0, it.1));
                    let divided = call_divided(&compiled, &all).unwrap();
                    divided.iter().zip(&expected).for_each(|it| assert_close(text, it.0, it.1));
                }
                Some(index) => {
                    let error = got.unwrap_err().to_string();
                    assert!(error.contains(&format!("index {index} is out of range")), "{error}");
                }
            }
        }
    }
}
