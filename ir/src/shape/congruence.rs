//! Equations as rewrites, and divisibility.

use super::facts::Fact;
use super::poly::{Atom, Mono, Poly, gcd};
use super::{ShapeCx, Truth};

/// How many facts one answer may chain.
pub(super) const REWRITES: u32 = 4;

impl ShapeCx {
    /// Whether a fact may be used in a question about `p`: it must not speak of loop indices that `p`
    /// does not mention (law S10).
    pub(super) fn is_visible(&self, fact: &Fact, p: &Poly) -> bool {
        fact.indices.iter().all(|&index| self.poly_mentions(p, index))
    }

    /// `c·⌊p/k⌋·m = (c/k)·(p − r)·m` wherever `k` divides `c` and the facts tell the remainder `r` of `p`.
    pub(super) fn without_exact_quotients(&self, p: &Poly) -> Poly {
        let mut out = p.clone();
        if self.facts.multiples.is_empty() && self.facts.equations.is_empty() {
            return out;
        }
        for (mono, c) in &p.terms {
            let exact = mono.0.iter().find_map(|&(id, power)| {
                let (1, &Atom::FloorDiv(numerator, k)) = (power, self.atom(id)) else { return None };
                let numerator = self.poly(numerator);
                let exact = numerator.add(&Poly::int(-numerator.constant.rem_euclid(k))).ok()?;
                if c % k != 0 || !self.poly_divides(k.unsigned_abs(), &exact, REWRITES).is_always() {
                    return None;
                }
                exact.mul_term(&mono.div(&Mono::atom(id))?, c / k).ok()
            });
            let replaced = exact.and_then(|exact| {
                out.sub(&Poly::monomial(mono.clone(), *c)).and_then(|rest| rest.add(&exact)).ok()
            });
            out = replaced.unwrap_or(out);
        }
        out
    }

    /// Rewrites leading monomials of equations, greatest first.
    pub(super) fn reduce_by_equations(&self, d: &Poly) -> Poly {
        let mut p = d.clone();
        for _ in 0..REWRITES * 4 {
            let step = self.facts.equations.iter().find_map(|fact| {
                let (lead, c) = fact.lead.as_ref()?;
                let (mono, x) = p
                    .terms
                    .iter()
                    .find(|(mono, x)| x.checked_rem(*c) == Some(0) && mono.div(lead).is_some())?;
                let multiple = fact.poly.mul_term(&mono.div(lead)?, x / c).ok()?;
                self.is_visible(fact, &p).then(|| p.sub(&multiple).ok())?
            });
            match step {
                Some(next) => p = next,
                None => break,
            }
        }
        p
    }

    /// A number `m` such that the value without the constant is a multiple of `m`; 0 if it is 0.
    pub(super) fn modulus(&self, p: &Poly) -> u64 {
        p.terms.iter().fold(0, |g, (mono, c)| gcd(g, self.mono_modulus(mono, c.unsigned_abs())))
    }

    fn mono_modulus(&self, mono: &Mono, coefficient: u64) -> u64 {
        let mut modulus = coefficient;
        for (fact, k) in &self.facts.multiples {
            if let ([(part, 1)], 0) = (&fact.poly.terms[..], fact.poly.constant)
                && mono.div(part).is_some()
            {
                // Only one fact a monomial: two may speak of the same factor.
                modulus = modulus.max(coefficient.saturating_mul(k.unsigned_abs()));
            }
        }
        if modulus == u64::MAX { coefficient } else { modulus }
    }

    pub(super) fn poly_divides(&self, k: u64, p: &Poly, depth: u32) -> Truth {
        let modulus = gcd(self.modulus(p), k);
        let constant = p.constant.unsigned_abs();
        if !constant.is_multiple_of(modulus) {
            return Truth::Never;
        }
        if modulus == k {
            return Truth::Always;
        }
        if depth == 0 {
            return Truth::Unknown;
        }
        // Subtract a multiple of k that removes an offending term.
        let k_signed = i128::from(k);
        for (mono, x) in &p.terms {
            if self.mono_modulus(mono, x.unsigned_abs()).is_multiple_of(k) {
                continue;
            }
            for (fact, j) in &self.facts.multiples {
                let y = fact.poly.coefficient(mono);
                if fact.poly.terms.len() < 2 || x.checked_rem(y) != Some(0) || !self.is_visible(fact, p) {
                    continue;
                }
                let factor = x / y;
                if (i128::from(factor) * i128::from(*j)) % k_signed == 0
                    && let Some(minus) = factor.checked_neg()
                    && let Ok(rest) = p.add_scaled(&fact.poly, minus)
                {
                    let truth = self.poly_divides(k, &rest, depth - 1);
                    if truth != Truth::Unknown {
                        return truth;
                    }
                }
            }
        }
        let reduced = self.reduce_by_equations(p);
        if reduced == *p { Truth::Unknown } else { self.poly_divides(k, &reduced, depth - 1) }
    }
}
