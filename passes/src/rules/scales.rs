//! Where scales of weights go that products do not take as they are, written once for both graph IRs: a scale that is one
//! for each term of a sum becomes a factor of the other operand, and that of a transposed convolution one of its result.
//! What is left has one scale for all weights, which lets what moves them through, and which products take out of their
//! sums.

use super::constants::{centred, is_constant};
use super::quantized::{Quantized, dtype_of, extents, is_regular, result_type};
use super::weights::is_weight;
use crate::rewrite::{OpCall, Rewriter, Rule, RuleClass, Value};
use orogen_ir::types::{Attrs, DType, TensorData};

/// The rules, in the order they are tried.
pub const RULES: &[Rule] = &[
    Rule {
        name: "widen-after-pad",
        root: "pad",
        class: RuleClass::Bitwise,
        reason: "that the number 0 is the integer 0 asks for a scale in range",
        apply: pad,
    },
    Rule {
        name: "scale-terms-of-product",
        root: "matmul",
        class: RuleClass::Reassociates,
        reason: "whether a zero point can be taken off weights is seen in their data",
        apply: multiply,
    },
    Rule {
        name: "scale-terms-of-convolution",
        root: "conv",
        class: RuleClass::Reassociates,
        reason: "whether a zero point can be taken off weights is seen in their data",
        apply: convolve,
    },
    Rule {
        name: "scale-transposed-convolution",
        root: "conv_transpose",
        class: RuleClass::Reassociates,
        reason: "whether a zero point can be taken off weights is seen in their data",
        apply: transposed,
    },
];

/// Constant weights without a zero point, and a scale of more than one number.
struct Scaled {
    integers: Value,
    scale: Value,
    rank: usize,
    /// The dimensions that it is not the same along.
    axes: Vec<usize>,
}

impl Scaled {
    /// Of weights of a product in `f32`.
    fn of(rewriter: &mut dyn Rewriter, call: &OpCall, operand: usize) -> Option<Scaled> {
        if result_type(rewriter, call.args[1 - operand])? != DType::F32 {
            return None;
        }
        let found = Quantized::of(rewriter, call.args[operand])?;
        if !is_weight(found.dtype)
            || !is_constant(rewriter, found.integers)
            || dtype_of(rewriter, found.scale) != Some(DType::F32)
        {
            return None;
        }
        let own = extents(rewriter, found.scale)?;
        let skip = found.rank.checked_sub(own.len())?;
        let axes: Vec<usize> = (0..own.len()).filter(|it| own[*it] != Some(1)).map(|it| it + skip).collect();
        if axes.is_empty() && found.zero.is_none() {
            return None;
        }
        let integers = match found.zero {
            Some(zero) => centred(rewriter, found.integers, zero)?,
            None => found.integers,
        };
        Some(Scaled { integers, scale: found.scale, rank: found.rank, axes })
    }

    /// The weights with one scale for all.
    fn weights(&self, rewriter: &mut dyn Rewriter) -> Option<Value> {
        let scale = match self.axes.is_empty() {
            true => self.flat(rewriter, &[])?,
            false => rewriter.emit_constant(TensorData::from_f64(DType::F32, &[], [1.0])),
        };
        rewriter.emit("dequantize", Attrs::none(), &[self.integers, scale])
    }

    /// The scale in another shape of as many elements.
    fn flat(&self, rewriter: &mut dyn Rewriter, shape: &[i64]) -> Option<Value> {
        let shape = rewriter.emit_constant(TensorData::ints(shape));
        rewriter.emit("reshape", Attrs::none(), &[self.scale, shape])
    }
}

