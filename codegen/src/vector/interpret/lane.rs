//! What operations make of single lanes.

use crate::vector::ir::{BinaryOp, Compare, FmaOp, ShiftOp, Storage, UnaryOp, Width};

/// The lane of an element, given by its bits.
pub(super) fn widen(from: Storage, width: Width, bits: u64) -> u64 {
    let float = |it: f32| width.float(f64::from(it));
    match from {
        Storage::Bits8 | Storage::Bits16 | Storage::Bits32 | Storage::Bits64 => bits,
        Storage::U8 | Storage::U16 | Storage::U32 => bits,
        Storage::I8 => width.int(i64::from(bits as i8)),
        Storage::I16 => width.int(i64::from(bits as i16)),
        Storage::I32 => width.int(i64::from(bits as i32)),
        Storage::F16 => float(half::f16::from_bits(bits as u16).to_f32()),
        Storage::F32 => float(f32::from_bits(bits as u32)),
        Storage::I8Pair => pair(bits, |byte| i16::from(byte as i8)),
        Storage::U8Pair => pair(bits, i16::from),
    }
}

/// The low bits are those of the element that a lane becomes.
pub(super) fn narrow(to: Storage, width: Width, bits: u64) -> u64 {
    let single = match width {
        Width::W64 => f64::from_bits(bits) as f32,
        _ => f32::from_bits(bits as u32),
    };
    match to {
        Storage::F16 => u64::from(half::f16::from_f32(single).to_bits()),
        Storage::F32 => u64::from(single.to_bits()),
        Storage::I8Pair | Storage::U8Pair => bits & 0xFF | bits >> 8 & 0xFF00,
        _ => bits,
    }
}

/// The lane whose halves are made of two bytes.
fn pair(bits: u64, widen: impl Fn(u8) -> i16) -> u64 {
    let [low, high] = [bits as u8, (bits >> 8) as u8].map(|byte| u64::from(widen(byte).cast_unsigned()));
    low | high << 16
}

/// The halves of a lane of 32 bits, as signed integers.
fn halves(bits: u64) -> [i16; 2] {
    [bits as i16, (bits >> 16) as i16]
}

pub(super) fn pair_dot([a, b, c]: [u64; 3]) -> u64 {
    let ([a0, a1], [b0, b1]) = (halves(a), halves(b));
    let products = [(a0, b0), (a1, b1)].map(|(a, b)| (i32::from(a) * i32::from(b)).cast_unsigned());
    u64::from(products.iter().fold(c as u32, |sum, it| sum.wrapping_add(*it)))
}

pub(super) fn byte_dot([a, b, c]: [u64; 3]) -> u64 {
    let bytes = |bits: u64| (bits as u32).to_le_bytes();
    let products =
        bytes(a).into_iter().zip(bytes(b)).map(|(a, b)| (i32::from(a) * i32::from(b as i8)).cast_unsigned());
    u64::from(products.fold(c as u32, u32::wrapping_add))
}

/// An integer lane as a number.
pub(super) fn signed(width: Width, bits: u64) -> i64 {
    match width {
        Width::W8 => i64::from(bits as i8),
        Width::W16 => i64::from(bits as i16),
        Width::W32 => i64::from(bits as i32),
        Width::W64 => bits.cast_signed(),
    }
}

/// A lane-wise operation of one operand.
pub(super) fn unary(width: Width, op: UnaryOp, a: u64) -> u64 {
    match op {
        UnaryOp::Move => a,
        UnaryOp::Neg => a ^ width.sign(),
        UnaryOp::Abs => a & !width.sign(),
        UnaryOp::ToHalf => widen(Storage::F16, width, narrow(Storage::F16, width, a)),
        UnaryOp::ToSingle => widen(Storage::F32, width, narrow(Storage::F32, width, a)),
        _ => (Floats::of(width).unary)(op, a),
    }
}

/// A lane-wise operation of two operands.
pub(super) fn binary(width: Width, op: BinaryOp, a: u64, b: u64) -> u64 {
    let (i, j) = (signed(width, a), signed(width, b));
    let ones = |yes: bool| if yes { width.ones() } else { 0 };
    match op {
        BinaryOp::And => a & b,
        BinaryOp::Or => a | b,
        BinaryOp::Xor => a ^ b,
        BinaryOp::AndNot => !a & b,
        BinaryOp::IntAdd => width.int(i.wrapping_add(j)),
        BinaryOp::IntSub => width.int(i.wrapping_sub(j)),
        BinaryOp::IntMul => width.int(i.wrapping_mul(j)),
        BinaryOp::IntMin => width.int(i.min(j)),
        BinaryOp::IntMax => width.int(i.max(j)),
        BinaryOp::UintMin => a.min(b),
        BinaryOp::UintMax => a.max(b),
        BinaryOp::IntEq => ones(i == j),
        BinaryOp::IntGt => ones(i > j),
        BinaryOp::ShiftLeft => a << (b % u64::from(width.bits())) & width.ones(),
        BinaryOp::ShiftRight => a >> (b % u64::from(width.bits())),
        BinaryOp::PairSub => {
            let ([a0, a1], [b0, b1]) = (halves(a), halves(b));
            let differences = [(a0, b0), (a1, b1)].map(|(a, b)| u64::from(a.wrapping_sub(b).cast_unsigned()));
            differences[0] | differences[1] << 16
        }
        BinaryOp::UintQuot => a.checked_div(b).unwrap_or(0),
        BinaryOp::LowMul => (a & 0xFFFF_FFFF) * (b & 0xFFFF_FFFF),
        BinaryOp::HalfMul => words(a, b, u32::wrapping_mul),
        BinaryOp::HalfAdd => words(a, b, u32::wrapping_add),
        _ => (Floats::of(width).binary)(op, a, b),
    }
}

