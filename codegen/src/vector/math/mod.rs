//! Elementary functions of `f32` as instruction sequences, appended to a program.
//!
//! Every function takes and returns a register, works lane by lane, and follows IEEE 754 for ±0, ±∞ and NaN; results
//! may be denormal. The bounds below hold on targets with fused multiply-add, against the exact result; tests check them
//! on a stride over all bit patterns, and on every bit pattern in an ignored test.
//!
//! | function | error in ulp | range |
//! |---|---|---|
//! | [`exp`] | 1 | all |
//! | [`log`] | 1 | all |
//! | [`tanh`] | 1.5 | all |
//! | [`sigmoid`] | 1.5 | all |
//! | [`erf`] | 2 | all |
//! | [`expm1`], [`log1p`] | 2 | all |
//! | [`sin`], [`cos`] | 2 | all, without fused multiply-add too |
//!
//! The algorithms are the classical ones: reduction of the argument to a short interval in two or three steps (Cody and
//! Waite), a polynomial, reconstruction by the exponent. The coefficients are our own; `coefficients.py` beside this
//! file computes and prints them.

mod erf;
mod exp;
mod log;
mod near;
mod trigonometry;

pub use erf::erf;
pub use exp::{exp, sigmoid, tanh};
pub use log::log;
pub use near::{expm1, log1p};
pub use trigonometry::{cos, sin};

use super::{BinaryOp, Builder, VReg};

/// A polynomial by Horner's rule; coefficients from the constant term up.
fn polynomial(b: &mut Builder, x: VReg, coefficients: &[u32]) -> VReg {
    let (&highest, rest) = coefficients.split_last().expect("a polynomial has a coefficient");
    let mut value = b.constant_bits(highest);
    for &c in rest.iter().rev() {
        let c = b.constant_bits(c);
        value = b.fma(value, x, c);
    }
    value
}

/// `magnitude` with the sign of `sign`; the magnitude must not be negative.
fn copy_sign(b: &mut Builder, magnitude: VReg, sign: VReg) -> VReg {
    let mask = b.constant_bits(1 << 31);
    let sign = b.binary(BinaryOp::And, sign, mask);
    b.binary(BinaryOp::Or, magnitude, sign)
}
