use super::{parse_program, print_program};
use crate::loops::verify;
use crate::text::mutate::mutations;

/// Reads a text and asserts that it prints as it is.
fn same(text: &str) {
    let program = parse_program(text).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(print_program(&program).text, text);
}

const MATMUL: &str = "\
kernel @matmul {
  size n
  in %a: f32[n, 128]
  in %b: f32[128, 64]
  out %c: f32[n, 64]
  for i < n, j < 64 { %c[i, j] = sum k < 128 { %a[i, k] * %b[k, j] } }
}
";

const SOFTMAX: &str = "\
kernel @\"soft max\" {
  size n
  size c
  assume n >= 1
  assume 8 | c
  in %x: f32[n, c]
  out %\"y:0\": f32[n, c]
  local %max: f32[n]
  local %sum: f32[n]
  for i < n { %max[i] = max j < c { %x[i, j] } }
  for i_1 < n { %sum[i_1] = sum j_1 < c { exp(%x[i_1, j_1] - %max[i_1]) } }
  for i0 < n, i1 < c { %\"y:0\"[i0, i1] = exp(%x[i0, i1] - %max[i0]) / %sum[i0] }
}
";

const MIXED: &str = "\
kernel @mixed {
  size n
  integer k
  in %x: i8[n]
  in %at: i64[n]
  out %y: f16[n + 3]
  out %z: bool[]
  loop t < n {
    loop u < t + 1 {
      %y[t + u] = cast<f16>(%x[{%at[t] + i64(1)} | i8(-3)] + %x[checked {%at[t]}])
    }
    for i < n {
      let t0 = cast<f16>(%x[i])
      %y[i] = t0 * (t0 + f16(0.5)) / pow(t0, f16(inf))
    }
  }
  %z[] = dim<i64>(k + 1) < i64(3)
  for {
    let t0 = %at[0] / i64(2)
    %z[] = select(t0 == t0, bool(1), not((t0 > i64(0)) == bool(0)))
  }
}
";

const SHARED: &str = "\
kernel @shared {
  size n
  in %x: f32[n]
  in %at: i64[1]
  out %y: f32[n]
  %y[{%at[0]}] = sum i < n {
    let t0 = exp(%x[i])
    t0 * t0
  }
  for {
    let t0 = %at[0] + i64(1)
    %y[{t0 * t0}] = max j < n {
      let t1 = neg(%x[j])
      t1 * t1
    }
  }
}
";

#[test]
fn what_the_printer_wrote_prints_the_same() {
    for text in [MATMUL, SOFTMAX, MIXED, SHARED] {
        same(text);
    }
}

#[test]
fn sharing_keeps_text_small() {
    // Thirty squarings: a tree of 2^30 leaves, a text of thirty lines.
    let mut text =
        String::from("kernel @p {\n  in %x: f32[]\n  out %y: f32[]\n  for {\n    let a0 = exp(%x[])\n");
    for i in 1..30 {
        text.push_str(&format!("    let a{i} = a{} * a{}\n", i - 1, i - 1));
    }
    text.push_str("    %y[] = a29\n  }\n}\n");
    let program = parse_program(&text).unwrap();
    let printed = print_program(&program).text;
    assert!(printed.len() < 2000);
    same(&printed);
}

#[test]
fn deep_expressions_are_split() {
    let depth = 300;
    let mut text =
        String::from("kernel @p {\n  in %x: f32[]\n  out %y: f32[]\n  for {\n    let a0 = exp(%x[])\n");
    for i in 1..depth {
        text.push_str(&format!("    let a{i} = exp(a{})\n", i - 1));
    }
    text.push_str(&format!("    %y[] = a{}\n  }}\n}}\n", depth - 1));
    let printed = print_program(&parse_program(&text).unwrap()).text;
    assert!(printed.contains("let t20"));
    same(&printed);
}

#[test]
fn errors_point_at_their_place_and_do_not_hide_each_other() {
    let text = "\
kernel @bad {
  size n
  size n
  in %x: f33[n]
  in %x: f32[m]
  out %y: f32[n]
  for i < n { %y[i] = nonsense(%x[i]) }
  for i < n { %y[i] = exp(%z[i]) }
  for j < n { %y[j] = exp(%y[j], %y[j]) }
}
";
    let errors = parse_program(text).unwrap_err();
    let found: Vec<(&str, u32)> = errors
        .iter()
        .map(|it| match &it.place {
            Some(crate::diag::Place::Text { line, .. }) => (it.code, *line),
            place => panic!("{place:?}"),
        })
        .collect();
    let lines: Vec<u32> = found.iter().map(|it| it.1).collect();
    assert_eq!(lines, [3, 4, 5, 7, 8, 9], "{errors}");
    assert_eq!(found[0].0, "T080");
    assert_eq!(found[5].0, "T087");
}

#[test]
fn broken_text_never_panics() {
    for text in [MATMUL, SOFTMAX, MIXED, SHARED] {
        for mutated in mutations(text, "{}[]()<>%@|,=*+-/ \n\"019.xyzfor let sum i n", 1500) {
            if let Ok(program) = parse_program(&mutated) {
                // What parses can be printed and verified, and reads back to the same text.
                let printed = print_program(&program).text;
                let again = parse_program(&printed).unwrap_or_else(|it| panic!("{mutated}\n{printed}\n{it}"));
                assert_eq!(print_program(&again).text, printed);
                let _ = verify(&program);
            }
        }
    }
}
