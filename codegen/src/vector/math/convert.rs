//! Conversions between floats and integers.

use crate::vector::{Builder, Compare, UnaryOp, VReg, Width};

/// The integer of the truncated value, saturated; 0 for NaN.
pub fn to_int(b: &mut Builder, x: VReg) -> VReg {
    if b.width() == Width::W64 {
        return b.unary(UnaryOp::ToIntSaturated, x);
    }
    // What is out of range gives the least integer, which is right below.
    let value = b.unary(UnaryOp::ToInt, x);
    let bits = b.width().bits();
    let limit = b.constant(2f64.powi(bits as i32 - 1));
    let most = b.constant_int(i64::MAX >> (64 - bits));
    let value = b.select(Compare::Ge, x, limit, most, value);
    let zero = b.constant_int(0);
    b.select(Compare::Unordered, x, x, zero, value)
}

/// The float nearest to an integer.
pub fn from_int(b: &mut Builder, x: VReg) -> VReg {
    b.unary(UnaryOp::FromInt, x)
}
