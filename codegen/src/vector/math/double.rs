//! Elementary functions of `f64`, in lanes of 64 bits.
//!
//! They take the same steps as the scalar code of [`crate::clif`], so that both give the same bits where both have fused
//! multiply-add, or neither: argument reduction, then a Taylor series long enough for `f64` (the coefficients are the
//! closed formulas), except for [`erf`], whose tail is a Chebyshev fit.

use std::f64::consts::{FRAC_2_SQRT_PI, LN_2, LOG2_E, SQRT_2};

use super::{Emit, exact, replace_where};
use crate::vector::{BinaryOp, Builder, Compare, ShiftOp, UnaryOp, VReg};
use orogen_ir::scalar::UnaryOp as Function;

/// ln 2 in two parts; the first has 32 bits, so that its product with a small integer is exact.
pub(crate) const LN2_HIGH: f64 = 0.6931471803691238;
/// The second part.
pub(crate) const LN2_LOW: f64 = 1.9082149292705877e-10;

/// `erfc(x)·e^(x²)/t` for `x ≥ 1` as a polynomial in `3t − 1`, where `t = 2/(2 + x)`: a Chebyshev fit of degree 20,
/// error 3e-17.
pub(crate) const ERFC_TAIL: [f64; 21] = [
    0.41099837287518415,
    0.1719047368352015,
    0.051458943911772345,
    0.008316570615410525,
    -0.0007068666933523211,
    -0.0006285090885235884,
    -1.839463147845159e-05,
    5.2458596843905846e-05,
    3.1718595662248438e-06,
    -5.591643606816089e-06,
    -1.0514718003634753e-07,
    7.016173504768595e-07,
    -6.342614283773998e-08,
    -8.977537469903464e-08,
    2.4135503542921486e-08,
    9.674160446378373e-09,
    -5.756227682876598e-09,
    -5.920714366014348e-10,
    9.640988537521993e-10,
    -9.474148144628878e-12,
    -8.794948927916054e-11,
];

/// `1/0!, 1/1!, …`, `n` of them.
pub(crate) fn reciprocal_factorials(n: usize) -> Vec<f64> {
    std::iter::successors(Some((1.0, 1.0)), |(f, n)| Some((f * n, n + 1.0)))
        .map(|it| 1.0 / it.0)
        .take(n)
        .collect()
}

/// The vector code of functions of an `f64`.
pub(super) fn code(function: Function) -> Option<Emit> {
    Some(match function {
        Function::Sign => exact::sign,
        Function::Reciprocal => exact::reciprocal,
        Function::Exp => exp,
        Function::Log => log,
        Function::Expm1 => expm1,
        Function::Log1p => log1p,
        Function::Softplus => softplus,
        Function::Tanh => tanh,
        Function::Sigmoid => sigmoid,
        Function::Erf => erf,
        Function::Sinh => sinh,
        Function::Cosh => cosh,
        Function::Asinh => asinh,
        Function::Acosh => acosh,
        Function::Atanh => atanh,
        _ => return None,
    })
}

/// `c₀ + c₁·x + c₂·x² + …`
pub(super) fn polynomial(
    b: &mut Builder,
    x: VReg,
    coefficients: impl DoubleEndedIterator<Item = f64>,
) -> VReg {
    let mut coefficients = coefficients.rev();
    let mut sum = b.constant(coefficients.next().unwrap_or(0.0));
    for c in coefficients {
        let c = b.constant(c);
        sum = b.fma(sum, x, c);
    }
    sum
}

fn add_constant(b: &mut Builder, x: VReg, c: f64) -> VReg {
    let c = b.constant(c);
    b.add(x, c)
}

fn times(b: &mut Builder, x: VReg, c: f64) -> VReg {
    let c = b.constant(c);
    b.mul(x, c)
}

/// `yes` where the comparison of `x` with `y` holds, else `no`.
fn when(b: &mut Builder, op: Compare, x: VReg, y: f64, yes: VReg, no: VReg) -> VReg {
    let y = b.constant(y);
    b.select(op, x, y, yes, no)
}

/// `x` clamped to `lo..=hi`; NaN stays.
pub(super) fn clamp(b: &mut Builder, x: VReg, lo: f64, hi: f64) -> VReg {
    let (lo, hi) = (b.constant(lo), b.constant(hi));
    let x = b.binary(BinaryOp::Max, lo, x);
    b.binary(BinaryOp::Min, hi, x)
}

/// The magnitude of one number with the sign of another.
pub(super) fn copy_sign(b: &mut Builder, magnitude: VReg, sign: VReg) -> VReg {
    let mask = b.constant_lane(b.width().sign());
    let sign = b.binary(BinaryOp::And, mask, sign);
    let magnitude = b.unary(UnaryOp::Abs, magnitude);
    b.binary(BinaryOp::Or, magnitude, sign)
}

