//! What programs of several IRs ask of values and sizes alike.

use crate::error::{EvalError, EvalErrorKind, EvalResult};
use crate::kernel::no_value;
use orogen_ir::shape::{Constraint, Env, MAX_INTEGER, ShapeCx, Sym, SymbolKind};
use orogen_ir::types::TensorData;

/// A tensor with its first dimensions alone; the others are 1.
pub(crate) fn of_rank(tensor: &TensorData, rank: i64) -> EvalResult<TensorData> {
    let dims = tensor.dims();
    let cut =
        usize::try_from(rank).ok().filter(|it| *it <= dims.len() && dims[*it..].iter().all(|it| *it == 1));
    let cut = cut.ok_or_else(|| EvalError::invalid(format!("{dims:?} has no rank {rank}")))?;
    tensor.reshaped(dims[..cut].into()).map_err(|it| EvalError::invalid(it.to_string()))
}

/// A failed [`EvalErrorKind::CheckFailed`] unless the constraint holds.
pub(crate) fn check_constraint(
    shapes: &ShapeCx,
    env: &Env,
    constraint: &Constraint,
    message: &str,
) -> EvalResult<()> {
    if constraint_holds(shapes, env, constraint)? {
        return Ok(());
    }
    let text = format!("{message}: `{}` does not hold", shapes.display_fact(constraint));
    Err(EvalError::new(EvalErrorKind::CheckFailed, text))
}

/// Whether a constraint holds.
pub(crate) fn constraint_holds(shapes: &ShapeCx, env: &Env, constraint: &Constraint) -> EvalResult<bool> {
    let holds = shapes.holds(constraint, env);
    holds.ok_or_else(|| no_value(shapes, env, constraint.dims(), shapes.display_fact(constraint).to_string()))
}

/// What a symbol is that a number in the data stands for.
pub(crate) fn from_data(shapes: &ShapeCx, symbol: Sym, found: i64) -> i64 {
    match shapes.kind(symbol) {
        SymbolKind::Integer => found.clamp(-MAX_INTEGER, MAX_INTEGER),
        SymbolKind::Size | SymbolKind::Index { .. } => found,
    }
}
