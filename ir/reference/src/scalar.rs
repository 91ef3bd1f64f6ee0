//! Arithmetic of one element: floats in f64, integers as the low bits of an i64.
//!
//! An integer of any type is held as an i64: signed types sign-extended, unsigned types zero-extended (u64 by
//! its bits), booleans as 0 or 1. [`wrap`] restores that form after an operation.

use orogen_ir::loops::{BinaryOp, Combine, CompareOp, UnaryOp};
use orogen_ir::types::{DType, bf16_from_f64, f16_from_f64, f64_to_odd};
use std::cmp::Ordering;

/// The nearest value of a float type.
pub(crate) fn round_float(value: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F16 => f16_from_f64(value).to_f64(),
        DType::BF16 => bf16_from_f64(value).to_f64(),
        DType::F32 => f64::from(value as f32),
        _ => value,
    }
}

/// The value of an integer type that has the low bits of `value`; for bool, whether it is not 0.
pub(crate) fn wrap(value: i64, dtype: DType) -> i64 {
    match dtype {
        DType::Bool => i64::from(value != 0),
        DType::I8 => i64::from(value as i8),
        DType::I16 => i64::from(value as i16),
        DType::I32 => i64::from(value as i32),
        DType::U8 => i64::from(value as u8),
        DType::U16 => i64::from(value as u16),
        DType::U32 => i64::from(value as u32),
        _ => value,
    }
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
    match to {
        DType::Bool => i64::from(value != 0.0),
        DType::I8 => i64::from(value as i8),
        DType::I16 => i64::from(value as i16),
        DType::I32 => i64::from(value as i32),
        DType::U8 => i64::from(value as u8),
        DType::U16 => i64::from(value as u16),
        DType::U32 => i64::from(value as u32),
        DType::U64 => value as u64 as i64,
        _ => value as i64,
    }
}

/// A float operation with a float result.
pub(crate) fn unary_float(op: UnaryOp, x: f64) -> f64 {
    match op {
        UnaryOp::Neg => -x,
        UnaryOp::Abs => x.abs(),
        UnaryOp::Sign => {
            if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                x
            }
        }
        UnaryOp::Exp => libm::exp(x),
        UnaryOp::Log => libm::log(x),
        UnaryOp::Sqrt => x.sqrt(),
        UnaryOp::Reciprocal => 1.0 / x,
        UnaryOp::Sin => libm::sin(x),
        UnaryOp::Cos => libm::cos(x),
        UnaryOp::Tan => libm::tan(x),
        UnaryOp::Asin => libm::asin(x),
        UnaryOp::Acos => libm::acos(x),
        UnaryOp::Atan => libm::atan(x),
        UnaryOp::Sinh => libm::sinh(x),
        UnaryOp::Cosh => libm::cosh(x),
        UnaryOp::Asinh => libm::asinh(x),
        UnaryOp::Acosh => libm::acosh(x),
        UnaryOp::Atanh => libm::atanh(x),
        UnaryOp::Tanh => libm::tanh(x),
        UnaryOp::Sigmoid => 1.0 / (1.0 + libm::exp(-x)),
        UnaryOp::Erf => libm::erf(x),
        UnaryOp::Expm1 => libm::expm1(x),
        UnaryOp::Log1p => libm::log1p(x),
        UnaryOp::Floor => x.floor(),
        UnaryOp::Ceil => x.ceil(),
        UnaryOp::Round => x.round_ties_even(),
        UnaryOp::Trunc => x.trunc(),
        // The verifier admits these on no float; IsNan and IsInf have boolean results.
        UnaryOp::Not | UnaryOp::BitNot | UnaryOp::IsNan | UnaryOp::IsInf => f64::NAN,
    }
}

/// A test on a float.
pub(crate) fn test_float(op: UnaryOp, x: f64) -> bool {
    match op {
        UnaryOp::IsNan => x.is_nan(),
        UnaryOp::IsInf => x.is_infinite(),
        _ => false,
    }
}

