//! Element types: one table says everything that is known of them.
//!
//! An element type is a row: its name, how wide it is and what its bits mean, the type that arithmetic on it happens in,
//! and what exchange formats call it. Constants, the text format, the interpreter, importers, DLPack and the doors of the
//! tool read the table; nothing else lists types.
//!
//! # Laws
//! * **T1** Names differ, and so do the numbers of ONNX and the codes of DLPack.
//! * **T2** A float type that has a [`FloatFormat`] says its bits; a value that is computed in the compute type and
//!   rounded once is the nearest value of the type; of two as near the even one, of powers of two the larger one.
//! * **T3** The compute type holds every value of the type, and is its own compute type.
//! * **T4** In flight an element lies in whole bytes. Of one narrower than a byte the low bits count, whatever the others
//!   are; what is written has its sign extended. Constants hold as many in a byte as fit, the first in the low bits, as
//!   files do ([`TensorData`](super::TensorData)).
//! * **T5** A type that is only moved has no arithmetic: its elements keep every bit, and the one of zero bits is its zero.

use super::float::{FloatFormat, Special};
use super::rounding::{bf16_from_f64, f16_from_f64};
use std::fmt;
use std::str::FromStr;

/// What the bits of an element mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 0 or 1.
    Bool,
    /// Two's complement.
    Signed,
    /// Not negative.
    Unsigned,
    /// A floating-point number.
    Float(FloatFormat),
    /// A complex number: two floats of a type, the real part first.
    Complex(DType),
    /// A string, by reference: in memory of programs an object that is counted elsewhere, or none for the empty one.
    Str,
}

/// What is known of an element type.
#[derive(Clone, Copy, Debug)]
pub struct DTypeRow {
    /// The spelling of the text format.
    pub name: &'static str,
    /// Bits of an element in flight.
    pub bits: u32,
    /// The low bits of an element that count.
    pub width: u32,
    /// What they mean.
    pub kind: Kind,
    /// The type that arithmetic happens in before it is rounded, or that holds what is only stored.
    pub compute: DType,
    /// Code and bits of DLPack.
    pub dlpack: (u8, u8),
    /// The number of ONNX; `None` if its files cannot name the type.
    pub onnx: Option<i32>,
    /// What `.npy` files call it, without the byte order; `None` if they do not hold it.
    pub npy: Option<&'static str>,
}

