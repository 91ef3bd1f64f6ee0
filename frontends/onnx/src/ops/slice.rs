//! Slice: its bounds come as attributes or operands, constant, symbolic or only known at run time.

use super::single;
use crate::emit::attrs;
use crate::node::{NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;

type Single = Result<Value, Diagnostic>;

/// Exporters write a billion or the largest 32-bit integer for "to the end".
const TO_THE_END: i64 = 1_000_000_000;

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
    let axes = match cx.const_input(3, "axes")? {
        Some(axes) => axes,
        None => (0..count).collect(),
    };
    let steps = match cx.const_input(4, "steps")? {
        Some(steps) => steps,
        None => vec![1; axes.len()],
    };
    let starts = bound(cx, x, starts, &axes)?;
    let ends = bound(cx, x, ends, &axes)?;
    emit(cx, x, &axes, starts, ends, &steps)
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
