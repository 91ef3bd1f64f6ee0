//! Attention of `com.microsoft`, as ONNX Runtime's optimiser and its builder of language models write it.
//!
//! A mask of integers hides a key by adding `mask_filter_value`; what lies ahead of a query, or beyond its window, has no
//! weight at all.

use super::heads::{capped, heads, joined, mixed, scores};
use super::rotary::{looked_up, rotate};
use crate::emit::{Size, attrs};
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::ops::index::{count_up, extent};
use crate::ops::norm::rms_norm_of;
use crate::ops::qoperator::product;
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::DType;

type Single = Result<Value, Diagnostic>;

const DOMAIN: &str = "com.microsoft";

pub(super) fn register(table: &mut OpTable) {
    table.register_checked(DOMAIN, "Attention", .., check_attention, attention);
    table.register_checked(DOMAIN, "QAttention", .., check_attention, quantized_attention);
    table.register_checked(DOMAIN, "MultiHeadAttention", .., check_multi_head, multi_head_attention);
    table.register_checked(DOMAIN, "PackedAttention", .., check_packed, packed_attention);
    table.register_checked(DOMAIN, "GroupQueryAttention", .., check_group_query, group_query_attention);
}

fn check_count(node: &Node<'_>, name: &str) -> Result<(), String> {
    match node.int(name).unwrap_or(0) {
        1.. => Ok(()),
        _ => Err(format!("`{name}` is missing or not positive")),
    }
}

/// Attributes that ask for what is not there.
fn check_flags(node: &Node<'_>, names: &[(&str, &str)]) -> Result<(), String> {
    match names.iter().find(|it| node.flag(it.0)) {
        Some((name, what)) => Err(format!("{what} (`{name}`) is not supported")),
        None => Ok(()),
    }
}

const SHARED: (&str, &str) = ("past_present_share_buffer", "a cache that is written in place");

fn check_attention(node: &Node<'_>) -> Result<(), String> {
    check_count(node, "num_heads")?;
    check_flags(node, &[SHARED, ("do_rotary", "rotation of queries and keys")])
}

fn check_packed(node: &Node<'_>) -> Result<(), String> {
    check_count(node, "num_heads")?;
    match node.has_input(5) {
        true => Err("a bias of the scores (`attention_bias`) is not supported".into()),
        false => Ok(()),
    }
}

fn check_multi_head(node: &Node<'_>) -> Result<(), String> {
    check_count(node, "num_heads")?;
    if node.has_input(8) || node.has_input(9) {
        return Err("a cache that is written in place (`past_sequence_length`) is not supported".into());
    }
    if node.has_input(6) != node.has_input(7) {
        return Err("it has a cache of keys or of values alone".into());
    }
    match node.has_input(1) == node.has_input(2) || node.has_input(1) {
        true => Ok(()),
        false => Err("it has values without keys".into()),
    }
}

fn check_group_query(node: &Node<'_>) -> Result<(), String> {
    check_count(node, "num_heads")?;
    check_count(node, "kv_num_heads")?;
    if node.int("num_heads").unwrap_or(1) % node.int("kv_num_heads").unwrap_or(1) != 0 {
        return Err("`num_heads` is no multiple of `kv_num_heads`".into());
    }
    check_flags(
        node,
        &[
            ("sliding_window_cache", "a cache of the window alone"),
            ("kv_cache_bit_width", "a cache of integers"),
        ],
    )?;
    for (first, second, what) in [
        (1, 2, "keys or values alone"),
        (3, 4, "a cache of keys or of values alone"),
        (14, 15, "one weight of two norms"),
    ] {
        if node.has_input(first) != node.has_input(second) {
            return Err(format!("it has {what}"));
        }
    }
    if node.flag("do_rotary") && !(node.has_input(7) && node.has_input(8)) {
        return Err("it rotates (`do_rotary`) without cosines and sines".into());
    }
    if node.int("causal") == Some(0) && node.int("local_window_size").is_some_and(|it| it >= 0) {
        return Err("it has a window (`local_window_size`) and is not causal".into());
    }
    match (node.has_input(12) || node.has_input(13), node.has_input(16)) {
        (true, _) => Err("a cache of integers (`k_scale`, `v_scale`) is not supported".into()),
        (_, true) => Err("lengths of padded queries (`query_seqlens`) are not supported".into()),
        _ => Ok(()),
    }
}

