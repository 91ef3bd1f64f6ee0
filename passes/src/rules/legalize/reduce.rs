//! Reductions: one stage over the reduced axes; `arg_max` two; scans a loop.

use super::context::wide;
use super::{LegalizeFn, Legalizer, Lowering};
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{Axis, BinaryOp, BufferId, BuildResult, Combine, CompareOp, ProgramBuilder, UnaryOp};
use orogen_ir::shape::Dim;
use orogen_ir::types::{DType, Dims};

pub(super) const ROWS: &[(&str, LegalizeFn)] = &[
    ("reduce_sum", |cx| reduce(cx, Combine::Sum)),
    ("reduce_prod", |cx| reduce(cx, Combine::Product)),
    ("reduce_max", |cx| reduce(cx, Combine::Max)),
    ("reduce_min", |cx| reduce(cx, Combine::Min)),
    ("reduce_mean", mean),
    ("arg_max", |cx| arg(cx, Combine::Max)),
    ("arg_min", |cx| arg(cx, Combine::Min)),
    ("cum_sum", |cx| cumulative(cx, BinaryOp::Add, 0.0)),
    ("cum_prod", |cx| cumulative(cx, BinaryOp::Mul, 1.0)),
];

/// The axes of a reduction of operand 0: outer axes, reduced axes, where to load and where to store.
struct Nest {
    outer: Vec<Axis>,
    reduced: Vec<Axis>,
    load_at: Dims,
    store_at: Dims,
}

fn nest(cx: &mut Legalizer<'_>, dims: &[Dim], axes: &[usize], keep: bool) -> Nest {
    let zero = cx.b.shapes().int(0);
    let mut nest =
        Nest { outer: Vec::new(), reduced: Vec::new(), load_at: Dims::new(), store_at: Dims::new() };
    for (i, dim) in dims.iter().enumerate() {
        let reduce = axes.contains(&i);
        let axis = cx.b.axis(&format!("{}{i}", if reduce { "k" } else { "i" }), *dim);
        let var = cx.b.var(axis);
        nest.load_at.push(var);
        if reduce {
            nest.reduced.push(axis);
            if keep {
                nest.store_at.push(zero);
            }
        } else {
            nest.outer.push(axis);
            nest.store_at.push(var);
        }
    }
    nest
}

fn reduce(mut cx: Legalizer<'_>, combine: Combine) -> Result<Lowering, Diagnostic> {
    let out = cx.output(0)?;
    // The extremum is one of the elements.
    let exact = matches!(combine, Combine::Max | Combine::Min);
    let target = if exact { out } else { cx.wide_target(out) };
    combine_into(&mut cx, combine, target)?;
    cx.narrow_into(target, out)?;
    cx.finish()
}

fn mean(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let (_, dims) = cx.operand(0)?;
    let out = cx.output(0)?;
    let out_dims = cx.b.buffer_dims(out);
    let sum = cx.local("sum", &out_dims)?;
    combine_into(&mut cx, Combine::Sum, sum)?;
    let reduced: Dims = cx.axes_attr("axes").iter().map(|it| dims[*it]).collect();
    divide_by_count(&mut cx, sum, &reduced, out)?;
    cx.finish()
}

/// The elements of operand 0 along its `axes`, combined into a buffer in its type. Where the last axes are combined
/// and others before what is kept, there are two stages, so that the first reads rows and the second columns.
fn combine_into(cx: &mut Legalizer<'_>, combine: Combine, into: BufferId) -> BuildResult<()> {
    let (x, dims) = cx.operand(0)?;
    let (axes, keep) = (cx.axes_attr("axes"), cx.flag("keepdims"));
    let Some(first) = rows(cx, &dims, &axes) else {
        let nest = nest(cx, &dims, &axes, keep);
        let value = cx.b.load(x, nest.load_at)?;
        let value = cx.b.cast(cx.b.buffer_dtype(into), value);
        return cx.b.reduce_stage(&nest.outer, &nest.reduced, combine, into, nest.store_at, value);
    };
    let (before, last): (Vec<usize>, Vec<usize>) = axes.iter().partition(|it| **it < first);
    let inner = nest(cx, &dims, &last, false);
    let dtype = cx.b.buffer_dtype(into);
    let of_rows = cx.b.local("rows", dtype, &dims[..first]);
    let value = cx.b.load(x, inner.load_at)?;
    let value = cx.b.cast(dtype, value);
    cx.b.reduce_stage(&inner.outer, &inner.reduced, combine, of_rows, inner.store_at, value)?;
    let mut outer = nest(cx, &dims[..first], &before, keep);
    if keep {
        let zero = cx.b.shapes().int(0);
        outer.store_at.extend(last.iter().map(|_| zero));
    }
    let value = cx.b.load(of_rows, outer.load_at)?;
    cx.b.reduce_stage(&outer.outer, &outer.reduced, combine, into, outer.store_at, value)
}

/// Where the axes begin that end with the last one and are all reduced, if others before what is kept are too.
fn rows(cx: &mut Legalizer<'_>, dims: &[Dim], axes: &[usize]) -> Option<usize> {
    let is_one = |cx: &Legalizer<'_>, i: usize| cx.as_int(dims[i]) == Some(1);
    let first = (0..dims.len()).rev().find(|it| !axes.contains(it))? + 1;
    let kept = (0..first).rev().find(|it| !axes.contains(it) && !is_one(cx, *it))?;
    let apart = axes.iter().any(|it| *it < kept && !is_one(cx, *it));
    let has_rows = axes.iter().any(|it| *it >= first && !is_one(cx, *it));
    (apart && has_rows).then_some(first)
}

