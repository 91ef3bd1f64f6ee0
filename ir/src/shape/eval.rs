//! Values of expressions under given values of symbols.

use indexmap::IndexMap;

use super::poly::{Atom, AtomId, Poly};
use super::{Constraint, Dim, ShapeCx, Sym};

/// Values of symbols.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env {
    values: IndexMap<Sym, i64>,
}

impl Env {
    /// No symbol has a value.
    pub fn new() -> Env {
        Env::default()
    }

    /// Gives `sym` a value, replacing an earlier one.
    pub fn set(&mut self, sym: Sym, value: i64) {
        self.values.insert(sym, value);
    }

    /// The value of `sym`.
    pub fn get(&self, sym: Sym) -> Option<i64> {
        self.values.get(&sym).copied()
    }

    /// All symbols that have a value, in the order in which they were first set.
    pub fn iter(&self) -> impl Iterator<Item = (Sym, i64)> {
        self.values.iter().map(|(sym, value)| (*sym, *value))
    }
}

impl FromIterator<(Sym, i64)> for Env {
    fn from_iter<T: IntoIterator<Item = (Sym, i64)>>(iter: T) -> Env {
        Env { values: iter.into_iter().collect() }
    }
}

/// What gives the values of symbols.
pub(crate) type Values<'a> = &'a dyn Fn(Sym) -> Option<i64>;

impl ShapeCx {
    /// The value under `env`; `None` if a symbol has no value, a divisor is zero,
    /// or a number leaves its range (64 bits for the result and every operand, 128 within a sum).
    pub fn eval(&self, d: Dim, env: &Env) -> Option<i64> {
        self.eval_with(d, &|sym| env.get(sym))
    }

    /// As [`eval`](ShapeCx::eval), with a function that gives the values of symbols.
    pub(crate) fn eval_with(&self, d: Dim, value: Values<'_>) -> Option<i64> {
        self.eval_poly(self.poly(d), value)
    }

    /// Whether a fact holds under `env`; `None` where one of its expressions has no value.
    pub fn holds(&self, fact: &Constraint, env: &Env) -> Option<bool> {
        self.holds_with(fact, &|sym| env.get(sym))
    }

    /// As [`holds`](ShapeCx::holds), with a function that gives the values of symbols.
    pub(crate) fn holds_with(&self, fact: &Constraint, value: Values<'_>) -> Option<bool> {
        let eval = |d: Dim| self.eval_with(d, value);
        Some(match *fact {
            Constraint::AtLeast(d, k) => eval(d)? >= k,
            Constraint::AtMost(d, k) => eval(d)? <= k,
            Constraint::Eq(a, b) => eval(a)? == eval(b)?,
            Constraint::Multiple(d, k) => eval(d)?.checked_rem(k)? == 0,
            Constraint::Differs(d, k) => eval(d)? != k,
            Constraint::Broadcast(a, b) => broadcast_extents(eval(a)?, eval(b)?).is_some(),
        })
    }

    pub(super) fn eval_poly(&self, p: &Poly, values: Values<'_>) -> Option<i64> {
        let mut sum = i128::from(p.constant);
        for (factors, coefficient) in p.terms() {
            let mut product = i128::from(coefficient);
            for &(id, power) in factors {
                let value = i128::from(self.eval_atom(id, values)?);
                for _ in 0..power {
                    product = product.checked_mul(value)?;
                }
            }
            sum = sum.checked_add(product)?;
        }
        i64::try_from(sum).ok()
    }

    fn eval_atom(&self, id: AtomId, values: Values<'_>) -> Option<i64> {
        let eval = |d: Dim| self.eval_with(d, values);
        match self.atom(id) {
            Atom::Sym(sym) => values(*sym),
            Atom::FloorDiv(a, k) => floor_div(eval(*a)?, *k),
            Atom::FloorDivSym(a, b) => floor_div(eval(*a)?, eval(*b)?),
            Atom::Min(list) => reduce(list.iter().map(|&d| eval(d)), i64::min),
            Atom::Max(list) => reduce(list.iter().map(|&d| eval(d)), i64::max),
            Atom::Broadcast(list) => {
                list.iter().try_fold(1, |extent, &d| broadcast_extents(extent, eval(d)?))
            }
        }
    }
}

fn reduce(values: impl Iterator<Item = Option<i64>>, choose: fn(i64, i64) -> i64) -> Option<i64> {
    values.reduce(|a, b| Some(choose(a?, b?)))?
}

/// What two extents broadcast to; `None` where they differ and neither is 1.
pub fn broadcast_extents(a: i64, b: i64) -> Option<i64> {
    match (a, b) {
        (1, other) | (other, 1) => Some(other),
        _ => (a == b).then_some(a),
    }
}

/// `⌊a/b⌋`; `None` for a zero divisor and for `i64::MIN / −1`.
pub(super) fn floor_div(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    let inexact = a % b != 0;
    Some(if inexact && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
}
