//! A module of several functions: one library with several entry points, which share weights and call each other.
//!
//! In folder `examples`: `cargo run --example functions`. `models/retrieval.flow` is the same module as text; the tool
//! compiles it: `orogen compile models/retrieval.flow -o retrieval.so --opt-in dataflow-ir`.

use orogen::ir::flow::FlowBuilder;
use orogen::prelude::*;

/// `encode` turns texts of three features into vectors; `score` encodes queries and compares them with vectors.
fn module(ops: &OpRegistry) -> Result<Module, Diagnostics> {
    // Only functions of the module may call this one.
    let mut f = FlowBuilder::with_module(ops, Module::default(), "normalize").private();
    let (k, two) = (f.shapes().sym("k"), f.shapes().int(2));
    let x = f.input("x", Type::tensor(DType::F32, [k, two]))?;
    let squares = f.emit(ops.get("mul"), Attrs::none(), &[x, x])?[0];
    let axes = Attrs::none().with("axes", vec![1i64]).with("keepdims", true);
    let sums = f.emit(ops.get("reduce_sum"), axes, &[squares])?[0];
    let lengths = f.emit(ops.get("sqrt"), Attrs::none(), &[sums])?[0];
    let y = f.emit(ops.get("div"), Attrs::none(), &[x, lengths])?[0];
    f.output("y", y)?;

    let mut f = FlowBuilder::with_module(ops, f.finish()?, "encode");
    let (n, three) = (f.shapes().sym("n"), f.shapes().int(3));
    let texts = f.input("texts", Type::tensor(DType::F32, [n, three]))?;
    let w = TensorData::from_f64(DType::F32, &[3, 2], [1.0, -2.0, 0.5, 1.0, 3.0, 1.0]);
    let w = f.constant("w", w);
    let vectors = f.emit(ops.get("matmul"), Attrs::none(), &[texts, w])?[0];
    let vectors = f.call("normalize", &[vectors])?[0];
    f.output("vectors", vectors)?;

    let mut f = FlowBuilder::with_module(ops, f.finish()?, "score");
    let [n, m] = ["n", "m"].map(|it| f.shapes().sym(it));
    let [two, three] = [2, 3].map(|it| f.shapes().int(it));
    let query = f.input("query", Type::tensor(DType::F32, [n, three]))?;
    let vectors = f.input("vectors", Type::tensor(DType::F32, [m, two]))?;
    let query = f.call("encode", &[query])?[0];
    let perm = Attrs::none().with("perm", vec![1i64, 0]);
    let columns = f.emit(ops.get("transpose"), perm, &[vectors])?[0];
    let scores = f.emit(ops.get("matmul"), Attrs::none(), &[query, columns])?[0];
    f.output("scores", scores)?;
    f.finish()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let compiler = Compiler::standard();
    let model = Model::from_module("retrieval", module(compiler.ops())?);
    let options = CompileOptions { opt_in: OptIn::DataflowIr, ..CompileOptions::default() };
    let library = compiler.compile(&model, &options)?.load()?;
    let names: Vec<&str> = library.signature().functions.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["encode", "score"]);

    let mut given = vec![Tensor::from_slice(&[2, 3], &[1.0f32, 0.0, 0.0, 0.0, 1.0, 1.0])?];
    given.extend(library.call("encode", &given)?);
    let scores = library.call("score", &given)?;
    println!("{:?}", scores[0].as_slice::<f32>()?);

    let same = compiler.open("models/retrieval.flow")?;
    assert_eq!(compiler.compile(&same, &options)?.load()?.signature(), library.signature());
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the example ends well");
}
