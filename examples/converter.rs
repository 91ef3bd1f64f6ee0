//! An ONNX converter: an operator of another domain, in terms of the operators that there are.
//!
//! In folder `examples`: `cargo run --example converter`

use orogen::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let compiler = Compiler::builder()
        .checked_converter(
            "com.acme",
            "Swish",
            1..,
            |node| if node.input_count() == 1 { Ok(()) } else { Err("Swish has one operand".to_string()) },
            |cx| {
                let x = cx.input(0)?;
                let scaled = cx.with_number("mul", x, cx.float("alpha").unwrap_or(1.0))?;
                let gate = cx.unary("sigmoid", scaled)?;
                Ok(vec![cx.binary("mul", x, gate)?])
            },
        )
        .build()?;
    let model = compiler.open("models/swish.onnx")?;
    assert!(compiler.unsupported(&model)?.is_empty());
    assert_eq!(Compiler::standard().unsupported(&model)?.len(), 1);

    // The legacy path: sizes are bound.
    let options = CompileOptions { dims: vec![("n".into(), 1)], ..CompileOptions::default() };
    let artifact = compiler.compile(&model, &options)?;
    println!("operators of the model: {:?}", artifact.report.import.operators);
    let y = artifact.load()?.run(&[Tensor::from_slice(&[1, 4], &[-2.0f32, 0.0, 1.0, 3.0])?])?;
    println!("swish: {:?}", y[0].as_slice::<f32>()?);
    assert!((y[0].as_slice::<f32>()?[3] - 2.967_04).abs() < 1e-5);
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the example ends well");
}
