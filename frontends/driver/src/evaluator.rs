//! Constant folding by the reference interpreter.

use orogen_ir::ops::{Cost, Evaluator, OpId, OpRegistry, Outline};
use orogen_ir::types::{Attrs, TensorData};

/// Evaluates operators with the reference interpreter.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReferenceEvaluator;

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

    fn cost(
        &self,
        ops: &OpRegistry,
        op: OpId,
        attrs: &Attrs,
        args: &[TensorData],
        results: &[Outline],
    ) -> Option<Cost> {
        orogen_reference::eval_cost(ops.def(op).name, attrs, args, results)
    }
}
