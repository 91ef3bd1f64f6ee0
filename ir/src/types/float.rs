//! Formats of floating-point numbers of at most 32 bits.

/// Which bits are no finite number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// The highest exponent is infinity, and NaN with a mantissa.
    Ieee,
    /// All bits but the sign are NaN; there is no infinity.
    NanAlone,
    /// What would be a negative zero is NaN; there is no infinity.
    NanForNegativeZero,
    /// All numbers are finite.
    None,
    /// Powers of two: there is no sign, no zero, no subnormal number and no infinity; all bits together are NaN. A sign is
    /// dropped, and what is not finite becomes NaN.
    Powers,
}

/// How bits are a floating-point number: a sign, unless all are powers, then `exponent` bits, then `mantissa` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloatFormat {
    /// Bits of the exponent.
    pub exponent: u32,
    /// Bits of the mantissa.
    pub mantissa: u32,
    /// What the exponent of 1.0 is.
    pub bias: i32,
    /// Which bits are no finite number.
    pub special: Special,
}

impl FloatFormat {
    /// The bit of the sign; above all bits where there is none.
    pub const fn sign(self) -> u64 {
        1 << (self.exponent + self.mantissa)
    }

    /// The canonical NaN; negative zero where there is none.
    pub const fn nan(self) -> u64 {
        match self.special {
            Special::Ieee => (self.sign() - 1) ^ ((1 << (self.mantissa - 1)) - 1),
            Special::NanAlone | Special::Powers => self.sign() - 1,
            Special::NanForNegativeZero | Special::None => self.sign(),
        }
    }

    /// The largest finite number.
    pub const fn most(self) -> u64 {
        match self.special {
            Special::Ieee => self.sign() - 1 - (1 << self.mantissa),
            Special::NanAlone | Special::Powers => self.sign() - 2,
            Special::NanForNegativeZero | Special::None => self.sign() - 1,
        }
    }

    /// Infinity, where the format has one.
    pub const fn infinity(self) -> Option<u64> {
        match self.special {
            Special::Ieee => Some(self.most() + 1),
            Special::NanAlone | Special::NanForNegativeZero | Special::None | Special::Powers => None,
        }
    }

    /// What a number beyond the largest becomes: infinity in 16 bits and more; in 8 bits the largest number.
    const fn beyond(self) -> u64 {
        match self.special {
            Special::Ieee if self.exponent + self.mantissa >= 15 => self.most() + 1,
            _ => self.most(),
        }
    }

    /// The value of some bits.
    pub fn decode(self, bits: u64) -> f64 {
        let magnitude = bits & (self.sign() - 1);
        let negative = bits & self.sign() != 0;
        let nan = match self.special {
            Special::Ieee => magnitude > self.most() + 1,
            Special::NanAlone | Special::Powers => magnitude == self.nan(),
            Special::NanForNegativeZero => negative && magnitude == 0,
            Special::None => false,
        };
        let value = if nan {
            f64::NAN
        } else if self.special == Special::Powers {
            2_f64.powi(magnitude as i32 - self.bias)
        } else if self.special == Special::Ieee && magnitude == self.most() + 1 {
            f64::INFINITY
        } else {
            let (exponent, mantissa) = (magnitude >> self.mantissa, magnitude & ((1 << self.mantissa) - 1));
            let implied = if exponent == 0 { mantissa } else { mantissa | 1 << self.mantissa };
            let scale = exponent.max(1) as i32 - self.bias - self.mantissa as i32;
            implied as f64 * 2_f64.powi(scale)
        };
        if negative { -value } else { value }
    }

    /// The bits of the nearest number, ties to even; of powers, ties to the larger one. Infinity is kept where the format has
    /// one.
    pub fn encode(self, value: f64) -> u64 {
        if self.special == Special::Powers {
            return self.power(value);
        }
        let sign = if value.is_sign_negative() { self.sign() } else { 0 };
        if value.is_nan() {
            return self.nan() | sign;
        }
        if value.is_infinite() {
            return self.infinity().unwrap_or(self.most()) | sign;
        }
        // The last place of the result; subnormal numbers share the one of the least normal number.
        let exponent = (value.abs().to_bits() >> 52) as i32 - 1023;
        let place = exponent.max(1 - self.bias) - self.mantissa as i32;
        // Exact, and so `round_ties_even` rounds once. What rounds up to a power of two carries into the exponent.
        let units = scaled(value.abs(), -place).round_ties_even();
        let normal =
            (i64::from(place) + i64::from(self.mantissa) + i64::from(self.bias) - 1) << self.mantissa;
        let magnitude = (normal + units as i64).cast_unsigned();
        let magnitude = if magnitude > self.most() { self.beyond() } else { magnitude };
        match (self.special, magnitude) {
            (Special::NanForNegativeZero, 0) => 0,
            _ => magnitude | sign,
        }
    }

