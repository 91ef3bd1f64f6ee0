//! Mixtures of experts of `com.microsoft`: `MoE`, and `QMoE` with weights that are integers of some bits.
//!
//! Every expert is computed for every token, and those that a token does not choose are multiplied by 0: the time is that
//! of all experts, whatever `k` is.

use super::bits::{Bits, bits_of};
use super::elementwise::{Curve, gelu_of};
use super::index::{count_up, extent};
use super::quant::in_blocks;
use super::single;
use crate::emit::{Size, attrs};
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;

type Single = Result<Value, Diagnostic>;

const DOMAIN: &str = "com.microsoft";

pub(super) fn register(table: &mut OpTable) {
    table.register_checked(
        DOMAIN,
        "MoE",
        ..,
        check,
        single(|cx| mixture(cx, [[2, 3], [4, 5], [6, 7]], &plain)),
    );
    table.register_checked(
        DOMAIN,
        "QMoE",
        ..,
        check_integers,
        single(|cx| mixture(cx, [[2, 4], [5, 7], [8, 10]], &of_integers)),
    );
}

fn check(node: &Node<'_>) -> Result<(), String> {
    if node.flag("use_sparse_mixer") || node.flag("swiglu_limit_after_activation") {
        return Err("`use_sparse_mixer` and `swiglu_limit_after_activation` are not supported".into());
    }
    if node.int("k").unwrap_or(1) < 1 {
        return Err("its `k` is below 1".into());
    }
    let third = if node.op_type() == "MoE" { 6 } else { 8 };
    match (node.text("activation_type").unwrap_or("relu"), node.int("swiglu_fusion").unwrap_or(0)) {
        ("swiglu", 0) if !node.has_input(third) => Err("it has no third weights for its gates".into()),
        ("swiglu", 0..=2) => Ok(()),
        ("relu" | "gelu" | "silu" | "identity", _) if node.has_input(third) => {
            Err("third weights beside an activation without gates are not supported".into())
        }
        ("relu" | "gelu" | "silu" | "identity", _) => Ok(()),
        ("swiglu", fusion) => Err(format!("`swiglu_fusion` {fusion} is not known")),
        (other, _) => Err(format!("activation `{other}` is not known")),
    }
}

fn check_integers(node: &Node<'_>) -> Result<(), String> {
    check(node)?;
    if node.text("quant_type").is_some_and(|it| it != "int") {
        return Err("weights that are no integers (`quant_type`) are not supported".into());
    }
    if (11..=20).any(|i| node.has_input(i)) {
        return Err("zero points, weights of the router and scales of activations are not supported".into());
    }
    let bits = node.int("expert_weight_bits").unwrap_or(4);
    if Bits::of(bits).is_none() {
        return Err("its `expert_weight_bits` are not supported".into());
    }
    let own = |name: &&str| node.int(name).is_some_and(|it| it > 0 && it != bits);
    match ["fc1_expert_weight_bits", "fc2_expert_weight_bits", "fc3_expert_weight_bits"]
        .iter()
        .find(|it| own(it))
    {
        Some(name) => Err(format!("`{name}` other than `expert_weight_bits` is not supported")),
        None => Ok(()),
    }
}

/// Weights `[experts, rows, columns]` as numbers: operand `i`, and what belongs to it.
type Weights = dyn Fn(&mut NodeCx<'_, '_>, usize) -> Single;

fn plain(cx: &mut NodeCx<'_, '_>, i: usize) -> Single {
    cx.input(i)
}

/// Constant bytes less the middle of their range, with a scale for each row, or for each block of one.
fn of_integers(cx: &mut NodeCx<'_, '_>, i: usize) -> Single {
    let (packed, scale) = (cx.input(i)?, cx.input(i + 1)?);
    let bits = bits_of(cx, "expert_weight_bits")?;
    let mut dims = match cx.static_dims(packed) {
        Some(dims) if dims.len() == 3 => dims,
        _ => return Err(bad("its weights must have 3 dimensions, which are known")),
    };
    dims[2] = dims[2]
        .checked_mul(bits.in_a_byte())
        .ok_or_else(|| bad("its weights are larger than the address space"))?;
    let data = bits.integers(cx, packed, &dims, true)?;
    let integers = cx.constant(data);
    let scale = if cx.rank(scale)? == 2 { cx.unsqueeze(scale, &[2])? } else { scale };
    match cx.int("block_size").unwrap_or(0) {
        0 => cx.emit("dequantize", attrs([]), &[integers, scale]),
        block if block > 0 => in_blocks(cx, integers, scale, None, 2, block),
        block => Err(bad(format!("its `block_size` is {block}"))),
    }
}

