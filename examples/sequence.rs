//! A sequence of tensors that a loop appends to: it passes in and out as an array of references. What the caller passes
//! stays as it is; what only the call holds is changed in place, so the loop costs what it appends.
//!
//! In folder `examples`: `cargo run --example sequence`.

use orogen::prelude::*;
use orogen::runtime::Value;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = CompileOptions { opt_in: OptIn::DataflowIr, ..CompileOptions::default() };
    let library = orogen::compile(&Model::open("models/append.flow")?, &options)?.load()?;
    let function = library.function("main").ok_or("the library has no function `main`")?;

    let items = Value::Array(vec![Tensor::from_slice(&[3], &[7.0f32, 8.0, 9.0])?.into()]);
    let x = Tensor::from_slice(&[2], &[1.0f32, 10.0])?;
    let times = Tensor::from_slice(&[], &[3i64])?;
    let Value::Array(mut outputs) = function.call(&[items.clone(), x.into(), times.into()])? else {
        return Err("a function of two outputs gives an array".into());
    };
    let number = outputs.pop().ok_or("two outputs")?.into_tensor()?;
    assert_eq!(number.as_slice::<i64>()?, [4]);
    let Some(Value::Array(all)) = outputs.pop() else { return Err("a sequence is an array".into()) };
    // The first item is the one that was passed, the others are new; sizes may differ.
    for item in all {
        println!("{:?}", item.into_tensor()?.as_slice::<f32>()?);
    }
    let Value::Array(before) = items else { return Err("what is passed stays".into()) };
    assert_eq!(before.len(), 1);
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the example ends well");
}
