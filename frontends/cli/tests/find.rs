//! Finding where values go wrong, in the tool.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod support;

use support::{Outcome, floats, folder_with, kept, names, npz, orogen};

const GRAPH: &str = "graph @g(%x: f32[2, 3]) {
  %0 = relu(%x) loc(\"node `first` (Relu)\")
  %1 = mul(%0, %x) loc(\"node `second` (Mul)\")
  %2 = add(%1, %0) loc(\"node `third` (Add)\")
  return y = %2
}
";

#[track_caller]
fn refused(outcome: &Outcome, status: i32, phrase: &str) {
    assert_eq!(outcome.status, status, "{}{}", outcome.out, outcome.err);
    assert!(outcome.err.contains(phrase), "no `{phrase}` in:\n{}", outcome.err);
}

/// `y` of `GRAPH` for `x`, and something else.
fn arrays(folder: &std::path::Path) {
    let x = [-1.0, 0.5, 2.0, 0.0, 1.0, -3.0];
    let y = x.map(|it: f32| it.max(0.0) * it + it.max(0.0));
    let off = y.map(|it| it * 1.01);
    let input = floats(&x);
    for (file, y) in [("right.npz", floats(&y)), ("wrong.npz", floats(&off))] {
        let (x, y) =
            (("in:x", "<f4", "(2, 3)", false, &input[..]), ("out:y", "<f4", "(2, 3)", false, &y[..]));
        npz(&folder.join(file), &[x, y]);
    }
}

#[test]
fn what_agrees_is_said_to_agree() {
    let (folder, _) = folder_with("g.graph", GRAPH.as_bytes());
    arrays(folder.path());
    let run = |args: &[&str]| orogen(folder.path(), args);
    let bisected = run(&["bisect", "g.graph", "--inputs", "right.npz", "--expect", "right.npz"]);
    assert_eq!(bisected.status, 0, "{}", bisected.err);
    assert_eq!(bisected.out, "the compiled model computes what is expected\n");
    let compared = run(&["run", "g.graph", "--compare-stages", "--inputs", "right.npz"]);
    assert_eq!(compared.status, 0, "{}", compared.err);
    assert!(
        compared.out.starts_with("all 3 values agree with the reference; the worst is %"),
        "{}",
        compared.out
    );
    for (file, status) in [("right.npz", 0), ("wrong.npz", 1)] {
        let interpreted = run(&["run", "g.graph", "--reference", "--inputs", file, "--expect", file]);
        assert_eq!(interpreted.status, status, "{}{}", interpreted.out, interpreted.err);
    }
    let listed = run(&["run", "g.graph", "--compare-stages", "--json", "--seed", "3"]);
    let listed: serde_json::Value = serde_json::from_str(&listed.out).expect("one JSON object");
    assert_eq!(listed["values"][1]["source"], "node `second` (Mul)");
    assert_eq!(listed["passed"], true);
    let model = kept("control_flow/model.onnx");
    let flow = run(&["run", &model, "--opt-in", "dataflow-ir", "--compare-stages"]);
    assert_eq!(flow.status, 0, "{}{}", flow.out, flow.err);
}

#[test]
fn expected_outputs_that_no_step_computes_are_off_from_the_import_on() {
    let (folder, _) = folder_with("g.graph", GRAPH.as_bytes());
    arrays(folder.path());
    let wrong = ["bisect", "g.graph", "--inputs", "wrong.npz", "--expect", "wrong.npz"];
    let bisected = orogen(folder.path(), &wrong);
    assert_eq!(bisected.status, 1, "{}", bisected.err);
    let said = "codegen: OFF\nimport: OFF\noff from the import on: output `y`: max error ";
    assert!(bisected.out.starts_with(said), "{}", bisected.out);
    let loose = orogen(folder.path(), &[&wrong[..], &["--rtol", "0.02"]].concat());
    assert_eq!(loose.status, 0, "{}{}", loose.out, loose.err);
}

#[test]
fn what_cannot_be_found_is_said() {
    let (folder, _) = folder_with("g.graph", GRAPH.as_bytes());
    arrays(folder.path());
    let run = |args: &[&str]| orogen(folder.path(), args);
    refused(&run(&["reduce", "g.graph", "--passes", "fuse"]), 3, "error[D037]: all values are kept");
    refused(&run(&["reduce", "g.graph", "--code", "-o", "small"]), 3, "error[D037]");
    refused(&run(&["reduce", "g.graph"]), 2, "--passes");
    refused(&run(&["bisect", "g.graph", "--inputs", "right.npz"]), 2, "--expect");
    refused(&run(&["run", "g.graph", "--compare-stages", "--expect", "right.npz"]), 2, "cannot be used with");
    npz(&folder.path().join("z.npz"), &[("z", "<f4", "(1,)", false, &floats(&[1.0]))]);
    refused(
        &run(&["bisect", "g.graph", "--inputs", "z.npz", "--expect", "z.npz"]),
        4,
        "there is no `x` or `in:x`",
    );
    let compiled = run(&["compile", "g.graph", "-o", "g.so"]);
    assert_eq!(compiled.status, 0, "{}", compiled.err);
    refused(&run(&["run", "g.so", "--compare-stages"]), 2, "this is a compiled library");
    refused(&run(&["run", "g.so", "--reference"]), 2, "this is a compiled library");
    refused(&run(&["run", "g.graph", "--reference", "--shadow"]), 2, "cannot be used with");
    assert_eq!(names(folder.path()), ["g.graph", "g.so", "right.npz", "wrong.npz", "z.npz"]);
}
