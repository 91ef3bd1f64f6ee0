//! Operators of `com.microsoft` that arrange, compare and generate.

use super::index;
use super::shape::{pad, pad_mode};
use super::single;
use crate::emit::attrs;
use crate::node::{NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;

type Single = Result<Value, Diagnostic>;

const DOMAIN: &str = "com.microsoft";

pub(super) fn register(table: &mut OpTable) {
    table.register(DOMAIN, "ExpandDims", .., single(expand_dims));
    table.register(DOMAIN, "GatherND", .., single(index::gather_nd));
    table.register_checked(DOMAIN, "Pad", .., pad_mode, single(pad_of_rows));
    table.register_checked(DOMAIN, "CDist", .., check_distance, single(distances));
    table.register(DOMAIN, "NGramRepeatBlock", .., single(banned_repeats));
}

/// A dimension of size 1 in the place that operand 1 says.
fn expand_dims(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let place = match cx.const_input(1, "the place of the dimension")?.as_deref() {
        Some([place]) => *place,
        _ => return Err(bad("operand 1 must be one number")),
    };
    let rank = cx.rank(x)? as i64 + 1;
    let place = crate::emit::normal_axis(place, rank as usize)?;
    cx.unsqueeze(x, &[place as i64])
}

/// The widths of the padding may be a row.
fn pad_of_rows(cx: &mut NodeCx<'_, '_>) -> Single {
    let widths = cx.input(1)?;
    if cx.rank(widths)? == 2 {
        let widths = cx.squeeze(widths, &[0])?;
        cx.set_input(1, widths);
    }
    if let Some(value) = cx.optional(2)
        && cx.rank(value)? == 1
    {
        let value = cx.squeeze(value, &[0])?;
        cx.set_input(2, value);
    }
    pad(cx)
}

fn check_distance(node: &crate::node::Node<'_>) -> Result<(), String> {
    match node.text("metric").unwrap_or("sqeuclidean") {
        "euclidean" | "sqeuclidean" => Ok(()),
        other => Err(format!("metric `{other}` is not known")),
    }
}

/// The distance of each row of one matrix from each row of another, or its square.
fn distances(cx: &mut NodeCx<'_, '_>) -> Single {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    if cx.rank(a)? != 2 || cx.rank(b)? != 2 {
        return Err(bad("its operands must have 2 dimensions"));
    }
    let (a, b) = (cx.unsqueeze(a, &[1])?, cx.unsqueeze(b, &[0])?);
    let apart = cx.binary("sub", a, b)?;
    let square = cx.square(apart)?;
    let sum = cx.reduce("reduce_sum", square, &[2], false)?;
    if cx.text("metric") == Some("euclidean") { cx.unary("sqrt", sum) } else { Ok(sum) }
}

/// Operands: tokens so far `[batch, length]` and scores of the next `[batch, words]`. What would complete a sequence of
/// `ngram_size` tokens that was there before gets −∞.
fn banned_repeats(cx: &mut NodeCx<'_, '_>) -> Single {
    let (tokens, scores) = (cx.input(0)?, cx.input(1)?);
    let length = cx.int("ngram_size").unwrap_or(0);
    if length < 1 || cx.rank(tokens)? != 2 || cx.rank(scores)? != 2 {
        return Err(bad("its `ngram_size` is below 1, or its operands have not 2 dimensions"));
    }
    if length > 1 << 10 {
        return Err(not_supported(format!("sequences of {length} tokens")));
    }
    let last = length - 1;
    // All but the last tokens of each sequence are compared with the last tokens of all.
    let targets = cx.slice(tokens, 1, last, i64::MAX)?;
    let mut same = None;
    for i in 0..last {
        let these = cx.slice(tokens, 1, i, i - last)?;
        let end = if i + 1 == last { i64::MAX } else { i + 1 - last };
        let wanted = cx.slice(tokens, 1, i - last, end)?;
        let equal = cx.binary("equal", these, wanted)?;
        same = Some(same.map_or(Ok(equal), |it| cx.binary("and", it, equal))?);
    }
    let (hidden, free) = (cx.number_like(scores, f64::NEG_INFINITY)?, cx.number_like(scores, f64::INFINITY)?);
    let limits = match same {
        Some(same) => cx.select(same, hidden, free)?,
        None => {
            let shape = cx.shape_of(targets)?;
            cx.full(shape, hidden)?
        }
    };
    let attrs = attrs([("axis", 1.into()), ("reduction", "min".into())]);
    cx.emit("scatter_elements", attrs, &[scores, targets, limits])
}
