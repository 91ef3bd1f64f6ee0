//! Products of floats with weights that the model has in a narrower type: they stay as they are, and products convert them.
//! Written once for both graph IRs.
//!
//! Where weights are only converted, every bit is kept. Where they are scaled, the scale becomes a factor of each sum,
//! which reassociates.

use super::constants::{centred, is_constant};
use super::quantized::{Quantized, cast, dtype_of, extents, result_type};
use super::rewrite::{OpCall, Rewriter, Rule, Value};
use orogen_ir::types::{Attrs, DType};

/// The rules, in the order they are tried.
pub const RULES: &[Rule] = &[
    Rule { name: "multiply-narrow-weights", root: "matmul", apply: multiply },
    Rule { name: "convolve-narrow-weights", root: "conv", apply: convolve },
    Rule { name: "widen-after-transpose", root: "transpose", apply: widen_after },
    Rule { name: "widen-after-reshape", root: "reshape", apply: widen_after },
    Rule { name: "widen-after-squeeze", root: "squeeze", apply: widen_after },
    Rule { name: "widen-after-unsqueeze", root: "unsqueeze", apply: widen_after },
];

/// Weights in a narrower type than the product.
#[derive(Clone, Copy)]
struct Narrow {
    weights: Value,
    /// As those of [`Quantized`].
    zero: Option<Value>,
    scale: Option<Value>,
}

impl Narrow {
    /// Whether there is no scale or zero point, or scalars.
    fn is_uniform(&self, rewriter: &mut dyn Rewriter) -> bool {
        let mut parameters = self.scale.into_iter().chain(self.zero);
        parameters.all(|it| extents(rewriter, it).is_some_and(|it| it.is_empty()))
    }
}

/// Constant weights of a product of type `to`; scale and zero point are the same along what is `summed`.
fn narrow(
    rewriter: &mut dyn Rewriter,
    value: Value,
    to: DType,
    summed: impl Fn(usize, usize) -> bool,
) -> Option<Narrow> {
    if let Some(widened) = rewriter.definition_by(value, "cast") {
        let weights = widened.args[0];
        let from = dtype_of(rewriter, weights)?;
        let exact = match from {
            DType::I8 | DType::U8 => true,
            DType::I16 | DType::U16 | DType::F16 | DType::BF16 => to == DType::F32,
            _ => false,
        };
        let found = Narrow { weights, zero: None, scale: None };
        return (exact && is_constant(rewriter, weights)).then_some(found);
    }
    let found = Quantized::of(rewriter, value)?;
    let fits = matches!(found.dtype, DType::I8 | DType::U8 | DType::I16 | DType::U16);
    let rank = found.rank;
    if !fits || !is_constant(rewriter, found.integers) {
        return None;
    }
    if !found.is_same_along(rewriter, |axis| summed(axis, rank)) {
        return None;
    }
    let (weights, zero) = match found.zero.and_then(|zero| centred(rewriter, found.integers, zero)) {
        Some(weights) => (weights, None),
        None => (found.integers, found.zero),
    };
    Some(Narrow { weights, zero, scale: Some(found.scale) })
}

/// `sums · scale + bias` of a type.
fn finished(
    rewriter: &mut dyn Rewriter,
    mut value: Value,
    scale: Option<Value>,
    bias: Option<Value>,
    to: DType,
) -> Option<Value> {
    for (op, operand) in [("mul", scale), ("add", bias)] {
        let Some(operand) = operand else { continue };
        let operand = cast(rewriter, operand, DType::F32)?;
        value = rewriter.emit(op, Attrs::none(), &[value, operand])?;
    }
    cast(rewriter, value, to)
}

/// `matmul(a, (w − zero) · scale) = matmul_mixed(a, w, zero) · scale`, and the same for weights on the left.
fn multiply(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let to = result_type(rewriter, call.args[0])?;
    let [a, b] = [call.args[0], call.args[1]];
    let vector = extents(rewriter, a)?.len().min(extents(rewriter, b)?.len()) < 2;
    let (found, mut args) = match narrow(rewriter, b, to, |axis, rank| axis == rank.saturating_sub(2)) {
        Some(found) => (found, vec![a, found.weights]),
        None => {
            let found = narrow(rewriter, a, to, |axis, rank| axis + 1 == rank)?;
            (found, vec![found.weights, b])
        }
    };
    // What is one for each row or column has a dimension of 1 that a product with a vector does not have.
    if vector && !found.is_uniform(rewriter) {
        return None;
    }
    args.extend(found.zero);
    let product = rewriter.emit("matmul_mixed", Attrs::none(), &args)?;
    finished(rewriter, product, found.scale, None, to)
}

/// `conv(x, (w − zero) · scale, bias) = conv_mixed(x, w, zero) · scale + bias`.
fn convolve(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let to = result_type(rewriter, call.args[0])?;
    let found = narrow(rewriter, call.args[1], to, |axis, _| axis > 0)?;
    let rank = extents(rewriter, found.weights)?.len();
    // One for each channel: the channels of weights come first, those of the result second.
    let scale = match found.scale {
        Some(scale) if extents(rewriter, scale)?.len() == rank => {
            Some(rewriter.emit("squeeze", Attrs::none().with("axes", vec![1]), &[scale])?)
        }
        scale => scale,
    };
    let bias = match call.args.get(2) {
        Some(bias) => {
            let trailing: Vec<i64> = (1..rank as i64 - 1).collect();
            Some(rewriter.emit("unsqueeze", Attrs::none().with("axes", trailing), &[*bias])?)
        }
        None => None,
    };
    let args: Vec<Value> = [call.args[0], found.weights].into_iter().chain(found.zero).collect();
    let product = rewriter.emit("conv_mixed", call.attrs.clone(), &args)?;
    finished(rewriter, product, scale, bias, to)
}

/// `f(cast(w)) = cast(f(w))` for constant weights and `f` that only moves them, where the cast is to a wider type.
fn widen_after(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let widened = rewriter.definition_by(call.args[0], "cast")?;
    let (from, to) = (dtype_of(rewriter, widened.args[0])?, widened.attrs.dtype("to")?);
    if from.size() >= to.size() || !is_constant(rewriter, widened.args[0]) {
        return None;
    }
    let name = rewriter.ops().def(call.op).name;
    let args: Vec<Value> = [widened.args[0]].into_iter().chain(call.args[1..].iter().copied()).collect();
    let moved = rewriter.emit(name, call.attrs.clone(), &args)?;
    cast(rewriter, moved, to)
}
