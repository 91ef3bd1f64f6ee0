//! Powers and remainders.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value, types};

use std::f64::consts::LOG2_E;

use crate::clif::unit::FunctionCx;
use crate::vector::encode::clif::exact::{SPLITS, lost_product};
use crate::vector::math::double::{LN2_HIGH, LN2_LOW, reciprocal_factorials};
use crate::vector::math::power::TWO_THIRDS;

/// An unevaluated sum: the second number is below a unit in the last place of the first.
type Pair = (Value, Value);

impl FunctionCx<'_> {
    /// `x^y` with the special cases of IEEE 754 `pow`; exact where the result is an f64. The logarithm is a pair, so
    /// that its error times `y` is small beside 1.
    pub(super) fn pow(&mut self, x: Value, y: Value) -> Value {
        let a = self.b.ins().fabs(x);
        let log = self.log_pair(a);
        // More makes no other result: no logarithm but 0 is below 2^-53.
        let bound = 2f64.powi(66);
        let factor = self.clamp(y, -bound, bound);
        let (high, low) = self.two_product(factor, log.0);
        let rest = self.b.ins().fmul(factor, log.1);
        let low = self.b.ins().fadd(low, rest);
        let power = self.exp_pair((high, low));
        // The logarithm is that of positive numbers. |x| = 0 and |x| = ∞ give 0 or ∞.
        let none = self.when(FloatCC::Equal, a, 0.0);
        let all = self.when(FloatCC::Equal, a, f64::INFINITY);
        let down = self.when(FloatCC::LessThan, y, 0.0);
        let edge = self.b.ins().bor(none, all);
        let (zero, infinity) = (self.f(0.0), self.f(f64::INFINITY));
        let up = self.b.ins().bxor(all, down);
        let end = self.b.ins().select(up, infinity, zero);
        let power = self.b.ins().select(edge, end, power);
        self.pow_cases(power, x, y)
    }

    /// The same for numbers and results that are f32: a plain logarithm is near enough.
    pub(super) fn pow_of_f32(&mut self, x: Value, y: Value) -> Value {
        let a = self.b.ins().fabs(x);
        let log = self.log(a);
        let exponent = self.b.ins().fmul(y, log);
        let power = self.exp(exponent);
        // 0·∞ in the exponent: |x| = 1 and y infinite.
        let unit = self.when(FloatCC::Equal, a, 1.0);
        let power = self.select_c(unit, 1.0, power);
        self.pow_cases(power, x, y)
    }

    /// `x^y` where `|x|^y` is `power`.
    fn pow_cases(&mut self, power: Value, x: Value, y: Value) -> Value {
        let truncated = self.b.ins().trunc(y);
        let whole = self.b.ins().fcmp(FloatCC::Equal, truncated, y);
        // Odd: half of y is not whole. Floats beyond 2^53 are even, infinities count as even.
        let half = self.fmul_c(y, 0.5);
        let half_truncated = self.b.ins().trunc(half);
        let fraction = self.b.ins().fcmp(FloatCC::NotEqual, half, half_truncated);
        let odd = self.b.ins().band(whole, fraction);
        let negative = self.is_negative_bits(x);
        let flip = self.b.ins().band(odd, negative);
        let flipped = self.b.ins().fneg(power);
        let power = self.b.ins().select(flip, flipped, power);
        let below = self.when(FloatCC::LessThan, x, 0.0);
        let finite = self.when(FloatCC::GreaterThan, x, f64::NEG_INFINITY);
        let below = self.b.ins().band(below, finite);
        let broken = self.b.ins().bxor_imm_u(whole, 1);
        let invalid = self.b.ins().band(below, broken);
        let power = self.select_c(invalid, f64::NAN, power);
        let nan = self.b.ins().fcmp(FloatCC::Unordered, x, y);
        let power = self.select_c(nan, f64::NAN, power);
        let is_one = self.when(FloatCC::Equal, x, 1.0);
        let is_zeroth = self.when(FloatCC::Equal, y, 0.0);
        let trivial = self.b.ins().bor(is_one, is_zeroth);
        self.select_c(trivial, 1.0, power)
    }

    /// `a + b` and what it lost; `|a| ≥ |b|` or `a = 0`.
    fn two_sum(&mut self, a: Value, b: Value) -> Pair {
        let sum = self.b.ins().fadd(a, b);
        let kept = self.b.ins().fsub(sum, a);
        (sum, self.b.ins().fsub(b, kept))
    }

    /// `a·b` and what it lost; factors below 2^996 (Dekker, "A floating-point technique for extending the available
    /// precision", 1971).
    fn two_product(&mut self, a: Value, b: Value) -> Pair {
        let product = self.b.ins().fmul(a, b);
        if self.target.fma {
            let minus = self.b.ins().fneg(product);
            return (product, self.b.ins().fma(a, b, minus));
        }
        let factor = self.b.ins().f64const(SPLITS);
        let lost = lost_product(&mut self.b, factor, [a, b], product);
        (product, lost)
    }

    /// A product of pairs.
    fn multiply_pairs(&mut self, a: Pair, b: Pair) -> Pair {
        let (high, low) = self.two_product(a.0, b.0);
        let cross = self.b.ins().fmul(a.0, b.1);
        let low = self.b.ins().fadd(low, cross);
        let cross = self.b.ins().fmul(a.1, b.0);
        (high, self.b.ins().fadd(low, cross))
    }

    /// The logarithm of a positive finite number: `e·ln 2 + 2·artanh(s)` with `s = f/(2 + f)`; relative error 2^-64.
    fn log_pair(&mut self, x: Value) -> Pair {
        let (f, exponent) = self.fraction_and_exponent(x);
        let two = self.f(2.0);
        let (sum, sum_low) = self.two_sum(two, f);
        let s = self.b.ins().fdiv(f, sum);
        let (product, lost) = self.two_product(s, sum);
        let rest = self.b.ins().fsub(f, product);
        let rest = self.b.ins().fsub(rest, lost);
        let more = self.b.ins().fmul(s, sum_low);
        let rest = self.b.ins().fsub(rest, more);
        let s_low = self.b.ins().fdiv(rest, sum);
        let s = (s, s_low);
        // 2s + s³·(⅔ + s²·series)
        let square = self.multiply_pairs(s, s);
        let series = self.polynomial(square.0, (2..13).map(|n| 2.0 / f64::from(2 * n + 1)));
        let tail = self.b.ins().fmul(square.0, series);
        let third = self.f(TWO_THIRDS[0]);
        let (factor, factor_low) = self.two_sum(third, tail);
        let factor_low = self.fadd_c(factor_low, TWO_THIRDS[1]);
        let cube = self.multiply_pairs(square, s);
        let (tail, tail_low) = self.multiply_pairs(cube, (factor, factor_low));
        let (double, double_low) = (self.b.ins().fadd(s.0, s.0), self.b.ins().fadd(s.1, s.1));
        let (log, low) = self.two_sum(double, tail);
        let tail_low = self.b.ins().fadd(tail_low, double_low);
        let low = self.b.ins().fadd(low, tail_low);
        let whole = self.fmul_c(exponent, LN2_HIGH);
        let whole_low = self.fmul_c(exponent, LN2_LOW);
        let (log, lost) = self.two_sum(whole, log);
        let low = self.b.ins().fadd(low, whole_low);
        let low = self.b.ins().fadd(low, lost);
        self.two_sum(log, low)
    }

    /// The exponential of a pair.
    fn exp_pair(&mut self, x: Pair) -> Value {
        let high = self.clamp(x.0, -800.0, 800.0);
        // Where the first is limited, the second is anything.
        let low = self.clamp(x.1, -1.0, 1.0);
        let scaled = self.fmul_c(high, LOG2_E);
        let rounded = self.b.ins().nearest(scaled);
        let k = self.b.ins().fcvt_to_sint_sat(types::I64, rounded);
        let multiple = self.fmul_c(rounded, LN2_HIGH);
        let exact = self.b.ins().fsub(high, multiple);
        let small = self.fmul_c(rounded, LN2_LOW);
        let r = self.b.ins().fsub(exact, small);
        let lost = self.b.ins().fsub(exact, r);
        let lost = self.b.ins().fsub(lost, small);
        let rest = self.b.ins().fadd(lost, low);
        // e^r·(1 + rest) as 1 + (r + (r²·series + rest·e^r))
        let series = self.polynomial(r, reciprocal_factorials(15).into_iter().skip(2));
        let square = self.b.ins().fmul(r, r);
        let tail = self.b.ins().fmul(square, series);
        let growth = self.b.ins().fadd(r, tail);
        let rest = self.multiply_add(rest, growth, rest);
        let tail = self.b.ins().fadd(tail, rest);
        let sum = self.b.ins().fadd(r, tail);
        let power = self.fadd_c(sum, 1.0);
        self.scale_by_power(power, k)
    }
}

