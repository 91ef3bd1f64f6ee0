//! Operators of `com.microsoft` on floats: attention, convolutions, normalisation, and selection.

use super::Table;
use crate::attributes::{float, int, ints, text};
use crate::draw::{Draft, Draw, Fill, Id};
use crate::value::{Extent, Rounding};
use orogen_ir::types::{DType, TensorData};

pub(super) const RECIPES: Table = &[
    ("Attention", attention),
    ("PackedAttention", attention),
    ("MultiHeadAttention", heads),
    ("GroupQueryAttention", grouped),
    ("RotaryEmbedding", rotary),
    ("EmbedLayerNormalization", embedded),
    ("CausalConvWithState", causal),
    ("LinearAttention", linear),
    ("FusedConv", convolution),
    ("NhwcConv", convolution),
    ("NhwcFusedConv", convolution),
    ("NhwcMaxPool", pool),
    ("GroupNorm", groups),
    ("SkipGroupNorm", groups),
    ("CDist", distances),
    ("ExpandDims", expand),
    ("GatherND", gather),
    ("Pad", pad),
    ("Range", range),
    ("CropAndResize", crop),
    ("NGramRepeatBlock", repeated),
    ("MoE", experts),
];

pub(super) const DOMAIN: &str = "com.microsoft";

/// Operands of which some are left out.
pub(super) fn call(draw: &Draw<'_>, op: &str, ids: &[Option<Id>], rounding: Rounding) -> Draft {
    let names: Vec<&str> = ids.iter().map(|it| it.map_or("", |it| draw.name(it))).collect();
    Draft::new(op, &names, rounding)
}

fn of(draw: &Draw<'_>, op: &str, ids: &[Id], rounding: Rounding) -> Draft {
    let ids: Vec<Option<Id>> = ids.iter().map(|it| Some(*it)).collect();
    call(draw, op, &ids, rounding).of(DOMAIN)
}

/// A type that few operators have no kernel for.
fn float_type(draw: &mut Draw<'_>) -> DType {
    draw.pick(&[DType::F32, DType::F32, DType::F16])
}

fn weights(draw: &mut Draw<'_>, dtype: DType, dims: &[u64]) -> Id {
    draw.weight(dtype, dims, Fill::Between(-1.0, 1.0))
}

/// Batch, length, how many heads, and how large one is.
fn sizes(draw: &mut Draw<'_>) -> (Extent, Extent, u64, u64) {
    let (batch, length) = (draw.extent(), draw.extent());
    (batch, length, draw.pick(&[1, 2]), draw.pick(&[2, 4]))
}

fn attention(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let dtype = float_type(draw);
    let (batch, length, heads, each) = sizes(draw);
    let hidden = heads * each;
    let x = draw.of(dtype, &[batch, length, draw.fixed(hidden)], Fill::Small);
    let w = weights(draw, dtype, &[hidden, 3 * hidden]);
    let b = weights(draw, dtype, &[3 * hidden]);
    if op == "PackedAttention" {
        // Rows of two sequences of 2 and 1.
        let x = draw.weight(dtype, &[3, hidden], Fill::Small);
        let offset = draw.constant(TensorData::from_slice(DType::I32, &[2, 2], &[0i32, 1, 2, 3]));
        let ends = draw.constant(TensorData::from_slice(DType::I32, &[3], &[0i32, 2, 3]));
        return Some(
            of(draw, op, &[x, w, b, offset, ends], Rounding::Function)
                .with(int("num_heads", heads.cast_signed())),
        );
    }
    let causal = draw.pick(&[0, 1]);
    let draft = of(draw, op, &[x, w, b], Rounding::Function).with(int("num_heads", heads.cast_signed()));
    Some(draft.with(int("unidirectional", causal)))
}

fn heads(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let dtype = float_type(draw);
    let (batch, length, heads, each) = sizes(draw);
    let (other, hidden) = (draw.extent(), draw.fixed(heads * each));
    let q = draw.of(dtype, &[batch.clone(), length, hidden.clone()], Fill::Small);
    let [k, v] =
        [(); 2].map(|()| draw.of(dtype, &[batch.clone(), other.clone(), hidden.clone()], Fill::Small));
    let bias = draw.random.coin().then(|| weights(draw, dtype, &[3 * heads * each]));
    let draft = call(draw, op, &[Some(q), Some(k), Some(v), bias], Rounding::Function).of(DOMAIN);
    Some(draft.with(int("num_heads", heads.cast_signed())))
}

