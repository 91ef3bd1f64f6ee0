//! Exponential and what is made of it.

use super::{copy_sign, polynomial, polynomial_of_pairs, replace_where};
use crate::vector::{BinaryOp, Builder, Compare, ShiftOp, UnaryOp, VReg};

const LN2_HIGH: f32 = f32::from_bits(0x3f31_7000);
const LN2_LOW: f32 = f32::from_bits(0x3805_fdf4);

/// `eˣ = 1 + x + x² P(x)` on ±ln 2 / 2; relative error 2⁻²⁸.
const EXP: [u32; 5] = [0x3eff_fffe, 0x3e2a_aa4a, 0x3d2a_ac5f, 0x3c09_1c2b, 0x3ab5_1e84];

/// Added to a number of at most 2²² in magnitude, this leaves the nearest integer in the low bits of the sum.
const WHOLE: f32 = 12_582_912.0;
/// The bits of 1: the bias of exponents, in its place.
const ONE: i32 = 127 << 23;

/// `x = n ln 2 / scale + r`, with `scale` a power of two.
struct Reduced {
    /// A float whose low bits are those of `n`.
    whole: VReg,
    /// The rest.
    r: VReg,
}

/// Reduces the argument of `e^(scale · x)`.
fn reduce(b: &mut Builder, x: VReg, scale: f32) -> Reduced {
    let (log2e, shift) = (b.constant(std::f32::consts::LOG2_E * scale), b.constant(WHOLE));
    let whole = b.fma(x, log2e, shift);
    let n = b.sub(whole, shift);
    let (high, low) = (b.constant(LN2_HIGH / scale), b.constant(LN2_LOW / scale));
    let r = b.neg_fma(n, high, x);
    Reduced { whole, r: b.neg_fma(n, low, r) }
}

/// `2^(n + by)` for an integer in the low bits of a register, where it is a normal number.
fn power_of_two(b: &mut Builder, n: VReg, by: i32) -> VReg {
    let exponent = b.shift(ShiftOp::Left, n, 23);
    let bias = b.constant_int(ONE + (by << 23));
    b.binary(BinaryOp::IntAdd, exponent, bias)
}

/// `(e^(scale · r) − 1) / scale = r + r² P(r)`, with `scale` a power of two.
fn tail(b: &mut Builder, r: VReg, scale: f32) -> VReg {
    let mut power = 1.0;
    let scaled = EXP.map(|c| {
        power *= scale;
        (f32::from_bits(c) * power).to_bits()
    });
    let square = b.mul(r, r);
    let p = polynomial_of_pairs(b, r, square, &scaled, Builder::constant_bits);
    b.fma(square, p, r)
}

/// `eˣ`.
pub fn exp(b: &mut Builder, x: VReg) -> VReg {
    // Beyond these the result is ∞ or 0 all the same, and `n` stays small. NaN passes: it is the second operand.
    let (most, least) = (b.constant(89.0), b.constant(-104.0));
    let x = b.binary(BinaryOp::Min, most, x);
    let x = b.binary(BinaryOp::Max, least, x);
    let Reduced { whole, r } = reduce(b, x, 1.0);
    let fraction = tail(b, r, 1.0);
    // 2ⁿ in two factors, since n reaches from −150 to 128; only the second product may be subnormal.
    let half = b.shift(ShiftOp::RightArithmetic, whole, 1);
    let rest = b.binary(BinaryOp::IntSub, whole, half);
    let (first, second) = (power_of_two(b, half, 0), power_of_two(b, rest, 0));
    let scaled = b.fma(fraction, first, first);
    b.mul(scaled, second)
}

/// `1 − eˣ` for `x` in −87..=0.
pub(super) fn one_minus_exp(b: &mut Builder, x: VReg) -> VReg {
    let Reduced { whole, r } = reduce(b, x, 1.0);
    let fraction = tail(b, r, 1.0);
    let power = power_of_two(b, whole, 0);
    let one = b.constant(1.0);
    let rest = b.sub(one, power);
    b.neg_fma(fraction, power, rest)
}