/// `x − y·trunc(x/y)`, exactly: the remainder of the integers that the significands are, eleven bits of the quotient
/// at a time.
pub(super) fn fmod(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let (x, y) = (args[0], args[1]);
    let (head, body, done) = (cx.b.create_block(), cx.b.create_block(), cx.b.create_block());
    let rest = cx.b.append_block_param(head, types::I64);
    let left = cx.b.append_block_param(head, types::I64);
    let a = cx.b.ins().fabs(x);
    let d = cx.b.ins().fabs(y);
    let (m, e) = cx.significand(a);
    let (divisor, scale) = cx.significand(d);
    // Integers below 2^53; where something is invalid, the divisor is just not 0.
    let one = cx.int(1);
    let divisor = cx.b.ins().umax(divisor, one);
    let steps = cx.b.ins().isub(e, scale);
    let start = cx.b.ins().urem(m, divisor);
    cx.b.ins().jump(head, &[BlockArg::Value(start), BlockArg::Value(steps)]);

    cx.b.switch_to_block(head);
    let more = cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, left, 0);
    cx.b.ins().brif(more, body, &[], done, &[]);

    cx.b.switch_to_block(body);
    let eleven = cx.int(11);
    let bits = cx.b.ins().smin(left, eleven);
    let moved = cx.b.ins().ishl(rest, bits);
    let next = cx.b.ins().urem(moved, divisor);
    let next_left = cx.b.ins().isub(left, bits);
    cx.b.ins().jump(head, &[BlockArg::Value(next), BlockArg::Value(next_left)]);

    cx.b.switch_to_block(done);
    let result = cx.b.ins().fcvt_from_sint(types::F64, rest);
    let unit = cx.b.ins().iadd_imm_s(scale, -1075);
    let result = cx.scale_by_power(result, unit);
    let below = cx.b.ins().fcmp(FloatCC::LessThan, a, d);
    let result = cx.b.ins().select(below, a, result);
    let result = cx.b.ins().fcopysign(result, x);
    let invalid_x = cx.when(FloatCC::UnorderedOrGreaterThanOrEqual, a, f64::INFINITY);
    let invalid_y = cx.when(FloatCC::UnorderedOrLessThanOrEqual, d, 0.0);
    let invalid = cx.b.ins().bor(invalid_x, invalid_y);
    let result = cx.select_c(invalid, f64::NAN, result);
    cx.b.ins().return_(&[result]);
}

