//! Training: optimizers, which give the next weights and moments, and derivatives.
//!
//! The formulas are those of the operators' specification; moments of several tensors stand side by side in one node.

use super::gradient;
use crate::graph::TRAINING;
use crate::node::{Node, NodeCx, bad};
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use orogen_ir::diag::Diagnostic;

type One = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register_checked(TRAINING, "Adagrad", 1.., |node| groups(node, 3).map(|_| ()), adagrad);
    table.register_checked(TRAINING, "Adam", 1.., |node| groups(node, 4).map(|_| ()), adam);
    table.register_checked(TRAINING, "Momentum", 1.., check_momentum, momentum);
    table.register_checked(TRAINING, "Gradient", 1.., check_gradient, differentiate);
}

/// How many tensors are optimized: behind the rate and the number of updates stand as many weights, then gradients, then
/// each kind of moment.
fn groups(node: &Node<'_>, kinds: usize) -> Result<usize, String> {
    let tensors = node.input_count().saturating_sub(2);
    match (node.input_count() >= 2 + kinds, tensors % kinds) {
        (true, 0) => Ok(tensors / kinds),
        _ => Err(format!(
            "it has {} operands: a rate, a count, and {kinds} for each tensor are wanted",
            node.input_count()
        )),
    }
}

fn check_momentum(node: &Node<'_>) -> Result<(), String> {
    match node.text("mode") {
        Some("standard" | "nesterov") => groups(node, 3).map(|_| ()),
        Some(other) => Err(format!("mode `{other}` is not known")),
        None => Err("it has no mode".into()),
    }
}

/// The operands of one tensor, of which the first are its weights and its gradient.
fn operands(cx: &NodeCx<'_, '_>, kinds: usize, tensor: usize) -> Result<Vec<Value>, Diagnostic> {
    let tensors = groups(cx, kinds).map_err(bad)?;
    (0..kinds).map(|kind| cx.input(2 + kind * tensors + tensor)).collect()
}

/// Optimizes tensor by tensor; `update` gives the results of one, which are put kind by kind.
fn each(
    cx: &mut NodeCx<'_, '_>,
    kinds: usize,
    mut update: impl FnMut(&mut NodeCx<'_, '_>, &[Value]) -> Result<Vec<Value>, Diagnostic>,
) -> Converted {
    let mut found = Vec::new();
    for tensor in 0..groups(cx, kinds).map_err(bad)? {
        let mut operands = operands(cx, kinds, tensor)?;
        operands[1] = regularized(cx, operands[0], operands[1])?;
        found.push(update(cx, &operands)?);
    }
    Ok((0..kinds - 1).flat_map(|kind| found.iter().map(move |it| it[kind])).collect())
}

/// The gradient with the one of the L2 norm of the weights.
fn regularized(cx: &mut NodeCx<'_, '_>, weights: Value, gradient: Value) -> One {
    let factor = cx.float("norm_coefficient").unwrap_or(0.0);
    if factor == 0.0 {
        return Ok(gradient);
    }
    let norm = cx.affine(weights, factor, 0.0)?;
    cx.binary("add", norm, gradient)
}

/// A number of rank 0 in the element type of `like`; the rate and the count may be vectors of one element.
fn scalar(cx: &mut NodeCx<'_, '_>, operand: usize, like: Value) -> One {
    let value = cx.input(operand)?;
    let value = cx.cast(value, cx.dtype(like)?)?;
    if cx.rank(value)? == 0 { Ok(value) } else { cx.reshape_to(value, &[]) }
}

/// `a·x + b·y`.
fn mix(cx: &mut NodeCx<'_, '_>, a: f64, x: Value, b: f64, y: Value) -> One {
    let (x, y) = (cx.affine(x, a, 0.0)?, cx.affine(y, b, 0.0)?);
    cx.binary("add", x, y)
}

/// `x − rate · step`.
fn stepped(cx: &mut NodeCx<'_, '_>, x: Value, rate: Value, step: Value) -> One {
    let change = cx.binary("mul", rate, step)?;
    cx.binary("sub", x, change)
}

/// `gradient / (√squares + ε)`.
fn scaled(cx: &mut NodeCx<'_, '_>, gradient: Value, squares: Value, epsilon: f64) -> One {
    let root = cx.unary("sqrt", squares)?;
    let root = cx.affine(root, 1.0, epsilon)?;
    cx.binary("div", gradient, root)
}

fn adagrad(cx: &mut NodeCx<'_, '_>) -> Converted {
    let decay = cx.float("decay_factor").unwrap_or(0.0);
    let epsilon = cx.float("epsilon").unwrap_or(0.0);
    each(cx, 3, |cx, operands| {
        let [x, g, h] = operands[..] else { return Err(bad("an operand is missing")) };
        let (rate, count) = (scalar(cx, 0, x)?, scalar(cx, 1, x)?);
        let decayed = cx.affine(count, decay, 1.0)?;
        let rate = cx.binary("div", rate, decayed)?;
        let square = cx.square(g)?;
        let h = cx.binary("add", h, square)?;
        let step = scaled(cx, g, h, epsilon)?;
        Ok(vec![stepped(cx, x, rate, step)?, h])
    })
}

