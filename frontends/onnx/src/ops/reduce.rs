//! Reductions, arg-max, softmax.

use super::shape::{axes_of, flatten_at};
use super::single;
use crate::emit::attrs;
use crate::node::NodeCx;
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;

type Single = Result<Value, Diagnostic>;

/// Computes a reduction of an operand over axes.
type ReduceFn = fn(&mut NodeCx<'_, '_>, Value, &[i64], bool) -> Single;

pub(super) fn register(table: &mut OpTable) {
    const PLAIN: [(&str, &str); 5] = [
        ("ReduceSum", "reduce_sum"),
        ("ReduceMean", "reduce_mean"),
        ("ReduceMax", "reduce_max"),
        ("ReduceMin", "reduce_min"),
        ("ReduceProd", "reduce_prod"),
    ];
    for (name, op) in PLAIN {
        let convert = single(move |cx| reduction(cx, |cx, x, axes, keep| cx.reduce(op, x, axes, keep)));
        table.register("", name, .., convert);
    }
    const COMPOSED: [(&str, ReduceFn); 5] = [
        ("ReduceL1", l1),
        ("ReduceL2", l2),
        ("ReduceSumSquare", sum_square),
        ("ReduceLogSum", log_sum),
        ("ReduceLogSumExp", log_sum_exp),
    ];
    for (name, reduce) in COMPOSED {
        table.register("", name, .., single(move |cx| reduction(cx, reduce)));
    }
    for (name, op) in [("ArgMax", "arg_max"), ("ArgMin", "arg_min")] {
        table.register("", name, .., single(move |cx| arg(cx, op)));
    }
    for (name, op) in [("Softmax", "softmax"), ("LogSoftmax", "log_softmax")] {
        table.register("", name, ..=12, single(move |cx| softmax_flat(cx, op)));
        table.register("", name, 13.., single(move |cx| softmax(cx, op)));
    }
    table.register("", "Hardmax", .., single(hardmax));
}

fn reduction(
    cx: &mut NodeCx<'_, '_>,
    reduce: impl Fn(&mut NodeCx<'_, '_>, Value, &[i64], bool) -> Single,
) -> Single {
    let x = cx.input(0)?;
    let keep = cx.int("keepdims").unwrap_or(1) != 0;
    let axes = match axes_of(cx, 1)? {
        Some(axes) if !axes.is_empty() => cx.axes(x, &axes)?,
        _ if cx.flag("noop_with_empty_axes") => return Ok(x),
        _ => (0..cx.rank(x)? as i64).collect(),
    };
    reduce(cx, x, &axes, keep)
}

fn l1(cx: &mut NodeCx<'_, '_>, x: Value, axes: &[i64], keep: bool) -> Single {
    let magnitude = cx.unary("abs", x)?;
    cx.reduce("reduce_sum", magnitude, axes, keep)
}

pub(super) fn l2(cx: &mut NodeCx<'_, '_>, x: Value, axes: &[i64], keep: bool) -> Single {
    let sum = sum_square(cx, x, axes, keep)?;
    let dtype = cx.dtype(sum)?;
    if dtype.is_float() {
        return cx.unary("sqrt", sum);
    }
    let sum = cx.cast(sum, orogen_ir::types::DType::F64)?;
    let root = cx.unary("sqrt", sum)?;
    cx.cast(root, dtype)
}

fn sum_square(cx: &mut NodeCx<'_, '_>, x: Value, axes: &[i64], keep: bool) -> Single {
    let square = cx.square(x)?;
    cx.reduce("reduce_sum", square, axes, keep)
}

fn log_sum(cx: &mut NodeCx<'_, '_>, x: Value, axes: &[i64], keep: bool) -> Single {
    let sum = cx.reduce("reduce_sum", x, axes, keep)?;
    cx.unary("log", sum)
}

/// Shifted by the largest element, so that nothing overflows; an infinite one is not a shift.
fn log_sum_exp(cx: &mut NodeCx<'_, '_>, x: Value, axes: &[i64], keep: bool) -> Single {
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
    let axis = cx.axis(x, cx.int("axis").unwrap_or(0))? as i64;
    let keep = cx.int("keepdims").unwrap_or(1) != 0;
    let last = cx.flag("select_last_index");
    cx.emit(op, attrs([("axis", axis.into()), ("keepdims", keep.into()), ("select_last", last.into())]), &[x])
}

fn softmax(cx: &mut NodeCx<'_, '_>, op: &str) -> Single {
    let x = cx.input(0)?;
    let axis = cx.axis(x, cx.int("axis").unwrap_or(-1))? as i64;
    cx.emit(op, attrs([("axis", axis.into())]), &[x])
}

/// Before operator set 13: over all dimensions from the axis on.
fn softmax_flat(cx: &mut NodeCx<'_, '_>, op: &str) -> Single {
    let x = cx.input(0)?;
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
