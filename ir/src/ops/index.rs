//! Operators that read or write at computed positions, and generators.

use super::slicing::range_length;
use super::support::{Class, Point, fit, indexing, one, plain, rank_only};
use super::{Arity, AttrDef, AttrKind, InferCx, InferResult, OpDef, OpRegistry, Read};
use crate::diag::Diagnostic;
use crate::types::{DType, Dims, ShapeInfo};

/// Values of the attribute `reduction` of the scatter operators; the first is the default.
pub const SCATTER_REDUCTIONS: &[&str] = &["none", "add", "mul", "max", "min"];

pub(crate) fn register(ops: &mut OpRegistry) {
    const AXIS: &[AttrDef] = &[AttrDef::required("axis", AttrKind::Int)];
    const BATCH_DIMS: &[AttrDef] = &[AttrDef::optional("batch_dims", AttrKind::Int)];
    const REDUCTION: &[AttrDef] = &[AttrDef::optional("reduction", AttrKind::Str)];
    const SCATTER: &[AttrDef] =
        &[AttrDef::required("axis", AttrKind::Int), AttrDef::optional("reduction", AttrKind::Str)];
    const SEED: &[AttrDef] = &[AttrDef::required("seed", AttrKind::Int)];
    const UPPER: &[AttrDef] = &[AttrDef::optional("upper", AttrKind::Bool)];
    ops.register(indexing("gather", Arity::exactly(2), AXIS, gather));
    ops.register(indexing("gather_elements", Arity::exactly(2), AXIS, gather_elements));
    ops.register(indexing("gather_nd", Arity::exactly(2), BATCH_DIMS, gather_nd));
    ops.register(indexing("scatter_nd", Arity::exactly(3), REDUCTION, scatter_nd));
    ops.register(indexing("scatter_elements", Arity::exactly(3), SCATTER, scatter_elements));
    ops.register(OpDef::pure("update_slice", Arity::exactly(3), &[], update_slice));
    ops.register(OpDef::pure("one_hot", Arity::exactly(3), AXIS, one_hot).reading(&[Read::Sizes(1)]));
    let bounds = &[Read::Integers(0), Read::Integers(1), Read::Integers(2)];
    ops.register(OpDef::pure("range", Arity::exactly(3), &[], range).reading(bounds));
    ops.register(OpDef::pure("full", Arity::exactly(2), &[], full).reading(&[Read::Sizes(0)]));
    ops.register(
        OpDef::pure("mersenne_twister", Arity::exactly(1), SEED, mersenne_twister).reading(&[Read::Sizes(0)]),
    );
    ops.register(OpDef::pure("trilu", Arity::between(1, 2), UPPER, trilu));
}

fn gather(cx: &mut InferCx<'_>) -> InferResult {
    let (x, indices) = (cx.tensor(0)?, cx.tensor_of(1, Class::Int)?);
    let Some(rank) = x.shape.rank() else { return one(plain(x.dtype, ShapeInfo::Unknown)) };
    let axis = cx.axis("axis", rank)?;
    let (Some(dims), Some(index_dims)) = (x.dims(), indices.dims()) else {
        let shape = indices.shape.rank().map_or(ShapeInfo::Unknown, |it| rank_only(rank - 1 + it));
        return one(plain(x.dtype, shape));
    };
    check_indices(cx, 1, axis)?;
    let mut result = Dims::from(&dims[..axis]);
    result.extend_from_slice(index_dims);
    result.extend_from_slice(&dims[axis + 1..]);
    let (known, places, index_rank) = (cx.known(0), cx.known(1), index_dims.len());
    one(cx.tensor_with(x.dtype, result, |shapes, at| {
        let known = known.as_ref()?;
        let index = shapes.as_int(places.as_ref()?.at(&at[axis..axis + index_rank]))?;
        let mut point = Point::from(&at[..axis]);
        point.push(position(index, known.dims[axis])?);
        point.extend_from_slice(&at[axis + index_rank..]);
        Some(known.at(&point))
    }))
}

