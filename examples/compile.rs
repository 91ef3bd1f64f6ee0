//! Compiling a model, running it, and writing it as a library.
//!
//! In folder `examples`: `cargo run --example compile`

use orogen::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = Model::open("models/gate.onnx")?;
    let options = CompileOptions { opt_in: OptIn::DataflowIr, ..CompileOptions::default() };
    let artifact = orogen::compile(&model, &options)?;
    artifact.write_library("gate.so")?; // a file …
    let library = artifact.load()?; // … or callable at once
    let inputs = [Tensor::from_slice(&[1, 4], &[-2.0f32, 0.0, 1.0, 3.0])?];
    let y = library.run(&inputs)?;
    println!("{:?}", y[0].as_slice::<f32>()?);

    let opened = Library::open("gate.so".as_ref())?;
    assert_eq!(opened.run(&inputs)?[0].as_slice::<f32>()?, y[0].as_slice::<f32>()?);
    std::fs::remove_file("gate.so")?;
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the example ends well");
}
