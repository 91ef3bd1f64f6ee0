//! Floats as integers that are compared as they are.

use crate::types::DType;

/// Integers in the order of floats, in which NaN is greater than all numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatKeys {
    /// Of f32, in 32 bits.
    Single,
    /// Of f64, in 64 bits.
    Double,
}

impl FloatKeys {
    /// The keys of a type, if there are any.
    pub fn for_type(dtype: DType) -> Option<FloatKeys> {
        match (dtype.is_float(), dtype.size()) {
            (true, 4) => Some(FloatKeys::Single),
            (true, 8) => Some(FloatKeys::Double),
            _ => None,
        }
    }

    /// The type of keys.
    pub const fn integer(self) -> DType {
        match self {
            FloatKeys::Single => DType::I32,
            FloatKeys::Double => DType::I64,
        }
    }

    /// The key of NaN, which is larger than all others.
    pub const fn nan(self) -> i64 {
        match self {
            FloatKeys::Single => i32::MAX as i64,
            FloatKeys::Double => i64::MAX,
        }
    }

    /// The key that is less than those of all numbers.
    pub const fn least(self) -> i64 {
        match self {
            FloatKeys::Single => i32::MIN as i64,
            FloatKeys::Double => i64::MIN,
        }
    }

    /// The key of a number, which is rounded to the type before. Both zeros have one key.
    pub fn of(self, x: f64) -> i64 {
        if x.is_nan() {
            return self.nan();
        }
        match self {
            FloatKeys::Single => {
                let bits = (x as f32 + 0.0).to_bits().cast_signed();
                i64::from(bits ^ (bits >> 31 & i32::MAX))
            }
            FloatKeys::Double => {
                let bits = (x + 0.0).to_bits().cast_signed();
                bits ^ (bits >> 63 & i64::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_numbers() {
        for keys in [FloatKeys::Single, FloatKeys::Double] {
            let numbers = [f64::NEG_INFINITY, -2.0, -1.5, 0.0, 1e-30, 1.0, f64::INFINITY, f64::NAN];
            assert!(numbers.map(|it| keys.of(it)).is_sorted_by(|a, b| a < b));
            assert_eq!(keys.of(-0.0), keys.of(0.0));
            assert_eq!(keys.of(f64::NAN), keys.nan());
            assert!(keys.least() < keys.of(f64::NEG_INFINITY));
        }
    }
}
