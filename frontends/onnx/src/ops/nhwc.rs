//! Operators of `com.microsoft` on data whose channels come last, as ONNX Runtime's layout passes write them. Weights are as in
//! the standard.

use super::fused::{check_conv, conv};
use super::norm::{group_norm_of, sum_of};
use super::pool::{check_max, max_pool_of};
use super::single;
use crate::node::{Node, NodeCx, bad};
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use orogen_ir::diag::Diagnostic;

type Single = Result<Value, Diagnostic>;

const DOMAIN: &str = "com.microsoft";

pub(super) fn register(table: &mut OpTable) {
    for name in ["NhwcConv", "NhwcFusedConv"] {
        table.register_checked(
            DOMAIN,
            name,
            ..,
            check_conv,
            single(|cx| {
                let other = cx.optional(3).map(|it| first(cx, it)).transpose()?;
                turned(cx, cx.input(0)?, |cx, x| conv(cx, x, other))
            }),
        );
    }
    table.register_checked(
        DOMAIN,
        "NhwcMaxPool",
        ..,
        check_max,
        single(|cx| turned(cx, cx.input(0)?, |cx, x| Ok(max_pool_of(cx, x)?.0))),
    );
    table.register_checked(DOMAIN, "GroupNorm", .., check_norm, |cx| group_norm(cx, false));
    table.register_checked(DOMAIN, "SkipGroupNorm", .., check_norm, |cx| group_norm(cx, true));
}

/// Data with its channels second.
fn first(cx: &mut NodeCx<'_, '_>, x: Value) -> Single {
    let rank = cx.rank(x)?;
    if rank < 3 {
        return Err(bad(format!("data of {rank} dimensions has no channels behind others")));
    }
    let perm: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    cx.transpose(x, &perm)
}

/// An operator whose channels come second, on data whose channels come last.
pub(super) fn turned<'m>(
    cx: &mut NodeCx<'_, 'm>,
    x: Value,
    apply: impl FnOnce(&mut NodeCx<'_, 'm>, Value) -> Single,
) -> Single {
    let x = first(cx, x)?;
    let y = apply(cx, x)?;
    let rank = cx.rank(y)?;
    let perm: Vec<usize> = [0].into_iter().chain(2..rank).chain([1]).collect();
    cx.transpose(y, &perm)
}

/// The same where an attribute says that channels come last.
pub(super) fn turned_if<'m>(
    cx: &mut NodeCx<'_, 'm>,
    channels_last: bool,
    x: Value,
    apply: impl FnOnce(&mut NodeCx<'_, 'm>, Value) -> Single,
) -> Single {
    if channels_last { turned(cx, x, apply) } else { apply(cx, x) }
}

fn check_norm(node: &Node<'_>) -> Result<(), String> {
    if node.int("groups").unwrap_or(0) < 1 {
        return Err("`groups` is missing or not positive".into());
    }
    match node.int("activation").unwrap_or(0) {
        0 | 1 => Ok(()),
        other => Err(format!("activation {other} is neither 0 nor 1")),
    }
}

/// Operands: data, scale and shift of channels, and, with `skip`, what is added before: a tensor, one of channels alone, and
/// perhaps a bias.
fn group_norm(cx: &mut NodeCx<'_, '_>, skip: bool) -> Converted {
    let last = cx.int("channels_last").unwrap_or(1) != 0;
    let mut x = cx.input(0)?;
    if skip {
        let (added, rank) = (cx.input(3)?, cx.rank(x)?);
        let added = match cx.rank(added)? {
            2 if last => cx.unsqueeze(added, &(1..rank as i64 - 1).collect::<Vec<_>>())?,
            2 => cx.unsqueeze(added, &(2..rank as i64).collect::<Vec<_>>())?,
            _ => added,
        };
        x = sum_of(cx, x, added, 4, if last { None } else { Some(rank) })?;
    }
    let groups = cx.int("groups").unwrap_or(1);
    let y = turned_if(cx, last, x, |cx, x| {
        let normal = group_norm_of(cx, x, groups, true)?;
        if cx.int("activation") != Some(1) {
            return Ok(normal);
        }
        let gate = cx.unary("sigmoid", normal)?;
        cx.binary("mul", normal, gate)
    })?;
    Ok(vec![y, x])
}