/// `out = sum / count`, as a product with the reciprocal for floats.
fn divide_by_count(cx: &mut Legalizer<'_>, sum: BufferId, counted: &[Dim], out: BufferId) -> BuildResult<()> {
    let (dtype, out_dtype) = (cx.b.buffer_dtype(sum), cx.b.buffer_dtype(out));
    let count = cx.product(counted)?;
    let (op, factor) = match dtype.is_float() {
        true => (BinaryOp::Mul, reciprocal(cx, count, dtype)?),
        false => (BinaryOp::Div, cx.dim_as(count, dtype)?),
    };
    cx.b.fill(out, |b, at| {
        let total = b.load(sum, at.iter().copied())?;
        let mean = b.binary(op, total, factor)?;
        Ok(b.cast(out_dtype, mean))
    })
}

/// `1 / dim` as a float.
pub(super) fn reciprocal(
    cx: &mut Legalizer<'_>,
    dim: Dim,
    dtype: DType,
) -> BuildResult<orogen_ir::loops::ExprId> {
    if let Some(value) = cx.as_int(dim).filter(|it| *it != 0) {
        return cx.b.float(1.0 / value as f64, dtype);
    }
    let value = cx.dim_as(dim, dtype)?;
    cx.b.unary(UnaryOp::Reciprocal, value)
}

/// First the extreme value, then the first (or last) index that holds it. A NaN counts as extreme.
fn arg(mut cx: Legalizer<'_>, combine: Combine) -> Result<Lowering, Diagnostic> {
    let (x, dims) = cx.operand(0)?;
    let (axis, keep) = (cx.axis_attr(), cx.flag("keepdims"));
    let out = cx.output(0)?;
    let dtype = cx.b.buffer_dtype(x);
    let out_dims = cx.b.buffer_dims(out);
    let best = cx.b.local("best", dtype, &out_dims);
    let first = nest(&mut cx, &dims, &[axis], keep);
    let value = cx.b.load(x, first.load_at)?;
    cx.b.reduce_stage(&first.outer, &first.reduced, combine, best, first.store_at, value)?;

    let second = nest(&mut cx, &dims, &[axis], keep);
    let place = place_type(&mut cx, dtype, dims[axis]);
    let places = if place == DType::I64 { out } else { cx.b.local("place", place, &out_dims) };
    let index = cx.b.dim(second.load_at[axis], place)?;
    let value = cx.b.load(x, second.load_at)?;
    let wanted = cx.b.load(best, second.store_at.iter().copied())?;
    let mut matches = cx.b.compare(CompareOp::Eq, value, wanted)?;
    if dtype.is_float() {
        let both = [cx.b.unary(UnaryOp::IsNan, value)?, cx.b.unary(UnaryOp::IsNan, wanted)?];
        let both = cx.b.binary(BinaryOp::And, both[0], both[1])?;
        matches = cx.b.binary(BinaryOp::Or, matches, both)?;
    }
    let (pick, never) = match cx.flag("select_last") {
        true => (Combine::Max, cx.b.int(-1, place)?),
        false => (Combine::Min, cx.dim_as(dims[axis], place)?),
    };
    let candidate = cx.b.select(matches, index, never)?;
    cx.b.reduce_stage(&second.outer, &second.reduced, pick, places, second.store_at, candidate)?;
    if places != out {
        cx.b.fill(out, |b, at| {
            let place = b.load(places, at.iter().copied())?;
            Ok(b.cast(DType::I64, place))
        })?;
    }
    cx.finish()
}

/// The integers that count places along an axis: no wider than elements where they need not be, so that lanes are not.
fn place_type(cx: &mut Legalizer<'_>, dtype: DType, extent: Dim) -> DType {
    let most = cx.b.shapes().bounds(extent).hi.unwrap_or(i64::MAX);
    match dtype.size() {
        1 | 2 if most <= i64::from(i16::MAX) => DType::I16,
        1 | 2 | 4 if most <= i64::from(i32::MAX) => DType::I32,
        _ => DType::I64,
    }
}

/// A loop along the axis over a running value: each step takes one element in and stores the value, or the other way round.
fn cumulative(mut cx: Legalizer<'_>, op: BinaryOp, identity: f64) -> Result<Lowering, Diagnostic> {
    let (x, dims) = cx.operand(0)?;
    let (axis, exclusive, reverse) = (cx.axis_attr(), cx.flag("exclusive"), cx.flag("reverse"));
    let out = cx.output(0)?;
    let (dtype, out_dtype) = (wide(cx.b.buffer_dtype(x)), cx.b.buffer_dtype(out));
    let mut outer = dims.clone();
    outer.remove(axis);
    let running = cx.local("running", &outer)?;
    cx.b.fill(running, |b, _| Ok(b.number(identity, dtype)))?;
    let step = cx.b.axis("t", dims[axis]);
    let time = cx.b.var(step);
    let position = if reverse {
        let last = cx.linear(dims[axis], 1, -1)?;
        cx.sub(last, time)?
    } else {
        time
    };
    let place = |at: &[Dim]| {
        let mut point = Dims::from(at);
        point.insert(axis, position);
        point
    };
    let publish = |b: &mut ProgramBuilder| {
        let axes = b.axes("i", &outer);
        let at = b.vars(&axes);
        let value = b.load(running, at.iter().copied())?;
        let value = b.cast(out_dtype, value);
        b.stage(&axes, out, place(&at), value)
    };
    cx.b.for_loop(step, |b| {
        if exclusive {
            publish(b)?;
        }
        b.fill(running, |b, at| {
            let (before, element) = (b.load(running, at.iter().copied())?, b.load(x, place(at))?);
            let element = b.cast(dtype, element);
            b.binary(op, before, element)
        })?;
        if exclusive { Ok(()) } else { publish(b) }
    })?;
    cx.finish()
}