fn grouped(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let dtype = float_type(draw);
    let (batch, past, length) = (draw.pick(&[1u64, 2]), draw.pick(&[0u64, 2]), draw.pick(&[1u64, 3]));
    let (keys, share, each) = (draw.pick(&[1u64, 2]), draw.pick(&[1u64, 2]), 8u64);
    // A prompt, or one new position.
    let (past, length) = if past > 0 { (past, 1) } else { (0, length) };
    let mut fixed = |dims: &[u64]| draw.weight(dtype, dims, Fill::Between(-2.0, 2.0));
    let q = fixed(&[batch, length, keys * share * each]);
    let [k, v] = [(); 2].map(|()| fixed(&[batch, length, keys * each]));
    let [before_k, before_v] = [(); 2].map(|()| fixed(&[batch, keys, past, each]));
    let total = (past + length) as i32;
    let lengths = vec![total - 1; batch as usize];
    let lengths = draw.constant(TensorData::from_slice(DType::I32, &[batch], &lengths));
    let total = draw.constant(TensorData::from_slice(DType::I32, &[], &[total]));
    let draft = of(draw, op, &[q, k, v, before_k, before_v, lengths, total], Rounding::Function).giving(3);
    let draft = draft.with(int("num_heads", (keys * share).cast_signed()));
    Some(draft.with(int("kv_num_heads", keys.cast_signed())))
}

fn rotary(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let dtype = float_type(draw);
    let (batch, length, heads, each) = (draw.fixed(2), draw.fixed(3), draw.pick(&[1u64, 2]), 4);
    let x = draw.of(dtype, &[batch.clone(), length.clone(), draw.fixed(heads * each)], Fill::Small);
    let places = draw.fresh(DType::I64, &[batch, length], Fill::Index(6));
    let [cos, sin] = [(); 2].map(|()| weights(draw, dtype, &[6, each / 2]));
    let interleaved = draw.pick(&[0, 1]);
    let draft =
        of(draw, op, &[x, places, cos, sin], Rounding::Function).with(int("interleaved", interleaved));
    Some(if heads == 1 { draft } else { draft.with(int("num_heads", heads.cast_signed())) })
}

fn embedded(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let dims = [draw.extent(), draw.fixed(3)];
    let hidden = draw.pick(&[4u64, 6]);
    let words = draw.fresh(DType::I32, &dims, Fill::Index(5));
    let segments = draw.fresh(DType::I32, &dims, Fill::Index(2));
    let tables = [5, 8, 2].map(|rows| draw.weight(DType::F32, &[rows, hidden], Fill::Small));
    let [scale, shift] = [(); 2].map(|()| weights(draw, DType::F32, &[hidden]));
    let ids = [words, segments, tables[0], tables[1], tables[2], scale, shift];
    Some(of(draw, op, &ids, Rounding::Function).giving(2).with(float("epsilon", 0.01)))
}

fn causal(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (dtype, channels, kernel) = (float_type(draw), draw.pick(&[1u64, 3]), draw.pick(&[1u64, 2, 4]));
    let (batch, length) = (draw.extent(), draw.extent());
    let x = draw.of(dtype, &[batch.clone(), draw.fixed(channels), length], Fill::Small);
    let w = weights(draw, dtype, &[channels, 1, kernel]);
    let bias = draw.random.coin().then(|| weights(draw, dtype, &[channels]));
    let past = [batch, draw.fixed(channels), draw.fixed(kernel - 1)];
    let past = draw.random.coin().then(|| draw.of(dtype, &past, Fill::Small));
    let activation = draw.pick(&["none", "silu"]);
    let draft = call(draw, op, &[Some(x), Some(w), bias, past], Rounding::Function).giving(2);
    Some(of_both(draw, draft).with(text("activation", activation)))
}

/// The standard has it too, since version 27.
fn of_both(draw: &mut Draw<'_>, draft: Draft) -> Draft {
    if draw.opset >= 27 && draw.random.coin() { draft } else { draft.of(DOMAIN) }
}