/// What queries are multiplied by; 0 stands for the root of the size of a head.
fn scale_of(cx: &mut NodeCx<'_, '_>, q: Value) -> Result<f64, Diagnostic> {
    match (cx.float("scale").unwrap_or(0.0), cx.static_dim(q, 3)) {
        (0.0, Some(size)) => Ok(1.0 / (size as f64).sqrt()),
        (0.0, None) => Err(not_supported("the size of its heads is dynamic")),
        (scale, _) => Ok(scale),
    }
}

/// Operands: data, weights of queries, keys and values beside each other, and, all optional, their bias, a mask, a cache and
/// what is added to scores.
fn attention(cx: &mut NodeCx<'_, '_>) -> Converted {
    let mut all = cx.binary("matmul", cx.input(0)?, cx.input(1)?)?;
    if let Some(bias) = cx.optional(2) {
        all = cx.binary("add", all, bias)?;
    }
    let (mask, past, bias) = (cx.optional(3), cx.optional(4), cx.optional(5));
    self_attention(cx, all, mask, past, bias)
}

/// Operands: integers, weights, bias, scales of both, and, all optional, a mask, zero points of both and a cache.
fn quantized_attention(cx: &mut NodeCx<'_, '_>) -> Converted {
    let (operands, scales) = ([cx.input(0)?, cx.input(1)?], [cx.input(3)?, cx.input(4)?]);
    let zeros = [cx.optional(6), cx.optional(7)];
    let all = product(cx, operands, scales, zeros, 2)?;
    let (mask, past) = (cx.optional(5), cx.optional(8));
    self_attention(cx, all, mask, past, None)
}

/// Queries, keys and values that lie beside each other, as heads.
fn parts(cx: &mut NodeCx<'_, '_>, all: Value) -> Result<[Value; 3], Diagnostic> {
    let last = cx.rank(all)? - 1;
    let width = cx.static_dim(all, last).ok_or_else(|| not_supported("the size of its heads is dynamic"))?;
    let sizes = match cx.ints("qkv_hidden_sizes") {
        None | Some([]) => [width / 3; 3],
        Some(&[q, k, v]) => [q, k, v],
        Some(other) => return Err(bad(format!("`qkv_hidden_sizes` has {} numbers, not 3", other.len()))),
    };
    let sum = sizes.iter().try_fold(0i64, |sum, it| sum.checked_add(*it).filter(|_| *it > 0));
    if sum != Some(width) {
        return Err(bad(format!("{width} columns are not those of queries, keys and values ({sizes:?})")));
    }
    let (mut parts, mut start) = (Vec::new(), 0);
    for size in sizes {
        let part = cx.slice(all, last, start, start + size)?;
        parts.push(heads(cx, part, cx.int("num_heads").unwrap_or(0))?);
        start += size;
    }
    Ok([parts[0], parts[1], parts[2]])
}

fn self_attention(
    cx: &mut NodeCx<'_, '_>,
    all: Value,
    mask: Option<Value>,
    past: Option<Value>,
    bias: Option<Value>,
) -> Converted {
    let [q, mut k, mut v] = parts(cx, all)?;
    let mut before = None;
    if let Some(past) = past {
        let [of_keys, of_values] = [0, 1].map(|i| {
            let part = cx.slice(past, 0, i, i + 1)?;
            cx.squeeze(part, &[0])
        });
        let of_keys = of_keys?;
        before = Some(of_keys);
        k = cx.concat(&[of_keys, k], 2)?;
        v = cx.concat(&[of_values?, v], 2)?;
    }
    let attended = attend(cx, [q, k, v], before, mask, bias)?;
    let mut results = vec![attended.result];
    if cx.wants_output(1) {
        let both = [cx.unsqueeze(k, &[0])?, cx.unsqueeze(v, &[0])?];
        results.push(cx.concat(&both, 0)?);
    }
    Ok(results)
}

