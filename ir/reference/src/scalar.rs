//! Arithmetic of one element: floats in f64, integers as the low bits of an i64.
//!
//! An integer of any type is held as an i64: signed types sign-extended, unsigned types zero-extended (u64 by
//! its bits), booleans as 0 or 1. [`wrap`] restores that form after an operation.

use orogen_ir::loops::{BinaryOp, Combine, UnaryOp};
use orogen_ir::types::{DType, TensorData, f64_to_odd};

/// The nearest value of a float type.
pub(crate) fn round_float(value: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F64 => value,
        DType::F32 => f64::from(value as f32),
        _ => dtype.round(value),
    }
}

/// The value of an integer type that has the low bits of `value`; for bool, whether it is not 0.
pub(crate) fn wrap(value: i64, dtype: DType) -> i64 {
    dtype.wrap(value)
}

/// The value of a float type that is nearest to an integer of a type.
pub(crate) fn int_to_float(value: i64, from: DType, to: DType) -> f64 {
    let value = if from == DType::U64 { i128::from(value.cast_unsigned()) } else { i128::from(value) };
    match to {
        DType::F64 => value as f64,
        _ => round_float(f64_to_odd(value), to),
    }
}

/// A float as an integer type: truncates, saturates, NaN is 0 (true for bool).
pub(crate) fn float_to_int(value: f64, to: DType) -> i64 {
    to.saturate(value)
}

/// An integer or boolean operation.
pub(crate) fn unary_int(op: UnaryOp, x: i64, dtype: DType) -> i64 {
    wrap(op.row().meaning.int(x, dtype), dtype)
}

/// An integer or boolean operation.
pub(crate) fn binary_int(op: BinaryOp, a: i64, b: i64, dtype: DType) -> i64 {
    wrap(op.row().meaning.int(a, b, dtype), dtype)
}

/// The operation that a reduction repeats.
pub(crate) fn combine_op(combine: Combine) -> BinaryOp {
    match combine {
        Combine::Sum => BinaryOp::Add,
        Combine::Product => BinaryOp::Mul,
        Combine::Max => BinaryOp::Max,
        Combine::Min => BinaryOp::Min,
    }
}

/// The value of an empty float reduction.
pub(crate) fn identity_float(combine: Combine) -> f64 {
    match combine {
        Combine::Sum => 0.0,
        Combine::Product => 1.0,
        Combine::Max => f64::NEG_INFINITY,
        Combine::Min => f64::INFINITY,
    }
}

/// The value of an empty integer or boolean reduction.
pub(crate) fn identity_int(combine: Combine, dtype: DType) -> i64 {
    match combine {
        Combine::Sum => 0,
        Combine::Product => 1,
        Combine::Max => lowest(dtype),
        Combine::Min => highest(dtype),
    }
}

/// The lowest value of an integer type or bool.
pub(crate) fn lowest(dtype: DType) -> i64 {
    dtype.int_range().map_or(0, |it| it.0 as i64)
}

/// The highest value of an integer type or bool.
pub(crate) fn highest(dtype: DType) -> i64 {
    dtype.int_range().map_or(0, |it| it.1 as i64)
}

/// The sign bits of two floats of a type that follow each other.
pub(crate) fn signs(part: DType) -> u128 {
    let sign = 1_u128 << (part.bits() - 1);
    sign << part.bits() | sign
}

/// Where elements are that are not 0.
pub(crate) fn hits(x: &TensorData) -> Vec<usize> {
    let bytes = x.unpacked();
    let elements = bytes.chunks_exact(x.dtype().size()).enumerate();
    elements.filter(|(_, it)| is_nonzero(it, x.dtype())).map(|it| it.0).collect()
}

/// Whether an element is not 0; of a complex number, whether one of its parts is not.
fn is_nonzero(bytes: &[u8], dtype: DType) -> bool {
    match dtype.component() {
        Some(part) => bytes.chunks_exact(part.size()).any(|it| read_float(it, part) != 0.0),
        None if dtype.is_float() => read_float(bytes, dtype) != 0.0,
        None => read_int(bytes, dtype) != 0,
    }
}

/// Reads an integer or boolean element.
pub(crate) fn read_int(bytes: &[u8], dtype: DType) -> i64 {
    let mut low = [0_u8; 8];
    low[..bytes.len()].copy_from_slice(bytes);
    wrap(i64::from_le_bytes(low), dtype)
}

/// Reads a float element.
pub(crate) fn read_float(bytes: &[u8], dtype: DType) -> f64 {
    let mut low = [0_u8; 8];
    low[..bytes.len()].copy_from_slice(bytes);
    dtype.float_value(u64::from_le_bytes(low))
}

/// Writes an integer or boolean element.
pub(crate) fn write_int(bytes: &mut [u8], value: i64) {
    bytes.copy_from_slice(&value.to_le_bytes()[..bytes.len()]);
}

