//! Floats of at most 8 bits in lanes of `f32`, and integers narrower than a byte in lanes of 32 bits. The steps are those
//! of scalar code (`clif/narrow.rs`), but for subnormal numbers, which are read without a subnormal `f32`.

use orogen_ir::types::{DType, FloatFormat, Special};

use crate::vector::{BinaryOp, Builder, Compare, ShiftOp, Storage, UnaryOp, VReg};

const NAN: u32 = 0x7FC0_0000;

/// The lanes of bytes, which are extended by zeros.
pub(super) fn widened(b: &mut Builder, dtype: DType, bytes: VReg) -> VReg {
    match dtype.float_format() {
        Some(format) => decode(b, format, bytes),
        None => wrapped(b, dtype, bytes),
    }
}

/// Element `i` of bytes that each hold as many as fit, the first in the low bits. Bytes are extended by their signs where
/// the type has one, else by zeros.
pub(super) fn nth(b: &mut Builder, dtype: DType, bytes: VReg, i: u32) -> VReg {
    let width = dtype.width();
    let is_last = (i + 1) * width == 8;
    if dtype.is_signed_int() {
        if is_last {
            return b.shift(ShiftOp::RightArithmetic, bytes, (i * width) as u8);
        }
        let upper = b.shift(ShiftOp::Left, bytes, (32 - (i + 1) * width) as u8);
        return b.shift(ShiftOp::RightArithmetic, upper, (32 - width) as u8);
    }
    let lower = if i == 0 { bytes } else { b.shift(ShiftOp::RightLogical, bytes, (i * width) as u8) };
    let bits = if is_last {
        lower
    } else {
        let low = b.constant_int((1i64 << width) - 1);
        b.binary(BinaryOp::And, lower, low)
    };
    match dtype.float_format() {
        Some(format) => decode(b, format, bits),
        None => bits,
    }
}

/// Integers narrower than a byte that follow each other in the low bits of lanes, the first lowest, as two of 16 bits or
/// four of 8. Bits above the lowest 16 are 0, and those of so many integers above them are left out.
pub(super) fn apart(b: &mut Builder, dtype: DType, terms: u8, lanes: VReg) -> VReg {
    let width = dtype.width() as u8;
    let bits = 32 / terms;
    let every = |bits: u8, pattern: u32| -> i64 {
        let all = (0..32 / bits).fold(0, |all, i| all | pattern << (i * bits));
        i64::from(all.cast_signed())
    };
    let spread = |b: &mut Builder, lanes: VReg, by: u8| {
        let moved = b.shift(ShiftOp::Left, lanes, by);
        b.binary(BinaryOp::Or, lanes, moved)
    };
    let mut value = lanes;
    if terms == 4 {
        value = spread(b, value, 2 * (bits - width));
        // What moves on must not meet what was left behind.
        if 4 * width > bits {
            let halves = b.constant_int(every(16, (1 << (2 * width)) - 1));
            value = b.binary(BinaryOp::And, value, halves);
        }
    }
    value = spread(b, value, bits - width);
    let mask = b.constant_int(every(bits, (1 << width) - 1));
    value = b.binary(BinaryOp::And, value, mask);
    if !dtype.is_signed_int() {
        return value;
    }
    // With its sign changed a number is larger by what the sign is worth.
    let sign = 1 << (width - 1);
    let signs = b.constant_int(every(bits, sign));
    let larger = b.binary(BinaryOp::Xor, value, signs);
    if bits == 16 {
        return b.binary(BinaryOp::PairSub, larger, signs);
    }
    // Nothing is carried from byte to byte: the upper bit is added without.
    let (rest, upper) = (b.constant_int(every(bits, 0x80 - sign)), b.constant_int(every(bits, 0x80)));
    let sum = b.binary(BinaryOp::IntAdd, larger, rest);
    b.binary(BinaryOp::Xor, sum, upper)
}

