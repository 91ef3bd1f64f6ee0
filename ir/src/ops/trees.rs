//! Ensembles of decision trees.
//!
//! A node is two integers of the width of x: a key, and `first · 2^feature_bits + feature`. A row goes on to node `first`
//! where the key of its feature is at most that of the node, else to the one behind. The key of a number is the integer
//! whose order is that of numbers: see [`FloatKeys`](crate::scalar::FloatKeys). A feature that x does not have is less than every key, so that a node
//! whose feature is one of these and whose first node is itself is where a row stays: a leaf, whose key is the row of
//! `weights`. Numbers that are out of range are those of the last node and of the last row. A leaf has the last feature; where
//! a node of the last feature leads to another, the row of weights is any.

use super::support::{Class, one, plain};
use super::{Arity, AttrDef, AttrKind, InferCx, InferResult, OpDef, OpRegistry};
use crate::diag::Diagnostic;
use crate::scalar::FloatKeys;
use crate::shape::Dim;
use crate::types::{DType, Dims, ShapeInfo};

/// What `tree_ensemble` does with the weights of the leaves that a row reaches; the first is the default.
pub const TREE_AGGREGATES: &[&str] = &["sum", "min", "max"];

/// Most bits of the number of a feature.
const MAX_FEATURE_BITS: i64 = 20;

pub(crate) fn register(ops: &mut OpRegistry) {
    const ATTRS: &[AttrDef] = &[
        AttrDef::required("feature_bits", AttrKind::Int),
        AttrDef::optional("aggregate", AttrKind::Str),
        AttrDef::optional("missing", AttrKind::Bool),
    ];
    ops.register(OpDef::pure("tree_ensemble", Arity::exactly(4), ATTRS, tree_ensemble));
}

fn tree_ensemble(cx: &mut InferCx<'_>) -> InferResult {
    let x = cx.tensor(0)?;
    let Some(keys) = FloatKeys::for_type(x.dtype) else {
        let message = format!("operand 0 is {} but must be f32 or f64", x.dtype);
        return Err(Diagnostic::error("O013", message));
    };
    for (i, wanted) in [(1, keys.integer()), (2, DType::I32)] {
        let found = cx.tensor(i)?.dtype;
        if found != wanted {
            let message = format!("operand {i} is {found} but must be {wanted}");
            return Err(Diagnostic::error("O013", message));
        }
    }
    let weights = cx.tensor_of(3, Class::Float)?;
    if FloatKeys::for_type(weights.dtype).is_none() {
        let message = format!("operand 3 is {} but must be f32 or f64", weights.dtype);
        return Err(Diagnostic::error("O013", message));
    }
    cx.choice("aggregate", TREE_AGGREGATES)?;
    let bits = cx.attrs.int("feature_bits").unwrap_or(0);
    if !(1..=MAX_FEATURE_BITS).contains(&bits) {
        let message = format!("attribute `feature_bits` is {bits} but must be 1 to {MAX_FEATURE_BITS}");
        return Err(Diagnostic::error("O023", message));
    }
    (0..4).try_for_each(|i| cx.expect_rank(i, 2))?;
    for (i, columns, what) in [(1, 2, "numbers of a node"), (2, 3, "numbers of a tree")] {
        if let Some(dims) = cx.dims(i)? {
            let wanted = cx.shapes.int(columns);
            cx.require_eq(dims[1], wanted, what)?;
        }
    }
    for (i, what) in [(1, "the number of nodes"), (3, "the number of rows of weights")] {
        if let Some(dims) = cx.dims(i)? {
            cx.require_at_least(dims[0], 1, what)?;
        }
    }
    let (Some(from), Some(table)) = (cx.dims(0)?, cx.dims(3)?) else {
        return one(plain(weights.dtype, ShapeInfo::Rank(2)));
    };
    // A column, or the second of the same, has a number below the last, which no column has.
    let columns: Dim = if cx.flag("missing") { cx.add(from[1], from[1])? } else { from[1] };
    let most = cx.shapes.int((1 << bits) - 1);
    let room = cx.shapes.sub(most, columns);
    let room = cx.no_overflow(room)?;
    cx.require_at_least(room, 0, "numbers of features less those that are used")?;
    one(plain(weights.dtype, ShapeInfo::Known(Dims::from_slice(&[from[0], table[1]]))))
}
