//! Numbers that are quantised again are not divided, written once for both graph IRs: what they were multiplied by takes
//! the division in.
//!
//! A division costs more than a whole sum of a depthwise convolution. The result is within the rounding of `f32` of what
//! it was, before it becomes an integer: as with scales that are taken out of a product, a number that is that near to
//! the middle of two integers may become the other one.

use super::constants::{is_made_of_constants, magnitudes};
use super::quantized::{Quantized, is_regular};
use crate::rewrite::{OpCall, Rewriter, Rule, RuleClass, Value};
use orogen_ir::types::{Attrs, DType, TensorData};

/// The rules, in the order they are tried.
pub const RULES: &[Rule] = &[Rule {
    name: "divide-scales",
    root: "quantize",
    class: RuleClass::Reassociates,
    reason: "it looks through sums of any depth",
    apply: divide_scales,
}];

/// How deep a sum is looked into.
const DEPTH: usize = 6;

/// `quantize(x · c + y, s) = quantize(x · (c / s) + y / s, 1)`, where `c`, `s` and what has no factor are constants.
fn divide_scales(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    is_regular(rewriter, call.args[1]).filter(|it| it.dims().is_empty() && it.get_f64(0) != 1.0)?;
    let numbers = divided(rewriter, call.args[0], call.args[1], DEPTH)?;
    let one = rewriter.emit_constant(TensorData::from_f64(DType::F32, &[], [1.0]));
    let args: Vec<Value> = [numbers, one].into_iter().chain(call.args.get(2).copied()).collect();
    rewriter.emit("quantize", call.attrs.clone(), &args)
}

/// A value divided by a scale, without a division of anything but constants.
fn divided(rewriter: &mut dyn Rewriter, value: Value, scale: Value, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    if is_made_of_constants(rewriter, value, DEPTH) {
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

/// `value / scale`, if the value is a factor that keeps its digits when it is divided.
fn divided_factor(rewriter: &mut dyn Rewriter, value: Value, scale: Value) -> Option<Value> {
    let [low, high] = magnitudes(rewriter, value, DEPTH)?;
    let by = rewriter.constant(scale)?.get_f64(0);
    // Products of it with integers are finite and normal.
    let fits = |it: f64| (1e-28..1e28).contains(&it);
    ([low, high, low / by, high / by].into_iter().all(fits) || high == 0.0)
        .then(|| rewriter.emit("div", Attrs::none(), &[value, scale]))?
}
