//! Algebra that saves work, written once for both graph IRs.
//!
//! See [`rewrite`](super::rewrite) for what a rule is.

use super::rewrite::{OpCall, Rewriter, Rule, Value};
use super::structure::decide;
use orogen_ir::types::{Attr, Attrs, DType, TensorData};

/// The rules of the step, in the order they are tried.
pub const RULES: &[Rule] = &[
    Rule { name: "fold-batch-norm", root: "batch_norm", apply: fold_batch_norm },
    Rule { name: "absorb-padding", root: "conv", apply: absorb_padding },
    Rule { name: "expand-power", root: "pow", apply: expand_power },
    Rule { name: "split-concat", root: "concat", apply: split_concat },
    Rule { name: "decide-sequence-length", root: "sequence_length", apply: decide },
    Rule { name: "decide-sequence-at", root: "sequence_at", apply: decide },
    Rule { name: "decide-sequence-insert", root: "sequence_insert", apply: decide },
    Rule { name: "decide-sequence-erase", root: "sequence_erase", apply: decide },
    Rule { name: "decide-optional-has", root: "optional_has", apply: decide },
    Rule { name: "decide-optional-get", root: "optional_get", apply: decide },
];

/// `batch_norm(conv(x, w, b), s, t, m, v) = conv(x, w·k, (b − m)·k + t)` with `k = s / sqrt(v + ε)`, when all
/// but `x` are constants and nothing else uses the convolution. Computed in f64.
fn fold_batch_norm(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let epsilon = call.attrs.float("epsilon")?;
    let conv = rewriter.definition_by(call.args[0], "conv")?;
    if rewriter.uses(call.args[0]) != 1 {
        return None;
    }
    let weights = rewriter.constant(conv.args[1])?;
    let bias = match conv.args.get(2) {
        Some(bias) => Some(rewriter.constant(*bias)?),
        None => None,
    };
    let channel: Vec<Vec<f64>> = call.args[1..5]
        .iter()
        .map(|it| rewriter.constant(*it).map(|it| it.to_f64()))
        .collect::<Option<_>>()?;
    let channels = *weights.dims().first()? as usize;
    if weights.dtype() != DType::F32 || channels == 0 || channel.iter().any(|it| it.len() != channels) {
        return None;
    }
    let (scale, shift, mean, variance) = (&channel[0], &channel[1], &channel[2], &channel[3]);
    let factor: Vec<f64> = (0..channels).map(|c| scale[c] / (variance[c] + epsilon).sqrt()).collect();
    let per_channel = weights.len() / channels;
    let new_weights = TensorData::from_f64(
        DType::F32,
        weights.dims(),
        (0..weights.len()).map(|i| weights.get_f64(i) * factor[i / per_channel]),
    );
    let old_bias = |c: usize| bias.as_ref().map_or(0.0, |it| it.get_f64(c));
    let new_bias = TensorData::from_f64(
        DType::F32,
        &[channels as u64],
        (0..channels).map(|c| (old_bias(c) - mean[c]) * factor[c] + shift[c]),
    );
    let weights = rewriter.emit_constant(new_weights);
    let bias = rewriter.emit_constant(new_bias);
    rewriter.emit("conv", conv.attrs, &[conv.args[0], weights, bias])
}

/// `conv(pad(x), w, b)` with zeros around the spatial dimensions is a convolution of `x` with wider pads.
fn absorb_padding(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let pad = rewriter.definition_by(call.args[0], "pad")?;
    if pad.attrs.get("mode").is_some_and(|it| *it != Attr::from("constant")) {
        return None;
    }
    if let Some(fill) = pad.args.get(2) {
        let fill = rewriter.constant(*fill)?;
        if fill.len() != 1 || fill.get_f64(0) != 0.0 || fill.get_f64(0).is_sign_negative() {
            return None;
        }
    }
    let around = rewriter.constant(pad.args[1])?.to_i64();
    let rank = around.len() / 2;
    let (begins, ends) = around.split_at(rank);
    let spatial = rank.checked_sub(2)?;
    let batch_or_channel = begins[..2].iter().chain(&ends[..2]).any(|it| *it != 0);
    if batch_or_channel || around.iter().any(|it| *it < 0) {
        return None;
    }
    let old = match call.attrs.get("pads") {
        Some(Attr::Ints(pads)) => pads.to_vec(),
        Some(_) => return None,
        None => vec![0; 2 * spatial],
    };
    // Pads that cut are applied after the zeros, not beside them.
    if old.len() != 2 * spatial || old.iter().any(|it| *it < 0) {
        return None;
    }
    let added = begins[2..].iter().chain(&ends[2..]);
    let pads: Vec<i64> = old.iter().zip(added).map(|(x, y)| x.checked_add(*y)).collect::<Option<_>>()?;
    let mut operands = vec![pad.args[0]];
    operands.extend_from_slice(&call.args[1..]);
    rewriter.emit("conv", call.attrs.clone().with("pads", pads), &operands)
}

/// `pow(x, 2) = x·x` and `pow(x, 3) = x·x·x`: within one rounding of the power, and for every special value
/// the same.
fn expand_power(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let exponent = rewriter.constant(call.args[1])?;
    let base = rewriter.ty(call.args[0]);
    let base = base.as_tensor()?;
    if exponent.len() != 1 || !base.dtype.is_float() || exponent.dims().len() > base.shape.rank()? {
        return None;
    }
    let times = match exponent.get_f64(0) {
        2.0 => 1,
        3.0 => 2,
        _ => return None,
    };
    let mut product = call.args[0];
    for _ in 0..times {
        product = rewriter.emit("mul", Attrs::none(), &[product, call.args[0]])?;
    }
    Some(product)
}

/// Operands that one concatenation keeps: its kernel has a parameter and a stage for each.
const MAX_CONCAT: usize = 32;

/// A concatenation of many operands is one of concatenations, so that no kernel grows with the program.
fn split_concat(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    if call.args.len() <= MAX_CONCAT {
        return None;
    }
    let mut parts = call.args.clone();
    while parts.len() > 1 {
        let joined = parts.chunks(MAX_CONCAT).map(|chunk| match chunk {
            [one] => Some(*one),
            _ => rewriter.emit("concat", call.attrs.clone(), chunk),
        });
        parts = joined.collect::<Option<_>>()?;
    }
    parts.first().copied()
}
