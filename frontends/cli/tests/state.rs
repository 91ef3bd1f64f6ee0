//! State across calls in the tool: `--state INPUT=OUTPUT`.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod support;

use std::path::Path;
use support::{Outcome, floats, kept, npz, onnx, orogen};

const CACHE: &str = include_str!("../../../examples/models/cache.flow");
const DATAFLOW: [&str; 2] = ["--opt-in", "dataflow-ir"];

fn folder() -> tempfile::TempDir {
    support::folder_with("cache.flow", CACHE.as_bytes()).0
}

/// Inputs of a call that writes `row` at `at` into three rows.
fn inputs(path: &Path, past: &[f32], row: [f32; 2], at: i64) {
    let (past, row, query) = (floats(past), floats(&row), floats(&[1.0, 1.0]));
    npz(
        path,
        &[
            ("past", "<f4", "(3, 2)", false, &past[..]),
            ("row", "<f4", "(1, 2)", false, &row[..]),
            ("at", "<i8", "(1,)", false, &at.to_le_bytes()[..]),
            ("query", "<f4", "(2, 1)", false, &query[..]),
        ],
    );
}

#[track_caller]
fn refused(outcome: &Outcome, status: i32, phrases: &[&str]) {
    assert_eq!(outcome.status, status, "{}{}", outcome.out, outcome.err);
    for phrase in phrases {
        assert!(outcome.err.contains(phrase), "no `{phrase}` in:\n{}", outcome.err);
    }
}

#[test]
fn one_call_leaves_what_the_next_one_begins_with() {
    let folder = folder();
    let run = |args: &[&str]| orogen(folder.path(), args);
    let made = run(&[
        &["compile", "cache.flow", "-o", "cache.so", "--state", "past=present", "--verify"],
        &DATAFLOW[..],
    ]
    .concat());
    assert_eq!(made.status, 0, "{}", made.err);
    let seen = run(&["inspect", "cache.so"]);
    assert!(seen.out.contains("past: f32[n, 2], becomes present in place"), "{}", seen.out);

    inputs(&folder.path().join("first.npz"), &[0.0; 6], [1.0, 2.0], 0);
    let first = run(&["run", "cache.so", "--inputs", "first.npz", "--save", "saved.npz"]);
    let state = "present f32 [3, 2]: 1.000000 2.000000 0.000000 0.000000 0.000000 0.000000";
    assert!(first.out.contains(state), "{}{}", first.out, first.err);
    // What was saved is what is expected, and what the next call takes.
    let again = run(&["run", "cache.so", "--inputs", "first.npz", "--expect", "saved.npz", "--tol", "0"]);
    assert_eq!(again.status, 0, "{}{}", again.out, again.err);
    assert!(again.out.contains("present: max error 0.00e0 ok"), "{}", again.out);
    inputs(&folder.path().join("second.npz"), &[1.0, 2.0, 0.0, 0.0, 0.0, 0.0], [3.0, 4.0], 1);
    let second = run(&["run", "cache.so", "--inputs", "second.npz"]);
    let state = "present f32 [3, 2]: 1.000000 2.000000 3.000000 4.000000 0.000000 0.000000";
    assert!(second.out.contains(state), "{}{}", second.out, second.err);
    // Many calls on one cache.
    let bench = run(&["bench", "cache.so", "--inputs", "first.npz", "--seconds", "0"]);
    assert_eq!(bench.status, 0, "{}{}", bench.out, bench.err);
}

#[test]
fn both_paths_update_in_place() {
    let model = kept("cache/model.onnx");
    let reference = kept("cache/reference.npz");
    let legacy = ["--dim", "n=6", "--dim", "k=4"];
    for path in [&DATAFLOW[..], &legacy[..]] {
        let state = ["--state", "past=present"];
        let given = ["--inputs", &reference, "--expect", &reference];
        let ran = orogen(Path::new("."), &[&["run", &model], &state[..], &given[..], path].concat());
        assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
        let printed = orogen(
            Path::new("."),
            &[&["print", &model, "--stage", "plan-memory"], &state[..], path].concat(),
        );
        let steps = printed.out.split_once("steps {").map_or("", |it| it.1);
        assert!(steps.contains("move %in0 to %out1"), "{}{}", printed.out, printed.err);
        assert!(!steps.contains("copy"), "{steps}");
    }
}

#[test]
fn states_that_are_none_are_refused() {
    let folder = folder();
    let run = |state: &[&str]| {
        let states: Vec<&str> = state.iter().flat_map(|it| ["--state", it]).collect();
        orogen(folder.path(), &[&["run", "cache.flow"], &DATAFLOW[..], &states[..]].concat())
    };
    refused(&run(&["past"]), 2, &["write INPUT=OUTPUT, for example past=present"]);
    refused(
        &run(&["pest=present"]),
        3,
        &["error[M021]", "the model has no input `pest`", "past, row, at, query"],
    );
    refused(&run(&["past=presence"]), 3, &["error[M021]", "no output `presence`", "scores, present"]);
    refused(&run(&["past=present", "past=scores"]), 3, &["error[M021]", "is state already"]);
    refused(&run(&["past=present", "row=present"]), 3, &["error[M021]", "is state already"]);
    // Another element type, another shape.
    let misfit = ["error[M022]", "= help: memory of the caller does not grow"];
    refused(&run(&["at=present"]), 3, &[misfit[0], misfit[1], "state `at` is"]);
    refused(&run(&["query=present"]), 3, &misfit);
    let library =
        orogen(folder.path(), &[&["compile", "cache.flow", "-o", "cache.so"], &DATAFLOW[..]].concat());
    assert_eq!(library.status, 0, "{}", library.err);
    refused(&orogen(folder.path(), &["run", "cache.so", "--state", "past=present"]), 2, &["`--state`"]);
}

#[test]
fn state_whose_new_value_is_larger_is_refused() {
    // A cache that grows in every call, as one that is concatenated would.
    let relu = onnx::node("Relu", "", &["past"], &["kept"], "relu");
    let larger = onnx::node("Gemm", "", &["kept", "row"], &["present"], "larger");
    let bytes = onnx::model(
        &[relu, larger],
        &[],
        &[onnx::value("past", &["4", "4"]), onnx::value("row", &["4", "6"])],
        &[onnx::value("present", &["4", "6"])],
    );
    let (folder, _) = support::folder_with("model.onnx", &bytes);
    let ran = orogen(folder.path(), &["run", "model.onnx", "--state", "past=present"]);
    refused(&ran, 3, &["error[M022]: state `past` is", "memory of the caller does not grow"]);
}
