//! Sine, cosine and tangent of `f64`, in lanes of 64 bits, right for every finite argument.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

use super::double::{polynomial, reciprocal_factorials};
use crate::vector::{BinaryOp, Builder, Compare, IntCompare, ShiftOp, UnaryOp, VReg};

/// π/2 in three parts; the first two have 33 bits, so that their products with integers below 2^20 are exact.
pub(crate) const HALF_PI: [f64; 3] = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21];

/// The largest argument that is reduced by these parts.
pub(crate) const SMALL: f64 = 1e6;

/// π/2 less the nearest f64.
pub(crate) const HALF_PI_REST: f64 = 6.123233995736766e-17;

/// 64 bits of zeros, then the first 1216 of 2/π: as many as the largest f64 needs.
pub(crate) const TWO_OVER_PI: [u64; 20] = [
    0,
    0xa2f9836e4e441529,
    0xfc2757d1f534ddc0,
    0xdb6295993c439041,
    0xfe5163abdebbc561,
    0xb7246e3a424dd2e0,
    0x06492eea09d1921c,
    0xfe1deb1cb129a73e,
    0xe88235f52ebb4484,
    0xe99c7026b45f7e41,
    0x3991d639835339f4,
    0x9c845f8bbdf9283b,
    0x1ff897ffde05980f,
    0xef2f118b5a0a6d1f,
    0x6d367ecf27cb09b7,
    0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b,
    0x3d0739f78a5292ea,
    0x6bfb5fb11f8d5d08,
    0x56033046fc7b6bab,
];

/// The terms of the sine (from `first` = 1) or of the cosine (0), in powers of the square.
pub(crate) fn alternating(first: usize) -> impl DoubleEndedIterator<Item = f64> {
    let factorials = reciprocal_factorials(20);
    (0..9usize).map(move |n| if n % 2 == 0 { 1.0 } else { -1.0 } * factorials[2 * n + first])
}

/// The sine.
pub(super) fn sin(b: &mut Builder, x: VReg) -> VReg {
    let turn = Turn::of(b, x);
    let value = turn.sine(b);
    with_sign_of(b, value, x)
}

/// The cosine: the sine a quarter turn later.
pub(super) fn cos(b: &mut Builder, x: VReg) -> VReg {
    let turn = Turn::of(b, x);
    let one = b.constant_int(1);
    let quarters = b.binary(BinaryOp::IntAdd, turn.quarters, one);
    Turn { quarters, ..turn }.sine(b)
}

/// The tangent.
pub(super) fn tan(b: &mut Builder, x: VReg) -> VReg {
    let Turn { sine, cosine, quarters } = Turn::of(b, x);
    let odd = b.shift(ShiftOp::Left, quarters, 63);
    let minus = b.unary(UnaryOp::Neg, cosine);
    let (over, under) = (b.blend(odd, minus, sine), b.blend(odd, sine, cosine));
    let value = b.div(over, under);
    with_sign_of(b, value, x)
}

/// A value with its sign flipped where `x` is negative.
fn with_sign_of(b: &mut Builder, value: VReg, x: VReg) -> VReg {
    let mask = b.constant_lane(b.width().sign());
    let sign = b.binary(BinaryOp::And, x, mask);
    b.binary(BinaryOp::Xor, value, sign)
}

/// Where a magnitude is on the circle.
struct Turn {
    /// Of the part beyond the nearest multiple of π/2.
    sine: VReg,
    cosine: VReg,
    /// That multiple, in its low two bits.
    quarters: VReg,
}

impl Turn {
    fn of(b: &mut Builder, x: VReg) -> Turn {
        let magnitude = b.unary(UnaryOp::Abs, x);
        let (r, quarters) = reduce_small(b, magnitude);
        let limit = b.constant(SMALL);
        let beyond = b.compare(Compare::Gt, magnitude, limit);
        let any = b.sign_bits(beyond);
        b.when(IntCompare::Ne, any, 0, |b| {
            let (far, turns) = reduce_large(b, magnitude);
            let far = b.blend(beyond, far, r);
            b.assign(r, far);
            let turns = b.blend(beyond, turns, quarters);
            b.assign(quarters, turns);
        });
        let square = b.mul(r, r);
        let sine = polynomial(b, square, alternating(1));
        let sine = b.mul(sine, r);
        let cosine = polynomial(b, square, alternating(0));
        Turn { sine, cosine, quarters }
    }

    /// Odd quarters take the cosine; the upper two are negative.
    fn sine(self, b: &mut Builder) -> VReg {
        let odd = b.shift(ShiftOp::Left, self.quarters, 63);
        let value = b.blend(odd, self.cosine, self.sine);
        let upper = b.shift(ShiftOp::Left, self.quarters, 62);
        with_sign_of(b, value, upper)
    }
}

/// By subtraction of multiples of π/2 in parts; `x ≤` [`SMALL`], or NaN.
fn reduce_small(b: &mut Builder, x: VReg) -> (VReg, VReg) {
    let turns = b.constant(FRAC_2_PI);
    let scaled = b.mul(x, turns);
    let n = b.unary(UnaryOp::Nearest, scaled);
    let mut r = x;
    for part in HALF_PI {
        let part = b.constant(part);
        let step = b.mul(n, part);
        r = b.sub(r, step);
    }
    // The low bits of a sum that is known otherwise are those of the number.
    let known = b.constant(2f64.powi(52));
    (r, b.add(n, known))
}

