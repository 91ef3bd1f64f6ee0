//! Elementary functions of `f64` to a hundred bits: what errors are measured against.
//!
//! Series on short intervals in double-double arithmetic (`pair`), arguments of circular functions by long division
//! (`turn`). Nothing is shared with the code that is measured. Functions are defined on finite arguments.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(unreachable_pub, reason = "shared by several test crates")]

mod pair;
mod turn;

use pair::{HALF_PI, LN_2, split};
pub use pair::{Pair, scaled};
pub use turn::Turn;

/// `value·2^exponent`; NaN where the function is not defined.
#[derive(Clone, Copy, Debug)]
pub struct Exact {
    value: Pair,
    exponent: i32,
}

impl From<Pair> for Exact {
    fn from(value: Pair) -> Exact {
        Exact { value, exponent: 0 }
    }
}

impl From<f64> for Exact {
    fn from(value: f64) -> Exact {
        Pair::of(value).into()
    }
}

impl Exact {
    pub fn is_nan(self) -> bool {
        self.value.0.is_nan()
    }

    /// The nearest f64, but for ties.
    pub fn nearest(self) -> f64 {
        scaled(self.value.0, self.exponent)
    }

    /// How far `found` is off, in units of the last place of a type with `digits` bits and a least normal exponent.
    /// What overflows is exact as ∞.
    pub fn ulps(self, found: f64, digits: i32, least: i32) -> f64 {
        if self.is_nan() || found.is_nan() {
            return if self.is_nan() && found.is_nan() { 0.0 } else { f64::INFINITY };
        }
        if self.value.0 == 0.0 || self.value.0.is_infinite() {
            let same = found == self.value.0 && found.is_sign_negative() == self.value.0.is_sign_negative();
            return if same { 0.0 } else { f64::INFINITY };
        }
        let exponent = split(self.value.0).1 + self.exponent;
        // The largest number is 2^(2 − least) less a unit.
        if exponent > 1 - least || found.is_infinite() {
            let largest = 2.0 - 2f64.powi(1 - digits);
            let near = exponent == 1 - least && self.value.abs().scaled(self.exponent - exponent).0 > largest;
            let right = found.is_infinite() && found.is_sign_negative() == (self.value.0 < 0.0);
            return if right && (near || exponent > 1 - least) { 0.0 } else { f64::INFINITY };
        }
        let unit = exponent.max(least) + 1 - digits;
        let (found, exact) = (Pair::of(scaled(found, -self.exponent)), self.value);
        ((found - exact).abs().scaled(self.exponent - unit)).0
    }
}

/// `Σ terms`, until they no longer count.
fn series(mut term: Pair, mut next: impl FnMut(usize, Pair) -> Pair) -> Pair {
    let mut sum = term;
    for n in 1..400 {
        term = next(n, term);
        if term.0.abs() < sum.0.abs() * 1e-34 {
            break;
        }
        sum = sum + term;
    }
    sum
}

/// `e^r − 1` and `k` with `x = r + k ln 2`.
fn exp_parts(x: Pair) -> (Pair, i32) {
    let k = (x.0 / LN_2.0).round();
    let r = if k == 0.0 { x } else { x - LN_2 * k };
    // (1 + p)² = 1 + (2p + p²), five times.
    let r = r.scaled(-5);
    let mut p = series(r, |n, term| term * r / (n + 1) as f64);
    for _ in 0..5 {
        p = p + p + p * p;
    }
    (p, k as i32)
}

fn exp_of(x: Pair) -> Exact {
    if x.0.abs() > 1e4 {
        return Exact { value: Pair::of(1.0), exponent: if x.0 > 0.0 { 9999 } else { -9999 } };
    }
    let (p, exponent) = exp_parts(x);
    Exact { value: p + 1.0, exponent }
}

/// `e^x − 1` where that is not huge.
fn expm1_of(x: Pair) -> Pair {
    let (p, k) = exp_parts(x);
    if k == 0 { p } else { (p + 1.0).scaled(k) - 1.0 }
}

/// `2 artanh(s)`, which is `ln((1 + s)/(1 − s))`.
fn double_artanh(s: Pair) -> Pair {
    let square = s * s;
    let mut power = s;
    let half = series(s, |n, _| {
        power = power * square;
        power / (2 * n + 1) as f64
    });
    half.scaled(1)
}

