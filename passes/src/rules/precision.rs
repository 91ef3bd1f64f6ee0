//! Which operators compute in a narrow float type.

use super::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::ops::{OpId, OpRegistry};

/// How an operator on f32 meets values that are there in a narrow type too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// It computes in the narrow type; its operands are converted.
    Always,
    /// It computes in the narrow type where its operands are there in it, constants aside.
    Follow,
    /// It computes in f32.
    Never,
}

impl Precision {
    /// All of them.
    pub const ALL: [Precision; 3] = [Precision::Always, Precision::Follow, Precision::Never];

    /// The name in options.
    pub const fn name(self) -> &'static str {
        match self {
            Precision::Always => "always",
            Precision::Follow => "follow",
            Precision::Never => "never",
        }
    }
}

/// Most of the work, sums of which are kept in f32.
const ALWAYS: [&str; 3] = ["matmul", "conv", "attention"];

/// What moves elements, and arithmetic whose result is about as large as its operands.
const FOLLOW: [&str; 22] = [
    "add",
    "sub",
    "mul",
    "max",
    "min",
    "neg",
    "abs",
    "relu",
    "where",
    "reshape",
    "transpose",
    "squeeze",
    "unsqueeze",
    "expand",
    "concat",
    "slice",
    "tile",
    "pad",
    "gather",
    "max_pool",
    "sigmoid",
    "tanh",
];

/// What each operator does. One that has no row computes in f32: sums over many elements, exponentials, divisions and
/// normalisations lose most by rounding what they are given.
#[derive(Clone, Debug)]
pub struct PrecisionPolicy {
    rows: OpTable<Precision>,
}

impl PrecisionPolicy {
    /// The policy that ships.
    ///
    /// # Panics
    /// When `ops` lacks a standard operator.
    pub fn standard(ops: &OpRegistry) -> Self {
        let mut rows = OpTable::new();
        ALWAYS.iter().for_each(|it| rows.set(ops.get(it), Precision::Always));
        FOLLOW.iter().for_each(|it| rows.set(ops.get(it), Precision::Follow));
        PrecisionPolicy { rows }
    }

    /// Sets what an operator does.
    ///
    /// # Errors
    /// `N030`: an operator that is not there.
    pub fn set(&mut self, ops: &OpRegistry, name: &str, precision: Precision) -> Result<(), Diagnostic> {
        let Some(op) = ops.find(name) else {
            let message = format!("a policy of precision names `{name}`, which is no operator");
            return Err(
                Diagnostic::error("N030", message).help("operators have the names of the text of the IR")
            );
        };
        self.rows.set(op, precision);
        Ok(())
    }

    /// What an operator does.
    pub fn of(&self, op: OpId) -> Precision {
        self.rows.get(op).copied().unwrap_or(Precision::Never)
    }
}
