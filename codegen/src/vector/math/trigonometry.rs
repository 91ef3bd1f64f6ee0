//! Sine and cosine.

use super::polynomial;
use crate::vector::{BinaryOp, Builder, Compare, IntCompare, ShiftOp, UnaryOp, VReg};

/// The largest argument that is reduced by subtraction of multiples of π/2.
const SMALL: f32 = 131_072.0;

/// π/2 in three parts; the first has 12 bits, so that its product with a small integer is exact.
const HALF_PI: [u32; 3] = [0x3fc9_1000, 0xb695_777a, 0xaa39_ee5a];

/// π/2 as the sum of two numbers.
const HALF_PI_PAIR: [u32; 2] = [0x3fc9_0fdb, 0xb33b_bd2e];

/// 32 bits of zeros, then the first 224 of 2/π: as many as the largest f32 needs.
const TWO_OVER_PI: [u32; 8] =
    [0, 0xa2f9_836e, 0x4e44_1529, 0xfc27_57d1, 0xf534_ddc0, 0xdb62_9599, 0x3c43_9041, 0xfe51_63ab];

/// `sin x = x + x³ P(x²)` on ±π/4; relative error 2⁻³².
const SIN: [u32; 4] = [0xbe2a_aaab, 0x3c08_88ba, 0xb950_2cab, 0x363e_16d1];

/// `cos x = 1 − x²/2 + x⁴ P(x²)` on ±π/4; relative error 2⁻³⁷.
const COS: [u32; 4] = [0x3d2a_aaab, 0xbab6_0baf, 0x37d0_38e3, 0xb49b_0e13];

/// The part of `x >= 0` beyond the nearest multiple of π/2, and that multiple, for `x` up to [`SMALL`].
fn reduce_small(b: &mut Builder, x: VReg) -> (VReg, VReg) {
    let turns = b.constant(std::f32::consts::FRAC_2_PI);
    let n = b.mul(x, turns);
    let n = b.unary(UnaryOp::Nearest, n);
    let mut r = x;
    for part in HALF_PI {
        let part = b.constant_bits(part);
        r = b.neg_fma_fused(n, part, r);
    }
    (r, b.unary(UnaryOp::ToInt, n))
}

/// The same for numbers of 2¹⁷ and more, the multiple modulo 4 (Payne and Hanek, "Radian reduction for trigonometric
/// functions", 1983).
///
/// `x = m·2ᵉ` with 24 bits in `m`. Bits of 2/π that count in multiples of 4 quarters are left out; 96 bits from there
/// on are multiplied with `m`. What comes after them is below 2⁻⁷⁰ of a quarter.
fn reduce_large(b: &mut Builder, x: VReg) -> (VReg, VReg) {
    let and = |b: &mut Builder, x: VReg, bits: i32| {
        let bits = b.constant_int(bits);
        b.binary(BinaryOp::And, x, bits)
    };
    let int_add = |b: &mut Builder, x: VReg, y: VReg| b.binary(BinaryOp::IntAdd, x, y);
    let exponent = b.shift(ShiftOp::RightLogical, x, 23);
    // The place of the first bit that counts less than 4 quarters: the one of weight 2.
    let offset = b.constant_int(32 - 150 - 2);
    let first = int_add(b, exponent, offset);
    let word = b.shift(ShiftOp::RightArithmetic, first, 5);
    let mut words: [VReg; 4] = std::array::from_fn(|i| b.constant_bits(TWO_OVER_PI[i]));
    for at in 0..4 {
        let limit = b.constant_int(at);
        let beyond = b.binary(BinaryOp::IntGt, word, limit);
        for (i, chosen) in words.iter_mut().enumerate() {
            let next = b.constant_bits(TWO_OVER_PI[i + 1 + at as usize]);
            *chosen = b.blend(beyond, next, *chosen);
        }
    }
    // The bits from `first` on, by shifts of 16, 8, 4, 2 and 1 where they are needed.
    for k in (0..5u8).rev() {
        let by = 1 << k;
        let wanted = b.shift(ShiftOp::Left, first, 31 - k);
        for i in 0..4 {
            let mut moved = b.shift(ShiftOp::Left, words[i], by);
            if let Some(next) = words.get(i + 1) {
                let low = b.shift(ShiftOp::RightLogical, *next, 32 - by);
                moved = b.binary(BinaryOp::Or, moved, low);
            }
            words[i] = b.blend(wanted, moved, words[i]);
        }
    }
    // The low 96 bits of the product, in parts of 16 bits from the lowest up.
    let mantissa = and(b, x, 0x7f_ffff);
    let implicit = b.constant_int(0x80_0000);
    let m = b.binary(BinaryOp::Or, mantissa, implicit);
    let (m_low, m_high) = (and(b, m, 0xffff), b.shift(ShiftOp::RightLogical, m, 16));
    let mut parts = Vec::new();
    for word in words[..3].iter().rev() {
        parts.push(and(b, *word, 0xffff));
        parts.push(b.shift(ShiftOp::RightLogical, *word, 16));
    }
    let mut above = b.constant_int(0);
    let mut product = Vec::new();
    for part in parts {
        let low = b.binary(BinaryOp::IntMul, m_low, part);
        let high = b.binary(BinaryOp::IntMul, m_high, part);
        let here = and(b, low, 0xffff);
        let sum = int_add(b, here, above);
        product.push(and(b, sum, 0xffff));
        let carry = b.shift(ShiftOp::RightLogical, sum, 16);
        let next = b.shift(ShiftOp::RightLogical, low, 16);
        let next = int_add(b, next, high);
        above = int_add(b, next, carry);
    }
    let [_, _, p2, p3, p4, p5] = product[..] else { unreachable!("three words are six parts") };
    // The upper two bits are the quarters; half of one and more is the next less the rest.
    let half = b.constant_int(0x2000);
    let quadrant = int_add(b, p5, half);
    let quadrant = b.shift(ShiftOp::RightLogical, quadrant, 14);
    let signed = b.shift(ShiftOp::Left, p5, 18);
    let signed = b.shift(ShiftOp::RightArithmetic, signed, 18);
    let number = |b: &mut Builder, bits: VReg, weight: i32| {
        let value = b.unary(UnaryOp::FromInt, bits);
        let weight = b.constant(2f32.powi(weight));
        b.mul(value, weight)
    };
    let (high, low) = (number(b, signed, -14), number(b, p4, -30));
    let (lower, lowest) = (number(b, p3, -46), number(b, p2, -62));
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
    let [factor, more] = HALF_PI_PAIR.map(|it| b.constant_bits(it));
    let low = b.mul(low, factor);
    let low = b.fma(high, more, low);
    let minus = b.unary(UnaryOp::Neg, high);
    let r = b.neg_fma_fused(minus, factor, low);
    // NaN for ∞.
    let nothing = b.sub(x, x);
    (b.add(r, nothing), quadrant)
}

