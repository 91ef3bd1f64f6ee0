//! Pooling: a reduction over the window, with padding as the load's `otherwise`.
//!
//! The largest element of a large window is the largest one of those of its rows, and its sum the sum of theirs: one
//! reduction along each axis takes in fewer elements than one over the whole window. Where windows are so far apart that
//! their elements are gathered, a reduction along the axes before leaves fewer of them.

use super::context::overflow;
use super::{LegalizeFn, Legalizer, Lowering};
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{Axis, BinaryOp, BufferId, BuildResult, Combine, ExprId, UnaryOp};
use orogen_ir::shape::Dim;
use orogen_ir::types::{DType, Dims};

pub(super) const ROWS: &[(&str, LegalizeFn)] = &[("max_pool", max_pool), ("avg_pool", avg_pool)];

/// The loops of a pool.
struct Windows {
    axes: Vec<Axis>,
    taps: Vec<Axis>,
    at: Dims,
    x_at: Dims,
    /// Whether a tap may lie outside the input.
    overhangs: bool,
}

/// Windows along some of the spatial axes; along the others an element is where its result is.
fn windows(cx: &mut Legalizer<'_>, out_dims: &[Dim], along: &[usize]) -> BuildResult<Windows> {
    let n = out_dims.len() - 2;
    let (strides, dilations) = (cx.ints_attr("strides", n, 1), cx.ints_attr("dilations", n, 1));
    let (kernel, pads) = (cx.ints_attr("kernel", n, 1), cx.ints_attr("pads", 2 * n, 0));
    let axes = cx.b.axes("o", out_dims).to_vec();
    let at = cx.b.vars(&axes);
    let (mut taps, mut x_at) = (Vec::new(), at.clone());
    for i in along.iter().copied() {
        let extent = cx.b.shapes().int(kernel[i]);
        let tap = cx.b.axis(&format!("k{i}"), extent);
        taps.push(tap);
        let k = cx.b.var(tap);
        let start = cx.linear(at[2 + i], strides[i], -pads[i])?;
        let offset = cx.linear(k, dilations[i], 0)?;
        x_at[2 + i] = cx.add(start, offset)?;
    }
    let overhangs = cx.flag("ceil_mode") || along.iter().any(|i| pads[*i] != 0 || pads[n + *i] != 0);
    Ok(Windows { axes, taps, at, x_at, overhangs })
}

fn max_pool(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let (x, _) = cx.operand(0)?;
    let out = cx.output(0)?;
    reduce(&mut cx, Combine::Max, x, out)?;
    cx.finish()
}

/// The largest elements of windows, or their sums, whose type is that of the result.
fn reduce(cx: &mut Legalizer<'_>, combine: Combine, x: BufferId, out: BufferId) -> BuildResult<()> {
    let out_dims = cx.b.buffer_dims(out);
    let n = out_dims.len() - 2;
    if reduces_apart(cx, &out_dims, n) == Some(true) {
        return reduce_along(cx, combine, x, out, n);
    }
    let all: Vec<usize> = (0..n).collect();
    reduce_windows(cx, combine, x, out, &all)
}

/// The same along some axes, in one reduction.
fn reduce_windows(
    cx: &mut Legalizer<'_>,
    combine: Combine,
    x: BufferId,
    out: BufferId,
    along: &[usize],
) -> BuildResult<()> {
    let out_dims = cx.b.buffer_dims(out);
    let windows = windows(cx, &out_dims, along)?;
    let dtype = cx.b.buffer_dtype(x);
    // Windows along one axis look like rows of their own, and are computed one by one, unless they may lie outside: so
    // these are loaded as if they might, though none does and what stands there is never taken.
    let slides = along.len() == 1 && !gathers(cx, &out_dims, out_dims.len() - 2);
    let value = if windows.overhangs || slides {
        let nothing = match combine {
            Combine::Max => lowest(cx, dtype)?,
            _ => cx.b.number(0.0, dtype),
        };
        cx.b.load_or(x, windows.x_at, nothing)?
    } else {
        cx.b.load(x, windows.x_at)?
    };
    let value = cx.b.cast(cx.b.buffer_dtype(out), value);
    cx.b.reduce_stage(&windows.axes, &windows.taps, combine, out, windows.at, value)
}