/// Writes a float element, rounding it to the type.
pub(crate) fn write_float(bytes: &mut [u8], value: f64, dtype: DType) {
    bytes.copy_from_slice(&dtype.float_bits(value).to_le_bytes()[..bytes.len()]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use orogen_ir::loops::CompareOp;

    fn float(op: UnaryOp, x: f64) -> f64 {
        op.row().meaning.float(x)
    }

    fn float2(op: BinaryOp, a: f64, b: f64) -> f64 {
        op.row().meaning.float(a, b)
    }

    #[test]
    fn integers_wrap_at_their_width() {
        assert_eq!(binary_int(BinaryOp::Add, 127, 1, DType::I8), -128);
        assert_eq!(binary_int(BinaryOp::Sub, 0, 1, DType::U8), 255);
        assert_eq!(binary_int(BinaryOp::Mul, 1 << 20, 1 << 20, DType::I32), 0);
        assert_eq!(unary_int(UnaryOp::Neg, i64::MIN, DType::I64), i64::MIN);
        assert_eq!(unary_int(UnaryOp::Abs, -128, DType::I8), -128);
        assert_eq!(unary_int(UnaryOp::BitNot, 0, DType::U16), 0xffff);
        assert_eq!(unary_int(UnaryOp::Neg, 1, DType::U64), -1);
    }

    #[test]
    fn integer_division_truncates_and_has_no_traps() {
        assert_eq!(binary_int(BinaryOp::Div, -7, 2, DType::I32), -3);
        assert_eq!(binary_int(BinaryOp::Div, 7, 0, DType::I32), 0);
        assert_eq!(binary_int(BinaryOp::Div, -128, -1, DType::I8), -128);
        assert_eq!(binary_int(BinaryOp::Div, i64::MIN, -1, DType::I64), i64::MIN);
        assert_eq!(binary_int(BinaryOp::Div, -1, 2, DType::U64), i64::MAX);
        assert_eq!(binary_int(BinaryOp::Mod, -7, 3, DType::I32), 2);
        assert_eq!(binary_int(BinaryOp::Mod, 7, -3, DType::I32), -2);
        assert_eq!(binary_int(BinaryOp::Fmod, -7, 3, DType::I32), -1);
        assert_eq!(binary_int(BinaryOp::Mod, 7, 0, DType::I32), 0);
        assert_eq!(binary_int(BinaryOp::Mod, i64::MIN, -1, DType::I64), 0);
    }

    #[test]
    fn shifts_count_modulo_the_width() {
        assert_eq!(binary_int(BinaryOp::Shl, 1, 9, DType::U8), 2);
        assert_eq!(binary_int(BinaryOp::Shr, -8, 1, DType::I16), -4);
        assert_eq!(binary_int(BinaryOp::Shr, -1, 63, DType::U64), 1);
        assert_eq!(binary_int(BinaryOp::Shl, 0x81, 1, DType::U8), 2);
    }

    #[test]
    fn powers() {
        assert_eq!(binary_int(BinaryOp::Pow, 3, 4, DType::I32), 81);
        assert_eq!(binary_int(BinaryOp::Pow, 2, -1, DType::I32), 0);
        assert_eq!(binary_int(BinaryOp::Pow, -1, -3, DType::I64), -1);
        assert_eq!(binary_int(BinaryOp::Pow, 2, 8, DType::U8), 0);
        assert_eq!(binary_int(BinaryOp::Pow, 0, 0, DType::U8), 1);
        assert_eq!(float2(BinaryOp::Pow, 2.0, -1.0), 0.5);
    }

    #[test]
    fn floats_follow_their_documents() {
        assert_eq!(float(UnaryOp::Round, 2.5), 2.0);
        assert_eq!(float(UnaryOp::Round, -3.5), -4.0);
        assert!(float(UnaryOp::Sign, f64::NAN).is_nan());
        assert_eq!(float(UnaryOp::Sigmoid, -1000.0), 0.0);
        assert!((float(UnaryOp::Erf, 0.5) - 0.520_499_877_813_046_5).abs() < 1e-15);
        assert!(float2(BinaryOp::Max, 1.0, f64::NAN).is_nan());
        assert!(float2(BinaryOp::Min, f64::NAN, 1.0).is_nan());
        assert_eq!(float2(BinaryOp::Mod, -7.5, 2.0), 0.5);
        assert_eq!(float2(BinaryOp::Fmod, -7.5, 2.0), -1.5);
        assert_eq!(float_to_int(f64::NAN, DType::I32), 0);
        assert_eq!(float_to_int(-1.9, DType::I8), -1);
        assert_eq!(float_to_int(1e30, DType::U64), -1);
        assert_eq!(round_float(0.1, DType::F32), f64::from(0.1_f32));
        assert!(!CompareOp::Le.holds(1.0_f64.partial_cmp(&f64::NAN)));
        assert!(CompareOp::Ne.holds(1.0_f64.partial_cmp(&f64::NAN)));
    }

    #[test]
    fn elements_survive_memory() {
        for dtype in DType::ALL.into_iter().filter(|it| !it.is_only_moved()) {
            let mut bytes = vec![0_u8; dtype.size()];
            if dtype.is_float() {
                write_float(&mut bytes, -1.5, dtype);
                assert_eq!(read_float(&bytes, dtype), dtype.round(-1.5), "{dtype}");
            } else {
                for value in [lowest(dtype), highest(dtype), 1] {
                    write_int(&mut bytes, value);
                    assert_eq!(read_int(&bytes, dtype), value, "{dtype}");
                }
            }
        }
    }
}
