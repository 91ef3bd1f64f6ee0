//! Evaluating operators on constants.

use crate::manager::PassCx;
use orogen_ir::ops::OpId;
use orogen_ir::types::{Attrs, TensorData};

/// A folded result may be at most this many times larger than its operands together, beyond [`FREE_BYTES`]:
/// broadcasting a scalar to a large tensor is not worth its bytes in the library.
const MAX_GROWTH: usize = 8;
/// Results up to this size fold whatever their operands.
const FREE_BYTES: usize = 1 << 16;

/// The results of an operator whose operands are all constants, when folding pays and an evaluator is there.
/// `result_bytes` is the size of the results, known before evaluating.
pub fn fold(
    cx: &PassCx<'_>,
    op: OpId,
    attrs: &Attrs,
    args: &[TensorData],
    result_bytes: usize,
) -> Option<Vec<TensorData>> {
    let evaluator = cx.evaluator?;
    let operand_bytes: usize = args.iter().map(|it| it.bytes().len()).sum();
    if result_bytes > FREE_BYTES && result_bytes > operand_bytes.saturating_mul(MAX_GROWTH) {
        return None;
    }
    if !cx.ops.def(op).effects.allowed_in_dataflow() {
        return None;
    }
    evaluator.evaluate(cx.ops, op, attrs, args).ok()
}
