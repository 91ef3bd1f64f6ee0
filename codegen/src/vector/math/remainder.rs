//! Remainders of floats.

use crate::vector::{BinaryOp, Builder, Compare, IntCompare, UnaryOp, VReg};

/// Steps that a quotient of the largest and the least `f32` takes, at 22 bits each.
const STEPS: i64 = 13;

/// `x − y·trunc(x/y)` of two `f32` in lanes of 64 bits, exactly: from the rest a multiple of `y` is taken whose factor is
/// the upper 24 bits of the quotient, so that the product is exact; the difference has few bits more than `y`, as both are
/// multiples of the last place of `y`.
pub(super) fn remainder(b: &mut Builder, x: VReg, y: VReg) -> VReg {
    let (number, divisor) = (b.unary(UnaryOp::Abs, x), b.unary(UnaryOp::Abs, y));
    let rest = b.vector();
    b.assign(rest, number);
    let upper = b.constant_lane(!((1 << 29) - 1));
    let step = |b: &mut Builder| {
        let quotient = b.div(rest, divisor);
        let quotient = b.binary(BinaryOp::And, quotient, upper);
        let factor = b.unary(UnaryOp::Trunc, quotient);
        let multiple = b.mul(factor, divisor);
        b.binary_into(BinaryOp::Sub, rest, rest, multiple);
    };
    step(b);
    let size = b.unary(UnaryOp::Abs, rest);
    let more = b.compare(Compare::Ge, size, divisor);
    let any = b.sign_bits(more);
    b.when(IntCompare::Ne, any, 0, |b| b.repeat(STEPS, step));
    // A quotient that was rounded up has taken too much.
    let zero = b.constant(0.0);
    let next = b.add(rest, divisor);
    let rest = b.select(Compare::Lt, rest, zero, next, rest);
    // Also where the divisor is infinite.
    let rest = b.select(Compare::Lt, number, divisor, number, rest);
    let sign = b.constant_lane(b.width().sign());
    let sign = b.binary(BinaryOp::And, sign, x);
    let rest = b.unary(UnaryOp::Abs, rest);
    b.binary(BinaryOp::Or, rest, sign)
}
