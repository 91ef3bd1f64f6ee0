//! Conversions between integers and floats of 64 bits, for which targets have instructions of one lane at best: halves of
//! integers are the low bits of numbers that are known otherwise.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{InstBuilder, Value};

use super::Emitter;
use crate::vector::SMALL;
use crate::vector::ir::ShiftOp;

impl Emitter<'_, '_> {
    /// A float in every lane, by its bits as an integer.
    fn known(&mut self, value: f64) -> [Value; 2] {
        let bits = self.int_splat(value.to_bits().cast_signed());
        [bits, self.cast(self.float, bits)]
    }

    /// `i64` to the nearest `f64`: all but the last sum is exact.
    pub(super) fn ints_to_doubles(&mut self, i: Value) -> Value {
        // 2⁵² + low half.
        let ([bits, _], half) = (self.known(2f64.powi(52)), self.int_splat(0xFFFF_FFFF));
        let low = self.b.ins().band(i, half);
        let low = self.b.ins().bor(low, bits);
        // 2⁸⁴ + 2⁶³ + 2³² · high half, by the sign bit taken as one of 2³¹.
        let high = self.shift(ShiftOp::RightLogical, i, 32);
        let [bits, _] = self.known(f64::from_bits(2f64.powi(84).to_bits() ^ 1 << 31));
        let high = self.b.ins().bxor(high, bits);
        let [_, known] = self.known(2f64.powi(84) + 2f64.powi(63) + 2f64.powi(52));
        let [low, high] = [low, high].map(|it| self.cast(self.float, it));
        let high = self.b.ins().fsub(high, known);
        self.b.ins().fadd(high, low)
    }

    /// `f64` to `i64` by truncation. What is out of range is saturated, NaN 0, or the least integer.
    pub(super) fn doubles_to_ints(&mut self, x: Value, saturated: bool) -> Value {
        let [_, limit] = self.known(2f64.powi(63));
        let whole = self.b.ins().trunc(x);
        // The high half, a whole number of 2³², and the low half, at least 0.
        let ([_, down], [_, up]) = (self.known(2f64.powi(-32)), self.known(2f64.powi(32)));
        let high = self.b.ins().fmul(whole, down);
        let high = self.b.ins().floor(high);
        let above = self.b.ins().fmul(high, up);
        let low = self.b.ins().fsub(whole, above);
        let ([_, small], [bits, positive]) = (self.known(SMALL), self.known(2f64.powi(52)));
        let high = self.b.ins().fadd(high, small);
        let low = self.b.ins().fadd(low, positive);
        let [low, high] = [low, high].map(|it| self.cast(self.int, it));
        let low = self.b.ins().bxor(low, bits);
        let high = self.shift(ShiftOp::Left, high, 32);
        let value = self.b.ins().bor(low, high);
        let least = self.int_splat(i64::MIN);
        if !saturated {
            let magnitude = self.b.ins().fabs(x);
            let fits = self.b.ins().fcmp(FloatCC::LessThan, magnitude, limit);
            return self.b.ins().bitselect(fits, value, least);
        }
        let lowest = self.b.ins().fneg(limit);
        let fits = self.b.ins().fcmp(FloatCC::GreaterThanOrEqual, x, lowest);
        let value = self.b.ins().bitselect(fits, value, least);
        let beyond = self.b.ins().fcmp(FloatCC::GreaterThanOrEqual, x, limit);
        let most = self.int_splat(i64::MAX);
        let value = self.b.ins().bitselect(beyond, most, value);
        let number = self.b.ins().fcmp(FloatCC::Equal, x, x);
        self.b.ins().band(value, number)
    }
}
