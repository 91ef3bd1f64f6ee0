//! Loads and stores of vectors, with the conversion between a lane and what memory holds.
//!
//! Cranelift has no vectors of halves on every target, so these are converted by integer operations.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::{F32, F32X4, I8, I8X16, I16, I16X8, I32, I32X4, I64, I64X2};
use cranelift_codegen::ir::{InstBuilder, Value};

use super::{Emitter, memory};
use crate::vector::ir::{Addr, MReg, Storage, VReg};

/// A pointer and an offset.
type Place = (Value, i32);

/// The bits of 2¹¹² as `f32`.
const SCALE: u32 = (112 + 127) << 23;

impl Emitter<'_, '_> {
    /// Four elements as lanes.
    pub(super) fn load(&mut self, (p, at): Place, from: Storage) -> Value {
        let packed = match from.bytes() {
            1 => {
                let four = self.b.ins().load(I32, memory(), p, at);
                let four = self.b.ins().scalar_to_vector(I32X4, four);
                self.cast(I8X16, four)
            }
            2 => {
                let four = self.b.ins().load(I64, memory(), p, at);
                let four = self.b.ins().scalar_to_vector(I64X2, four);
                self.cast(I16X8, four)
            }
            _ => return self.b.ins().load(F32X4, memory(), p, at),
        };
        if from.is_pair() {
            let four = self.cast(I8X16, packed);
            let widen = if from == Storage::I8Pair {
                self.b.ins().swiden_low(four)
            } else {
                self.b.ins().uwiden_low(four)
            };
            return self.cast(F32X4, widen);
        }
        let words = match from {
            Storage::I8 => self.b.ins().swiden_low(packed),
            Storage::U8 => self.b.ins().uwiden_low(packed),
            _ => packed,
        };
        let wide = match from {
            Storage::I8 | Storage::I16 => self.b.ins().swiden_low(words),
            _ => self.b.ins().uwiden_low(words),
        };
        if from == Storage::F16 { self.half_to_float(wide) } else { wide }
    }

    /// Four lanes as elements.
    pub(super) fn store(&mut self, v: Value, (p, at): Place, to: Storage) {
        let v = if to == Storage::F16 { self.float_to_half(v) } else { v };
        let size = to.bytes() as u8;
        if to == Storage::Lane {
            self.b.ins().store(memory(), v, p, at);
            return;
        }
        // The low bytes of each lane side by side.
        let step = if to.is_pair() { 2 } else { 1 };
        let order: Vec<u8> =
            (0..16).map(|i| if i < 4 * size { i / size * 4 + i % size * step } else { 0 }).collect();
        let packed = self.bytes(v, v, &order);
        let packed = if size == 1 {
            let lanes = self.cast(I32X4, packed);
            self.b.ins().extractlane(lanes, 0)
        } else {
            let lanes = self.cast(I64X2, packed);
            self.b.ins().extractlane(lanes, 0)
        };
        self.b.ins().store(memory(), packed, p, at);
    }

    /// One element as an `f32` lane; the bits of a half are not converted yet.
    pub(super) fn load_element(&mut self, (p, at): Place, from: Storage) -> Value {
        let element = match from.bytes() {
            1 => self.b.ins().load(I8, memory(), p, at),
            2 => self.b.ins().load(I16, memory(), p, at),
            _ => return self.b.ins().load(F32, memory(), p, at),
        };
        let wide = match from {
            Storage::I8 | Storage::I16 => self.b.ins().sextend(I32, element),
            _ => self.b.ins().uextend(I32, element),
        };
        if !from.is_pair() {
            return self.cast(F32, wide);
        }
        let low = self.b.ins().ireduce(I8, wide);
        let high = self.b.ins().ushr_imm_u(wide, 8);
        let high = self.b.ins().ireduce(I8, high);
        let [low, high] = [low, high].map(|byte| {
            let half = if from == Storage::I8Pair {
                self.b.ins().sextend(I16, byte)
            } else {
                self.b.ins().uextend(I16, byte)
            };
            self.b.ins().uextend(I32, half)
        });
        let high = self.b.ins().ishl_imm_u(high, 16);
        let both = self.b.ins().bor(low, high);
        self.cast(F32, both)
    }

    /// One lane as an element; a half is converted already.
    pub(super) fn store_element(&mut self, v: Value, lane: u8, (p, at): Place, to: Storage) {
        if to == Storage::Lane {
            let scalar = self.b.ins().extractlane(v, lane);
            self.b.ins().store(memory(), scalar, p, at);
            return;
        }
        let lanes = if self.b.func.dfg.value_type(v) == I32X4 { v } else { self.cast(I32X4, v) };
        let mut scalar = self.b.ins().extractlane(lanes, lane);
        if to.is_pair() {
            let low = self.b.ins().band_imm_u(scalar, 0xFF);
            let high = self.b.ins().ushr_imm_u(scalar, 8);
            let high = self.b.ins().band_imm_u(high, 0xFF00);
            scalar = self.b.ins().bor(low, high);
        }
        let scalar = self.b.ins().ireduce(if to.bytes() == 1 { I8 } else { I16 }, scalar);
        self.b.ins().store(memory(), scalar, p, at);
    }

