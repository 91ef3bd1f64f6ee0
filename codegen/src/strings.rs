//! What generated code does with tensors of strings.

use orogen_ir::diag::Diagnostic;
use orogen_ir::plan::{InputKind, PlanModule};
use orogen_ir::types::DType;

/// Generated code has no strings.
///
/// # Errors
/// The first input, output or kernel that has some.
pub(crate) fn refuse(module: &PlanModule) -> Result<(), Diagnostic> {
    let fail = |place: String| {
        let message = "tensors of strings are not computed by generated code";
        Err(Diagnostic::error("C009", message).at(place))
    };
    for plan in &module.functions {
        let input = |it: &&orogen_ir::plan::PlanInput| matches!(&it.kind, InputKind::Tensor(it) if it.dtype == DType::Str);
        if let Some(it) = plan.inputs.iter().find(input) {
            return fail(format!("input `{}`", it.name));
        }
        let output = plan.outputs.iter().find(|it| it.tensor().is_some_and(|it| it.dtype == DType::Str));
        if let Some(it) = output {
            return fail(format!("output `{}`", it.name));
        }
    }
    let strings = |it: &&orogen_ir::kernel::Kernel| {
        it.params().any(|it| it.buffer().is_some_and(|it| it.0 == DType::Str))
    };
    match module.kernels().iter().find(strings) {
        Some(it) => fail(format!("kernel `{}`", it.name())),
        None => Ok(()),
    }
}