fn adam(cx: &mut NodeCx<'_, '_>) -> Converted {
    let alpha = cx.float("alpha").unwrap_or(f64::from(0.9f32));
    let beta = cx.float("beta").unwrap_or(f64::from(0.999f32));
    let epsilon = cx.float("epsilon").unwrap_or(0.0);
    let shrink = 1.0 - cx.float("norm_coefficient_post").unwrap_or(0.0);
    each(cx, 4, |cx, operands| {
        let [x, g, v, h] = operands[..] else { return Err(bad("an operand is missing")) };
        let v = mix(cx, alpha, v, 1.0 - alpha, g)?;
        let square = cx.square(g)?;
        let h = mix(cx, beta, h, 1.0 - beta, square)?;
        let (rate, count) = (scalar(cx, 0, x)?, scalar(cx, 1, x)?);
        // Moments begin at 0: the rate makes up for what they lack, from the first update on.
        let [first, second] = [alpha, beta].map(|base| {
            let base = cx.number_like(x, base)?;
            let power = cx.binary("pow", base, count)?;
            cx.affine(power, -1.0, 1.0)
        });
        let root = cx.unary("sqrt", second?)?;
        let more = cx.binary("mul", rate, root)?;
        let more = cx.binary("div", more, first?)?;
        let zero = cx.number_like(x, 0.0)?;
        let begun = cx.binary("greater", count, zero)?;
        let rate = cx.select(begun, more, rate)?;
        let step = scaled(cx, v, h, epsilon)?;
        let x = stepped(cx, x, rate, step)?;
        Ok(vec![cx.affine(x, shrink, 0.0)?, v, h])
    })
}

fn momentum(cx: &mut NodeCx<'_, '_>) -> Converted {
    let number = |cx: &NodeCx<'_, '_>, name: &str| {
        cx.float(name).ok_or_else(|| bad(format!("attribute `{name}` is missing")))
    };
    let (alpha, beta) = (number(cx, "alpha")?, number(cx, "beta")?);
    let nesterov = cx.text("mode") == Some("nesterov");
    each(cx, 3, |cx, operands| {
        let [x, g, v] = operands[..] else { return Err(bad("an operand is missing")) };
        let (rate, count) = (scalar(cx, 0, x)?, scalar(cx, 1, x)?);
        // The first gradient is taken whole.
        let zero = cx.number_like(x, 0.0)?;
        let begun = cx.binary("greater", count, zero)?;
        let (share, whole) = (cx.number_like(x, beta)?, cx.number_like(x, 1.0)?);
        let share = cx.select(begun, share, whole)?;
        let kept = cx.affine(v, alpha, 0.0)?;
        let added = cx.binary("mul", share, g)?;
        let v = cx.binary("add", kept, added)?;
        let step = if nesterov { mix(cx, 1.0, g, alpha, v)? } else { v };
        Ok(vec![stepped(cx, x, rate, step)?, v])
    })
}

fn check_gradient(node: &Node<'_>) -> Result<(), String> {
    let names = |name| node.texts(name).unwrap_or_default();
    let (xs, zs) = (names("xs"), names("zs"));
    if xs.is_empty() || node.text("y").is_none_or(str::is_empty) {
        return Err("it does not name what it differentiates, and by what".into());
    }
    if xs.len() + zs.len() != node.input_count() {
        return Err(format!(
            "it names {} values and has {} operands",
            xs.len() + zs.len(),
            node.input_count()
        ));
    }
    Ok(())
}

fn differentiate(cx: &mut NodeCx<'_, '_>) -> Converted {
    let names = |name| cx.texts(name).unwrap_or_default();
    let (xs, mut given) = (names("xs"), names("xs"));
    given.extend(names("zs"));
    let y = cx.text("y").unwrap_or_default();
    // A value of its own for each name: two may be given the same operand.
    let values = cx.all_inputs()?;
    let values = values.into_iter().map(|it| {
        let ty = cx.sink.type_of(it).clone();
        cx.sink.match_cast(it, ty)
    });
    let values = values.collect::<Result<Vec<Value>, _>>()?;
    let given: Vec<_> = given.into_iter().zip(values.iter().copied()).collect();
    let mut tape = gradient::Tape::over(cx.sink);
    let y = cx.around.recomputed(&mut tape, &given, y)?;
    let steps = tape.into_steps();
    gradient::derivatives(cx, &steps, y, &values[..xs.len()])
}