/// What a function makes of both 32-bit halves.
fn words(a: u64, b: u64, f: impl Fn(u32, u32) -> u32) -> u64 {
    u64::from(f(a as u32, b as u32)) | u64::from(f((a >> 32) as u32, (b >> 32) as u32)) << 32
}

/// A shift of an integer lane.
pub(super) fn shift(width: Width, op: ShiftOp, a: u64, by: u8) -> u64 {
    match op {
        ShiftOp::Left => a << by & width.ones(),
        ShiftOp::RightLogical => a >> by,
        ShiftOp::RightArithmetic => width.int(signed(width, a) >> by),
    }
}

/// The operations on floats of a width, on the bits of lanes.
#[derive(Clone, Copy)]
pub(super) struct Floats {
    unary: fn(UnaryOp, u64) -> u64,
    binary: fn(BinaryOp, u64, u64) -> u64,
    /// The last argument says whether the product is not rounded.
    pub(super) fma: fn(FmaOp, [u64; 3], bool) -> u64,
    pub(super) compare: fn(Compare, u64, u64) -> bool,
}

impl Floats {
    /// Those of lanes that hold floats (law V8).
    pub(super) fn of(width: Width) -> Floats {
        match width {
            Width::W64 => w64::FLOATS,
            Width::W8 | Width::W16 | Width::W32 => w32::FLOATS,
        }
    }
}

/// The operations on floats of one width, given its types.
macro_rules! floats {
    ($module:ident, $float:ty, $int:ty, $bits:ty) => {
        mod $module {
            use super::*;

            pub(super) const FLOATS: Floats = Floats { unary, binary, fma, compare };

            fn float(bits: u64) -> $float {
                <$float>::from_bits(bits as $bits)
            }

            fn bits(value: $float) -> u64 {
                value.to_bits() as u64
            }

            fn word(value: $int) -> u64 {
                value.cast_unsigned() as u64
            }

            fn unary(op: UnaryOp, a: u64) -> u64 {
                let x = float(a);
                match op {
                    UnaryOp::Sqrt => bits(x.sqrt()),
                    UnaryOp::Floor => bits(x.floor()),
                    UnaryOp::Ceil => bits(x.ceil()),
                    UnaryOp::Nearest => bits(x.round_ties_even()),
                    UnaryOp::Trunc => bits(x.trunc()),
                    UnaryOp::ToIntSaturated => word(x as $int),
                    UnaryOp::ToInt | UnaryOp::ToSmallInt => {
                        let least = <$int>::MIN as $float;
                        let fits = (least..-least).contains(&x.trunc());
                        word(if fits { x as $int } else { <$int>::MIN })
                    }
                    UnaryOp::FromInt | UnaryOp::FromSmallInt => bits((a as $bits).cast_signed() as $float),
                    // The others do not depend on the width.
                    _ => a,
                }
            }

            fn binary(op: BinaryOp, a: u64, b: u64) -> u64 {
                let (x, y) = (float(a), float(b));
                match op {
                    BinaryOp::Add => bits(x + y),
                    BinaryOp::Sub => bits(x - y),
                    BinaryOp::Mul => bits(x * y),
                    BinaryOp::Div => bits(x / y),
                    BinaryOp::Min if x < y => a,
                    BinaryOp::Max if x > y => a,
                    // Also of those on integers, which are done.
                    _ => b,
                }
            }

            fn fma(op: FmaOp, operands: [u64; 3], fused: bool) -> u64 {
                let [a, b, c] = operands.map(float);
                let (a, c) = match op {
                    FmaOp::MulAdd => (a, c),
                    FmaOp::MulSub | FmaOp::LostProduct => (a, -c),
                    FmaOp::NegMulAdd | FmaOp::NegMulAddFused => (-a, c),
                };
                let fused = fused || matches!(op, FmaOp::NegMulAddFused | FmaOp::LostProduct);
                bits(if fused { a.mul_add(b, c) } else { a * b + c })
            }

            fn compare(op: Compare, a: u64, b: u64) -> bool {
                let (a, b) = (float(a), float(b));
                match op {
                    Compare::Eq => a == b,
                    Compare::Ne => a != b,
                    Compare::Lt => a < b,
                    Compare::Le => a <= b,
                    Compare::Gt => a > b,
                    Compare::Ge => a >= b,
                    Compare::Unordered => a.is_nan() || b.is_nan(),
                }
            }
        }
    };
}

floats!(w32, f32, i32, u32);
floats!(w64, f64, i64, u64);
