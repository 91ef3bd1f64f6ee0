//! Sizes that decide at run time what a model computes: one library is right for all of them, and says so where it
//! cannot be.

mod support;

use std::path::Path;
use support::{floats, folder_with, npz, onnx, orogen};

const DATAFLOW: &[&str] = &["--opt-in", "dataflow-ir"];

fn compiled(model: &[u8]) -> tempfile::TempDir {
    let (folder, _) = folder_with("model.onnx", model);
    let outcome = orogen(folder.path(), &[&["compile", "model.onnx", "-o", "model.so"], DATAFLOW].concat());
    assert_eq!(outcome.status, 0, "{}", outcome.err);
    folder
}

/// Runs the library on inputs of these shapes, all elements 2; the printed results, or the error.
fn run(folder: &Path, inputs: &[(&str, &[usize])]) -> Result<String, String> {
    let arrays: Vec<(String, Vec<u8>)> = inputs
        .iter()
        .map(|(_, dims)| {
            let list: String = dims.iter().map(|it| format!("{it},")).collect();
            (format!("({list})"), floats(&vec![2.0; dims.iter().product()]))
        })
        .collect();
    let entries: Vec<_> = inputs
        .iter()
        .zip(&arrays)
        .map(|((name, _), (shape, bytes))| (*name, "<f4", shape.as_str(), false, bytes.as_slice()))
        .collect();
    npz(&folder.join("in.npz"), &entries);
    let outcome = orogen(folder, &["run", "model.so", "--inputs", "in.npz"]);
    match outcome.status {
        0 => Ok(outcome.out),
        5 => Err(outcome.err),
        status => panic!("status {status}: {}", outcome.err),
    }
}

fn contains(text: &str, phrases: &[&str]) {
    for phrase in phrases {
        assert!(text.contains(phrase), "`{text}` lacks `{phrase}`");
    }
}

#[test]
fn a_dimension_that_is_one_broadcasts() {
    let add = onnx::node("Add", "", &["a", "b"], &["y"], "both");
    let inputs = [onnx::value("a", &["n", "2"]), onnx::value("b", &["m", "2"])];
    let folder = compiled(&onnx::model(&[add], &[], &inputs, &[onnx::value("y", &["k", "2"])]));
    for (n, m, rows) in [(3, 3, 3), (1, 3, 3), (3, 1, 3), (1, 1, 1), (1, 0, 0)] {
        let printed = run(folder.path(), &[("a", &[n, 2]), ("b", &[m, 2])]).expect("they broadcast");
        contains(&printed, &[&format!("y f32 [{rows}, 2]")]);
    }
    let error = run(folder.path(), &[("a", &[2, 2]), ("b", &[3, 2])]).expect_err("2 and 3 do not broadcast");
    contains(&error, &["`both`", "operand 1", "dimension 0", "expected 1 or 2, got 3"]);
    assert!(!error.contains("main: "), "the function is named once: {error}");
}

#[test]
fn what_squeeze_removes_is_not_guessed() {
    let nodes = [
        onnx::node("Squeeze", "", &["x"], &["flat"], "flat"),
        onnx::node("Neg", "", &["flat"], &["y"], "negate"),
    ];
    let input = onnx::value("x", &["n", "1", "m", "3"]);
    // The file is wrong about the rank, as files often are.
    let model = onnx::model(&nodes, &[], &[input], &[onnx::value("y", &["n", "3"])]);
    let folder = compiled(&model);
    for (n, m, printed) in [
        (2, 4, "y f32 [2, 4, 3]"),
        (1, 4, "y f32 [4, 3]"),
        (2, 1, "y f32 [2, 3]"),
        (1, 1, "y f32 [3]"),
        (0, 1, "y f32 [0, 3]"),
    ] {
        contains(&run(folder.path(), &[("x", &[n, 1, m, 3])]).expect("any size"), &[printed]);
    }
    let args = [&["compile", "model.onnx", "-o", "model.so"], DATAFLOW, &["--dim", "n=1"]].concat();
    assert_eq!(orogen(folder.path(), &args).status, 0);
    contains(&run(folder.path(), &[("x", &[1, 1, 2, 3])]).expect("one size is fixed"), &["y f32 [2, 3]"]);

    // More dimensions that may be 1 than there are versions for.
    let squeeze = onnx::node("Squeeze", "", &["x"], &["y"], "flat");
    let input = onnx::value("x", &["a", "b", "c", "d"]);
    let folder = compiled(&onnx::model(&[squeeze], &[], &[input], &[onnx::value("y", &["n"])]));
    for (dims, printed) in
        [([2, 1, 1, 3], "y f32 [2, 3]"), ([1, 1, 1, 1], "y f32 []"), ([2, 3, 1, 2], "y f32 [2, 3, 2]")]
    {
        contains(&run(folder.path(), &[("x", &dims)]).expect("any size"), &[printed]);
    }
}

#[test]
fn a_zero_in_a_shape_copies_and_is_not_a_size() {
    let nodes = [
        onnx::node("Shape", "", &["s"], &["shape"], "shape"),
        onnx::node("Reshape", "", &["x", "shape"], &["y"], "renamed"),
    ];
    let inputs = [onnx::value("x", &["n", "m"]), onnx::value("s", &["m", "n"])];
    let folder = compiled(&onnx::model(&nodes, &[], &inputs, &[onnx::value("y", &["m", "n"])]));
    contains(&run(folder.path(), &[("x", &[2, 3]), ("s", &[3, 2])]).expect("fits"), &["y f32 [3, 2]"]);
    let error = run(folder.path(), &[("x", &[0, 3]), ("s", &[3, 0])]).expect_err("a copy");
    contains(&error, &["`renamed`", "where a 0 copies", "expected at least 1, got 0"]);
}

#[test]
fn a_rank_may_be_known_only_at_run_time() {
    let nodes = [
        onnx::node("Expand", "", &["x", "s"], &["grown"], "grow"),
        onnx::node("Neg", "", &["grown"], &["y"], "negate"),
    ];
    let inputs = [onnx::value("x", &["1"]), onnx::value("s", &["l"])];
    let folder = compiled(&onnx::model(&nodes, &[], &inputs, &[onnx::value("y", &["a", "b"])]));
    for (length, shape) in [(0, "[1]"), (1, "[2]"), (3, "[2, 2, 2]"), (8, "[2, 2, 2, 2, 2, 2, 2, 2]")] {
        let printed = run(folder.path(), &[("x", &[1]), ("s", &[length])]).expect("any rank fits");
        contains(&printed, &[&format!("y f32 {shape}")]);
    }
    let error = run(folder.path(), &[("x", &[1]), ("s", &[9])]).expect_err("too many dimensions");
    contains(&error, &["`grow`", "the rank that its shape gives: expected at most 8, got 9"]);
    let said = orogen(folder.path(), &["inspect", "model.so"]);
    contains(&said.out, &["output y: f32[…]"]);
    // The legacy path names the way.
    let refused = orogen(folder.path(), &["compile", "model.onnx", "-o", "legacy.so"]);
    assert_eq!(refused.status, 3, "{}", refused.err);
    contains(&refused.err, &["--opt-in dataflow-ir"]);
}
