//! Powers.

use std::f64::consts::LOG2_E;

use super::double::{
    LN2_HIGH, LN2_LOW, clamp, fraction_and_exponent, polynomial, reciprocal_factorials, scale_by_power,
};
use super::{double, exp, log};
use crate::vector::{BinaryOp, Builder, Compare, UnaryOp, VReg, Width};

/// ⅔ in two parts.
pub(crate) const TWO_THIRDS: [f64; 2] = [0.6666666666666666, 3.700743415417188e-17];

/// An unevaluated sum: the second number is below a unit in the last place of the first.
type Pair = (VReg, VReg);

/// `x^y` of `f64` with the special cases of IEEE 754 `pow`; the logarithm is a pair, so that its error times `y` is small
/// beside 1.
pub(super) fn pow(b: &mut Builder, x: VReg, y: VReg) -> VReg {
    let a = b.unary(UnaryOp::Abs, x);
    let log = log_pair(b, a);
    // More makes no other result: no logarithm but 0 is below 2^-53.
    let bound = 2f64.powi(66);
    let factor = clamp(b, y, -bound, bound);
    let (high, low) = two_product(b, factor, log.0);
    let rest = b.mul(factor, log.1);
    let low = b.add(low, rest);
    let power = exp_pair(b, (high, low));
    // The logarithm is that of positive numbers. |x| = 0 and |x| = ∞ give 0 or ∞.
    let (zero, infinity) = (b.constant(0.0), b.constant(f64::INFINITY));
    let none = b.compare(Compare::Eq, a, zero);
    let all = b.compare(Compare::Eq, a, infinity);
    let down = b.compare(Compare::Lt, y, zero);
    let edge = b.binary(BinaryOp::Or, none, all);
    let up = b.binary(BinaryOp::Xor, all, down);
    let end = b.binary(BinaryOp::And, up, infinity);
    let power = b.blend(edge, end, power);
    cases(b, power, x, y)
}

/// The same for numbers and results of half the digits of lanes: a plain logarithm is near enough.
pub(super) fn pow_of_shorter(b: &mut Builder, x: VReg, y: VReg) -> VReg {
    let a = b.unary(UnaryOp::Abs, x);
    let (log, exp): (super::Emit, super::Emit) = match b.width() {
        Width::W64 => (double::log, double::exp),
        _ => (log, exp),
    };
    let log = log(b, a);
    let exponent = b.mul(y, log);
    let power = exp(b, exponent);
    // 0·∞ in the exponent: |x| = 1 and y infinite.
    let one = b.constant(1.0);
    let power = b.select(Compare::Eq, a, one, one, power);
    cases(b, power, x, y)
}

/// `x^y` where `|x|^y` is `power`.
fn cases(b: &mut Builder, power: VReg, x: VReg, y: VReg) -> VReg {
    let (zero, half, one) = (b.constant(0.0), b.constant(0.5), b.constant(1.0));
    let (lowest, nan) = (b.constant(f64::NEG_INFINITY), b.constant(f64::NAN));
    let truncated = b.unary(UnaryOp::Trunc, y);
    let whole = b.compare(Compare::Eq, truncated, y);
    // Odd: half of y is not whole. Large floats are even, infinities count as even.
    let halved = b.mul(y, half);
    let truncated = b.unary(UnaryOp::Trunc, halved);
    let fraction = b.compare(Compare::Ne, halved, truncated);
    let odd = b.binary(BinaryOp::And, whole, fraction);
    let sign = b.constant_lane(b.width().sign());
    let sign = b.binary(BinaryOp::And, x, sign);
    let flip = b.binary(BinaryOp::And, sign, odd);
    let power = b.binary(BinaryOp::Xor, power, flip);
    let below = b.compare(Compare::Lt, x, zero);
    let finite = b.compare(Compare::Gt, x, lowest);
    let below = b.binary(BinaryOp::And, below, finite);
    let invalid = b.binary(BinaryOp::AndNot, whole, below);
    let unordered = b.compare(Compare::Unordered, x, y);
    let invalid = b.binary(BinaryOp::Or, invalid, unordered);
    let power = b.blend(invalid, nan, power);
    let is_one = b.compare(Compare::Eq, x, one);
    let is_zeroth = b.compare(Compare::Eq, y, zero);
    let trivial = b.binary(BinaryOp::Or, is_one, is_zeroth);
    b.blend(trivial, one, power)
}