    pub(super) fn load_masked(&mut self, dst: VReg, addr: Addr, from: Storage, mask: MReg) {
        let (p, at) = self.addr(addr);
        let v = self.if_all_active(
            mask,
            |e| {
                let v = e.load((p, at), from);
                e.floats(v)
            },
            |e| {
                let zero = e.splat(0);
                let v = e.active_lanes(mask, zero, |e, lane, vector| {
                    let at = at + from.bytes() as i32 * i32::from(lane);
                    let scalar = e.load_element((p, at), from);
                    e.b.ins().insertlane(vector, scalar, lane)
                });
                if from == Storage::F16 { e.half_to_float(v) } else { v }
            },
        );
        self.set(dst, v);
    }

    pub(super) fn store_masked(&mut self, src: VReg, addr: Addr, to: Storage, mask: MReg) {
        let (v, (p, at)) = (self.v(src), self.addr(addr));
        self.if_all_active(
            mask,
            |e| {
                e.store(v, (p, at), to);
                v
            },
            |e| {
                let converted = if to == Storage::F16 { e.float_to_half(v) } else { v };
                e.active_lanes(mask, v, |e, lane, vector| {
                    let at = at + to.bytes() as i32 * i32::from(lane);
                    e.store_element(converted, lane, (p, at), to);
                    vector
                })
            },
        );
    }

    fn floats(&mut self, v: Value) -> Value {
        if self.b.func.dfg.value_type(v) == F32X4 { v } else { self.cast(F32X4, v) }
    }

    fn ints(&mut self, v: Value) -> Value {
        if self.b.func.dfg.value_type(v) == I32X4 { v } else { self.cast(I32X4, v) }
    }

    fn shift_left(&mut self, v: Value, by: i64) -> Value {
        let by = self.b.ins().iconst(I32, by);
        self.b.ins().ishl(v, by)
    }

    fn shift_right(&mut self, v: Value, by: i64) -> Value {
        let by = self.b.ins().iconst(I32, by);
        self.b.ins().ushr(v, by)
    }

    fn and(&mut self, v: Value, mask: i32) -> Value {
        let mask = self.int_splat(mask);
        self.b.ins().band(v, mask)
    }

    /// The `f32` of binary16 bits in `i32` lanes.
    ///
    /// Exponent and fraction go where those of an `f32` are, and a product with 2¹¹² mends the bias, also of subnormals.
    pub(super) fn half_to_float(&mut self, halves: Value) -> Value {
        let h = self.ints(halves);
        let magnitude = self.and(h, 0x7FFF);
        let sign = self.b.ins().bxor(h, magnitude);
        let sign = self.shift_left(sign, 16);
        let shifted = self.shift_left(magnitude, 13);
        let (shifted_float, scale) = (self.floats(shifted), self.splat(SCALE));
        let finite = self.b.ins().fmul(shifted_float, scale);
        let finite = self.ints(finite);
        // Infinity and NaN keep their fraction, and a NaN becomes a quiet one.
        let (limit, exponent) = (self.int_splat(0x7BFF), self.int_splat(0x7F80_0000));
        let special = self.b.ins().icmp(IntCC::SignedGreaterThan, magnitude, limit);
        let special_bits = self.b.ins().bor(shifted, exponent);
        let infinity = self.int_splat(0x7C00);
        let nan = self.b.ins().icmp(IntCC::SignedGreaterThan, magnitude, infinity);
        let quiet = self.and(nan, 1 << 22);
        let special_bits = self.b.ins().bor(special_bits, quiet);
        let value = self.b.ins().bitselect(special, special_bits, finite);
        let value = self.b.ins().bor(value, sign);
        self.floats(value)
    }

    /// The binary16 bits, in `i32` lanes, of `f32` lanes, rounded to the nearest, ties to even.
    pub(super) fn float_to_half(&mut self, v: Value) -> Value {
        let x = self.ints(v);
        let magnitude = self.and(x, i32::MAX);
        let sign = self.b.ins().bxor(x, magnitude);
        let sign = self.shift_right(sign, 16);
        // Normal numbers: another bias, then half of the last place is added, a little less for even fractions.
        let (bias, almost_half) = (self.int_splat(112 << 23), self.int_splat(0xFFF));
        let rebased = self.b.ins().isub(magnitude, bias);
        let odd = self.shift_right(rebased, 13);
        let odd = self.and(odd, 1);
        let rounded = self.b.ins().iadd(rebased, almost_half);
        let rounded = self.b.ins().iadd(rounded, odd);
        let normal = self.shift_right(rounded, 13);
        let infinity = self.int_splat(0x7C00);
        let normal = self.b.ins().smin(normal, infinity);
        // Subnormal numbers: the last place of a sum with one half is that of the smallest half.
        let (half, half_bits) = (self.splat(0.5f32.to_bits()), self.int_splat(0.5f32.to_bits() as i32));
        let magnitude_float = self.floats(magnitude);
        let sum = self.b.ins().fadd(magnitude_float, half);
        let sum = self.ints(sum);
        let subnormal = self.b.ins().isub(sum, half_bits);
        let smallest = self.int_splat(113 << 23);
        let is_small = self.b.ins().icmp(IntCC::SignedLessThan, magnitude, smallest);
        let finite = self.b.ins().bitselect(is_small, subnormal, normal);
        let float = self.floats(x);
        let unordered = self.b.ins().fcmp(FloatCC::Unordered, float, float);
        let fraction = self.shift_right(magnitude, 13);
        let quiet = self.int_splat(0x7E00);
        let nan = self.b.ins().bor(fraction, quiet);
        let nan = self.and(nan, 0x7FFF);
        let value = self.b.ins().bitselect(unordered, nan, finite);
        self.b.ins().bor(value, sign)
    }
}
