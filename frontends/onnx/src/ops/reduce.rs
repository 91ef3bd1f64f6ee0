//! Reductions, arg-max, softmax.

use super::axes::{Axes, OpenAxes, folded};
use super::shape::flatten_at;
use super::single;
use crate::emit::{attrs, normal_axis};
use crate::node::NodeCx;
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::DType;

type Single = Result<Value, Diagnostic>;

/// What is done with each element, along the axes, and with each result.
#[derive(Clone, Copy)]
struct Reduction {
    before: fn(&mut NodeCx<'_, '_>, Value) -> Single,
    along: Along,
    after: fn(&mut NodeCx<'_, '_>, Value) -> Single,
    /// Whether there are several steps, of which the last alone is rounded.
    composed: bool,
}

/// What is done along axes. All but means give the same axis by axis.
#[derive(Clone, Copy)]
enum Along {
    Operator(&'static str),
    Mean,
    LogSumExp,
}

impl Along {
    fn reduce(self, cx: &mut NodeCx<'_, '_>, x: Value, axes: &[i64], keep: bool) -> Single {
        match self {
            Along::Operator(op) => cx.reduce(op, x, axes, keep),
            Along::Mean => cx.reduce("reduce_mean", x, axes, keep),
            Along::LogSumExp => log_sum_exp(cx, x, axes, keep),
        }
    }

