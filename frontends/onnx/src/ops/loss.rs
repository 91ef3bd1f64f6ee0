//! Losses of classification: the score that a target names in each place, weighted, and summed or averaged.

use super::index::{extent, within};
use super::single;
use crate::emit::attrs;
use crate::node::{Node, NodeCx, bad};
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use orogen_ir::diag::Diagnostic;
use orogen_ir::shape::Constraint;

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    let likelihood = single(|cx| loss(cx, cx.input(0)?));
    table.register_checked("", "NegativeLogLikelihoodLoss", .., check, likelihood);
    table.register_checked("", "SoftmaxCrossEntropyLoss", .., check, cross_entropy);
}

fn check(node: &Node<'_>) -> Result<(), String> {
    match node.text("reduction").unwrap_or("mean") {
        "none" | "sum" | "mean" => Ok(()),
        other => Err(format!("reduction `{other}` is not known")),
    }
}

/// Results: the loss, and logarithms of probabilities.
fn cross_entropy(cx: &mut NodeCx<'_, '_>) -> Converted {
    let x = cx.input(0)?;
    let scores = cx.emit("log_softmax", attrs([("axis", (cx.axis(x, 1)? as i64).into())]), &[x])?;
    Ok(vec![loss(cx, scores)?, scores])
}

/// The loss of scores `[batch, classes, …]`; operand 1 is the targets `[batch, …]`, operand 2 the weights of classes.
fn loss(cx: &mut NodeCx<'_, '_>, scores: Value) -> Single {
    let targets = cx.as_i64(cx.input(1)?)?;
    same_places(cx, scores, targets)?;
    // Targets that are ignored count nothing, whatever stands at their places.
    let ignored = match cx.int("ignore_index") {
        Some(index) => {
            let index = cx.int_scalar(index);
            Some(cx.binary("equal", targets, index)?)
        }
        None => None,
    };
    let unless_ignored = |cx: &mut NodeCx<'_, '_>, value: Value| match ignored {
        Some(ignored) => {
            let zero = cx.number_like(value, 0.0)?;
            cx.select(ignored, zero, value)
        }
        None => Ok(value),
    };
    let classes = unless_ignored(cx, targets)?;
    let count = extent(cx, scores, 1)?;
    let classes = within(cx, classes, count, "a target")?;
    let places = cx.unsqueeze(classes, &[1])?;
    let picked = cx.emit("gather_elements", attrs([("axis", 1.into())]), &[scores, places])?;
    let picked = cx.squeeze(picked, &[1])?;
    let mut losses = cx.unary("neg", picked)?;
    let weights = match cx.optional(2) {
        Some(weights) if cx.rank(weights)? != 1 => return Err(bad("its weights must be a vector")),
        Some(weights) => Some(cx.emit("gather", attrs([("axis", 0.into())]), &[weights, classes])?),
        None => None,
    };
    if let Some(weights) = weights {
        losses = cx.binary("mul", losses, weights)?;
    }
    let losses = unless_ignored(cx, losses)?;
    let axes: Vec<i64> = (0..cx.rank(losses)? as i64).collect();
    let reduction = cx.text("reduction").unwrap_or("mean");
    match (reduction, weights) {
        ("none", _) => Ok(losses),
        ("sum", _) => cx.reduce("reduce_sum", losses, &axes, false),
        (_, None) if ignored.is_none() => cx.reduce("reduce_mean", losses, &axes, false),
        (_, weights) => {
            let weights = match weights {
                Some(weights) => weights,
                None => cx.number_like(losses, 1.0)?,
            };
            let weights = unless_ignored(cx, weights)?;
            let total = cx.reduce("reduce_sum", losses, &axes, false)?;
            let weight = cx.reduce("reduce_sum", weights, &axes, false)?;
            cx.binary("div", total, weight)
        }
    }
}

/// There is a target for each place of the scores.
fn same_places(cx: &mut NodeCx<'_, '_>, scores: Value, targets: Value) -> Result<(), Diagnostic> {
    let (rank, own) = (cx.rank(scores)?, cx.rank(targets)?);
    if rank < 2 || own + 1 != rank {
        return Err(bad(format!(
            "its scores have {rank} dimensions and its targets {own}, which must be one less"
        )));
    }
    let (Some(scores), Some(targets)) = (cx.dims(scores), cx.dims(targets)) else { return Ok(()) };
    let places = scores.iter().take(1).chain(&scores[2..]);
    for (i, (place, target)) in places.zip(&targets).enumerate() {
        let what = format!("dimension {i} of its targets and the one of its scores");
        cx.sink.check(Constraint::Eq(*place, *target), &what)?;
    }
    Ok(())
}
