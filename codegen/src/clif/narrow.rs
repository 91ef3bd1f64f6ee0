//! Floats of at most 8 bits: from memory to `f32`, and rounded back; integers narrower than a byte.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use orogen_ir::types::{DType, FloatFormat, Special};

use super::unit::FunctionCx;

/// NaN of `f32`.
const NAN: i64 = 0x7fc0_0000;

impl FunctionCx<'_> {
    /// A byte as an integer of a type narrower than it: the low bits count.
    pub(super) fn wrap_narrow(&mut self, dtype: DType, byte: Value) -> Value {
        let unused = i64::from(dtype.bits() - dtype.width());
        if dtype.is_signed_int() {
            let upper = self.b.ins().ishl_imm_u(byte, unused);
            return self.b.ins().sshr_imm_u(upper, unused);
        }
        self.b.ins().band_imm_u(byte, (1 << dtype.width()) - 1)
    }

    /// The `f32` that a format's bits mean, which an `I32` holds.
    pub(super) fn narrow_to_f32(&mut self, format: FloatFormat, bits: Value) -> Value {
        if format.special == Special::Powers {
            return self.power_to_f32(format, bits);
        }
        let sign = self.b.ins().band_imm_u(bits, format.sign().cast_signed());
        let sign = self.b.ins().ishl_imm_u(sign, i64::from(31 - format.exponent - format.mantissa));
        let magnitude = self.b.ins().band_imm_u(bits, (format.sign() - 1).cast_signed());
        // As an f32, this is the value times a power of two, subnormal or not.
        let rest = self.b.ins().ishl_imm_u(magnitude, i64::from(23 - format.mantissa));
        let scaled = self.b.ins().bitcast(types::F32, MemFlagsData::new(), rest);
        let scale = self.b.ins().f32const(2f32.powi(127 - format.bias));
        let scaled = self.b.ins().fmul(scaled, scale);
        let finite = self.b.ins().bitcast(types::I32, MemFlagsData::new(), scaled);
        let (is_special, special) = match format.special {
            Special::None | Special::Powers => {
                let value = self.b.ins().bor(finite, sign);
                return self.b.ins().bitcast(types::F32, MemFlagsData::new(), value);
            }
            Special::Ieee => {
                let least = (format.most() + 1).cast_signed();
                let above = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, magnitude, least);
                let exponent = self.b.ins().iconst(types::I32, 0x7f80_0000);
                (above, self.b.ins().bor(rest, exponent))
            }
            Special::NanAlone => {
                let nan = self.b.ins().icmp_imm_u(IntCC::Equal, magnitude, format.nan().cast_signed());
                (nan, self.b.ins().iconst(types::I32, NAN))
            }
            Special::NanForNegativeZero => {
                let nan = self.b.ins().icmp_imm_u(IntCC::Equal, bits, format.nan().cast_signed());
                (nan, self.b.ins().iconst(types::I32, NAN))
            }
        };
        let value = self.b.ins().select(is_special, special, finite);
        let value = self.b.ins().bor(value, sign);
        self.b.ins().bitcast(types::F32, MemFlagsData::new(), value)
    }

    /// The `f32` of a power of two with the exponent of `f32`: the least one is subnormal there.
    fn power_to_f32(&mut self, format: FloatFormat, bits: Value) -> Value {
        let normal = self.b.ins().ishl_imm_u(bits, 23);
        let least = self.b.ins().iconst(types::I32, 1 << 22);
        let is_least = self.b.ins().icmp_imm_u(IntCC::Equal, bits, 0);
        let value = self.b.ins().select(is_least, least, normal);
        let nan = self.b.ins().iconst(types::I32, NAN);
        let is_nan = self.b.ins().icmp_imm_u(IntCC::Equal, bits, format.nan().cast_signed());
        let value = self.b.ins().select(is_nan, nan, value);
        self.b.ins().bitcast(types::F32, MemFlagsData::new(), value)
    }

    /// The power of two nearest to a number without its sign, ties to the larger one.
    fn f32_to_power(&mut self, format: FloatFormat, value: Value) -> Value {
        let bits = self.b.ins().bitcast(types::I32, MemFlagsData::new(), value);
        let magnitude = self.b.ins().band_imm_u(bits, 0x7fff_ffff);
        let moved = self.b.ins().iadd_imm_u(magnitude, 1 << 22);
        let normal = self.b.ins().ushr_imm_u(moved, 23);
        // Among subnormal numbers the least power is half the least normal one, and the tie is half-way between them.
        let half = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, magnitude, 3 << 21);
        let small = self.b.ins().uextend(types::I32, half);
        let is_small = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, magnitude, 1 << 23);
        let rounded = self.b.ins().select(is_small, small, normal);
        let most = self.b.ins().iconst(types::I32, format.most().cast_signed());
        let limited = self.b.ins().umin(rounded, most);
        let nan = self.b.ins().iconst(types::I32, format.nan().cast_signed());
        let finite = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, magnitude, 0x7f80_0000);
        self.b.ins().select(finite, limited, nan)
    }

    /// The bits of the nearest number of a format, ties to even, in an `I32`; a number beyond the largest becomes the
    /// largest, infinity is kept where the format has one.
    pub(super) fn f32_to_narrow(&mut self, format: FloatFormat, value: Value) -> Value {
        if format.special == Special::Powers {
            return self.f32_to_power(format, value);
        }
        let shift = 23 - format.mantissa;
        let bits = self.b.ins().bitcast(types::I32, MemFlagsData::new(), value);
        let sign = self.b.ins().ushr_imm_u(bits, 31);
        let sign = self.b.ins().ishl_imm_u(sign, i64::from(format.exponent + format.mantissa));
        let magnitude = self.b.ins().band_imm_u(bits, 0x7fff_ffff);
        // Normal results: move the exponent, add half of the last place and the parity bit, cut.
        let odd = self.b.ins().ushr_imm_u(magnitude, i64::from(shift));
        let odd = self.b.ins().band_imm_u(odd, 1);
        let bias = ((format.bias - 127) << 23).cast_unsigned().wrapping_add((1 << (shift - 1)) - 1);
        let moved = self.b.ins().iadd_imm_u(magnitude, i64::from(bias));
        let moved = self.b.ins().iadd(moved, odd);
        let normal = self.b.ins().ushr_imm_u(moved, i64::from(shift));
        // Subnormal results: a sum whose last place is the least of them rounds at the right bit.
        let float = self.b.ins().bitcast(types::F32, MemFlagsData::new(), magnitude);
        let least = 2f32.powi(24 - format.bias - format.mantissa as i32);
        let addend = self.b.ins().f32const(least);
        let float = self.b.ins().fadd(float, addend);
        let small = self.b.ins().bitcast(types::I32, MemFlagsData::new(), float);
        let small = self.b.ins().iadd_imm_s(small, -i64::from(least.to_bits()));
        let border = i64::from((128 - format.bias) << 23);
        let is_small = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, magnitude, border);
        let rounded = self.b.ins().select(is_small, small, normal);
        let most = self.b.ins().iconst(types::I32, format.most().cast_signed());
        let mut limited = self.b.ins().umin(rounded, most);
        if let Some(infinity) = format.infinity() {
            let infinity = self.b.ins().iconst(types::I32, infinity.cast_signed());
            let infinite = self.b.ins().icmp_imm_u(IntCC::Equal, magnitude, 0x7f80_0000);
            limited = self.b.ins().select(infinite, infinity, limited);
        }
        let signed = self.b.ins().bor(limited, sign);
        let nan = self.b.ins().iconst(types::I32, format.nan().cast_signed());
        let is_nan = self.b.ins().fcmp(FloatCC::Unordered, value, value);
        if format.special == Special::NanForNegativeZero {
            let zero = self.b.ins().icmp_imm_u(IntCC::Equal, limited, 0);
            let signed = self.b.ins().select(zero, limited, signed);
            return self.b.ins().select(is_nan, nan, signed);
        }
        let nan = self.b.ins().bor(nan, sign);
        self.b.ins().select(is_nan, nan, signed)
    }
}
