//! Proofs: bounds, congruences, and elimination with linear facts.
//!
//! To prove `d ≥ 0`, the prover looks for facts `h ≥ 0` and factors `q ≥ 0` such that
//! `s·d − q·h` has a lower bound above `−s`; since `d` is an integer, `d > −1` suffices.
//! This is a bounded search for a certificate in the manner of Farkas' lemma, with monomial multipliers.

use indexmap::IndexSet;
use smallvec::SmallVec;

use super::bounds::{Known, Range, Ranges};
use super::context::{SymbolKind, operands};
use super::poly::{Atom, AtomId, Mono, Poly, gcd};
use super::{Dim, Overflow, ShapeCx, Sym, Truth};

/// Facts combined in one certificate.
const DEPTH: u32 = 4;
/// Terms of all combinations tried for one question: a count, so that answers do not depend on the machine.
const BUDGET: usize = 1000;
/// Facts considered for one question.
const MAX_HYPOTHESES: usize = 96;

impl ShapeCx {
    /// Whether `a = b`.
    ///
    /// ```
    /// use orogen_ir::shape::{Constraint, ShapeCx, Truth};
    ///
    /// let mut cx = ShapeCx::new();
    /// let (n, m) = (cx.sym("n"), cx.sym("m"));
    /// assert_eq!(cx.prove_eq(n, m), Truth::Unknown);
    /// cx.assume(Constraint::Eq(n, m)).unwrap();
    /// assert_eq!(cx.prove_eq(n, m), Truth::Always);
    /// let even = cx.parse("2*n").unwrap();
    /// let odd = cx.parse("2*m + 1").unwrap();
    /// assert_eq!(cx.prove_eq(even, odd), Truth::Never);
    /// ```
    pub fn prove_eq(&self, a: Dim, b: Dim) -> Truth {
        if a == b {
            return Truth::Always;
        }
        let Ok(d) = self.poly(a).sub(self.poly(b)) else { return Truth::Unknown };
        self.is_zero(&d)
    }

    /// Whether `a ≤ b`.
    pub fn prove_le(&self, a: Dim, b: Dim) -> Truth {
        self.sign(self.poly(b).sub(self.poly(a)))
    }

    /// Whether `a < b`.
    pub fn prove_lt(&self, a: Dim, b: Dim) -> Truth {
        !self.prove_le(b, a)
    }

    /// Whether `a ≥ b`.
    pub fn prove_ge(&self, a: Dim, b: Dim) -> Truth {
        self.prove_le(b, a)
    }

    /// Whether `a > b`.
    pub fn prove_gt(&self, a: Dim, b: Dim) -> Truth {
        self.prove_lt(b, a)
    }

    /// Whether `k` divides `d`; for `k = 0`, whether `d = 0`.
    pub fn divides(&self, k: i64, d: Dim) -> Truth {
        match k.unsigned_abs() {
            0 => self.is_zero(self.poly(d)),
            k => self.poly_divides(k, self.poly(d), DEPTH),
        }
    }

    pub(super) fn known_le(&self, a: Dim, b: Dim, known: Known) -> bool {
        let Ok(d) = self.poly(b).sub(self.poly(a)) else { return false };
        match known {
            Known::Kinds => self.range(&d, known).lo >= 0,
            Known::Facts => self.at_least_zero(&d),
        }
    }

    fn is_zero(&self, d: &Poly) -> Truth {
        if let Some(value) = d.as_int() {
            return if value == 0 { Truth::Always } else { Truth::Never };
        }
        let reduced = self.reduce_by_equations(&self.without_exact_quotients(d));
        if let Some(value) = reduced.as_int() {
            return if value == 0 { Truth::Always } else { Truth::Never };
        }
        for d in [d, &reduced] {
            // A sum of multiples of m that is not a multiple of m itself is not zero.
            let modulus = self.modulus(d);
            if modulus > 1 && !d.constant.unsigned_abs().is_multiple_of(modulus) {
                return Truth::Never;
            }
        }
        let Ok(minus) = d.scale(-1) else { return Truth::Unknown };
        let above = |p: &Poly, k: i64| p.add(&Poly::int(-k)).is_ok_and(|p| self.at_least_zero(&p));
        if above(d, 0) && above(&minus, 0) {
            Truth::Always
        } else if above(d, 1) || above(&minus, 1) {
            Truth::Never
        } else {
            Truth::Unknown
        }
    }

