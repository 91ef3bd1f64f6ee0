//! The plug-in, loaded as a compiler loads it.
#![cfg(target_os = "linux")]

use acme as _; // so that it is built
use orogen::prelude::*;
use std::path::PathBuf;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/swish.onnx");

/// Cargo puts the library beside the test that it is built for.
fn library() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    test.with_file_name("libacme.so")
}

#[test]
fn a_plug_in_adds_what_it_registers() {
    let compiler = Compiler::builder().plugin(library()).build().expect("it fits");
    let model = compiler.open(MODEL).expect("a model");
    let options = CompileOptions { opt_in: OptIn::DataflowIr, verify: true, ..CompileOptions::default() };
    let artifact = compiler.compile(&model, &options).expect("its operator is known");
    let x = Tensor::from_slice(&[1, 4], &[-2.0f32, 0.0, 1.0, 3.0]).expect("a small tensor");
    let y = artifact.load().expect("it loads").run(&[x]).expect("it runs");
    assert!((y[0].as_slice::<f32>().expect("floats")[3] - 2.967_04).abs() < 1e-5);
    // Two plug-ins that register the same do not fit together.
    let twice = Compiler::builder().plugin(library()).plugin(library()).build().expect_err("refused");
    assert_eq!(twice.iter().map(|it| it.code).collect::<Vec<_>>(), ["D011"], "{twice}");
}

#[test]
fn a_plug_in_of_another_build_is_refused() {
    let mut bytes = std::fs::read(library()).expect("it is built");
    // Joined here, so that the test does not find itself.
    let magic = ["orogen ", "plug-in 1"].concat();
    let at = bytes.windows(16).position(|it| it == magic.as_bytes()).expect("it has an identity");
    bytes[at + 16] ^= 1;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("libother.so");
    std::fs::write(&path, &bytes).expect("it can be written");
    let found = Compiler::builder().plugin(&path).build().expect_err("refused").to_string();
    for phrase in [
        "error[D022]",
        "other sources of `orogen`",
        "this compiler: orogen 0",
        "help: build the plug-in anew",
    ] {
        assert!(found.contains(phrase), "no `{phrase}` in:\n{found}");
    }
}
