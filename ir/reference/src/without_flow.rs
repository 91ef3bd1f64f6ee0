//! Stands for evaluation of the dataflow-block IR in a build without it.

use crate::error::EvalError;
use crate::kernel::Host;
use crate::value::Value;
use orogen_ir::flow::Module;
use orogen_ir::ops::OpRegistry;

/// Is never called: there is no module.
///
/// # Errors
/// None.
pub fn eval_function(_: &OpRegistry, module: &Module, _: &str, _: &[Value]) -> Result<Vec<Value>, EvalError> {
    module.never()
}

/// Is never called: there is no module.
///
/// # Errors
/// None.
pub fn eval_function_with(
    _: &Host<'_>,
    _: &OpRegistry,
    module: &Module,
    _: &str,
    _: &[Value],
) -> Result<Vec<Value>, EvalError> {
    module.never()
}
