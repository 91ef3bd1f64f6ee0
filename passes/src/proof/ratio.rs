//! Exact coefficients.

use super::cases::{Step, Stop};
use orogen_ir::types::DType;

/// A rational number in lowest terms, the denominator positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ratio {
    pub(super) numerator: i128,
    pub(super) denominator: i128,
}

/// Denominators of constants that are read as the rational number they are nearest to.
const DENOMINATORS: std::ops::RangeInclusive<i32> = 1..=4096;

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn too_large<T>(it: Option<T>) -> Step<T> {
    it.ok_or_else(|| Stop::unknown("a coefficient is too large"))
}

impl Ratio {
    pub(super) const ZERO: Ratio = Ratio::int(0);
    pub(super) const ONE: Ratio = Ratio::int(1);

    pub(super) const fn int(value: i128) -> Ratio {
        Ratio { numerator: value, denominator: 1 }
    }

    pub(super) fn new(numerator: i128, denominator: i128) -> Step<Ratio> {
        let common = gcd(numerator.unsigned_abs(), denominator.unsigned_abs()).max(1);
        let common = too_large(i128::try_from(common).ok())?;
        let sign = if denominator < 0 { -1 } else { 1 };
        let (numerator, denominator) = (numerator / common, denominator / common);
        too_large(numerator.checked_mul(sign).zip(denominator.checked_mul(sign)))
            .map(|(numerator, denominator)| Ratio { numerator, denominator })
    }

    pub(super) fn add(self, other: Ratio) -> Step<Ratio> {
        let a = self.numerator.checked_mul(other.denominator);
        let b = other.numerator.checked_mul(self.denominator);
        let sum = a.zip(b).and_then(|(a, b)| a.checked_add(b));
        let (sum, below) = too_large(sum.zip(self.denominator.checked_mul(other.denominator)))?;
        Ratio::new(sum, below)
    }

    pub(super) fn mul(self, other: Ratio) -> Step<Ratio> {
        let above = self.numerator.checked_mul(other.numerator);
        let (above, below) = too_large(above.zip(self.denominator.checked_mul(other.denominator)))?;
        Ratio::new(above, below)
    }

    pub(super) fn inverse(self) -> Step<Ratio> {
        Ratio::new(self.denominator, self.numerator)
    }

    pub(super) fn is_zero(self) -> bool {
        self.numerator == 0
    }

    /// The integer, modulo 2 to the width of a type, as the type holds it.
    pub(super) fn wrapped(self, dtype: DType) -> Step<Ratio> {
        let Some((lowest, highest)) = dtype.int_range() else { return Ok(self) };
        let count = highest - lowest + 1;
        let value = (self.numerator.rem_euclid(count) - lowest).rem_euclid(count) + lowest;
        Ok(Ratio::int(value))
    }

    /// The product of two integers of a type, as the type holds it: 128 bits have the low bits of every product.
    pub(super) fn wrapped_product(self, other: Ratio, dtype: DType) -> Step<Ratio> {
        Ratio::int(self.numerator.wrapping_mul(other.numerator)).wrapped(dtype)
    }

    /// The rational number that a float stands for: one with a small denominator that it is nearest to, or itself when
    /// that is representable. `None` for what is no number.
    pub(super) fn of_float(value: f64, dtype: DType) -> Option<Ratio> {
        if !value.is_finite() || value.abs() >= 1e15 {
            return None;
        }
        if value != 0.0 && value.abs() < 1e-3 {
            return Self::dyadic(value);
        }
        for denominator in DENOMINATORS {
            let numerator = (value * f64::from(denominator)).round();
            if dtype.round(numerator / f64::from(denominator)) == value {
                return Ratio::new(numerator as i128, i128::from(denominator)).ok();
            }
        }
        Self::dyadic(value)
    }

    fn dyadic(value: f64) -> Option<Ratio> {
        let (mut value, mut denominator) = (value, 1i128);
        while value.fract() != 0.0 {
            value *= 2.0;
            denominator = denominator.checked_mul(2).filter(|it| *it < 1 << 40)?;
        }
        Ratio::new(value as i128, denominator).ok()
    }

    /// The square root, when it is rational.
    pub(super) fn root(self) -> Option<Ratio> {
        let root = |it: i128| {
            let root = (it as f64).sqrt().round() as i128;
            (it >= 0 && root.checked_mul(root) == Some(it)).then_some(root)
        };
        Ratio::new(root(self.numerator)?, root(self.denominator)?).ok()
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.denominator {
            1 => write!(f, "{}", self.numerator),
            it => write!(f, "{}/{it}", self.numerator),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_read_as_the_rational_number_that_they_are_nearest_to() {
        let read = |value: f64, dtype| Ratio::of_float(value, dtype).map(|it| it.to_string());
        assert_eq!(read(f64::from(1.0f32 / 3.0), DType::F32).as_deref(), Some("1/3"));
        assert_eq!(read(0.1, DType::F64).as_deref(), Some("1/10"));
        assert_eq!(read(-2.5, DType::F16).as_deref(), Some("-5/2"));
        assert_eq!(read(f64::INFINITY, DType::F32), None);
    }

    #[test]
    fn integers_wrap_as_their_type_does() {
        let wrapped = |value, dtype| Ratio::int(value).wrapped(dtype).map(|it| it.numerator);
        assert_eq!((wrapped(200, DType::I8), wrapped(-1, DType::U8)), (Ok(-56), Ok(255)));
        let most = Ratio::int(u64::MAX.into());
        assert_eq!(most.wrapped_product(most, DType::U64), Ok(Ratio::ONE));
    }
}
