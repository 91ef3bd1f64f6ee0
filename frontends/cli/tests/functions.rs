//! Modules of several functions in the tool.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod support;

use support::{floats, npz, orogen};

const RETRIEVAL: &str = include_str!("../../../examples/models/retrieval.flow");

fn folder() -> tempfile::TempDir {
    support::folder_with("retrieval.flow", RETRIEVAL.as_bytes()).0
}

#[test]
fn a_module_becomes_a_library_whose_functions_are_run_by_name() {
    let folder = folder();
    let run = |args: &[&str]| orogen(folder.path(), args);
    let made = run(&["compile", "retrieval.flow", "-o", "r.so", "--opt-in", "dataflow-ir", "--verify"]);
    assert_eq!(made.status, 0, "{}", made.err);

    let seen = run(&["inspect", "r.so"]);
    let lines = "  function encode
  input  texts: f32[n, 3]
  output vectors: f32[n, 2]
  function score
  input  query: f32[n, 3]
  input  vectors: f32[m, 2]
  output scores: f32[n, m]
";
    assert!(seen.out.contains(lines), "{}", seen.out);
    let json: serde_json::Value =
        serde_json::from_str(&run(&["inspect", "r.so", "--json"]).out).expect("JSON");
    assert_eq!(json["functions"][1]["name"], "score");
    assert_eq!(json["functions"][1]["inputs"][1]["shape"], serde_json::json!(["m", 2]));

    npz(&folder.path().join("in.npz"), &[("texts", "<f4", "(1, 3)", false, &floats(&[1.0, 0.0, 0.0]))]);
    let encoded = run(&["run", "r.so", "--function", "encode", "--inputs", "in.npz"]);
    assert_eq!(encoded.status, 0, "{}", encoded.err);
    assert!(encoded.out.contains("vectors f32 [1, 2]: 0.447214 -0.894427"), "{}", encoded.out);
    let scored = run(&["run", "r.so", "--function", "score", "--dim", "m=4"]);
    assert!(scored.out.contains("scores f32 [1, 4]"), "{}{}", scored.out, scored.err);
    let measured = run(&["bench", "r.so", "--function", "score", "--seconds", "0"]);
    assert_eq!(measured.status, 0, "{}", measured.err);
}

#[test]
fn open_sizes_of_a_module_are_named_and_given() {
    let folder = folder();
    let run = |args: &[&str]| orogen(folder.path(), args);
    let seen = run(&["inspect", "retrieval.flow"]);
    assert!(seen.out.contains("symbols: n, m"), "{}{}", seen.out, seen.err);
    let flow = ["--opt-in", "dataflow-ir"];
    let given = ["run", "retrieval.flow", "--function", "score", "--dim", "n=2", "--dim", "m=5"];
    let ran = run(&[&given[..], &flow].concat());
    assert!(ran.out.contains("scores f32 [2, 5]"), "{}{}", ran.out, ran.err);
    let bound = run(&["compile", "retrieval.flow", "-o", "b.so", "--dim", "m=5", flow[0], flow[1]]);
    assert_eq!(bound.status, 0, "{}", bound.err);
    let seen = run(&["inspect", "b.so"]);
    assert!(seen.out.contains("output scores: f32[n, 5]"), "{}", seen.out);
}

#[test]
fn what_cannot_be_meant_is_said() {
    let folder = folder();
    let run = |args: &[&str]| orogen(folder.path(), args);
    let flow = ["--opt-in", "dataflow-ir"];
    let legacy = run(&["compile", "retrieval.flow", "-o", "r.so"]);
    assert_eq!(legacy.status, 3, "{}", legacy.err);
    assert!(legacy.err.contains("error[D019]") && legacy.err.contains("dataflow-ir"), "{}", legacy.err);
    let unknown = run(&["compile", "retrieval.flow", "-o", "r.so", "--dim", "q=2", flow[0], flow[1]]);
    assert!(unknown.err.contains("error[N035]: no parameter has a size `q`"), "{}", unknown.err);

    let none = run(&["run", "retrieval.flow", flow[0], flow[1]]);
    assert_eq!(none.status, 2, "{}", none.err);
    assert!(
        none.err.contains("choose a function with `--function NAME`; there are: encode, score"),
        "{}",
        none.err
    );
    let unknown = run(&["run", "retrieval.flow", "--function", "normalize", flow[0], flow[1]]);
    assert!(
        unknown.err.contains("there is no function `normalize`; there are: encode, score"),
        "{}",
        unknown.err
    );

    let broken = [
        ("call @normalize(%0)", "call @encode(%texts)", "error[M016]: functions call each other in a circle"),
        (
            "call @normalize(%0)",
            "call @normalise(%0)",
            "the module defines no function or kernel `normalise`",
        ),
        ("call @normalize(%0)", "call @normalize(%0, %0)", "`@normalize` takes 1 arguments but has 2"),
        ("call @normalize(%0)", "call @normalize(%texts)", "is `Tensor<f32, [n, 3]>` but must be"),
        ("fn @encode", "fn @_encode", "error[M015]: \"_encode\" is no name for a function"),
        ("module @retrieval", "modul @retrieval", "expected `module`"),
    ];
    for (good, bad, message) in broken {
        let text = RETRIEVAL
            .replace("call @encode", if bad.contains("_encode") { "call @_encode" } else { "call @encode" });
        std::fs::write(folder.path().join("broken.flow"), text.replacen(good, bad, 1)).expect("written");
        let outcome = run(&["compile", "broken.flow", "-o", "b.so", flow[0], flow[1]]);
        assert_eq!(outcome.status, 3, "{bad}: {}{}", outcome.out, outcome.err);
        assert!(outcome.err.contains(message), "{bad}: {}", outcome.err);
    }
}
