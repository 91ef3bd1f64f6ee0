//! Sine, cosine and tangent of `f64`, in lanes of 64 bits, right for every finite argument.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

use super::double::{polynomial, reciprocal_factorials};
use super::payne_hanek::quarters;
use crate::vector::{BinaryOp, Builder, Compare, IntCompare, ShiftOp, UnaryOp, VReg};

/// π/2 in three parts; the first two have 33 bits, so that their products with integers below 2^20 are exact.
pub(crate) const HALF_PI: [f64; 3] = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21];

/// The largest argument that is reduced by these parts.
pub(crate) const SMALL: f64 = 1e6;

/// π/2 less the nearest f64.
pub(crate) const HALF_PI_REST: f64 = 6.123233995736766e-17;

/// 64 bits of zeros, then the first 1216 of 2/π: as many as the largest f64 needs.
pub(crate) const TWO_OVER_PI: [u64; 20] = [
    0,
    0xa2f9836e4e441529,
    0xfc2757d1f534ddc0,
    0xdb6295993c439041,
    0xfe5163abdebbc561,
    0xb7246e3a424dd2e0,
    0x06492eea09d1921c,
    0xfe1deb1cb129a73e,
    0xe88235f52ebb4484,
    0xe99c7026b45f7e41,
    0x3991d639835339f4,
    0x9c845f8bbdf9283b,
    0x1ff897ffde05980f,
    0xef2f118b5a0a6d1f,
    0x6d367ecf27cb09b7,
    0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b,
    0x3d0739f78a5292ea,
    0x6bfb5fb11f8d5d08,
    0x56033046fc7b6bab,
];

/// The terms of the sine (from `first` = 1) or of the cosine (0), in powers of the square.
pub(crate) fn alternating(first: usize) -> impl DoubleEndedIterator<Item = f64> {
    let factorials = reciprocal_factorials(20);
    (0..9usize).map(move |n| if n % 2 == 0 { 1.0 } else { -1.0 } * factorials[2 * n + first])
}

/// The sine.
pub(super) fn sin(b: &mut Builder, x: VReg) -> VReg {
    let turn = Turn::of(b, x);
    let value = turn.sine(b);
    with_sign_of(b, value, x)
}

/// The cosine: the sine a quarter turn later.
pub(super) fn cos(b: &mut Builder, x: VReg) -> VReg {
    let turn = Turn::of(b, x);
    let one = b.constant_int(1);
    let quarters = b.binary(BinaryOp::IntAdd, turn.quarters, one);
    Turn { quarters, ..turn }.sine(b)
}

/// The tangent.
pub(super) fn tan(b: &mut Builder, x: VReg) -> VReg {
    let Turn { sine, cosine, quarters } = Turn::of(b, x);
    let odd = b.shift(ShiftOp::Left, quarters, 63);
    let minus = b.unary(UnaryOp::Neg, cosine);
    let (over, under) = (b.blend(odd, minus, sine), b.blend(odd, sine, cosine));
    let value = b.div(over, under);
    with_sign_of(b, value, x)
}

/// A value with its sign flipped where `x` is negative.
fn with_sign_of(b: &mut Builder, value: VReg, x: VReg) -> VReg {
    let mask = b.constant_lane(b.width().sign());
    let sign = b.binary(BinaryOp::And, x, mask);
    b.binary(BinaryOp::Xor, value, sign)
}

/// Where a magnitude is on the circle.
struct Turn {
    /// Of the part beyond the nearest multiple of π/2.
    sine: VReg,
    cosine: VReg,
    /// That multiple, in its low two bits.
    quarters: VReg,
}

impl Turn {
    fn of(b: &mut Builder, x: VReg) -> Turn {
        let magnitude = b.unary(UnaryOp::Abs, x);
        let (r, quarters) = reduce_small(b, magnitude);
        let limit = b.constant(SMALL);
        let beyond = b.compare(Compare::Gt, magnitude, limit);
        let any = b.sign_bits(beyond);
        b.when(IntCompare::Ne, any, 0, |b| {
            let (far, turns) = reduce_large(b, magnitude);
            let far = b.blend(beyond, far, r);
            b.assign(r, far);
            let turns = b.blend(beyond, turns, quarters);
            b.assign(quarters, turns);
        });
        let square = b.mul(r, r);
        let sine = polynomial(b, square, alternating(1));
        let sine = b.mul(sine, r);
        let cosine = polynomial(b, square, alternating(0));
        Turn { sine, cosine, quarters }
    }

    /// Odd quarters take the cosine; the upper two are negative.
    fn sine(self, b: &mut Builder) -> VReg {
        let odd = b.shift(ShiftOp::Left, self.quarters, 63);
        let value = b.blend(odd, self.cosine, self.sine);
        let upper = b.shift(ShiftOp::Left, self.quarters, 62);
        with_sign_of(b, value, upper)
    }
}

/// By subtraction of multiples of π/2 in parts; `x ≤` [`SMALL`], or NaN.
fn reduce_small(b: &mut Builder, x: VReg) -> (VReg, VReg) {
    let turns = b.constant(FRAC_2_PI);
    let scaled = b.mul(x, turns);
    let n = b.unary(UnaryOp::Nearest, scaled);
    let mut r = x;
    for part in HALF_PI {
        let part = b.constant(part);
        let step = b.mul(n, part);
        r = b.sub(r, step);
    }
    // The low bits of a sum that is known otherwise are those of the number.
    let known = b.constant(2f64.powi(52));
    (r, b.add(n, known))
}

/// The same for every number, by the bits of 2/π that matter for it. What of them is left out is below 2⁻¹³⁷ of a quarter.
fn reduce_large(b: &mut Builder, x: VReg) -> (VReg, VReg) {
    let ((high, low), quarters) = quarters(b, x, &TWO_OVER_PI);
    let [factor, more] = [FRAC_PI_2, HALF_PI_REST].map(|it| b.constant(it));
    let low = b.mul(low, factor);
    let low = b.fma(high, more, low);
    let product = b.mul(high, factor);
    let r = b.add(product, low);
    // NaN for ∞.
    let nothing = b.sub(x, x);
    (b.add(r, nothing), quarters)
}
