//! Rules of products of matrices.

use super::{Arrived, One, Passed};
use crate::emit::attrs;
use crate::node::NodeCx;
use crate::sink::Value;
use orogen_ir::types::DType;

/// Of `x · y`: `d · yᵀ` and `xᵀ · d`, with vectors seen as a row and a column.
pub(super) fn product(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
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
pub(super) fn turned(cx: &mut NodeCx<'_, '_>, x: Value) -> One {
    let mut perm: Vec<usize> = (0..cx.rank(x)?).collect();
    let last = perm.len() - 1;
    perm.swap(last, last - 1);
    cx.transpose(x, &perm)
}

/// Of `softmax(s) · v`: with weights w, by v `wᵀ · d`, by w `e = d · vᵀ`, by the scores `w · (e − Σ w · e)`.
pub(super) fn attention(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, q, k, v) = (to.derivative()?, to.arg(0)?, to.arg(1)?, to.arg(2)?);
    let given = &to.step.attrs;
    let scale = given.float("scale").unwrap_or(1.0);
    let keys = turned(cx, k)?;
    let scores = cx.binary("matmul", q, keys)?;
    let mut scores = cx.affine(scores, scale, 0.0)?;
    let mask = to.step.args.get(3).copied();
    let shown = match mask {
        Some(mask) if cx.dtype(mask)? == DType::Bool => Some(mask),
        _ => None,
    };
    if let Some(shown) = shown {
        let hidden = cx.number_like(scores, given.float("hidden").unwrap_or(f64::NEG_INFINITY))?;
        scores = cx.select(shown, scores, hidden)?;
    } else if let Some(mask) = mask {
        scores = cx.binary("add", scores, mask)?;
    }
    let last = cx.rank(scores)? as i64 - 1;
    let mut weights = cx.emit("softmax", attrs([("axis", last.into())]), &[scores])?;
    let zero = cx.number_like(weights, 0.0)?;
    if given.bool("safe").unwrap_or(false) {
        let nothing = cx.unary("is_nan", weights)?;
        weights = cx.select(nothing, zero, weights)?;
    }
    let turned_weights = turned(cx, weights)?;
    let of_v = cx.binary("matmul", turned_weights, d)?;
    let values = turned(cx, v)?;
    let of_weights = cx.binary("matmul", d, values)?;
    let along = cx.binary("mul", weights, of_weights)?;
    let total = cx.reduce("reduce_sum", along, &[last], true)?;
    let part = cx.binary("mul", weights, total)?;
    let of_scores = cx.binary("sub", along, part)?;
    let of_products = match shown {
        Some(shown) => cx.select(shown, of_scores, zero)?,
        None => of_scores,
    };
    let of_products = cx.affine(of_products, scale, 0.0)?;
    let of_q = cx.binary("matmul", of_products, k)?;
    let turned_products = turned(cx, of_products)?;
    let of_k = cx.binary("matmul", turned_products, q)?;
    Ok(vec![Some(of_q), Some(of_k), Some(of_v), Some(of_scores)])
}