/// By the bits of 2/π that matter for `x` (Payne and Hanek, "Radian reduction for trigonometric functions", 1983):
/// `x = m·2^e` with 53 bits in `m`. Bits of 2/π that count in multiples of 4 quarters are left out, 192 bits from there on
/// are multiplied with `m`, and what comes after them is below 2^-137 of a quarter.
fn reduce_large(b: &mut Builder, x: VReg) -> (VReg, VReg) {
    let int_add = |b: &mut Builder, x: VReg, y: VReg| b.binary(BinaryOp::IntAdd, x, y);
    let low_half = b.constant_lane(0xffff_ffff);
    let exponent = b.shift(ShiftOp::RightLogical, x, 52);
    // The first bit that counts less than 4 quarters is the one of weight 2, with a word of zeros before 2/π.
    let offset = b.constant_int(64 - 1075 - 2);
    let first = int_add(b, exponent, offset);
    let word = b.shift(ShiftOp::RightArithmetic, first, 6);
    let mut words: [VReg; 4] = std::array::from_fn(|i| b.constant_lane(TWO_OVER_PI[i]));
    for (at, next) in TWO_OVER_PI.windows(4).skip(1).enumerate() {
        let limit = b.constant_int(at as i64);
        let beyond = b.binary(BinaryOp::IntGt, word, limit);
        for (chosen, bits) in words.iter_mut().zip(next) {
            let bits = b.constant_lane(*bits);
            *chosen = b.blend(beyond, bits, *chosen);
        }
    }
    // The bits from `first` on, by shifts of 32, 16, … and 1 where they are needed.
    for k in (0..6u8).rev() {
        let by = 1 << k;
        let wanted = b.shift(ShiftOp::Left, first, 63 - k);
        for i in 0..4 {
            let mut moved = b.shift(ShiftOp::Left, words[i], by);
            if let Some(next) = words.get(i + 1) {
                let low = b.shift(ShiftOp::RightLogical, *next, 64 - by);
                moved = b.binary(BinaryOp::Or, moved, low);
            }
            words[i] = b.blend(wanted, moved, words[i]);
        }
    }
    // The low 192 bits of the product, in parts of 32 bits from the lowest up.
    let mantissa = b.constant_lane((1 << 52) - 1);
    let mantissa = b.binary(BinaryOp::And, x, mantissa);
    let implicit = b.constant_lane(1 << 52);
    let m = b.binary(BinaryOp::Or, mantissa, implicit);
    let m_low = b.binary(BinaryOp::And, m, low_half);
    let m_high = b.shift(ShiftOp::RightLogical, m, 32);
    let mut above = b.constant_int(0);
    let mut product = Vec::new();
    for word in words[..3].iter().rev() {
        let parts = [b.binary(BinaryOp::And, *word, low_half), b.shift(ShiftOp::RightLogical, *word, 32)];
        for part in parts {
            let low = b.binary(BinaryOp::IntMul, m_low, part);
            let high = b.binary(BinaryOp::IntMul, m_high, part);
            let here = b.binary(BinaryOp::And, low, low_half);
            let sum = int_add(b, here, above);
            product.push(b.binary(BinaryOp::And, sum, low_half));
            let carry = b.shift(ShiftOp::RightLogical, sum, 32);
            let next = b.shift(ShiftOp::RightLogical, low, 32);
            let next = int_add(b, next, high);
            above = int_add(b, next, carry);
        }
    }
    let [_, _, p2, p3, p4, p5] = product[..] else { unreachable!("three words are six parts") };
    // The upper two bits are the quarters; half of one and more is the next less the rest.
    let half = b.constant_int(1 << 29);
    let quarters = int_add(b, p5, half);
    let quarters = b.shift(ShiftOp::RightLogical, quarters, 30);
    let signed = b.shift(ShiftOp::Left, p5, 34);
    let signed = b.shift(ShiftOp::RightArithmetic, signed, 34);
    let number = |b: &mut Builder, bits: VReg, weight: i32| {
        let value = b.unary(UnaryOp::FromInt, bits);
        let weight = b.constant(2f64.powi(weight));
        b.mul(value, weight)
    };
    let (high, low) = (number(b, signed, -30), number(b, p4, -62));
    let (lower, lowest) = (number(b, p3, -94), number(b, p2, -126));
    // The fraction as the sum of two numbers, twice, as the first may cancel.
    let pair = |b: &mut Builder, high: VReg, low: VReg| {
        let sum = b.add(high, low);
        let back = b.sub(sum, high);
        (sum, b.sub(low, back))
    };
    let (high, low) = pair(b, high, low);
    let rest = b.add(lower, lowest);
    let low = b.add(low, rest);
    let (high, low) = pair(b, high, low);
    let [factor, more] = [FRAC_PI_2, HALF_PI_REST].map(|it| b.constant(it));
    let low = b.mul(low, factor);
    let low = b.fma(high, more, low);
    let product = b.mul(high, factor);
    let r = b.add(product, low);
    // NaN for ∞.
    let nothing = b.sub(x, x);
    (b.add(r, nothing), quarters)
}
