use super::*;
use crate::diag::{Diagnostics, Place};
use crate::flow::{difference, same_structure};
use crate::ops::OpRegistry;
use crate::text::mutate::mutations;

/// Everything that the grammar has, as the printer writes it.
pub(crate) const FULL: &str = r#"module @"a \"hostile\" name" {
  sym "b c", k, m, n, s: integer
  fact n >= 1
  fact n <= 4096
  fact 4*n == 2*m
  fact 8 | n
  extern @log = "app.log" !io {
    size rows
    in %x: f32[rows, 4]
  }
  routine @"odd name" = "sort \"it\"" with {axis = 1, mode = "a"} !abort !random {
    integer "s t"
    inout %"a b": f32[]
    out %y: i64["s t", 2]
  }
  fn @helper(%x: Tensor<f32, [n, 4]>) -> (y: Tensor<f32, [n, 4]>) {
    return %x
  }
  fn @integer(%i: Tensor<i64, [1], [s]>) -> (y: Tensor<i64, [1], [s]>) {
    return %i
  }
  fn @main(%x: Tensor<f32, [n, 4]>, %0 as "input 1": Tensor<i64, [2]>, %cond: Tensor<bool, []>) -> (y: Tensor<f32, [n, 4]>, "out 1": Tensor<f32, [k, 2]>, z: Tensor<f32, ["b c"]>) !abort !io {
    dataflow {
      %w = const "w" f32[4] [1, -2.5, inf, nan] : Tensor<f32, [4]>
      %1 = const f32[100] splat 0 : Tensor<f32, [100]>
      %2 = add(%x, %w) : Tensor<f32, [n, 4]> loc("node `add 1` (Add)")
      %3 = match_cast(%0) : Tensor<i64, [2], [k, 2]>
      check 4*n == 2*k, "a \"message\""
      check n >= 2, ""
      %4 = reshape(%x, %3) {allow_zero = false} : Tensor<f32, [k, 2]>
      %5 = tuple(%2, %4) : Tuple<Tensor<f32, [n, 4]>, Tensor<f32, [k, 2]>>
      %6 = get(%5, 1) : Tensor<f32, [k, 2]>
      %7 = view(%x) : Tensor<f32, [4*n]>
      %8 = call @helper(%2) : Tensor<f32, [n, 4]>
      yield %2, %6
    }
    effect {
      call @log(%2) [n]
      local %9 = exp(%x) : Tensor<f32, [n, 4]>
      %10 = if %cond {
        dataflow {
          %11 = exp(%9) : Tensor<f32, [n, 4]>
          yield %11
        }
        return %11
      } else {
        return %9
      } : Tensor<f32, [n, 4]> loc("node `if`")
      %12, %13 = while (%10, %cond) cond (%14: Tensor<f32, [n, 4]>, %15: Tensor<bool, []>) {
        return %15
      } body (%16: Tensor<f32, [n, 4]>, %17: Tensor<bool, []>) {
        dataflow {
          %18 = relu(%16) : Tensor<f32, [n, 4]>
          yield %18
        }
        return %18, %17
      } : Tensor<f32, [n, 4]>, Tensor<bool, []>
    }
    effect {
      %19 = match_cast(%x) : Tensor<f32, ["b c", 4]>
      %20 = reduce_sum(%19) {axes = [1], keepdims = false} : Tensor<f32, ["b c"]>
    }
    return %12, %6, %20
  }
}
"#;

fn read(text: &str) -> crate::flow::Module {
    parse(text, &OpRegistry::standard()).unwrap_or_else(|it| panic!("{it}"))
}

fn errors(text: &str) -> Diagnostics {
    parse(text, &OpRegistry::standard()).expect_err("an error")
}

#[test]
fn t1_printing_what_was_parsed_gives_the_text() {
    let ops = OpRegistry::standard();
    let module = read(FULL);
    assert_eq!(print(&module, &ops), FULL);
    module.verify(&ops).unwrap_or_else(|it| panic!("{it}"));
}

#[test]
fn t2_parsing_what_was_printed_gives_the_module() {
    let ops = OpRegistry::standard();
    let module = read(FULL);
    let again = read(&print(&module, &ops));
    assert_eq!(difference(&module, &again), None);
    // The comparison sees single changes of the text.
    for (from, to) in [
        ("f32[4] [1,", "f32[4] [2,"),
        ("\"w\" f32", "\"v\" f32"),
        ("add(%x, %w)", "mul(%x, %w)"),
        ("add(%x, %w)", "add(%w, %x)"),
        ("yield %2, %6", "yield %2, %4, %6"),
        ("get(%5, 1)", "get(%5, 0)"),
        ("n <= 4096", "n <= 4095"),
        ("s: integer", "s"),
        ("(Add)", "(Sub)"),
        ("check n >= 2", "check n >= 3"),
        ("allow_zero = false", "allow_zero = true"),
        ("-> (y: Tensor<f32, [n, 4]>) {", "-> (z: Tensor<f32, [n, 4]>) {"),
        ("\"app.log\"", "\"app.logs\""),
        ("local %9", "%9"),
        ("  effect {\n      %19", "  dataflow {\n      %19"),
    ] {
        let text = FULL.replacen(from, to, 1);
        assert_ne!(text, FULL, "{from}");
        if let Ok(other) = parse(&text, &OpRegistry::standard()) {
            assert!(!same_structure(&module, &other), "{from} to {to}");
        }
    }
}

