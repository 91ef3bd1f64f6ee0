//! Rules of differentiation, an operator of the IR each.
//!
//! A rule may leave an operand wider than it is: what was broadcast is summed by who asks. At places where a function
//! has no derivative, one of those around it is taken: 0 for `relu` and `abs` at 0; equal maxima share what arrives.

use super::tape::{SAME, Step};
use crate::emit::{Size, attrs};
use crate::node::{NodeCx, not_supported};
use crate::sink::Value;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::DType;

type One = Result<Value, Diagnostic>;
/// For each operand what is handed on to it.
type Passed = Result<Vec<Option<Value>>, Diagnostic>;

/// A step, and the derivatives of its results as far as some arrived.
pub(super) struct Arrived<'t> {
    pub(super) step: &'t Step,
    pub(super) at: &'t [Option<Value>],
}

pub(super) type Rule = fn(&mut NodeCx<'_, '_>, &Arrived<'_>) -> Passed;

impl Arrived<'_> {
    fn arg(&self, i: usize) -> One {
        self.step.args.get(i).copied().ok_or_else(|| not_supported("an operation has too few operands"))
    }

    /// The first result.
    fn result(&self) -> One {
        self.step.results.first().copied().ok_or_else(|| not_supported("an operation has no result"))
    }

    /// The derivative of the first result, which is the only one that has any.
    fn derivative(&self) -> One {
        match self.at {
            [Some(first), rest @ ..] if rest.iter().all(Option::is_none) => Ok(*first),
            _ => Err(not_supported("the derivative of a later result of an operation is not known")),
        }
    }

    fn axes(&self) -> Result<&[i64], Diagnostic> {
        self.step.attrs.ints("axes").ok_or_else(|| not_supported("an operation has no axes"))
    }

    fn axis(&self) -> Result<usize, Diagnostic> {
        let axis = self.step.attrs.int("axis").and_then(|it| usize::try_from(it).ok());
        axis.ok_or_else(|| not_supported("an operation has no axis"))
    }
}

/// The rule of an operator.
pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        SAME => |_, to| Ok(vec![Some(to.derivative()?)]),
        "add" => |_, to| Ok(vec![Some(to.derivative()?); 2]),
        "sub" => |cx, to| {
            let d = to.derivative()?;
            Ok(vec![Some(d), Some(cx.unary("neg", d)?)])
        },
        "mul" => |cx, to| {
            let (d, x, y) = (to.derivative()?, to.arg(0)?, to.arg(1)?);
            Ok(vec![Some(cx.binary("mul", d, y)?), Some(cx.binary("mul", d, x)?)])
        },
        "div" => quotient,
        "pow" => power,
        "max" | "min" => extreme_of_two,
        "where" => choice,
        "neg" | "abs" | "exp" | "log" | "sqrt" | "reciprocal" | "sin" | "cos" | "tan" | "asin" | "acos"
        | "atan" | "sinh" | "cosh" | "asinh" | "acosh" | "atanh" | "tanh" | "sigmoid" | "erf" | "expm1"
        | "log1p" | "softplus" | "relu" => function,
        "sign" | "floor" | "ceil" | "round" | "trunc" => |_, _| Ok(vec![None]),
        "cast" => |cx, to| {
            let (d, x) = (to.derivative()?, to.arg(0)?);
            let from = cx.dtype(x)?;
            Ok(vec![if from.is_float() { Some(cx.cast(d, from)?) } else { None }])
        },
        "reduce_sum" | "reduce_mean" => sum,
        "reduce_max" | "reduce_min" => extreme,
        "cum_sum" => |cx, to| {
            let reverse = !to.step.attrs.bool("reverse").unwrap_or(false);
            Ok(vec![Some(cx.emit(
                "cum_sum",
                to.step.attrs.clone().with("reverse", reverse),
                &[to.derivative()?],
            )?)])
        },
        "softmax" => softmax,
        "log_softmax" => log_softmax,
        "matmul" => product,
        "reshape" | "squeeze" | "unsqueeze" => |cx, to| {
            let shape = cx.shape_of(to.arg(0)?)?;
            let passed = cx.reshape(to.derivative()?, shape)?;
            Ok(alone(to, passed))
        },
        // What it is broadcast to is summed.
        "expand" => |_, to| Ok(alone(to, to.derivative()?)),
        "transpose" => |cx, to| {
            let perm = to.step.attrs.ints("perm").unwrap_or_default();
            let mut back = vec![0; perm.len()];
            perm.iter().enumerate().for_each(|(i, axis)| back[*axis as usize] = i);
            Ok(vec![Some(cx.transpose(to.derivative()?, &back)?)])
        },
        "concat" => parts,
        "slice" => slice,
        "pad" => unpadded,
        "layer_norm" => normalized,
        "gather" => gather,
        "gather_elements" => |cx, to| {
            let passed = scattered(cx, to.arg(0)?, to.arg(1)?, to.derivative()?, to.axis()?)?;
            Ok(vec![Some(passed), None])
        },
        _ => return None,
    })
}

