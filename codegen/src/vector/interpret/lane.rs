//! What operations make of single lanes.

use crate::vector::ir::{BinaryOp, Compare, FmaOp, ShiftOp, Storage, UnaryOp, Width};

/// The lane of an element, given by its bits.
pub(super) fn widen(from: Storage, width: Width, bits: u64) -> u64 {
    let float = |it: f32| width.float(f64::from(it));
    match from {
        Storage::Bits32 | Storage::Bits64 | Storage::U8 | Storage::U16 | Storage::U32 => bits,
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
        Width::W32 => f32::from_bits(bits as u32),
        Width::W64 => f64::from_bits(bits) as f32,
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
        Width::W32 => i64::from(bits as i32),
        Width::W64 => bits.cast_signed(),
    }
}

/// The operations of a width, on the bits of lanes.
#[derive(Clone, Copy)]
pub(super) struct Arithmetic {
    pub(super) unary: fn(UnaryOp, u64) -> u64,
    pub(super) binary: fn(BinaryOp, u64, u64) -> u64,
    /// The last argument says whether the product is not rounded.
    pub(super) fma: fn(FmaOp, [u64; 3], bool) -> u64,
    pub(super) compare: fn(Compare, u64, u64) -> bool,
    pub(super) shift: fn(ShiftOp, u64, u8) -> u64,
}

impl Arithmetic {
    pub(super) fn of(width: Width) -> Arithmetic {
        match width {
            Width::W32 => w32::ARITHMETIC,
            Width::W64 => w64::ARITHMETIC,
        }
    }
}

/// The operations on lanes of one width, given its types.
macro_rules! arithmetic {
    ($module:ident, $width:expr, $float:ty, $int:ty, $bits:ty) => {
        mod $module {
            use super::*;

            pub(super) const ARITHMETIC: Arithmetic = Arithmetic { unary, binary, fma, compare, shift };

            fn float(bits: u64) -> $float {
                <$float>::from_bits(bits as $bits)
            }

            fn bits(value: $float) -> u64 {
                value.to_bits() as u64
            }

            fn int(bits: u64) -> $int {
                (bits as $bits).cast_signed()
            }

            fn word(value: $int) -> u64 {
                value.cast_unsigned() as u64
            }

            fn unary(op: UnaryOp, a: u64) -> u64 {
                let x = float(a);
                match op {
                    UnaryOp::Move => a,
                    UnaryOp::Sqrt => bits(x.sqrt()),
                    UnaryOp::Neg => a ^ $width.sign(),
                    UnaryOp::Abs => a & !$width.sign(),
                    UnaryOp::Floor => bits(x.floor()),
                    UnaryOp::Ceil => bits(x.ceil()),
                    UnaryOp::Nearest => bits(x.round_ties_even()),
                    UnaryOp::Trunc => bits(x.trunc()),
                    UnaryOp::ToInt => {
                        let least = <$int>::MIN as $float;
                        let fits = (least..-least).contains(&x.trunc());
                        word(if fits { x as $int } else { <$int>::MIN })
                    }
                    UnaryOp::FromInt => bits(int(a) as $float),
                    UnaryOp::ToHalf => widen(Storage::F16, $width, narrow(Storage::F16, $width, a)),
                    UnaryOp::ToSingle => widen(Storage::F32, $width, narrow(Storage::F32, $width, a)),
                }
            }

            fn binary(op: BinaryOp, a: u64, b: u64) -> u64 {
                let (x, y) = (float(a), float(b));
                let (i, j) = (int(a), int(b));
                let ones = |yes: bool| if yes { $width.ones() } else { 0 };
                match op {
                    BinaryOp::Add => bits(x + y),
                    BinaryOp::Sub => bits(x - y),
                    BinaryOp::Mul => bits(x * y),
                    BinaryOp::Div => bits(x / y),
                    BinaryOp::Min if x < y => a,
                    BinaryOp::Max if x > y => a,
                    BinaryOp::Min | BinaryOp::Max => b,
                    BinaryOp::And => a & b,
                    BinaryOp::Or => a | b,
                    BinaryOp::Xor => a ^ b,
                    BinaryOp::AndNot => !a & b,
                    BinaryOp::IntAdd => word(i.wrapping_add(j)),
                    BinaryOp::IntSub => word(i.wrapping_sub(j)),
                    BinaryOp::IntMul => word(i.wrapping_mul(j)),
                    BinaryOp::IntMin => word(i.min(j)),
                    BinaryOp::IntMax => word(i.max(j)),
                    BinaryOp::IntEq => ones(i == j),
                    BinaryOp::IntGt => ones(i > j),
                    BinaryOp::PairSub => {
                        let ([a0, a1], [b0, b1]) = (halves(a), halves(b));
                        let differences =
                            [(a0, b0), (a1, b1)].map(|(a, b)| u64::from(a.wrapping_sub(b).cast_unsigned()));
                        differences[0] | differences[1] << 16
                    }
                }
            }

            fn fma(op: FmaOp, operands: [u64; 3], fused: bool) -> u64 {
                let [a, b, c] = operands.map(float);
                let (a, c) = match op {
                    FmaOp::MulAdd => (a, c),
                    FmaOp::MulSub => (a, -c),
                    FmaOp::NegMulAdd | FmaOp::NegMulAddFused => (-a, c),
                };
                let fused = fused || op == FmaOp::NegMulAddFused;
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

            fn shift(op: ShiftOp, a: u64, by: u8) -> u64 {
                match op {
                    ShiftOp::Left => ((a as $bits) << by) as u64,
                    ShiftOp::RightLogical => a >> by,
                    ShiftOp::RightArithmetic => word(int(a) >> by),
                }
            }
        }
    };
}

arithmetic!(w32, Width::W32, f32, i32, u32);
arithmetic!(w64, Width::W64, f64, i64, u64);
