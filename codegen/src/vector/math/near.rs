//! Exponential and logarithm near the identity.

use super::exp::{exp, exp_m1_parts};
use super::log::log;
use crate::vector::{Builder, Compare, UnaryOp, VReg};

/// `eˣ − 1 = 2ⁿ·p + (2ⁿ − 1)` with `p = eʳ − 1`, computed for half of it so that 2¹²⁸ does not occur.
pub fn expm1(b: &mut Builder, x: VReg) -> VReg {
    let (p, power) = exp_m1_parts(b, x);
    let half = b.constant(0.5);
    let rest = b.sub(power, half);
    let value = b.fma(p, power, rest);
    let value = b.add(value, value);
    // Below, the result is `x`: halving must not round it, and zeros keep their sign.
    itself_near_zero(b, x, value)
}

/// `log(1 + x) = log u + (x − (u − 1))/u` with `u` as near to `1 + x` as it gets; −∞ at −1, NaN below.
pub fn log1p(b: &mut Builder, x: VReg) -> VReg {
    let one = b.constant(1.0);
    let u = b.add(x, one);
    let above = b.sub(u, one);
    let lost = b.sub(x, above);
    let correction = b.div(lost, u);
    // At −1 and ∞ there is nothing to correct.
    let (zero, limit) = (b.constant(0.0), b.constant(1.0));
    let magnitude = b.unary(UnaryOp::Abs, correction);
    let correction = b.select(Compare::Lt, magnitude, limit, correction, zero);
    let log = log(b, u);
    let value = b.add(log, correction);
    itself_near_zero(b, x, value)
}

/// `log(1 + eˣ) = max(x, 0) + log(1 + e^−|x|)`.
pub fn softplus(b: &mut Builder, x: VReg) -> VReg {
    let magnitude = b.unary(UnaryOp::Abs, x);
    let minus = b.unary(UnaryOp::Neg, magnitude);
    let power = exp(b, minus);
    let small = log1p(b, power);
    let zero = b.constant(0.0);
    let large = b.select(Compare::Gt, x, zero, x, zero);
    b.add(large, small)
}

/// `x` where `|x| < 2⁻²⁵`, else `value`.
fn itself_near_zero(b: &mut Builder, x: VReg, value: VReg) -> VReg {
    let magnitude = b.unary(UnaryOp::Abs, x);
    let border = b.constant_bits(0x3300_0000);
    b.select(Compare::Lt, magnitude, border, x, value)
}
