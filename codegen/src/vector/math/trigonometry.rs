//! Sine and cosine.

use super::polynomial;
use crate::vector::{BinaryOp, Builder, ShiftOp, UnaryOp, VReg};

/// π/2 in three parts; the first has 12 bits, so that its product with a small integer is exact.
const HALF_PI: [u32; 3] = [0x3fc9_1000, 0xb695_777a, 0xaa39_ee5a];

/// `sin x = x + x³ P(x²)` on ±π/4; relative error 2⁻³².
const SIN: [u32; 4] = [0xbe2a_aaab, 0x3c08_88ba, 0xb950_2cab, 0x363e_16d1];

/// `cos x = 1 − x²/2 + x⁴ P(x²)` on ±π/4; relative error 2⁻³⁷.
const COS: [u32; 4] = [0x3d2a_aaab, 0xbab6_0baf, 0x37d0_38e3, 0xb49b_0e13];

/// The sine of `x + quarters · π/2` for `x >= 0`.
fn sine(b: &mut Builder, x: VReg, quarters: i32) -> VReg {
    let turns = b.constant(std::f32::consts::FRAC_2_PI);
    let n = b.mul(x, turns);
    let n = b.unary(UnaryOp::Nearest, n);
    let mut r = x;
    for part in HALF_PI {
        let part = b.constant_bits(part);
        r = b.neg_fma(n, part, r);
    }
    let mut quadrant = b.unary(UnaryOp::ToInt, n);
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
