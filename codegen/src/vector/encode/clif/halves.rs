//! Conversions between binary16 elements and `f32`, eight at a time, where no instruction does it: as much as can be is done
//! in words of 16 bits, of which a register holds twice as many.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::{F32X4, I8X16, I16, I16X8, I32, I32X4};
use cranelift_codegen::ir::{ConstantData, InstBuilder, Value};

use super::Emitter;
use crate::vector::ir::Width;

/// 2¹¹², by which the biases of exponents differ.
const SCALE: f32 = f32::from_bits((112 + 127) << 23);

impl Emitter<'_, '_> {
    /// A 16-bit integer in every lane of 16 bits.
    fn words(&mut self, bits: u16) -> Value {
        let scalar = self.b.ins().iconst(I16, i64::from(bits.cast_signed()));
        self.b.ins().splat(I16X8, scalar)
    }

    fn and_words(&mut self, v: Value, mask: u16) -> Value {
        let mask = self.words(mask);
        self.b.ins().band(v, mask)
    }

    /// Lanes of 32 bits, of which words are the lower and the upper halves: the first four, then the others.
    fn joined(&mut self, low: Value, high: Value) -> [Value; 2] {
        let [low, high] = [low, high].map(|it| self.cast(I8X16, it));
        [0u8, 8].map(|first| {
            let lane = |i: u8| {
                let at = first + 2 * i;
                [at, at + 1, at + 16, at + 17]
            };
            let order: Vec<u8> = (0..4).flat_map(lane).collect();
            let mask = self.b.func.dfg.immediates.push(ConstantData::from(order.as_slice()));
            let both = self.b.ins().shuffle(low, high, mask);
            self.cast(I32X4, both)
        })
    }

    /// Eight binary16 elements as `f32`: the first four, then the others.
    ///
    /// Exponent and fraction go where those of an `f32` are, with the sign, and a product with 2¹¹² mends the bias, also of
    /// subnormals. Infinity and NaN get all bits of the exponent before, and stay what they are. Few constants do, as there
    /// are few registers.
    pub(super) fn halves_to_floats(&mut self, halves: Value) -> [Value; 2] {
        let halves = self.cast(I16X8, halves);
        let (left, right) = (self.b.ins().iconst(I32, 13), self.b.ins().iconst(I32, 3));
        let low = self.b.ins().ishl(halves, left);
        let high = self.b.ins().sshr(halves, right);
        let high = self.and_words(high, 0x8FFF);
        let all = self.words(0x7C00);
        let exponent = self.b.ins().band(halves, all);
        let special = self.b.ins().icmp(IntCC::Equal, exponent, all);
        // The lower ones of these bits are set already.
        let special = self.b.ins().band(special, all);
        let high = self.b.ins().bor(high, special);
        let scale = self.b.ins().f32const(SCALE);
        let scale = self.b.ins().splat(F32X4, scale);
        self.joined(low, high).map(|it| {
            let float = self.cast(F32X4, it);
            self.b.ins().fmul(float, scale)
        })
    }

    /// Two vectors of `f32` as eight binary16 elements, rounded to the nearest, ties to even.
    ///
    /// A sum with 2¹³ times the power of two below a magnitude, and no less than one half, has its last place where a half
    /// has it: the lower word of that sum is the fraction, the leading digit of normal numbers among it, and the upper word
    /// eight times is the exponent in its place. Both together saturate where they are those of NaN.
    pub(super) fn floats_to_halves(&mut self, floats: [Value; 2]) -> Value {
        let bits = floats.map(|it| self.cast(I32X4, it));
        // What is negative saturates to one sign bit, all else to none.
        let signs = self.b.ins().snarrow(bits[0], bits[1]);
        let signs = self.and_words(signs, 0x8000);
        // The exponent of what is added to the least normal half.
        let bias = self.int32((113 + 13) << 23);
        let places = self.int32(8 << 16 | 1);
        let places = self.cast(I16X8, places);
        let [low, high] = bits.map(|it| {
            let (magnitude, above) = self.magnitude_and_power(it);
            let sum = self.b.ins().fadd(magnitude, above);
            let sum = self.cast(I32X4, sum);
            let sum = self.b.ins().isub(sum, bias);
            let sum = self.cast(I16X8, sum);
            self.word_products(sum, places)
        });
        let value = self.b.ins().snarrow(low, high);
        self.b.ins().bor(value, signs)
    }

    /// The magnitude of lanes, infinity as 65536, and 2¹³ times the power of two below it, which is no less than one half.
    fn magnitude_and_power(&mut self, bits: Value) -> (Value, Value) {
        let [magnitudes, powers] = [i32::MAX, 0x7F80_0000].map(|it| self.int32(it));
        let [least, by] = [(113 + 13) << 23, 13 << 23].map(|it| self.int32(it));
        let limit = self.b.ins().f32const(65536.0);
        let limit = self.b.ins().splat(F32X4, limit);
        let magnitude = self.b.ins().band(bits, magnitudes);
        let magnitude = self.cast(F32X4, magnitude);
        // NaN stays.
        let smaller = self.first_if_less(limit, magnitude, [limit, magnitude]);
        let bits = self.cast(I32X4, smaller);
        let power = self.b.ins().band(bits, powers);
        let above = self.b.ins().iadd(power, by);
        let above = self.b.ins().smax(above, least);
        (smaller, self.cast(F32X4, above))
    }

    /// `f32` rounded to what binary16 holds, as in [`Emitter::floats_to_halves`]: a sum less what was added to it.
    pub(super) fn rounded_to_halves(&mut self, x: Value) -> Value {
        let [signs, infinity] = [i32::MIN, 0x7F80_0000].map(|it| self.int32(it));
        let limit = self.b.ins().f32const(65536.0);
        let limit = self.b.ins().splat(F32X4, limit);
        let bits = self.cast(I32X4, x);
        let sign = self.b.ins().band(bits, signs);
        let (smaller, above) = self.magnitude_and_power(bits);
        let sum = self.b.ins().fadd(smaller, above);
        let rounded = self.b.ins().fsub(sum, above);
        let beyond = self.b.ins().fcmp(FloatCC::Equal, rounded, limit);
        let beyond = self.b.ins().band(beyond, infinity);
        let rounded = self.cast(I32X4, rounded);
        let rounded = self.b.ins().bor(rounded, beyond);
        let rounded = self.b.ins().bor(rounded, sign);
        self.cast(F32X4, rounded)
    }

    /// An `i32` in every lane of 32 bits.
    fn int32(&mut self, n: i32) -> Value {
        let scalar = self.b.ins().iconst(I32, i64::from(n));
        self.b.ins().splat(I32X4, scalar)
    }

    /// As many elements from the start of a register as there are lanes, as lanes.
    pub(super) fn halves_to_lanes(&mut self, halves: Value) -> Value {
        let [singles, _] = self.halves_to_floats(halves);
        if self.width == Width::W64 { self.b.ins().fvpromote_low(singles) } else { singles }
    }

    /// Lanes as elements from the start of a register; what follows them is of no account.
    pub(super) fn lanes_to_halves(&mut self, v: Value) -> Value {
        let singles = if self.width == Width::W64 { self.b.ins().fvdemote(v) } else { v };
        self.floats_to_halves([singles; 2])
    }
}