/// `k = round(x / ln 2)`, and `r = x − k·ln 2`; `|x| ≤ 800`.
fn reduce_exponent(b: &mut Builder, x: VReg) -> (VReg, VReg) {
    let scaled = times(b, x, LOG2_E);
    let k = b.unary(UnaryOp::Nearest, scaled);
    let (high, low) = (times(b, k, LN2_HIGH), times(b, k, LN2_LOW));
    let r = b.sub(x, high);
    (k, b.sub(r, low))
}

/// `2^k` for a whole number `k` of a normal power: the sum has the exponent as its low bits.
fn power_of_two(b: &mut Builder, k: VReg) -> VReg {
    let bits = add_constant(b, k, 2f64.powi(52) + 1023.0);
    b.shift(ShiftOp::Left, bits, 52)
}

/// `x·2^k` for a whole number `k` of at most 1200 in magnitude, in two steps of which the first is exact.
pub(super) fn scale_by_power(b: &mut Builder, x: VReg, k: VReg) -> VReg {
    let half = times(b, k, 0.5);
    let first = b.unary(UnaryOp::Floor, half);
    let second = b.sub(k, first);
    let (first, second) = (power_of_two(b, first), power_of_two(b, second));
    let x = b.mul(x, first);
    b.mul(x, second)
}

/// `e^x`.
pub(super) fn exp(b: &mut Builder, x: VReg) -> VReg {
    let clamped = clamp(b, x, -800.0, 800.0);
    let (k, r) = reduce_exponent(b, clamped);
    let power = polynomial(b, r, reciprocal_factorials(14).into_iter());
    scale_by_power(b, power, k)
}

/// `e^x − 1`, accurate near zero, up to 700.
fn exp_minus_one(b: &mut Builder, x: VReg) -> VReg {
    let clamped = clamp(b, x, -800.0, 800.0);
    let (k, r) = reduce_exponent(b, clamped);
    let rest = polynomial(b, r, reciprocal_factorials(15).into_iter().skip(1));
    let small = b.mul(rest, r);
    // 2^k·(small + 1) − 1 = 2^k·small + (2^k − 1)
    let one = b.constant(1.0);
    let scaled = scale_by_power(b, small, k);
    let power = scale_by_power(b, one, k);
    let power = add_constant(b, power, -1.0);
    b.add(scaled, power)
}

/// `e^x − 1`; zeros keep their sign.
fn expm1(b: &mut Builder, x: VReg) -> VReg {
    let value = exp_minus_one(b, x);
    let limit = b.constant(700.0);
    let high = b.compare(Compare::Gt, x, limit);
    replace_where(b, high, value, |b| exp(b, x));
    when(b, Compare::Eq, x, 0.0, x, value)
}

/// `f` with `1 + f` in [√½, √2), and `e`, so that `x = (1 + f)·2^e`; `x` is positive and finite.
pub(super) fn fraction_and_exponent(b: &mut Builder, x: VReg) -> (VReg, VReg) {
    let scaled = times(b, x, 2f64.powi(54));
    let normal = when(b, Compare::Lt, x, f64::MIN_POSITIVE, scaled, x);
    let (shift, none) = (b.constant(54.0), b.constant(0.0));
    let shift = when(b, Compare::Lt, x, f64::MIN_POSITIVE, shift, none);
    // Exponent so that the mantissa is in [√½, √2).
    let one = 1.0f64.to_bits();
    let offset = b.constant_lane(one - (SQRT_2 / 2.0).to_bits());
    let moved = b.binary(BinaryOp::IntAdd, normal, offset);
    let biased = b.shift(ShiftOp::RightLogical, moved, 52);
    let exponent = b.shift(ShiftOp::Left, biased, 52);
    let bias = b.constant_lane(one);
    let power = b.binary(BinaryOp::IntSub, exponent, bias);
    let mantissa = b.binary(BinaryOp::IntSub, normal, power);
    // The low bits of a number that is known otherwise.
    let known = b.constant(2f64.powi(52));
    let exponent = b.binary(BinaryOp::Or, biased, known);
    let exponent = add_constant(b, exponent, -(2f64.powi(52) + 1023.0));
    let exponent = b.sub(exponent, shift);
    (add_constant(b, mantissa, -1.0), exponent)
}

/// Natural logarithm.
pub(super) fn log(b: &mut Builder, x: VReg) -> VReg {
    let (fraction, exponent) = fraction_and_exponent(b, x);
    let log = log_of_one_plus(b, fraction);
    log_of_all(b, x, log, exponent)
}

