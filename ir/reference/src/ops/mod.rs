//! Operators.
use crate::error::{EvalError, EvalResult};
use orogen_ir::ops::{OpId, OpRegistry};
use orogen_ir::types::{Attrs, TensorData};

/// Evaluates an operator.
pub fn eval_op(
    registry: &OpRegistry,
    op: OpId,
    attrs: &Attrs,
    args: &[TensorData],
) -> EvalResult<Vec<TensorData>> {
    eval_named(registry.def(op).name, attrs, args)
}

/// Evaluates the standard operator called `name`.
pub fn eval_named(name: &str, _attrs: &Attrs, _args: &[TensorData]) -> EvalResult<Vec<TensorData>> {
    Err(EvalError::unsupported(format!("operator `{name}` has no reference evaluation")))
}
