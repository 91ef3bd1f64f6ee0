//! A tensor program by itself: a plan that calls it.

use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{BufferRole, TensorProgram};
use orogen_ir::plan::{BufferRef, CallPlan, KernelId, PlanInput, PlanOutput, SizeBinding, Step};
use orogen_ir::types::Source;
use std::sync::Arc;

/// A plan whose inputs and outputs are the parameters of a kernel. Its sizes are dimensions of inputs.
///
/// # Errors
/// `D033`: a size that no input has as a dimension, and a parameter that is updated.
pub(super) fn plan(program: TensorProgram) -> Result<CallPlan, Diagnostic> {
    let mut plan = CallPlan { name: crate::options::MAIN.to_owned(), ..CallPlan::default() };
    let refused = |message: String| {
        Diagnostic::error("D033", message)
            .at(format!("kernel `{}`", program.name))
            .help("call it from a plan (`.plan`), which says what the caller does")
    };
    let mut shapes = program.shapes.clone();
    let mut sizes = Vec::new();
    for symbol in &program.sizes {
        let (name, dim) = (program.shapes.name(*symbol), shapes.sym_dim(*symbol));
        let inputs = program.params.iter().filter(|it| program.buffers[**it].role == BufferRole::Input);
        let place = inputs.enumerate().find_map(|(i, id)| {
            let axis = program.buffers[*id].dims.iter().position(|it| *it == dim)?;
            Some((i as u32, axis as u32))
        });
        let Some((input, axis)) = place else {
            return Err(refused(format!("size `{name}` is the dimension of no input")));
        };
        let inside = plan.shapes.sym(name);
        let Some(symbol) = plan.shapes.as_sym(inside) else { continue };
        plan.bindings.push(SizeBinding { symbol, input, axis });
        sizes.push(inside);
    }
    let mut args = Vec::new();
    for id in &program.params {
        let buffer = &program.buffers[*id];
        let dims = buffer.dims.iter().map(|it| plan.shapes.import(&program.shapes, *it)).collect();
        let (name, dtype) = (buffer.name.clone(), buffer.dtype);
        match buffer.role {
            BufferRole::Input => {
                args.push(BufferRef::Input(plan.inputs.len() as u32));
                plan.inputs.push(PlanInput::new(name, dtype, dims));
            }
            BufferRole::Output => {
                let output = plan.outputs.len() as u32;
                args.push(BufferRef::Output(output));
                plan.steps.push(Step::AllocOutput(output));
                plan.outputs.push(PlanOutput::new(name, dtype, dims));
            }
            _ => return Err(refused(format!("`{name}` is updated in place"))),
        }
    }
    plan.steps.push(Step::Kernel { kernel: KernelId(0), args, sizes, source: Source::default() });
    Arc::make_mut(&mut plan.kernels).push(program.into());
    Ok(plan)
}
