//! bfloat16: the upper halves of `f32` lanes, and numbers of `f64` lanes.

use crate::vector::{BinaryOp, Builder, Compare, ShiftOp, VReg, Width};

/// Bits of the fraction that an `f64` has more.
const MORE: u8 = 52 - 7;

/// Between the biases of the exponents.
const BIAS: i32 = 1023 - 127;

/// A number rounded to the nearest bfloat16, ties to even.
pub(super) fn rounded(b: &mut Builder, value: VReg) -> VReg {
    if b.width() == Width::W64 {
        let magnitude = magnitude_rounded(b, value);
        let sign = b.constant_lane(Width::W64.sign());
        let sign = b.binary(BinaryOp::And, value, sign);
        let all = b.binary(BinaryOp::Or, magnitude, sign);
        return b.select(Compare::Unordered, value, value, value, all);
    }
    let bits = upper(b, value);
    let upper = b.constant_bits(0xFFFF_0000);
    b.binary(BinaryOp::And, bits, upper)
}

/// The upper halves of `f32` lanes are those of the nearest bfloat16, ties to even; NaN stays NaN.
pub(super) fn upper(b: &mut Builder, value: VReg) -> VReg {
    let odd = b.shift(ShiftOp::RightLogical, value, 16);
    let (one, almost_half) = (b.constant_int(1), b.constant_int(0x7FFF));
    let odd = b.binary(BinaryOp::And, odd, one);
    let rounded = b.binary(BinaryOp::IntAdd, value, almost_half);
    let rounded = b.binary(BinaryOp::IntAdd, rounded, odd);
    let nan = b.constant_bits(0x7FC0_0000);
    b.select(Compare::Unordered, value, value, nan, rounded)
}

/// The `f64` of bits in the lower 16 of each lane.
///
/// Exponent and fraction go where those of an `f64` are, and a product mends the bias, also of subnormals. Infinity and
/// NaN keep their fraction and get all bits of the exponent.
pub(super) fn widened(b: &mut Builder, lanes: VReg) -> VReg {
    let sign = b.shift(ShiftOp::RightLogical, lanes, 15);
    let sign = b.shift(ShiftOp::Left, sign, 63);
    let magnitude = b.constant_lane(0x7FFF);
    let magnitude = b.binary(BinaryOp::And, lanes, magnitude);
    let most = b.constant_lane(0x7F7F);
    let special = b.binary(BinaryOp::IntGt, magnitude, most);
    let exponent = b.constant_lane(0x7FF << 52);
    let special = b.binary(BinaryOp::And, special, exponent);
    let magnitude = b.shift(ShiftOp::Left, magnitude, MORE);
    let scale = b.constant(2f64.powi(BIAS));
    let finite = b.mul(magnitude, scale);
    let value = b.binary(BinaryOp::Or, finite, special);
    b.binary(BinaryOp::Or, value, sign)
}

/// The bits of the nearest bfloat16 of an `f64`, ties to even, in the lower 16 of each lane; NaN stays NaN.
pub(super) fn narrowed(b: &mut Builder, value: VReg) -> VReg {
    let magnitude = magnitude_rounded(b, value);
    let scale = b.constant(2f64.powi(-BIAS));
    let bits = b.mul(magnitude, scale);
    let bits = b.shift(ShiftOp::RightLogical, bits, MORE);
    let sign = b.shift(ShiftOp::RightLogical, value, 63);
    let sign = b.shift(ShiftOp::Left, sign, 15);
    let all = b.binary(BinaryOp::Or, bits, sign);
    let nan = b.constant_lane(0x7FC0);
    b.select(Compare::Unordered, value, value, nan, all)
}

/// The magnitude of an `f64`, rounded; 2¹²⁸ where that is infinite. Of NaN it is anything.
///
/// A sum with 2⁴⁵ times the power of two below the magnitude, no less than the least normal number, has its last place
/// where a bfloat16 has it.
fn magnitude_rounded(b: &mut Builder, value: VReg) -> VReg {
    let magnitude = b.constant_lane(Width::W64.sign() - 1);
    let magnitude = b.binary(BinaryOp::And, value, magnitude);
    let most = b.constant(2f64.powi(128));
    let magnitude = b.binary(BinaryOp::Min, magnitude, most);
    let exponent = b.constant_lane(0x7FF << 52);
    let power = b.binary(BinaryOp::And, magnitude, exponent);
    let least = b.constant(2f64.powi(-126));
    let power = b.binary(BinaryOp::Max, power, least);
    let by = b.constant_lane(u64::from(MORE) << 52);
    let above = b.binary(BinaryOp::IntAdd, power, by);
    let sum = b.add(magnitude, above);
    b.sub(sum, above)
}
