//! Powers of integers.

use crate::vector::{BinaryOp, Builder, IReg, IntCompare, ShiftOp, VReg};

/// Bits of an exponent that are looked at before it is asked whether there are more.
const FIRST_BITS: i64 = 2;

/// As many steps again as were taken, while an exponent has more bits and lanes have.
fn while_more(
    b: &mut Builder,
    taken: i64,
    any_left: &dyn Fn(&mut Builder) -> IReg,
    step: &dyn Fn(&mut Builder),
) {
    if taken >= i64::from(b.width().bits()) {
        return;
    }
    let any = any_left(b);
    b.when(IntCompare::Ne, any, 0, |b| {
        b.repeat(taken, step);
        while_more(b, 2 * taken, any_left, step);
    });
}

/// `x^y`, wrapping, by squares. What 1 and −1 are raised to below 0 is their own inverse; of all else it is 0.
pub(super) fn int_power(b: &mut Builder, signed: bool, x: VReg, y: VReg) -> VReg {
    let [zero, one, minus] = [0, 1, -1].map(|it| b.constant_int(it));
    let (square, rest, product) = (b.vector(), b.vector(), b.vector());
    b.assign(square, x);
    b.assign(rest, y);
    b.assign(product, one);
    if signed {
        let negative = b.binary(BinaryOp::IntGt, zero, y);
        let [is_one, is_minus] = [one, minus].map(|it| b.binary(BinaryOp::IntEq, x, it));
        let unit = b.binary(BinaryOp::Or, is_one, is_minus);
        let parity = b.binary(BinaryOp::And, y, one);
        let inverse = b.binary(BinaryOp::And, unit, parity);
        let left = b.blend(negative, inverse, y);
        b.assign(rest, left);
        let none = b.binary(BinaryOp::AndNot, unit, negative);
        let start = b.binary(BinaryOp::AndNot, none, one);
        b.assign(product, start);
    }
    let step = |b: &mut Builder| {
        let odd = b.binary(BinaryOp::And, rest, one);
        let even = b.binary(BinaryOp::IntEq, odd, zero);
        let factor = b.blend(even, one, square);
        b.binary_into(BinaryOp::IntMul, product, product, factor);
        b.binary_into(BinaryOp::IntMul, square, square, square);
        let half = b.shift(ShiftOp::RightLogical, rest, 1);
        b.assign(rest, half);
    };
    let any_left = |b: &mut Builder| {
        let done = b.binary(BinaryOp::IntEq, rest, zero);
        let more = b.binary(BinaryOp::Xor, done, minus);
        b.sign_bits(more)
    };
    b.repeat(FIRST_BITS, step);
    while_more(b, FIRST_BITS, &any_left, &step);
    product
}
