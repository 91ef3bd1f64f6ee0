//! The error function.

use super::exp::one_minus_exp;
use super::{copy_sign, polynomial, polynomial_of_pairs};
use crate::vector::{BinaryOp, Builder, Compare, UnaryOp, VReg};

/// `erf(x) = x + x P(x²)` up to 0.9375; relative error 2⁻³⁰. At 1, up to where it is taken, it is 2⁻²⁷, which
/// is less than what rounding the other one costs there.
const NEAR_ZERO: [u32; 7] =
    [0x3e03_75d4, 0xbec0_93a0, 0x3de7_16b2, 0xbcdc_0090, 0x3baa_2554, 0xba53_0937, 0x38a7_c72c];

/// `log(1 − erf(x)) = P(x − 2)` from 0.9375 to 4; the error in `erf` is 2⁻³⁰.
const LOG_ERFC: [u32; 8] =
    [0xc0ab_ad99, 0xc08d_6191, 0xbf6c_7b0a, 0xbc86_fc3b, 0x3b69_0e36, 0xba3d_d7da, 0x3924_1a6e, 0xb763_3ae2];

/// The error function.
pub fn erf(b: &mut Builder, x: VReg) -> VReg {
    let a = b.unary(UnaryOp::Abs, x);
    let square = b.mul(a, a);
    let p = polynomial(b, square, &NEAR_ZERO);
    let near = b.fma(a, p, a);

    let four = b.constant(4.0); // the result is 1 from here on
    let limited = b.binary(BinaryOp::Min, four, a);
    let two = b.constant(2.0);
    let centred = b.sub(limited, two);
    let between = b.mul(centred, centred);
    let log = polynomial_of_pairs(b, centred, between, &LOG_ERFC, Builder::constant_bits);
    let far = one_minus_exp(b, log);

    let limit = b.constant(1.0);
    let result = b.select(Compare::Lt, a, limit, near, far);
    copy_sign(b, result, x)
}
