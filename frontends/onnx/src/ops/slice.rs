//! Slice: its bounds come as attributes or operands, constant, symbolic or only known at run time.

use super::axes::{Axes, OpenAxes, none_true};
use super::index::count_up;
use super::single;
use crate::emit::attrs;
use crate::node::{NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;

type Single = Result<Value, Diagnostic>;

/// Exporters write a billion or the largest 32-bit integer for "to the end".
const TO_THE_END: i64 = 1_000_000_000;

/// 2^62, beyond which no step differs.
const LONGEST_STEP: f64 = (1u64 << 62) as f64;

pub(super) fn register(table: &mut OpTable) {
    table.register("", "Slice", ..=9, single(slice_attributes));
    table.register("", "Slice", 10.., single(slice_operands));
}

fn slice_attributes(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let list = |name: &str| {
        cx.ints(name).map(<[i64]>::to_vec).ok_or_else(|| bad(format!("attribute `{name}` is missing")))
    };
    let (starts, ends) = (list("starts")?, list("ends")?);
    let axes = cx.ints("axes").map_or_else(|| (0..starts.len() as i64).collect(), <[i64]>::to_vec);
    let steps = vec![1; starts.len()];
    let starts = constant_bound(cx, x, &starts, &axes)?;
    let ends = constant_bound(cx, x, &ends, &axes)?;
    emit(cx, x, &axes, starts, ends, &steps)
}

fn slice_operands(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let (starts, ends) = (cx.input(1)?, cx.input(2)?);
    let count = cx
        .static_dim(starts, 0)
        .or(cx.static_dim(ends, 0))
        .ok_or_else(|| not_supported("the number of sliced axes is not known"))?;
    if count > cx.rank(x)? as i64 {
        return Err(bad(format!("it slices {count} axes of {}", cx.rank(x)?)));
    }
    let given = Axes::operand(cx, 3)?;
    let axes = match given {
        Some(Axes::Known(axes)) => axes,
        Some(Axes::Open(axes)) => return slice_open(cx, x, axes),
        None => (0..count).collect(),
    };
    let steps = match cx.optional(4) {
        None => vec![1; axes.len()],
        Some(steps) => match cx.const_ints(steps) {
            Some(steps) => steps,
            None => {
                let steps = cx.as_i64(steps)?;
                let (starts, ends) = (cx.as_i64(starts)?, cx.as_i64(ends)?);
                return stepped(cx, x, &axes, [starts, ends, steps]);
            }
        },
    };
    let starts = bound(cx, x, starts, &axes)?;
    let ends = bound(cx, x, ends, &axes)?;
    emit(cx, x, &axes, starts, ends, &steps)
}

/// Axes that are known only at run time: every axis is sliced, those that are not named from start to end.
fn slice_open(cx: &mut NodeCx<'_, '_>, x: Value, axes: Value) -> Single {
    let rank = cx.rank(x)?;
    let axes = OpenAxes::read(cx, axes, rank)?;
    let starts = axes.placed(cx, cx.input(1)?, 0)?;
    let ends = axes.placed(cx, cx.input(2)?, i64::MAX)?;
    let all: Vec<i64> = (0..rank as i64).collect();
    let steps = match cx.optional(4) {
        None => return emit(cx, x, &all, starts, ends, &vec![1; rank]),
        Some(steps) => axes.placed(cx, steps, 1)?,
    };
    stepped(cx, x, &all, [starts, ends, steps])
}

/// Steps that are known only at run time: what they lead to is picked.
fn stepped(cx: &mut NodeCx<'_, '_>, x: Value, axes: &[i64], bounds: [Value; 3]) -> Single {
    let still = cx.with_number("equal", bounds[2], 0.0)?;
    none_true(cx, still, "its steps, which are not 0")?;
    let mut result = x;
    for (i, axis) in axes.iter().enumerate() {
        let axis = cx.axis(x, *axis)?;
        let i = i as i64;
        let part = |cx: &mut NodeCx<'_, '_>, of: usize| cx.slice(bounds[of], 0, i, i + 1);
        let (start, end, step) = (part(cx, 0)?, part(cx, 1)?, part(cx, 2)?);
        let size = cx.shape_part(x, axis, axis + 1)?;
        // A larger step leads beyond every size too, and nothing overflows.
        let step = cx.clamp(step, -LONGEST_STEP, LONGEST_STEP)?;
        let backwards = cx.with_number("less", step, 0.0)?;
        let (zero, last) = (cx.int_scalar(0), cx.with_number("sub", size, 1.0)?);
        let before = cx.int_scalar(-1);
        let highest = cx.select(backwards, last, size)?;
        let counted = |cx: &mut NodeCx<'_, '_>, at: Value, lowest: Value| {
            let negative = cx.with_number("less", at, 0.0)?;
            let shift = cx.select(negative, size, zero)?;
            let at = cx.binary("add", at, shift)?;
            let at = cx.binary("max", at, lowest)?;
            cx.binary("min", at, highest)
        };
        let start = counted(cx, start, zero)?;
        let lowest = cx.select(backwards, before, zero)?;
        let end = counted(cx, end, lowest)?;
        let distance = cx.binary("sub", end, start)?;
        let opposite = cx.unary("neg", distance)?;
        let distance = cx.select(backwards, opposite, distance)?;
        let distance = cx.with_number("max", distance, 0.0)?;
        let length = cx.unary("abs", step)?;
        let length = cx.with_number("max", length, 1.0)?;
        let raised = cx.binary("add", distance, length)?;
        let raised = cx.with_number("sub", raised, 1.0)?;
        let count = cx.binary("div", raised, length)?;
        let count = cx.squeeze(count, &[0])?;
        let turns = count_up(cx, count)?;
        let places = cx.binary("mul", turns, step)?;
        let places = cx.binary("add", places, start)?;
        result = cx.emit("gather", attrs([("axis", (axis as i64).into())]), &[result, places])?;
    }
    Ok(result)
}

/// A constant bound. One far beyond any size is the end of a dynamic dimension, not a limit on its size.
fn constant_bound(cx: &mut NodeCx<'_, '_>, x: Value, bound: &[i64], axes: &[i64]) -> Single {
    if bound.len() != axes.len() {
        return Err(bad(format!("it has {} bounds for {} axes", bound.len(), axes.len())));
    }
    let mut list = Vec::new();
    for (bound, axis) in bound.iter().zip(axes) {
        let axis = cx.axis(x, *axis)?;
        list.push(match *bound {
            it if cx.static_dim(x, axis).is_some() => it,
            it if it >= TO_THE_END => i64::MAX,
            it if it <= -TO_THE_END => i64::MIN,
            it => it,
        });
    }
    Ok(cx.int_vector(&list))
}

/// A bound: what is known is trimmed, what is not the sink binds.
fn bound(cx: &mut NodeCx<'_, '_>, x: Value, bound: Value, axes: &[i64]) -> Single {
    match cx.const_ints(bound) {
        Some(list) => constant_bound(cx, x, &list, axes),
        None => cx.as_i64(bound),
    }
}

fn emit(
    cx: &mut NodeCx<'_, '_>,
    x: Value,
    axes: &[i64],
    starts: Value,
    ends: Value,
    steps: &[i64],
) -> Single {
    if axes.is_empty() {
        return Ok(x);
    }
    let axes: Vec<i64> =
        axes.iter().map(|it| Ok(cx.axis(x, *it)? as i64)).collect::<Result<_, Diagnostic>>()?;
    let steps = cx.int_vector(steps);
    cx.emit("slice", attrs([("axes", axes.into())]), &[x, starts, ends, steps])
}
