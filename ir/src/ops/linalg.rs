//! Linear algebra.

use super::support::{Class, one, plain, rank_only};
use super::{Arity, InferCx, InferResult, OpDef, OpRegistry};
use crate::diag::Diagnostic;
use crate::shape::Dim;
use crate::types::{DType, Dims, ShapeInfo};

pub(crate) fn register(ops: &mut OpRegistry) {
    ops.register(OpDef::pure("matmul", Arity::exactly(2), &[], matmul));
}

/// Numpy's `matmul`: 1-D operands are vectors, leading dimensions broadcast.
fn matmul(cx: &mut InferCx<'_>) -> InferResult {
    cx.tensor_of(0, Class::Number)?;
    let dtype = cx.same_dtype(0, 1)?;
    product(cx, dtype)
}

/// The dimensions of the product of matrices `[…, m, k]` and `[…, k, n]`, whose leading dimensions broadcast; `what` has the
/// dimension `k` that they share, in messages.
pub(super) fn product_of(cx: &mut InferCx<'_>, a: &[Dim], b: &[Dim], what: &str) -> Result<Dims, Diagnostic> {
    let (inner, outer) = (a.len() - 2, b.len() - 2);
    cx.require_eq(a[inner + 1], b[outer], what)?;
    let batch = |dims: &[Dim]| ShapeInfo::Known(Dims::from(dims));
    let batch = cx.broadcast(&[&batch(&a[..inner]), &batch(&b[..outer])])?;
    let mut dims = Dims::from(batch.known().unwrap_or_default());
    dims.extend([a[inner], b[outer + 1]]);
    Ok(dims)
}

/// The product of operands 0 and 1, with elements of `dtype`.
pub(super) fn product(cx: &mut InferCx<'_>, dtype: DType) -> InferResult {
    let (a, b) = (cx.tensor(0)?, cx.tensor(1)?);
    cx.expect_rank_at_least(0, 1)?;
    cx.expect_rank_at_least(1, 1)?;
    let (Some(rank_a), Some(rank_b)) = (a.shape.rank(), b.shape.rank()) else {
        return one(plain(dtype, ShapeInfo::Unknown));
    };
    let (Some(dims_a), Some(dims_b)) = (a.dims(), b.dims()) else {
        let vectors = usize::from(rank_a == 1) + usize::from(rank_b == 1);
        return one(plain(dtype, rank_only(rank_a.max(rank_b).max(2) - vectors)));
    };
    let inner_b = rank_b.saturating_sub(2);
    let what = format!(
        "dimension {} of operand 0 and dimension {inner_b} of operand 1 of a matrix product",
        rank_a - 1
    );
    cx.require_eq(dims_a[rank_a - 1], dims_b[inner_b], &what)?;
    let batch = |dims: &[_], rank: usize| ShapeInfo::Known(Dims::from(&dims[..rank.saturating_sub(2)]));
    let batch = cx.broadcast(&[&batch(dims_a, rank_a), &batch(dims_b, rank_b)])?;
    let mut dims = Dims::from(batch.known().unwrap_or_default());
    if rank_a > 1 {
        dims.push(dims_a[rank_a - 2]);
    }
    if rank_b > 1 {
        dims.push(dims_b[rank_b - 1]);
    }
    one(plain(dtype, ShapeInfo::Known(dims)))
}
