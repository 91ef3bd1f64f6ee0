//! Heads of attention, `[batch, heads, sequence, size]`, and products of them. Several heads of queries may share one of keys
//! and values.

use crate::emit::Size;
use crate::node::{NodeCx, bad, not_supported};
use crate::sink::Value;
use orogen_ir::diag::Diagnostic;

type Single = Result<Value, Diagnostic>;

/// That many heads, from themselves or from `[batch, sequence, heads·size]`.
pub(super) fn heads(cx: &mut NodeCx<'_, '_>, x: Value, count: i64) -> Single {
    match cx.rank(x)? {
        4 => return Ok(x),
        3 => {}
        rank => return Err(bad(format!("an operand that is made of heads has {rank} dimensions"))),
    }
    if count < 1 {
        return Err(bad("the number of its heads is missing"));
    }
    let hidden = cx.static_dim(x, 2).ok_or_else(|| not_supported("the size of its heads is dynamic"))?;
    if hidden % count != 0 {
        return Err(bad(format!("{hidden} elements are not those of {count} heads")));
    }
    let sizes = [Size::Of(x, 0), Size::Of(x, 1), Size::Const(count), Size::Const(hidden / count)];
    let parts = cx.reshape_to(x, &sizes)?;
    cx.transpose(parts, &[0, 2, 1, 3])
}

/// Heads side by side again: `[batch, sequence, heads·size]`.
pub(super) fn joined(cx: &mut NodeCx<'_, '_>, x: Value) -> Single {
    let x = cx.transpose(x, &[0, 2, 1, 3])?;
    cx.reshape_to(x, &[Size::Of(x, 0), Size::Of(x, 1), Size::Product(x, vec![2, 3])])
}

/// How many query heads share a key head.
fn group_count(cx: &mut NodeCx<'_, '_>, q: Value, k: Value) -> Result<i64, Diagnostic> {
    match (cx.static_dim(q, 1), cx.static_dim(k, 1)) {
        (Some(q), Some(k)) if k > 0 && q % k == 0 => Ok(q / k),
        (Some(q), Some(k)) => Err(bad(format!("{q} query heads do not share {k} key heads evenly"))),
        _ => Err(not_supported("the number of its heads is dynamic")),
    }
}

/// One dimension more, of those that share a head.
fn grouped(cx: &mut NodeCx<'_, '_>, x: Value, heads: i64, groups: i64) -> Single {
    cx.reshape_to(
        x,
        &[Size::Of(x, 0), Size::Const(heads), Size::Const(groups), Size::Of(x, 2), Size::Of(x, 3)],
    )
}

/// Products of queries and keys: `[batch, heads of queries, queries, keys]`.
pub(super) fn scores(cx: &mut NodeCx<'_, '_>, q: Value, k: Value) -> Single {
    let keys = cx.transpose(k, &[0, 1, 3, 2])?;
    mixed(cx, q, keys)
}

/// Sums of values by such weights.
pub(super) fn mixed(cx: &mut NodeCx<'_, '_>, weights: Value, v: Value) -> Single {
    let groups = group_count(cx, weights, v)?;
    if groups == 1 {
        return cx.binary("matmul", weights, v);
    }
    let shared = cx.static_dim(v, 1).unwrap_or(1);
    let (parts, values) = (grouped(cx, weights, shared, groups)?, cx.unsqueeze(v, &[2])?);
    let mixed = cx.binary("matmul", parts, values)?;
    cx.reshape_to(mixed, &[Size::Of(weights, 0), Size::Of(weights, 1), Size::Of(weights, 2), Size::Of(v, 3)])
}

/// Scores that are bent so that none is beyond `cap`; 0 leaves them.
pub(super) fn capped(cx: &mut NodeCx<'_, '_>, scores: Value, cap: f64) -> Single {
    if cap <= 0.0 {
        return Ok(scores);
    }
    let small = cx.with_number("div", scores, cap)?;
    let bent = cx.unary("tanh", small)?;
    cx.with_number("mul", bent, cap)
}
