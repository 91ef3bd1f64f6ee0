//! What is left of a number beyond multiples of π/2, by long division of integers.

use super::pair::{Pair, scaled, split};

/// Words of 32 bits of a number below 2^64 with [`FRACTION`] bits behind the point, the lowest first.
const WORDS: usize = 46;
/// An argument of 2^1024 takes as many from the front.
const FRACTION: usize = 32 * (WORDS - 2);

type Fixed = [u32; WORDS];

fn add(a: &mut Fixed, b: &Fixed) {
    let mut carry = 0;
    for (a, b) in a.iter_mut().zip(b) {
        carry += u64::from(*a) + u64::from(*b);
        *a = carry as u32;
        carry >>= 32;
    }
}

/// `a − b` if it is not negative.
fn subtract(a: &Fixed, b: &Fixed) -> Option<Fixed> {
    let mut rest = *a;
    let mut borrow = 0;
    for (a, b) in rest.iter_mut().zip(b) {
        let value = i64::from(*a) - i64::from(*b) + borrow;
        *a = value as u32;
        borrow = value >> 32;
    }
    (borrow == 0).then_some(rest)
}

fn divide(a: &mut Fixed, by: u32) {
    let mut rest = 0;
    for word in a.iter_mut().rev() {
        let value = rest << 32 | u64::from(*word);
        *word = (value / u64::from(by)) as u32;
        rest = value % u64::from(by);
    }
}

fn double(a: &mut Fixed) {
    let copy = *a;
    add(a, &copy);
}

/// The integer `m` times 2^`bit`.
fn at_bit(m: u64, bit: usize) -> Fixed {
    let mut value = [0; WORDS];
    let wide = u128::from(m) << (bit % 32);
    for (i, word) in value.iter_mut().skip(bit / 32).take(4).enumerate() {
        *word = (wide >> (32 * i)) as u32;
    }
    value
}

/// `whole·atan(1/n)` by its series.
fn arctangent(whole: u64, n: u32) -> Fixed {
    let mut power = at_bit(whole, FRACTION);
    divide(&mut power, n);
    let mut sum = power;
    let mut odd = 1;
    loop {
        divide(&mut power, n * n);
        odd += 2;
        let mut term = power;
        divide(&mut term, odd);
        if term.iter().all(|it| *it == 0) {
            return sum;
        }
        if odd % 4 == 3 {
            sum = subtract(&sum, &term).unwrap();
        } else {
            add(&mut sum, &term);
        }
    }
}

/// Divides by π/2.
pub struct Turn {
    half_pi: Fixed,
}

impl Turn {
    /// π/4 = 4 atan(1/5) − atan(1/239) (Machin).
    pub fn new() -> Turn {
        Turn { half_pi: subtract(&arctangent(8, 5), &arctangent(2, 239)).unwrap() }
    }

    /// The quarters of a turn nearest to `x`, modulo 4, and the rest in ±π/4. `x` is finite.
    pub fn reduce(&self, x: f64) -> (u32, Pair) {
        if x.abs() < 0.7 {
            return (0, Pair::of(x));
        }
        let (m, exponent) = split(x);
        let m = (m * 2f64.powi(52)) as u64;
        let lowest = exponent - 52;
        let (mut rest, mut quarters) = (at_bit(m, (FRACTION as i32 + lowest.min(0)) as usize), 0);
        // Up to 2^53: subtract multiples that are shifted.
        let mut multiples = vec![self.half_pi];
        while subtract(&rest, &multiples[multiples.len() - 1]).is_some() && multiples.len() < 54 {
            let mut next = multiples[multiples.len() - 1];
            double(&mut next);
            multiples.push(next);
        }
        for (i, multiple) in multiples.iter().enumerate().rev() {
            if let Some(less) = subtract(&rest, multiple) {
                rest = less;
                quarters += if i < 2 { 1 << i } else { 0 };
            }
        }
        for _ in 0..lowest.max(0) {
            double(&mut rest);
            quarters = quarters * 2 % 4;
            if let Some(less) = subtract(&rest, &self.half_pi) {
                rest = less;
                quarters += 1;
            }
        }
        let other = subtract(&self.half_pi, &rest).unwrap();
        let rest = match subtract(&rest, &other) {
            None => pair(&rest),
            Some(_) => {
                quarters += 1;
                -pair(&other)
            }
        };
        if x < 0.0 { (4 - quarters % 4, -rest) } else { (quarters % 4, rest) }
    }
}

fn pair(value: &Fixed) -> Pair {
    let Some(top) = value.iter().rposition(|it| *it != 0) else { return Pair::of(0.0) };
    let mut sum = Pair::of(0.0);
    for at in (top.saturating_sub(4)..=top).rev() {
        sum = sum + scaled(f64::from(value[at]), 32 * at as i32 - FRACTION as i32);
    }
    sum
}
