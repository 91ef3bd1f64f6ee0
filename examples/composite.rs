//! A function of the host for several operations at once: a pattern finds them, a hook says what computes them.
//!
//! In folder `examples`: `cargo run --example composite`

use orogen::ir::kernel::Kernel;
use orogen::passes::flow::{Composite, CompositeHook, FuseByPattern};
use orogen::prelude::*;

/// Every composite is a function of the host, whatever its sizes are.
struct Gates;

impl CompositeHook for Gates {
    fn kernel(&self, composite: &Composite<'_>) -> Result<Option<Kernel>, Diagnostic> {
        composite.host_function("acme.gate").map(Some)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ops = OpRegistry::standard();
    let pass = FuseByPattern::new("gates").pattern(&ops, "gate", "mul(x, sigmoid(x))")?.hook(Gates);
    let compiler = Compiler::builder()
        .flow_pass(Place::before("legalize"), pass)
        .host_function(
            "acme.gate",
            HostFunction::in_place(|call| {
                let x = call.inputs[0].as_slice::<f32>()?;
                let y = call.outputs[0].as_mut_slice::<f32>()?;
                y.iter_mut().zip(x).for_each(|(y, x)| *y = x / (1.0 + (-x).exp()));
                Ok(())
            }),
        )
        .build()?;
    let model = compiler.open("models/gate.onnx")?;
    let options = CompileOptions { opt_in: OptIn::DataflowIr, verify: true, ..CompileOptions::default() };
    let (lowered, _) = compiler.lower(&model, &options, Step::Fuse)?;
    let text = lowered.print(compiler.ops());
    println!("{text}");
    assert!(text.contains("acme.gate") && !text.contains("sigmoid"), "the function is called");

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