/// `eʳ − 1` and `2ⁿ⁻¹` for `x = n ln 2 + r`; results of [`super::expm1`] beyond the bounds on `x` are −1 and ∞.
pub(super) fn exp_m1_parts(b: &mut Builder, x: VReg) -> (VReg, VReg) {
    let (most, least) = (b.constant(89.0), b.constant(-60.0));
    let x = b.binary(BinaryOp::Min, most, x);
    let x = b.binary(BinaryOp::Max, least, x);
    let Reduced { whole, r } = reduce(b, x, 1.0);
    (tail(b, r, 1.0), power_of_two(b, whole, -1))
}

/// `tanh x = x + x³ P(x²)` up to 0.625; relative error 2⁻³².
const TANH: [u32; 6] = [0xbeaa_aaaa, 0x3e08_883d, 0xbd5c_f8c4, 0x3cb1_d2a8, 0xbc06_2f68, 0x3b0d_140c];

/// The hyperbolic tangent: a polynomial near zero, else `1 − 1 / ((e²ˣ + 1) / 2)` of the absolute value.
pub fn tanh(b: &mut Builder, x: VReg) -> VReg {
    let magnitude = b.unary(UnaryOp::Abs, x);
    let square = b.mul(x, x);
    let p = polynomial(b, square, &TANH);
    let cube = b.mul(square, magnitude);
    let near = b.fma(cube, p, magnitude);

    let limit = b.constant(10.0); // the result is 1 from here on
    let a = b.binary(BinaryOp::Min, limit, magnitude);
    let Reduced { whole, r } = reduce(b, a, 2.0);
    let half_fraction = tail(b, r, 2.0);
    let power = power_of_two(b, whole, 0);
    let (half, one) = (b.constant(0.5), b.constant(1.0));
    let middle = b.fma(power, half, half);
    let denominator = b.fma(half_fraction, power, middle);
    let quotient = b.div(one, denominator);
    let far = b.sub(one, quotient);

    let border = b.constant(0.625);
    let result = b.select(Compare::Lt, magnitude, border, near, far);
    copy_sign(b, result, x)
}

/// `1 / (1 + e⁻ˣ)`. With `e⁻ˣ = 2ⁿ (1 + g)` the divisor is `(1 + 2ⁿ) + 2ⁿ g`, and what it loses in rounding is known.
pub fn sigmoid(b: &mut Builder, x: VReg) -> VReg {
    let least = b.constant(-87.0);
    let most = b.constant(80.0); // the result is 1 from here on
    let bounded = b.binary(BinaryOp::Min, most, x);
    let bounded = b.binary(BinaryOp::Max, least, bounded);
    // Of `x` instead of `−x`: the integer and the rest are those of `e⁻ˣ` with the other sign.
    let Reduced { whole, r } = reduce(b, bounded, 1.0);
    let mut sign = -1.0;
    let alternating = EXP.map(|c| {
        sign = -sign;
        (f32::from_bits(c) * sign).to_bits()
    });
    let square = b.mul(r, r);
    let p = polynomial_of_pairs(b, r, square, &alternating, Builder::constant_bits);
    let fraction = b.mul_sub(square, p, r);
    let one = b.constant(1.0);
    let exponent = b.shift(ShiftOp::Left, whole, 23);
    let power = b.binary(BinaryOp::IntSub, one, exponent);
    let middle = b.add(power, one);
    let divisor = b.fma(power, fraction, middle);
    let lost = b.sub(power, divisor);
    let lost = b.add(lost, one);
    let lost = b.fma(power, fraction, lost);
    let quotient = b.div(one, divisor);
    let change = b.mul(quotient, lost);
    let value = b.neg_fma(quotient, change, quotient);
    // Where the exponential would overflow, the result is its reciprocal.
    let beyond = b.compare(Compare::Lt, x, least);
    replace_where(b, beyond, value, |b| exp(b, x));
    value
}