/// `pad(dequantize(w, s)) = dequantize(pad(w), s)` for constant weights, and the same for a cast.
fn pad(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    if let Some(widened) = rewriter.definition_by(call.args[0], "cast") {
        let weights = widened.args[0];
        let [from, to] = [weights, call.args[0]].map(|it| dtype_of(rewriter, it));
        if call.args.len() != 2 || from?.size() >= to?.size() || !is_constant(rewriter, weights) {
            return None;
        }
        let padded = rewriter.emit("pad", call.attrs.clone(), &[weights, call.args[1]])?;
        return rewriter.emit("cast", widened.attrs, &[padded]);
    }
    let found = Quantized::of(rewriter, call.args[0])?;
    let plain = call.args.len() == 2 && found.zero.is_none() && found.is_uniform(rewriter);
    if !plain || !is_constant(rewriter, found.integers) {
        return None;
    }
    is_regular(rewriter, found.scale)?;
    let padded = rewriter.emit("pad", call.attrs.clone(), &[found.integers, call.args[1]])?;
    rewriter.emit("dequantize", Attrs::none(), &[padded, found.scale])
}

/// `matmul(a, w · s) = matmul(a · s, w)`, where the scale has a number for each term of a sum; weights on the left likewise.
fn multiply(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    for operand in [1, 0] {
        let Some(found) = Scaled::of(rewriter, call, operand) else { continue };
        let other = call.args[1 - operand];
        let summed = if operand == 1 { found.rank.checked_sub(2)? } else { found.rank - 1 };
        if found.axes != [summed] || extents(rewriter, other)?.len() < 2 {
            continue;
        }
        let factor = found.flat(rewriter, if operand == 1 { &[-1] } else { &[-1, 1] })?;
        let mut args = [rewriter.emit("mul", Attrs::none(), &[other, factor])?; 2];
        args[operand] = found.weights(rewriter)?;
        return rewriter.emit("matmul", call.attrs.clone(), &args);
    }
    None
}

/// The same for a convolution of one group, whose scale has a number for each channel that it takes in.
fn convolve(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let found = Scaled::of(rewriter, call, 1)?;
    if found.axes != [1] || call.attrs.int("group").unwrap_or(1) != 1 {
        return None;
    }
    let trailing = vec![1; found.rank - 2];
    let factor = found.flat(rewriter, &[&[-1], &trailing[..]].concat())?;
    let mut args = call.args.clone();
    args[0] = rewriter.emit("mul", Attrs::none(), &[args[0], factor])?;
    args[1] = found.weights(rewriter)?;
    rewriter.emit("conv", call.attrs.clone(), &args)
}

/// `conv_transpose(x, w · s, bias)`, where the scale has a number for each channel that it takes in, or for each one of a
/// group that it gives.
fn transposed(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let found = Scaled::of(rewriter, call, 1)?;
    let trailing = vec![1; found.rank.checked_sub(2)?];
    let mut args = call.args.clone();
    args[1] = found.weights(rewriter)?;
    match found.axes[..] {
        [] => rewriter.emit("conv_transpose", call.attrs.clone(), &args),
        [0] => {
            let factor = found.flat(rewriter, &[&[-1], &trailing[..]].concat())?;
            args[0] = rewriter.emit("mul", Attrs::none(), &[args[0], factor])?;
            rewriter.emit("conv_transpose", call.attrs.clone(), &args)
        }
        [1] => {
            let groups = call.attrs.int("group").unwrap_or(1);
            let channels = extents(rewriter, call.args[1])?[1]?;
            let mut factor = found.flat(rewriter, &[1, channels])?;
            let all = groups.checked_mul(channels)?;
            if groups > 1 {
                let each = rewriter.emit_constant(TensorData::ints(&[groups, channels]));
                factor = rewriter.emit("expand", Attrs::none(), &[factor, each])?;
            }
            let shape = rewriter.emit_constant(TensorData::ints(&[&[all], &trailing[..]].concat()));
            let factor = rewriter.emit("reshape", Attrs::none(), &[factor, shape])?;
            let bias = (args.len() > 2).then(|| args.pop()).flatten();
            let sums = rewriter.emit("conv_transpose", call.attrs.clone(), &args)?;
            let result = rewriter.emit("mul", Attrs::none(), &[sums, factor])?;
            let Some(bias) = bias else { return Some(result) };
            let axes: Vec<i64> = (1..=trailing.len() as i64).collect();
            let bias = rewriter.emit("unsqueeze", Attrs::none().with("axes", axes), &[bias])?;
            rewriter.emit("add", Attrs::none(), &[result, bias])
        }
        _ => None,
    }
}
