//! A kernel of one's own for a pattern: a rule finds the pattern and names it, an operator says which kernel that is.
//!
//! In folder `examples`: `cargo run --example kernel`

use orogen::prelude::*;

/// `x · sigmoid(x)` is `acme.gate(x)`, whichever way round it is written.
const FIND_GATE: &str = "
rule find-gate reassociates
  mul(x, sigmoid(x)) => acme.gate(x)
";

/// One pass over memory that computes the exponential once.
const GATE: Operator = Operator {
    def: OpDef::pure("acme.gate", Arity::exactly(1), &[], |cx| Ok(smallvec![cx.args[0].clone()]))
        .by_element(),
    evaluate: None,
    lower: Some(|mut cx| {
        let (x, out) = (cx.input(0)?, cx.output(0)?);
        cx.b.fill(out, |b, at| {
            let x = b.load(x, at.iter().copied())?;
            let one = b.number(1.0, b.dtype_of(x));
            let minus = b.unary(UnaryOp::Neg, x)?;
            let exp = b.unary(UnaryOp::Exp, minus)?;
            let below = b.binary(BinaryOp::Add, one, exp)?;
            b.binary(BinaryOp::Div, x, below)
        })?;
        cx.finish()
    }),
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let compiler = Compiler::builder().operator(GATE).rules(FIND_GATE).build()?;
    let model = compiler.open("models/gate.onnx")?;
    let options = CompileOptions { opt_in: OptIn::DataflowIr, ..CompileOptions::default() };
    let (lowered, _) = compiler.lower(&model, &options, Step::Legalize)?;
    let text = lowered.print(compiler.ops());
    println!("{text}");
    assert!(text.contains("@acme.gate"), "the kernel is called");

    let x = [-2.0f32, 0.0, 1.0, 3.0];
    let y = compiler.compile(&model, &options)?.load()?.run(&[Tensor::from_slice(&[1, 4], &x)?])?;
    let expected = x.map(|x| (x / (1.0 + (-x).exp())).abs());
    assert!(y[0].as_slice::<f32>()?.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6));
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the example ends well");
}
