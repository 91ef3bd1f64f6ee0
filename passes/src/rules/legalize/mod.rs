//! Legalisation: from an operator to the small program that computes it.
//!
//! One table serves the drivers of both graph IRs. A row writes a [`Lowering`] from attributes and operand types:
//! mostly one kernel. The forms of kernels are the ones code generation recognises by structure:
//!
//! * a contraction (`matmul`, `conv`, `conv_transpose`, products of integers) is one reduction stage over a product of two
//!   loads, of integers less their zero points, padding is the load's `otherwise`, batch and group are index arithmetic; a bias is a stage of its own,
//! * `attention` is the kernels that it is written with otherwise: a contraction, scores, softmax, a contraction,
//! * a row operator (`softmax`, `layer_norm`) is a chain of stages over locals,
//! * everything elementwise or injective is one stage; `concat` is one for each operand,
//! * recurrences are loops over time around the stages of one step,
//! * what selects by data runs a kernel that finds and counts, binds the count, and goes on.
//!
//! Half-precision types accumulate in `f32`. Indices that are data are checked, and end the call where they are out of
//! range; positions computed from other data are clamped. So no input can make a kernel leave its buffers.

mod attention;
mod blocks;
mod context;
mod contraction;
mod elementwise;
mod index;
mod lowering;
mod movement;
mod normalize;
mod pool;
mod quantized;
mod reduce;
mod resize;
mod rnn;
mod scatter;
mod selection;

pub use context::Legalizer;
pub use lowering::{LowerStep, Lowering, Value};

use super::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::ops::{OpId, OpRegistry, StructureOp};
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{Attrs, TensorData, Type};

/// An operation to lower.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    /// Operator.
    pub op: OpId,
    /// Attributes.
    pub attrs: &'a Attrs,
    /// Operand types.
    pub args: &'a [Type],
    /// Inferred result types.
    pub results: &'a [Type],
    /// The data of operands that are constants: single elements become part of the kernel. May be shorter than
    /// `args`.
    pub constants: &'a [Option<TensorData>],
}

/// Builds the lowering of one operation.
pub type LegalizeFn = fn(Legalizer<'_>) -> Result<Lowering, Diagnostic>;

/// How operators become kernels.
#[derive(Clone, Debug)]
pub struct LegalizeTable {
    rows: OpTable<LegalizeFn>,
}

impl LegalizeTable {
    /// The rows of all standard operators in `ops`.
    ///
    /// # Panics
    /// When `ops` lacks a standard operator.
    pub fn standard(ops: &OpRegistry) -> Self {
        let mut rows = OpTable::new();
        let families: [&[(&str, LegalizeFn)]; 14] = [
            elementwise::ROWS,
            reduce::ROWS,
            contraction::ROWS,
            attention::ROWS,
            pool::ROWS,
            quantized::ROWS,
            blocks::ROWS,
            normalize::ROWS,
            resize::ROWS,
            rnn::ROWS,
            movement::ROWS,
            index::ROWS,
            scatter::ROWS,
            selection::ROWS,
        ];
        for (name, row) in families.into_iter().flatten() {
            rows.set(ops.get(name), *row);
        }
        LegalizeTable { rows }
    }

    /// Sets the row of an operator, for example a custom one.
    pub fn set(&mut self, op: OpId, row: LegalizeFn) {
        self.rows.set(op, row);
    }

    /// Names of the operators of `ops` without a row; those that a plan has steps for need none, nor do those over one
    /// function of elements.
    pub fn missing<'a>(&self, ops: &'a OpRegistry) -> Vec<&'a str> {
        let mut missing = self.rows.missing(ops);
        let over_a_function = |name: &str| ops.find(name).is_some_and(|it| ops.def(it).function.is_some());
        missing.retain(|name| StructureOp::named(name).is_none() && !over_a_function(name));
        missing
    }

    /// The lowering of an operation. An integer result whose elements are all known becomes a kernel that stores
    /// them, whatever the operator.
    ///
    /// An operator over one function of its elements needs no row.
    ///
    /// Errors name what cannot be lowered: an operator without a row (`K001`), an operand of unknown shape (`K002`),
    /// an operand that must be known at compile time (`K003`).
    pub fn legalize(
        &self,
        ops: &OpRegistry,
        shapes: &mut ShapeCx,
        operation: Operation<'_>,
    ) -> Result<Lowering, Diagnostic> {
        let name = ops.def(operation.op).name;
        let cx = Legalizer::new(name, shapes, operation);
        if let [Type::Tensor(result)] = operation.results
            && let Some(elements) = &result.elements
        {
            return cx.store_elements(elements);
        }
        let named = |mut diagnostic: Diagnostic| {
            diagnostic.message = format!("`{name}`: {}", diagnostic.message);
            diagnostic
        };
        match (self.rows.get(operation.op), ops.def(operation.op).function) {
            (Some(row), _) => row(cx).map_err(named),
            (None, Some(function)) => elementwise::apply(cx, function).map_err(named),
            (None, None) => Err(Diagnostic::error("K001", format!("operator `{name}` has no legalisation"))
                .help("give it a lowering where it is registered, or replace it before this step")),
        }
    }
}
