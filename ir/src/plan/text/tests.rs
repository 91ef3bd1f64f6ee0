use super::{parse_plan, print_plan};
use crate::diag::Place;
use crate::text::mutate::mutations;
use crate::types::{ConstPool, DType, TensorData};
use std::sync::Arc;

const PLAN: &str = "\
plan @main {
  size n
  integer m
  assume n >= 1
  in x: f32[n, 2]
  in \"in:1\": i64[1]
  out y: f32[2*n]
  from n = %in0[0]
  entry check n <= 512 \"n is small\"
  constant \"w\" f32[2] [1, -0.5]
  constant i64[] [3]
  arena 8*n + 128
  slot %s0: f32[2*n] = ^0[0]
  slot %s1: bool[] = ^0[8*n]
  kernel @scale {
    size k
    in %x: f32[k]
    in %w: f32[2]
    out %y: f32[k]
    for i < k { %y[i] = %x[i] * %w[0] }
  }
  kernel @below {
    in %at: i64[1]
    out %c: bool[]
    %c[] = %at[0] < i64(3)
  }
  extern @log = \"log it\" !abort !io {
    size k
    in %x: f32[k]
    in %n: i64[]
  }
  steps {
    alloc ^0
    bind m = %in1[0]: i64
    check m >= -3 \"m is not \\\"small\\\"\"
    call 0 @scale(%in0, #0, %s0) [2*n]
    while {
      call 1 @below(%in1, %s1)
    } %s1 {
      copy %s0 to %s0; 8*n
    }
    alloc %out0
    if %s1 {
      let m = m + 1
    } else {
      call 2 @log(%s0, #1) [2*n]
    }
    if %s1 {
    }
    copy %s0 to %out0; 8*n
  }
}
";

#[test]
fn what_the_printer_wrote_prints_the_same() {
    let plan = parse_plan(PLAN, &ConstPool::default()).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(print_plan(&plan).text, PLAN);
    assert_eq!(plan.kernels.len(), 3);
    assert_eq!(plan.steps.len(), 9);
}

#[test]
fn large_constants_travel_beside_the_text() {
    let mut plan = parse_plan(PLAN, &ConstPool::default()).unwrap();
    Arc::make_mut(&mut plan.constants)
        .add("big", TensorData::from_f64(DType::F32, &[100], (0..100).map(f64::from)));
    let text = print_plan(&plan).text;
    assert!(text.contains("constant #2 \"big\" : f32[100]"), "{text}");
    assert_eq!(parse_plan(&text, &ConstPool::default()).unwrap_err().0[0].code, "T092");
    let again = parse_plan(&text, &plan.constants).unwrap();
    assert_eq!(again.constants, plan.constants);
    assert_eq!(print_plan(&again).text, text);
}

#[test]
fn errors_point_at_their_place() {
    let cases = [
        ("from n = %in0[0]", "from k = %in0[0]", "T040"),
        ("copy %s0 to %out0", "copy %s9 to %out0", "T096"),
        ("call 1 @below", "call 7 @below", "T098"),
        ("call 1 @below", "call 1 @above", "T098"),
        ("alloc ^0", "alloc ^3", "T095"),
        ("alloc ^0", "allocate ^0", "T099"),
        ("slot %s1", "slot %s4", "T094"),
        ("arena 8*n + 128", "arenas 8*n", "T091"),
    ];
    for (good, bad, code) in cases {
        let text = PLAN.replacen(good, bad, 1);
        let line = text.lines().position(|it| it.contains(bad)).expect("the replaced line") as u32 + 1;
        let errors = parse_plan(&text, &ConstPool::default()).unwrap_err();
        let first = &errors.0[0];
        let Some(Place::Text { line: found, .. }) = &first.place else { panic!("{first}") };
        assert_eq!((first.code, *found), (code, line), "{errors}");
    }
}

#[test]
fn broken_text_never_panics() {
    for mutated in mutations(PLAN, "{}[]()<>%^#@|,;=*+-/ \n\"019.isn", 2000) {
        if let Ok(plan) = parse_plan(&mutated, &ConstPool::default()) {
            let printed = print_plan(&plan).text;
            let again = parse_plan(&printed, &plan.constants)
                .unwrap_or_else(|it| panic!("{mutated}\n{printed}\n{it}"));
            assert_eq!(print_plan(&again).text, printed);
        }
    }
}

#[test]
fn sources_stand_behind_what_comes_from_them() {
    let text = "\
plan @main {
  size n
  in x: f32[n]
  out y: f32[n]
  from n = %in0[0]
  entry check n >= 1 \"n is small\" loc(\"node `a`\")
  kernel @exp {
    size n
    in %x: f32[n]
    out %y: f32[n]
    for i < n { %y[i] = exp(%x[i]) }
  }
  steps {
    alloc %out0
    check n <= 9 \"n is large\" loc(\"node `a`\", \"node `b`\", ...)
    call 0 @exp(%in0, %out0) [n] loc(\"a \\\"quoted\\\" name\" aborts, \"node `c`\")
  }
}
";
    let plan = parse_plan(text, &ConstPool::default()).unwrap();
    assert_eq!(print_plan(&plan).text, text, "T1");
    assert_eq!(plan.checks[0].sentence(), "node `a`: n is small");
    let broken = text.replace("...)", "..)");
    assert!(parse_plan(&broken, &ConstPool::default()).is_err());
}