fn log_of(x: Pair) -> Pair {
    let (mut m, mut exponent) = split(x.0);
    if m > std::f64::consts::SQRT_2 {
        (m, exponent) = (m / 2.0, exponent + 1);
    }
    let m = Pair(m, scaled(x.1, -exponent));
    let log = double_artanh((m - 1.0) / (m + 1.0));
    if exponent == 0 { log } else { log + LN_2 * f64::from(exponent) }
}

fn log1p_of(x: Pair) -> Pair {
    if x.0.abs() < 0.3 { double_artanh(x / (x + 2.0)) } else { log_of(x + 1.0) }
}

/// Sine and cosine up to a half turn.
fn sin_cos(r: Pair) -> (Pair, Pair) {
    let square = r * r;
    let step = |term: Pair, n: usize| -(term * square) / (n * (n + 1)) as f64;
    (series(r, |n, term| step(term, 2 * n)), series(Pair::of(1.0), |n, term| step(term, 2 * n - 1)))
}

fn atan_of(x: Pair) -> Pair {
    if x.0.abs() > 1.0 {
        let near = atan_of(Pair::of(1.0) / x.abs());
        let angle = HALF_PI - near;
        return if x.0 < 0.0 { -angle } else { angle };
    }
    let guess = x.0.atan();
    let (sin, cos) = sin_cos(Pair::of(guess));
    // tan(atan x − guess), which is below 2^-50.
    (x * cos - sin) / (cos + x * sin) + guess
}

fn asin_of(x: Pair) -> Pair {
    if x.0.abs() > 0.7 {
        let half = ((Pair::of(1.0) - x.abs()) / 2.0).sqrt();
        let angle = HALF_PI - asin_of(half).scaled(1);
        return if x.0 < 0.0 { -angle } else { angle };
    }
    atan_of(x / (Pair::of(1.0) - x * x).sqrt())
}

/// Finite numbers that are not 0, and small enough that squares do not overflow.
fn is_large(x: f64) -> bool {
    x.abs() > 1e100
}

pub fn exp(x: f64) -> Exact {
    exp_of(Pair::of(x))
}

pub fn expm1(x: f64) -> Exact {
    match x {
        _ if x.abs() < 1e-40 => x.into(),
        _ if x > 50.0 => exp_of(Pair::of(x)),
        _ => expm1_of(Pair::of(x.max(-200.0))).into(),
    }
}

pub fn log(x: f64) -> Exact {
    match x {
        _ if x == 0.0 => f64::NEG_INFINITY.into(),
        _ if x < 0.0 => f64::NAN.into(),
        _ => log_of(Pair::of(x)).into(),
    }
}

pub fn log1p(x: f64) -> Exact {
    match x {
        _ if x == -1.0 => f64::NEG_INFINITY.into(),
        _ if x < -1.0 => f64::NAN.into(),
        _ if x.abs() < 1e-40 => x.into(),
        _ => log1p_of(Pair::of(x)).into(),
    }
}

pub fn sqrt(x: f64) -> Exact {
    if x <= 0.0 {
        return if x == 0.0 { x } else { f64::NAN }.into();
    }
    let (m, exponent) = split(x);
    let odd = exponent.rem_euclid(2);
    Exact { value: Pair::of(m * f64::from(1 + odd)).sqrt(), exponent: (exponent - odd) / 2 }
}

pub fn reciprocal(x: f64) -> Exact {
    if x == 0.0 {
        return (1.0 / x).into();
    }
    let (m, exponent) = split(x);
    Exact { value: Pair::of(1.0) / m.copysign(x), exponent: -exponent }
}

pub fn sin(turn: &Turn, x: f64) -> Exact {
    if x.abs() < 1e-40 {
        return x.into();
    }
    let (quarters, r) = turn.reduce(x);
    let (sin, cos) = sin_cos(r);
    [sin, cos, -sin, -cos][quarters as usize % 4].into()
}

