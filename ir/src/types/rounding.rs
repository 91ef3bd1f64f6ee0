//! Rounding to narrow float types, once.
//!
//! Rounding in two steps (f64 to f32 to f16, or a wide integer to f64 to bf16) can end one step away from the nearest
//! value. The first step therefore rounds *to odd*: an inexact result has its last bit set, so that it is no tie of the
//! second step, and lies on the right side of every tie. (Boldo and Melquiond, "Emulation of FMA and correctly rounded
//! sums", 2008.)

/// The f32 next to a number towards zero, or that away from zero, whichever is odd; the number itself if it is one.
pub fn f32_to_odd(value: f64) -> f32 {
    let nearest = value as f32;
    let back = f64::from(nearest);
    let inexact = back != value;
    let towards_zero = nearest.to_bits() - u32::from(back.abs() > value.abs());
    f32::from_bits(towards_zero | u32::from(inexact))
}

/// The nearest f16, ties to even.
pub fn f16_from_f64(value: f64) -> half::f16 {
    half::f16::from_f32(f32_to_odd(value))
}

/// The nearest bf16, ties to even.
pub fn bf16_from_f64(value: f64) -> half::bf16 {
    half::bf16::from_f32(f32_to_odd(value))
}

/// An integer as an f64 from which every narrower float type is rounded as from the integer: to odd in 53 bits.
pub fn f64_to_odd(value: i128) -> f64 {
    const EXACT: i128 = 1 << 53;
    if (-EXACT..=EXACT).contains(&value) {
        return value as f64;
    }
    // Of 64 bits the last 11 do not fit; below, an odd number is one of 2⁵³ and more all the same.
    let sticky = if value & 0x7ff == 0 { 0 } else { 0x800 };
    ((value & !0x7ff) | sticky) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_broken_by_what_was_cut_off() {
        // Half-way between two f16, and a little more than an f32 can hold.
        let tie = 1.0 + 2f64.powi(-11);
        assert_eq!(f16_from_f64(tie).to_f64(), 1.0);
        assert_eq!(f16_from_f64(tie + 2f64.powi(-40)).to_f64(), 1.0 + 2f64.powi(-10));
        assert_eq!(f16_from_f64(-tie - 2f64.powi(-52)).to_f64(), -1.0 - 2f64.powi(-10));
        let tie = 1.0 + 2f64.powi(-8);
        assert_eq!(bf16_from_f64(tie).to_f64(), 1.0);
        assert_eq!(bf16_from_f64(tie + 2f64.powi(-50)).to_f64(), 1.0 + 2f64.powi(-7));
        // Ends of the ranges.
        assert_eq!(f16_from_f64(65_519.999_999_999).to_f64(), 65504.0);
        assert_eq!(f16_from_f64(65520.0).to_f64(), f64::INFINITY);
        assert_eq!(f16_from_f64(1e300).to_f64(), f64::INFINITY);
        assert_eq!(f16_from_f64(2f64.powi(-25)).to_f64(), 0.0);
        assert_eq!(f16_from_f64(2f64.powi(-25) * (1.0 + f64::EPSILON)).to_f64(), 2f64.powi(-24));
        assert_eq!(bf16_from_f64(-1e-300).to_bits(), 0x8000);
        assert!(f16_from_f64(f64::NAN).is_nan() && bf16_from_f64(f64::NAN).is_nan());
        assert_eq!(f16_from_f64(f64::NEG_INFINITY).to_f64(), f64::NEG_INFINITY);
    }

    #[test]
    fn integers_are_odd_where_they_are_cut() {
        for value in [0, 1, -1, (1 << 53) - 1, 1 << 53, -(1 << 53), 1 << 62, i128::from(u64::MAX) + 1] {
            assert_eq!(f64_to_odd(value) as i128, value);
        }
        for value in [(1i128 << 60) + 1, (1 << 63) - 1, -(1 << 61) - 3, i128::from(u64::MAX) - 1] {
            let odd = f64_to_odd(value) as i128;
            assert!((odd - value).abs() < 0x1000 && odd & 0xfff == 0x800, "{value} {odd}");
        }
        // A tie of f32 and one more.
        let tie = (1i128 << 60) + (1 << 36);
        assert_eq!(f64_to_odd(tie) as f32, (tie as f64) as f32);
        assert_eq!(f64_to_odd(tie + 1) as f32, (1u64 << 60) as f32 + (1u64 << 37) as f32);
        assert_eq!(
            bf16_from_f64(f64_to_odd((1 << 60) + (1 << 52) + 1)).to_f64() as i128,
            (1 << 60) + (1 << 53)
        );
    }
}