/// `a + b` and what it lost; `|a| ≥ |b|` or `a = 0`.
fn two_sum(b: &mut Builder, x: VReg, y: VReg) -> Pair {
    let sum = b.add(x, y);
    let kept = b.sub(sum, x);
    (sum, b.sub(y, kept))
}

/// `x·y` and what it lost.
fn two_product(b: &mut Builder, x: VReg, y: VReg) -> Pair {
    let product = b.mul(x, y);
    (product, b.lost_product(x, y, product))
}

/// A product of pairs.
fn multiply_pairs(b: &mut Builder, x: Pair, y: Pair) -> Pair {
    let (high, low) = two_product(b, x.0, y.0);
    let cross = b.mul(x.0, y.1);
    let low = b.add(low, cross);
    let cross = b.mul(x.1, y.0);
    (high, b.add(low, cross))
}

/// The logarithm of a positive finite number: `e·ln 2 + 2·artanh(s)` with `s = f/(2 + f)`; relative error 2^-64.
fn log_pair(b: &mut Builder, x: VReg) -> Pair {
    let (f, exponent) = fraction_and_exponent(b, x);
    let two = b.constant(2.0);
    let (sum, sum_low) = two_sum(b, two, f);
    let s = b.div(f, sum);
    let (product, lost) = two_product(b, s, sum);
    let rest = b.sub(f, product);
    let rest = b.sub(rest, lost);
    let more = b.mul(s, sum_low);
    let rest = b.sub(rest, more);
    let s_low = b.div(rest, sum);
    let s = (s, s_low);
    // 2s + s³·(⅔ + s²·series)
    let square = multiply_pairs(b, s, s);
    let series = polynomial(b, square.0, (2..13).map(|n| 2.0 / f64::from(2 * n + 1)));
    let tail = b.mul(square.0, series);
    let [third, third_low] = TWO_THIRDS.map(|it| b.constant(it));
    let (factor, factor_low) = two_sum(b, third, tail);
    let factor_low = b.add(factor_low, third_low);
    let cube = multiply_pairs(b, square, s);
    let (tail, tail_low) = multiply_pairs(b, cube, (factor, factor_low));
    let (twice, twice_low) = (b.add(s.0, s.0), b.add(s.1, s.1));
    let (log, low) = two_sum(b, twice, tail);
    let tail_low = b.add(tail_low, twice_low);
    let low = b.add(low, tail_low);
    let [high, rest] = [LN2_HIGH, LN2_LOW].map(|it| b.constant(it));
    let (whole, whole_low) = (b.mul(exponent, high), b.mul(exponent, rest));
    let (log, lost) = two_sum(b, whole, log);
    let low = b.add(low, whole_low);
    let low = b.add(low, lost);
    two_sum(b, log, low)
}

/// The exponential of a pair.
fn exp_pair(b: &mut Builder, x: Pair) -> VReg {
    let high = clamp(b, x.0, -800.0, 800.0);
    // Where the first is limited, the second is anything.
    let low = clamp(b, x.1, -1.0, 1.0);
    let [scale, ln2_high, ln2_low] = [LOG2_E, LN2_HIGH, LN2_LOW].map(|it| b.constant(it));
    let scaled = b.mul(high, scale);
    let k = b.unary(UnaryOp::Nearest, scaled);
    let multiple = b.mul(k, ln2_high);
    let exact = b.sub(high, multiple);
    let small = b.mul(k, ln2_low);
    let r = b.sub(exact, small);
    let lost = b.sub(exact, r);
    let lost = b.sub(lost, small);
    let rest = b.add(lost, low);
    // e^r·(1 + rest) as 1 + (r + (r²·series + rest·e^r))
    let series = polynomial(b, r, reciprocal_factorials(15).into_iter().skip(2));
    let square = b.mul(r, r);
    let tail = b.mul(square, series);
    let growth = b.add(r, tail);
    let rest = b.fma(rest, growth, rest);
    let tail = b.add(tail, rest);
    let sum = b.add(r, tail);
    let one = b.constant(1.0);
    let power = b.add(sum, one);
    scale_by_power(b, power, k)
}
