//! Algebra that saves work, written once for both graph IRs.
//!
//! A rule sees the program through [`Rewriter`] and returns the value that replaces the result of an operation.

use orogen_ir::ops::{OpId, OpRegistry};
use orogen_ir::types::{Attr, Attrs, DType, TensorData, Type};

/// The program around the operation that a rule looks at.
pub trait Rewriter {
    /// A value of the IR.
    type Value: Copy + PartialEq;

    /// Operator table.
    fn ops(&self) -> &OpRegistry;

    /// The operation that defines a value, when it is an operator with one result.
    fn definition(&self, value: Self::Value) -> Option<(OpId, Attrs, Vec<Self::Value>)>;

    /// The data of a value that is a constant.
    fn constant(&self, value: Self::Value) -> Option<TensorData>;

    /// The type of a value.
    fn ty(&self, value: Self::Value) -> Type;

    /// How often a value is used.
    fn uses(&self, value: Self::Value) -> usize;

    /// Adds an operation before the one that is rewritten; `None` when its types cannot be inferred.
    fn emit(&mut self, op: &str, attrs: Attrs, args: &[Self::Value]) -> Option<Self::Value>;

    /// Adds a constant before the operation that is rewritten.
    fn emit_constant(&mut self, data: TensorData) -> Self::Value;
}

/// The value that replaces the single result of `op(args)`, when a rule applies.
pub fn simplify<R: Rewriter>(
    rewriter: &mut R,
    op: OpId,
    attrs: &Attrs,
    args: &[R::Value],
) -> Option<R::Value> {
    match rewriter.ops().def(op).name {
        "batch_norm" => fold_batch_norm(rewriter, attrs, args),
        "conv" => absorb_padding(rewriter, attrs, args),
        "pow" => expand_power(rewriter, args),
        _ => None,
    }
}

/// `batch_norm(conv(x, w, b), s, t, m, v) = conv(x, w·k, (b − m)·k + t)` with `k = s / sqrt(v + ε)`, when all
/// but `x` are constants and nothing else uses the convolution. Computed in f64.
fn fold_batch_norm<R: Rewriter>(rewriter: &mut R, attrs: &Attrs, args: &[R::Value]) -> Option<R::Value> {
    let epsilon = attrs.float("epsilon")?;
    let (conv, conv_attrs, conv_args) = rewriter.definition(args[0])?;
    if rewriter.ops().def(conv).name != "conv" || rewriter.uses(args[0]) != 1 {
        return None;
    }
    let weights = rewriter.constant(conv_args[1])?;
    let bias = match conv_args.get(2) {
        Some(bias) => Some(rewriter.constant(*bias)?),
        None => None,
    };
    let channel: Vec<Vec<f64>> =
        args[1..5].iter().map(|it| rewriter.constant(*it).map(|it| it.to_f64())).collect::<Option<_>>()?;
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
    rewriter.emit("conv", conv_attrs, &[conv_args[0], weights, bias])
}

/// `conv(pad(x), w, b)` with zeros around the spatial dimensions is a convolution of `x` with wider pads.
fn absorb_padding<R: Rewriter>(rewriter: &mut R, attrs: &Attrs, args: &[R::Value]) -> Option<R::Value> {
    let (pad, pad_attrs, pad_args) = rewriter.definition(args[0])?;
    let constant = pad_attrs.get("mode").is_none_or(|it| *it == Attr::from("constant"));
    if rewriter.ops().def(pad).name != "pad" || !constant {
        return None;
    }
    if let Some(fill) = pad_args.get(2) {
        let fill = rewriter.constant(*fill)?;
        if fill.len() != 1 || fill.get_f64(0) != 0.0 || fill.get_f64(0).is_sign_negative() {
            return None;
        }
    }
    let around = rewriter.constant(pad_args[1])?.to_i64();
    let rank = around.len() / 2;
    let (begins, ends) = around.split_at(rank);
    let spatial = rank.checked_sub(2)?;
    let batch_or_channel = begins[..2].iter().chain(&ends[..2]).any(|it| *it != 0);
    if batch_or_channel || around.iter().any(|it| *it < 0) {
        return None;
    }
    let old = match attrs.get("pads") {
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
    let mut operands = vec![pad_args[0]];
    operands.extend_from_slice(&args[1..]);
    rewriter.emit("conv", attrs.clone().with("pads", pads), &operands)
}

/// `pow(x, 2) = x·x` and `pow(x, 3) = x·x·x`: within one rounding of the power, and for every special value
/// the same.
fn expand_power<R: Rewriter>(rewriter: &mut R, args: &[R::Value]) -> Option<R::Value> {
    let exponent = rewriter.constant(args[1])?;
    let base = rewriter.ty(args[0]);
    let base = base.as_tensor()?;
    if exponent.len() != 1 || !base.dtype.is_float() || exponent.dims().len() > base.shape.rank()? {
        return None;
    }
    let times = match exponent.get_f64(0) {
        2.0 => 1,
        3.0 => 2,
        _ => return None,
    };
    let mut product = args[0];
    for _ in 0..times {
        product = rewriter.emit("mul", Attrs::none(), &[product, args[0]])?;
    }
    Some(product)
}
