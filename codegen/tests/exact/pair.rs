//! Numbers as sums of two `f64`, 106 bits, and with an exponent of their own.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// `0 + 1`, the second below half a unit in the last place of the first.
#[derive(Clone, Copy, Debug)]
pub struct Pair(pub f64, pub f64);

pub const LN_2: Pair = Pair(std::f64::consts::LN_2, 2.3190468138462996e-17);
pub const HALF_PI: Pair = Pair(std::f64::consts::FRAC_PI_2, 6.123233995736766e-17);

impl Pair {
    pub fn of(x: f64) -> Pair {
        Pair(x, 0.0)
    }

    fn sum(a: f64, b: f64) -> Pair {
        let sum = a + b;
        let kept = sum - a;
        Pair(sum, (a - (sum - kept)) + (b - kept))
    }

    fn product(a: f64, b: f64) -> Pair {
        let product = a * b;
        Pair(product, a.mul_add(b, -product))
    }

    pub fn abs(self) -> Pair {
        if self.0 < 0.0 { -self } else { self }
    }

    /// Times a power of two.
    pub fn scaled(self, exponent: i32) -> Pair {
        Pair(scaled(self.0, exponent), scaled(self.1, exponent))
    }

    /// Of a number that is neither tiny nor huge.
    pub fn sqrt(self) -> Pair {
        if self.0 == 0.0 {
            return self;
        }
        let root = Pair::of(self.0.sqrt());
        root + (self - root * root) / (root + root)
    }
}

/// `x·2^e`, in steps that do not overflow before the result does.
pub fn scaled(mut x: f64, mut exponent: i32) -> f64 {
    while exponent != 0 {
        let step = exponent.clamp(-1000, 1000);
        x *= 2f64.powi(step);
        exponent -= step;
    }
    x
}

/// `m` in [1, 2) and `e` with `|x| = m·2^e`; `x` is finite and not 0.
pub fn split(x: f64) -> (f64, i32) {
    let (x, shift) = if x.abs() < f64::MIN_POSITIVE { (x.abs() * 2f64.powi(60), -60) } else { (x.abs(), 0) };
    let exponent = (x.to_bits() >> 52) as i32 - 1023;
    (scaled(x, -exponent), exponent + shift)
}

impl From<f64> for Pair {
    fn from(x: f64) -> Pair {
        Pair::of(x)
    }
}

impl Neg for Pair {
    type Output = Pair;
    fn neg(self) -> Pair {
        Pair(-self.0, -self.1)
    }
}

impl<T: Into<Pair>> Add<T> for Pair {
    type Output = Pair;
    fn add(self, other: T) -> Pair {
        let other = other.into();
        let high = Pair::sum(self.0, other.0);
        let low = Pair::sum(self.1, other.1);
        let sum = Pair::sum(high.0, high.1 + low.0);
        Pair::sum(sum.0, sum.1 + low.1)
    }
}

impl<T: Into<Pair>> Sub<T> for Pair {
    type Output = Pair;
    fn sub(self, other: T) -> Pair {
        self + -other.into()
    }
}

impl<T: Into<Pair>> Mul<T> for Pair {
    type Output = Pair;
    fn mul(self, other: T) -> Pair {
        let other = other.into();
        let product = Pair::product(self.0, other.0);
        Pair::sum(product.0, product.1 + (self.0 * other.1 + self.1 * other.0))
    }
}

impl<T: Into<Pair>> Div<T> for Pair {
    type Output = Pair;
    fn div(self, other: T) -> Pair {
        let other = other.into();
        let first = self.0 / other.0;
        let rest = self - other * first;
        let second = rest.0 / other.0;
        let rest = rest - other * second;
        Pair::sum(first, second) + rest.0 / other.0
    }
}
