//! Rules of reductions, running ones among them, and of what is normalised by them.

use super::{Arrived, One, Passed};
use crate::emit::{Size, attrs};
use crate::node::NodeCx;
use crate::ops::conv::per_channel;
use crate::sink::Value;
use orogen_ir::diag::Diagnostic;

/// A result of a reduction with the reduced axes as dimensions of 1.
fn kept(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>, reduced: Value) -> One {
    if to.step.attrs.bool("keepdims").unwrap_or(false) {
        return Ok(reduced);
    }
    cx.unsqueeze(reduced, to.axes()?)
}

pub(super) fn sum(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let x = to.arg(0)?;
    let mut d = kept(cx, to, to.derivative()?)?;
    if to.step.op == Some("reduce_mean") {
        let count = count(cx, x, to.axes()?)?;
        let count = cx.cast(count, cx.dtype(d)?)?;
        d = cx.binary("div", d, count)?;
    }
    let shape = cx.shape_of(x)?;
    Ok(vec![Some(cx.emit("expand", attrs([]), &[d, shape])?)])
}

/// The number of elements along axes, an integer of rank 0.
fn count(cx: &mut NodeCx<'_, '_>, x: Value, axes: &[i64]) -> One {
    let axes = axes.iter().map(|it| *it as usize).collect();
    let vector = cx.shape_vector(&[Size::Product(x, axes)])?;
    cx.squeeze(vector, &[0])
}

pub(super) fn extreme(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let x = to.arg(0)?;
    let d = kept(cx, to, to.derivative()?)?;
    let best = kept(cx, to, to.result()?)?;
    let equal = cx.binary("equal", x, best)?;
    let chosen = cx.cast(equal, cx.dtype(d)?)?;
    let count = cx.reduce("reduce_sum", chosen, to.axes()?, true)?;
    let share = cx.binary("div", d, count)?;
    Ok(vec![Some(cx.binary("mul", chosen, share)?)])
}

pub(super) fn softmax(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, y) = (to.derivative()?, to.result()?);
    let weighted = cx.binary("mul", d, y)?;
    let total = cx.reduce("reduce_sum", weighted, &[to.axis()? as i64], true)?;
    let part = cx.binary("mul", y, total)?;
    Ok(vec![Some(cx.binary("sub", weighted, part)?)])
}

pub(super) fn log_softmax(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, y) = (to.derivative()?, to.result()?);
    let total = cx.reduce("reduce_sum", d, &[to.axis()? as i64], true)?;
    let share = cx.unary("exp", y)?;
    let part = cx.binary("mul", share, total)?;
    Ok(vec![Some(cx.binary("sub", d, part)?)])
}

/// With `x̂ = (x − mean) / deviation` and `e = d · scale`, which may be left out: `(e − mean e − x̂ · mean (e · x̂)) / deviation`.
pub(super) fn normalized(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, x) = (to.derivative()?, to.arg(0)?);
    let axes: Vec<i64> = (to.axis()? as i64..cx.rank(x)? as i64).collect();
    let mean = |cx: &mut NodeCx<'_, '_>, of: Value| cx.reduce("reduce_mean", of, &axes, true);
    let middle = mean(cx, x)?;
    let centred = cx.binary("sub", x, middle)?;
    let square = cx.square(centred)?;
    let variance = mean(cx, square)?;
    let variance = cx.affine(variance, 1.0, to.step.attrs.float("epsilon").unwrap_or(1e-5))?;
    let deviation = cx.unary("sqrt", variance)?;
    let normal = cx.binary("div", centred, deviation)?;
    let scaled = match to.step.args.get(1) {
        Some(scale) => cx.binary("mul", d, *scale)?,
        None => d,
    };
    let along = cx.binary("mul", scaled, normal)?;
    let (level, slope) = (mean(cx, scaled)?, mean(cx, along)?);
    let slope = cx.binary("mul", normal, slope)?;
    let rest = cx.binary("sub", scaled, level)?;
    let rest = cx.binary("sub", rest, slope)?;
    let of_x = cx.binary("div", rest, deviation)?;
    let of_scale = cx.binary("mul", d, normal)?;
    Ok(vec![Some(of_x), Some(of_scale), Some(d)])
}