/// Step `i` of bytes that each hold several steps of a panel, the first in the low bits: an element, or so many `terms` of
/// a type.
pub(super) fn step(b: &mut Builder, dtype: DType, terms: u8, bytes: VReg, i: u32) -> VReg {
    if terms == 1 {
        return nth(b, dtype, bytes, i);
    }
    let lower = match i {
        0 => bytes,
        _ => b.shift(ShiftOp::RightLogical, bytes, (i * dtype.width()) as u8 * terms),
    };
    apart(b, dtype, terms, lower)
}

/// How bytes are read that hold several steps of a panel: those of single elements are extended as [`nth`] wants it.
pub(super) fn storage_of_steps(dtype: DType, terms: u8) -> Storage {
    if terms == 1 && dtype.is_signed_int() { Storage::I8 } else { Storage::U8 }
}

/// Lanes whose low bytes are those of the elements.
pub(super) fn narrowed(b: &mut Builder, dtype: DType, lanes: VReg) -> VReg {
    match dtype.float_format() {
        Some(format) => encode(b, format, lanes),
        None => wrapped(b, dtype, lanes),
    }
}

/// The integers that the low bits of lanes are.
fn wrapped(b: &mut Builder, dtype: DType, lanes: VReg) -> VReg {
    let unused = (32 - dtype.width()) as u8;
    if dtype.is_signed_int() {
        let upper = b.shift(ShiftOp::Left, lanes, unused);
        return b.shift(ShiftOp::RightArithmetic, upper, unused);
    }
    let low = b.constant_int((1i64 << dtype.width()) - 1);
    b.binary(BinaryOp::And, lanes, low)
}

/// A bit pattern in every lane.
fn pattern(b: &mut Builder, bits: u64) -> VReg {
    b.constant_bits(bits as u32)
}

/// The powers of two that are exponents of `f32`: the least one is subnormal there.
fn decode_powers(b: &mut Builder, format: FloatFormat, bits: VReg) -> VReg {
    let normal = b.shift(ShiftOp::Left, bits, 23);
    let (zero, least) = (b.constant_int(0), pattern(b, 1 << 22));
    let is_least = b.binary(BinaryOp::IntEq, bits, zero);
    let value = b.blend(is_least, least, normal);
    let (all, nan) = (pattern(b, format.nan()), pattern(b, NAN.into()));
    let is_nan = b.binary(BinaryOp::IntEq, bits, all);
    b.blend(is_nan, nan, value)
}

/// The power of two nearest to a number without its sign, ties to the larger one.
fn encode_powers(b: &mut Builder, format: FloatFormat, value: VReg) -> VReg {
    let magnitude = b.unary(UnaryOp::Abs, value);
    let half = pattern(b, 1 << 22);
    let moved = b.binary(BinaryOp::IntAdd, magnitude, half);
    let normal = b.shift(ShiftOp::RightLogical, moved, 23);
    // Among subnormal numbers the least power is half the least normal one, and the tie is half-way between them.
    let (tie, one) = (pattern(b, (3 << 21) - 1), b.constant_int(1));
    let above = b.binary(BinaryOp::IntGt, magnitude, tie);
    let small = b.binary(BinaryOp::And, above, one);
    let border = pattern(b, 1 << 23);
    let is_small = b.binary(BinaryOp::IntGt, border, magnitude);
    let rounded = b.blend(is_small, small, normal);
    let most = pattern(b, format.most());
    let limited = b.binary(BinaryOp::IntMin, rounded, most);
    let (infinity, nan) = (pattern(b, 0x7F80_0000), pattern(b, format.nan()));
    let is_finite = b.binary(BinaryOp::IntGt, infinity, magnitude);
    b.blend(is_finite, limited, nan)
}