/// An integer or boolean operation.
pub(crate) fn unary_int(op: UnaryOp, x: i64, dtype: DType) -> i64 {
    let signed = dtype.is_signed_int();
    let value = match op {
        UnaryOp::Neg => x.wrapping_neg(),
        UnaryOp::Abs if signed => x.wrapping_abs(),
        UnaryOp::Abs => x,
        UnaryOp::Sign if signed => x.signum(),
        UnaryOp::Sign => i64::from(x != 0),
        UnaryOp::Not => i64::from(x == 0),
        UnaryOp::BitNot => !x,
        _ => 0,
    };
    wrap(value, dtype)
}

/// A float operation with a float result.
pub(crate) fn binary_float(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => {
            let r = a % b;
            if r != 0.0 && (r < 0.0) != (b < 0.0) { r + b } else { r }
        }
        BinaryOp::Fmod => a % b,
        BinaryOp::Pow => libm::pow(a, b),
        BinaryOp::Max => max_float(a, b),
        BinaryOp::Min => min_float(a, b),
        // The verifier admits these on no float.
        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor | BinaryOp::Shl | BinaryOp::Shr => f64::NAN,
    }
}

fn max_float(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a > b {
        a
    } else {
        b
    }
}

fn min_float(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a < b {
        a
    } else {
        b
    }
}

/// An integer or boolean operation.
pub(crate) fn binary_int(op: BinaryOp, a: i64, b: i64, dtype: DType) -> i64 {
    let unsigned = dtype == DType::U64;
    let (ua, ub) = (a as u64, b as u64);
    let amount = (b as u64 % (8 * dtype.size() as u64)) as u32;
    let value = match op {
        BinaryOp::Add => a.wrapping_add(b),
        BinaryOp::Sub => a.wrapping_sub(b),
        BinaryOp::Mul => a.wrapping_mul(b),
        BinaryOp::Div | BinaryOp::Mod | BinaryOp::Fmod if b == 0 => 0,
        BinaryOp::Div if unsigned => (ua / ub) as i64,
        BinaryOp::Div => a.wrapping_div(b),
        BinaryOp::Mod | BinaryOp::Fmod if unsigned => (ua % ub) as i64,
        BinaryOp::Mod => {
            let r = a.wrapping_rem(b);
            if r != 0 && (r < 0) != (b < 0) { r + b } else { r }
        }
        BinaryOp::Fmod => a.wrapping_rem(b),
        BinaryOp::Pow => power(a, b, unsigned),
        BinaryOp::Max => pick(a, b, dtype, Ordering::Greater),
        BinaryOp::Min => pick(a, b, dtype, Ordering::Less),
        BinaryOp::And => a & b,
        BinaryOp::Or => a | b,
        BinaryOp::Xor => a ^ b,
        BinaryOp::Shl => a.wrapping_shl(amount),
        BinaryOp::Shr if dtype.is_signed_int() => a >> amount,
        BinaryOp::Shr => (ua >> amount) as i64,
    };
    wrap(value, dtype)
}

fn power(base: i64, exponent: i64, unsigned: bool) -> i64 {
    if exponent < 0 && !unsigned {
        return match base {
            1 => 1,
            -1 if exponent % 2 == 0 => 1,
            -1 => -1,
            _ => 0,
        };
    }
    let (mut result, mut square, mut rest) = (1_i64, base, exponent as u64);
    while rest > 0 {
        if rest % 2 == 1 {
            result = result.wrapping_mul(square);
        }
        square = square.wrapping_mul(square);
        rest /= 2;
    }
    result
}

fn pick(a: i64, b: i64, dtype: DType, wanted: Ordering) -> i64 {
    if order_int(a, b, dtype) == wanted { a } else { b }
}

/// The order of two integers of a type.
pub(crate) fn order_int(a: i64, b: i64, dtype: DType) -> Ordering {
    if dtype == DType::U64 { (a as u64).cmp(&(b as u64)) } else { a.cmp(&b) }
}

/// Whether a comparison holds for two operands in this order; `None` is unordered (NaN).
pub(crate) fn compare(op: CompareOp, order: Option<Ordering>) -> bool {
    match op {
        CompareOp::Eq => order == Some(Ordering::Equal),
        CompareOp::Ne => order != Some(Ordering::Equal),
        CompareOp::Lt => order == Some(Ordering::Less),
        CompareOp::Le => order.is_some_and(Ordering::is_le),
        CompareOp::Gt => order == Some(Ordering::Greater),
        CompareOp::Ge => order.is_some_and(Ordering::is_ge),
    }
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
    match dtype {
        DType::I8 => i64::from(i8::MIN),
        DType::I16 => i64::from(i16::MIN),
        DType::I32 => i64::from(i32::MIN),
        DType::I64 => i64::MIN,
        _ => 0,
    }
}

