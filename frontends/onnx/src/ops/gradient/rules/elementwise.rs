//! Rules of functions of single elements.

use super::{Arrived, Passed};
use crate::node::{NodeCx, not_supported};
use crate::sink::Value;

/// What arrives times the derivative of a function of one operand.
pub(super) fn function(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, x, y) = (to.derivative()?, to.arg(0)?, to.result()?);
    // √(a·t² + b), of which many derivatives are the reciprocal.
    let root = |cx: &mut NodeCx<'_, '_>, a: f64, b: f64| {
        let square = cx.square(x)?;
        let inner = cx.affine(square, a, b)?;
        cx.unary("sqrt", inner)
    };
    // a·t² + b
    let square = |cx: &mut NodeCx<'_, '_>, t: Value, a: f64, b: f64| {
        let square = cx.square(t)?;
        cx.affine(square, a, b)
    };
    let (by, factor) = match to.step.op.unwrap_or_default() {
        "neg" => return Ok(vec![Some(cx.unary("neg", d)?)]),
        "abs" => ("mul", cx.unary("sign", x)?),
        "exp" => ("mul", y),
        "expm1" => ("mul", cx.affine(y, 1.0, 1.0)?),
        "log" => ("div", x),
        "log1p" => ("div", cx.affine(x, 1.0, 1.0)?),
        "sqrt" => ("div", cx.affine(y, 2.0, 0.0)?),
        "reciprocal" => ("mul", square(cx, y, -1.0, 0.0)?),
        "sin" => ("mul", cx.unary("cos", x)?),
        "cos" => {
            let sine = cx.unary("sin", x)?;
            ("mul", cx.unary("neg", sine)?)
        }
        "tan" => ("mul", square(cx, y, 1.0, 1.0)?),
        "asin" => ("div", root(cx, -1.0, 1.0)?),
        "acos" => {
            let root = root(cx, -1.0, 1.0)?;
            ("div", cx.unary("neg", root)?)
        }
        "atan" => ("div", square(cx, x, 1.0, 1.0)?),
        "sinh" => ("mul", cx.unary("cosh", x)?),
        "cosh" => ("mul", cx.unary("sinh", x)?),
        "asinh" => ("div", root(cx, 1.0, 1.0)?),
        "acosh" => ("div", root(cx, 1.0, -1.0)?),
        "atanh" => ("div", square(cx, x, -1.0, 1.0)?),
        "tanh" => ("mul", square(cx, y, -1.0, 1.0)?),
        "sigmoid" => {
            let rest = cx.affine(y, -1.0, 1.0)?;
            ("mul", cx.binary("mul", y, rest)?)
        }
        "softplus" => ("mul", cx.unary("sigmoid", x)?),
        "erf" => {
            let exponent = square(cx, x, -1.0, 0.0)?;
            let bell = cx.unary("exp", exponent)?;
            ("mul", cx.affine(bell, std::f64::consts::FRAC_2_SQRT_PI, 0.0)?)
        }
        "relu" => {
            let zero = cx.number_like(x, 0.0)?;
            let above = cx.binary("greater", x, zero)?;
            return Ok(vec![Some(cx.select(above, d, zero)?)]);
        }
        other => return Err(not_supported(format!("the derivative of `{other}` is not known"))),
    };
    Ok(vec![Some(cx.binary(by, d, factor)?)])
}

pub(super) fn quotient(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, y, result) = (to.derivative()?, to.arg(1)?, to.result()?);
    let above = cx.binary("div", d, y)?;
    let below = cx.binary("mul", above, result)?;
    Ok(vec![Some(above), Some(cx.unary("neg", below)?)])
}

/// Of xʸ: `y · xʸ⁻¹`, and `xʸ · ln x`, which is 0 where x is.
pub(super) fn power(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, x, y, result) = (to.derivative()?, to.arg(0)?, to.arg(1)?, to.result()?);
    let y = cx.cast(y, cx.dtype(x)?)?;
    let less = cx.affine(y, 1.0, -1.0)?;
    let lower = cx.binary("pow", x, less)?;
    let slope = cx.binary("mul", y, lower)?;
    // x⁰ is 1 everywhere.
    let zero = cx.number_like(x, 0.0)?;
    let constant = cx.binary("equal", y, zero)?;
    let slope = cx.select(constant, zero, slope)?;
    let base = cx.binary("mul", d, slope)?;
    let at_zero = cx.binary("equal", x, zero)?;
    let one = cx.number_like(x, 1.0)?;
    let safe = cx.select(at_zero, one, x)?;
    let log = cx.unary("log", safe)?;
    let growth = cx.binary("mul", result, log)?;
    Ok(vec![Some(base), Some(cx.binary("mul", d, growth)?)])
}

pub(super) fn extreme_of_two(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, x, y) = (to.derivative()?, to.arg(0)?, to.arg(1)?);
    let zero = cx.number_like(d, 0.0)?;
    let half = cx.affine(d, 0.5, 0.0)?;
    let equal = cx.binary("equal", x, y)?;
    let before = if to.step.op == Some("max") { "greater" } else { "less" };
    let mut passed = Vec::new();
    for (own, other) in [(x, y), (y, x)] {
        let chosen = cx.binary(before, own, other)?;
        let whole = cx.select(chosen, d, zero)?;
        passed.push(Some(cx.select(equal, half, whole)?));
    }
    Ok(passed)
}

pub(super) fn choice(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, cond) = (to.derivative()?, to.arg(0)?);
    let zero = cx.number_like(d, 0.0)?;
    Ok(vec![None, Some(cx.select(cond, d, zero)?), Some(cx.select(cond, zero, d)?)])
}

/// Of `x − q · y` with a whole q, where it is one.
pub(super) fn remainder(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, x, y, rest) = (to.derivative()?, to.arg(0)?, to.arg(1)?, to.result()?);
    let taken = cx.binary("sub", x, rest)?;
    let times = cx.binary("div", taken, y)?;
    let times = cx.unary("round", times)?;
    let below = cx.binary("mul", d, times)?;
    Ok(vec![Some(d), Some(cx.unary("neg", below)?)])
}

/// Of `(x − zero) · scale`, by the scale.
pub(super) fn dequantized(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, x, scale) = (to.derivative()?, to.arg(0)?, to.arg(1)?);
    let dtype = cx.dtype(scale)?;
    let mut number = cx.cast(x, dtype)?;
    if let Some(zero) = to.step.args.get(2) {
        let zero = cx.cast(*zero, dtype)?;
        number = cx.binary("sub", number, zero)?;
    }
    Ok(vec![None, Some(cx.binary("mul", d, number)?), None])
}
