//! Exponential, logarithm, hyperbolic functions, error function.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Value, types};
use std::f64::consts::{FRAC_2_SQRT_PI, LN_2, LOG2_E, SQRT_2};

use crate::clif::unit::FunctionCx;
use crate::vector::math::double::{ERFC_TAIL, LN2_HIGH, LN2_LOW, reciprocal_factorials};

impl FunctionCx<'_> {
    /// `k = round(x / ln 2)` as an integer, and `r = x − k·ln 2`; `|x| ≤ 1500`.
    fn reduce_exponent(&mut self, x: Value) -> (Value, Value) {
        let scaled = self.fmul_c(x, LOG2_E);
        let rounded = self.b.ins().nearest(scaled);
        let k = self.b.ins().fcvt_to_sint_sat(types::I64, rounded);
        let high = self.fmul_c(rounded, LN2_HIGH);
        let low = self.fmul_c(rounded, LN2_LOW);
        let r = self.b.ins().fsub(x, high);
        let r = self.b.ins().fsub(r, low);
        (k, r)
    }

    /// `e^x`.
    pub(super) fn exp(&mut self, x: Value) -> Value {
        let clamped = self.clamp(x, -800.0, 800.0);
        let (k, r) = self.reduce_exponent(clamped);
        let power = self.polynomial(r, reciprocal_factorials(14).into_iter());
        self.scale_by_power(power, k)
    }

    /// `e^x − 1`, accurate near zero.
    pub(super) fn exp_minus_one(&mut self, x: Value) -> Value {
        let clamped = self.clamp(x, -800.0, 800.0);
        let (k, r) = self.reduce_exponent(clamped);
        let rest = self.polynomial(r, reciprocal_factorials(15).into_iter().skip(1));
        let small = self.b.ins().fmul(rest, r);
        // 2^k·(small + 1) − 1 = 2^k·small + (2^k − 1)
        let one = self.f(1.0);
        let scaled = self.scale_by_power(small, k);
        let power = self.scale_by_power(one, k);
        let power = self.fadd_c(power, -1.0);
        let sum = self.b.ins().fadd(scaled, power);
        // Where 2^k overflows the sum would be inf − inf for negative `small`.
        let high = self.when(FloatCC::GreaterThan, x, 700.0);
        let large = self.exp(x);
        self.b.ins().select(high, large, sum)
    }

    /// `e^x − 1`; zeros keep their sign.
    pub(super) fn expm1(&mut self, x: Value) -> Value {
        let value = self.exp_minus_one(x);
        self.zero_as_it_is(x, value)
    }

    /// `ln(1 + x)`; −∞ at −1.
    pub(super) fn log1p(&mut self, x: Value) -> Value {
        let value = self.log_plus_one(x);
        let end = self.when(FloatCC::Equal, x, -1.0);
        self.select_c(end, f64::NEG_INFINITY, value)
    }

    /// `f` with `1 + f` in [√½, √2), and `e` as a float, so that `x = (1 + f)·2^e`; `x` is positive and finite.
    pub(super) fn fraction_and_exponent(&mut self, x: Value) -> (Value, Value) {
        let subnormal = self.when(FloatCC::LessThan, x, f64::MIN_POSITIVE);
        let scaled = self.fmul_c(x, 2f64.powi(54));
        let normal = self.b.ins().select(subnormal, scaled, x);
        let (shift, none) = (self.f(54.0), self.f(0.0));
        let shift = self.b.ins().select(subnormal, shift, none);
        let bits = self.bits(normal);
        // Exponent so that the mantissa is in [√½, √2).
        let offset = self.int((1.0f64.to_bits() - (SQRT_2 / 2.0).to_bits()).cast_signed());
        let moved = self.b.ins().iadd(bits, offset);
        let exponent = self.b.ins().ushr_imm_u(moved, 52);
        let exponent = self.b.ins().iadd_imm_s(exponent, -1023);
        let power = self.b.ins().ishl_imm_u(exponent, 52);
        let mantissa = self.b.ins().isub(bits, power);
        let mantissa = self.float_of_bits(mantissa);
        let exponent = self.b.ins().fcvt_from_sint(types::F64, exponent);
        let exponent = self.b.ins().fsub(exponent, shift);
        (self.fadd_c(mantissa, -1.0), exponent)
    }

    /// Natural logarithm.
    pub(super) fn log(&mut self, x: Value) -> Value {
        let (fraction, exponent) = self.fraction_and_exponent(x);
        let log = self.log_of_one_plus(fraction);
        let low = self.fmul_c(exponent, LN2_LOW);
        let high = self.fmul_c(exponent, LN2_HIGH);
        let log = self.b.ins().fadd(log, low);
        let log = self.b.ins().fadd(log, high);
        let infinite = self.when(FloatCC::Equal, x, f64::INFINITY);
        let log = self.select_c(infinite, f64::INFINITY, log);
        let zero = self.when(FloatCC::Equal, x, 0.0);
        let log = self.select_c(zero, f64::NEG_INFINITY, log);
        let invalid = self.when(FloatCC::UnorderedOrLessThan, x, 0.0);
        self.select_c(invalid, f64::NAN, log)
    }

    /// `ln(1 + f)` for `1 + f` in [√½, √2]: `2·artanh(s)` with `s = f/(2 + f)`.
    fn log_of_one_plus(&mut self, f: Value) -> Value {
        let denominator = self.fadd_c(f, 2.0);
        let s = self.b.ins().fdiv(f, denominator);
        let square = self.b.ins().fmul(s, s);
        let series = self.polynomial(square, (1..12).map(|n| 2.0 / f64::from(2 * n + 1)));
        // 2s + s·s²·series, and 2s = f − s·f, which keeps the rounding error of `s` small.
        let tail = self.b.ins().fmul(square, series);
        let difference = self.b.ins().fsub(tail, f);
        let correction = self.b.ins().fmul(s, difference);
        self.b.ins().fadd(f, correction)
    }

    /// `ln(1 + x)`, accurate near zero.
    fn log_plus_one(&mut self, x: Value) -> Value {
        let sum = self.fadd_c(x, 1.0);
        let back = self.fadd_c(sum, -1.0);
        let lost = self.b.ins().fsub(x, back);
        let correction = self.b.ins().fdiv(lost, sum);
        let log = self.log(sum);
        let corrected = self.b.ins().fadd(log, correction);
        let magnitude = self.b.ins().fabs(x);
        let small = self.when(FloatCC::LessThan, magnitude, 0.25);
        let near = self.log_of_one_plus(x);
        let infinite = self.when(FloatCC::Equal, x, f64::INFINITY);
        let far = self.b.ins().select(infinite, x, corrected);
        self.b.ins().select(small, near, far)
    }

    /// 1/(1 + e^−x), with the exponential of a number that is not positive, so that nothing overflows.
    pub(super) fn sigmoid(&mut self, x: Value) -> Value {
        let magnitude = self.b.ins().fabs(x);
        let minus = self.b.ins().fneg(magnitude);
        let power = self.exp(minus);
        let one = self.f(1.0);
        let negative = self.when(FloatCC::LessThan, x, 0.0);
        let numerator = self.b.ins().select(negative, power, one);
        let denominator = self.fadd_c(power, 1.0);
        self.b.ins().fdiv(numerator, denominator)
    }

    /// `max(x, 0) + ln(1 + e^−|x|)`.
    pub(super) fn softplus(&mut self, x: Value) -> Value {
        let magnitude = self.b.ins().fabs(x);
        let minus = self.b.ins().fneg(magnitude);
        let power = self.exp(minus);
        let small = self.log_plus_one(power);
        let zero = self.f(0.0);
        let positive = self.when(FloatCC::GreaterThan, x, 0.0);
        let large = self.b.ins().select(positive, x, zero);
        self.b.ins().fadd(large, small)
    }

    /// `t/(t + 2)` with `t = e^(2|x|) − 1`, and the sign.
    pub(super) fn tanh(&mut self, x: Value) -> Value {
        let magnitude = self.b.ins().fabs(x);
        let double = self.b.ins().fadd(magnitude, magnitude);
        let double = self.clamp(double, 0.0, 60.0);
        let t = self.exp_minus_one(double);
        let denominator = self.fadd_c(t, 2.0);
        let result = self.b.ins().fdiv(t, denominator);
        self.b.ins().fcopysign(result, x)
    }

    /// `(t + t/(t + 1))/2` with `t = e^|x| − 1`, and the sign.
    pub(super) fn sinh(&mut self, x: Value) -> Value {
        let magnitude = self.b.ins().fabs(x);
        let t = self.exp_minus_one(magnitude);
        let next = self.fadd_c(t, 1.0);
        let quotient = self.b.ins().fdiv(t, next);
        let sum = self.b.ins().fadd(t, quotient);
        let near = self.fmul_c(sum, 0.5);
        let far = self.half_exp(magnitude);
        let large = self.when(FloatCC::GreaterThan, magnitude, 40.0);
        let result = self.b.ins().select(large, far, near);
        self.b.ins().fcopysign(result, x)
    }

    /// (e^x + e^−x)/2.
    pub(super) fn cosh(&mut self, x: Value) -> Value {
        let magnitude = self.b.ins().fabs(x);
        let power = self.exp(magnitude);
        let one = self.f(1.0);
        let inverse = self.b.ins().fdiv(one, power);
        let sum = self.b.ins().fadd(power, inverse);
        let near = self.fmul_c(sum, 0.5);
        let far = self.half_exp(magnitude);
        let large = self.when(FloatCC::GreaterThan, magnitude, 40.0);
        self.b.ins().select(large, far, near)
    }

    /// `e^x/2` without early overflow: `(e^(x/2)/2)·e^(x/2)`.
    fn half_exp(&mut self, x: Value) -> Value {
        let half = self.fmul_c(x, 0.5);
        let root = self.exp(half);
        let halved = self.fmul_c(root, 0.5);
        self.b.ins().fmul(halved, root)
    }

    /// `ln(1 + (a + a²/(1 + √(a² + 1))))` with `a = |x|`, and the sign.
    pub(super) fn asinh(&mut self, x: Value) -> Value {
        let a = self.b.ins().fabs(x);
        let square = self.b.ins().fmul(a, a);
        let root = self.fadd_c(square, 1.0);
        let root = self.b.ins().sqrt(root);
        let root = self.fadd_c(root, 1.0);
        let quotient = self.b.ins().fdiv(square, root);
        let sum = self.b.ins().fadd(a, quotient);
        let near = self.log_plus_one(sum);
        let result = self.log_of_double_when_large(a, near);
        self.b.ins().fcopysign(result, x)
    }

    /// `ln(1 + (t + √(2t + t²)))` with `t = x − 1`.
    pub(super) fn acosh(&mut self, x: Value) -> Value {
        let t = self.fadd_c(x, -1.0);
        let sum = self.fadd_c(x, 1.0);
        let product = self.b.ins().fmul(t, sum);
        let root = self.b.ins().sqrt(product);
        let sum = self.b.ins().fadd(t, root);
        let near = self.log_plus_one(sum);
        let result = self.log_of_double_when_large(x, near);
        let invalid = self.when(FloatCC::UnorderedOrLessThan, x, 1.0);
        self.select_c(invalid, f64::NAN, result)
    }

    /// `ln(2a)` where `a²` would overflow, else `near`.
    fn log_of_double_when_large(&mut self, a: Value, near: Value) -> Value {
        let log = self.log(a);
        let far = self.fadd_c(log, LN_2);
        let large = self.when(FloatCC::GreaterThan, a, 1e150);
        self.b.ins().select(large, far, near)
    }

    /// `ln(1 + 2a/(1 − a))/2` with `a = |x|`, and the sign.
    pub(super) fn atanh(&mut self, x: Value) -> Value {
        let a = self.b.ins().fabs(x);
        let one = self.f(1.0);
        let rest = self.b.ins().fsub(one, a);
        let double = self.b.ins().fadd(a, a);
        let quotient = self.b.ins().fdiv(double, rest);
        let log = self.log_plus_one(quotient);
        let half = self.fmul_c(log, 0.5);
        let outside = self.when(FloatCC::UnorderedOrGreaterThan, a, 1.0);
        let result = self.select_c(outside, f64::NAN, half);
        self.b.ins().fcopysign(result, x)
    }

    /// Error function: the Taylor series up to 1, then `1 − erfc`.
    pub(super) fn erf(&mut self, x: Value) -> Value {
        let square = self.b.ins().fmul(x, x);
        let factorials = reciprocal_factorials(19);
        let series = (0..19u32).map(|n| {
            let sign = if n % 2 == 0 { 1.0 } else { -1.0 };
            sign * FRAC_2_SQRT_PI * factorials[n as usize] / f64::from(2 * n + 1)
        });
        let near = self.polynomial(square, series);
        let near = self.b.ins().fmul(near, x);
        let a = self.b.ins().fabs(x);
        // Beyond 6 the result is 1; the bound keeps inf·0 away.
        let a = self.clamp(a, 0.0, 6.0);
        let two = self.f(2.0);
        let sum = self.fadd_c(a, 2.0);
        let t = self.b.ins().fdiv(two, sum);
        let s = self.fmul_c(t, 3.0);
        let s = self.fadd_c(s, -1.0);
        let fit = self.polynomial(s, ERFC_TAIL.into_iter());
        let minus = self.b.ins().fneg(a);
        let exponent = self.b.ins().fmul(minus, a);
        let power = self.exp(exponent);
        let tail = self.b.ins().fmul(power, t);
        let tail = self.b.ins().fmul(tail, fit);
        let one = self.f(1.0);
        let far = self.b.ins().fsub(one, tail);
        let far = self.b.ins().fcopysign(far, x);
        let large = self.when(FloatCC::GreaterThanOrEqual, a, 1.0);
        let result = self.b.ins().select(large, far, near);
        // Small arguments, among them the zeros, keep their sign through the product.
        let nan = self.b.ins().fcmp(FloatCC::Unordered, x, x);
        self.b.ins().select(nan, x, result)
    }

    /// Whether a 64-bit integer is odd.
    pub(super) fn is_odd(&mut self, x: Value) -> Value {
        let bit = self.b.ins().band_imm_u(x, 1);
        self.b.ins().icmp_imm_s(IntCC::NotEqual, bit, 0)
    }
}