/// The highest value of an integer type or bool.
pub(crate) fn highest(dtype: DType) -> i64 {
    match dtype {
        DType::Bool => 1,
        DType::I8 => i64::from(i8::MAX),
        DType::I16 => i64::from(i16::MAX),
        DType::I32 => i64::from(i32::MAX),
        DType::I64 => i64::MAX,
        DType::U8 => i64::from(u8::MAX),
        DType::U16 => i64::from(u16::MAX),
        DType::U32 => i64::from(u32::MAX),
        _ => -1,
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
    match (dtype, bytes) {
        (DType::F16, &[a, b]) => half::f16::from_le_bytes([a, b]).to_f64(),
        (DType::BF16, &[a, b]) => half::bf16::from_le_bytes([a, b]).to_f64(),
        (_, &[a, b, c, d]) => f64::from(f32::from_le_bytes([a, b, c, d])),
        (_, &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => f64::NAN,
    }
}

/// Writes an integer or boolean element.
pub(crate) fn write_int(bytes: &mut [u8], value: i64) {
    bytes.copy_from_slice(&value.to_le_bytes()[..bytes.len()]);
}

/// Writes a float element, rounding it to the type.
pub(crate) fn write_float(bytes: &mut [u8], value: f64, dtype: DType) {
    match dtype {
        DType::F16 => bytes.copy_from_slice(&f16_from_f64(value).to_le_bytes()),
        DType::BF16 => bytes.copy_from_slice(&bf16_from_f64(value).to_le_bytes()),
        DType::F32 => bytes.copy_from_slice(&(value as f32).to_le_bytes()),
        _ => bytes.copy_from_slice(&value.to_le_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(binary_float(BinaryOp::Pow, 2.0, -1.0), 0.5);
    }

    #[test]
    fn floats_follow_their_documents() {
        assert_eq!(unary_float(UnaryOp::Round, 2.5), 2.0);
        assert_eq!(unary_float(UnaryOp::Round, -3.5), -4.0);
        assert!(unary_float(UnaryOp::Sign, f64::NAN).is_nan());
        assert_eq!(unary_float(UnaryOp::Sigmoid, -1000.0), 0.0);
        assert!((unary_float(UnaryOp::Erf, 0.5) - 0.520_499_877_813_046_5).abs() < 1e-15);
        assert!(binary_float(BinaryOp::Max, 1.0, f64::NAN).is_nan());
        assert!(binary_float(BinaryOp::Min, f64::NAN, 1.0).is_nan());
        assert_eq!(binary_float(BinaryOp::Mod, -7.5, 2.0), 0.5);
        assert_eq!(binary_float(BinaryOp::Fmod, -7.5, 2.0), -1.5);
        assert_eq!(float_to_int(f64::NAN, DType::I32), 0);
        assert_eq!(float_to_int(-1.9, DType::I8), -1);
        assert_eq!(float_to_int(1e30, DType::U64), -1);
        assert_eq!(round_float(0.1, DType::F32), f64::from(0.1_f32));
        assert!(!compare(CompareOp::Le, 1.0_f64.partial_cmp(&f64::NAN)));
        assert!(compare(CompareOp::Ne, 1.0_f64.partial_cmp(&f64::NAN)));
    }

    #[test]
    fn elements_survive_memory() {
        for dtype in DType::ALL {
            let mut bytes = vec![0_u8; dtype.size()];
            if dtype.is_float() {
                write_float(&mut bytes, -1.5, dtype);
                assert_eq!(read_float(&bytes, dtype), -1.5);
            } else {
                for value in [lowest(dtype), highest(dtype), 1] {
                    write_int(&mut bytes, value);
                    assert_eq!(read_int(&bytes, dtype), value, "{dtype}");
                }
            }
        }
    }
}
