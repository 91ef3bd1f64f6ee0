//! The error function.

use super::{copy_sign, exp, polynomial};
use crate::vector::{BinaryOp, Builder, Compare, UnaryOp, VReg};

/// `erf(x) = x + x P(x²)` up to 0.9375; relative error 2⁻³⁰.
const NEAR_ZERO: [u32; 7] =
    [0x3e03_75d4, 0xbec0_93a0, 0x3de7_16b2, 0xbcdc_0090, 0x3baa_2554, 0xba53_0937, 0x38a7_c72c];

/// `log(1 − erf(x)) = P(x − 2)` from 0.9375 to 4; the error in `erf` is 2⁻³⁰.
const LOG_ERFC: [u32; 11] = [
    0xc0ab_ad99,
    0xc08d_6191,
    0xbf6c_7b2b,
    0xbc87_0f5d,
    0x3b69_0995,
    0xba31_5237,
    0x3963_c661,
    0xb7da_3037,
    0xb85f_a894,
    0xb79e_1faa,
    0x3611_986c,
];

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
    let g = polynomial(b, centred, &LOG_ERFC);
    let e = exp(b, g);
    let one = b.constant(1.0);
    let far = b.sub(one, e);

    let limit = b.constant(0.9375);
    let result = b.select(Compare::Lt, a, limit, near, far);
    copy_sign(b, result, x)
}