/// The logarithm of `x`, from that of its fraction.
fn log_of_all(b: &mut Builder, x: VReg, log: VReg, exponent: VReg) -> VReg {
    let (low, high) = (times(b, exponent, LN2_LOW), times(b, exponent, LN2_HIGH));
    let log = b.add(log, low);
    let log = b.add(log, high);
    let [infinity, lowest, nan] = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN].map(|it| b.constant(it));
    let log = b.select(Compare::Eq, x, infinity, infinity, log);
    let log = when(b, Compare::Eq, x, 0.0, lowest, log);
    when(b, Compare::Ge, x, 0.0, log, nan)
}

/// `ln(1 + f)` for `1 + f` in [√½, √2]: `2·artanh(s)` with `s = f/(2 + f)`.
fn log_of_one_plus(b: &mut Builder, f: VReg) -> VReg {
    let denominator = add_constant(b, f, 2.0);
    let s = b.div(f, denominator);
    let square = b.mul(s, s);
    let series = polynomial(b, square, (1..12).map(|n| 2.0 / f64::from(2 * n + 1)));
    // 2s + s·s²·series, and 2s = f − s·f, which keeps the rounding error of `s` small.
    let tail = b.mul(square, series);
    let difference = b.sub(tail, f);
    let correction = b.mul(s, difference);
    b.add(f, correction)
}

/// `ln(1 + x)`, accurate near zero: there `x` is the fraction, and all of it.
fn log_plus_one(b: &mut Builder, x: VReg) -> VReg {
    let sum = add_constant(b, x, 1.0);
    let back = add_constant(b, sum, -1.0);
    let lost = b.sub(x, back);
    let correction = b.div(lost, sum);
    let (fraction, exponent) = fraction_and_exponent(b, sum);
    let (magnitude, border) = (b.unary(UnaryOp::Abs, x), b.constant(0.25));
    let is_near = b.compare(Compare::Lt, magnitude, border);
    let fraction = b.blend(is_near, x, fraction);
    let near = log_of_one_plus(b, fraction);
    let log = log_of_all(b, sum, near, exponent);
    let corrected = b.add(log, correction);
    let infinity = b.constant(f64::INFINITY);
    let far = b.select(Compare::Eq, x, infinity, x, corrected);
    b.blend(is_near, near, far)
}

/// `ln(1 + x)`; −∞ at −1.
fn log1p(b: &mut Builder, x: VReg) -> VReg {
    let value = log_plus_one(b, x);
    let lowest = b.constant(f64::NEG_INFINITY);
    when(b, Compare::Eq, x, -1.0, lowest, value)
}

/// 1/(1 + e^−x), with the exponential of a number that is not positive, so that nothing overflows.
fn sigmoid(b: &mut Builder, x: VReg) -> VReg {
    let magnitude = b.unary(UnaryOp::Abs, x);
    let minus = b.unary(UnaryOp::Neg, magnitude);
    let power = exp(b, minus);
    let one = b.constant(1.0);
    let numerator = when(b, Compare::Lt, x, 0.0, power, one);
    let denominator = b.add(power, one);
    b.div(numerator, denominator)
}

/// `max(x, 0) + ln(1 + e^−|x|)`.
fn softplus(b: &mut Builder, x: VReg) -> VReg {
    let magnitude = b.unary(UnaryOp::Abs, x);
    let minus = b.unary(UnaryOp::Neg, magnitude);
    let power = exp(b, minus);
    let small = log_plus_one(b, power);
    let zero = b.constant(0.0);
    let large = when(b, Compare::Gt, x, 0.0, x, zero);
    b.add(large, small)
}

/// `t/(t + 2)` with `t = e^(2|x|) − 1`, and the sign.
fn tanh(b: &mut Builder, x: VReg) -> VReg {
    let magnitude = b.unary(UnaryOp::Abs, x);
    let double = b.add(magnitude, magnitude);
    let double = clamp(b, double, 0.0, 60.0);
    let t = exp_minus_one(b, double);
    let denominator = add_constant(b, t, 2.0);
    let result = b.div(t, denominator);
    copy_sign(b, result, x)
}

/// `(t + t/(t + 1))/2` with `t = e^|x| − 1`, and the sign.
fn sinh(b: &mut Builder, x: VReg) -> VReg {
    let magnitude = b.unary(UnaryOp::Abs, x);
    let t = exp_minus_one(b, magnitude);
    let next = add_constant(b, t, 1.0);
    let quotient = b.div(t, next);
    let sum = b.add(t, quotient);
    let near = times(b, sum, 0.5);
    let far = half_exp(b, magnitude);
    let result = when(b, Compare::Gt, magnitude, 40.0, far, near);
    copy_sign(b, result, x)
}

