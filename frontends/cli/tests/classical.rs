//! Models of scikit-learn, LightGBM and XGBoost as they are exported by default: one library gives what ONNX Runtime gives at
//! every size, and so does the reference interpreter.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod support;

use support::{folder_with, kept, orogen};

const MODELS: [&str; 10] = [
    "boosting",
    "forest",
    "lightgbm",
    "logistic",
    "maps",
    "support_vectors",
    "table",
    "texts",
    "tree",
    "xgboost",
];

#[test]
fn exported_models_run_as_in_onnx_runtime() {
    let (folder, _) = folder_with("empty", &[]);
    let run = |args: &[&str]| orogen(folder.path(), args);
    for name in MODELS {
        let model = kept(&format!("scikit_learn/{name}.onnx"));
        let made = run(&["compile", &model, "-o", "m.so", "--opt-in", "dataflow-ir", "--verify"]);
        assert_eq!(made.status, 0, "{name}: {}", made.err);
        for i in 0..2 {
            let file = kept(&format!("scikit_learn/{name}_{i}.npz"));
            let expected = ["--inputs", &file, "--expect", &file, "--tol", "1e-5"];
            let done = run(&[&["run", "m.so"][..], &expected].concat());
            assert_eq!(done.status, 0, "{name} {i}: {}{}", done.out, done.err);
            assert!(!done.out.contains("not compared"), "{name} {i}: {}", done.out);
            let reference = ["run", &model, "--opt-in", "dataflow-ir", "--reference"];
            let done = run(&[&reference[..], &expected].concat());
            assert_eq!(done.status, 0, "{name} {i}, reference: {}{}", done.out, done.err);
        }
        std::fs::remove_file(folder.path().join("m.so")).expect("a library");
    }
}

/// A batch of one size is a static graph where the results are tensors; maps are none, which is said with the way out.
#[test]
fn the_legacy_path_holds_what_has_no_maps() {
    let (folder, _) = folder_with("empty", &[]);
    let compile = |name: &str, more: &[&str]| {
        let model = kept(&format!("scikit_learn/{name}.onnx"));
        orogen(folder.path(), &[&["compile", &model, "-o", "m.so"][..], more].concat())
    };
    let made = compile("xgboost", &["--dim", "X_dim0=5"]);
    assert_eq!(made.status, 0, "{}", made.err);
    let file = kept("scikit_learn/xgboost_1.npz");
    let done = orogen(folder.path(), &["run", "m.so", "--inputs", &file, "--expect", &file]);
    assert_eq!(done.status, 0, "{}{}", done.out, done.err);
    let open = compile("xgboost", &[]);
    assert!(open.err.contains("error[G001]") && open.err.contains("--opt-in dataflow-ir"), "{}", open.err);
    for (name, code) in [("forest", "G008"), ("maps", "G008")] {
        let dim = ["--dim", "X_dim0=5"];
        let refused = compile(name, if name == "forest" { &dim } else { &[] });
        assert_ne!(refused.status, 0, "{name}");
        let said = refused.err.contains(code) && refused.err.contains("--opt-in dataflow-ir");
        assert!(said, "{name}: {}", refused.err);
    }
}