pub fn cos(turn: &Turn, x: f64) -> Exact {
    let (quarters, r) = turn.reduce(x);
    let (sin, cos) = sin_cos(r);
    [cos, -sin, -cos, sin][quarters as usize % 4].into()
}

pub fn tan(turn: &Turn, x: f64) -> Exact {
    if x.abs() < 1e-40 {
        return x.into();
    }
    let (quarters, r) = turn.reduce(x);
    let (sin, cos) = sin_cos(r);
    if quarters % 2 == 0 { (sin / cos).into() } else { (-(cos / sin)).into() }
}

pub fn asin(x: f64) -> Exact {
    match x.abs() {
        a if a > 1.0 => f64::NAN.into(),
        a if a < 1e-40 => x.into(),
        _ => asin_of(Pair::of(x)).into(),
    }
}

pub fn acos(x: f64) -> Exact {
    let x = Pair::of(x);
    if x.0.abs() > 1.0 {
        return f64::NAN.into();
    }
    if x.0 == 1.0 {
        return 0.0.into();
    }
    let half = |x: Pair| asin_of(((Pair::of(1.0) - x) / 2.0).sqrt()).scaled(1);
    let angle = match x.0 {
        a if a > 0.7 => half(x),
        a if a < -0.7 => HALF_PI.scaled(1) - half(-x),
        _ => HALF_PI - asin_of(x),
    };
    angle.into()
}

pub fn atan(x: f64) -> Exact {
    match x.abs() {
        a if a < 1e-40 => x.into(),
        a if a > 1e40 => (if x < 0.0 { -HALF_PI } else { HALF_PI }).into(),
        _ => atan_of(Pair::of(x)).into(),
    }
}

pub fn sinh(x: f64) -> Exact {
    match x.abs() {
        a if a < 1e-40 => x.into(),
        a if a > 50.0 => {
            let Exact { value, exponent } = exp_of(Pair::of(a));
            Exact { value: if x < 0.0 { -value } else { value }, exponent: exponent - 1 }
        }
        a => {
            let t = expm1_of(Pair::of(a));
            let y = (t + t / (t + 1.0)).scaled(-1);
            (if x < 0.0 { -y } else { y }).into()
        }
    }
}

pub fn cosh(x: f64) -> Exact {
    if x.abs() > 50.0 {
        let Exact { value, exponent } = exp_of(Pair::of(x.abs()));
        return Exact { value, exponent: exponent - 1 };
    }
    let e = expm1_of(Pair::of(x.abs())) + 1.0;
    (e + Pair::of(1.0) / e).scaled(-1).into()
}

pub fn tanh(x: f64) -> Exact {
    match x.abs() {
        a if a < 1e-40 => x.into(),
        a if a > 50.0 => 1f64.copysign(x).into(),
        a => {
            let t = expm1_of(Pair::of(2.0 * a));
            let y = t / (t + 2.0);
            (if x < 0.0 { -y } else { y }).into()
        }
    }
}

pub fn sigmoid(x: f64) -> Exact {
    match x {
        _ if x < -100.0 => exp_of(Pair::of(x)),
        _ if x > 100.0 => 1.0.into(),
        _ => (Pair::of(1.0) / (expm1_of(Pair::of(-x)) + 2.0)).into(),
    }
}

/// `ln(1 + e^x)`.
pub fn softplus(x: f64) -> Exact {
    match x {
        _ if x < -100.0 => exp_of(Pair::of(x)),
        _ if x > 100.0 => x.into(),
        _ => {
            let small = log1p_of(expm1_of(Pair::of(-x.abs())) + 1.0);
            if x > 0.0 { (small + x).into() } else { small.into() }
        }
    }
}

pub fn asinh(x: f64) -> Exact {
    let a = Pair::of(x.abs());
    let y = match a.0 {
        _ if a.0 < 1e-40 => return x.into(),
        _ if is_large(a.0) => log_of(a) + LN_2,
        _ => {
            let square = a * a;
            log1p_of(a + square / ((square + 1.0).sqrt() + 1.0))
        }
    };
    (if x < 0.0 { -y } else { y }).into()
}

