//! Inverse circular functions of `f64`, in lanes of 64 bits. The scalar code of [`crate::clif`] takes the same steps.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

use super::double::copy_sign;
use super::polynomial_of_pairs;
use crate::vector::{Builder, Compare, UnaryOp, VReg};

/// tan(π/8) and tan(3π/8): arctangents up to the first are a series, those between are beside π/4, those beyond π/2.
pub(crate) const BORDERS: [f64; 2] = [0.41421356237309503, 2.414213562373095];

/// `atan(t) = t + t³ P(t²)` up to tan(π/8); relative error 2⁻⁵⁷.
pub(crate) const ATAN: [f64; 11] = [
    -0.3333333333333333,
    0.19999999999995516,
    -0.14285714284665682,
    0.11111111015187018,
    -0.0909090457530649,
    0.07692183125376892,
    -0.06664510525508936,
    0.05858140904866328,
    -0.050854078345894844,
    0.03923044778479309,
    -0.019175404711104932,
];

/// `asin(s) = s + s³ P(s²)` up to ½; relative error 2⁻⁵⁷.
pub(crate) const ASIN: [f64; 13] = [
    0.16666666666666669,
    0.07499999999998433,
    0.04464285714635543,
    0.030381944138531247,
    0.02237217294214989,
    0.017352392720869973,
    0.013971212973552933,
    0.011479177415184906,
    0.01032281435018578,
    0.005457506718640358,
    0.01740087944269402,
    -0.014851887071247204,
    0.028757851367421566,
];

/// `x + x³ P(x²)`, by pairs of terms.
fn series(b: &mut Builder, x: VReg, square: VReg, coefficients: &[f64]) -> VReg {
    let fourth = b.mul(square, square);
    let cube = b.mul(x, square);
    let value = polynomial_of_pairs(b, square, fourth, coefficients, Builder::constant);
    b.fma(cube, value, x)
}

/// Arctangent: the series of `a`, of `(a − 1)/(a + 1)` and π/4, or of `−1/a` and π/2, with `a = |x|`, and the sign.
pub(super) fn atan(b: &mut Builder, x: VReg) -> VReg {
    let a = b.unary(UnaryOp::Abs, x);
    let [low, high] = BORDERS.map(|it| b.constant(it));
    let (middle, far) = (b.compare(Compare::Gt, a, low), b.compare(Compare::Gt, a, high));
    let (zero, one, minus_one) = (b.constant(0.0), b.constant(1.0), b.constant(-1.0));
    let (less, more) = (b.sub(a, one), b.add(a, one));
    let (over, under) = (b.blend(middle, less, a), b.blend(middle, more, one));
    let (over, under) = (b.blend(far, minus_one, over), b.blend(far, a, under));
    let t = b.div(over, under);
    let square = b.mul(t, t);
    let angle = series(b, t, square, &ATAN);
    let (eighth, quarter) = (b.constant(FRAC_PI_4), b.constant(FRAC_PI_2));
    let beside = b.blend(middle, eighth, zero);
    let beside = b.blend(far, quarter, beside);
    let angle = b.add(angle, beside);
    copy_sign(b, angle, x)
}

/// What arcsine and arccosine share.
struct Half {
    /// Whether `|x| > ½`.
    large: VReg,
    /// The arcsine of `x`, or of `√((1 − |x|)/2)` if it is.
    angle: VReg,
    /// Twice that.
    twice: VReg,
}

impl Half {
    /// `small` is `x` or its magnitude `a`.
    fn of(b: &mut Builder, a: VReg, small: VReg) -> Half {
        let (half, one) = (b.constant(0.5), b.constant(1.0));
        let large = b.compare(Compare::Gt, a, half);
        let rest = b.sub(one, a);
        let rest = b.mul(rest, half);
        let (square, root) = (b.mul(a, a), b.unary(UnaryOp::Sqrt, rest));
        let (square, sine) = (b.blend(large, rest, square), b.blend(large, root, small));
        let angle = series(b, sine, square, &ASIN);
        Half { large, angle, twice: b.add(angle, angle) }
    }
}

/// Arcsine: the series up to ½, then `π/2 − 2·asin √((1 − a)/2)`, with `a = |x|`, and the sign; NaN beyond 1.
pub(super) fn asin(b: &mut Builder, x: VReg) -> VReg {
    let a = b.unary(UnaryOp::Abs, x);
    let Half { large, angle, twice } = Half::of(b, a, a);
    let quarter = b.constant(FRAC_PI_2);
    let beside = b.sub(quarter, twice);
    let angle = b.blend(large, beside, angle);
    copy_sign(b, angle, x)
}

/// Arccosine: `π/2 − asin x` up to ½, then `2·asin √((1 − a)/2)` with `a = |x|`, taken from π where `x` is negative.
pub(super) fn acos(b: &mut Builder, x: VReg) -> VReg {
    let a = b.unary(UnaryOp::Abs, x);
    let Half { large, angle, twice } = Half::of(b, a, x);
    let (quarter, half) = (b.constant(FRAC_PI_2), b.constant(PI));
    let small = b.sub(quarter, angle);
    let behind = b.sub(half, twice);
    let far = b.blend(x, behind, twice);
    b.blend(large, far, small)
}
