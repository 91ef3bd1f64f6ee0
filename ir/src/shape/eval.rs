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

impl ShapeCx {
    /// The value under `env`; `None` if a symbol has no value, a divisor is zero,
    /// or a number leaves its range (64 bits for the result and every operand, 128 within a sum).
    pub fn eval(&self, d: Dim, env: &Env) -> Option<i64> {
        self.eval_poly(self.poly(d), env)
    }

    /// Whether a fact holds under `env`; `None` where one of its expressions has no value.
    pub fn holds(&self, fact: &Constraint, env: &Env) -> Option<bool> {
        Some(match *fact {
            Constraint::AtLeast(d, k) => self.eval(d, env)? >= k,
            Constraint::AtMost(d, k) => self.eval(d, env)? <= k,
            Constraint::Eq(a, b) => self.eval(a, env)? == self.eval(b, env)?,
            Constraint::Multiple(d, k) => self.eval(d, env)?.checked_rem(k)? == 0,
            Constraint::Differs(d, k) => self.eval(d, env)? != k,
            Constraint::Broadcast(a, b) => {
                broadcast_extents(self.eval(a, env)?, self.eval(b, env)?).is_some()
            }
        })
    }

    pub(super) fn eval_poly(&self, p: &Poly, env: &Env) -> Option<i64> {
        let mut sum = i128::from(p.constant);
        for (factors, coefficient) in p.terms() {
            let mut product = i128::from(coefficient);
            for &(id, power) in factors {
                let value = i128::from(self.eval_atom(id, env)?);
                for _ in 0..power {
                    product = product.checked_mul(value)?;
                }
            }
            sum = sum.checked_add(product)?;
        }
        i64::try_from(sum).ok()
    }

    fn eval_atom(&self, id: AtomId, env: &Env) -> Option<i64> {
        match self.atom(id) {
            Atom::Sym(sym) => env.get(*sym),
            Atom::FloorDiv(a, k) => floor_div(self.eval(*a, env)?, *k),
            Atom::FloorDivSym(a, b) => floor_div(self.eval(*a, env)?, self.eval(*b, env)?),
            Atom::Min(list) => reduce(list.iter().map(|&d| self.eval(d, env)), i64::min),
            Atom::Max(list) => reduce(list.iter().map(|&d| self.eval(d, env)), i64::max),
            Atom::Broadcast(list) => {
                list.iter().try_fold(1, |extent, &d| broadcast_extents(extent, self.eval(d, env)?))
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