pub fn acosh(x: f64) -> Exact {
    match x {
        _ if x < 1.0 => f64::NAN.into(),
        _ if x == 1.0 => 0.0.into(),
        _ if is_large(x) => (log_of(Pair::of(x)) + LN_2).into(),
        _ => {
            let t = Pair::of(x) - 1.0;
            log1p_of(t + (t * (t + 2.0)).sqrt()).into()
        }
    }
}

pub fn atanh(x: f64) -> Exact {
    match x.abs() {
        a if a > 1.0 => f64::NAN.into(),
        1.0 => (x / 0.0).into(),
        a if a < 1e-40 => x.into(),
        a => {
            let a = Pair::of(a);
            let y = log1p_of(a.scaled(1) / (Pair::of(1.0) - a)).scaled(-1);
            (if x < 0.0 { -y } else { y }).into()
        }
    }
}

/// `2/√π e^(−x²) Σ 2ⁿ x^(2n+1)/(1·3·…·(2n+1))`; 1 from 6 on, where it is within 2^-55.
pub fn erf(x: f64) -> Exact {
    let a = Pair::of(x.abs());
    if x == 0.0 {
        return x.into();
    }
    if a.0 < 1e-40 {
        return (Pair::of(x) / HALF_PI.scaled(1).sqrt()).scaled(1).into();
    }
    if a.0 > 6.0 {
        return 1f64.copysign(x).into();
    }
    let square = a * a;
    let sum = series(a, |n, term| term * square.scaled(1) / (2 * n + 1) as f64);
    let power = exp_of(-square);
    let factor = power.value.scaled(power.exponent + 1) / HALF_PI.scaled(1).sqrt();
    let y = sum * factor;
    (if x < 0.0 { -y } else { y }).into()
}

/// `x^y` for a positive finite `x`.
pub fn pow(x: f64, y: f64) -> Exact {
    exp_of(log_of(Pair::of(x)) * y)
}

/// Known values as pairs, computed by another program to 600 digits.
#[test]
fn known_digits() {
    let turn = Turn::new();
    let known = [
        (exp(1.0), std::f64::consts::E, 1.4456468917292502e-16),
        (exp(-3.7), 0.024723526470339388, -1.294857794723138e-18),
        (log(10.0), std::f64::consts::LN_10, -2.1707562233822494e-16),
        (log(0.7), -0.35667494393873245, 4.82556379937662e-18),
        (log1p(1e-3), 0.0009995003330835331, 3.8971025988294614e-20),
        (sin(&turn, 1e22), -0.8522008497671888, -6.7806825896773284e-18),
        (cos(&turn, 3.0), -0.9899924966004454, -4.2060261566099734e-17),
        (tan(&turn, 1e300), 1.4214488238747245, -7.511471696020065e-17),
        // The f64 nearest to a multiple of π/2.
        (sin(&turn, 6_381_956_970_095_103.0 * 2f64.powi(797)), 1.0, -1.098476220074687e-37),
        (asin(0.9), 1.1197695149986342, 4.092642558112641e-17),
        (acos(-0.8), 2.498091544796509, 6.962246070911915e-17),
        (atan(7.0), 1.4288992721907328, -6.457134743238754e-17),
        (sinh(0.1), 0.10016675001984403, 3.3613961287681504e-18),
        (cosh(2.0), 3.7621956910836314, 7.146584908813439e-17),
        (tanh(0.6), 0.5370495669980353, -2.923064398544366e-17),
        (asinh(0.4), 0.3900353197707153, -1.9637787876903733e-17),
        (acosh(1.1), 0.4435682543851154, 3.7701489292566654e-18),
        (atanh(-0.3), -0.3095196042031117, -5.4139184190139844e-18),
        (sigmoid(-2.5), 0.07585818002124355, 5.328066821693456e-18),
        (erf(0.5), 0.5204998778130465, 1.900077467916287e-17),
        (erf(3.0), 0.9999779095030014, 5.363397058636269e-17),
        (pow(1.7, 301.3), 2.718066082759524e+69, 9.23897952892194e+52),
    ];
    for (i, (found, high, low)) in known.into_iter().enumerate() {
        let found = found.value.scaled(found.exponent);
        let difference = (found - Pair(high, low)).0.abs();
        assert!(difference <= high.abs() * 1e-29, "value {i}: {found:?}");
    }
}
