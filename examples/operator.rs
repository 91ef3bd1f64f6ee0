//! An operator of one's own: what it is, what it computes, and the kernel it becomes, in one registration.
//!
//! In folder `examples`: `cargo run --example operator`

use orogen::prelude::*;

/// `swish(x) = x · sigmoid(alpha · x)`.
const SWISH: Operator = Operator {
    def: OpDef::pure("acme.swish", Arity::exactly(1), &[AttrDef::optional("alpha", AttrKind::Float)], |cx| {
        Ok(smallvec![cx.args[0].clone()])
    })
    .by_element(),
    evaluate: Some(|attrs, args| {
        let (x, alpha) = (&args[0], attrs.float("alpha").unwrap_or(1.0));
        let y = x.to_f64().into_iter().map(|x| x / (1.0 + (-alpha * x).exp()));
        Ok(vec![TensorData::from_f64(x.dtype(), x.dims(), y)])
    }),
    lower: Some(|mut cx| {
        let alpha = cx.attrs.float("alpha").unwrap_or(1.0);
        let (x, out) = (cx.input(0)?, cx.output(0)?);
        cx.b.fill(out, |b, at| {
            let x = b.load(x, at.iter().copied())?;
            let alpha = b.number(alpha, b.dtype_of(x));
            let scaled = b.binary(BinaryOp::Mul, alpha, x)?;
            let gate = b.unary(UnaryOp::Sigmoid, scaled)?;
            b.binary(BinaryOp::Mul, x, gate)
        })?;
        cx.finish()
    }),
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let compiler = Compiler::builder()
        .operator(SWISH)
        .converter("com.acme", "Swish", 1.., |cx| {
            let (x, alpha) = (cx.input(0)?, cx.float("alpha").unwrap_or(1.0));
            Ok(vec![cx.emit("acme.swish", Attrs::none().with("alpha", alpha), &[x])?])
        })
        .build()?;
    let model = compiler.open("models/swish.onnx")?;
    let options = CompileOptions { opt_in: OptIn::DataflowIr, ..CompileOptions::default() };
    let library = compiler.compile(&model, &options)?.load()?;

    let x = Tensor::from_slice(&[1, 4], &[-2.0f32, 0.0, 1.0, 3.0])?;
    let y = library.run(&[x])?;
    println!("swish: {:?}", y[0].as_slice::<f32>()?);
    let expected = [-2.0f32, 0.0, 1.0, 3.0].map(|x| x / (1.0 + (-1.5 * x).exp()));
    assert!(y[0].as_slice::<f32>()?.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6));
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the example ends well");
}
