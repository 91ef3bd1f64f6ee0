//! Large arguments of trigonometric functions (Payne and Hanek, "Radian reduction for trigonometric functions", 1983),
//! in lanes of floats of either width.

use crate::vector::{BinaryOp, Builder, ShiftOp, UnaryOp, VReg, Width};

/// How many quarters of a turn `x >= 0` is: a fraction in ±½ as the sum of two numbers, and the whole quarters modulo 4.
///
/// `x = m·2ᵉ`. Bits of 2/π that count in multiples of 4 quarters are left out; three words from there on are multiplied
/// with `m`. `two_over_pi` is a word of zeros, then the bits of 2/π, in words as wide as lanes.
pub(super) fn quarters(b: &mut Builder, x: VReg, two_over_pi: &[u64]) -> ((VReg, VReg), VReg) {
    let (bits, digits, bias): (u8, u8, i64) = match b.width() {
        Width::W64 => (64, 52, 1023),
        _ => (32, 23, 127),
    };
    let half = bits / 2;
    let low_half = b.constant_lane((1 << half) - 1);
    let and = |b: &mut Builder, x: VReg, y: VReg| b.binary(BinaryOp::And, x, y);
    let int_add = |b: &mut Builder, x: VReg, y: VReg| b.binary(BinaryOp::IntAdd, x, y);
    let exponent = b.shift(ShiftOp::RightLogical, x, digits);
    // The first bit that counts less than 4 quarters is the one of weight 2.
    let offset = b.constant_int(i64::from(bits) - (bias + i64::from(digits)) - 2);
    let first = int_add(b, exponent, offset);
    let word = b.shift(ShiftOp::RightArithmetic, first, bits.trailing_zeros() as u8);
    let mut words: [VReg; 4] = std::array::from_fn(|i| b.constant_lane(two_over_pi[i]));
    for (at, next) in two_over_pi.windows(4).skip(1).enumerate() {
        let limit = b.constant_int(at as i64);
        let beyond = b.binary(BinaryOp::IntGt, word, limit);
        for (chosen, next) in words.iter_mut().zip(next) {
            let next = b.constant_lane(*next);
            *chosen = b.blend(beyond, next, *chosen);
        }
    }
    // The bits from `first` on, by shifts of half a word, a quarter, … and 1 where they are needed.
    for k in (0..bits.trailing_zeros() as u8).rev() {
        let by = 1 << k;
        let wanted = b.shift(ShiftOp::Left, first, bits - 1 - k);
        for i in 0..4 {
            let mut moved = b.shift(ShiftOp::Left, words[i], by);
            if let Some(next) = words.get(i + 1) {
                let low = b.shift(ShiftOp::RightLogical, *next, bits - by);
                moved = b.binary(BinaryOp::Or, moved, low);
            }
            words[i] = b.blend(wanted, moved, words[i]);
        }
    }
    // The low three words of the product, in halves from the lowest up.
    let (below, implicit) = (b.constant_lane((1 << digits) - 1), b.constant_lane(1 << digits));
    let mantissa = and(b, x, below);
    let m = b.binary(BinaryOp::Or, mantissa, implicit);
    let (m_low, m_high) = (and(b, m, low_half), b.shift(ShiftOp::RightLogical, m, half));
    let mut above = b.constant_int(0);
    let mut product = Vec::new();
    for word in words[..3].iter().rev() {
        for part in [and(b, *word, low_half), b.shift(ShiftOp::RightLogical, *word, half)] {
            let low = b.binary(BinaryOp::IntMul, m_low, part);
            let high = b.binary(BinaryOp::IntMul, m_high, part);
            let here = and(b, low, low_half);
            let sum = int_add(b, here, above);
            product.push(and(b, sum, low_half));
            let carry = b.shift(ShiftOp::RightLogical, sum, half);
            let next = b.shift(ShiftOp::RightLogical, low, half);
            let next = int_add(b, next, high);
            above = int_add(b, next, carry);
        }
    }
    let [_, _, p2, p3, p4, p5] = product[..] else { unreachable!("three words are six halves") };
    // The upper two bits are the quarters; half of one and more is the next less the rest.
    let middle = b.constant_lane(1 << (half - 3));
    let quarters = int_add(b, p5, middle);
    let quarters = b.shift(ShiftOp::RightLogical, quarters, half - 2);
    let signed = b.shift(ShiftOp::Left, p5, half + 2);
    let signed = b.shift(ShiftOp::RightArithmetic, signed, half + 2);
    let number = |b: &mut Builder, bits: VReg, halves: i32| {
        let value = b.unary(UnaryOp::FromInt, bits);
        let weight = b.constant(2f64.powi(2 - halves * i32::from(half)));
        b.mul(value, weight)
    };
    let (high, low) = (number(b, signed, 1), number(b, p4, 2));
    let (lower, lowest) = (number(b, p3, 3), number(b, p2, 4));
    // The fraction as the sum of two numbers, twice, as the first may cancel.
    let pair = |b: &mut Builder, high: VReg, low: VReg| {
        let sum = b.add(high, low);
        let back = b.sub(sum, high);
        (sum, b.sub(low, back))
    };
    let (high, low) = pair(b, high, low);
    let rest = b.add(lower, lowest);
    let low = b.add(low, rest);
    (pair(b, high, low), quarters)
}