    /// With axes that are known only at run time; their dimensions stay, with size 1.
    fn folded(self, cx: &mut NodeCx<'_, '_>, x: Value, axes: OpenAxes) -> Single {
        if !matches!(self, Along::Mean) {
            return folded(cx, axes, x, &|cx, x, axis| self.reduce(cx, x, &[axis as i64], true));
        }
        let sum = folded(cx, axes, x, &|cx, x, axis| cx.reduce("reduce_sum", x, &[axis as i64], true))?;
        let others = axes.others(cx)?;
        let sizes = OpenAxes::sizes_or_one(cx, x, others)?;
        let count = cx.reduce("reduce_prod", sizes, &[0], false)?;
        let count = cx.cast(count, cx.dtype(x)?)?;
        cx.binary("div", sum, count)
    }
}

fn same(_: &mut NodeCx<'_, '_>, x: Value) -> Single {
    Ok(x)
}

pub(super) fn register(table: &mut OpTable) {
    let plain = |along| Reduction { before: same, along, after: same, composed: false };
    let composed = |along| Reduction { composed: true, ..plain(along) };
    let sum = Along::Operator("reduce_sum");
    let square: fn(&mut NodeCx<'_, '_>, Value) -> Single = |cx, x| cx.square(x);
    let reductions = [
        ("ReduceSum", plain(sum)),
        ("ReduceMean", plain(Along::Mean)),
        ("ReduceMax", plain(Along::Operator("reduce_max"))),
        ("ReduceMin", plain(Along::Operator("reduce_min"))),
        ("ReduceProd", plain(Along::Operator("reduce_prod"))),
        ("ReduceLogSumExp", composed(Along::LogSumExp)),
        ("ReduceL1", Reduction { before: |cx, x| cx.unary("abs", x), ..plain(sum) }),
        ("ReduceL2", Reduction { before: square, after: root, ..composed(sum) }),
        ("ReduceSumSquare", Reduction { before: square, ..composed(sum) }),
        ("ReduceLogSum", Reduction { after: log, ..composed(sum) }),
    ];
    for (name, it) in reductions {
        table.register("", name, .., single(move |cx| reduction(cx, it)));
    }
    for (name, op) in [("ArgMax", "arg_max"), ("ArgMin", "arg_min")] {
        table.register("", name, .., single(move |cx| arg(cx, op)));
    }
    for (name, op) in [("Softmax", "softmax"), ("LogSoftmax", "log_softmax")] {
        table.register("", name, ..=12, single(move |cx| softmax_flat(cx, cx.input(0)?, op)));
        table.register("", name, 13.., single(move |cx| softmax(cx, cx.input(0)?, op)));
    }
    table.register("", "Hardmax", .., single(hardmax));
}

fn reduction(cx: &mut NodeCx<'_, '_>, it: Reduction) -> Single {
    let x = cx.input(0)?;
    let keep = cx.int("keepdims").unwrap_or(1) != 0;
    let empty_is_none = cx.flag("noop_with_empty_axes");
    let axes = match Axes::of(cx, 1)? {
        Some(Axes::Open(axes)) => return open_reduction(cx, it, axes, keep, empty_is_none),
        Some(Axes::Known(axes)) if !axes.is_empty() => cx.axes(x, &axes)?,
        _ if empty_is_none => Vec::new(),
        _ => (0..cx.rank(x)? as i64).collect(),
    };
    let steps = |cx: &mut NodeCx<'_, '_>, x: Value| {
        let x = (it.before)(cx, x)?;
        let reduced = it.along.reduce(cx, x, &axes, keep)?;
        (it.after)(cx, reduced)
    };
    if it.composed { rounded_once(cx, x, steps) } else { steps(cx, x) }
}

/// A function of floats in the wider type that arithmetic on narrow ones happens in: what is between is not rounded, nor too
/// large.
pub(super) fn rounded_once(
    cx: &mut NodeCx<'_, '_>,
    x: Value,
    of: impl FnOnce(&mut NodeCx<'_, '_>, Value) -> Single,
) -> Single {
    let dtype = cx.dtype(x)?;
    if !dtype.is_float() {
        return of(cx, x);
    }
    let x = cx.cast(x, dtype.compute())?;
    let result = of(cx, x)?;
    cx.cast(result, dtype)
}

/// Axis by axis, in the wider type that arithmetic on narrow floats happens in: what is rounded is the result alone.
fn open_reduction(
    cx: &mut NodeCx<'_, '_>,
    it: Reduction,
    axes: Value,
    keep: bool,
    empty_is_none: bool,
) -> Single {
    let x = cx.input(0)?;
    let axes = OpenAxes::read(cx, axes, cx.rank(x)?)?;
    let axes = if empty_is_none { axes } else { axes.or_all(cx)? };
    let dtype = cx.dtype(x)?;
    let x = match it.along {
        _ if dtype.is_float() => cx.cast(x, dtype.compute())?,
        // What is cut off is the result alone.
        Along::LogSumExp => cx.cast(x, DType::F64)?,
        _ => x,
    };
    let x = (it.before)(cx, x)?;
    let reduced = it.along.folded(cx, x, axes)?;
    let result = (it.after)(cx, reduced)?;
    let result = cx.cast(result, dtype)?;
    if keep { Ok(result) } else { axes.dropped(cx, result) }
}

pub(super) fn l2(cx: &mut NodeCx<'_, '_>, x: Value, axes: &[i64], keep: bool) -> Single {
    rounded_once(cx, x, |cx, x| {
        let square = cx.square(x)?;
        let sum = cx.reduce("reduce_sum", square, axes, keep)?;
        root(cx, sum)
    })
}

/// A function of floats; its value for an integer is cut off.
pub(super) fn cut_off(
    cx: &mut NodeCx<'_, '_>,
    x: Value,
    of: impl FnOnce(&mut NodeCx<'_, '_>, Value) -> Single,
) -> Single {
    let dtype = cx.dtype(x)?;
    if dtype.is_float() {
        return of(cx, x);
    }
    let x = cx.cast(x, DType::F64)?;
    let result = of(cx, x)?;
    cx.cast(result, dtype)
}

fn root(cx: &mut NodeCx<'_, '_>, sum: Value) -> Single {
    cut_off(cx, sum, |cx, sum| cx.unary("sqrt", sum))
}

fn log(cx: &mut NodeCx<'_, '_>, sum: Value) -> Single {
    cut_off(cx, sum, |cx, sum| cx.unary("log", sum))
}

fn log_sum_exp(cx: &mut NodeCx<'_, '_>, x: Value, axes: &[i64], keep: bool) -> Single {
    cut_off(cx, x, |cx, x| log_sum_exp_of_floats(cx, x, axes, keep))
}

/// Shifted by the largest element, so that nothing overflows; an infinite one is not a shift.
fn log_sum_exp_of_floats(cx: &mut NodeCx<'_, '_>, x: Value, axes: &[i64], keep: bool) -> Single {
    let largest = cx.reduce("reduce_max", x, axes, true)?;
    let infinite = cx.unary("is_inf", largest)?;
    let zero = cx.number_like(x, 0.0)?;
    let shift = cx.select(infinite, zero, largest)?;
    let shifted = cx.binary("sub", x, shift)?;
    let grown = cx.unary("exp", shifted)?;
    let sum = cx.reduce("reduce_sum", grown, axes, keep)?;
    let log = cx.unary("log", sum)?;
    let shift = if keep { shift } else { cx.squeeze(shift, axes)? };
    cx.binary("add", log, shift)
}

fn arg(cx: &mut NodeCx<'_, '_>, op: &str) -> Single {
    let x = cx.input(0)?;
    let axis = cx.int("axis").unwrap_or(0);
    if cx.rank(x)? == 0 {
        // One number is a row of itself, as elsewhere.
        normal_axis(axis, 1)?;
        return Ok(cx.int_scalar(0));
    }
    let axis = cx.axis(x, axis)? as i64;
    let keep = cx.int("keepdims").unwrap_or(1) != 0;
    let last = cx.flag("select_last_index");
    cx.emit(op, attrs([("axis", axis.into()), ("keepdims", keep.into()), ("select_last", last.into())]), &[x])
}

pub(super) fn softmax(cx: &mut NodeCx<'_, '_>, x: Value, op: &str) -> Single {
    let axis = cx.axis(x, cx.int("axis").unwrap_or(-1))? as i64;
    cx.emit(op, attrs([("axis", axis.into())]), &[x])
}

/// Before operator set 13: over all dimensions from the axis on.
pub(super) fn softmax_flat(cx: &mut NodeCx<'_, '_>, x: Value, op: &str) -> Single {
    let axis = cx.axis(x, cx.int("axis").unwrap_or(1))?;
    if axis + 1 == cx.rank(x)? {
        return cx.emit(op, attrs([("axis", (axis as i64).into())]), &[x]);
    }
    let shape = cx.shape_of(x)?;
    let flat = flatten_at(cx, x, axis)?;
    let result = cx.emit(op, attrs([("axis", 1.into())]), &[flat])?;
    cx.reshape(result, shape)
}

/// 1 at the first largest element along an axis, 0 elsewhere.
fn hardmax(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let shape = cx.shape_of(x)?;
    let (x, axis) = if cx.opset() < 13 {
        let axis = cx.axis(x, cx.int("axis").unwrap_or(1))?;
        (flatten_at(cx, x, axis)?, 1)
    } else {
        (x, cx.axis(x, cx.int("axis").unwrap_or(-1))?)
    };
    let place =
        cx.emit("arg_max", attrs([("axis", (axis as i64).into()), ("keepdims", false.into())]), &[x])?;
    let depth = cx.shape_part(x, axis, axis + 1)?;
    let dtype = cx.dtype(x)?;
    let values = cx.constant(orogen_ir::types::TensorData::from_f64(dtype, &[2], [0.0, 1.0]));
    let result = cx.emit("one_hot", attrs([("axis", (axis as i64).into())]), &[place, depth, values])?;
    if cx.opset() < 13 { cx.reshape(result, shape) } else { Ok(result) }
}
