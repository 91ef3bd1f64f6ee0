//! Exact products where there is no fused multiply-add, for scalar code too.

use cranelift_codegen::ir::{InstBuilder, Value};
use cranelift_frontend::FunctionBuilder;

/// What splits an `f64` into halves of its digits.
pub(crate) const SPLITS: f64 = 134_217_729.0;

/// `a·b − product`, where that is the rounded product of two `f64`: by products of halves of the digits, which are exact
/// (Dekker, "A floating-point technique for extending the available precision", 1971). `factor` is [`SPLITS`], as what
/// is multiplied is.
pub(crate) fn lost_product(
    it: &mut FunctionBuilder<'_>,
    factor: Value,
    numbers: [Value; 2],
    product: Value,
) -> Value {
    let [(a, a_low), (b, b_low)] = numbers.map(|x| {
        let scaled = it.ins().fmul(x, factor);
        let rest = it.ins().fsub(scaled, x);
        let high = it.ins().fsub(scaled, rest);
        (high, it.ins().fsub(x, high))
    });
    let all = it.ins().fmul(a, b);
    let mut lost = it.ins().fsub(all, product);
    for (x, y) in [(a, b_low), (a_low, b), (a_low, b_low)] {
        let part = it.ins().fmul(x, y);
        lost = it.ins().fadd(lost, part);
    }
    lost
}