    /// Whether the polynomial is at least zero.
    pub(super) fn sign(&self, d: Result<Poly, Overflow>) -> Truth {
        let Ok(d) = d else { return Truth::Unknown };
        let d = self.without_exact_quotients(&d);
        if self.at_least_zero(&d) {
            return Truth::Always;
        }
        let below = d.scale(-1).and_then(|minus| minus.add(&Poly::int(-1)));
        match below {
            Ok(below) if self.at_least_zero(&below) => Truth::Never,
            _ => Truth::Unknown,
        }
    }

    /// Whether a proof of `d ≥ 0` was found.
    pub(super) fn at_least_zero(&self, d: &Poly) -> bool {
        let mut ranges = Ranges::new(self, Known::Facts);
        if ranges.tight(d).lo >= 0 {
            return true;
        }
        if d.as_int().is_some() {
            return false;
        }
        let hypotheses = self.hypotheses(d);
        Search { cx: self, ranges, hypotheses, seen: IndexSet::new(), budget: BUDGET }.run(d, 1, DEPTH)
    }

    /// Polynomials that are at least 0 where `d` has a value: facts, what the extents of loop indices
    /// say, and what atoms mean. Facts about a loop index take part only if `d` mentions it,
    /// because outside its loop the index has no value and the extent may be zero.
    fn hypotheses(&self, d: &Poly) -> Vec<Poly> {
        let mut symbols: IndexSet<Sym> = IndexSet::new();
        let mut atoms: IndexSet<AtomId> = IndexSet::new();
        self.collect(d, &mut symbols, &mut atoms);
        let mut at = 0;
        while let Some(&sym) = symbols.get_index(at) {
            // The loops around an index are those that its extent mentions.
            if let SymbolKind::Index { extent } = self.kind(sym) {
                self.collect(self.poly(extent), &mut symbols, &mut atoms);
            }
            at += 1;
        }
        let in_scope = symbols.clone();
        let mut out: Vec<Poly> = Vec::new();
        for &sym in &in_scope {
            if let SymbolKind::Index { extent } = self.kind(sym)
                && let Some(index) = self.atoms.get_index_of(&Atom::Sym(sym))
            {
                let index = Poly::of_atom(AtomId(u32::try_from(index).unwrap_or(u32::MAX)));
                let last = self.poly(extent).sub(&index).and_then(|p| p.add(&Poly::int(-1)));
                out.extend(last.ok());
            }
        }
        let minus = |p: &Poly| p.scale(-1).ok();
        let equations = self.facts.equations.iter().flat_map(|p| [Some(p.clone()), minus(p)]);
        let facts = self.facts.inequalities.iter().cloned().map(Some).chain(equations);
        for fact in facts.flatten().chain(self.facts.bounds_as_inequalities()) {
            let mut mentioned = IndexSet::new();
            self.collect(&fact, &mut mentioned, &mut atoms);
            let visible =
                |sym: &Sym| !matches!(self.kind(*sym), SymbolKind::Index { .. }) || in_scope.contains(sym);
            if mentioned.iter().all(visible) {
                out.push(fact);
            }
        }
        for &id in &atoms {
            self.atom_hypotheses(id, &mut out);
        }
        out.truncate(MAX_HYPOTHESES);
        out
    }

    fn collect(&self, p: &Poly, symbols: &mut IndexSet<Sym>, atoms: &mut IndexSet<AtomId>) {
        for &(id, _) in p.terms.iter().flat_map(|(mono, _)| &mono.0) {
            if let Atom::Sym(sym) = self.atom(id) {
                symbols.insert(*sym);
            } else {
                atoms.insert(id);
            }
            for operand in operands(self.atom(id)) {
                self.collect(self.poly(operand), symbols, atoms);
            }
        }
    }

