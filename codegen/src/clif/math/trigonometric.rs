//! Circular functions and their inverses.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use std::f64::consts::{FRAC_2_PI, FRAC_PI_2, FRAC_PI_6, PI};

use super::reciprocal_factorials;
use crate::clif::unit::FunctionCx;

/// π/2 in three parts; the first two have 33 bits, so that their products with integers below 2^20 are exact.
const HALF_PI: [f64; 3] = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21];

impl FunctionCx<'_> {
    /// Sine and cosine of the part of `x` beyond the nearest multiple `k` of π/2, and `k`.
    ///
    /// Beyond 10^6 the reduction loses one bit of the result for each bit of `x`, so that nothing but the range of the
    /// result is right from 2^53 on.
    fn quadrant(&mut self, x: Value) -> (Value, Value, Value) {
        let scaled = self.fmul_c(x, FRAC_2_PI);
        let rounded = self.b.ins().nearest(scaled);
        let k = self.b.ins().fcvt_to_sint_sat(types::I64, rounded);
        let mut r = x;
        for part in HALF_PI {
            let step = self.fmul_c(rounded, part);
            r = self.b.ins().fsub(r, step);
        }
        // Where the reduction has lost all bits, any angle is as good.
        let r = self.clamp(r, -0.8, 0.8);
        let square = self.b.ins().fmul(r, r);
        let factorials = reciprocal_factorials(20);
        let alternating = |first: usize| {
            let factorials = factorials.clone();
            (0..9usize).map(move |n| {
                let sign = if n % 2 == 0 { 1.0 } else { -1.0 };
                sign * factorials[2 * n + first]
            })
        };
        let sine = self.polynomial(square, alternating(1));
        let sine = self.b.ins().fmul(sine, r);
        let cosine = self.polynomial(square, alternating(0));
        (sine, cosine, k)
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
        self.sine_of_quadrant(sine, cosine, k)
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
        self.b.ins().fdiv(over, under)
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