/// Square and multiply.
pub(super) fn int_power(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let (base, exponent) = (args[0], args[1]);
    let (head, body, done) = (cx.b.create_block(), cx.b.create_block(), cx.b.create_block());
    let square = cx.b.append_block_param(head, types::I64);
    let left = cx.b.append_block_param(head, types::I64);
    let product = cx.b.append_block_param(head, types::I64);
    let (zero, one) = (cx.int(0), cx.int(1));
    // For a negative exponent: 1 and −1 are their own inverses, all else truncates to 0.
    let bits = cx.b.ins().iadd_imm_s(base, 1);
    let unit = cx.b.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, bits, 2);
    let is_zero = cx.b.ins().icmp_imm_s(IntCC::Equal, base, 0);
    let not_zero = cx.b.ins().bxor_imm_u(is_zero, 1);
    let unit = cx.b.ins().band(unit, not_zero);
    let negative = cx.b.ins().icmp_imm_s(IntCC::SignedLessThan, exponent, 0);
    let parity = cx.b.ins().band_imm_u(exponent, 1);
    let inverse = cx.b.ins().select(unit, parity, zero);
    let start = cx.b.ins().select(unit, one, zero);
    let start = cx.b.ins().select(negative, start, one);
    let steps = cx.b.ins().select(negative, inverse, exponent);
    let args = [base, steps, start].map(BlockArg::Value);
    cx.b.ins().jump(head, &args);

    cx.b.switch_to_block(head);
    let finished = cx.b.ins().icmp_imm_s(IntCC::Equal, left, 0);
    cx.b.ins().brif(finished, done, &[], body, &[]);

    cx.b.switch_to_block(body);
    let multiplied = cx.b.ins().imul(product, square);
    let odd = cx.is_odd(left);
    let product_next = cx.b.ins().select(odd, multiplied, product);
    let square_next = cx.b.ins().imul(square, square);
    let left_next = cx.b.ins().ushr_imm_u(left, 1);
    let args = [square_next, left_next, product_next].map(BlockArg::Value);
    cx.b.ins().jump(head, &args);

    cx.b.switch_to_block(done);
    cx.b.ins().return_(&[product]);
}