/// How often an element is taken in by one reduction over the whole window for each time that reductions along each axis
/// take one in, so that these pay: they write what lies between them.
const FEWER: i64 = 2;

/// The longest stride along the last axis that needs no gathers.
const NEAR: i64 = 2;

/// How far windows over `n` axes are apart. What belongs to a single window is as far as it reaches.
fn steps(cx: &mut Legalizer<'_>, out_dims: &[Dim], n: usize) -> Vec<i64> {
    let (mut steps, kernel) = (cx.ints_attr("strides", n, 1), cx.ints_attr("kernel", n, 1));
    for ((step, kernel), extent) in steps.iter_mut().zip(kernel).zip(&out_dims[2..]) {
        if cx.b.shapes().as_int(*extent) == Some(1) {
            *step = kernel;
        }
    }
    steps
}

/// Whether windows along the last axis are gathered.
fn gathers(cx: &mut Legalizer<'_>, out_dims: &[Dim], n: usize) -> bool {
    let single = out_dims.last().is_some_and(|it| cx.b.shapes().as_int(*it) == Some(1));
    !single && cx.ints_attr("strides", n, 1).last().is_some_and(|it| *it > NEAR)
}

/// Whether windows over `n` axes are reduced along each axis; `None` if they are too large to be counted.
fn reduces_apart(cx: &mut Legalizer<'_>, out_dims: &[Dim], n: usize) -> Option<bool> {
    let (kernel, steps) = (cx.ints_attr("kernel", n, 1), steps(cx, out_dims, n));
    let whole = kernel.iter().try_fold(1i64, |all, it| all.checked_mul(*it))?;
    // For each result, what its windows along the axes take in, of which those before have all elements.
    let mut apart: i64 = 0;
    let mut results: i64 = 1;
    for (kernel, step) in kernel.iter().zip(&steps) {
        apart = apart.checked_add(results.checked_mul(*kernel)?)?;
        results = results.checked_mul(*step)?;
    }
    let fewer = apart.checked_mul(FEWER)? < whole;
    let before = kernel.split_last().is_some_and(|(_, before)| before.iter().any(|it| *it > 1));
    Some(n > 1 && (fewer || before && gathers(cx, out_dims, n)))
}

/// One reduction along each axis: the last one first, or last where it gathers. An axis along which windows are elements
/// needs none, unless elements are dropped or added there.
fn reduce_along(
    cx: &mut Legalizer<'_>,
    combine: Combine,
    x: BufferId,
    out: BufferId,
    n: usize,
) -> BuildResult<()> {
    let kernel = cx.ints_attr("kernel", n, 1);
    let (x_dims, out_dims) = (cx.b.buffer_dims(x), cx.b.buffer_dims(out));
    let moves = |cx: &Legalizer<'_>, i: usize| {
        kernel[i] != 1
            || x_dims[2 + i] != out_dims[2 + i]
            || cx.ints_attr("strides", n, 1)[i] != 1
            || cx.ints_attr("pads", 2 * n, 0)[i] != 0
    };
    let mut reduced: Vec<usize> = (0..n).filter(|i| moves(cx, *i)).collect();
    if !gathers(cx, &out_dims, n) {
        reduced.reverse();
    }
    let dtype = cx.b.buffer_dtype(out);
    let mut from = x;
    for (place, i) in reduced.iter().enumerate() {
        let mut dims = cx.b.buffer_dims(from);
        dims[2 + i] = out_dims[2 + i];
        let is_last = place + 1 == reduced.len();
        let to = if is_last { out } else { cx.b.local(&format!("window{i}"), dtype, &dims) };
        reduce_windows(cx, combine, from, to, &[*i])?;
        from = to;
    }
    Ok(())
}

