//! Products of floats with weights of 8 bits or fewer as products of integers: each row of the floats is quantised when it is
//! there, by its largest magnitude.
//!
//! * **QR1** An element of a row whose largest magnitude is `m`, at least 2⁻¹²⁰, is off by `m / 254` at most, so that a sum is off by at most
//!   that times the sum of the magnitudes of its weights. The sum itself is exact.
//! * **QR2** A row of zeros gives zeros. A row with NaN or an infinity gives NaN.

use super::constants::is_constant;
use super::quantized::{cast, dtype_of, extents};
use crate::rewrite::{OpCall, Rewriter, Rule, RuleClass, Value};
use orogen_ir::types::{Attrs, DType, TensorData};

/// The rules of the pass.
pub const RULES: &[Rule] = &[Rule {
    name: "quantize-rows",
    root: "matmul_mixed",
    class: RuleClass::Approximates(65536.0),
    reason: "how far a result is off depends on what is in its row",
    apply: quantize_rows,
}];

/// The largest integer that a row has.
const MOST: f64 = 127.0;
/// Products that `i32` holds the sum of: of bytes, which elements of the tiniest rows may be −128 of, and of bytes less a zero
/// point.
const MOST_TERMS: i64 = i32::MAX as i64 / (128 * 255);

/// `matmul_mixed(a, w, zero) = matmul_integer(quantize(a, s), w, zero) · s`, with a scale for each row, and the same for weights on
/// the left, whose floats have a scale for each column.
fn quantize_rows(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let mut is_weights = |it: usize| {
        let dtype = dtype_of(rewriter, call.args[it])?;
        Some(dtype.is_int() && dtype.bits() == 8 && is_constant(rewriter, call.args[it]))
    };
    let weights = if is_weights(1)? { 1 } else { 0 };
    if !is_weights(weights)? {
        return None;
    }
    let floats = call.args[1 - weights];
    let rank = extents(rewriter, floats)?.len();
    // A vector has one scale, whichever operand it is.
    let axis = match weights {
        1 => rank.checked_sub(1)?,
        _ => rank.saturating_sub(2),
    };
    let depth = match (&extents(rewriter, call.args[weights])?[..], weights) {
        ([.., depth, _], 1) | ([.., _, depth], 0) => (*depth)?,
        _ => return None,
    };
    if !(1..=MOST_TERMS).contains(&depth) {
        return None;
    }
    let floats = cast(rewriter, floats, DType::F32)?;
    let magnitudes = rewriter.emit("abs", Attrs::none(), &[floats])?;
    let along = Attrs::none().with("axes", vec![axis as i64]);
    let largest = rewriter.emit("reduce_max", along.with("keepdims", rank > 1), &[magnitudes])?;
    let mut number = |it: f64| rewriter.emit_constant(TensorData::from_f64(DType::F32, &[], [it]));
    let (most, one, step) = (number(MOST), number(1.0), number(MOST.recip()));
    // One division for a row, not one for each element.
    let factor = rewriter.emit("div", Attrs::none(), &[most, largest])?;
    let scale = rewriter.emit("mul", Attrs::none(), &[largest, step])?;
    let steps = rewriter.emit("mul", Attrs::none(), &[floats, factor])?;
    let integers = rewriter.emit("quantize", Attrs::none().with("to", DType::I8), &[steps, one])?;
    let mut args = call.args.clone();
    args[1 - weights] = integers;
    if let (Some(zero), 1) = (args.get(2).copied(), weights) {
        args[2] = rewriter.emit_constant(TensorData::from_f64(DType::I8, &[], [0.0]));
        args.push(zero);
    }
    let sums = rewriter.emit("matmul_integer", Attrs::none(), &args)?;
    let sums = cast(rewriter, sums, DType::F32)?;
    rewriter.emit("mul", Attrs::none(), &[sums, scale])
}