/// Operands: queries (or all three), keys (or both), values, and, all optional, a bias of all three, a mask of keys, what is
/// added to scores, and a cache of keys and values. Keys and values that are heads already are a cache of another sequence.
fn multi_head_attention(cx: &mut NodeCx<'_, '_>) -> Converted {
    let count = cx.int("num_heads").unwrap_or(0);
    let mut states = match (cx.optional(1), cx.optional(2)) {
        (None, _) => interleaved(cx, cx.input(0)?, 3)?,
        (Some(both), None) => [vec![cx.input(0)?], interleaved(cx, both, 2)?].concat(),
        (Some(k), Some(v)) => vec![cx.input(0)?, k, v],
    };
    if let Some(bias) = cx.optional(3) {
        let mut start = 0;
        for state in &mut states {
            let width = match cx.rank(*state)? {
                3 => cx.static_dim(*state, 2),
                _ => return Err(bad("a bias is added to what is no row of heads")),
            };
            let width = width.ok_or_else(|| not_supported("the size of its heads is dynamic"))?;
            let part = cx.slice(bias, 0, start, start + width)?;
            *state = cx.binary("add", *state, part)?;
            start += width;
        }
    }
    let q = heads(cx, states[0], count)?;
    let (mut k, mut v) = (heads(cx, states[1], count)?, heads(cx, states[2], count)?);
    let before = cx.optional(6);
    if let (Some(past_key), Some(past_value)) = (before, cx.optional(7)) {
        k = cx.concat(&[past_key, k], 2)?;
        v = cx.concat(&[past_value, v], 2)?;
    }
    let (mask, bias) = (cx.optional(4), cx.optional(5));
    let attended = attend(cx, [q, k, v], before, mask, bias)?;
    Ok(vec![attended.result, k, v, attended.scores])
}

/// `[batch, sequence, heads, parts, size]` as that many rows of heads.
fn interleaved(cx: &mut NodeCx<'_, '_>, x: Value, count: i64) -> Result<Vec<Value>, Diagnostic> {
    if cx.rank(x)? != 5 || cx.static_dim(x, 3) != Some(count) {
        return Err(bad(format!("it has no keys, and what it has is not packed as {count} parts of heads")));
    }
    let part = |i: i64| {
        let part = cx.slice(x, 3, i, i + 1)?;
        cx.reshape_to(part, &[Size::Of(x, 0), Size::Of(x, 1), Size::Product(x, vec![2, 4])])
    };
    (0..count).map(part).collect()
}

struct Attended {
    /// Heads side by side.
    result: Value,
    /// What the softmax is of.
    scores: Value,
}

/// Attention with a mask of keys, what is added to scores, and `unidirectional`; keys begin with those that were there
/// `before`.
fn attend(
    cx: &mut NodeCx<'_, '_>,
    [q, k, v]: [Value; 3],
    before: Option<Value>,
    mask: Option<Value>,
    bias: Option<Value>,
) -> Result<Attended, Diagnostic> {
    let scale = scale_of(cx, q)?;
    let q = cx.affine(q, scale, 0.0)?;
    let mut scores = scores(cx, q, k)?;
    let mask = match mask {
        Some(mask) => padding(cx, mask, q, k)?,
        None => None,
    };
    for added in [bias, mask].into_iter().flatten() {
        scores = cx.binary("add", scores, added)?;
    }
    if cx.flag("unidirectional") && cx.static_dim(q, 2) != Some(1) {
        let (queries, keys) = (extent(cx, q, 2)?, extent(cx, k, 2)?);
        let mut rows = count_up(cx, queries)?;
        if let Some(before) = before {
            let offset = extent(cx, before, 2)?;
            rows = cx.binary("add", rows, offset)?;
        }
        let (rows, columns) = (cx.unsqueeze(rows, &[1])?, count_up(cx, keys)?);
        let mut visible = cx.binary("less_equal", columns, rows)?;
        if cx.static_dim(q, 2).is_none() {
            // One query sees all keys.
            let one = cx.with_number("equal", queries, 1.0)?;
            visible = cx.binary("or", visible, one)?;
        }
        let hidden = cx.number_like(scores, f64::NEG_INFINITY)?;
        scores = cx.select(visible, scores, hidden)?;
    }
    let weights = cx.emit("softmax", attrs([("axis", 3.into())]), &[scores])?;
    let result = mixed(cx, weights, v)?;
    Ok(Attended { result: joined(cx, result)?, scores })
}

