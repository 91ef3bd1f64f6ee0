//! Products of floats with weights that the model has in a narrower type: they stay as they are, and products convert them.
//! Written once for both graph IRs.
//!
//! Where weights are only converted, every bit is kept. Where they are scaled, the scale becomes a factor of each sum,
//! which reassociates.

use super::constants::{centred, is_constant};
use super::quantized::{Quantized, cast, dtype_of, extents, is_each, result_type};
use crate::rewrite::{OpCall, Rewriter, Rule, RuleClass, Value};
use orogen_ir::types::{Attrs, DType, TensorData};

/// The rules, in the order they are tried.
pub const RULES: &[Rule] = &[
    Rule {
        name: "multiply-blocks",
        root: "matmul",
        class: RuleClass::Reassociates,
        reason: "a last block that is shorter is a product of its own",
        apply: multiply_blocks,
    },
    Rule {
        name: "multiply-narrow-weights",
        root: "matmul",
        class: RuleClass::Reassociates,
        reason: "whether a zero point can be taken off weights is seen in their data",
        apply: multiply,
    },
    Rule {
        name: "convolve-narrow-weights",
        root: "conv",
        class: RuleClass::Reassociates,
        reason: "whether a zero point can be taken off weights is seen in their data",
        apply: convolve,
    },
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

/// Whether elements of a type are numbers in bytes that the narrowest floats of products hold.
fn is_narrow(dtype: DType) -> bool {
    dtype.bits() == 8 && (dtype.is_int() || dtype.is_float()) && dtype.is_in(DType::F16)
}

/// Whether `f32` holds what elements of a type are, and their product with a scale is rounded once.
pub(super) fn is_weight(dtype: DType) -> bool {
    is_narrow(dtype) || dtype.is_int_of(&[16])
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
        let exact = is_narrow(from) || from.bits() == 16 && to == DType::F32;
        let found = Narrow { weights, zero: None, scale: None };
        return (exact && is_constant(rewriter, weights)).then_some(found);
    }
    let found = Quantized::of(rewriter, value)?;
    let rank = found.rank;
    if !is_weight(found.dtype) || !is_constant(rewriter, found.integers) {
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

/// Weights and their zero point in bytes, where products do not read them as they are: so many to a byte.
fn in_bytes(rewriter: &mut dyn Rewriter, found: Narrow) -> Option<Narrow> {
    let bytes = |rewriter: &mut dyn Rewriter, value: Value| match dtype_of(rewriter, value)? {
        dtype if dtype.in_a_byte() == 1 => Some(value),
        dtype if dtype.is_float() => cast(rewriter, value, DType::F8E4M3FN),
        dtype => cast(rewriter, value, dtype.compute()),
    };
    let weights = bytes(rewriter, found.weights)?;
    let zero = match found.zero {
        Some(zero) => Some(bytes(rewriter, zero)?),
        None => None,
    };
    Some(Narrow { weights, zero, ..found })
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

/// `matmul(a, dequantize_blocks(w)) = matmul_blocks(a, w)` for constant weights that are scaled in blocks along the sum. A last
/// block that is shorter is a product of its own, with one scale for each column.
fn multiply_blocks(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let to = result_type(rewriter, call.args[0])?;
    let found = rewriter.definition_by(call.args[1], "dequantize_blocks")?;
    let (axis, block) = (found.attrs.int("axis")?, found.attrs.int("block")?);
    let dtype = dtype_of(rewriter, found.args[0])?;
    let [Some(depth), Some(_)] = extents(rewriter, found.args[0])?[..] else { return None };
    let constant = found.args.iter().all(|it| is_constant(rewriter, *it));
    let whole = depth / block;
    if !is_weight(dtype) || !constant || axis != 0 || whole == 0 || depth == block {
        return None;
    }
    let a = call.args[0];
    let attrs = Attrs::none().with("block", block);
    if whole * block == depth {
        let args: Vec<Value> = [a].into_iter().chain(found.args).collect();
        let product = rewriter.emit("matmul_blocks", attrs, &args)?;
        return cast(rewriter, product, to);
    }
    let mut part = |from: [i64; 2], blocks: [i64; 2]| -> Option<Value> {
        let mut args = vec![sliced(rewriter, a, -1, from)?, sliced(rewriter, found.args[0], 0, from)?];
        for parameter in &found.args[1..] {
            args.push(sliced(rewriter, *parameter, 0, blocks)?);
        }
        let zero = args.get(3).copied();
        let same = zero.is_none_or(|it| dtype_of(rewriter, it) == Some(dtype));
        if blocks[1] - blocks[0] > 1 || !same {
            return rewriter.emit("matmul_blocks", attrs.clone(), &args);
        }
        let operands: Vec<Value> = args[..2].iter().copied().chain(zero).collect();
        let product = rewriter.emit("matmul_mixed", Attrs::none(), &operands)?;
        finished(rewriter, product, Some(args[2]), None, DType::F32)
    };
    let (first, last) =
        (part([0, whole * block], [0, whole])?, part([whole * block, depth], [whole, whole + 1])?);
    let sum = rewriter.emit("add", Attrs::none(), &[last, first])?;
    cast(rewriter, sum, to)
}

/// Some indices of one dimension.
fn sliced(rewriter: &mut dyn Rewriter, value: Value, axis: i64, [start, end]: [i64; 2]) -> Option<Value> {
    let rank = extents(rewriter, value)?.len() as i64;
    let bounds = [start, end, 1].map(|it| rewriter.emit_constant(TensorData::ints(&[it])));
    let args = [&[value][..], &bounds].concat();
    rewriter.emit("slice", Attrs::none().with("axes", vec![axis.rem_euclid(rank)]), &args)
}

/// `matmul(a, (w − zero) · scale) = matmul_mixed(a, w, zero) · scale`, and the same for weights on the left.
fn multiply(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let to = result_type(rewriter, call.args[0])?;
    let [a, b] = [call.args[0], call.args[1]];
    let vector = extents(rewriter, a)?.len().min(extents(rewriter, b)?.len()) < 2;
    let (found, mut args) = match narrow(rewriter, b, to, |axis, rank| axis == rank.saturating_sub(2)) {
        Some(found) => (found, vec![a, found.weights]),
        None => {
            let mut found = narrow(rewriter, a, to, |axis, rank| axis + 1 == rank)?;
            if is_each(rewriter, found.zero) {
                found = in_bytes(rewriter, found)?;
            }
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
    let mut found = narrow(rewriter, call.args[1], to, |axis, _| axis > 0)?;
    let dims = extents(rewriter, found.weights)?;
    let rank = dims.len();
    if dims.get(1) == Some(&Some(1)) || is_each(rewriter, found.zero) {
        found = in_bytes(rewriter, found)?;
    }
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