    fn atom_hypotheses(&self, id: AtomId, out: &mut Vec<Poly>) {
        let value = Poly::of_atom(id);
        let mut push = |p: Result<Poly, Overflow>| out.extend(p.ok());
        match self.atom(id) {
            Atom::Sym(_) => {}
            Atom::FloorDiv(a, k) => {
                // 0 ≤ a − k·q ≤ k − 1
                let remainder = self.poly(*a).add_scaled(&value, -*k);
                if let Ok(remainder) = remainder {
                    push(remainder.scale(-1).and_then(|p| p.add(&Poly::int(k - 1))));
                    push(Ok(remainder));
                }
            }
            Atom::FloorDivSym(a, b) => {
                // The same with a positive divisor; where it is zero there is no value to speak of.
                let b = self.poly(*b);
                let remainder = value.mul(b).and_then(|multiple| self.poly(*a).sub(&multiple));
                if self.range(b, Known::Facts).lo >= 0
                    && let Ok(remainder) = remainder
                {
                    push(b.sub(&remainder).and_then(|p| p.add(&Poly::int(-1))));
                    push(Ok(remainder));
                    push(b.add(&Poly::int(-1)));
                }
            }
            Atom::Min(list) => list.iter().for_each(|&d| push(self.poly(d).sub(&value))),
            Atom::Max(list) => list.iter().for_each(|&d| push(value.sub(self.poly(d)))),
        }
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
                if c % k != 0 || !self.poly_divides(k.unsigned_abs(), &exact, DEPTH).is_always() {
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
        for _ in 0..DEPTH * 4 {
            let step = self.facts.equations.iter().find_map(|equation| {
                let (lead, c) = equation.leading()?;
                if lead.is_one() {
                    return None;
                }
                let (mono, x) = p.terms.iter().find(|(mono, x)| mono.div(&lead).is_some() && x % c == 0)?;
                let multiple = equation.mul_term(&mono.div(&lead)?, x / c).ok()?;
                p.sub(&multiple).ok()
            });
            match step {
                Some(next) => p = next,
                None => break,
            }
        }
        p
    }

    /// A number `m` such that the value without the constant is a multiple of `m`; 0 if it is 0.
    fn modulus(&self, p: &Poly) -> u64 {
        p.terms.iter().fold(0, |g, (mono, c)| gcd(g, self.mono_modulus(mono, c.unsigned_abs())))
    }

    fn mono_modulus(&self, mono: &Mono, coefficient: u64) -> u64 {
        let mut modulus = coefficient;
        for (fact, k) in &self.facts.multiples {
            if let ([(part, 1)], 0) = (&fact.terms[..], fact.constant)
                && mono.div(part).is_some()
            {
                // Only one fact a monomial: two may speak of the same factor.
                modulus = modulus.max(coefficient.saturating_mul(k.unsigned_abs()));
            }
        }
        if modulus == u64::MAX { coefficient } else { modulus }
    }

    fn poly_divides(&self, k: u64, p: &Poly, depth: u32) -> Truth {
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
                let y = fact.coefficient(mono);
                if fact.terms.len() < 2 || y == 0 || x % y != 0 {
                    continue;
                }
                let factor = x / y;
                if (i128::from(factor) * i128::from(*j)) % k_signed == 0
                    && let Ok(rest) = p.add_scaled(fact, -factor)
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

struct Search<'a> {
    cx: &'a ShapeCx,
    ranges: Ranges<'a>,
    hypotheses: Vec<Poly>,
    /// What was tried before, perhaps by the same facts in another order.
    seen: IndexSet<(Poly, i64)>,
    budget: usize,
}

impl Search<'_> {
    /// Whether `d > −scale` was proven.
    fn run(&mut self, d: &Poly, scale: i64, depth: u32) -> bool {
        if self.budget == 0 {
            return false;
        }
        self.budget = self.budget.saturating_sub(1 + d.terms.len());
        if self.ranges.sum(d).lo > -i128::from(scale) {
            return true;
        }
        if depth == 0 || d.terms.is_empty() || !self.seen.insert((d.clone(), scale)) {
            return false;
        }
        let Some((id, operands)) = self.extremum(d) else { return self.eliminate(d, scale, depth) };
        // Half of the budget for either way.
        let reserve = self.budget / 2;
        self.budget -= reserve;
        let proven = self.eliminate(d, scale, depth);
        self.budget += reserve;
        proven || self.split(d, scale, depth, id, &operands)
    }

    fn eliminate(&mut self, d: &Poly, scale: i64, depth: u32) -> bool {
        // Every unbounded term must go, so it is enough to look at the first one.
        let ranges = &mut self.ranges;
        let mut low = |(mono, c): &(Mono, i64)| ranges.mono(mono).mul(Range::point(*c)).lo;
        let unbounded = d.terms.iter().find(|term| low(term) == i128::MIN);
        let targets = unbounded.map_or(&d.terms[..], std::slice::from_ref);
        for (mono, c) in targets {
            for at in 0..self.hypotheses.len() {
                // The constant of `n − 1` matters too: times `m` it cancels the last term of `n·m − m`.
                let constant = (Mono::default(), self.hypotheses[at].constant);
                for part in 0..=self.hypotheses[at].terms.len() {
                    let (part, x) = self.hypotheses[at].terms.get(part).unwrap_or(&constant);
                    if *x == 0 || (*x < 0) != (*c < 0) {
                        continue;
                    }
                    let Some(quotient) = mono.div(part) else { continue };
                    if self.ranges.mono(&quotient).lo < 0 {
                        continue;
                    }
                    let next = combine(d, *c, &self.hypotheses[at], *x, &quotient, scale);
                    if next.is_some_and(|(next, scale)| self.run(&next, scale, depth - 1)) {
                        return true;
                    }
                    if self.budget == 0 {
                        return false;
                    }
                }
            }
        }
        false
    }

    fn extremum(&self, d: &Poly) -> Option<(AtomId, SmallVec<[Dim; 2]>)> {
        d.terms.iter().flat_map(|(mono, _)| &mono.0).find_map(|&(id, _)| match self.cx.atom(id) {
            Atom::Min(list) | Atom::Max(list) => Some((id, list.clone())),
            _ => None,
        })
    }

    /// A minimum or maximum equals one of its operands, which is then the least or greatest:
    /// proves the claim for each.
    fn split(&mut self, d: &Poly, scale: i64, depth: u32, id: AtomId, operands: &[Dim]) -> bool {
        let least = matches!(self.cx.atom(id), Atom::Min(_));
        let known = self.hypotheses.len();
        operands.iter().all(|&chosen| {
            let value = self.cx.poly(chosen);
            for &other in operands.iter().filter(|&&other| other != chosen) {
                let other = self.cx.poly(other);
                self.hypotheses.extend(if least { other.sub(value) } else { value.sub(other) });
            }
            let seen = std::mem::take(&mut self.seen);
            let proven = replace(d, id, value).is_ok_and(|case| self.run(&case, scale, depth - 1));
            self.seen = seen;
            self.hypotheses.truncate(known);
            proven
        })
    }
}

/// `up·d − factor·quotient·h`, which loses the term of `d` with coefficient `c`, and the new scale.
fn combine(d: &Poly, c: i64, h: &Poly, x: i64, quotient: &Mono, scale: i64) -> Option<(Poly, i64)> {
    let g = i64::try_from(gcd(x.unsigned_abs(), c.unsigned_abs())).ok()?;
    let up = (x / g).checked_abs()?;
    let factor = (c / g).checked_abs()?.checked_neg()?;
    let multiple = h.mul_term(quotient, factor).ok()?;
    Some((d.scale(up).ok()?.add(&multiple).ok()?, scale.checked_mul(up)?))
}

/// `p` with `value` for the atom, outside other atoms.
pub(super) fn replace(p: &Poly, id: AtomId, value: &Poly) -> Result<Poly, Overflow> {
    let mut out = Poly::int(p.constant);
    for (mono, c) in &p.terms {
        let others = Mono(mono.0.iter().copied().filter(|factor| factor.0 != id).collect());
        let mut term = Poly::monomial(others, *c);
        for _ in 0..mono.power_of(id) {
            term = term.mul(value)?;
        }
        out = out.add(&term)?;
    }
    Ok(out)
}
