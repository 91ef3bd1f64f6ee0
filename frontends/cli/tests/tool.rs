//! The tool itself: what it prints and how it ends, with good and with broken input.

mod support;

use support::{folder_with, kept, onnx, orogen};

const DATAFLOW: [&str; 2] = ["--opt-in", "dataflow-ir"];

/// Compiles a file of these bytes and expects a status and phrases in the error.
#[track_caller]
fn refused(bytes: &[u8], more: &[&str], status: i32, phrases: &[&str]) {
    let (folder, _) = folder_with("model.onnx", bytes);
    let outcome = orogen(folder.path(), &[&["compile", "model.onnx", "-o", "out.so"], more].concat());
    assert_eq!(outcome.status, status, "{}", outcome.err);
    for phrase in phrases {
        assert!(outcome.err.contains(phrase), "no `{phrase}` in:\n{}", outcome.err);
    }
    assert!(!folder.path().join("out.so").exists(), "a library was left behind");
}

#[test]
fn a_file_that_ends_early() {
    let whole = std::fs::read(kept("ppocr_cls_mobile_v2/model.onnx")).expect("the model can be read");
    let phrases = ["error[X003]: this is no ONNX model, or it is damaged", "the file seems to end early"];
    refused(&whole[..whole.len() / 2], &[], 3, &phrases);
}

#[test]
fn files_that_are_no_models() {
    refused(b"", &[], 3, &["error[X002]: this is no ONNX model but an empty file"]);
    refused(b"hello, I am text\n", &[], 3, &["this is no ONNX model but a text file"]);
    let noise: Vec<u8> = (0..1000u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8).collect();
    refused(&noise, &[], 3, &["this is no ONNX model"]);
}

#[test]
fn a_tensor_that_claims_more_than_the_file_holds() {
    let node = onnx::node("Add", "", &["x", "w"], &["y"], "add");
    let weights = onnx::initializer("w", 3 << 28, &[0; 16]);
    let model = onnx::model(&[node], &[weights], &[onnx::value("x", &["1"])], &[onnx::value("y", &["1"])]);
    refused(&model, &[], 3, &["error[X006]", "3221225472 bytes, but the file holds 16", "initializer `w`"]);
}

#[test]
fn everything_that_is_unsupported_is_listed_at_once() {
    let nodes = [
        onnx::node("Foo", "", &["x"], &["a"], "first"),
        onnx::node("Bar", "my.domain", &["a"], &["b"], "second"),
        onnx::node("Relu", "", &["b"], &["y"], "third"),
    ];
    let dims = ["2", "3"];
    let model = onnx::model(&nodes, &[], &[onnx::value("x", &dims)], &[onnx::value("y", &dims)]);
    refused(&model, &[], 3, &["error[X009]: 2 parts", "node `first` (Foo)", "node `second` (my.domain.Bar)"]);
}