/// (e^x + e^−x)/2.
fn cosh(b: &mut Builder, x: VReg) -> VReg {
    let magnitude = b.unary(UnaryOp::Abs, x);
    let power = exp(b, magnitude);
    let inverse = exact::reciprocal(b, power);
    let sum = b.add(power, inverse);
    let near = times(b, sum, 0.5);
    let far = half_exp(b, magnitude);
    when(b, Compare::Gt, magnitude, 40.0, far, near)
}

/// `e^x/2` without early overflow: `(e^(x/2)/2)·e^(x/2)`.
fn half_exp(b: &mut Builder, x: VReg) -> VReg {
    let half = times(b, x, 0.5);
    let root = exp(b, half);
    let halved = times(b, root, 0.5);
    b.mul(halved, root)
}

/// `ln(1 + (a + a²/(1 + √(a² + 1))))` with `a = |x|`, and the sign.
fn asinh(b: &mut Builder, x: VReg) -> VReg {
    let a = b.unary(UnaryOp::Abs, x);
    let square = b.mul(a, a);
    let root = add_constant(b, square, 1.0);
    let root = b.unary(UnaryOp::Sqrt, root);
    let root = add_constant(b, root, 1.0);
    let quotient = b.div(square, root);
    let sum = b.add(a, quotient);
    let near = log_plus_one(b, sum);
    let result = log_of_double_when_large(b, a, near);
    copy_sign(b, result, x)
}

/// `ln(1 + (t + √(2t + t²)))` with `t = x − 1`.
fn acosh(b: &mut Builder, x: VReg) -> VReg {
    let t = add_constant(b, x, -1.0);
    let sum = add_constant(b, x, 1.0);
    let product = b.mul(t, sum);
    let root = b.unary(UnaryOp::Sqrt, product);
    let sum = b.add(t, root);
    let near = log_plus_one(b, sum);
    let result = log_of_double_when_large(b, x, near);
    let nan = b.constant(f64::NAN);
    when(b, Compare::Ge, x, 1.0, result, nan)
}

/// `ln(2a)` where `a²` would overflow, else `near`.
fn log_of_double_when_large(b: &mut Builder, a: VReg, near: VReg) -> VReg {
    let log = log(b, a);
    let far = add_constant(b, log, LN_2);
    when(b, Compare::Gt, a, 1e150, far, near)
}

/// `ln(1 + 2a/(1 − a))/2` with `a = |x|`, and the sign.
fn atanh(b: &mut Builder, x: VReg) -> VReg {
    let a = b.unary(UnaryOp::Abs, x);
    let one = b.constant(1.0);
    let rest = b.sub(one, a);
    let double = b.add(a, a);
    let quotient = b.div(double, rest);
    let log = log_plus_one(b, quotient);
    let half = times(b, log, 0.5);
    let nan = b.constant(f64::NAN);
    let result = b.select(Compare::Le, a, one, half, nan);
    copy_sign(b, result, x)
}

/// Error function: the Taylor series up to 1, then `1 − erfc`.
fn erf(b: &mut Builder, x: VReg) -> VReg {
    let square = b.mul(x, x);
    let factorials = reciprocal_factorials(19);
    let series = (0..19u32).map(|n| {
        let sign = if n % 2 == 0 { 1.0 } else { -1.0 };
        sign * FRAC_2_SQRT_PI * factorials[n as usize] / f64::from(2 * n + 1)
    });
    let near = polynomial(b, square, series);
    let near = b.mul(near, x);
    let a = b.unary(UnaryOp::Abs, x);
    // Beyond 6 the result is 1; the bound keeps inf·0 away.
    let a = clamp(b, a, 0.0, 6.0);
    let two = b.constant(2.0);
    let sum = b.add(a, two);
    let t = b.div(two, sum);
    let s = times(b, t, 3.0);
    let s = add_constant(b, s, -1.0);
    let fit = polynomial(b, s, ERFC_TAIL.into_iter());
    let minus = b.unary(UnaryOp::Neg, a);
    let exponent = b.mul(minus, a);
    let power = exp(b, exponent);
    let tail = b.mul(power, t);
    let tail = b.mul(tail, fit);
    let one = b.constant(1.0);
    let far = b.sub(one, tail);
    let far = copy_sign(b, far, x);
    let result = when(b, Compare::Ge, a, 1.0, far, near);
    // Small arguments, among them the zeros, keep their sign through the product.
    b.select(Compare::Unordered, x, x, x, result)
}