    /// The power of two nearest to a number without its sign.
    fn power(self, value: f64) -> u64 {
        if !value.is_finite() {
            return self.nan();
        }
        let bits = value.abs().to_bits();
        let exponent = (bits >> 52) as i32 - 1023;
        let upper = i32::from(bits >> 51 & 1 == 1);
        let number = (exponent + upper + self.bias).clamp(0, self.most() as i32);
        // What is less than the least one has no half that counts.
        if exponent + self.bias < 0 { 0 } else { number.unsigned_abs().into() }
    }
}

/// `value · 2^power`, exactly where that is a normal number.
fn scaled(value: f64, power: i32) -> f64 {
    let half = power / 2;
    value * 2_f64.powi(half) * 2_f64.powi(power - half)
}

#[cfg(test)]
mod tests {
    use crate::types::DType;

    /// What `ml_dtypes` 0.6 makes of the bits of a float8: the first and the last positive numbers.
    const FORMS: [(DType, [f64; 20], [f64; 16]); 2] = [
        (
            DType::F8E3M4,
            [
                0.0, 0.015625, 0.03125, 0.046875, 0.0625, 0.078125, 0.09375, 0.109375, 0.125, 0.140625,
                0.15625, 0.171875, 0.1875, 0.203125, 0.21875, 0.234375, 0.25, 0.265625, 0.28125, 0.296875,
            ],
            [8.0, 8.5, 9.0, 9.5, 10.0, 10.5, 11.0, 11.5, 12.0, 12.5, 13.0, 13.5, 14.0, 14.5, 15.0, 15.5],
        ),
        (
            DType::F8E4M3,
            [
                0.0,
                0.001953125,
                0.00390625,
                0.005859375,
                0.0078125,
                0.009765625,
                0.01171875,
                0.013671875,
                0.015625,
                0.017578125,
                0.01953125,
                0.021484375,
                0.0234375,
                0.025390625,
                0.02734375,
                0.029296875,
                0.03125,
                0.03515625,
                0.0390625,
                0.04296875,
            ],
            [
                64.0, 72.0, 80.0, 88.0, 96.0, 104.0, 112.0, 120.0, 128.0, 144.0, 160.0, 176.0, 192.0, 208.0,
                224.0, 240.0,
            ],
        ),
    ];

    #[test]
    fn float8_as_of_ieee_is_what_others_make_of_its_bits() {
        for (dtype, first, last) in FORMS {
            let format = dtype.float_format().expect("a float");
            let (units, most) = (1 << format.mantissa, format.most());
            for bits in 0..=255 {
                let (magnitude, sign) = (bits & 0x7f, if bits > 0x7f { -1.0 } else { 1.0 });
                let fraction = (magnitude % units) as f64 / units as f64;
                let wanted = match magnitude / units {
                    _ if magnitude == most + 1 => f64::INFINITY,
                    _ if magnitude > most => f64::NAN,
                    0 => fraction * 2_f64.powi(1 - format.bias),
                    exponent => (1.0 + fraction) * 2_f64.powi(exponent as i32 - format.bias),
                };
                let found = dtype.float_value(bits);
                assert!(found == sign * wanted || found.is_nan() && wanted.is_nan(), "{dtype} {bits:#x}");
                assert!(found.is_nan() || found.is_sign_negative() == (bits > 0x7f), "{dtype} {bits:#x}");
            }
            for (i, it) in first.into_iter().enumerate() {
                assert_eq!(dtype.float_value(i as u64), it, "{dtype}");
            }
            for (i, it) in last.into_iter().rev().enumerate() {
                assert_eq!(dtype.float_value(most - i as u64), it, "{dtype}");
            }
            let most = last[15];
            assert_eq!([1.01 * most, -1e9].map(|it| dtype.round(it)), [most, -most]);
            assert!(dtype.round(f64::NEG_INFINITY) == f64::NEG_INFINITY && dtype.round(f64::NAN).is_nan());
        }
    }

    /// The positive numbers of six bits, without their sign, as `ml_dtypes` 0.6 has them.
    #[test]
    fn float6_is_what_others_make_of_its_bits() {
        const STEPS: [(DType, f64, [f64; 16]); 2] = [
            (
                DType::F6E2M3FN,
                0.125,
                [2.0, 2.25, 2.5, 2.75, 3.0, 3.25, 3.5, 3.75, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 7.5],
            ),
            (
                DType::F6E3M2FN,
                0.0625,
                [2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0, 16.0, 20.0, 24.0, 28.0],
            ),
        ];
        for (dtype, least, upper) in STEPS {
            assert_eq!((dtype.float_value(0), dtype.float_value(1)), (0.0, least));
            for (bits, wanted) in (16..).zip(upper) {
                assert_eq!([bits, bits + 32].map(|it| dtype.float_value(it)), [wanted, -wanted], "{dtype}");
            }
            let most = upper[15];
            assert_eq!([1.01 * most, f64::NEG_INFINITY].map(|it| dtype.round(it)), [most, -most], "{dtype}");
        }
    }
}
