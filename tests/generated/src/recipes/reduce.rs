//! Reductions.

use super::Table;
use super::movement::{axis, list};
use crate::attributes::int;
use crate::draw::{Draft, Draw};
use crate::value::Rounding;

pub(super) const RECIPES: Table = &[
    ("ReduceSum", reduce),
    ("ReduceMean", reduce),
    ("ReduceMax", reduce),
    ("ReduceMin", reduce),
    ("ReduceProd", reduce),
    ("ReduceL1", reduce),
    ("ReduceL2", reduce),
    ("ReduceLogSum", reduce),
    ("ReduceLogSumExp", reduce),
    ("ReduceSumSquare", reduce),
    ("Softmax", softmax),
    ("LogSoftmax", softmax),
    ("Hardmax", softmax),
];

fn reduce(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.numbers(0..=5);
    let rank = draw.values[x].rank();
    let rounding = match op {
        "ReduceMax" | "ReduceMin" => Rounding::Exact,
        "ReduceSum" | "ReduceL1" | "ReduceSumSquare" => Rounding::Arithmetic,
        _ => Rounding::Function,
    };
    let draft = Draft::new(op, &[draw.name(x)], rounding);
    let since = if op == "ReduceSum" { 13 } else { 18 };
    let mut axes: Vec<i64> = (0..rank as i64).filter(|_| draw.random.coin()).collect();
    if axes.is_empty() && rank > 0 {
        axes.push(axis(draw, rank));
    }
    if draw.opset >= 11 && draw.once_in(4) {
        axes.iter_mut().for_each(|it| *it -= rank as i64 * i64::from(*it >= 0));
    }
    let draft =
        if draw.once_in(5) || axes.is_empty() { draft } else { list(draw, draft, since, "axes", &axes) };
    let keep = draw.pick(&[0, 1]);
    let draft = draft.with(int("keepdims", keep));
    let none = draw.opset >= since && draw.once_in(4);
    Some(if none { draft.with(int("noop_with_empty_axes", 1)) } else { draft })
}

fn softmax(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(1..=4);
    let axis = axis(draw, draw.values[x].rank());
    let rounding = if op == "Hardmax" { Rounding::Exact } else { Rounding::Function };
    let draft = Draft::new(op, &[draw.name(x)], rounding);
    Some(if draw.once_in(4) { draft } else { draft.with(int("axis", axis)) })
}