/// An index that may count from the end, as a position.
fn position(index: i64, extent: usize) -> Option<usize> {
    let extent_signed = i64::try_from(extent).ok()?;
    let index = if index < 0 { index + extent_signed } else { index };
    usize::try_from(index).ok().filter(|it| *it < extent)
}

/// Refuses constant indices in operand `i` that are out of range for dimension `axis` of operand 0.
fn check_indices(cx: &InferCx<'_>, i: usize, axis: usize) -> Result<(), Diagnostic> {
    let (Some(dims), Some(elements)) = (cx.dims(0)?, cx.elements(i)) else { return Ok(()) };
    let Some(extent) = cx.shapes.as_int(dims[axis]) else { return Ok(()) };
    for index in elements.iter().filter_map(|it| cx.shapes.as_int(*it)) {
        if index < -extent || index >= extent {
            return Err(Diagnostic::error(
                "S020",
                format!(
                    "index {index} in operand {i} is out of range: dimension {axis} of operand 0 is {extent}"
                ),
            ));
        }
    }
    Ok(())
}

fn gather_elements(cx: &mut InferCx<'_>) -> InferResult {
    let (x, indices) = (cx.tensor(0)?, cx.tensor_of(1, Class::Int)?);
    let Some(rank) = x.shape.rank().or(indices.shape.rank()) else {
        return one(plain(x.dtype, ShapeInfo::Unknown));
    };
    cx.expect_rank(0, rank)?;
    cx.expect_rank(1, rank)?;
    let axis = cx.axis("axis", rank)?;
    fits_inside(cx, 1, axis)?;
    check_indices(cx, 1, axis)?;
    one(plain(x.dtype, indices.shape.clone()))
}

/// Requires that the dimensions of operand `i` other than `axis` do not exceed those of operand 0.
fn fits_inside(cx: &mut InferCx<'_>, i: usize, axis: usize) -> Result<(), Diagnostic> {
    let (Some(dims), Some(inner)) = (cx.dims(0)?, cx.dims(i)?) else { return Ok(()) };
    for (j, (outer, inner)) in dims.iter().zip(inner).enumerate().filter(|(j, _)| *j != axis) {
        let room = cx.shapes.sub(*outer, *inner);
        let room = cx.no_overflow(room)?;
        let what = format!("dimension {j} of operand 0 minus that of operand {i}");
        cx.require_at_least(room, 0, &what)?;
    }
    Ok(())
}

/// What is only moved is written, never combined.
fn check_reduction(cx: &InferCx<'_>) -> Result<(), Diagnostic> {
    if cx.choice("reduction", SCATTER_REDUCTIONS)? != "none" {
        cx.tensor_of(0, Class::Ordered)?;
    }
    Ok(())
}

/// The constant last dimension of operand 1: how many coordinates an index has.
fn index_depth(cx: &InferCx<'_>) -> Result<Option<usize>, Diagnostic> {
    cx.tensor_of(1, Class::Int)?;
    cx.expect_rank_at_least(1, 1)?;
    let Some(last) = cx.dims(1)?.and_then(|it| it.last()) else { return Ok(None) };
    Ok(cx.shapes.as_int(*last).and_then(|it| usize::try_from(it).ok()))
}

fn gather_nd(cx: &mut InferCx<'_>) -> InferResult {
    let (x, indices) = (cx.tensor(0)?, cx.tensor(1)?);
    let batch = usize::try_from(cx.attrs.int("batch_dims").unwrap_or(0))
        .map_err(|_| Diagnostic::error("O023", "attribute `batch_dims` is negative"))?;
    cx.expect_rank_at_least(1, batch + 1)?;
    let depth = index_depth(cx)?;
    let (Some(rank), Some(index_rank), Some(depth)) = (x.shape.rank(), indices.shape.rank(), depth) else {
        return one(plain(x.dtype, ShapeInfo::Unknown));
    };
    cx.expect_rank_at_least(0, batch + depth)?;
    let (Some(dims), Some(index_dims)) = (x.dims(), indices.dims()) else {
        return one(plain(x.dtype, rank_only(index_rank - 1 + rank - batch - depth)));
    };
    for i in 0..batch {
        cx.require_eq(dims[i], index_dims[i], &format!("batch dimension {i} of operands 0 and 1"))?;
    }
    let mut result = Dims::from(&index_dims[..index_rank - 1]);
    result.extend_from_slice(&dims[batch + depth..]);
    one(plain(x.dtype, ShapeInfo::Known(result)))
}

