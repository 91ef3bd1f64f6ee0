//! Natural logarithm.

use super::polynomial;
use crate::vector::{BinaryOp, Builder, Compare, ShiftOp, UnaryOp, VReg};

const LN2_HIGH: f32 = f32::from_bits(0x3f31_7000);
const LN2_LOW: f32 = f32::from_bits(0x3805_fdf4);

/// `log(1 + x) = x − x²/2 + x³ P(x)` on [√½ − 1, √2 − 1]; relative error 2⁻³⁰.
const LOG1P: [u32; 9] = [
    0x3eaa_aaa4,
    0xbe80_0003,
    0x3e4c_d23b,
    0xbe2a_ae22,
    0x3e11_9dd1,
    0xbdfe_1465,
    0x3df3_6005,
    0xbdef_00ec,
    0x3d8a_399a,
];

/// The natural logarithm; −∞ at ±0, NaN below.
pub fn log(b: &mut Builder, x: VReg) -> VReg {
    let (zero, infinity) = (b.constant(0.0), b.constant(f32::INFINITY));
    // Denormals are scaled up.
    let (smallest, scale) = (b.constant(f32::MIN_POSITIVE), b.constant(8_388_608.0));
    let (no, shift) = (b.constant(0.0), b.constant(23.0));
    let scaled = b.mul(x, scale);
    let normal = b.select(Compare::Lt, x, smallest, scaled, x);
    let adjust = b.select(Compare::Lt, x, smallest, shift, no);
    // normal = m · 2ᵉ with m in [√½, √2).
    let root = b.constant_bits(0x3f35_04f3);
    let offset = b.binary(BinaryOp::IntSub, normal, root);
    let e = b.shift(ShiftOp::RightArithmetic, offset, 23);
    let exponent = b.shift(ShiftOp::Left, e, 23);
    let m = b.binary(BinaryOp::IntSub, normal, exponent);
    let one = b.constant(1.0);
    let f = b.sub(m, one);
    let e = b.unary(UnaryOp::FromInt, e);
    let e = b.sub(e, adjust);

    let p = polynomial(b, f, &LOG1P);
    let square = b.mul(f, f);
    let cube = b.mul(square, f);
    let (high, low, half) = (b.constant(LN2_HIGH), b.constant(LN2_LOW), b.constant(0.5));
    let small = b.mul(e, low);
    let small = b.fma(cube, p, small);
    let small = b.neg_fma(half, square, small);
    let y = b.add(f, small);
    let y = b.fma(e, high, y);

    // ∞ and NaN give themselves.
    let y = b.select(Compare::Lt, x, infinity, y, x);
    let lowest = b.constant(f32::NEG_INFINITY);
    let y = b.select(Compare::Eq, x, zero, lowest, y);
    let nan = b.constant(f32::NAN);
    b.select(Compare::Lt, x, zero, nan, y)
}
