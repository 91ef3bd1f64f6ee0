//! Exponential and what is made of it.

use super::{copy_sign, polynomial};
use crate::vector::{BinaryOp, Builder, Compare, ShiftOp, UnaryOp, VReg};

const LN2_HIGH: f32 = f32::from_bits(0x3f31_7000);
const LN2_LOW: f32 = f32::from_bits(0x3805_fdf4);

/// `eˣ = 1 + x + x² P(x)` on ±ln 2 / 2; relative error 2⁻²⁸.
const EXP: [u32; 5] = [0x3eff_fffe, 0x3e2a_aa4a, 0x3d2a_ac5f, 0x3c09_1c2b, 0x3ab5_1e84];

/// Splits `x = n ln 2 + r`. Returns `n` as a float, and `r`.
fn reduce(b: &mut Builder, x: VReg) -> (VReg, VReg) {
    let log2e = b.constant(std::f32::consts::LOG2_E);
    let scaled = b.mul(x, log2e);
    let n = b.unary(UnaryOp::Nearest, scaled);
    let (high, low) = (b.constant(LN2_HIGH), b.constant(LN2_LOW));
    let r = b.neg_fma(n, high, x);
    (n, b.neg_fma(n, low, r))
}

/// `2ⁿ` for `i32` lanes in −126..=127.
fn power_of_two(b: &mut Builder, n: VReg) -> VReg {
    let bias = b.constant_int(127);
    let biased = b.binary(BinaryOp::IntAdd, n, bias);
    b.shift(ShiftOp::Left, biased, 23)
}

/// `x + x² P(x)`.
fn tail(b: &mut Builder, x: VReg, coefficients: &[u32]) -> VReg {
    let p = polynomial(b, x, coefficients);
    let square = b.mul(x, x);
    b.fma(square, p, x)
}

/// `eˣ`.
pub fn exp(b: &mut Builder, x: VReg) -> VReg {
    // Beyond these the result is ∞ or 0 all the same, and `n` stays small. NaN passes: it is the second operand.
    let (most, least) = (b.constant(89.0), b.constant(-104.0));
    let x = b.binary(BinaryOp::Min, most, x);
    let x = b.binary(BinaryOp::Max, least, x);
    let (n, r) = reduce(b, x);
    let one = b.constant(1.0);
    let fraction = tail(b, r, &EXP);
    let fraction = b.add(fraction, one);
    // 2ⁿ in two factors, since n reaches from −150 to 128; only the second product rounds.
    let n = b.unary(UnaryOp::ToInt, n);
    let half = b.shift(ShiftOp::RightArithmetic, n, 1);
    let rest = b.binary(BinaryOp::IntSub, n, half);
    let (first, second) = (power_of_two(b, half), power_of_two(b, rest));
    let scaled = b.mul(fraction, first);
    b.mul(scaled, second)
}

/// `eʳ − 1` and `2ⁿ⁻¹` for `x = n ln 2 + r`; results of [`super::expm1`] beyond the bounds on `x` are −1 and ∞.
pub(super) fn exp_m1_parts(b: &mut Builder, x: VReg) -> (VReg, VReg) {
    let (most, least) = (b.constant(89.0), b.constant(-60.0));
    let x = b.binary(BinaryOp::Min, most, x);
    let x = b.binary(BinaryOp::Max, least, x);
    let (n, r) = reduce(b, x);
    let n = b.unary(UnaryOp::ToInt, n);
    let one = b.constant_int(1);
    let n = b.binary(BinaryOp::IntSub, n, one);
    (tail(b, r, &EXP), power_of_two(b, n))
}

/// `tanh x = x + x³ P(x²)` up to 0.625; relative error 2⁻³².
const TANH: [u32; 6] = [0xbeaa_aaaa, 0x3e08_883d, 0xbd5c_f8c4, 0x3cb1_d2a8, 0xbc06_2f68, 0x3b0d_140c];

/// The hyperbolic tangent: a polynomial near zero, else `1 − 2 / (e²ˣ + 1)` of the absolute value.
pub fn tanh(b: &mut Builder, x: VReg) -> VReg {
    let magnitude = b.unary(UnaryOp::Abs, x);
    let square = b.mul(magnitude, magnitude);
    let p = polynomial(b, square, &TANH);
    let cube = b.mul(square, magnitude);
    let near = b.fma(cube, p, magnitude);

    let limit = b.constant(10.0); // the result is 1 from here on
    let a = b.binary(BinaryOp::Min, limit, magnitude);
    let twice = b.add(a, a);
    let (n, r) = reduce(b, twice);
    let (one, two) = (b.constant(1.0), b.constant(2.0));
    let fraction = tail(b, r, &EXP);
    let fraction = b.add(fraction, one);
    let n = b.unary(UnaryOp::ToInt, n);
    let scale = power_of_two(b, n);
    let denominator = b.fma(fraction, scale, one);
    let quotient = b.div(two, denominator);
    let far = b.sub(one, quotient);

    let border = b.constant(0.625);
    let result = b.select(Compare::Lt, magnitude, border, near, far);
    copy_sign(b, result, x)
}

/// `1 / (1 + e⁻ˣ)`, with the exponential of a number that is not positive, so that nothing overflows.
pub fn sigmoid(b: &mut Builder, x: VReg) -> VReg {
    let magnitude = b.unary(UnaryOp::Abs, x);
    let negative = b.unary(UnaryOp::Neg, magnitude);
    let e = exp(b, negative);
    let (zero, one) = (b.constant(0.0), b.constant(1.0));
    let numerator = b.select(Compare::Lt, x, zero, e, one);
    let denominator = b.add(e, one);
    // What the sum lost, exactly, since e ≤ 1; a step of refinement divides by the exact sum.
    let kept = b.sub(denominator, one);
    let lost = b.sub(e, kept);
    let reciprocal = b.div(one, denominator);
    let quotient = b.mul(numerator, reciprocal);
    let remainder = b.neg_fma(quotient, denominator, numerator);
    let remainder = b.neg_fma(quotient, lost, remainder);
    b.fma(remainder, reciprocal, quotient)
}
