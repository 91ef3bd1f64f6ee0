//! What becomes of the scores of classes and targets.

use super::Single;
use crate::emit::attrs;
use crate::node::{Node, NodeCx, bad};
use crate::sink::Value;
use orogen_ir::diag::Diagnostic;

/// The attribute `post_transform`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Transform {
    None,
    Logistic,
    Softmax,
    SoftmaxZero,
    Probit,
}

impl Transform {
    pub(super) fn of(node: &Node<'_>) -> Result<Transform, Diagnostic> {
        Ok(match node.text("post_transform").unwrap_or("NONE") {
            "NONE" => Transform::None,
            "LOGISTIC" => Transform::Logistic,
            "SOFTMAX" => Transform::Softmax,
            "SOFTMAX_ZERO" => Transform::SoftmaxZero,
            "PROBIT" => Transform::Probit,
            other => return Err(bad(format!("`post_transform` is no `{other}`"))),
        })
    }

    /// The attribute as a number.
    pub(super) fn numbered(node: &Node<'_>) -> Result<Transform, Diagnostic> {
        Ok(match node.int("post_transform").unwrap_or(0) {
            0 => Transform::None,
            1 => Transform::Softmax,
            2 => Transform::Logistic,
            3 => Transform::SoftmaxZero,
            4 => Transform::Probit,
            other => return Err(bad(format!("`post_transform` is {other}"))),
        })
    }

    /// Rows of several scores.
    pub(super) fn of_rows(self, cx: &mut NodeCx<'_, '_>, scores: Value) -> Single {
        match self {
            Transform::None => Ok(scores),
            Transform::Logistic => cx.unary("sigmoid", scores),
            Transform::Softmax => cx.emit("softmax", attrs([("axis", 1.into())]), &[scores]),
            Transform::SoftmaxZero => softmax_zero(cx, scores),
            Transform::Probit => probit(cx, scores),
        }
    }

    /// A column of single scores, which is no probability of a class: only a quantile becomes of it.
    pub(super) fn of_column(self, cx: &mut NodeCx<'_, '_>, score: Value) -> Single {
        if self == Transform::Probit { probit(cx, score) } else { Ok(score) }
    }

    /// A column of scores of the second of two classes as scores of both: those of the first are what is missing to 1 where
    /// `is_share`, else they are negative. The logistic function makes distances of both.
    pub(super) fn of_pair(self, cx: &mut NodeCx<'_, '_>, score: Value, is_share: bool) -> Single {
        let other = if is_share && self != Transform::Logistic {
            let one = cx.number_like(score, 1.0)?;
            cx.binary("sub", one, score)?
        } else {
            cx.unary("neg", score)?
        };
        let both = cx.concat(&[other, score], 1)?;
        match self {
            Transform::Logistic => cx.unary("sigmoid", both),
            Transform::Probit => probit(cx, both),
            _ => Ok(both),
        }
    }
}

/// The softmax of what is not zero; zeros stay.
fn softmax_zero(cx: &mut NodeCx<'_, '_>, scores: Value) -> Single {
    let most = cx.reduce("reduce_max", scores, &[1], true)?;
    let below = cx.binary("sub", scores, most)?;
    let power = cx.unary("exp", below)?;
    let magnitude = cx.unary("abs", scores)?;
    let counts = cx.with_number("greater", magnitude, 1e-7)?;
    let least = cx.unary("neg", most)?;
    let least = cx.unary("exp", least)?;
    let small = cx.binary("mul", scores, least)?;
    let power = cx.select(counts, power, small)?;
    let sum = cx.reduce("reduce_sum", power, &[1], true)?;
    cx.binary("div", power, sum)
}

/// `√2 · erf⁻¹(2x − 1)`, where the inverse is Winitzki's approximation, as the runtimes compute it.
fn probit(cx: &mut NodeCx<'_, '_>, x: Value) -> Single {
    const A: f64 = 0.147;
    let centred = cx.affine(x, 2.0, -1.0)?;
    let square = cx.square(centred)?;
    let one = cx.number_like(x, 1.0)?;
    let rest = cx.binary("sub", one, square)?;
    let log = cx.unary("log", rest)?;
    let half = cx.affine(log, 0.5, 2.0 / (std::f64::consts::PI * A))?;
    let inner = cx.square(half)?;
    let scaled = cx.affine(log, 1.0 / A, 0.0)?;
    let inner = cx.binary("sub", inner, scaled)?;
    let root = cx.unary("sqrt", inner)?;
    let root = cx.binary("sub", root, half)?;
    let root = cx.unary("sqrt", root)?;
    let sign = cx.unary("sign", centred)?;
    let inverse = cx.binary("mul", sign, root)?;
    cx.affine(inverse, std::f64::consts::SQRT_2, 0.0)
}