fn scatter_nd(cx: &mut InferCx<'_>) -> InferResult {
    let x = cx.tensor(0)?;
    cx.same_dtype(0, 2)?;
    check_reduction(cx)?;
    if let Some(depth) = index_depth(cx)? {
        cx.expect_rank_at_least(0, depth)?;
        if let (Some(dims), Some(index_dims)) = (x.dims(), cx.dims(1)?) {
            let batch = index_dims.len() - 1;
            cx.expect_rank(2, batch + dims.len() - depth)?;
            let wanted: Dims = index_dims[..batch].iter().chain(&dims[depth..]).copied().collect();
            for (i, (found, wanted)) in cx.dims(2)?.unwrap_or_default().iter().zip(wanted).enumerate() {
                cx.require_eq(*found, wanted, &format!("dimension {i} of operand 2 (updates)"))?;
            }
        }
    }
    one(plain(x.dtype, x.shape.clone()))
}

fn scatter_elements(cx: &mut InferCx<'_>) -> InferResult {
    let x = cx.tensor(0)?;
    cx.same_dtype(0, 2)?;
    cx.tensor_of(1, Class::Int)?;
    check_reduction(cx)?;
    let Some(rank) = x.shape.rank() else { return one(plain(x.dtype, ShapeInfo::Unknown)) };
    let axis = cx.axis("axis", rank)?;
    cx.expect_rank(1, rank)?;
    cx.expect_rank(2, rank)?;
    fits_inside(cx, 1, axis)?;
    check_indices(cx, 1, axis)?;
    if let (Some(a), Some(b)) = (cx.dims(1)?, cx.dims(2)?) {
        for (i, (a, b)) in a.iter().zip(b).enumerate() {
            cx.require_eq(*a, *b, &format!("dimension {i} of operands 1 and 2"))?;
        }
    }
    one(plain(x.dtype, x.shape.clone()))
}

fn update_slice(cx: &mut InferCx<'_>) -> InferResult {
    let x = cx.tensor(0)?;
    cx.same_dtype(0, 1)?;
    cx.tensor_of(2, Class::Int)?;
    let length = cx.list_len(2)?;
    let Some(rank) = x.shape.rank().or(length) else { return one(plain(x.dtype, x.shape.clone())) };
    cx.expect_rank(0, rank)?;
    cx.expect_rank(1, rank)?;
    if let Some(starts) = cx.dims(2)?.map(|it| it[0]) {
        let wanted = cx.shapes.int(rank as i64);
        cx.require_eq(starts, wanted, "dimension 0 of operand 2 (starts)")?;
    }
    if let (Some(dims), Some(inner)) = (cx.dims(0)?, cx.dims(1)?) {
        for (i, (outer, inner)) in dims.iter().zip(inner).enumerate() {
            let room = cx.shapes.sub(*outer, *inner);
            let room = cx.no_overflow(room)?;
            cx.require_at_least(room, 0, &format!("dimension {i} of operand 0 minus that of operand 1"))?;
        }
    }
    one(plain(x.dtype, x.shape.clone()))
}

fn one_hot(cx: &mut InferCx<'_>) -> InferResult {
    let indices = cx.tensor_of(0, Class::Int)?;
    cx.tensor_of(1, Class::Int)?;
    cx.expect_single(1)?;
    let values = cx.tensor(2)?;
    cx.expect_rank(2, 1)?;
    if let Some(dims) = values.dims() {
        let two = cx.shapes.int(2);
        cx.require_eq(dims[0], two, "dimension 0 of operand 2 (off and on values)")?;
    }
    let Some(rank) = indices.shape.rank() else { return one(plain(values.dtype, ShapeInfo::Unknown)) };
    let axis = cx.axis("axis", rank + 1)?;
    let (Some(dims), Some([depth])) = (indices.dims(), cx.elements(1)) else {
        return one(plain(values.dtype, rank_only(rank + 1)));
    };
    cx.require_at_least(*depth, 0, "operand 1 (depth)")?;
    let mut result = Dims::from(dims);
    result.insert(axis, *depth);
    one(plain(values.dtype, ShapeInfo::Known(result)))
}