/// −∞, or the lowest integer.
fn lowest(cx: &mut Legalizer<'_>, dtype: DType) -> BuildResult<ExprId> {
    match dtype.int_range() {
        None => cx.b.float(f64::NEG_INFINITY, dtype),
        Some((least, _)) => cx.b.int(least as i64, dtype),
    }
}

fn avg_pool(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let (x, x_dims) = cx.operand(0)?;
    let out = cx.output(0)?;
    let out_dims = cx.b.buffer_dims(out);
    let dtype = super::context::wide(cx.b.buffer_dtype(x));
    let sum = cx.local("sum", &out_dims)?;
    reduce(&mut cx, Combine::Sum, x, sum)?;

    let axes = cx.b.axes("i", &out_dims);
    let at = cx.b.vars(&axes);
    let total = cx.b.load(sum, at.iter().copied())?;
    let scale = inverse_count(&mut cx, &x_dims, &at, dtype)?;
    let mean = cx.b.binary(BinaryOp::Mul, total, scale)?;
    let mean = cx.b.cast(cx.b.buffer_dtype(out), mean);
    cx.b.stage(&axes, out, at, mean)?;
    cx.finish()
}

/// 1 / the number of taps that count at an output position: those inside the input, or, with `count_include_pad`,
/// those inside the input and its padding.
fn inverse_count(cx: &mut Legalizer<'_>, x_dims: &[Dim], at: &[Dim], dtype: DType) -> BuildResult<ExprId> {
    let n = x_dims.len() - 2;
    let (strides, dilations) = (cx.ints_attr("strides", n, 1), cx.ints_attr("dilations", n, 1));
    let (kernel, pads) = (cx.ints_attr("kernel", n, 1), cx.ints_attr("pads", 2 * n, 0));
    let (ceil, include) = (cx.flag("ceil_mode"), cx.flag("count_include_pad"));
    let mut constant = 1.0;
    let mut factors = Vec::new();
    for i in 0..n {
        let padded = pads[i] != 0 || pads[n + i] != 0;
        if !ceil && (include || !padded) {
            constant *= kernel[i] as f64;
            continue;
        }
        let start = cx.linear(at[2 + i], strides[i], -pads[i])?;
        let limit = cx.linear(x_dims[2 + i], 1, if include { pads[n + i] } else { 0 })?;
        let room = cx.sub(limit, start)?;
        let end = cx.b.shapes().ceil_div(room, dilations[i]).map_err(overflow)?;
        let all = cx.b.shapes().int(kernel[i]);
        let end = cx.b.shapes().min(&[end, all]).map_err(overflow)?;
        let count = if include {
            end
        } else {
            let zero = cx.b.shapes().int(0);
            let before = cx.linear(start, -1, 0)?;
            let first = cx.b.shapes().ceil_div(before, dilations[i]).map_err(overflow)?;
            let first = cx.b.shapes().max(&[first, zero]).map_err(overflow)?;
            let count = cx.sub(end, first)?;
            // A window may lie in the padding as a whole.
            let reach = (kernel[i] - 1).saturating_mul(dilations[i]);
            match pads[i] > reach || pads[n + i] > reach {
                true => cx.b.shapes().max(&[count, zero]).map_err(overflow)?,
                false => count,
            }
        };
        factors.push(cx.dim_as(count, dtype)?);
    }
    if factors.is_empty() {
        return cx.b.float(1.0 / constant, dtype);
    }
    let mut count = cx.b.float(constant, dtype)?;
    for factor in factors {
        count = cx.b.binary(BinaryOp::Mul, count, factor)?;
    }
    cx.b.unary(UnaryOp::Reciprocal, count)
}