macro_rules! types {
    ($($(#[$doc:meta])* $dtype:ident, $name:literal, $bits:literal, $width:literal, $kind:expr, $compute:ident, $dlpack:expr, $onnx:expr, $npy:expr;)*) => {
        /// The type of one tensor element.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum DType {
            $($(#[$doc])* $dtype,)*
        }

        const TABLE: &[DTypeRow] = &[$(DTypeRow {
            name: $name,
            bits: $bits,
            width: $width,
            kind: $kind,
            compute: DType::$compute,
            dlpack: $dlpack,
            onnx: $onnx,
            npy: $npy,
        },)*];

        impl DType {
            /// Every element type, in the order of the table.
            pub const ALL: [DType; TABLE.len()] = [$(DType::$dtype,)*];
        }
    };
}

const fn float(exponent: u32, mantissa: u32, bias: i32, special: Special) -> Kind {
    Kind::Float(FloatFormat { exponent, mantissa, bias, special })
}

types! {
    /// One byte, 0 or 1.
    Bool, "bool", 8, 8, Kind::Bool, Bool, (6, 8), Some(9), Some("b1");
    /// Signed 8-bit integer.
    I8, "i8", 8, 8, Kind::Signed, I8, (0, 8), Some(3), Some("i1");
    /// Signed 16-bit integer.
    I16, "i16", 16, 16, Kind::Signed, I16, (0, 16), Some(5), Some("i2");
    /// Signed 32-bit integer.
    I32, "i32", 32, 32, Kind::Signed, I32, (0, 32), Some(6), Some("i4");
    /// Signed 64-bit integer.
    I64, "i64", 64, 64, Kind::Signed, I64, (0, 64), Some(7), Some("i8");
    /// Unsigned 8-bit integer.
    U8, "u8", 8, 8, Kind::Unsigned, U8, (1, 8), Some(2), Some("u1");
    /// Unsigned 16-bit integer.
    U16, "u16", 16, 16, Kind::Unsigned, U16, (1, 16), Some(4), Some("u2");
    /// Unsigned 32-bit integer.
    U32, "u32", 32, 32, Kind::Unsigned, U32, (1, 32), Some(12), Some("u4");
    /// Unsigned 64-bit integer.
    U64, "u64", 64, 64, Kind::Unsigned, U64, (1, 64), Some(13), Some("u8");
    /// IEEE 754 binary16.
    F16, "f16", 16, 16, float(5, 10, 15, Special::Ieee), F32, (2, 16), Some(10), Some("f2");
    /// bfloat16.
    BF16, "bf16", 16, 16, float(8, 7, 127, Special::Ieee), F32, (4, 16), Some(16), None;
    /// IEEE 754 binary32.
    F32, "f32", 32, 32, float(8, 23, 127, Special::Ieee), F32, (2, 32), Some(1), Some("f4");
    /// IEEE 754 binary64.
    F64, "f64", 64, 64, float(11, 52, 1023, Special::Ieee), F64, (2, 64), Some(11), Some("f8");
    /// Float8 with 3 bits of exponent, as of IEEE 754.
    F8E3M4, "f8e3m4", 8, 8, float(3, 4, 3, Special::Ieee), F32, (7, 8), None, None;
    /// Float8 with 4 bits of exponent, as of IEEE 754.
    F8E4M3, "f8e4m3", 8, 8, float(4, 3, 7, Special::Ieee), F32, (8, 8), None, None;
    /// Float8 with 4 bits of exponent, without infinities.
    F8E4M3FN, "f8e4m3fn", 8, 8, float(4, 3, 7, Special::NanAlone), F32, (10, 8), Some(17), None;
    /// Float8 with 4 bits of exponent, without infinities and without a negative zero.
    F8E4M3FNUZ, "f8e4m3fnuz", 8, 8, float(4, 3, 8, Special::NanForNegativeZero), F32, (11, 8), Some(18), None;
    /// Float8 with 5 bits of exponent, as of IEEE 754.
    F8E5M2, "f8e5m2", 8, 8, float(5, 2, 15, Special::Ieee), F32, (12, 8), Some(19), None;
    /// Float8 with 5 bits of exponent, without infinities and without a negative zero.
    F8E5M2FNUZ, "f8e5m2fnuz", 8, 8, float(5, 2, 16, Special::NanForNegativeZero), F32, (13, 8), Some(20), None;
    /// Float8 with 8 bits of exponent and nothing else: powers of two, without a sign, zero and infinities.
    F8E8M0FNU, "f8e8m0fnu", 8, 8, float(8, 0, 127, Special::Powers), F32, (14, 8), Some(24), None;
    /// Signed 4-bit integer, in a byte; only stored and converted.
    I4, "i4", 8, 4, Kind::Signed, I8, (0, 4), Some(22), None;
    /// Unsigned 4-bit integer, in a byte; only stored and converted.
    U4, "u4", 8, 4, Kind::Unsigned, U8, (1, 4), Some(21), None;
    /// Signed 2-bit integer, in a byte; only stored and converted.
    I2, "i2", 8, 2, Kind::Signed, I8, (0, 2), Some(26), None;
    /// Unsigned 2-bit integer, in a byte; only stored and converted.
    U2, "u2", 8, 2, Kind::Unsigned, U8, (1, 2), Some(25), None;
    /// Float6 with 2 bits of exponent, in a byte, without infinities and NaN.
    F6E2M3FN, "f6e2m3fn", 8, 6, float(2, 3, 1, Special::None), F32, (15, 6), None, None;
    /// Float6 with 3 bits of exponent, in a byte, without infinities and NaN.
    F6E3M2FN, "f6e3m2fn", 8, 6, float(3, 2, 3, Special::None), F32, (16, 6), None, None;
    /// Float4 with 2 bits of exponent, in a byte, without infinities and NaN.
    F4E2M1FN, "f4e2m1fn", 8, 4, float(2, 1, 1, Special::None), F32, (17, 4), Some(23), None;
    /// Complex number of two `f32`; only moved.
    C64, "c64", 64, 64, Kind::Complex(DType::F32), C64, (5, 64), Some(14), Some("c8");
    /// Complex number of two `f64`; only moved.
    C128, "c128", 128, 128, Kind::Complex(DType::F64), C128, (5, 128), Some(15), Some("c16");
    /// A string; only moved, and told apart from others.
    Str, "string", 64, 64, Kind::Str, Str, (3, 64), Some(8), None;
}

impl DType {
    /// What is known of the type.
    pub const fn row(self) -> &'static DTypeRow {
        &TABLE[self as usize]
    }

    /// The type that ONNX gives a number; `None` if it has no such number.
    pub fn from_onnx(number: i32) -> Option<DType> {
        Self::ALL.into_iter().find(|it| it.row().onnx == Some(number))
    }

    /// Size of one element in flight, in bytes.
    pub const fn size(self) -> usize {
        self.row().bits as usize / 8
    }

    /// How many elements a byte of a constant holds; 1 for those that are bytes, or more.
    pub const fn in_a_byte(self) -> usize {
        let width = self.row().width;
        if width < 8 { 8 / width as usize } else { 1 }
    }

    /// The bits of a byte that the first element of it is in.
    pub(super) const fn low_bits(self) -> u8 {
        let width = self.row().width;
        if width < 8 { (1 << width) - 1 } else { u8::MAX }
    }

    /// Bits of one element in flight.
    pub const fn bits(self) -> u32 {
        self.row().bits
    }

    /// The low bits of an element that count; all of them but in types narrower than a byte (law T4).
    pub const fn width(self) -> u32 {
        self.row().width
    }

    /// Whether integers of the type are only stored and converted: arithmetic on them does not wrap at their width.
    pub const fn is_only_stored(self) -> bool {
        self.is_int() && self.width() < self.bits()
    }

    /// Whether it is a floating-point type.
    pub const fn is_float(self) -> bool {
        matches!(self.row().kind, Kind::Float(_))
    }

    /// Whether it is an integer type; `Bool` is not.
    pub const fn is_int(self) -> bool {
        matches!(self.row().kind, Kind::Signed | Kind::Unsigned)
    }

    /// Whether it is an integer type of one of these widths, in bits.
    pub fn is_int_of(self, widths: &[u32]) -> bool {
        self.is_int() && widths.contains(&self.width())
    }

    /// Whether it is a floating-point type of one of these widths, in bits.
    pub fn is_float_of(self, widths: &[u32]) -> bool {
        self.is_float() && widths.contains(&self.width())
    }

    /// Whether elements are integers or bool, which are computed with as the low bits of an `i64`.
    pub const fn is_integral(self) -> bool {
        matches!(self.row().kind, Kind::Bool | Kind::Signed | Kind::Unsigned)
    }

    /// Whether elements are only moved: there is neither arithmetic on them nor a conversion (law T5).
    pub const fn is_only_moved(self) -> bool {
        matches!(self.row().kind, Kind::Complex(_) | Kind::Str)
    }

    /// The type of the two parts of a complex number.
    pub const fn component(self) -> Option<DType> {
        match self.row().kind {
            Kind::Complex(component) => Some(component),
            _ => None,
        }
    }

    /// Whether it is a signed integer type.
    pub const fn is_signed_int(self) -> bool {
        matches!(self.row().kind, Kind::Signed)
    }

    /// The format of a floating-point type.
    pub const fn float_format(self) -> Option<FloatFormat> {
        match self.row().kind {
            Kind::Float(format) => Some(format),
            _ => None,
        }
    }

    /// The type that arithmetic happens in before it is rounded: itself but for narrow floats.
    pub const fn compute(self) -> DType {
        self.row().compute
    }

    /// The spelling of the text format.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The lowest and the highest value of an integer type or bool.
    pub const fn int_range(self) -> Option<(i128, i128)> {
        let bits = self.row().width;
        match self.row().kind {
            Kind::Bool => Some((0, 1)),
            Kind::Unsigned => Some((0, (1 << bits) - 1)),
            Kind::Signed => Some((-(1 << (bits - 1)), (1 << (bits - 1)) - 1)),
            Kind::Float(_) | Kind::Complex(_) | Kind::Str => None,
        }
    }

    /// The integer that has the low bits of `value`, as an `i64`: signed types are sign-extended, unsigned ones
    /// zero-extended (`u64` by its bits). For bool, whether it is not 0.
    pub const fn wrap(self, value: i64) -> i64 {
        let unused = 64u32.saturating_sub(self.row().width);
        match self.row().kind {
            Kind::Bool => (value != 0) as i64,
            Kind::Signed => value << unused >> unused,
            Kind::Unsigned => (value.cast_unsigned() << unused >> unused).cast_signed(),
            Kind::Float(_) | Kind::Complex(_) | Kind::Str => value,
        }
    }

    /// A float as an integer of the type, held as [`wrap`](Self::wrap) says: truncated and saturated, NaN is 0. For bool,
    /// whether it is not 0.
    pub const fn saturate(self, value: f64) -> i64 {
        let Some((lowest, highest)) = self.int_range() else { return value as i64 };
        match self.row().kind {
            Kind::Bool => (value != 0.0) as i64,
            // A conversion to an integer saturates; what it holds has no rounding left.
            _ => {
                let whole = value as i128;
                let whole = if whole < lowest { lowest } else { whole };
                (if whole > highest { highest } else { whole }) as i64
            }
        }
    }

    /// The bits of the float nearest to a value, ties to even; NaN is the one of [`FloatFormat::nan`]. A number beyond the
    /// largest becomes infinity, or in 8 bits the largest; infinity is kept where the type has one. 0 for a type that is no
    /// float.
    pub fn float_bits(self, value: f64) -> u64 {
        match (self, self.float_format()) {
            (DType::F64, _) => value.to_bits(),
            (DType::F32, _) => u64::from((value as f32).to_bits()),
            (DType::F16, _) => u64::from(f16_from_f64(value).to_bits()),
            (DType::BF16, _) => u64::from(bf16_from_f64(value).to_bits()),
            (_, Some(format)) => format.encode(value),
            (_, None) => 0,
        }
    }

    /// The value of a float by its bits; 0 for a type that is no float.
    pub fn float_value(self, bits: u64) -> f64 {
        match (self, self.float_format()) {
            (DType::F64, _) => f64::from_bits(bits),
            (DType::F32, _) => f64::from(f32::from_bits(bits as u32)),
            (DType::F16, _) => half::f16::from_bits(bits as u16).to_f64(),
            (DType::BF16, _) => half::bf16::from_bits(bits as u16).to_f64(),
            (_, Some(format)) => format.decode(bits),
            (_, None) => 0.0,
        }
    }

    /// The value of a float type nearest to a value.
    pub fn round(self, value: f64) -> f64 {
        self.float_value(self.float_bits(value))
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DType {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|it| it.name() == text).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_distinct<T: Ord + Clone + fmt::Debug>(keys: impl Iterator<Item = T>) {
        let mut keys: Vec<T> = keys.collect();
        let count = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), count, "{keys:?}");
    }

    #[test]
    fn t1_names_and_numbers_differ() {
        assert_distinct(DType::ALL.iter().map(|it| it.name()));
        assert_distinct(DType::ALL.iter().map(|it| it.row().dlpack));
        assert_distinct(DType::ALL.iter().filter_map(|it| it.row().onnx));
        assert_distinct(DType::ALL.iter().filter_map(|it| it.row().npy));
        assert_eq!([DType::from_onnx(8), DType::from_onnx(99)], [Some(DType::Str), None]);
    }

    #[test]
    fn t2_every_value_is_the_nearest_to_itself_and_to_what_is_near() {
        for dtype in DType::ALL.into_iter().filter(|it| it.is_float() && it.bits() <= 16) {
            let mut values: Vec<f64> = (0..1_u64 << dtype.width())
                .map(|bits| (bits, dtype.float_value(bits)))
                .filter(|(bits, value)| {
                    let kept = !value.is_nan();
                    assert!(!kept || dtype.float_bits(*value) == *bits, "{dtype} {bits:#x}: {value}");
                    value.is_finite()
                })
                .map(|it| it.1)
                .collect();
            values.sort_by(f64::total_cmp);
            for pair in values.windows(2) {
                let (a, b) = (pair[0], pair[1]);
                let middle = f64::midpoint(a, b);
                assert_eq!(dtype.round(middle.next_down()), a, "{dtype} below {middle}");
                assert_eq!(dtype.round(middle.next_up()), b, "{dtype} above {middle}");
                let tie = dtype.round(middle);
                let even = dtype.float_bits(tie) & 1 == 0;
                let powers = dtype.float_format().is_some_and(|it| it.special == Special::Powers);
                let right = if powers { tie == b } else { middle == 0.0 || even };
                assert!(right, "{dtype} at {middle}: {tie}");
            }
            let finite = dtype.float_format().is_some_and(|it| it.special == Special::None);
            assert!(dtype.round(f64::NAN).is_nan() || finite, "{dtype}");
        }
    }

    #[test]
    fn t2_formats_say_what_the_common_types_are() {
        for dtype in [DType::F16, DType::BF16] {
            let format = dtype.float_format().expect("a float");
            for bits in 0..1 << 16 {
                let (value, found) = (dtype.float_value(bits), format.decode(bits));
                assert!(value == found || value.is_nan() && found.is_nan(), "{dtype} {bits:#x}");
                for near in [value, value.next_up(), value * 1.000_244_140_625, value * 1.003_906_25] {
                    assert!(near.is_nan() || format.encode(near) == dtype.float_bits(near), "{dtype} {near}");
                }
            }
        }
    }

    #[test]
    fn t3_compute_types_hold_every_value() {
        for dtype in DType::ALL {
            let compute = dtype.compute();
            assert_eq!(compute.compute(), compute);
            assert!(compute.is_float() == dtype.is_float() && compute.bits() >= dtype.bits());
            if dtype.is_float() && dtype.bits() <= 16 {
                for bits in 0..1_u64 << dtype.width() {
                    let value = dtype.float_value(bits);
                    assert!(value.is_nan() || compute.round(value) == value, "{dtype} {value}");
                }
            }
        }
    }

    #[test]
    fn t5_what_is_only_moved_is_no_number() {
        let moved: Vec<DType> = DType::ALL.into_iter().filter(|it| it.is_only_moved()).collect();
        assert_eq!(moved, [DType::C64, DType::C128, DType::Str]);
        for dtype in DType::ALL {
            let kinds = [dtype.is_float(), dtype.is_integral(), dtype.is_only_moved()];
            assert_eq!(kinds.iter().filter(|it| **it).count(), 1, "{dtype}");
            assert_eq!(dtype.component().map_or(dtype.bits(), |it| 2 * it.bits()), dtype.bits());
        }
    }

    #[test]
    fn integers_wrap_and_saturate() {
        assert_eq!([DType::I8.wrap(128), DType::U8.wrap(-1), DType::U64.wrap(-1)], [-128, 255, -1]);
        assert_eq!(DType::U64.saturate(1e30), -1);
        assert_eq!([DType::I64.saturate(1e30), DType::I8.saturate(-1e3)], [i64::MAX, -128]);
        assert_eq!([DType::I4.wrap(0x78), DType::U2.wrap(7), DType::I4.wrap(7)], [-8, 3, 7]);
        assert_eq!([DType::I4.saturate(9.0), DType::U4.saturate(-1.0)], [7, 0]);
        assert_eq!([DType::U16.saturate(f64::NAN), DType::Bool.saturate(0.5)], [0, 1]);
    }

    #[test]
    fn float8_saturates() {
        assert_eq!(DType::F8E4M3FN.round(1e9), 448.0);
        assert_eq!(DType::F8E4M3FN.round(f64::NEG_INFINITY), -448.0);
        assert_eq!(DType::F8E5M2.round(1e9), 57344.0);
        assert!(DType::F8E5M2.round(f64::INFINITY).is_infinite());
        assert_eq!(DType::F8E4M3FNUZ.round(1e9), 240.0);
        assert_eq!(DType::F8E5M2FNUZ.round(-1e9), -57344.0);
        assert_eq!(DType::F8E4M3FNUZ.float_bits(-0.0), 0);
        assert_eq!(DType::F8E4M3FNUZ.float_bits(-1e-9), 0);
        assert!(DType::F16.round(1e9).is_infinite());
    }

    #[test]
    fn powers_of_two_have_no_sign_and_no_zero() {
        let least = 2f64.powi(-127);
        assert_eq!([0.0, -0.0, 1e-300].map(|it| DType::F8E8M0FNU.round(it)), [least; 3]);
        assert_eq!(
            [1.49, 1.5, -3.0, 6e38].map(|it| DType::F8E8M0FNU.round(it)),
            [1.0, 2.0, 4.0, 2f64.powi(127)]
        );
        assert_eq!([f64::INFINITY, -f64::NAN].map(|it| DType::F8E8M0FNU.float_bits(it)), [0xff; 2]);
    }
}
