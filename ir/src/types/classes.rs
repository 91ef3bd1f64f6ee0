//! What rules, importers and code generation ask of the table: which type holds the values of another one, which one has a
//! width, which numbers are only stored.

use super::float::{FloatFormat, Special};
use super::{DType, Kind};

impl DType {
    /// The type that `.npy` files call so, without the byte order.
    pub fn from_npy(text: &str) -> Option<DType> {
        Self::ALL.into_iter().find(|it| it.row().npy == Some(text))
    }

    /// The type that DLPack gives a code and bits.
    pub fn from_dlpack(code: u8, bits: u8) -> Option<DType> {
        Self::ALL.into_iter().find(|it| it.row().dlpack == (code, bits))
    }

    /// The integer type of a width in bits, if there is one.
    pub fn int_of(width: u32, signed: bool) -> Option<DType> {
        Self::ALL.into_iter().find(|it| it.is_int_of(&[width]) && it.is_signed_int() == signed)
    }

    /// Whether numbers of the type are only stored and converted: integers narrower than a byte, floats of at most a byte.
    pub const fn is_storage(self) -> bool {
        self.is_only_stored() || self.is_float() && self.bits() == 8
    }

    /// The types that are computed with, of all that are numbers or bool: not those that are only stored.
    pub fn computed() -> impl Iterator<Item = DType> + Clone {
        Self::ALL.into_iter().filter(|it| !it.is_storage() && !it.is_only_moved())
    }

    /// Bits of a number that count: of a float those of its significand, with the one that is not stored; of an integer or
    /// bool those of its magnitude. 0 of what is no number.
    pub const fn digits(self) -> u32 {
        match self.row().kind {
            Kind::Bool => 1,
            Kind::Signed => self.width() - 1,
            Kind::Unsigned => self.width(),
            Kind::Float(format) => format.mantissa + 1,
            Kind::Complex(_) | Kind::Str => 0,
        }
    }

    /// Whether numbers of a type, which has more digits than a float of `digits`, are rounded twice on the way over such a
    /// float to this one: it has fewer, and its range goes on where those are all used.
    pub const fn is_rounded_twice(self, from: DType, digits: u32) -> bool {
        match self.float_format() {
            Some(it) => from.width() > digits && self.digits() < digits && it.range().1 >= digits as i32,
            None => false,
        }
    }

    /// Whether every number of the type is one of another type, which is what a conversion to that gives. NaN and infinity
    /// are no numbers.
    pub fn is_in(self, other: DType) -> bool {
        if self == other {
            return true;
        }
        match (self.row().kind, other.row().kind) {
            (Kind::Float(from), Kind::Float(to)) => from.is_in(to),
            (_, Kind::Float(to)) => {
                let powers = matches!(to.special, Special::Powers);
                self.is_integral()
                    && !powers
                    && self.digits() <= other.digits()
                    && match self.is_signed_int() {
                        true => self.digits() as i32 <= to.range().1,
                        false => to.holds_ones(self.digits()),
                    }
            }
            _ => match (self.int_range(), other.int_range()) {
                (Some(from), Some(to)) => to.0 <= from.0 && from.1 <= to.1,
                _ => false,
            },
        }
    }
}

impl FloatFormat {
    /// The exponents of the least positive number and of the largest one, as powers of two.
    const fn range(self) -> (i32, i32) {
        let least = match self.special {
            Special::Powers => -self.bias,
            _ => 1 - self.bias - self.mantissa as i32,
        };
        (least, (self.most() >> self.mantissa) as i32 - self.bias)
    }

    /// Whether the largest number is at least that of so many ones, of which there are no more than the
    /// format has digits.
    fn holds_ones(self, ones: u32) -> bool {
        let (places, most) = (ones - 1, self.range().1);
        let leading = (self.most() & ((1 << self.mantissa) - 1)) >> (self.mantissa - places);
        (places as i32) < most || places as i32 == most && leading == (1 << places) - 1
    }

    fn is_in(self, other: FloatFormat) -> bool {
        // Powers of two alone hold no zero and no sign.
        if other.special == Special::Powers || self.mantissa > other.mantissa {
            return false;
        }
        let ((least, most), (least_other, most_other)) = (self.range(), other.range());
        let fraction = |it: FloatFormat| it.most() & ((1 << it.mantissa) - 1);
        let fits = fraction(self) << (other.mantissa - self.mantissa) <= fraction(other);
        least_other <= least && (most < most_other || most == most_other && fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_by_what_they_are() {
        assert_eq!(
            [(8, true), (2, false), (64, false)].map(|(bits, sign)| DType::int_of(bits, sign)),
            [Some(DType::I8), Some(DType::U2), Some(DType::U64)]
        );
        assert_eq!(DType::int_of(5, true), None);
        for dtype in DType::ALL {
            assert!(dtype.row().npy.is_none_or(|it| DType::from_npy(it) == Some(dtype)));
            let (code, bits) = dtype.row().dlpack;
            assert_eq!(DType::from_dlpack(code, bits), Some(dtype));
        }
        assert_eq!((DType::from_npy("V8"), DType::from_dlpack(200, 8)), (None, None));
    }

    /// Of types that have few enough values to try them all.
    #[test]
    fn a_type_is_in_another_one_when_all_its_numbers_are() {
        let small = || DType::ALL.into_iter().filter(|it| it.width() <= 16 && !it.is_only_moved());
        for (from, to) in small().flat_map(|from| small().map(move |to| (from, to))) {
            let bits = if from == DType::Bool { 1 } else { from.width() };
            let all = (0..1_u64 << bits).all(|it| {
                let value = match from.is_float() {
                    true => from.float_value(it),
                    false => from.wrap(it.cast_signed()) as f64,
                };
                if !value.is_finite() {
                    return true;
                }
                match to.is_float() {
                    true => to.round(value) == value,
                    false => {
                        to.wrap(to.saturate(value)) as f64 == value
                            && (to != DType::Bool || value.abs() <= 1.0)
                    }
                }
            });
            // Of floats in integers nothing is said.
            if !from.is_float() || to.is_float() {
                assert!(!from.is_in(to) || all, "{from} in {to}");
                // The least number of signed integers takes one digit less than their width says.
                assert!(from.is_in(to) || !all || from.is_signed_int(), "{from} in {to}: {all}");
            }
        }
        assert!(
            DType::I32.is_in(DType::F64) && !DType::I32.is_in(DType::F32) && DType::F32.is_in(DType::F64)
        );
        assert!(
            !DType::I64.is_in(DType::F64) && DType::U32.is_in(DType::I64) && !DType::U64.is_in(DType::I64)
        );
        assert!(
            !DType::Str.is_in(DType::F64) && !DType::C64.is_in(DType::F64) && DType::C64.is_in(DType::C64)
        );
    }

    #[test]
    fn what_a_float_between_does_not_hold_is_rounded_twice() {
        let twice = |digits: u32, from: DType| -> Vec<DType> {
            DType::ALL.into_iter().filter(|it| it.is_rounded_twice(from, digits)).collect()
        };
        assert_eq!(twice(53, DType::I64), [DType::BF16, DType::F32, DType::F8E8M0FNU]);
        assert_eq!(twice(24, DType::U32), [DType::BF16, DType::F8E8M0FNU]);
        assert_eq!(twice(53, DType::I32), []);
    }
}