/// Operands: tokens `[…, width]`, scores of the experts for each, and two or three layers of each expert: the places of
/// their weights and biases.
fn mixture(cx: &mut NodeCx<'_, '_>, layers: [[usize; 2]; 3], weights: &Weights) -> Single {
    let (given, scores) = (cx.input(0)?, cx.input(1)?);
    let rank = cx.rank(given)?;
    if !(2..=3).contains(&rank) || cx.rank(scores)? != 2 {
        return Err(bad("its tokens must have 2 or 3 dimensions, and the scores of its experts 2"));
    }
    let width = Size::Of(given, rank - 1);
    let x = cx.reshape_to(given, &[Size::Product(given, (0..rank - 1).collect()), width])?;
    let shares = shares(cx, scores)?;
    let dtype = cx.dtype(x)?;
    // For each expert all tokens.
    let layer = |cx: &mut NodeCx<'_, '_>, x: Value, [w, bias]: [usize; 2]| -> Single {
        let w = weights(cx, w)?;
        if cx.rank(w)? != 3 {
            return Err(bad("the weights of its experts must have 3 dimensions"));
        }
        let w = cx.cast(w, dtype)?;
        let w = cx.transpose(w, &[0, 2, 1])?;
        let y = cx.binary("matmul", x, w)?;
        let Some(bias) = cx.optional(bias) else { return Ok(y) };
        let bias = cx.unsqueeze(bias, &[1])?;
        cx.binary("add", y, bias)
    };
    let tokens = cx.unsqueeze(x, &[0])?;
    let inner = layer(cx, tokens, layers[0])?;
    let inner = match cx.text("activation_type").unwrap_or("relu") {
        "relu" => cx.unary("relu", inner)?,
        "gelu" => gelu_of(cx, inner, Curve::Tanh)?,
        "silu" => {
            let gate = cx.unary("sigmoid", inner)?;
            cx.binary("mul", inner, gate)?
        }
        "identity" => inner,
        _ => {
            let last = cx.static_dim(inner, 2);
            let half = last.filter(|it| it % 2 == 0).map(|it| it / 2);
            let half = || half.ok_or_else(|| not_supported("the width of its experts is odd or not known"));
            let (gate, linear) = match cx.int("swiglu_fusion").unwrap_or(0) {
                0 => (inner, layer(cx, tokens, layers[2])?),
                1 => {
                    let sizes =
                        [Size::Of(inner, 0), Size::Of(inner, 1), Size::Const(half()?), Size::Const(2)];
                    let pairs = cx.reshape_to(inner, &sizes)?;
                    let part = |cx: &mut NodeCx<'_, '_>, i: i64| {
                        let part = cx.slice(pairs, 3, i, i + 1)?;
                        cx.squeeze(part, &[3])
                    };
                    (part(cx, 0)?, part(cx, 1)?)
                }
                _ => (cx.slice(inner, 2, 0, half()?)?, cx.slice(inner, 2, half()?, i64::MAX)?),
            };
            gated(cx, gate, linear)?
        }
    };
    let outer = layer(cx, inner, layers[1])?;
    let shares = cx.cast(shares, dtype)?;
    let weighted = cx.binary("mul", outer, shares)?;
    let sum = cx.reduce("reduce_sum", weighted, &[0], false)?;
    let shape = cx.shape_of(given)?;
    cx.reshape(sum, shape)
}

/// What each expert has of the result for each token, `[experts, tokens, 1]`: the softmax of its scores where it is among
/// the `k` best, in parts of the sum of those if the node says so.
fn shares(cx: &mut NodeCx<'_, '_>, scores: Value) -> Single {
    let k = cx.int("k").unwrap_or(1);
    if cx.static_dim(scores, 1).is_some_and(|it| it < k) {
        return Err(bad(format!("its `k` is {k}, more than there are experts")));
    }
    let all = cx.emit("softmax", attrs([("axis", 1.into())]), &[scores])?;
    let wanted = cx.int_vector(&[k]);
    let best = cx.emit_all("top_k", attrs([("axis", 1.into())]), &[scores, wanted])?[1];
    let best = cx.unsqueeze(best, &[1])?;
    let count = extent(cx, scores, 1)?;
    let numbers = count_up(cx, count)?;
    let numbers = cx.unsqueeze(numbers, &[1])?;
    let hits = cx.binary("equal", best, numbers)?;
    let hits = cx.cast(hits, cx.dtype(scores)?)?;
    let chosen = cx.reduce("reduce_max", hits, &[2], false)?;
    let mut shares = cx.binary("mul", all, chosen)?;
    if cx.flag("normalize_routing_weights") {
        let sum = cx.reduce("reduce_sum", shares, &[1], true)?;
        shares = cx.binary("div", shares, sum)?;
    }
    let shares = cx.transpose(shares, &[1, 0])?;
    cx.unsqueeze(shares, &[2])
}

/// `g · σ(α · g) · (l + β)` of a gate and a linear part that are limited.
fn gated(cx: &mut NodeCx<'_, '_>, gate: Value, linear: Value) -> Single {
    let (mut gate, mut linear) = (gate, linear);
    if let Some(limit) = cx.float("swiglu_limit").filter(|it| it.is_finite() && *it > 0.0) {
        gate = cx.with_number("min", gate, limit)?;
        linear = cx.clamp(linear, -limit, limit)?;
    }
    let steep = cx.affine(gate, cx.float("activation_alpha").unwrap_or(1.0), 0.0)?;
    let open = cx.unary("sigmoid", steep)?;
    let gate = cx.binary("mul", gate, open)?;
    let linear = cx.affine(linear, 1.0, cx.float("activation_beta").unwrap_or(0.0))?;
    cx.binary("mul", gate, linear)
}
