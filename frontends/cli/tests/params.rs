//! Weights outside of the library, in the tool.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod support;

use support::{floats, kept, npz, orogen};

#[test]
fn weights_lie_in_a_file_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |args: &[&str]| orogen(folder.path(), args);
    let (model, reference) =
        (kept("ppocr_cls_mobile_v2/model.onnx"), kept("ppocr_cls_mobile_v2/reference.npz"));
    let flow = ["--opt-in", "dataflow-ir"];
    let made = run(&["compile", &model, "-o", "out.so", "--params", "w.npz", flow[0], flow[1]]);
    assert_eq!(made.status, 0, "{}", made.err);
    assert_eq!(run(&["compile", &model, "-o", "in.so", flow[0], flow[1]]).status, 0);
    let size = |name: &str| std::fs::metadata(folder.path().join(name)).expect("it is there").len();
    assert!(size("out.so") < size("in.so"), "{} and {}", size("out.so"), size("in.so"));

    let check = ["--inputs", &reference, "--expect", &reference, "--tol", "1e-4"];
    let good = run(&[&["run", "out.so", "--params", "w.npz"], &check[..]].concat());
    assert_eq!(good.status, 0, "{}{}", good.out, good.err);
    let bench = run(&["bench", "out.so", "--params", "w.npz", "--inputs", &reference, "--seconds", "0"]);
    assert_eq!(bench.status, 0, "{}", bench.err);
    assert!(run(&["inspect", "out.so"]).out.contains("  needs  "));

    let without = run(&["run", "out.so"]);
    assert_eq!(without.status, 2, "{}", without.err);
    assert!(without.err.contains("does not hold its weights: give them with `--params"), "{}", without.err);
    npz(&folder.path().join("other.npz"), &[("x", "<f4", "(1,)", false, &floats(&[1.0]))]);
    let other = run(&["run", "out.so", "--params", "other.npz"]);
    assert_eq!(other.status, 4, "{}", other.err);
    assert!(other.err.contains("is missing") && other.err.contains("other.npz"), "{}", other.err);
    let needless = run(&["run", "in.so", "--params", "w.npz"]);
    assert!(needless.err.contains("the library holds its weights"), "{}", needless.err);
    let model = run(&["run", &model, "--params", "w.npz", flow[0], flow[1]]);
    assert!(model.err.contains("a model has its weights"), "{}", model.err);
}