fn linear(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (batch, length, heads, each) = sizes(draw);
    let (share, values) = (draw.pick(&[1u64, 2]), draw.pick(&[1u64, 3]));
    let mut rows = |width: u64, fill: Fill| {
        let dims = [batch.clone(), length.clone(), draw.fixed(width)];
        draw.fresh(DType::F32, &dims, fill)
    };
    let unit = Fill::Between(-1.0, 1.0);
    let q = rows(heads * share * each, unit);
    let k = rows(heads * each, unit);
    let v = rows(heads * values, unit);
    let decay = rows(heads, Fill::Between(-1.0, 0.0));
    let beta = rows(heads, Fill::Between(0.0, 1.0));
    let (rule, decay, beta) = match draw.random.below(4) {
        0 => ("linear", None, None),
        1 => ("gated", Some(decay), None),
        2 => ("delta", None, Some(beta)),
        _ => ("gated_delta", Some(decay), Some(beta)),
    };
    let mut ids = vec![Some(q), Some(k), Some(v), None, decay, beta];
    while ids.last() == Some(&None) {
        ids.pop();
    }
    let draft = call(draw, op, &ids, Rounding::Function).giving(2).with(text("update_rule", rule));
    let draft = draft.with(int("q_num_heads", (heads * share).cast_signed()));
    Some(of_both(draw, draft).with(int("kv_num_heads", heads.cast_signed())))
}

fn convolution(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let last = op != "FusedConv";
    let dtype = if op == "NhwcFusedConv" { DType::F16 } else { DType::F32 };
    let (batch, channels, out) = (draw.extent(), draw.pick(&[1u64, 2, 3]), draw.pick(&[1u64, 2, 5]));
    let (height, width) = (draw.pick(&[3u64, 5]), draw.pick(&[2u64, 7]));
    let (kernel, pad) = (draw.pick(&[1u64, 2]), draw.pick(&[0i64, 1]));
    let [height, width, channels_of_x] = [height, width, channels].map(|it| draw.fixed(it));
    let dims = match last {
        true => [batch, height, width, channels_of_x],
        false => [batch, channels_of_x, height, width],
    };
    let x = draw.of(dtype, &dims, Fill::Small);
    let w = match last && op == "NhwcConv" {
        true => weights(draw, dtype, &[out, kernel, kernel, channels]),
        false => weights(draw, dtype, &[out, channels, kernel, kernel]),
    };
    let bias = draw.random.coin().then(|| weights(draw, dtype, &[out]));
    let draft = call(draw, op, &[Some(x), Some(w), bias], Rounding::Function).of(DOMAIN);
    let draft = draft.with(ints("pads", &[pad; 4])).with(ints("kernel_shape", &[kernel.cast_signed(); 2]));
    let activation = draw.pick(&["Relu", "Tanh", "Sigmoid"]);
    Some(if op == "NhwcConv" { draft } else { draft.with(text("activation", activation)) })
}

fn pool(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let dtype = draw.pick(&[DType::U8, DType::I8]);
    let dims = [draw.extent(), draw.fixed(4), draw.fixed(5), draw.extent()];
    let x = draw.of(dtype, &dims, Fill::Small);
    let (kernel, stride) = (draw.pick(&[1, 2, 3]), draw.pick(&[1, 2]));
    let draft = of(draw, op, &[x], Rounding::Exact).with(ints("kernel_shape", &[kernel, 2]));
    Some(draft.with(ints("strides", &[stride, 1])))
}

fn groups(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let dtype = float_type(draw);
    let (groups, each) = (draw.pick(&[1u64, 2]), draw.pick(&[1u64, 3]));
    let dims = [draw.extent(), draw.fixed(2), draw.fixed(3), draw.fixed(groups * each)];
    let x = draw.of(dtype, &dims, Fill::Small);
    let [scale, shift] = [(); 2].map(|()| weights(draw, DType::F32, &[groups * each]));
    let mut ids = vec![x, scale, shift];
    if op == "SkipGroupNorm" {
        ids.push(draw.of(dtype, &dims, Fill::Small));
    }
    let activation = draw.pick(&[0, 1]);
    let draft = of(draw, op, &ids, Rounding::Function).with(int("activation", activation));
    Some(draft.with(int("groups", groups.cast_signed())).with(float("epsilon", 0.01)))
}