fn decode(b: &mut Builder, format: FloatFormat, bits: VReg) -> VReg {
    if format.special == Special::Powers {
        return decode_powers(b, format, bits);
    }
    let places = format.exponent + format.mantissa;
    let (sign, rest) = (pattern(b, format.sign()), pattern(b, format.sign() - 1));
    let sign = b.binary(BinaryOp::And, bits, sign);
    let sign = b.shift(ShiftOp::Left, sign, (31 - places) as u8);
    let magnitude = b.binary(BinaryOp::And, bits, rest);
    // Normal numbers: the exponent is moved. Subnormal ones are a number of the least of them.
    let moved = b.shift(ShiftOp::Left, magnitude, (23 - format.mantissa) as u8);
    let by = pattern(b, u64::from(((127 - format.bias) as u32) << 23));
    let normal = b.binary(BinaryOp::IntAdd, moved, by);
    let least = b.constant(2f64.powi(1 - format.bias - format.mantissa as i32));
    let count = b.unary(UnaryOp::FromInt, magnitude);
    let small = b.mul(count, least);
    let border = b.constant_int(1i64 << format.mantissa);
    let is_small = b.binary(BinaryOp::IntGt, border, magnitude);
    let finite = b.blend(is_small, small, normal);
    let (is_special, special) = match format.special {
        Special::None | Special::Powers => return b.binary(BinaryOp::Or, finite, sign),
        Special::Ieee => {
            let most = pattern(b, format.most());
            let exponent = pattern(b, 0x7F80_0000);
            (b.binary(BinaryOp::IntGt, magnitude, most), b.binary(BinaryOp::Or, moved, exponent))
        }
        Special::NanAlone | Special::NanForNegativeZero => {
            let of = if format.special == Special::NanAlone { magnitude } else { bits };
            let nan = pattern(b, format.nan());
            (b.binary(BinaryOp::IntEq, of, nan), pattern(b, NAN.into()))
        }
    };
    let value = b.blend(is_special, special, finite);
    b.binary(BinaryOp::Or, value, sign)
}

fn encode(b: &mut Builder, format: FloatFormat, value: VReg) -> VReg {
    if format.special == Special::Powers {
        return encode_powers(b, format, value);
    }
    let shift = 23 - format.mantissa;
    let places = format.exponent + format.mantissa;
    let sign = b.shift(ShiftOp::RightLogical, value, 31);
    let sign = b.shift(ShiftOp::Left, sign, places as u8);
    let magnitude = b.unary(UnaryOp::Abs, value);
    // Normal results: move the exponent, add half of the last place and the parity bit, cut.
    let odd = b.shift(ShiftOp::RightLogical, magnitude, shift as u8);
    let one = b.constant_int(1);
    let odd = b.binary(BinaryOp::And, odd, one);
    let bias = (((format.bias - 127) << 23) as u32).wrapping_add((1 << (shift - 1)) - 1);
    let bias = pattern(b, bias.into());
    let moved = b.binary(BinaryOp::IntAdd, magnitude, bias);
    let moved = b.binary(BinaryOp::IntAdd, moved, odd);
    let normal = b.shift(ShiftOp::RightLogical, moved, shift as u8);
    // Subnormal results: a sum whose last place is the least of them rounds at the right bit.
    let least = 2f32.powi(24 - format.bias - format.mantissa as i32);
    let (addend, bits) = (b.constant(least), pattern(b, u64::from(least.to_bits())));
    let sum = b.add(magnitude, addend);
    let small = b.binary(BinaryOp::IntSub, sum, bits);
    let border = pattern(b, u64::from(((128 - format.bias) as u32) << 23));
    let is_small = b.binary(BinaryOp::IntGt, border, magnitude);
    let rounded = b.blend(is_small, small, normal);
    let most = pattern(b, format.most());
    let mut limited = b.binary(BinaryOp::IntMin, rounded, most);
    if let Some(infinity) = format.infinity() {
        let (infinity, infinite) = (pattern(b, infinity), b.constant(f64::INFINITY));
        let is_infinite = b.binary(BinaryOp::IntEq, magnitude, infinite);
        limited = b.blend(is_infinite, infinity, limited);
    }
    let signed = b.binary(BinaryOp::Or, limited, sign);
    let nan = pattern(b, format.nan());
    if format.special == Special::NanForNegativeZero {
        let zero = b.constant_int(0);
        let is_zero = b.binary(BinaryOp::IntEq, limited, zero);
        let signed = b.blend(is_zero, limited, signed);
        return b.select(Compare::Unordered, value, value, nan, signed);
    }
    let nan = b.binary(BinaryOp::Or, nan, sign);
    b.select(Compare::Unordered, value, value, nan, signed)
}
