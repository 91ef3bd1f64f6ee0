//! Reductions over axes, and scans.

use super::support::{Class, Point, fit, larger, one, plain, points, rank_only, smaller};
use super::{Arity, AttrDef, AttrKind, InferCx, InferResult, OpDef, OpRegistry};
use crate::shape::{Dim, ShapeCx};
use crate::types::{DType, Dims, ShapeInfo, TensorType};

const REDUCE: &[AttrDef] =
    &[AttrDef::required("axes", AttrKind::Ints), AttrDef::optional("keepdims", AttrKind::Bool)];
const ARG: &[AttrDef] = &[
    AttrDef::required("axis", AttrKind::Int),
    AttrDef::optional("keepdims", AttrKind::Bool),
    AttrDef::optional("select_last", AttrKind::Bool),
];
const CUMULATIVE: &[AttrDef] = &[
    AttrDef::required("axis", AttrKind::Int),
    AttrDef::optional("exclusive", AttrKind::Bool),
    AttrDef::optional("reverse", AttrKind::Bool),
];

pub(crate) fn register(ops: &mut OpRegistry) {
    ops.register(OpDef::pure("reduce_sum", Arity::exactly(1), REDUCE, |cx| {
        reduce(cx, Class::Number, |shapes, list| shapes.sum(list).ok())
    }));
    ops.register(OpDef::pure("reduce_prod", Arity::exactly(1), REDUCE, |cx| {
        reduce(cx, Class::Number, |shapes, list| shapes.product(list).ok())
    }));
    ops.register(OpDef::pure("reduce_max", Arity::exactly(1), REDUCE, |cx| {
        reduce(cx, Class::Ordered, |shapes, list| {
            let (first, rest) = list.split_first()?;
            rest.iter().try_fold(*first, |a, b| larger(shapes, a, *b))
        })
    }));
    ops.register(OpDef::pure("reduce_min", Arity::exactly(1), REDUCE, |cx| {
        reduce(cx, Class::Ordered, |shapes, list| {
            let (first, rest) = list.split_first()?;
            rest.iter().try_fold(*first, |a, b| smaller(shapes, a, *b))
        })
    }));
    ops.register(OpDef::pure("reduce_mean", Arity::exactly(1), REDUCE, |cx| {
        reduce(cx, Class::Number, |_, _| None)
    }));
    ops.register(OpDef::pure("arg_max", Arity::exactly(1), ARG, arg));
    ops.register(OpDef::pure("arg_min", Arity::exactly(1), ARG, arg));
    ops.register(OpDef::pure("cum_sum", Arity::exactly(1), CUMULATIVE, |cx| {
        cumulative(cx, |shapes, list| shapes.sum(list).ok())
    }));
    ops.register(OpDef::pure("cum_prod", Arity::exactly(1), CUMULATIVE, |cx| {
        cumulative(cx, |shapes, list| shapes.product(list).ok())
    }));
}

/// The shape after reducing `axes`.
fn reduced(cx: &mut InferCx<'_>, ty: &TensorType, axes: &[usize]) -> ShapeInfo {
    let keep = cx.flag("keepdims");
    match &ty.shape {
        ShapeInfo::Known(dims) => {
            let one = cx.shapes.int(1);
            let kept = dims.iter().enumerate().filter_map(|(i, dim)| match axes.contains(&i) {
                true => keep.then_some(one),
                false => Some(*dim),
            });
            ShapeInfo::Known(kept.collect::<Dims>())
        }
        ShapeInfo::Rank(rank) if !keep => rank_only(usize::from(*rank).saturating_sub(axes.len())),
        other => other.clone(),
    }
}

fn reduce(
    cx: &mut InferCx<'_>,
    class: Class,
    combine: fn(&mut ShapeCx, &[Dim]) -> Option<Dim>,
) -> InferResult {
    let ty = cx.tensor_of(0, class)?;
    let axes = match ty.shape.rank() {
        Some(rank) => cx.axes("axes", rank)?,
        None => return one(plain(ty.dtype, ShapeInfo::Unknown)),
    };
    let (shape, keep) = (reduced(cx, ty, &axes), cx.flag("keepdims"));
    let (ShapeInfo::Known(dims), Some(known)) = (&shape, cx.known(0)) else {
        return one(plain(ty.dtype, shape));
    };
    let dtype = ty.dtype;
    one(cx.tensor_with(dtype, dims.clone(), |shapes, at| {
        let inside = |point: &&Point| {
            let kept = point.iter().enumerate().filter_map(|(i, x)| match axes.contains(&i) {
                true => keep.then_some(0),
                false => Some(*x),
            });
            kept.collect::<Point>()[..] == *at
        };
        let list: Vec<Dim> = points(&known.dims).iter().filter(inside).map(|it| known.at(it)).collect();
        let value = combine(shapes, &list)?;
        fit(shapes, dtype, value)
    }))
}

fn arg(cx: &mut InferCx<'_>) -> InferResult {
    let ty = cx.tensor_of(0, Class::Number)?;
    let Some(rank) = ty.shape.rank() else { return one(TensorType::unknown(DType::I64)) };
    let axis = cx.axis("axis", rank)?;
    if let Some(dims) = ty.dims() {
        cx.require_at_least(dims[axis], 1, &format!("operand 0 must have elements along axis {axis}"))?;
    }
    let shape = reduced(cx, ty, &[axis]);
    one(plain(DType::I64, shape))
}

fn cumulative(cx: &mut InferCx<'_>, combine: fn(&mut ShapeCx, &[Dim]) -> Option<Dim>) -> InferResult {
    let ty = cx.tensor_of(0, Class::Number)?;
    let Some(rank) = ty.shape.rank() else { return one(plain(ty.dtype, ty.shape.clone())) };
    let axis = cx.axis("axis", rank)?;
    let (exclusive, reverse) = (cx.flag("exclusive"), cx.flag("reverse"));
    let (ShapeInfo::Known(dims), Some(known)) = (&ty.shape, cx.known(0)) else {
        return one(plain(ty.dtype, ty.shape.clone()));
    };
    let dtype = ty.dtype;
    one(cx.tensor_with(dtype, dims.clone(), |shapes, at| {
        let included = |j: usize| match (reverse, exclusive) {
            (false, false) => j <= at[axis],
            (false, true) => j < at[axis],
            (true, false) => j >= at[axis],
            (true, true) => j > at[axis],
        };
        let list: Vec<Dim> = (0..known.dims[axis])
            .filter(|j| included(*j))
            .map(|j| {
                let mut point = Point::from(at);
                point[axis] = j;
                known.at(&point)
            })
            .collect();
        let value = combine(shapes, &list)?;
        fit(shapes, dtype, value)
    }))
}
