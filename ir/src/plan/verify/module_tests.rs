//! Laws P8 to P11 and P14 to P16.

use super::verify_module;
use crate::plan::{MAX_CALLS, PlanModule, parse_plans, print_plans};
use crate::text::mutate::mutations;
use crate::types::ConstPool;
use std::sync::Arc;

const MODULE: &str = "\
module {
  constant f32[2] [1, 2]
  kernel @twice {
    size k
    in %x: f32[k]
    out %y: f32[k]
    for i < k { %y[i] = %x[i] + %x[i] }
  }
  private plan @f {
    size n
    in x: f32[n]
    out y: f32[n]
    from n = %in0[0]
    steps {
      alloc %out0
      call 0 @twice(%in0, %out0) [n]
    }
  }
  plan @main {
    size a
    size b
    in x: f32[a, 3]
    out y: f32[b]
    from a = %in0[0]
    object %o0: f32[b]
    object %o1: f32[2]
    steps {
      invoke 0 @f(%in0[3*a]) to (%o0) from b = 0[0]
      invoke 0 @f(#0[2]) to (%o1)
      alloc %out0
      copy %o0 to %out0; 4*b
    }
  }
}
";

fn read(text: &str) -> PlanModule {
    parse_plans(text, &ConstPool::default()).unwrap_or_else(|it| panic!("{it}"))
}

/// What one change of a lawful text breaks: the part that is replaced, by what, the code and the message.
fn each_is_refused(good: &str, cases: &[(&str, &str, &str, &str)]) {
    verify_module(&read(good)).unwrap_or_else(|it| panic!("{it}"));
    for (from, to, code, message) in cases {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let found = verify_module(&read(&text)).expect_err(to);
        assert!(found.iter().any(|it| it.code == *code && it.message.contains(message)), "{to}: {found}");
    }
}

#[test]
fn a_good_module_passes_and_prints_the_same() {
    let module = read(MODULE);
    verify_module(&module).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(print_plans(&module), MODULE);
    assert!(module.functions[0].private && !module.functions[1].private);
    assert_eq!(module.entry().map(|it| it.name.as_str()), Some("main"));
}

#[test]
fn each_law_is_held() {
    let cases = [
        ("invoke 0 @f(#0[2]) to (%o1)", "invoke 0 @f() to (%o1)", "P008", "takes 1 buffers and gives 1"),
        ("invoke 0 @f(#0[2]) to (%o1)", "invoke 0 @f(#0[2]) to ()", "P008", "takes 1 buffers and gives 1"),
        ("@f(#0[2])", "@f(#0[2, 1])", "P008", "#0 is f32 of rank 2 but input `x` of `@f` is f32 of rank 1"),
        ("@f(#0[2])", "@f(#0[3])", "P008", "#0 has the `12` bytes of its view"),
        ("@f(#0[2])", "@f(%o1[2])", "P002", "%o1 is read before it is written"),
        ("from b = 0[0]", "", "P001", "`b` is not bound"),
        ("from b = 0[0]", "from b = 0[1]", "P008", "dimension 1 of result 0 of `@f` is not `b`"),
        ("from b = 0[0]", "from a = 0[0]", "P008", "dimension 0 of result 0 of `@f` is not `a`"),
        ("object %o1: f32[2]", "object %o1: i32[2]", "P008", "%o1 is i32[2] but result `y` of `@f` is f32["),
        ("object %o1: f32[2]", "object %o1: f32[2, 1]", "P008", "%o1 is f32[2, 1] but result `y`"),
        ("call 0 @twice(%in0, %out0) [n]", "invoke 1(%in0[n, 1]) to ()", "P008", "takes 1 buffers"),
        ("plan @main", "plan @_main", "P009", "\"_main\" is no name for a function"),
        ("plan @main", "plan @f", "P009", "two functions are called `@f`"),
    ];
    each_is_refused(MODULE, &cases);
}

#[test]
fn each_law_of_objects_is_held() {
    let cases = [
        ("item %o3 = %o0[i]", "item %o3 = %o1[i]", "P016", "%o1, a Tensor<f32, [2]>, is no sequence"),
        ("object %o3: f32[m]", "object %o3: i32[m]", "P016", "an element of place %o0 is none for place %o3"),
        ("from m = 0", "from l = 0", "P016", "dimension 0 of %o3 is not `l`"),
        ("from m = 0", "", "P001", "`m` is not bound"),
        (
            "    erase %o4 = %o0[i] loc(\"node `cut`\")\n",
            "",
            "P002",
            "%o4 is read before something is put there",
        ),
        (
            "    erase %o4 = %o0[i] loc(\"node `cut`\")\n    length l = %o4",
            "    length l = %o0",
            "P007",
            "`shorter`",
        ),
        ("object %o1: f32[2]", "object %o1: f64[2]", "P005", "do not hold the same element type"),
        ("    tensor %o1\n", "", "P006", "%o1 is written but was not made for that"),
        (
            "erase %o4",
            "copy %in1 to %o1; 8\n    erase %o4",
            "P006",
            "%o1 is written but was not made for that, or is shared",
        ),
        ("    copy %in1 to %o1; 8\n", "", "P002", "%o1 is read before something is put there"),
        ("length l = %o4", "some l = %o4", "P016", "place %o4 holds no optional"),
        ("in s: %o0", "in s: %o1", "P016", "input `s` is no object"),
        ("%o4: Sequence<Tensor<f32>>", "%o4: Sequence<Tensor<i8>>", "P016", "is none for place %o4"),
    ];
    each_is_refused(include_str!("objects.plan"), &cases);
}