/// The sine of `x + quarters · π/2` for `x >= 0`.
fn sine(b: &mut Builder, x: VReg, quarters: i32) -> VReg {
    let (r, mut quadrant) = reduce_small(b, x);
    let limit = b.constant(SMALL);
    let beyond = b.compare(Compare::Gt, x, limit);
    let any = b.sign_bits(beyond);
    b.when(IntCompare::Ne, any, 0, |b| {
        let (far, turns) = reduce_large(b, x);
        let far = b.blend(beyond, far, r);
        b.assign(r, far);
        let turns = b.blend(beyond, turns, quadrant);
        b.assign(quadrant, turns);
    });
    if quarters != 0 {
        let more = b.constant_int(quarters);
        quadrant = b.binary(BinaryOp::IntAdd, quadrant, more);
    }

    let square = b.mul(r, r);
    let p = polynomial(b, square, &SIN);
    let cube = b.mul(square, r);
    let sin = b.fma(cube, p, r);

    let p = polynomial(b, square, &COS);
    let fourth = b.mul(square, square);
    let (one, half) = (b.constant(1.0), b.constant(0.5));
    let cos = b.neg_fma(half, square, one);
    let cos = b.fma(fourth, p, cos);

    // Odd quadrants take the cosine; the upper two are negative.
    let odd = b.shift(ShiftOp::Left, quadrant, 31);
    let value = b.blend(odd, cos, sin);
    let upper = b.shift(ShiftOp::RightLogical, quadrant, 1);
    let sign = b.shift(ShiftOp::Left, upper, 31);
    b.binary(BinaryOp::Xor, value, sign)
}

/// The sine; NaN at ±∞.
pub fn sin(b: &mut Builder, x: VReg) -> VReg {
    let magnitude = b.unary(UnaryOp::Abs, x);
    let value = sine(b, magnitude, 0);
    let mask = b.constant_bits(1 << 31);
    let sign = b.binary(BinaryOp::And, x, mask);
    b.binary(BinaryOp::Xor, value, sign)
}

/// The cosine; NaN at ±∞.
pub fn cos(b: &mut Builder, x: VReg) -> VReg {
    let magnitude = b.unary(UnaryOp::Abs, x);
    sine(b, magnitude, 1)
}