/// Only the first operand is handed anything.
fn alone(to: &Arrived<'_>, passed: Value) -> Vec<Option<Value>> {
    let mut list = vec![None; to.step.args.len()];
    list[0] = Some(passed);
    list
}

/// What arrives times the derivative of a function of one operand.
fn function(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
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

fn quotient(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, y, result) = (to.derivative()?, to.arg(1)?, to.result()?);
    let above = cx.binary("div", d, y)?;
    let below = cx.binary("mul", above, result)?;
    Ok(vec![Some(above), Some(cx.unary("neg", below)?)])
}

/// Of xʸ: `y · xʸ⁻¹`, and `xʸ · ln x`, which is 0 where x is.
fn power(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
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

fn extreme_of_two(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
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

fn choice(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, cond) = (to.derivative()?, to.arg(0)?);
    let zero = cx.number_like(d, 0.0)?;
    Ok(vec![None, Some(cx.select(cond, d, zero)?), Some(cx.select(cond, zero, d)?)])
}

/// A result of a reduction with the reduced axes as dimensions of 1.
fn kept(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>, reduced: Value) -> One {
    if to.step.attrs.bool("keepdims").unwrap_or(false) {
        return Ok(reduced);
    }
    cx.unsqueeze(reduced, to.axes()?)
}

fn sum(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
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

fn extreme(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let x = to.arg(0)?;
    let d = kept(cx, to, to.derivative()?)?;
    let best = kept(cx, to, to.result()?)?;
    let equal = cx.binary("equal", x, best)?;
    let chosen = cx.cast(equal, cx.dtype(d)?)?;
    let count = cx.reduce("reduce_sum", chosen, to.axes()?, true)?;
    let share = cx.binary("div", d, count)?;
    Ok(vec![Some(cx.binary("mul", chosen, share)?)])
}

fn softmax(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, y) = (to.derivative()?, to.result()?);
    let weighted = cx.binary("mul", d, y)?;
    let total = cx.reduce("reduce_sum", weighted, &[to.axis()? as i64], true)?;
    let part = cx.binary("mul", y, total)?;
    Ok(vec![Some(cx.binary("sub", weighted, part)?)])
}

fn log_softmax(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, y) = (to.derivative()?, to.result()?);
    let total = cx.reduce("reduce_sum", d, &[to.axis()? as i64], true)?;
    let share = cx.unary("exp", y)?;
    let part = cx.binary("mul", share, total)?;
    Ok(vec![Some(cx.binary("sub", d, part)?)])
}

/// Of `x · y`: `d · yᵀ` and `xᵀ · d`, with vectors seen as a row and a column.
fn product(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (mut d, x, y) = (to.derivative()?, to.arg(0)?, to.arg(1)?);
    let row = cx.rank(x)? == 1;
    let column = cx.rank(y)? == 1;
    if column {
        d = cx.unsqueeze(d, &[cx.rank(d)? as i64])?;
    }
    if row {
        d = cx.unsqueeze(d, &[cx.rank(d)? as i64 - 1])?;
    }
    let left = if row { cx.unsqueeze(x, &[0])? } else { x };
    let right = if column { cx.unsqueeze(y, &[1])? } else { y };
    let (turned_right, turned_left) = (turned(cx, right)?, turned(cx, left)?);
    let mut of_x = cx.binary("matmul", d, turned_right)?;
    let mut of_y = cx.binary("matmul", turned_left, d)?;
    if row {
        of_x = cx.squeeze(of_x, &[cx.rank(of_x)? as i64 - 2])?;
    }
    if column {
        of_y = cx.squeeze(of_y, &[cx.rank(of_y)? as i64 - 1])?;
    }
    Ok(vec![Some(of_x), Some(of_y)])
}

/// With the last two dimensions exchanged.
fn turned(cx: &mut NodeCx<'_, '_>, x: Value) -> One {
    let mut perm: Vec<usize> = (0..cx.rank(x)?).collect();
    let last = perm.len() - 1;
    perm.swap(last, last - 1);
    cx.transpose(x, &perm)
}

/// Each operand of a concatenation is handed its own part.
fn parts(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, axis) = (to.derivative()?, to.axis()?);
    let mut start = cx.int_vector(&[0]);
    let mut passed = Vec::new();
    for part in &to.step.args {
        let size = cx.shape_part(*part, axis, axis + 1)?;
        let end = cx.binary("add", start, size)?;
        passed.push(Some(cx.slice_between(d, axis, start, end)?));
        start = end;
    }
    Ok(passed)
}

