//! Texts of IRs that the tool writes and reads.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod support;

use support::{Outcome, folder_with, kept, names, orogen};

const GRAPH: &str = "graph @g(%x: f32[2, 3]) {
  %0 = relu(%x)
  %1 = relu(%x)
  %2 = add(%0, %1)
  return y = %2
}
";

#[track_caller]
fn refused(outcome: &Outcome, status: i32, phrases: &[&str]) {
    assert_eq!(outcome.status, status, "{}{}", outcome.out, outcome.err);
    for phrase in phrases {
        assert!(outcome.err.contains(phrase), "no `{phrase}` in:\n{}", outcome.err);
    }
}

#[test]
fn a_model_written_at_any_stage_runs_in_another_process() {
    let model = kept("ppocr_cls_mobile_v2/model.onnx");
    let reference = kept("ppocr_cls_mobile_v2/reference.npz");
    let folder = tempfile::tempdir().expect("a folder");
    let run = |args: &[&str]| orogen(folder.path(), args);
    let flow = ["--opt-in", "dataflow-ir"];
    for (stage, name) in [("import", "a.flow"), ("fuse", "b.flow"), ("plan-memory", "c.plan")] {
        let print = ["print", &model, "--stage", stage, "-o", name];
        let printed = run(&[&print[..], &flow].concat());
        assert_eq!(printed.status, 0, "{}", printed.err);
        let expect = ["run", name, "--inputs", &reference, "--expect", &reference];
        let ran = run(&[&expect[..], &flow].concat());
        assert_eq!(ran.status, 0, "{name} {}{}", ran.out, ran.err);
    }
    let there = names(folder.path());
    assert_eq!(there, ["a.flow", "a.safetensors", "b.flow", "b.safetensors", "c.plan", "c.safetensors"]);
    // A constant of the file beside a text counts once.
    let weights = |file: &str| {
        let seen = run(&["inspect", file]);
        seen.out.lines().find(|it| it.starts_with("  weights: ")).expect("a line").to_owned()
    };
    assert_eq!(weights("a.flow"), weights(&model));
    assert!(
        run(&["inspect", "a.flow"]).out.contains("opt-ins: none (it compiles with `--opt-in dataflow-ir`)")
    );
    // Another model's constants are none of this one; neither are damaged ones.
    let constants = folder.path().join("a.safetensors");
    let mut bytes = std::fs::read(&constants).expect("written");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&constants, &bytes).expect("written");
    refused(
        &run(&["print", "a.flow", flow[0], flow[1]]),
        3,
        &["error[D030]", "has another digest", "= help:"],
    );
    std::fs::remove_file(&constants).expect("it was there");
    refused(
        &run(&["print", "a.flow", flow[0], flow[1]]),
        3,
        &["error[T117]", "travels beside the text", "= help:"],
    );
}

#[test]
fn passes_run_by_name_on_texts_of_both_irs() {
    let (folder, _) = folder_with("g.graph", GRAPH.as_bytes());
    let run = |args: &[&str]| orogen(folder.path(), args);
    let merged = run(&["opt", "--passes", "canonicalize", "g.graph"]);
    assert_eq!(merged.status, 0, "{}", merged.err);
    assert!(merged.out.contains("%1 = add(%0, %0) : f32[2, 3]"), "{}", merged.out);
    let steps = "translate,canonicalize,legalize,fuse";
    let lowered = run(&["opt", "--passes", steps, "g.graph", "-o", "f.flow"]);
    assert_eq!(lowered.status, 0, "{}", lowered.err);
    let planned = run(&["opt", "--passes", "plan-memory", "f.flow"]);
    assert!(planned.out.starts_with("plan @main {"), "{}{}", planned.out, planned.err);
    for args in [&["run", "g.graph"][..], &["run", "f.flow", "--opt-in", "dataflow-ir"]] {
        let ran = run(args);
        assert!(ran.out.starts_with("y f32 [2, 3]: "), "{}{}", ran.out, ran.err);
    }
    let seen = run(&["inspect", "g.graph"]);
    assert!(
        seen.out.starts_with("graph model `g`") && seen.out.contains("input  x: f32[2, 3]"),
        "{}",
        seen.out
    );
}