fn range(cx: &mut InferCx<'_>) -> InferResult {
    let dtype = cx.tensor_of(0, Class::Number)?.dtype;
    cx.all_same_dtype(0..3)?;
    for i in 0..3 {
        cx.expect_single(i)?;
    }
    let bounds = (cx.elements(0), cx.elements(1), cx.elements(2));
    let (Some([start]), Some([limit]), Some([delta])) = bounds else {
        return one(plain(dtype, ShapeInfo::Rank(1)));
    };
    if cx.shapes.as_int(*delta) == Some(0) {
        return Err(Diagnostic::error("S021", "operand 2 (delta) is 0"));
    }
    let Some(length) = range_length(cx.shapes, *start, *limit, *delta) else {
        return one(plain(dtype, ShapeInfo::Rank(1)));
    };
    one(cx.tensor_with(dtype, Dims::from_slice(&[length]), |shapes, at| {
        let offset = shapes.scale(*delta, at[0] as i64).ok()?;
        let value = shapes.add(*start, offset).ok()?;
        fit(shapes, dtype, value)
    }))
}

fn full(cx: &mut InferCx<'_>) -> InferResult {
    let dtype = cx.tensor(1)?.dtype;
    cx.expect_single(1)?;
    let Some(rank) = cx.list_len(0)? else { return one(plain(dtype, ShapeInfo::Unknown)) };
    let Some(dims) = cx.elements(0) else { return one(plain(dtype, rank_only(rank))) };
    for (i, dim) in dims.iter().enumerate() {
        cx.require_at_least(*dim, 0, &format!("element {i} of operand 0 (shape)"))?;
    }
    let value = cx.elements(1).and_then(|it| it.first().copied());
    one(cx.tensor_with(dtype, dims.into(), |_, _| value))
}

/// Of a count `[1]`: so many numbers.
fn mersenne_twister(cx: &mut InferCx<'_>) -> InferResult {
    let seed = cx.attrs.int("seed").unwrap_or(0);
    if u32::try_from(seed).is_err() {
        let message = format!("attribute `seed` is {seed}");
        return Err(Diagnostic::error("O023", message).help("a seed has 32 bits and no sign"));
    }
    cx.tensor_of(0, Class::Int)?;
    cx.expect_rank(0, 1)?;
    cx.expect_single(0)?;
    let Some([count]) = cx.elements(0) else { return one(plain(DType::U32, rank_only(1))) };
    cx.require_at_least(*count, 0, "element 0 of operand 0 (count)")?;
    one(plain(DType::U32, ShapeInfo::Known(Dims::from_slice(&[*count]))))
}

fn trilu(cx: &mut InferCx<'_>) -> InferResult {
    let x = cx.tensor(0)?;
    cx.expect_rank_at_least(0, 2)?;
    if cx.has(1) {
        cx.tensor_of(1, Class::Int)?;
        cx.expect_single(1)?;
    }
    let (ShapeInfo::Known(dims), Some(known)) = (&x.shape, cx.known(0)) else {
        return one(plain(x.dtype, x.shape.clone()));
    };
    let offset = if cx.has(1) { cx.single_int(1) } else { Some(0) };
    let upper = cx.flag("upper");
    one(cx.tensor_with(x.dtype, dims.clone(), |shapes, at| {
        let [.., row, column] = at else { return None };
        let distance = *column as i64 - *row as i64;
        let keep = if upper { distance >= offset? } else { distance <= offset? };
        Some(if keep { known.at(at) } else { shapes.int(0) })
    }))
}
