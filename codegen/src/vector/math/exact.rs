//! Functions of a few instructions, rounded correctly.

use crate::vector::{Builder, Compare, VReg};

/// −1, 0 or 1; NaN for NaN, and zeros keep their sign.
pub(super) fn sign(b: &mut Builder, x: VReg) -> VReg {
    let (zero, one, minus) = (b.constant(0.0), b.constant(1.0), b.constant(-1.0));
    let below = b.select(Compare::Lt, x, zero, minus, x);
    b.select(Compare::Gt, x, zero, one, below)
}

/// `1/x`.
pub(super) fn reciprocal(b: &mut Builder, x: VReg) -> VReg {
    let one = b.constant(1.0);
    b.div(one, x)
}
