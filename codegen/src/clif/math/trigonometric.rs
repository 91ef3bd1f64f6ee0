//! Circular functions and their inverses.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value, types};
use std::f64::consts::{FRAC_2_PI, FRAC_PI_2, FRAC_PI_4, PI};

use crate::clif::unit::FunctionCx;
use crate::vector::math::arcs::{ASIN, ATAN, BORDERS};
use crate::vector::math::double_trigonometry::{HALF_PI, HALF_PI_REST, SMALL, TWO_OVER_PI, alternating};

impl FunctionCx<'_> {
    /// Sine and cosine of the part of `x` beyond the nearest multiple `k` of π/2, and `k` modulo 4.
    fn quadrant(&mut self, x: Value) -> (Value, Value, Value) {
        let (large, small, done) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(large);
        let r = self.b.append_block_param(done, types::F64);
        let k = self.b.append_block_param(done, types::I64);
        let magnitude = self.b.ins().fabs(x);
        let beyond = self.when(FloatCC::GreaterThan, magnitude, SMALL);
        self.b.ins().brif(beyond, large, &[], small, &[]);
        self.b.switch_to_block(small);
        let (rest, quarters) = self.reduce_small(x);
        self.b.ins().jump(done, &[BlockArg::Value(rest), BlockArg::Value(quarters)]);
        self.b.switch_to_block(large);
        let (rest, quarters) = self.reduce_large(x);
        self.b.ins().jump(done, &[BlockArg::Value(rest), BlockArg::Value(quarters)]);
        self.b.switch_to_block(done);
        let square = self.b.ins().fmul(r, r);
        let sine = self.polynomial(square, alternating(1));
        let sine = self.b.ins().fmul(sine, r);
        let cosine = self.polynomial(square, alternating(0));
        (sine, cosine, k)
    }

    /// By subtraction of multiples of π/2 in parts; `|x| ≤` [`SMALL`], or NaN.
    fn reduce_small(&mut self, x: Value) -> (Value, Value) {
        let scaled = self.fmul_c(x, FRAC_2_PI);
        let rounded = self.b.ins().nearest(scaled);
        let k = self.b.ins().fcvt_to_sint_sat(types::I64, rounded);
        let mut r = x;
        for part in HALF_PI {
            let step = self.fmul_c(rounded, part);
            r = self.b.ins().fsub(r, step);
        }
        (r, k)
    }

    /// By the bits of 2/π that matter for `x` (Payne and Hanek, "Radian reduction for trigonometric functions", 1983):
    /// `x = m·2^e` with 53 bits in `m`. Bits of 2/π that count in multiples of 4 quarters are left out, 192 bits from
    /// there on are multiplied with `m`, and what comes after them is below 2^-137 of a quarter.
    fn reduce_large(&mut self, x: Value) -> (Value, Value) {
        let bits = self.bits(x);
        let exponent = self.b.ins().ushr_imm_u(bits, 52);
        let exponent = self.b.ins().band_imm_u(exponent, 0x7ff);
        let m = self.b.ins().band_imm_u(bits, (1 << 52) - 1);
        let m = self.b.ins().bor_imm_u(m, 1 << 52);
        // The first bit that counts less than 4 quarters is the one of weight 2, with a word of zeros before 2/π.
        let first = self.b.ins().iadd_imm_s(exponent, 64 - 1075 - 2);
        let word = self.b.ins().ushr_imm_u(first, 6);
        let shift = self.b.ins().band_imm_u(first, 63);
        let mut words = [self.int(0); 4];
        for (i, chosen) in words.iter_mut().enumerate() {
            for (at, bits) in TWO_OVER_PI.windows(4).enumerate() {
                let here = self.b.ins().icmp_imm_s(IntCC::Equal, word, at as i64);
                let bits = self.int(bits[i].cast_signed());
                *chosen = self.b.ins().select(here, bits, *chosen);
            }
        }
        let [w0, w1, w2] = std::array::from_fn(|i| {
            let high = self.b.ins().ishl(words[i], shift);
            // A shift by 64 in two steps.
            let back = self.b.ins().bxor_imm_u(shift, 63);
            let low = self.b.ins().ushr_imm_u(words[i + 1], 1);
            let low = self.b.ins().ushr(low, back);
            self.b.ins().bor(high, low)
        });
        // The low 192 bits of the product; the upper two of them are the quarters.
        let p2 = self.b.ins().imul(m, w2);
        let carry = self.b.ins().umulhi(m, w2);
        let p1 = self.b.ins().imul(m, w1);
        let p1 = self.b.ins().iadd(p1, carry);
        let over = self.b.ins().icmp(IntCC::UnsignedLessThan, p1, carry);
        let over = self.b.ins().uextend(types::I64, over);
        let high = self.b.ins().umulhi(m, w1);
        let p0 = self.b.ins().imul(m, w0);
        let p0 = self.b.ins().iadd(p0, high);
        let p0 = self.b.ins().iadd(p0, over);
        let k = self.b.ins().ushr_imm_u(p0, 62);
        let join = |it: &mut Self, high: Value, low: Value| {
            let (high, low) = (it.b.ins().ishl_imm_u(high, 2), it.b.ins().ushr_imm_u(low, 62));
            it.b.ins().bor(high, low)
        };
        let (f0, f1) = (join(self, p0, p1), join(self, p1, p2));
        // Half a quarter and more is the next quarter less the rest: the fraction as a number with a sign.
        let sign = self.b.ins().sshr_imm_u(f0, 63);
        let k = self.b.ins().isub(k, sign);
        let flip = |it: &mut Self, bits: Value| it.b.ins().bxor(bits, sign);
        let (f0, f1) = (flip(self, f0), flip(self, f1));
        // Its first 64 bits that are not 0; there are some in the upper word, as no f64 is that near to a quarter.
        let zeros = self.b.ins().clz(f0);
        let back = self.b.ins().bxor_imm_u(zeros, 63);
        let low = self.b.ins().ushr_imm_u(f1, 1);
        let low = self.b.ins().ushr(low, back);
        let high = self.b.ins().ishl(f0, zeros);
        let top = self.b.ins().bor(high, low);
        let upper = self.b.ins().band_imm_s(top, !0x7ff);
        let upper = self.b.ins().fcvt_from_uint(types::F64, upper);
        let lower = self.b.ins().band_imm_s(top, 0x7ff);
        let lower = self.b.ins().fcvt_from_uint(types::F64, lower);
        // Times π/2 in two parts.
        let product = self.fmul_c(upper, FRAC_PI_2);
        let small = self.fmul_c(upper, HALF_PI_REST);
        let smaller = self.fmul_c(lower, FRAC_PI_2);
        let small = self.b.ins().fadd(small, smaller);
        let r = self.b.ins().fadd(product, small);
        // 2^(−64 − zeros), with the sign of the fraction and that of x.
        let base = self.int(1023 - 64);
        let power = self.b.ins().isub(base, zeros);
        let power = self.b.ins().ishl_imm_u(power, 52);
        let power = self.float_of_bits(power);
        let r = self.b.ins().fmul(r, power);
        let below = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, sign, 0);
        let negative = self.is_negative_bits(x);
        let turned = self.b.ins().bxor(below, negative);
        let minus = self.b.ins().fneg(r);
        let r = self.b.ins().select(turned, minus, r);
        let minus = self.b.ins().ineg(k);
        let k = self.b.ins().select(negative, minus, k);
        // NaN for ∞.
        let nothing = self.b.ins().fsub(x, x);
        (self.b.ins().fadd(r, nothing), k)
    }

    fn sine_of_quadrant(&mut self, sine: Value, cosine: Value, k: Value) -> Value {
        let odd = self.is_odd(k);
        let value = self.b.ins().select(odd, cosine, sine);
        let half = self.b.ins().sshr_imm_u(k, 1);
        let flip = self.is_odd(half);
        let negated = self.b.ins().fneg(value);
        self.b.ins().select(flip, negated, value)
    }

    /// Sine.
    pub(super) fn sin(&mut self, x: Value) -> Value {
        let (sine, cosine, k) = self.quadrant(x);
        let value = self.sine_of_quadrant(sine, cosine, k);
        self.zero_as_it_is(x, value)
    }

    /// Cosine: the sine a quarter turn later.
    pub(super) fn cos(&mut self, x: Value) -> Value {
        let (sine, cosine, k) = self.quadrant(x);
        let next = self.b.ins().iadd_imm_s(k, 1);
        self.sine_of_quadrant(sine, cosine, next)
    }

    /// Tangent.
    pub(super) fn tan(&mut self, x: Value) -> Value {
        let (sine, cosine, k) = self.quadrant(x);
        let minus = self.b.ins().fneg(cosine);
        let odd = self.is_odd(k);
        let over = self.b.ins().select(odd, minus, sine);
        let under = self.b.ins().select(odd, sine, cosine);
        let value = self.b.ins().fdiv(over, under);
        self.zero_as_it_is(x, value)
    }

    /// `x + x³ P(x²)`, by pairs of terms.
    fn series(&mut self, x: Value, square: Value, coefficients: &[f64]) -> Value {
        let fourth = self.b.ins().fmul(square, square);
        let cube = self.b.ins().fmul(x, square);
        let mut value = None;
        for pair in coefficients.chunks(2).rev() {
            let constant = self.f(pair[0]);
            let pair = match pair.get(1) {
                Some(&linear) => {
                    let linear = self.f(linear);
                    self.multiply_add(square, linear, constant)
                }
                None => constant,
            };
            value = Some(match value {
                Some(value) => self.multiply_add(fourth, value, pair),
                None => pair,
            });
        }
        let value = value.expect("a series has a term");
        self.multiply_add(cube, value, x)
    }

    /// Arctangent: the series of `a`, of `(a − 1)/(a + 1)` and π/4, or of `−1/a` and π/2, with `a = |x|`, and the sign.
    pub(super) fn atan(&mut self, x: Value) -> Value {
        let a = self.b.ins().fabs(x);
        let [middle, far] = BORDERS.map(|it| self.when(FloatCC::GreaterThan, a, it));
        let (one, zero) = (self.f(1.0), self.f(0.0));
        let (less, more) = (self.fadd_c(a, -1.0), self.fadd_c(a, 1.0));
        let over = self.b.ins().select(middle, less, a);
        let over = self.select_c(far, -1.0, over);
        let under = self.b.ins().select(middle, more, one);
        let under = self.b.ins().select(far, a, under);
        let t = self.b.ins().fdiv(over, under);
        let square = self.b.ins().fmul(t, t);
        let angle = self.series(t, square, &ATAN);
        let beside = self.select_c(middle, FRAC_PI_4, zero);
        let beside = self.select_c(far, FRAC_PI_2, beside);
        let angle = self.b.ins().fadd(angle, beside);
        self.b.ins().fcopysign(angle, x)
    }

    /// Whether `|x| > ½`, and the arcsine of `small`, which is `x` or its magnitude `a`, or of `√((1 − a)/2)` if it is.
    fn half(&mut self, a: Value, small: Value) -> (Value, Value) {
        let large = self.when(FloatCC::GreaterThan, a, 0.5);
        let one = self.f(1.0);
        let rest = self.b.ins().fsub(one, a);
        let rest = self.fmul_c(rest, 0.5);
        let (square, root) = (self.b.ins().fmul(a, a), self.b.ins().sqrt(rest));
        let square = self.b.ins().select(large, rest, square);
        let sine = self.b.ins().select(large, root, small);
        (large, self.series(sine, square, &ASIN))
    }

    /// Arcsine: the series up to ½, then `π/2 − 2·asin √((1 − a)/2)`, with `a = |x|`, and the sign; NaN beyond 1.
    pub(super) fn asin(&mut self, x: Value) -> Value {
        let a = self.b.ins().fabs(x);
        let (large, angle) = self.half(a, a);
        let twice = self.b.ins().fadd(angle, angle);
        let quarter = self.f(FRAC_PI_2);
        let beside = self.b.ins().fsub(quarter, twice);
        let angle = self.b.ins().select(large, beside, angle);
        self.b.ins().fcopysign(angle, x)
    }

    /// Arccosine: `π/2 − asin x` up to ½, then `2·asin √((1 − a)/2)` with `a = |x|`, taken from π where `x` is negative.
    pub(super) fn acos(&mut self, x: Value) -> Value {
        let a = self.b.ins().fabs(x);
        let (large, angle) = self.half(a, x);
        let twice = self.b.ins().fadd(angle, angle);
        let (quarter, half) = (self.f(FRAC_PI_2), self.f(PI));
        let small = self.b.ins().fsub(quarter, angle);
        let behind = self.b.ins().fsub(half, twice);
        let negative = self.is_negative_bits(x);
        let far = self.b.ins().select(negative, behind, twice);
        self.b.ins().select(large, far, small)
    }
}
