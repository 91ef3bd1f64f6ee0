//! A pass over the dataflow IR, at a place of the pipeline that its user chooses.
//!
//! In folder `examples`: `cargo run --example pass`

use orogen::ir::flow::Rhs;
use orogen::prelude::*;

/// Divisions by a constant become multiplications by its reciprocal, where that is exact.
struct DivideByMultiplying;

impl Pass<Module> for DivideByMultiplying {
    fn name(&self) -> &'static str {
        "divide-by-multiplying"
    }

    /// It replaces operators by others: before they are lowered, and leaving nothing that nobody needs.
    fn facts(&self) -> Facts {
        Facts::OVER_OPERATORS
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let (div, mul) = (cx.ops.get("div"), cx.ops.get("mul"));
        let mut changed = false;
        module.edit(cx.ops, |editor| -> Result<(), Diagnostic> {
            for id in editor.bindings() {
                let Rhs::Op { op, args, .. } = &editor.binding(id).rhs else { continue };
                let (x, divisor, quotient) = (args[0], args.get(1).copied(), editor.binding(id).results[0]);
                let Some(data) = divisor.filter(|_| *op == div).and_then(|it| editor.constant_data(it))
                else {
                    continue;
                };
                // Powers of two alone have an exact reciprocal.
                let exact = |it: f64| it.to_bits() << 12 == 0 && it.is_normal() && it.recip().is_normal();
                if !data.dtype().is_float() || !data.to_f64().into_iter().all(exact) {
                    continue;
                }
                let reciprocals = data.to_f64().into_iter().map(f64::recip);
                let reciprocals = TensorData::from_f64(data.dtype(), data.dims(), reciprocals);
                editor.before(id);
                let factor = editor.constant("", reciprocals);
                let product = editor.op(mul, Attrs::none(), &[x, factor])?[0];
                editor.replace(quotient, product);
                editor.remove(id);
                changed = true;
            }
            Ok(())
        })?;
        module.remove_dead_code(cx.ops);
        Ok(changed.into())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let compiler = Compiler::builder().flow_pass(Place::after("simplify"), DivideByMultiplying).build()?;
    let passes: Vec<&str> = compiler.flow_passes().map(|it| it.name).collect();
    println!("passes: {}", passes.join(", "));
    let model = compiler.open("models/scale.onnx")?;
    let options = CompileOptions { opt_in: OptIn::DataflowIr, verify: true, ..CompileOptions::default() };
    let (lowered, _) = compiler.lower(&model, &options, Step::Simplify)?;
    let text = lowered.print(compiler.ops());
    println!("{text}");
    assert!(text.contains("mul(") && !text.contains("div("));

    let y = compiler
        .compile(&model, &options)?
        .load()?
        .run(&[Tensor::from_slice(&[1, 4], &[8f32, 4., 2., 1.])?])?;
    assert_eq!(y[0].as_slice::<f32>()?, [1.0, 0.5, 0.25, 0.125]);
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the example ends well");
}
