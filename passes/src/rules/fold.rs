//! Evaluating operators on constants.
//!
//! A result that is much larger than its operands, such as a scalar that fills a tensor, costs bytes in the library and is
//! cheap to compute again, so it folds only where a constant is worth it: when an operator wants it as weights, which are
//! packed at compile time, directly or through operators that fold too.

use crate::manager::PassCx;
use indexmap::IndexSet;
use orogen_ir::ops::{OnConstants, OpId, OpRegistry, Outline};
use orogen_ir::types::{Source, TensorData};
use smallvec::SmallVec;

/// A folded result that nothing wants as weights may be at most this many times larger than its operands together, beyond
/// [`FREE_BYTES`].
const MAX_GROWTH: usize = 8;
/// Results up to this size fold whatever their operands.
const FREE_BYTES: usize = 1 << 16;

/// Whether an operator is computed by faster kernels when this operand is a constant.
pub fn wants_constant(ops: &OpRegistry, op: OpId, operand: usize) -> bool {
    matches!(
        (ops.def(op).name, operand),
        ("matmul" | "matmul_integer", 0 | 1)
            | ("conv" | "conv_integer" | "conv_transpose", 1)
            | ("lstm" | "gru", 1 | 2)
    )
}

/// One operation of a program whose values are `V`.
pub struct Operation<V> {
    /// The operator; `None` for a constant.
    pub op: Option<OpId>,
    /// Operands.
    pub args: SmallVec<[V; 4]>,
    /// Results.
    pub results: SmallVec<[V; 1]>,
}

/// The values that are computed from constants alone and are wanted as weights, directly or through operators that are
/// computed from constants alone too. `operations` are in an order of definition before use.
pub fn wanted<V: Copy + Eq + std::hash::Hash>(ops: &OpRegistry, operations: &[Operation<V>]) -> IndexSet<V> {
    let mut constant = IndexSet::new();
    for operation in operations {
        if operation.op.is_none() || operation.args.iter().all(|it| constant.contains(it)) {
            constant.extend(operation.results.iter().copied());
        }
    }
    let mut wanted = IndexSet::new();
    for Operation { op, args, results } in operations.iter().rev() {
        let Some(op) = *op else { continue };
        let all = results.iter().any(|it| wanted.contains(it));
        for (i, arg) in args.iter().enumerate() {
            if constant.contains(arg) && (all || wants_constant(ops, op, i)) {
                wanted.insert(*arg);
            }
        }
    }
    wanted
}

/// The results of an operator whose operands are all constants, when folding pays, an evaluator is there and the budget
/// allows it. `wanted` says whether a result is wanted as weights.
pub fn fold(
    cx: &PassCx<'_>,
    call: &OnConstants<'_>,
    wanted: bool,
    place: &Source,
) -> Option<Vec<TensorData>> {
    let operand_bytes: usize = call.args.iter().map(|it| it.bytes().len()).sum();
    // What selects from its operands, so that its size depends on them, is not larger than they are.
    let bytes = |it: &Outline| if it.dims.is_none() { Some(0) } else { it.bytes() };
    let result_bytes: usize = call.results.iter().map(bytes).sum::<Option<usize>>()?;
    if !wanted && result_bytes > FREE_BYTES && result_bytes > operand_bytes.saturating_mul(MAX_GROWTH) {
        return None;
    }
    cx.folding.fold(cx.ops, call, place)
}