/// What a mask of integers adds to scores: it is of keys, of queries and keys, or the ends of rows and perhaps their
/// beginnings. One that says nothing adds nothing.
fn padding(cx: &mut NodeCx<'_, '_>, mask: Value, q: Value, k: Value) -> Result<Option<Value>, Diagnostic> {
    let shown = match cx.rank(mask)? {
        1 => {
            let keys = extent(cx, k, 2)?;
            let columns = count_up(cx, keys)?;
            let mask = cx.as_i64(mask)?;
            let batch = cx.dims(q).map(|it| it[0]);
            let rows = match (cx.static_dim(mask, 0), cx.static_dim(q, 0)) {
                _ if batch.is_some() && batch == cx.dims(mask).map(|it| it[0]) => 1,
                (Some(ends), Some(batch)) if ends == 2 * batch => 2,
                _ => return Err(not_supported("a mask whose length is neither the batch nor twice that")),
            };
            let ends = if rows == 1 { mask } else { half(cx, mask, 0)? };
            let ends = cx.unsqueeze(ends, &[1])?;
            let mut shown = cx.binary("less", columns, ends)?;
            if rows == 2 {
                let starts = half(cx, mask, 1)?;
                let starts = cx.unsqueeze(starts, &[1])?;
                let begun = cx.binary("less_equal", starts, columns)?;
                shown = cx.binary("and", shown, begun)?;
            }
            cx.unsqueeze(shown, &[1, 2])?
        }
        rank @ (2 | 3) => {
            if rank == 2 && cx.static_dim(mask, 1) == Some(1) && cx.static_dim(k, 2) != Some(1) {
                return Ok(None);
            }
            let shown = cx.with_number("greater", mask, 0.0)?;
            cx.unsqueeze(shown, if rank == 2 { &[1, 2] } else { &[1] })?
        }
        rank => return Err(not_supported(format!("a mask of {rank} dimensions"))),
    };
    let hidden = cx.float("mask_filter_value").unwrap_or(-10000.0);
    let (zero, hidden) = (cx.number_like(q, 0.0)?, cx.number_like(q, hidden)?);
    cx.select(shown, zero, hidden).map(Some)
}

/// The first or the second half of a vector of known length.
fn half(cx: &mut NodeCx<'_, '_>, x: Value, which: i64) -> Single {
    let size = cx.static_dim(x, 0).unwrap_or(0) / 2;
    cx.slice(x, 0, which * size, (which + 1) * size)
}

/// Operands: rows of all sequences one after the other, weights, bias, places of rows in padded sequences, and where
/// sequences begin. A row sees those of its sequence.
fn packed_attention(cx: &mut NodeCx<'_, '_>) -> Converted {
    let x = cx.input(0)?;
    let all = cx.binary("matmul", x, cx.input(1)?)?;
    let all = cx.binary("add", all, cx.input(2)?)?;
    let all = cx.unsqueeze(all, &[0])?;
    let [q, k, v] = parts(cx, all)?;
    // Which sequence each row is of: how many end before it.
    let ends = cx.as_i64(cx.input(4)?)?;
    let ends = cx.slice(ends, 0, 1, i64::MAX)?;
    let ends = cx.unsqueeze(ends, &[1])?;
    let count = extent(cx, q, 2)?;
    let rows = count_up(cx, count)?;
    let ended = cx.binary("less_equal", ends, rows)?;
    let ended = cx.cast(ended, DType::I64)?;
    let sequence = cx.reduce("reduce_sum", ended, &[0], false)?;
    let other = cx.unsqueeze(sequence, &[1])?;
    let same = cx.binary("equal", sequence, other)?;
    let scale = scale_of(cx, q)?;
    let q = cx.affine(q, scale, 0.0)?;
    let scores = scores(cx, q, k)?;
    let hidden = cx.number_like(scores, f64::NEG_INFINITY)?;
    let scores = cx.select(same, scores, hidden)?;
    let weights = cx.emit("softmax", attrs([("axis", 3.into())]), &[scores])?;
    let result = mixed(cx, weights, v)?;
    let result = joined(cx, result)?;
    Ok(vec![cx.squeeze(result, &[0])?])
}

