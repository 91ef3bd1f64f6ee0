//! Attention and rotary embeddings, decomposed into matrix products, a softmax and masks.

mod heads;
mod microsoft;
mod rotary;

use super::index::{count_up, extent, sequence_lengths};
use super::single;
use crate::emit::{Size, attrs};
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use heads::{capped, heads, joined, mixed, scores};
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::DType;

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register_checked("", "Attention", .., check, attention);
    table.register_checked("", "TensorScatter", .., check_scatter, single(tensor_scatter));
    table.register_checked("ai.onnx.preview", "FlexAttention", .., check_flex, single(flex_attention));
    rotary::register(table);
    microsoft::register(table);
}

fn check(node: &Node<'_>) -> Result<(), String> {
    if node.has_input(4) != node.has_input(5) {
        return Err("it has a cache of keys or of values alone".into());
    }
    if node.has_input(6) && node.has_input(4) {
        return Err(
            "it has both a cache that grows and lengths of padded sequences (`nonpad_kv_seqlen`)".into()
        );
    }
    let mode = node.int("qk_matmul_output_mode").unwrap_or(0);
    if !(0..=3).contains(&mode) {
        return Err(format!("`qk_matmul_output_mode` {mode} is not known"));
    }
    for name in ["left_window_size", "right_window_size"] {
        if node.int(name).is_some_and(|it| it < -1) {
            return Err(format!("`{name}` is below -1"));
        }
    }
    Ok(())
}

fn attention(cx: &mut NodeCx<'_, '_>) -> Converted {
    let flat = cx.rank(cx.input(0)?)? == 3;
    let [of_queries, of_keys] = ["q_num_heads", "kv_num_heads"].map(|it| cx.int(it).unwrap_or(0));
    let q = heads(cx, cx.input(0)?, of_queries)?;
    let mut k = heads(cx, cx.input(1)?, of_keys)?;
    let mut v = heads(cx, cx.input(2)?, of_keys)?;
    if let (Some(past_key), Some(past_value)) = (cx.optional(4), cx.optional(5)) {
        k = cx.concat(&[past_key, k], 2)?;
        v = cx.concat(&[past_value, v], 2)?;
    }
    let scale = scale_of(cx, q)?;
    let q = cx.affine(q, scale, 0.0)?;
    let product = scores(cx, q, k)?;
    let scores = capped(cx, product, cx.float("softcap").unwrap_or(0.0))?;
    let (masked, dead) = mask(cx, scores, q, k)?;
    let precise = match cx.int("softmax_precision") {
        Some(it) => {
            let dtype = crate::tensor::dtype_of(i32::try_from(it).unwrap_or(0)).map_err(not_supported)?;
            cx.cast(masked, dtype)?
        }
        None => masked,
    };
    let weights = cx.emit("softmax", attrs([("axis", 3.into())]), &[precise])?;
    let dtype = cx.dtype(q)?;
    let mut weights = cx.cast(weights, dtype)?;
    if let Some(dead) = dead {
        let zero = cx.number(dtype, 0.0);
        weights = cx.select(dead, zero, weights)?;
    }
    let matrix = match cx.int("qk_matmul_output_mode").unwrap_or(0) {
        0 | 1 => scores,
        2 => masked,
        _ => weights,
    };
    // The values and what is kept of them may be of another type than the result.
    let values = cx.cast(v, dtype)?;
    let result = mixed(cx, weights, values)?;
    let result = if flat { joined(cx, result)? } else { result };
    Ok(vec![result, k, v, matrix])
}

/// What products of queries and keys are multiplied by: the attribute, or the root of the size of a head.
fn scale_of(cx: &mut NodeCx<'_, '_>, q: Value) -> Result<f64, Diagnostic> {
    match (cx.float("scale"), cx.static_dim(q, 3)) {
        (Some(scale), _) => Ok(scale),
        (None, Some(size)) => Ok(1.0 / (size as f64).sqrt()),
        (None, None) => Err(not_supported("the size of its heads is dynamic")),
    }
}