#[test]
fn annotations_may_be_left_out() {
    let ops = OpRegistry::standard();
    let text = "module @m {
  sym n
  fn @main(%x: Tensor<f32, [n]>, %c: Tensor<bool, []>) -> (y) {
    dataflow { %a = add(%x, %x) // a comment
      %t = tuple(%a, %x) %b = get(%t, 0)
      yield %b }
    effect { %d = if %c { return %b } else { return %x } }
    return %d
  }
}";
    let module = read(text);
    module.verify(&ops).unwrap_or_else(|it| panic!("{it}"));
    let printed = print(&module, &ops);
    assert!(printed.contains("%d = if %c {"), "{printed}");
    assert!(printed.contains("%b = get(%t, 0) : Tensor<f32, [n]>"), "{printed}");
}

#[test]
fn large_constants_travel_beside_the_text() {
    use crate::types::{ConstPool, DType, TensorData};
    let ops = OpRegistry::standard();
    let mut pool = ConstPool::default();
    pool.add("small", TensorData::ints(&[1]));
    pool.add("w", TensorData::from_f64(DType::F32, &[100], (0..100).map(f64::from)));
    let text = "module @m {
  fn @main() -> (y: Tensor<f32, [100]>, z: Tensor<i64, [1], [1]>) {
    dataflow {
      %0 = const #1 \"w\" : f32[100] : Tensor<f32, [100]>
      %1 = const \"small\" i64[1] [1] : Tensor<i64, [1], [1]>
      yield %0, %1
    }
    return %0, %1
  }
}
";
    let module = parse_with_constants(text, &ops, &pool).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(print(&module, &ops), text);
    assert_eq!(module.constants.len(), 2, "inline constants are found in the pool");
    let missing = parse(text, &ops).expect_err("no pool");
    assert_eq!(missing.0[0].code, "T115");
    let other = text.replace("f32[100] :", "f32[10, 10] :");
    assert_eq!(parse_with_constants(&other, &ops, &pool).expect_err("another shape").0[0].code, "T116");
}

#[test]
fn errors_are_collected_with_their_places() {
    let text = "module @m {
  sym n, n
  fn @main(%x: Tensor<f32, [m]>) -> (y: Tensor<f32>) {
    return %x
  }
  fn @two(%x: Tensor<f32, [n]>) -> (y: Tensor<f32, [n]>) {
    dataflow {
      %0 = foo(%x)
      %1 = add(%0, %x)
      %2 = add(%x) : Tensor<f32, [n]>
      %3 = add(%x)
      %4 = add(%x, %9)
      %4, %5 = add(%x, %x)
      %x = add(%x, %x)
      yield %4
    }
    effect {
      yield %x
      %6 = if %x {
        nonsense
        return %x
      } else {
        return %nowhere
      }
    }
    return %x
  }
  what
}
";
    let found = errors(text);
    let list: Vec<_> = found
        .iter()
        .map(|it| match &it.place {
            Some(Place::Text { line, column, .. }) => (*line, *column, it.code),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        (2, 10, "T114"),
        (3, 29, "T040"),
        (8, 12, "T106"),
        (11, 7, "O001"),
        (12, 20, "T102"),
        (13, 7, "T104"),
        (14, 7, "T101"),
        (18, 7, "T103"),
        (20, 9, "T010"),
        (23, 16, "T102"),
        (28, 3, "T010"),
    ];
    assert_eq!(list, expected, "{found}");
}

#[test]
fn broken_text_is_an_error_and_never_a_panic() {
    let ops = OpRegistry::standard();
    for text in mutations(FULL, "{}()\"%,\n:-9é@<>", 1500) {
        let lines = text.lines().count();
        match parse(&text, &ops) {
            // What reads prints, and what is printed reads back.
            Ok(module) => {
                let printed = print(&module, &ops);
                let again = parse(&printed, &ops).unwrap_or_else(|it| panic!("{it}\n{printed}"));
                assert_eq!(difference(&module, &again), None, "{printed}");
                assert_eq!(print(&again, &ops), printed);
                drop(module.verify(&ops));
            }
            Err(found) => {
                for it in found.iter() {
                    let Some(Place::Text { line, column, length, source }) = &it.place else {
                        panic!("no place: {it}")
                    };
                    let width = source.chars().count() as u32;
                    assert!(*line as usize <= lines + 1 && *column <= width + 1, "{it}");
                    assert!(*length >= 1 && column + length <= width + 2, "{it}");
                }
            }
        }
    }
}

#[test]
fn deeply_nested_regions_are_an_error() {
    let mut text = "module @m {\n fn @main(%c: Tensor<bool, []>) -> () {\n".to_owned();
    text += &"effect {\n if %c {\n".repeat(10_000);
    assert!(errors(&text).iter().any(|it| it.code == "T011"));
}

#[test]
fn the_example_of_the_grammar_is_what_the_printer_writes() {
    let ops = OpRegistry::standard();
    let page = include_str!("grammar.md");
    let example = page.rsplit("```text\n").next().and_then(|it| it.split("```").next()).expect("an example");
    let module = read(example);
    module.verify(&ops).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(print(&module, &ops), example);
}
