//! Circular functions and their inverses.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value, types};
use std::f64::consts::{FRAC_2_PI, FRAC_PI_2, FRAC_PI_6, PI};

use crate::clif::unit::FunctionCx;
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

    /// Arctangent: `π/2 − atan(1/a)` above 1, then `π/6 + atan((a√3 − 1)/(a + √3))` above tan(π/12).
    pub(super) fn atan(&mut self, x: Value) -> Value {
        let a = self.b.ins().fabs(x);
        let one = self.f(1.0);
        let above = self.when(FloatCC::GreaterThan, a, 1.0);
        let inverse = self.b.ins().fdiv(one, a);
        let reduced = self.b.ins().select(above, inverse, a);
        let root = 3f64.sqrt();
        let middle = self.when(FloatCC::GreaterThan, reduced, 2.0 - root);
        let over = self.fmul_c(reduced, root);
        let over = self.fadd_c(over, -1.0);
        let under = self.fadd_c(reduced, root);
        let shifted = self.b.ins().fdiv(over, under);
        let r = self.b.ins().select(middle, shifted, reduced);
        let square = self.b.ins().fmul(r, r);
        let series = (0..16u32).map(|n| (if n % 2 == 0 { 1.0 } else { -1.0 }) / f64::from(2 * n + 1));
        let series = self.polynomial(square, series);
        let angle = self.b.ins().fmul(series, r);
        let raised = self.fadd_c(angle, FRAC_PI_6);
        let angle = self.b.ins().select(middle, raised, angle);
        let right = self.f(FRAC_PI_2);
        let complement = self.b.ins().fsub(right, angle);
        let angle = self.b.ins().select(above, complement, angle);
        self.b.ins().fcopysign(angle, x)
    }

    /// `√((1 − x)(1 + x))`, NaN outside [−1, 1].
    fn leg(&mut self, x: Value) -> Value {
        let one = self.f(1.0);
        let less = self.b.ins().fsub(one, x);
        let more = self.fadd_c(x, 1.0);
        let product = self.b.ins().fmul(less, more);
        self.b.ins().sqrt(product)
    }

    /// `atan(x/√(1 − x²))`.
    pub(super) fn asin(&mut self, x: Value) -> Value {
        let leg = self.leg(x);
        let quotient = self.b.ins().fdiv(x, leg);
        self.atan(quotient)
    }

    /// `2·atan(√(1 − x²)/(1 + x))`.
    pub(super) fn acos(&mut self, x: Value) -> Value {
        let leg = self.leg(x);
        let sum = self.fadd_c(x, 1.0);
        let quotient = self.b.ins().fdiv(leg, sum);
        let half = self.atan(quotient);
        let angle = self.b.ins().fadd(half, half);
        // At −1 the quotient is 0/0.
        let minus = self.when(FloatCC::Equal, x, -1.0);
        self.select_c(minus, PI, angle)
    }
}
