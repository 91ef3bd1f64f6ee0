//! Numbers that are quantised again are not divided, written once for both graph IRs: what they were multiplied by takes
//! the division in.
//!
//! A division costs more than a whole sum of a depthwise convolution. The result is within the rounding of `f32` of what
//! it was, before it becomes an integer: as with scales that are taken out of a product, a number that is that near to
//! the middle of two integers may become the other one.

use super::quantized::{Quantized, is_regular};
use super::rewrite::{OpCall, Rewriter, Rule, Value};
use orogen_ir::types::{Attrs, DType, TensorData};

/// The rules, in the order they are tried.
pub const RULES: &[Rule] = &[Rule { name: "divide-scales", root: "quantize", apply: divide_scales }];

/// How deep a sum is looked into.
const DEPTH: usize = 6;

/// `quantize(x · c + y, s) = quantize(x · (c / s) + y / s, 1)`, where `c`, `s` and what has no factor are constants.
fn divide_scales(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let scale = is_regular(rewriter, call.args[1])?;
    let one = scale.get_f64(0);
    if scale.len() != 1 || !scale.dims().is_empty() || one == 1.0 {
        return None;
    }
    let numbers = divided(rewriter, call.args[0], call.args[1], DEPTH)?;
    let one = rewriter.emit_constant(TensorData::from_f64(DType::F32, &[], [1.0]));
    let args: Vec<Value> = [numbers, one].into_iter().chain(call.args.get(2).copied()).collect();
    rewriter.emit("quantize", call.attrs.clone(), &args)
}

/// A value divided by a scale, without a division of anything but constants.
fn divided(rewriter: &mut dyn Rewriter, value: Value, scale: Value, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    if is_constant(rewriter, value, DEPTH) {
        return rewriter.emit("div", Attrs::none(), &[value, scale]);
    }
    if let Some(x) = Quantized::of(rewriter, value) {
        let factor = divided_factor(rewriter, x.scale, scale)?;
        let args: Vec<Value> = [x.integers, factor].into_iter().chain(x.zero).collect();
        return rewriter.emit("dequantize", Attrs::none(), &args);
    }
    // What something else needs too would be computed twice.
    let call = rewriter.definition(value).filter(|_| rewriter.uses(value) == 1)?;
    let name = rewriter.ops().def(call.op).name;
    let args = match name {
        "mul" => {
            let [x, y] = [call.args[0], call.args[1]];
            match divided_factor(rewriter, y, scale) {
                Some(factor) => vec![x, factor],
                None => vec![y, divided_factor(rewriter, x, scale)?],
            }
        }
        "add" | "sub" | "min" | "max" | "relu" => {
            let terms = call.args.iter().map(|it| divided(rewriter, *it, scale, depth));
            terms.collect::<Option<_>>()?
        }
        _ => return None,
    };
    rewriter.emit(name, call.attrs, &args)
}

/// What is between a constant and the number it stands for.
fn is_view(name: &str) -> bool {
    matches!(name, "reshape" | "squeeze" | "unsqueeze" | "transpose" | "cast")
}

/// Whether a value follows from constants alone.
fn is_constant(rewriter: &dyn Rewriter, value: Value, depth: usize) -> bool {
    if rewriter.constant(value).is_some() {
        return true;
    }
    let Some((call, depth)) = rewriter.definition(value).zip(depth.checked_sub(1)) else { return false };
    let name = rewriter.ops().def(call.op).name;
    (is_view(name) || matches!(name, "mul" | "dequantize"))
        && call.args.iter().all(|it| is_constant(rewriter, *it, depth))
}

/// The least and the largest magnitude of what a value made of constants holds, but for zeros.
fn magnitudes(rewriter: &dyn Rewriter, value: Value, depth: usize) -> Option<[f64; 2]> {
    if let Some(data) = rewriter.constant(value) {
        let numbers = data.to_f64().into_iter().map(f64::abs).filter(|it| *it != 0.0);
        let found = numbers.fold([f64::MAX, 0.0], |[low, high], it| [low.min(it), high.max(it)]);
        return (data.dtype().is_float() && data.to_f64().iter().all(|it| it.is_finite())).then_some(found);
    }
    let call = rewriter.definition(value)?;
    let depth = depth.checked_sub(1)?;
    match rewriter.ops().def(call.op).name {
        "mul" => {
            let [x, y] = [0, 1].map(|it| magnitudes(rewriter, call.args[it], depth));
            let ([low, high], [least, most]) = (x?, y?);
            Some([low * least, high * most])
        }
        name if is_view(name) => magnitudes(rewriter, call.args[0], depth),
        _ => None,
    }
}

/// `value / scale`, if the value is a factor that keeps its digits when it is divided.
fn divided_factor(rewriter: &mut dyn Rewriter, value: Value, scale: Value) -> Option<Value> {
    let [low, high] = magnitudes(rewriter, value, DEPTH)?;
    let by = rewriter.constant(scale)?.get_f64(0);
    // Products of it with integers are finite and normal.
    let fits = |it: f64| (1e-28..1e28).contains(&it);
    ([low, high, low / by, high / by].into_iter().all(fits) || high == 0.0)
        .then(|| rewriter.emit("div", Attrs::none(), &[value, scale]))?
}
