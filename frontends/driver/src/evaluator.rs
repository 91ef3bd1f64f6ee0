//! Constant folding by the reference interpreter.

use orogen_ir::ops::{OpId, OpRegistry};
use orogen_ir::types::{Attrs, TensorData};
use orogen_passes::manager::Evaluator;

/// Evaluates operators with the reference interpreter.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReferenceEvaluator;

impl Evaluator for ReferenceEvaluator {
    fn evaluate(
        &self,
        ops: &OpRegistry,
        op: OpId,
        attrs: &Attrs,
        args: &[TensorData],
    ) -> Result<Vec<TensorData>, String> {
        orogen_reference::eval_op(ops, op, attrs, args).map_err(|it| it.to_string())
    }
}