/// The scores with −∞ where a query may not see a key, and which rows see nothing.
fn mask(
    cx: &mut NodeCx<'_, '_>,
    scores: Value,
    q: Value,
    k: Value,
) -> Result<(Value, Option<Value>), Diagnostic> {
    let dtype = cx.dtype(scores)?;
    let (zero, hidden) = (cx.number(dtype, 0.0), cx.number(dtype, f64::NEG_INFINITY));
    let mut bias = None;
    if let Some(given) = cx.optional(3) {
        // Numbers of any type are added to the scores.
        let given = if cx.dtype(given)? == DType::Bool { given } else { cx.cast(given, dtype)? };
        let given = whole_mask(cx, given, k)?;
        bias = Some(match cx.dtype(given)? {
            DType::Bool => cx.select(given, zero, hidden)?,
            _ => given,
        });
    }
    if let Some(visible) = visible(cx, q, k)? {
        let causal = cx.select(visible, zero, hidden)?;
        bias = Some(match bias {
            Some(bias) => cx.binary("add", bias, causal)?,
            None => causal,
        });
    }
    let Some(bias) = bias else { return Ok((scores, None)) };
    let masked = cx.binary("add", scores, bias)?;
    let last = cx.rank(bias)? as i64 - 1;
    let best = cx.reduce("reduce_max", bias, &[last], true)?;
    Ok((masked, Some(cx.binary("equal", best, hidden)?)))
}

/// A mask that is shorter than the keys hides the keys beyond it.
fn whole_mask(cx: &mut NodeCx<'_, '_>, mask: Value, k: Value) -> Single {
    let rank = cx.rank(mask)?;
    let (Some(size), Some(keys)) = (cx.static_dim(mask, rank.saturating_sub(1)), cx.static_dim(k, 2)) else {
        return Ok(mask);
    };
    if size >= keys || size == 1 {
        return Ok(mask);
    }
    let mut pads = vec![0; 2 * rank];
    pads[2 * rank - 1] = keys - size;
    let pads = cx.int_vector(&pads);
    let dtype = cx.dtype(mask)?;
    let hidden = cx.number(dtype, if dtype == DType::Bool { 0.0 } else { f64::NEG_INFINITY });
    cx.emit("pad", attrs([("mode", "constant".into())]), &[mask, pads, hidden])
}

/// Which keys each query may see by their places: those of a causal mask, of a window, and those that are no padding.
///
/// Query `i` is at place `i + offset` among the keys: the offset is the length of the cache, or such that the last query
/// sees the last key that is no padding.
fn visible(cx: &mut NodeCx<'_, '_>, q: Value, k: Value) -> Result<Option<Value>, Diagnostic> {
    let window = |name: &str| cx.int(name).filter(|it| *it >= 0);
    let (left, right) = (window("left_window_size"), window("right_window_size"));
    let causal = cx.flag("is_causal");
    let lengths = match cx.optional(6) {
        Some(lengths) => {
            if cx.rank(lengths)? != 1 {
                return Err(bad("its lengths of padded sequences must have 1 dimension"));
            }
            let lengths = sequence_lengths(cx, lengths, k, 2)?;
            Some(cx.unsqueeze(lengths, &[1, 2, 3])?)
        }
        None => None,
    };
    if !causal && left.is_none() && right.is_none() && lengths.is_none() {
        return Ok(None);
    }
    let keys = extent(cx, k, 2)?;
    let columns = count_up(cx, keys)?;
    let mut parts = Vec::new();
    if causal || left.is_some() || right.is_some() {
        let queries = extent(cx, q, 2)?;
        let rows = count_up(cx, queries)?;
        let mut rows = cx.unsqueeze(rows, &[1])?;
        if let Some(past) = cx.optional(4) {
            let past = cx.shape_vector(&[Size::Of(past, 2)])?;
            rows = cx.binary("add", rows, past)?;
        } else if let Some(lengths) = lengths {
            let queries = cx.shape_vector(&[Size::Of(q, 2)])?;
            let offset = cx.binary("sub", lengths, queries)?;
            rows = cx.binary("add", rows, offset)?;
        }
        if causal || right.is_some() {
            let beyond = if causal { 0 } else { right.unwrap_or(0) };
            let last = cx.affine(rows, 1.0, beyond as f64)?;
            parts.push(cx.binary("less_equal", columns, last)?);
        }
        if let Some(left) = left {
            let first = cx.affine(rows, 1.0, -(left as f64))?;
            parts.push(cx.binary("less_equal", first, columns)?);
        }
    }
    if let Some(lengths) = lengths {
        parts.push(cx.binary("less", columns, lengths)?);
    }
    let mut all = parts[0];
    for part in &parts[1..] {
        all = cx.binary("and", all, *part)?;
    }
    Ok(Some(all))
}

