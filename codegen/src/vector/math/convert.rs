//! Conversions between `f32` and `i32` lanes.

use crate::vector::{Builder, Compare, UnaryOp, VReg};

/// `i32` bits of the truncated value, saturated; 0 for NaN.
pub fn to_int(b: &mut Builder, x: VReg) -> VReg {
    // What is out of range gives the least integer, which is right below.
    let value = b.unary(UnaryOp::ToInt, x);
    let (limit, most) = (b.constant(2_147_483_648.0), b.constant_int(i32::MAX));
    let value = b.select(Compare::Ge, x, limit, most, value);
    let zero = b.constant_int(0);
    b.select(Compare::Unordered, x, x, zero, value)
}

/// The `f32` nearest to `i32` bits.
pub fn from_int(b: &mut Builder, x: VReg) -> VReg {
    b.unary(UnaryOp::FromInt, x)
}