/// Operands: queries (or all three), keys, values, a cache of both, the last position of each sequence, how long the longest
/// is, and, all optional, cosines, sines, positions, what is added to scores, a sink for each head, and weights of norms.
///
/// A cache has room for all positions or grows to it. New keys stand behind those that are there: at the beginning of a
/// sequence that is whole, else such that its last one is at its last position.
fn group_query_attention(cx: &mut NodeCx<'_, '_>) -> Converted {
    let [count, shared] = ["num_heads", "kv_num_heads"].map(|it| cx.int(it).unwrap_or(1));
    let [mut q, mut k, v] = match (cx.optional(1), cx.optional(2)) {
        (Some(k), Some(v)) => [heads(cx, cx.input(0)?, count)?, heads(cx, k, shared)?, heads(cx, v, shared)?],
        _ => {
            let all = heads(cx, cx.input(0)?, count + 2 * shared)?;
            let ends = [0, count, count + shared, count + 2 * shared];
            let part = |cx: &mut NodeCx<'_, '_>, i: usize| cx.slice(all, 1, ends[i], ends[i + 1]);
            [part(cx, 0)?, part(cx, 1)?, part(cx, 2)?]
        }
    };
    if let (Some(of_queries), Some(of_keys)) = (cx.optional(14), cx.optional(15)) {
        let both = cx.float("qk_norm_epsilon").unwrap_or(f64::from(1e-6_f32));
        let [first, second] = ["q_norm_epsilon", "k_norm_epsilon"].map(|it| cx.float(it).unwrap_or(both));
        q = rms_norm_of(cx, q, of_queries, first)?.0;
        k = rms_norm_of(cx, k, of_keys, second)?.0;
    }
    let length = extent(cx, q, 2)?;
    let total = scalar(cx, cx.input(6)?)?;
    let before = before(cx, length, total)?;
    let places = count_up(cx, length)?;
    let column = cx.unsqueeze(before, &[1])?;
    let places = cx.binary("add", column, places)?;
    if cx.flag("do_rotary") {
        let positions = cx.optional(9).unwrap_or(places);
        let half = cx.static_dim(cx.input(7)?, 1);
        let half = half.ok_or_else(|| not_supported("a table whose width is dynamic"))?;
        let tables = [looked_up(cx, cx.input(7)?, positions)?, looked_up(cx, cx.input(8)?, positions)?];
        let interleaved = cx.flag("rotary_interleaved");
        q = rotate(cx, q, tables, 2 * half, interleaved)?;
        k = rotate(cx, k, tables, 2 * half, interleaved)?;
    }
    let (keys, values) = (cached(cx, 3, k, total, places)?, cached(cx, 4, v, total, places)?);
    let scale = scale_of(cx, q)?;
    let scaled = cx.affine(q, scale, 0.0)?;
    let scores = scores(cx, scaled, keys)?;
    let mut scores = capped(cx, scores, cx.float("softcap").unwrap_or(0.0))?;
    if let Some(bias) = cx.optional(10) {
        let bias = as_wide(cx, bias, keys)?;
        scores = cx.binary("add", scores, bias)?;
    }
    let size = extent(cx, keys, 2)?;
    let columns = count_up(cx, size)?;
    let rows = cx.unsqueeze(places, &[1, 3])?;
    let mut visible = match cx.int("causal") {
        Some(0) => {
            let end = cx.binary("add", before, length)?;
            let end = cx.unsqueeze(end, &[1, 2, 3])?;
            cx.binary("less", columns, end)?
        }
        _ => cx.binary("less_equal", columns, rows)?,
    };
    if let Some(window) = cx.int("local_window_size").filter(|it| *it >= 0) {
        let first = cx.with_number("sub", rows, window as f64)?;
        let near = cx.binary("less", first, columns)?;
        visible = cx.binary("and", visible, near)?;
    }
    let hidden = cx.number_like(scores, f64::NEG_INFINITY)?;
    let masked = cx.select(visible, scores, hidden)?;
    let weights = with_sink(cx, masked, count)?;
    let result = mixed(cx, weights, values)?;
    let matrix = match cx.int("qk_output") {
        Some(1) => {
            let nothing = cx.number_like(scores, 0.0)?;
            cx.select(visible, scores, nothing)?
        }
        _ => weights,
    };
    Ok(vec![joined(cx, result)?, keys, values, matrix])
}