/// `k` has a default, at which `main.defaults` runs.
const DEFAULTS: &str = "\
module {
  constant f32[2] [1, 2]
  kernel @sum {
    size n
    in %x: f32[n]
    in %k: f32[n]
    out %y: f32[n]
    for i < n { %y[i] = %x[i] + %k[i] }
  }
  plan @main {
    size n
    in x: f32[n]
    in k: f32[n] = #0
    defaults 1 @main.defaults
    out y: f32[n]
    from n = %in0[0]
    steps {
      alloc %out0
      call 0 @sum(%in0, %in1, %out0) [n]
    }
  }
  private plan @main.defaults {
    in x: f32[2]
    out y: f32[2]
    steps {
      alloc %out0
      call 0 @sum(%in0, #0, %out0) [2]
    }
  }
}
";

#[test]
fn defaults_are_constants_of_their_type_and_have_a_version() {
    let module = read(DEFAULTS);
    verify_module(&module).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(print_plans(&module), DEFAULTS);
    assert_eq!(module.functions[0].required(), 1);
    let cases = [
        (
            "in x: f32[n]\n    in k: f32[n] = #0",
            "in x: f32[n] = #0\n    in k: f32[n]",
            "P014",
            "`k` has no default",
        ),
        ("= #0", "= #1", "P014", "there is no constant #1"),
        ("in k: f32[n] = #0", "in k: f32[3] = #0", "P014", "`k` and its default #0 differ in type"),
        ("in k: f32[n] = #0", "in k: i32[n] = #0", "P014", "`k` and its default #0 differ in type"),
        ("in k: f32[n] = #0", "in k: f32[n, 1] = #0", "P014", "`k` and its default #0 differ in type"),
        ("out y: f32[n]", "out y: f32[n] over %in1", "P014", "`k` is state and has a default"),
        ("  private plan", "  plan", "P015", "cannot take the place of `@main` at its defaults"),
        ("in x: f32[2]", "in z: f32[2]", "P015", "cannot take the place of `@main`"),
        ("out y: f32[2]", "out z: f32[2]", "P015", "cannot take the place of `@main`"),
        ("defaults 1 @main.defaults", "defaults 0", "P010", "call each other in a circle"),
    ];
    each_is_refused(DEFAULTS, &cases);
    let found =
        parse_plans(&DEFAULTS.replace("= #0", "= %in0"), &ConstPool::default()).expect_err("no constant");
    assert_eq!(found.0[0].code, "T097");
}

#[test]
fn circles_and_long_chains_of_calls_are_refused() {
    let plan = |i: usize, next: Option<usize>| {
        let call = next.map_or(String::new(), |it| format!("invoke {it}() to ()"));
        format!("  plan @f{i} {{\n    steps {{\n {call}\n }}\n  }}\n")
    };
    let module = |n: usize, last: Option<usize>| {
        let plans = (0..n).map(|it| plan(it, if it + 1 < n { Some(it + 1) } else { last }));
        verify_module(&read(&format!("module {{\n{}}}\n", plans.collect::<String>())))
    };
    module(3, None).expect("a chain");
    let found = module(3, Some(1)).expect_err("a circle").to_string();
    assert!(
        found.contains("P10: functions call each other in a circle: `@f1` calls `@f2` calls `@f1`"),
        "{found}"
    );
    module(MAX_CALLS + 1, None).expect("a chain that is just short enough");
    let found = module(MAX_CALLS + 2, None).expect_err("too long").to_string();
    assert!(found.contains("P10: a chain of more than 64 calls"), "{found}");
}

#[test]
fn functions_share_constants_and_kernels() {
    let mut module = read(MODULE);
    Arc::make_mut(&mut module.functions[1].constants).add("w", crate::types::TensorData::ints(&[1]));
    Arc::make_mut(&mut module.functions[1].kernels);
    let found = verify_module(&module).expect_err("no longer shared").to_string();
    assert!(found.contains("P11: `@main` has other constants than `@f`"), "{found}");
    assert!(found.contains("P11: `@main` has other kernels than `@f`"), "{found}");
}

#[test]
fn errors_of_the_text_name_what_is_wrong() {
    let cases = [
        ("invoke 0 @f(#0", "invoke 2 @f(#0", "T098"),
        ("invoke 0 @f(#0", "invoke 0 @g(#0", "T098"),
        ("to (%o1)", "to (%out0)", "T097"),
        ("object %o1", "object %o2", "T094"),
        ("(%o1)", "(%o7)", "T096"),
        ("    size a\n", "    size a\n    constant f32[1] [1]\n", "T100"),
    ];
    for (good, bad, code) in cases {
        let text = MODULE.replacen(good, bad, 1);
        let found = parse_plans(&text, &ConstPool::default()).expect_err(bad);
        assert_eq!(found.0[0].code, code, "{found}");
    }
    let late = MODULE.replacen("\n}\n", "\n  constant f32[1] [1]\n}\n", 1);
    assert_eq!(parse_plans(&late, &ConstPool::default()).expect_err("late").0[0].code, "T100");
}

#[test]
fn broken_text_never_panics() {
    let of = |text| mutations(text, "{}[]()<>%^#@|,;=*+-/ \n\"019.isno", 1000);
    for mutated in of(MODULE).chain(of(DEFAULTS)) {
        if let Ok(module) = parse_plans(&mutated, &ConstPool::default()) {
            let printed = print_plans(&module);
            let pool = module.constants().cloned().unwrap_or_default();
            let again =
                parse_plans(&printed, &pool).unwrap_or_else(|it| panic!("{mutated}\n{printed}\n{it}"));
            assert_eq!(print_plans(&again), printed);
            // Whatever it finds.
            let _ = verify_module(&module);
        }
    }
}
