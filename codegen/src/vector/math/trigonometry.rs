//! Sine and cosine.

use super::payne_hanek::quarters;
use super::polynomial;
use crate::vector::{BinaryOp, Builder, Compare, IntCompare, ShiftOp, UnaryOp, VReg};

/// The largest argument that is reduced by subtraction of multiples of π/2.
const SMALL: f32 = 131_072.0;

/// π/2 in three parts; the first has 12 bits, so that its product with a small integer is exact.
const HALF_PI: [u32; 3] = [0x3fc9_1000, 0xb695_777a, 0xaa39_ee5a];

/// π/2 as the sum of two numbers.
const HALF_PI_PAIR: [u32; 2] = [0x3fc9_0fdb, 0xb33b_bd2e];

/// 32 bits of zeros, then the first 224 of 2/π: as many as the largest f32 needs.
const TWO_OVER_PI: [u64; 8] =
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

/// The same for numbers of 2¹⁷ and more, the multiple modulo 4. What of 2/π is left out is below 2⁻⁷⁰ of a quarter.
fn reduce_large(b: &mut Builder, x: VReg) -> (VReg, VReg) {
    let ((high, low), quadrant) = quarters(b, x, &TWO_OVER_PI);
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
