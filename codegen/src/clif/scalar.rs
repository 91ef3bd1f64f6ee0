//! Scalar values: how each element type is held, loaded, stored, converted and computed with.
//!
//! Floats of 8 and 16 bits are held as f32 and rounded when stored; booleans are bytes that are 0 or 1; what is only moved is
//! held as integers of its size.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value, types};
use orogen_ir::loops::{BinaryOp, Combine, CompareOp, UnaryOp};
use orogen_ir::types::{DType, FloatFormat};

use super::support::Support;
use super::unit::FunctionCx;

/// The Cranelift type that holds a value.
pub(crate) fn held(dtype: DType) -> Type {
    match (dtype.is_float(), dtype.compute().bits()) {
        (true, 32) => types::F32,
        (true, _) => types::F64,
        (false, 8) => types::I8,
        (false, 16) => types::I16,
        (false, 32) => types::I32,
        (false, 64) => types::I64,
        // Only moved.
        (false, _) => types::I64X2,
    }
}

/// The format of a float of 8 bits.
fn narrow_format(dtype: DType) -> Option<FloatFormat> {
    dtype.float_format().filter(|_| dtype.bits() == 8)
}

/// Flags of an access to tensor memory: it does not trap, and may be misaligned.
pub(crate) fn memory() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

impl FunctionCx<'_> {
    /// Loads one element.
    pub(crate) fn load_element(&mut self, dtype: DType, address: Value, offset: i32) -> Value {
        match dtype {
            DType::F16 => {
                let half = self.b.ins().uload16(types::I32, memory(), address, offset);
                self.f16_to_f32(half)
            }
            DType::BF16 => {
                let half = self.b.ins().uload16(types::I32, memory(), address, offset);
                let bits = self.b.ins().ishl_imm_u(half, 16);
                self.b.ins().bitcast(types::F32, MemFlagsData::new(), bits)
            }
            _ => match narrow_format(dtype) {
                Some(format) => {
                    let bits = self.b.ins().uload8(types::I32, memory(), address, offset);
                    self.narrow_to_f32(format, bits)
                }
                None => {
                    let value = self.b.ins().load(held(dtype), memory(), address, offset);
                    if dtype.is_only_stored() { self.wrap_narrow(dtype, value) } else { value }
                }
            },
        }
    }

    /// The byte that element `position` is in, and by how many bits it is shifted there, where several share one.
    pub(crate) fn place_in_byte(&mut self, dtype: DType, base: Value, position: Value) -> (Value, Value) {
        let in_a_byte = dtype.in_a_byte();
        let byte = self.b.ins().sshr_imm_u(position, i64::from(in_a_byte.trailing_zeros()));
        let nth = self.b.ins().band_imm_u(position, in_a_byte as i64 - 1);
        let shift = self.b.ins().imul_imm_s(nth, i64::from(dtype.width()));
        (self.b.ins().iadd(base, byte), shift)
    }

    /// Loads one element of several in a byte.
    pub(crate) fn load_packed(&mut self, dtype: DType, byte: Value, shift: Value) -> Value {
        let bits = self.b.ins().uload8(types::I32, memory(), byte, 0);
        let bits = self.b.ins().ushr(bits, shift);
        match narrow_format(dtype) {
            Some(format) => {
                let bits = self.b.ins().band_imm_u(bits, (1 << dtype.width()) - 1);
                self.narrow_to_f32(format, bits)
            }
            None => {
                let bits = self.b.ins().ireduce(types::I8, bits);
                self.wrap_narrow(dtype, bits)
            }
        }
    }

    /// Stores one element.
    pub(crate) fn store_element(&mut self, dtype: DType, value: Value, address: Value, offset: i32) {
        let value = match dtype {
            DType::F16 => self.f32_to_f16(value),
            DType::BF16 => self.f32_to_bf16(value),
            _ => match narrow_format(dtype) {
                Some(format) => {
                    let bits = self.f32_to_narrow(format, value);
                    self.b.ins().ireduce(types::I8, bits)
                }
                None if dtype.is_only_stored() => self.wrap_narrow(dtype, value),
                None => value,
            },
        };
        self.b.ins().store(memory(), value, address, offset);
    }

    /// `half` holds the 16 bits in an `I32`.
    fn f16_to_f32(&mut self, half: Value) -> Value {
        let ins = |cx: &mut Self, bits: i64| cx.b.ins().iconst(types::I32, bits);
        let sign = self.b.ins().band_imm_u(half, 0x8000);
        let sign = self.b.ins().ishl_imm_u(sign, 16);
        let rest = self.b.ins().band_imm_u(half, 0x7fff);
        let rest = self.b.ins().ishl_imm_u(rest, 13);
        // As an f32, `rest` is the value times 2^-112, subnormal or not.
        let scaled = self.b.ins().bitcast(types::F32, MemFlagsData::new(), rest);
        let scale = self.b.ins().f32const(2f32.powi(112));
        let scaled = self.b.ins().fmul(scaled, scale);
        let finite = self.b.ins().bitcast(types::I32, MemFlagsData::new(), scaled);
        let exponent = ins(self, 0x7f80_0000);
        let special = self.b.ins().bor(rest, exponent);
        let is_special = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, rest, 0x0f80_0000);
        let bits = self.b.ins().select(is_special, special, finite);
        let bits = self.b.ins().bor(bits, sign);
        self.b.ins().bitcast(types::F32, MemFlagsData::new(), bits)
    }

    /// Rounds to nearest, ties to even; the result is an `I16`.
    fn f32_to_f16(&mut self, value: Value) -> Value {
        let ins = |cx: &mut Self, bits: i64| cx.b.ins().iconst(types::I32, bits);
        let bits = self.b.ins().bitcast(types::I32, MemFlagsData::new(), value);
        let sign = self.b.ins().band_imm_u(bits, 0x8000_0000);
        let sign = self.b.ins().ushr_imm_u(sign, 16);
        let magnitude = self.b.ins().band_imm_u(bits, 0x7fff_ffff);
        // Normal results: move the exponent, add half an ulp and the parity bit, cut.
        let odd = self.b.ins().ushr_imm_u(magnitude, 13);
        let odd = self.b.ins().band_imm_u(odd, 1);
        let moved = self.b.ins().iadd_imm_u(magnitude, 0xc800_0fff);
        let moved = self.b.ins().iadd(moved, odd);
        let normal = self.b.ins().ushr_imm_u(moved, 13);
        // Subnormal results: adding 0.5 rounds at the right bit.
        let float = self.b.ins().bitcast(types::F32, MemFlagsData::new(), magnitude);
        let half = self.b.ins().f32const(0.5f32);
        let float = self.b.ins().fadd(float, half);
        let small = self.b.ins().bitcast(types::I32, MemFlagsData::new(), float);
        let small = self.b.ins().iadd_imm_u(small, 0xc100_0000);
        let is_small = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, magnitude, 0x3880_0000);
        let finite = self.b.ins().select(is_small, small, normal);
        let (infinity, nan) = (ins(self, 0x7c00), ins(self, 0x7e00));
        let is_nan = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, magnitude, 0x7f80_0000);
        let special = self.b.ins().select(is_nan, nan, infinity);
        let is_special = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, magnitude, 0x4780_0000);
        let half = self.b.ins().select(is_special, special, finite);
        let half = self.b.ins().bor(half, sign);
        self.b.ins().ireduce(types::I16, half)
    }

    /// Rounds to nearest, ties to even; the result is an `I16`.
    fn f32_to_bf16(&mut self, value: Value) -> Value {
        let bits = self.b.ins().bitcast(types::I32, MemFlagsData::new(), value);
        let odd = self.b.ins().ushr_imm_u(bits, 16);
        let odd = self.b.ins().band_imm_u(odd, 1);
        let rounded = self.b.ins().iadd_imm_u(bits, 0x7fff);
        let rounded = self.b.ins().iadd(rounded, odd);
        let nan = self.b.ins().iconst(types::I32, 0x7fc0_0000);
        let is_nan = self.b.ins().fcmp(FloatCC::Unordered, value, value);
        let bits = self.b.ins().select(is_nan, nan, rounded);
        let bits = self.b.ins().ushr_imm_u(bits, 16);
        self.b.ins().ireduce(types::I16, bits)
    }

    /// A constant of the given element type.
    pub(crate) fn constant(&mut self, dtype: DType, value: f64) -> Value {
        match held(dtype) {
            types::F32 => self.b.ins().f32const(value as f32),
            types::F64 => self.b.ins().f64const(value),
            _ if dtype == DType::Bool => self.b.ins().iconst(types::I8, i64::from(value != 0.0)),
            _ => self.int_constant(dtype, dtype.saturate(value)),
        }
    }

    /// An integer or boolean constant; floats convert.
    pub(crate) fn int_constant(&mut self, dtype: DType, value: i64) -> Value {
        match held(dtype) {
            types::F32 => self.b.ins().f32const(value as f32),
            types::F64 => self.b.ins().f64const(value as f64),
            types::I64X2 => {
                let half = self.b.ins().iconst(types::I64, value);
                self.b.ins().splat(types::I64X2, half)
            }
            it => {
                // The immediate of a narrow constant must fit its type.
                let mask = if it.bits() == 64 { u64::MAX } else { (1 << it.bits()) - 1 };
                self.b.ins().iconst(it, value & mask.cast_signed())
            }
        }
    }

    /// The 64-bit integer `value` as an element.
    pub(crate) fn element_of_index(&mut self, dtype: DType, value: Value) -> Value {
        self.cast(DType::I64, dtype, value)
    }

    /// An integer element as a 64-bit integer.
    pub(crate) fn index_of_element(&mut self, dtype: DType, value: Value) -> Value {
        self.cast(dtype, DType::I64, value)
    }

    /// Converts between element types.
    pub(crate) fn cast(&mut self, from: DType, to: DType, value: Value) -> Value {
        if from == to {
            return value;
        }
        let (source, target) = (held(from), held(to));
        if to == DType::Bool {
            return if from == DType::Str {
                let empty = self.b.ins().iconst(types::I64, 0);
                let equal = self.equal_strings(value, empty);
                self.b.ins().icmp_imm_s(IntCC::Equal, equal, 0)
            } else if let Some(part) = from.component() {
                self.is_nonzero_complex(part, value)
            } else if from.is_float() {
                let zero = self.constant(from, 0.0);
                self.b.ins().fcmp(FloatCC::NotEqual, value, zero)
            } else {
                self.b.ins().icmp_imm_s(IntCC::NotEqual, value, 0)
            };
        }
        match (from.is_float(), to.is_float()) {
            (true, true) => {
                let value = match (source, target) {
                    (types::F32, types::F64) => self.b.ins().fpromote(types::F64, value),
                    (types::F64, types::F32) if to == DType::F32 => self.b.ins().fdemote(types::F32, value),
                    (types::F64, types::F32) => self.demote_to_odd(value),
                    _ => value,
                };
                self.round_half(to, value)
            }
            (false, true) if to.is_rounded_twice(from, DType::F32.digits()) => {
                let wide = self.wide_to_odd(from, value);
                let value = self.demote_to_odd(wide);
                self.round_half(to, value)
            }
            (false, true) => {
                let value = if from == DType::U64 {
                    self.b.ins().fcvt_from_uint(target, value)
                } else {
                    let wide = self.widen(from, value);
                    self.b.ins().fcvt_from_sint(target, wide)
                };
                self.round_half(to, value)
            }
            (true, false) => {
                let wide = if target == types::I64 { types::I64 } else { types::I32 };
                let value = if to.is_signed_int() {
                    self.b.ins().fcvt_to_sint_sat(wide, value)
                } else {
                    self.b.ins().fcvt_to_uint_sat(wide, value)
                };
                let value = match (to.bits() < 32, to.is_signed_int()) {
                    (true, true) => {
                        let ends = [f64::NEG_INFINITY, f64::INFINITY].map(|it| to.saturate(it));
                        let [least, most] = ends.map(|it| self.b.ins().iconst(types::I32, it & 0xffff_ffff));
                        let value = self.b.ins().smax(value, least);
                        self.b.ins().smin(value, most)
                    }
                    (true, false) => {
                        let most = self.b.ins().iconst(types::I32, to.saturate(f64::INFINITY));
                        self.b.ins().umin(value, most)
                    }
                    (false, _) => value,
                };
                self.narrow(target, value)
            }
            (false, false) if to.is_only_stored() => {
                let value = self.narrow(target, value);
                self.wrap_narrow(to, value)
            }
            (false, false) if source.bits() < target.bits() => {
                let signed = from.is_signed_int();
                if signed { self.b.ins().sextend(target, value) } else { self.b.ins().uextend(target, value) }
            }
            (false, false) => self.narrow(target, value),
        }
    }

    /// Whether two strings are equal, as an `I32`.
    fn equal_strings(&mut self, x: Value, y: Value) -> Value {
        self.support(Support::EqualStrings, &[x, y]).expect("one result")
    }

    /// Whether a part of a complex number is not 0.
    fn is_nonzero_complex(&mut self, part: DType, value: Value) -> Value {
        if part.bits() == 32 {
            let magnitude = self.b.ins().band_imm_s(value, 0x7fff_ffff_7fff_ffff);
            return self.b.ins().icmp_imm_s(IntCC::NotEqual, magnitude, 0);
        }
        let [re, im] = [0, 1].map(|lane| self.b.ins().extractlane(value, lane));
        let both = self.b.ins().bor(re, im);
        let magnitude = self.b.ins().band_imm_s(both, i64::MAX);
        self.b.ins().icmp_imm_s(IntCC::NotEqual, magnitude, 0)
    }

    /// An f64 as the f32 that is odd if it is not exact; see [`orogen_ir::types::f32_to_odd`].
    fn demote_to_odd(&mut self, value: Value) -> Value {
        let nearest = self.b.ins().fdemote(types::F32, value);
        let back = self.b.ins().fpromote(types::F64, nearest);
        let inexact = self.b.ins().fcmp(FloatCC::NotEqual, back, value);
        let (far, near) = (self.b.ins().fabs(back), self.b.ins().fabs(value));
        let above = self.b.ins().fcmp(FloatCC::GreaterThan, far, near);
        let bits = self.b.ins().bitcast(types::I32, MemFlagsData::new(), nearest);
        let above = self.b.ins().uextend(types::I32, above);
        let bits = self.b.ins().isub(bits, above);
        let inexact = self.b.ins().uextend(types::I32, inexact);
        let bits = self.b.ins().bor(bits, inexact);
        self.b.ins().bitcast(types::F32, MemFlagsData::new(), bits)
    }

    /// An integer as the f64 that is odd if it is not exact; see [`orogen_ir::types::f64_to_odd`].
    fn wide_to_odd(&mut self, from: DType, value: Value) -> Value {
        let wide = self.widen(from, value);
        if from.size() < 8 {
            return self.b.ins().fcvt_from_sint(types::F64, wide);
        }
        let low = self.b.ins().band_imm_s(wide, 0x7ff);
        let cut = self.b.ins().icmp_imm_s(IntCC::NotEqual, low, 0);
        let cut = self.b.ins().uextend(types::I64, cut);
        let sticky = self.b.ins().ishl_imm_u(cut, 11);
        let high = self.b.ins().band_imm_s(wide, !0x7ff);
        let odd = self.b.ins().bor(high, sticky);
        // In ±2⁵³ everything is exact.
        let moved = if from == DType::U64 { wide } else { self.b.ins().iadd_imm_s(wide, 1 << 53) };
        let limit = if from == DType::U64 { 1 << 53 } else { 1 << 54 };
        let exact = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, moved, limit);
        let wide = self.b.ins().select(exact, wide, odd);
        if from == DType::U64 {
            self.b.ins().fcvt_from_uint(types::F64, wide)
        } else {
            self.b.ins().fcvt_from_sint(types::F64, wide)
        }
    }

    /// Rounds a held value to a float of 16 or 8 bits; other types are exact already.
    fn round_half(&mut self, to: DType, value: Value) -> Value {
        match to {
            DType::F16 => {
                let half = self.f32_to_f16(value);
                let half = self.b.ins().uextend(types::I32, half);
                self.f16_to_f32(half)
            }
            DType::BF16 => {
                let half = self.f32_to_bf16(value);
                let half = self.b.ins().uextend(types::I32, half);
                let bits = self.b.ins().ishl_imm_u(half, 16);
                self.b.ins().bitcast(types::F32, MemFlagsData::new(), bits)
            }
            _ => match narrow_format(to) {
                Some(format) => {
                    let bits = self.f32_to_narrow(format, value);
                    self.narrow_to_f32(format, bits)
                }
                None => value,
            },
        }
    }

    fn widen(&mut self, from: DType, value: Value) -> Value {
        match held(from) {
            types::I64 => value,
            _ if from.is_signed_int() => self.b.ins().sextend(types::I64, value),
            _ => self.b.ins().uextend(types::I64, value),
        }
    }

    fn narrow(&mut self, target: Type, value: Value) -> Value {
        let source = self.b.func.dfg.value_type(value);
        if source == target { value } else { self.b.ins().ireduce(target, value) }
    }

    /// An operation of one operand of type `dtype`.
    pub(crate) fn unary(&mut self, op: UnaryOp, dtype: DType, x: Value) -> Value {
        if !dtype.is_float() {
            return self.unary_int(op, dtype, x);
        }
        self.unary_float(op, dtype, x)
    }

    fn unary_int(&mut self, op: UnaryOp, dtype: DType, x: Value) -> Value {
        match op {
            UnaryOp::Neg => self.b.ins().ineg(x),
            UnaryOp::Abs if dtype.is_signed_int() => self.b.ins().iabs(x),
            UnaryOp::Sign => {
                let [zero, one, minus] = [0, 1, -1].map(|it| self.int_constant(dtype, it));
                let positive = self.b.ins().icmp(IntCC::NotEqual, x, zero);
                let sign = self.b.ins().select(positive, one, zero);
                if !dtype.is_signed_int() {
                    return sign;
                }
                let negative = self.b.ins().icmp(IntCC::SignedLessThan, x, zero);
                self.b.ins().select(negative, minus, sign)
            }
            UnaryOp::Not => self.b.ins().icmp_imm_s(IntCC::Equal, x, 0),
            UnaryOp::BitNot => self.b.ins().bnot(x),
            UnaryOp::IsNan | UnaryOp::IsInf => self.b.ins().iconst(types::I8, 0),
            _ => x,
        }
    }

    /// An operation of two operands of type `dtype`.
    pub(crate) fn binary(&mut self, op: BinaryOp, dtype: DType, x: Value, y: Value) -> Value {
        if !dtype.is_float() {
            return self.binary_int(op, dtype, x, y);
        }
        match op {
            BinaryOp::Add => self.b.ins().fadd(x, y),
            BinaryOp::Sub => self.b.ins().fsub(x, y),
            BinaryOp::Mul => self.b.ins().fmul(x, y),
            BinaryOp::Div => self.b.ins().fdiv(x, y),
            BinaryOp::Max => self.b.ins().fmax(x, y),
            BinaryOp::Min => self.b.ins().fmin(x, y),
            BinaryOp::Pow => self.float_power(x, y),
            BinaryOp::Fmod => self.float_remainder(x, y),
            BinaryOp::Mod => {
                let rest = self.float_remainder(x, y);
                let zero = self.constant(dtype, 0.0);
                let wrapped = self.b.ins().fadd(rest, y);
                let low = self.b.ins().fcmp(FloatCC::LessThan, rest, zero);
                let below = self.b.ins().fcmp(FloatCC::LessThan, y, zero);
                let opposite = self.b.ins().bxor(low, below);
                let inexact = self.b.ins().fcmp(FloatCC::NotEqual, rest, zero);
                let wrap = self.b.ins().band(opposite, inexact);
                self.b.ins().select(wrap, wrapped, rest)
            }
            // Laws of the loop IR: these are for integers and booleans.
            BinaryOp::And | BinaryOp::Or | BinaryOp::Xor | BinaryOp::Shl | BinaryOp::Shr => x,
        }
    }

    fn binary_int(&mut self, op: BinaryOp, dtype: DType, x: Value, y: Value) -> Value {
        let signed = dtype.is_signed_int();
        match op {
            BinaryOp::Add if dtype == DType::Bool => self.b.ins().bor(x, y),
            BinaryOp::Mul if dtype == DType::Bool => self.b.ins().band(x, y),
            BinaryOp::Add => self.b.ins().iadd(x, y),
            BinaryOp::Sub => self.b.ins().isub(x, y),
            BinaryOp::Mul => self.b.ins().imul(x, y),
            BinaryOp::Max if signed => self.b.ins().smax(x, y),
            BinaryOp::Max => self.b.ins().umax(x, y),
            BinaryOp::Min if signed => self.b.ins().smin(x, y),
            BinaryOp::Min => self.b.ins().umin(x, y),
            BinaryOp::And => self.b.ins().band(x, y),
            BinaryOp::Or => self.b.ins().bor(x, y),
            BinaryOp::Xor => self.b.ins().bxor(x, y),
            BinaryOp::Div | BinaryOp::Mod | BinaryOp::Fmod => self.divide(op, dtype, x, y),
            BinaryOp::Pow => {
                let [base, exponent] = [x, y].map(|it| self.index_of_element(dtype, it));
                let power = self.int_power(base, exponent);
                self.element_of_index(dtype, power)
            }
            // Amounts count modulo the width.
            BinaryOp::Shl => self.b.ins().ishl(x, y),
            BinaryOp::Shr if signed => self.b.ins().sshr(x, y),
            BinaryOp::Shr => self.b.ins().ushr(x, y),
        }
    }

    /// Integer division and remainders, without traps.
    fn divide(&mut self, op: BinaryOp, dtype: DType, x: Value, y: Value) -> Value {
        let [zero, one] = [0, 1].map(|it| self.int_constant(dtype, it));
        let by_zero = self.b.ins().icmp(IntCC::Equal, y, zero);
        if !dtype.is_signed_int() {
            let safe = self.b.ins().select(by_zero, one, y);
            let result = match op {
                BinaryOp::Div => self.b.ins().udiv(x, safe),
                _ => self.b.ins().urem(x, safe),
            };
            return self.b.ins().select(by_zero, zero, result);
        }
        // x / −1 traps for the least integer.
        let minus = self.int_constant(dtype, -1);
        let by_minus = self.b.ins().icmp(IntCC::Equal, y, minus);
        let unsafe_divisor = self.b.ins().bor(by_zero, by_minus);
        let safe = self.b.ins().select(unsafe_divisor, one, y);
        let result = match op {
            BinaryOp::Div => {
                let quotient = self.b.ins().sdiv(x, safe);
                let negated = self.b.ins().ineg(x);
                self.b.ins().select(by_minus, negated, quotient)
            }
            _ => {
                let rest = self.b.ins().srem(x, safe);
                if op == BinaryOp::Mod {
                    let signs = self.b.ins().bxor(rest, y);
                    let opposite = self.b.ins().icmp(IntCC::SignedLessThan, signs, zero);
                    let inexact = self.b.ins().icmp(IntCC::NotEqual, rest, zero);
                    let wrap = self.b.ins().band(opposite, inexact);
                    let wrapped = self.b.ins().iadd(rest, y);
                    self.b.ins().select(wrap, wrapped, rest)
                } else {
                    rest
                }
            }
        };
        self.b.ins().select(by_zero, zero, result)
    }

    /// A comparison; the result is a boolean.
    pub(crate) fn compare(&mut self, op: CompareOp, dtype: DType, x: Value, y: Value) -> Value {
        if dtype.is_float() {
            let code = match op {
                CompareOp::Eq => FloatCC::Equal,
                CompareOp::Ne => FloatCC::NotEqual,
                CompareOp::Lt => FloatCC::LessThan,
                CompareOp::Le => FloatCC::LessThanOrEqual,
                CompareOp::Gt => FloatCC::GreaterThan,
                CompareOp::Ge => FloatCC::GreaterThanOrEqual,
            };
            return self.b.ins().fcmp(code, x, y);
        }
        if dtype == DType::Str {
            let equal = self.equal_strings(x, y);
            let code = if op == CompareOp::Eq { IntCC::NotEqual } else { IntCC::Equal };
            return self.b.ins().icmp_imm_s(code, equal, 0);
        }
        let code = match op {
            CompareOp::Eq => IntCC::Equal,
            CompareOp::Ne => IntCC::NotEqual,
            CompareOp::Lt => IntCC::SignedLessThan,
            CompareOp::Le => IntCC::SignedLessThanOrEqual,
            CompareOp::Gt => IntCC::SignedGreaterThan,
            CompareOp::Ge => IntCC::SignedGreaterThanOrEqual,
        };
        let code = if dtype.is_signed_int() { code } else { code.unsigned() };
        self.b.ins().icmp(code, x, y)
    }

    /// The value of an empty reduction.
    pub(crate) fn identity(&mut self, combine: Combine, dtype: DType) -> Value {
        let (low, high) = dtype.int_range().map_or((0, 0), |it| (it.0 as i64, it.1 as i64));
        match combine {
            Combine::Sum => self.constant(dtype, 0.0),
            Combine::Product => self.constant(dtype, 1.0),
            Combine::Max if dtype.is_float() => self.constant(dtype, f64::NEG_INFINITY),
            Combine::Min if dtype.is_float() => self.constant(dtype, f64::INFINITY),
            Combine::Max => self.int_constant(dtype, low),
            Combine::Min => self.int_constant(dtype, high),
        }
    }

    /// One step of a reduction.
    pub(crate) fn combine(&mut self, combine: Combine, dtype: DType, x: Value, y: Value) -> Value {
        let op = match combine {
            Combine::Sum => BinaryOp::Add,
            Combine::Product => BinaryOp::Mul,
            Combine::Max => BinaryOp::Max,
            Combine::Min => BinaryOp::Min,
        };
        self.binary(op, dtype, x, y)
    }
}
