//! Evaluating operators on constants.
//!
//! A result that is larger than its operands, such as a scalar that fills a tensor or a table that is widened, costs bytes
//! in the library and is cheap to compute again, so it folds only where a constant is worth it: when an operator wants it
//! as weights, which are packed at compile time, directly or through operators that fold too. Weights narrower than a byte
//! that are wanted in bytes are no such.
//!
//! Quantised constants stay integers until rules have seen them: what rules make products of integers of needs no numbers.
//! So do weights that are converted to a wider type, which products read as they are. What rules leave folds while it is a
//! small part of all constants (a twentieth of their bytes); all else is made wider in each call, in memory of the call, for all that
//! reads it, whatever that is.

use crate::manager::PassCx;
use indexmap::IndexSet;
use orogen_ir::ops::{OnConstants, OpId, OpRegistry, Outline};
use orogen_ir::types::{Source, TensorData};
use smallvec::SmallVec;

/// Results up to this size fold although they are larger than their operands together.
const FREE_BYTES: usize = 1 << 16;
/// The part of all constants that those which were made wider add to them.
const ADDED: usize = 20;

/// Bytes that constants may still add when they are made wider: a twentieth of what all of them take.
#[derive(Debug)]
pub(crate) struct Room(usize);

impl Room {
    /// For these constants.
    pub(crate) fn beside<'a>(constants: impl IntoIterator<Item = &'a TensorData>) -> Self {
        Room(constants.into_iter().map(|it| it.bytes().len()).sum::<usize>() / ADDED)
    }

    /// Whether there was room for so many, which is taken.
    fn take(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// Evaluates operators on constants. A pass over either IR; the driver of each holds its walk.
#[derive(Clone, Copy, Debug)]
pub struct FoldConstants {
    name: &'static str,
    /// Whether quantised constants may become numbers, and weights wider.
    widens: bool,
    /// Results up to so many bytes fold although they are larger than their operands together.
    free: usize,
}

impl FoldConstants {
    /// What folds before rules are applied.
    pub const fn before_rules() -> Self {
        FoldConstants { name: "fold-constants", widens: false, free: FREE_BYTES }
    }

    /// What folds after rules were applied.
    pub const fn after_rules() -> Self {
        FoldConstants { name: "fold-rest", widens: true, free: FREE_BYTES }
    }

    /// The same, folding results up to so many bytes although they are larger than their operands together.
    #[must_use]
    pub const fn with_free_bytes(self, free: usize) -> Self {
        FoldConstants { free, ..self }
    }

    pub(crate) fn pass_name(self) -> &'static str {
        self.name
    }
}

/// Whether an operator is computed by faster kernels when this operand is a constant.
pub fn wants_constant(ops: &OpRegistry, op: OpId, operand: usize) -> bool {
    matches!(
        (ops.def(op).name, operand),
        ("matmul" | "matmul_integer" | "matmul_mixed", 0 | 1)
            | ("matmul_blocks", 1..=3)
            | ("conv" | "conv_integer" | "conv_mixed" | "conv_transpose", 1)
            | ("lstm" | "lstm_integer" | "gru" | "rnn", 1 | 2)
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

impl FoldConstants {
    /// The results of an operator whose operands are all constants, when folding pays, an evaluator is there and the
    /// budget allows it. `wanted` says whether a result is wanted as weights, `room` what may be made wider.
    pub(crate) fn fold(
        self,
        cx: &PassCx<'_>,
        call: &OnConstants<'_>,
        wanted: bool,
        room: &mut Room,
        place: &Source,
    ) -> Option<Vec<TensorData>> {
        let operand_bytes: usize = call.args.iter().map(|it| it.bytes().len()).sum();
        // What selects from its operands, so that its size depends on them, is not larger than they are.
        let bytes = |it: &Outline| if it.dims.is_none() { Some(0) } else { it.bytes() };
        let result_bytes: usize = call.results.iter().map(bytes).sum::<Option<usize>>()?;
        // Integers that are as wide as the numbers are those of biases.
        let name = cx.ops.def(call.op).name;
        let is_narrow = (name.starts_with("dequantize") || name == "cast" && wanted)
            && call.args.first().is_some_and(|it| it.dtype().size() < call.results[0].dtype.size());
        // What is narrower than a byte becomes bytes in next to no time.
        let unpacks = name == "cast" && call.args.first().is_some_and(|it| it.dtype().in_a_byte() > 1);
        let unpacks = unpacks && call.results[0].dtype.bits() == 8;
        let free = if unpacks { self.free / 16 } else { self.free };
        let added = result_bytes.saturating_sub(operand_bytes);
        let is_free = added == 0 || result_bytes <= free;
        // What is as wide as numbers of kernels, and wider, is on its way: constants are computed in f64.
        let [from, to] = [call.args.first().map(|it| it.dtype()), Some(call.results[0].dtype)];
        let stays = is_narrow && from.is_some_and(|it| it.size() < 4) && to.is_some_and(|it| it.size() <= 4);
        let is_small = result_bytes <= self.free / 16;
        let folds = match stays {
            true => is_free && (is_small || room.take(added)),
            false => is_free || wanted && !unpacks,
        };
        if !folds || is_narrow && !self.widens {
            return None;
        }
        cx.folding.fold(cx.ops, call, place)
    }
}