fn distances(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let dtype = draw.pick(&[DType::F32, DType::F64]);
    let (m, n, k) = (draw.extent(), draw.extent(), draw.extent());
    let a = draw.of(dtype, &[m, k.clone()], Fill::Small);
    let b = draw.of(dtype, &[n, k], Fill::Small);
    let metric = draw.pick(&["euclidean", "sqeuclidean"]);
    Some(of(draw, op, &[a, b], Rounding::Function).with(text("metric", metric)))
}

fn expand(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.numbers(0..=4);
    let rank = draw.values[x].rank() as i32;
    let axis = draw.random.below(2 * rank as usize + 2) as i32 - rank - 1;
    let axis = draw.constant(TensorData::from_slice(DType::I32, &[], &[axis]));
    Some(of(draw, op, &[x, axis], Rounding::Exact))
}

fn gather(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.numbers(2..=3);
    let least = draw.dims_of(x).iter().take(2).flatten().copied().min()?;
    if least == 0 {
        return None;
    }
    let (rows, depth) = (draw.extent(), draw.pick(&[1u64, 2]));
    let dims = [rows, draw.fixed(depth)];
    let at = draw.fresh(DType::I64, &dims, Fill::Index(least));
    Some(of(draw, op, &[x, at], Rounding::Exact))
}

fn pad(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(1..=3);
    let (dtype, rank) = (draw.dtype_of(x), draw.values[x].rank());
    let pads: Vec<i64> = (0..2 * rank).map(|_| draw.pick(&[0, 1, 2])).collect();
    let pads = draw.constant(TensorData::ints(&pads));
    let value = draw.constant(TensorData::from_f64(dtype, &[1], [0.5]));
    Some(of(draw, op, &[x, pads, value], Rounding::Exact))
}

fn range(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let dtype = draw.pick(&[DType::F32, DType::I32, DType::I64]);
    let [start, limit, step] = [draw.pick(&[0.0, -2.0]), draw.pick(&[3.0, 7.0]), draw.pick(&[1.0, 2.0])]
        .map(|it| draw.constant(TensorData::from_f64(dtype, &[], [it])));
    Some(of(draw, op, &[start, limit, step], Rounding::Exact))
}

fn crop(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let images = draw.pick(&[1u64, 2]);
    let dims = [draw.fixed(images), draw.extent(), draw.fixed(4), draw.fixed(6)];
    let x = draw.of(DType::F32, &dims, Fill::Small);
    let regions = TensorData::from_f64(DType::F32, &[2, 4], [0.0, 0.125, 0.75, 1.0, 0.25, 0.0, 1.0, 0.5]);
    let regions = draw.constant(regions);
    let owners = draw.weight(DType::I32, &[2], Fill::Index(images));
    let size = draw.constant(TensorData::from_slice(DType::I32, &[2], &[3i32, 2]));
    let mode = draw.pick(&["bilinear", "nearest"]);
    Some(of(draw, op, &[x, regions, owners, size], Rounding::Function).with(text("mode", mode)))
}

fn repeated(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (batch, length) = (draw.extent(), draw.extent());
    let ids = draw.fresh(DType::I64, &[batch.clone(), length], Fill::Index(3));
    let scores = draw.fresh(DType::F32, &[batch, draw.fixed(4)], Fill::Small);
    let n = draw.pick(&[1, 2, 3]);
    Some(of(draw, op, &[ids, scores], Rounding::Exact).with(int("ngram_size", n)))
}

fn experts(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (rows, hidden, inner, count) = (draw.extent(), 4, draw.pick(&[3u64, 4]), draw.pick(&[2u64, 3]));
    let x = draw.fresh(DType::F32, &[rows.clone(), draw.fixed(hidden)], Fill::Small);
    let router = draw.fresh(DType::F32, &[rows, draw.fixed(count)], Fill::Small);
    let first = weights(draw, DType::F32, &[count, inner, hidden]);
    let second = weights(draw, DType::F32, &[count, hidden, inner]);
    let (k, activation) = (draw.pick(&[1, 2]), draw.pick(&["relu", "silu", "gelu"]));
    let ids = [Some(x), Some(router), Some(first), None, Some(second)];
    let draft = call(draw, op, &ids, Rounding::Function).of(DOMAIN).with(int("k", k));
    Some(draft.with(text("activation_type", activation)))
}