#[test]
fn bad_texts_and_bad_names_are_errors_with_places() {
    let (folder, path) = folder_with("g.graph", GRAPH.as_bytes());
    let run = |args: &[&str]| orogen(folder.path(), args);
    let opt = |passes: &str, file: &str| run(&["opt", "--passes", passes, file]);
    refused(&opt("simplfy", "g.graph"), 3, &["error[N020]: there is no pass `simplfy`", "`simplify` is one"]);
    refused(&opt("plan-memory", "g.graph"), 3, &["error[N022]", "`legalize` establishes it"]);
    refused(
        &opt("legalize,plan-memory,fuse", "g.graph"),
        3,
        &["error[N028]", "a plan is what passes end with"],
    );
    refused(&run(&["opt", "g.graph"]), 2, &["--passes"]);
    refused(&run(&["print", "g.graph", "-o", "g.flow"]), 3, &["error[D031]", "let it end in `.graph`"]);
    refused(&run(&["print", "g.graph", "--stage", "codegen", "-o", "x"]), 2, &["leave `-o` out"]);
    refused(&run(&["print", "g.graph", "-o", "absent/g.graph"]), 4, &["error[D002]"]);
    let broken = GRAPH.replace("relu(%x)\n  %2", "relu(%z)\n  %2");
    std::fs::write(path.with_file_name("b.graph"), broken).expect("written");
    refused(&opt("fuse", "b.graph"), 3, &["error[T102]: `%z` is not defined before its use", "3:13"]);
    std::fs::write(path.with_file_name("u.graph"), [0xff, 0xfe]).expect("written");
    refused(&opt("fuse", "u.graph"), 3, &["error[D016]"]);
    let module = "module @m { fn @main(%x: Tensor<f32, [2]>) -> (y: Tensor<f32, [2]>) { return %x } }";
    std::fs::write(path.with_file_name("m.flow"), module).expect("written");
    refused(&run(&["run", "m.flow"]), 3, &["error[D019]", "--opt-in dataflow-ir"]);
    let lowered = ["run", "m.flow", "--opt-in", "dataflow-ir", "--waterline", "fuse"];
    refused(&run(&lowered), 3, &["error[D019]", "leave `--waterline` out"]);
    refused(&run(&["run", "g.graph", "--dim", "n=2"]), 3, &["error[D018]"]);
    let kernel =
        "kernel @k {\n  size n\n  in %x: f32[n]\n  out %y: f32[n]\n  for i < n { %y[i] = neg(%x[i]) }\n}\n";
    std::fs::write(path.with_file_name("k.kernel"), kernel).expect("written");
    refused(&run(&["inspect", "k.kernel"]), 2, &["this is a call plan", "`orogen print` shows it"]);
    assert!(run(&["run", "k.kernel"]).out.starts_with("y f32 [1]: "), "a kernel runs by itself");
}

#[test]
fn every_step_is_written_and_read_again() {
    let (folder, _) = folder_with("g.graph", GRAPH.as_bytes());
    let run = |args: &[&str]| orogen(folder.path(), args);
    let compiled = run(&["compile", "g.graph", "-o", "g.so", "--dump-after", "all", "steps", "--report"]);
    assert_eq!(compiled.status, 0, "{}", compiled.err);
    let steps = names(&folder.path().join("steps"));
    assert_eq!(steps.first().map(String::as_str), Some("00-import.graph"), "{steps:?}");
    assert!(steps.contains(&"01-canonicalize.graph".to_string()), "{steps:?}");
    assert!(steps.last().is_some_and(|it| it.ends_with("-plan-memory.plan")), "{steps:?}");
    for step in &steps {
        let ran = run(&["run", &format!("steps/{step}")]);
        assert!(ran.out.starts_with("y f32 [2, 3]: "), "{step}: {}{}", ran.out, ran.err);
    }
    for part in
        ["open", "import", "pass canonicalize (canonicalize)", "plan-memory", "machine code and linking"]
    {
        let said = format!("  time {part}: ");
        // The text of a program is taken as it is.
        assert_eq!(compiled.out.contains(&said), part != "import", "{part}: {}", compiled.out);
    }
    let one = run(&["print", "g.graph", "--stage", "fuse", "--dump-after", "legalize", "one"]);
    assert_eq!(one.status, 0, "{}", one.err);
    let legal = names(&folder.path().join("one"));
    assert!(legal.len() == 1 && legal[0].ends_with("-legalize.graph"), "{legal:?}");
    let none = run(&["compile", "g.graph", "-o", "g.so", "--dump-after", "legalise", "none"]);
    refused(&none, 3, &["error[D035]: nothing was written: no pass `legalise` ran", "canonicalize"]);
}

#[test]
fn steps_are_compared_line_by_line() {
    let (folder, _) = folder_with("g.graph", GRAPH.as_bytes());
    let run = |args: &[&str]| orogen(folder.path(), args);
    let changed = run(&["diff", "g.graph", "--from", "import", "--to", "canonicalize"]);
    let expected = "--- import\n+++ canonicalize\n@@ -1,6 +1,5 @@\n graph @g(%x: f32[2, 3]) {\n   %v1 = relu(%x) : f32[2, 3]\n-  %v2 = relu(%x) : f32[2, 3]\n-  %v3 = add(%v1, %v2) : f32[2, 3]\n+  %v3 = add(%v1, %v1) : f32[2, 3]\n   return y = %v3\n }\n";
    assert_eq!(changed.out, expected, "{}", changed.err);
    let same = run(&["diff", "g.graph", "--from", "layout", "--to", "layout"]);
    assert_eq!(same.out, "no change from layout to layout\n", "{}", same.err);
    refused(&run(&["diff", "g.graph", "--from", "import", "--to", "codegen"]), 2, &["`plan-memory`"]);
}

#[test]
fn a_kernel_is_shown_from_loops_to_code() {
    let (folder, _) = folder_with("g.graph", GRAPH.as_bytes());
    let run = |args: &[&str]| orogen(folder.path(), args);
    let show = |view: &str| run(&["print", "g.graph", "--kernel", "relu", "--as", view, "--cpu", "avx2"]).out;
    assert!(show("loops").starts_with("kernel @relu {"), "{}", show("loops"));
    assert!(show("vector").contains("\nprogram "), "{}", show("vector"));
    assert!(show("clif").contains("function u0:0("), "{}", show("clif"));
    assert!(show("asm").contains("vmaxps"), "{}", show("asm"));
    let none = run(&["print", "g.graph", "--kernel", "nope"]);
    refused(&none, 3, &["error[D034]: there is no kernel `nope`", "choose one of: orogen.kernel0.relu"]);
    refused(
        &run(&["print", "g.graph", "--kernel", "relu", "--as", "text"]),
        2,
        &["loops, vector, clif, asm"],
    );
}