#[test]
fn inspect_lists_what_a_model_needs_that_cannot_be_imported() {
    let nodes = [
        onnx::node("Foo", "", &["x"], &["a"], "first"),
        onnx::node("Foo", "", &["a"], &["b"], "second"),
        onnx::node("Bar", "my.domain", &["b"], &["y"], "third"),
    ];
    let dims = ["2", "3"];
    let model = onnx::model(&nodes, &[], &[onnx::value("x", &dims)], &[onnx::value("y", &dims)]);
    let (folder, _) = folder_with("model.onnx", &model);
    let outcome = orogen(folder.path(), &["inspect", "model.onnx"]);
    assert_eq!(outcome.status, 3, "{}", outcome.err);
    for phrase in [
        "which cannot be imported",
        "  needs Foo, ai.onnx version ",
        ": this operator is not known (node `first` (Foo) and 1 more)",
        "  needs my.domain.Bar, my.domain version ",
    ] {
        assert!(outcome.out.contains(phrase), "no `{phrase}` in:\n{}", outcome.out);
    }
    let json = orogen(folder.path(), &["inspect", "model.onnx", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(json["unsupported"].as_array().map(Vec::len), Some(3), "{json}");
    assert_eq!(json["missing_files"].as_array().map(Vec::len), Some(0), "{json}");
}

#[test]
fn the_legacy_path_names_what_it_cannot_hold_and_the_way_out() {
    let model = onnx::relu("x", "y", &["batch", "3"]);
    let phrases =
        ["error[G001]: dynamic dimension `batch` of input `x`", "--dim batch=1", "--opt-in dataflow-ir"];
    refused(&model, &[], 3, &phrases);
    refused(&model, &[], 3, &["write `opt-in = [\"dataflow-ir\"]` under `[models.\"model.onnx\"]`"]);
    refused(&model, &["--dim", "nope=1"], 3, &["no dynamic dimension `nope`", "batch"]);
    refused(&model, &["--dim", "batch=1", "--dim", "batch=2"], 2, &["gives `batch` two sizes"]);
    refused(&model, &["--waterline", "fuse"], 2, &["add `--opt-in dataflow-ir`"]);
    let lowered = [&DATAFLOW[..], &["--waterline", "fuse"]].concat();
    refused(&model, &lowered, 3, &["error[G001]", "leave `--waterline fuse` out"]);
}

#[test]
fn the_ledger_says_where_a_model_enters_the_dataflow_ir() {
    let (folder, path) = folder_with("static.onnx", &onnx::relu("x", "y", &["2", "3"]));
    std::fs::write(path.with_file_name("dynamic.onnx"), onnx::relu("x", "y", &["batch", "3"]))
        .expect("written");
    // Which IR a model is in after a step.
    let after = |model: &str, more: &[&str]| {
        let outcome = orogen(folder.path(), &[&["print", model], &DATAFLOW[..], more].concat());
        assert_eq!(outcome.status, 0, "{}", outcome.err);
        outcome.out.split_whitespace().next().expect("it prints something").to_string()
    };
    assert_ne!(after("static.onnx", &["--stage", "import"]), "graph");
    assert_ne!(after("static.onnx", &["--stage", "import", "--waterline", "import"]), "graph");
    assert_ne!(after("dynamic.onnx", &["--stage", "import"]), "graph");
    let steps = ["import", "canonicalize", "fold-constants", "simplify", "layout", "legalize", "fuse"];
    for (above, line) in steps.iter().zip(&steps[1..]) {
        assert_eq!(after("static.onnx", &["--stage", above, "--waterline", line]), "graph");
        assert_ne!(after("static.onnx", &["--stage", line, "--waterline", line]), "graph");
    }
    assert_eq!(after("static.onnx", &["--stage", "fuse", "--waterline", "plan-memory"]), "graph");
}

#[test]
fn kernels_are_listed_with_their_nodes() {
    let nodes = [
        onnx::node("Mul", "", &["x", "x"], &["s"], "/block/square"),
        onnx::node("Relu", "", &["s"], &["y"], "/block/relu"),
    ];
    let model = onnx::model(&nodes, &[], &[onnx::value("x", &["64"])], &[onnx::value("y", &["64"])]);
    let (folder, _) = folder_with("model.onnx", &model);
    for more in [&[][..], &DATAFLOW] {
        let list = [&["print", "model.onnx", "--stage", "codegen"], more].concat();
        let report = [&["compile", "model.onnx", "-o", "out.so", "--report"], more].concat();
        for args in [list, report] {
            let outcome = orogen(folder.path(), &args);
            assert_eq!(outcome.status, 0, "{}", outcome.err);
            let phrases = [
                "orogen.kernel0.mul_relu.block_square: ",
                " bytes of code",
                "from node `/block/square` (Mul), node `/block/relu` (Relu)",
            ];
            for phrase in phrases {
                assert!(outcome.out.contains(phrase), "no `{phrase}` in:\n{}", outcome.out);
            }
        }
    }
}

#[test]
fn an_output_that_cannot_be_written() {
    let (folder, _) = folder_with("model.onnx", &onnx::relu("x", "y", &["2"]));
    let outcome = orogen(folder.path(), &["compile", "model.onnx", "-o", "absent/out.so"]);
    assert_eq!(outcome.status, 4, "{}", outcome.err);
    assert!(outcome.err.contains("cannot write `absent/out.so`"), "{}", outcome.err);
}

#[test]
fn wrong_arguments() {
    let (folder, _) = folder_with("model.onnx", b"");
    for args in [
        &["frobnicate"][..],
        &["run", "model.onnx", "--opt-in", "magic"],
        &["compile", "model.onnx"],
        &["compile", "model.onnx", "-o", "out.o"],
        &["compile", "model.onnx", "-o", "out.tar"],
        &["bench", "model.onnx", "--seconds", "nan"],
    ] {
        assert_eq!(orogen(folder.path(), args).status, 2, "{args:?}");
    }
}

#[test]
fn inputs_that_do_not_fit() {
    let (folder, path) = folder_with("model.onnx", &onnx::relu("x", "y", &["2", "3"]));
    // The output of this one is what the other takes, in another shape.
    std::fs::write(path.with_file_name("other.onnx"), onnx::relu("a", "x", &["3", "3"])).expect("written");
    let saved = orogen(folder.path(), &["run", "other.onnx", "--save", "wrong.npz"]);
    assert_eq!(saved.status, 0, "{}", saved.err);

    let outcome = orogen(folder.path(), &["run", "model.onnx", "--inputs", "wrong.npz"]);
    assert_eq!(outcome.status, 5, "{}", outcome.err);
    assert!(outcome.err.contains("expected shape [2,3], got [3,3]"), "{}", outcome.err);

    let outcome = orogen(folder.path(), &["run", "other.onnx", "--inputs", "wrong.npz"]);
    assert_eq!(outcome.status, 4, "{}", outcome.err);
    assert!(outcome.err.contains("there is no `a` or `in:a` in it; it has: x"), "{}", outcome.err);
}

#[test]
fn a_library_is_compiled_inspected_run_and_compared() {
    let model = kept("control_flow/model.onnx");
    let reference = kept("control_flow/reference.npz");
    let folder = tempfile::tempdir().expect("a folder");
    let compiled = orogen(folder.path(), &[&["compile", &model, "-o", "out.so"], &DATAFLOW[..]].concat());
    assert_eq!(compiled.status, 0, "{}", compiled.err);

    let inspected = orogen(folder.path(), &["inspect", "out.so"]);
    assert!(inspected.out.contains("dataflow-ir"), "{}", inspected.out);
    let of = |path: &str| {
        let outcome = orogen(folder.path(), &["inspect", path, "--json"]);
        serde_json::from_str::<serde_json::Value>(&outcome.out).expect("one JSON object")
    };
    let (source, library) = (of(&model), of("out.so"));
    for key in ["inputs", "outputs"] {
        assert_eq!(source[key], library[key]);
    }
    assert_eq!(source["inputs"][0]["dtype"], "f32");
    assert_eq!(source["operators"], library["metadata"]["operators"]);
    assert_eq!(source["opt_in"], library["metadata"]["opt_in"]);

    let run = ["run", "out.so", "--inputs", &reference, "--expect", &reference];
    let passed = orogen(folder.path(), &run);
    assert_eq!(passed.status, 0, "{}{}", passed.out, passed.err);
    assert!(passed.out.contains("y: max error"), "{}", passed.out);

    // Random inputs are not those that the outputs are expected for.
    let refused = orogen(folder.path(), &["run", "out.so", "--expect", &reference]);
    assert_eq!(refused.status, 2, "{}{}", refused.out, refused.err);
    assert!(refused.err.contains("give them with `--inputs FILE.npz`"), "{}", refused.err);
}

#[test]
fn the_configuration_file_opts_in() {
    let (folder, path) = folder_with("model.onnx", &onnx::relu("x", "y", &["batch", "3"]));
    let config = "[models.\"mod*.onnx\"]\nopt-in = [\"dataflow-ir\"]\n";
    std::fs::write(path.with_file_name("orogen.toml"), config).expect("written");
    let outcome = orogen(folder.path(), &["run", "model.onnx"]);
    assert_eq!(outcome.status, 0, "{}", outcome.err);
    assert!(outcome.out.starts_with("y f32 [1, 3]:"), "{}", outcome.out);
}
