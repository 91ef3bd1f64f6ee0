//! Plug-ins in the tool.
#![cfg(target_os = "linux")]

mod support;

use acme as _; // so that it is built
use std::path::Path;
use support::orogen;

#[test]
fn a_plug_in_adds_to_every_command_that_takes_a_model() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the root");
    let model = root.join("examples/models/swish.onnx").to_string_lossy().into_owned();
    let test = std::env::current_exe().expect("a test has a path");
    let plugin = test.with_file_name("libacme.so").to_string_lossy().into_owned();
    let folder = tempfile::tempdir().expect("a folder");
    let with = ["--opt-in", "dataflow-ir", "--plugin", &plugin];

    let without = orogen(folder.path(), &["compile", &model, "-o", "swish.so", "--opt-in", "dataflow-ir"]);
    assert_eq!(without.status, 3, "{}", without.err);
    assert!(without.err.contains("no operator of the domain `com.acme` is known"), "{}", without.err);
    for args in
        [&["compile", &model, "-o", "swish.so"][..], &["run", &model], &["print", &model, "--stage", "fuse"]]
    {
        let outcome = orogen(folder.path(), &[args, &with].concat());
        assert_eq!(outcome.status, 0, "{args:?}: {}", outcome.err);
    }
    let inspected = orogen(folder.path(), &["inspect", &model, "--plugin", &plugin]);
    assert!(inspected.out.contains("com.acme.Swish ×1"), "{}{}", inspected.out, inspected.err);
    // For the host functions that a library calls.
    let late = orogen(folder.path(), &["run", "swish.so", "--plugin", &plugin]);
    assert_eq!(late.status, 0, "{}", late.err);
}

#[test]
fn what_is_no_plug_in_is_refused() {
    let (folder, path) = support::folder_with("model.onnx", &support::onnx::relu("x", "y", &["2"]));
    std::fs::write(path.with_file_name("libtext.so"), "no library").expect("written");
    for plugin in ["libtext.so", "absent.so", "."] {
        let outcome = orogen(folder.path(), &["run", "model.onnx", "--plugin", plugin]);
        assert_eq!(outcome.status, 3, "{}", outcome.err);
        assert!(outcome.err.contains("error[D020]: cannot load the plug-in"), "{}", outcome.err);
        assert!(outcome.err.contains(plugin), "{}", outcome.err);
    }
}