fn check_scatter(node: &Node<'_>) -> Result<(), String> {
    match node.text("mode").unwrap_or("linear") {
        "linear" | "circular" => Ok(()),
        other => Err(format!("mode `{other}` is not known")),
    }
}

/// A cache with new entries along an axis, from an index on that each row of the batch has for itself.
fn tensor_scatter(cx: &mut NodeCx<'_, '_>) -> Single {
    let (cache, update) = (cx.input(0)?, cx.input(1)?);
    let axis = cx.axis(cache, cx.int("axis").unwrap_or(-2))?;
    let rank = cx.rank(cache)?;
    if axis == 0 || cx.rank(update)? != rank {
        return Err(bad("the axis of its entries is that of the batch, or its operands differ in rank"));
    }
    let size = extent(cx, update, axis)?;
    let places = count_up(cx, size)?;
    let mut places = cx.along_axis(places, axis, rank)?;
    if let Some(starts) = cx.optional(2) {
        if cx.rank(starts)? != 1 {
            return Err(bad("its indices must have 1 dimension"));
        }
        // Where entries go on at the front, any place is one.
        let starts = match cx.text("mode") {
            Some("circular") => cx.as_i64(starts)?,
            _ => sequence_lengths(cx, starts, cache, axis)?,
        };
        let starts = cx.unsqueeze(starts, &(1..rank as i64).collect::<Vec<_>>())?;
        places = cx.binary("add", starts, places)?;
    }
    if cx.text("mode") == Some("circular") {
        let length = cx.shape_vector(&[Size::Of(cache, axis)])?;
        let length = cx.squeeze(length, &[0])?;
        places = cx.binary("mod", places, length)?;
    }
    let shape = cx.shape_of(update)?;
    let places = cx.emit("expand", attrs([]), &[places, shape])?;
    cx.emit("scatter_elements", attrs([("axis", (axis as i64).into())]), &[cache, places, update])
}

fn check_flex(node: &Node<'_>) -> Result<(), String> {
    for name in ["score_mod", "prob_mod"] {
        let fits = |it: &crate::proto::GraphProto| it.input.len() == 1 && it.output.len() == 1;
        if node.has(name) && !node.graph(name).is_ok_and(fits) {
            return Err(format!("`{name}` is no graph of one input and one output"));
        }
    }
    Ok(())
}

/// Attention whose scores and weights graphs of the node change.
fn flex_attention(cx: &mut NodeCx<'_, '_>) -> Single {
    let [q, k, v] = [cx.input(0)?, cx.input(1)?, cx.input(2)?];
    for value in [q, k, v] {
        if cx.rank(value)? != 4 {
            return Err(bad("its queries, keys and values must have 4 dimensions"));
        }
    }
    let scale = scale_of(cx, q)?;
    let dtype = cx.dtype(q)?;
    let precise = match cx.int("softmax_precision").filter(|it| *it != 0) {
        Some(it) => crate::tensor::dtype_of(i32::try_from(it).unwrap_or(0)).map_err(not_supported)?,
        None if dtype.size() < 4 => DType::F32,
        None => dtype,
    };
    let root = scale.sqrt();
    let (q, k) = (cx.affine(q, root, 0.0)?, cx.affine(k, root, 0.0)?);
    let scores = scores(cx, q, k)?;
    let scores = cx.cast(scores, precise)?;
    let scores = changed(cx, "score_mod", scores)?;
    let weights = cx.emit("softmax", attrs([("axis", 3.into())]), &[scores])?;
    let weights = changed(cx, "prob_mod", weights)?;
    let values = cx.cast(v, precise)?;
    let mixed = mixed(cx, weights, values)?;
    cx.cast(mixed, cx.dtype(v)?)
}

/// A value after a graph of the node, in the same type.
fn changed(cx: &mut NodeCx<'_, '_>, name: &str, value: Value) -> Single {
    if !cx.has(name) {
        return Ok(value);
    }
    let graph = cx.graph(name)?;
    let results = cx.around.subgraph(cx.sink, graph, &[value])?;
    let result = results.first().copied().ok_or_else(|| bad(format!("`{name}` has no result")))?;
    let dtype = cx.dtype(value)?;
    cx.cast(result, dtype)
}