/// With `n = (x − mean) / deviation`: of what `scale · n + bias` is by each.
pub(super) fn normalized_by_statistics(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, x) = (to.derivative()?, to.arg(0)?);
    let rank = cx.rank(x)?;
    let mut along = Vec::new();
    for i in [1, 3, 4] {
        along.push(per_channel(cx, to.arg(i)?, rank)?);
    }
    let raised = cx.affine(along[2], 1.0, to.step.attrs.float("epsilon").unwrap_or(1e-5))?;
    let deviation = cx.unary("sqrt", raised)?;
    let centred = cx.binary("sub", x, along[1])?;
    let normal = cx.binary("div", centred, deviation)?;
    let scaled = cx.binary("mul", d, along[0])?;
    let of_x = cx.binary("div", scaled, deviation)?;
    let of_scale = cx.binary("mul", d, normal)?;
    let of_mean = cx.unary("neg", of_x)?;
    // By the variance: −½ · n / (variance + ε) of each.
    let half = cx.affine(of_x, -0.5, 0.0)?;
    let of_variance = cx.binary("mul", half, normal)?;
    let of_variance = cx.binary("div", of_variance, deviation)?;
    let others: Vec<i64> = (0..rank as i64).filter(|it| *it != 1).collect();
    let mut passed = vec![Some(of_x)];
    for part in [of_scale, d, of_mean, of_variance] {
        passed.push(Some(cx.reduce("reduce_sum", part, &others, false)?));
    }
    Ok(passed)
}

/// Factors with 1 in the place of zeros, and 1 where there was one: a product of others is one of these, where no other
/// is zero.
pub(super) fn without_zeros(cx: &mut NodeCx<'_, '_>, factors: Value) -> Result<(Value, Value), Diagnostic> {
    let zero = cx.with_number("equal", factors, 0.0)?;
    let one = cx.number_like(factors, 1.0)?;
    let rest = cx.select(zero, one, factors)?;
    Ok((rest, cx.cast(zero, cx.dtype(factors)?)?))
}

/// The product of the other factors, from that of all but zeros and the number of zeros.
pub(super) fn product_of_others(
    cx: &mut NodeCx<'_, '_>,
    factors: Value,
    product: Value,
    zeros: Value,
) -> One {
    let (rest, zero) = without_zeros(cx, factors)?;
    let others = cx.binary("div", product, rest)?;
    let left = cx.binary("sub", zeros, zero)?;
    let vanishes = cx.with_number("greater", left, 0.0)?;
    let nothing = cx.number_like(factors, 0.0)?;
    cx.select(vanishes, nothing, others)
}

/// Each factor is handed the product of the others.
pub(super) fn product(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let x = to.arg(0)?;
    let d = kept(cx, to, to.derivative()?)?;
    let (rest, zero) = without_zeros(cx, x)?;
    let product = cx.reduce("reduce_prod", rest, to.axes()?, true)?;
    let zeros = cx.reduce("reduce_sum", zero, to.axes()?, true)?;
    let others = product_of_others(cx, x, product, zeros)?;
    Ok(vec![Some(cx.binary("mul", d, others)?)])
}

/// The running sum from the other end.
pub(super) fn summed_back(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>, d: Value) -> One {
    let reverse = !to.step.attrs.bool("reverse").unwrap_or(false);
    cx.emit("cum_sum", to.step.attrs.clone().with("reverse", reverse), &[d])
}

/// `Σ dᵢ · yᵢ / x` of the products that hold x. Those of the first zero are as if it were 1; behind it all are 0.
pub(super) fn running_product(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, x, y) = (to.derivative()?, to.arg(0)?, to.result()?);
    let (rest, zero) = without_zeros(cx, x)?;
    let inclusive = to.step.attrs.clone().with("exclusive", false);
    let nth = cx.emit("cum_sum", inclusive, &[zero])?;
    let nth = cx.binary("mul", nth, zero)?;
    let first = cx.with_number("equal", nth, 1.0)?;
    let one = cx.number_like(x, 1.0)?;
    let without = cx.select(first, one, x)?;
    let products = cx.emit("cum_prod", to.step.attrs.clone(), &[without])?;
    let mut sums = Vec::new();
    for products in [products, y] {
        let weighted = cx.binary("mul", d, products)?;
        sums.push(summed_back(cx, to, weighted)?);
    }
    let before = cx.binary("div", sums[1], rest)?;
    Ok(vec![Some(cx.select(first, sums[0], before)?)])
}