/// What was added around is left out again.
fn unpadded(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (mut d, x) = (to.derivative()?, to.arg(0)?);
    let pads = cx.known_ints(to.arg(1)?).filter(|it| it.iter().all(|it| *it >= 0));
    let constant = to.step.attrs.str("mode").is_none_or(|it| it == "constant");
    let (Some(pads), true) = (pads, constant) else {
        return Err(not_supported(
            "the derivative of a pad is known only of constants and of sizes that are known",
        ));
    };
    for (axis, before) in pads.iter().take(cx.rank(x)?).enumerate() {
        let start = cx.int_vector(&[*before]);
        let size = cx.shape_part(x, axis, axis + 1)?;
        let end = cx.binary("add", start, size)?;
        d = cx.slice_between(d, axis, start, end)?;
    }
    Ok(alone(to, d))
}

/// With `x̂ = (x − mean) / deviation` and `e = d · scale`, which may be left out: `(e − mean e − x̂ · mean (e · x̂)) / deviation`.
fn normalized(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
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

/// What was cut out is put back among zeros, axis by axis: a slice of the places of an axis says where.
fn slice(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (mut d, x) = (to.derivative()?, to.arg(0)?);
    let bounds = [to.arg(1)?, to.arg(2)?, to.arg(3)?];
    for (i, axis) in to.axes()?.iter().enumerate() {
        let places = places(cx, x, *axis as usize)?;
        let mut operands = vec![places];
        for bound in bounds {
            operands.push(cx.slice(bound, 0, i as i64, i as i64 + 1)?);
        }
        let places = cx.emit("slice", attrs([("axes", vec![0].into())]), &operands)?;
        d = put_back(cx, x, places, d, *axis as usize)?;
    }
    Ok(alone(to, d))
}

/// 0, 1, … along an axis.
fn places(cx: &mut NodeCx<'_, '_>, x: Value, axis: usize) -> One {
    let size = cx.shape_part(x, axis, axis + 1)?;
    let size = cx.squeeze(size, &[0])?;
    let (zero, one) = (cx.int_scalar(0), cx.int_scalar(1));
    cx.emit("range", attrs([]), &[zero, size, one])
}

/// Adds slices along an axis at these places, a vector, to zeros that have as many places there as `x`.
fn put_back(cx: &mut NodeCx<'_, '_>, x: Value, places: Value, slices: Value, axis: usize) -> One {
    let rank = cx.rank(slices)?;
    let sizes: Vec<Size> = (0..rank).map(|i| Size::Of(if i == axis { x } else { slices }, i)).collect();
    let shape = cx.shape_vector(&sizes)?;
    let zero = cx.number_like(slices, 0.0)?;
    let zeros = cx.full(shape, zero)?;
    let trailing: Vec<i64> = (1..(rank - axis) as i64).collect();
    let places = cx.unsqueeze(places, &trailing)?;
    let shape = cx.shape_of(slices)?;
    let places = cx.emit("expand", attrs([]), &[places, shape])?;
    scatter(cx, zeros, places, slices, axis)
}

/// Adds elements along an axis at these places to zeros of the type of `x`.
fn scattered(cx: &mut NodeCx<'_, '_>, x: Value, places: Value, elements: Value, axis: usize) -> One {
    let zeros = cx.zeros_like(x)?;
    scatter(cx, zeros, places, elements, axis)
}

fn scatter(cx: &mut NodeCx<'_, '_>, zeros: Value, places: Value, elements: Value, axis: usize) -> One {
    let attrs = attrs([("axis", (axis as i64).into()), ("reduction", "add".into())]);
    cx.emit("scatter_elements", attrs, &[zeros, places, elements])
}

fn gather(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, x, places, axis) = (to.derivative()?, to.arg(0)?, to.arg(1)?, to.axis()?);
    let (rank, wide) = (cx.rank(x)?, cx.rank(places)?);
    // The dimensions of the places as one.
    let mut sizes: Vec<Size> = (0..axis).map(|i| Size::Of(x, i)).collect();
    sizes.push(Size::Product(places, (0..wide).collect()));
    sizes.extend((axis + 1..rank).map(|i| Size::Of(x, i)));
    let slices = cx.reshape_to(d, &sizes)?;
    let places = cx.reshape_to(places, &[Size::Product(places, (0..wide).collect())])?;
    let places = cx.cast(places, DType::I64)?;
    Ok(vec![Some(put_back(cx, x, places, slices, axis)?), None])
}
