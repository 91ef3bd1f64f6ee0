//! Operators that select by data: how large the results of some of them are is known only when they run.

use super::support::{Class, const_dims, count, one, plain, points, rank_only};
use super::{Arity, AttrDef, AttrKind, InferCx, InferResult, OpDef, OpRegistry, Read};
use crate::shape::Dim;
use crate::types::{DType, Dims, ShapeInfo, Type};
use smallvec::smallvec;

pub(crate) fn register(ops: &mut OpRegistry) {
    const AXIS: &[AttrDef] = &[AttrDef::required("axis", AttrKind::Int)];
    ops.register(OpDef::pure("non_zero", Arity::exactly(1), &[], non_zero));
    ops.register(OpDef::pure("compress", Arity::exactly(2), AXIS, compress));
    const TOP_K: &[AttrDef] =
        &[AttrDef::required("axis", AttrKind::Int), AttrDef::optional("smallest", AttrKind::Bool)];
    let best = OpDef::pure("top_k", Arity::exactly(2), TOP_K, top_k).with_results(2);
    ops.register(best.reading(&[Read::Sizes(1)]));
}

fn non_zero(cx: &mut InferCx<'_>) -> InferResult {
    let x = cx.tensor(0)?;
    let Some(rank) = x.shape.rank() else { return one(plain(DType::I64, rank_only(2))) };
    let Some(dims) = x.dims() else { return one(plain(DType::I64, rank_only(2))) };
    let rows = cx.shapes.int(rank as i64);
    if let Some((extents, elements)) = const_dims(cx.shapes, dims).zip(cx.int_elements(0))
        && count(&extents) == Some(elements.len())
    {
        let all = points(&extents).into_iter().zip(elements);
        let found: Vec<_> = all.filter(|(_, it)| *it != 0).map(|(at, _)| at).collect();
        let result = Dims::from_slice(&[rows, cx.shapes.int(found.len() as i64)]);
        return one(
            cx.tensor_with(DType::I64, result, |shapes, at| Some(shapes.int(found[at[1]][at[0]] as i64)))
        );
    }
    let total = cx.product(dims)?;
    let hits = cx.fresh_size("count", total)?;
    one(plain(DType::I64, ShapeInfo::Known(Dims::from_slice(&[rows, hits]))))
}

fn compress(cx: &mut InferCx<'_>) -> InferResult {
    let x = cx.tensor(0)?;
    cx.tensor_of(1, Class::Bool)?;
    cx.expect_rank(1, 1)?;
    let Some(rank) = x.shape.rank() else { return one(plain(x.dtype, ShapeInfo::Unknown)) };
    let axis = cx.axis("axis", rank)?;
    let (Some(dims), Some(condition)) = (x.dims(), cx.dims(1)?) else {
        return one(plain(x.dtype, rank_only(rank)));
    };
    let room = cx.shapes.sub(dims[axis], condition[0]);
    let room = cx.no_overflow(room)?;
    cx.require_at_least(room, 0, &format!("dimension {axis} of operand 0 minus the length of operand 1"))?;
    let kept: Dim = match cx.int_elements(1) {
        Some(elements) => cx.shapes.int(elements.iter().filter(|it| **it != 0).count() as i64),
        None => cx.fresh_size("count", condition[0])?,
    };
    let mut result = Dims::from(dims);
    result[axis] = kept;
    one(plain(x.dtype, ShapeInfo::Known(result)))
}

fn top_k(cx: &mut InferCx<'_>) -> InferResult {
    let x = cx.tensor_of(0, Class::Number)?;
    let both = |shape: ShapeInfo| {
        Ok(smallvec![Type::Tensor(plain(x.dtype, shape.clone())), Type::Tensor(plain(DType::I64, shape))])
    };
    cx.tensor_of(1, Class::Int)?;
    cx.expect_rank(1, 1)?;
    cx.expect_single(1)?;
    let Some(rank) = x.shape.rank() else { return both(ShapeInfo::Unknown) };
    let axis = cx.axis("axis", rank)?;
    let (Some(dims), Some([wanted])) = (x.dims(), cx.elements(1)) else { return both(rank_only(rank)) };
    let wanted = *wanted;
    cx.require_at_least(wanted, 0, "the number that is wanted")?;
    let room = cx.shapes.sub(dims[axis], wanted);
    let room = cx.no_overflow(room)?;
    cx.require_at_least(room, 0, &format!("dimension {axis} of operand 0 minus the number that is wanted"))?;
    let mut result = Dims::from(dims);
    result[axis] = wanted;
    both(ShapeInfo::Known(result))
}