/// A number that may be written as a tensor of one element.
fn scalar(cx: &mut NodeCx<'_, '_>, x: Value) -> Single {
    let x = cx.as_i64(x)?;
    let shape = cx.int_vector(&[]);
    cx.reshape(x, shape)
}

/// How many positions of each sequence come before the new ones: none where those are all.
fn before(cx: &mut NodeCx<'_, '_>, length: Value, total: Value) -> Single {
    let last = cx.as_i64(cx.input(5)?)?;
    let rows = cx.reshape_to(last, &[Size::Product(last, (0..cx.rank(last)?).collect())])?;
    let end = cx.with_number("add", rows, 1.0)?;
    let rest = cx.binary("sub", end, length)?;
    let (whole, zero) = (cx.binary("equal", length, total)?, cx.int_scalar(0));
    cx.select(whole, zero, rest)
}

/// A cache, as long as it is or as `total` asks, with new entries at their places; without one, the new entries.
fn cached(cx: &mut NodeCx<'_, '_>, i: usize, new: Value, total: Value, places: Value) -> Single {
    let Some(past) = cx.optional(i) else { return Ok(new) };
    let size = extent(cx, past, 2)?;
    let missing = cx.binary("sub", total, size)?;
    let missing = cx.with_number("max", missing, 0.0)?;
    let missing = cx.unsqueeze(missing, &[0])?;
    let (begin, end) = (cx.int_vector(&[0; 6]), cx.int_vector(&[0]));
    let pads = cx.concat(&[begin, missing, end], 0)?;
    let zero = cx.number_like(past, 0.0)?;
    let room = cx.emit("pad", attrs([("mode", "constant".into())]), &[past, pads, zero])?;
    let places = cx.unsqueeze(places, &[1, 3])?;
    let shape = cx.shape_of(new)?;
    let places = cx.emit("expand", attrs([]), &[places, shape])?;
    cx.emit("scatter_elements", attrs([("axis", 2.into())]), &[room, places, new])
}

/// What is added to scores, with zeros behind where a cache has more room.
fn as_wide(cx: &mut NodeCx<'_, '_>, bias: Value, keys: Value) -> Single {
    let (own, wanted) = (cx.dims(bias), cx.dims(keys));
    if own.zip(wanted).is_some_and(|(own, wanted)| own.get(3) == wanted.get(2)) {
        return Ok(bias);
    }
    let (own, wanted) = (cx.shape_part(bias, 3, 4)?, cx.shape_part(keys, 2, 3)?);
    let missing = cx.binary("sub", wanted, own)?;
    let begin = cx.int_vector(&[0; 7]);
    let pads = cx.concat(&[begin, missing], 0)?;
    let zero = cx.number_like(bias, 0.0)?;
    cx.emit("pad", attrs([("mode", "constant".into())]), &[bias, pads, zero])
}

/// Weights of scores, part of which goes to a score that stands for nothing: that of each head, or 0 with `smooth_softmax`.
fn with_sink(cx: &mut NodeCx<'_, '_>, scores: Value, heads: i64) -> Single {
    let axis = || attrs([("axis", 3.into())]);
    let sink = match cx.optional(11) {
        Some(sink) => {
            cx.reshape_to(sink, &[Size::Const(1), Size::Const(heads), Size::Const(1), Size::Const(1)])?
        }
        None if cx.int("smooth_softmax") == Some(1) => cx.number_like(scores, 0.0)?,
        None => return cx.emit("softmax", axis(), &[scores]),
    };
    let sizes = [Size::Of(scores, 0), Size::Of(scores, 1), Size::Of(scores, 2), Size::Const(1)];
    let shape = cx.shape_vector(&sizes)?;
    let column = cx.emit("expand", attrs([]), &[sink, shape])?;
    let all = cx.concat(&[scores, column], 3)?;
    let weights = cx.emit("softmax", axis(), &[all])?;
    cx.slice(weights, 3, 0, -1)
}
