//! The search for a combination of facts.
//!
//! To prove `d ≥ 0`, look for facts `h ≥ 0` and monomials `q ≥ 0` such that
//! `s·d − q·h − …` has a lower bound above `−s`; since `d` is an integer, `d > −1` suffices.
//! This is a bounded search for a certificate in the manner of Farkas' lemma, with monomial multipliers,
//! and a case distinction over the operands of a minimum or maximum.

use indexmap::IndexSet;
use smallvec::SmallVec;

use super::bounds::{Known, Range, Ranges};
use super::context::operands;
use super::facts::Fact;
use super::poly::{Atom, AtomId, Mono, Poly, gcd};
use super::symbol::SymbolKind;
use super::{Dim, Overflow, ShapeCx, Sym};

/// Facts combined in one certificate.
const DEPTH: u32 = 4;
/// Terms of all combinations tried for one question: a count, so that answers do not depend on the machine.
const BUDGET: usize = 400;
/// How far facts may be from the question: facts that share a symbol with it, with those facts, and so on.
const NEIGHBOURHOOD: u32 = 3;
/// Facts considered for one question.
const MAX_HYPOTHESES: usize = 96;

/// The search for proofs about a polynomial and its negation.
pub(super) struct Search<'a> {
    cx: &'a ShapeCx,
    ranges: Ranges<'a>,
    /// What the question mentions.
    subject: Poly,
    /// Polynomials that are at least 0, gathered when bounds alone do not answer.
    hypotheses: Vec<Poly>,
    gathered: bool,
    /// What was tried before, perhaps by the same facts in another order.
    seen: IndexSet<(Poly, i64)>,
    budget: usize,
}

/// A polynomial that is at least 0 where this one is: `c + g·p ≥ 0` means `⌊c/g⌋ + p ≥ 0`, as `p` is an integer. So what
/// rounding up to 2 adds to a number that is rounded up to 64 is found to be nothing.
fn divided(d: &Poly) -> Poly {
    let common = d.terms.iter().fold(0, |g, (_, c)| gcd(g, c.unsigned_abs()));
    match i64::try_from(common) {
        Ok(g) if g > 1 => Poly {
            constant: d.constant.div_euclid(g),
            terms: d.terms.iter().map(|(mono, c)| (mono.clone(), c / g)).collect(),
        },
        _ => d.clone(),
    }
}

impl<'a> Search<'a> {
    pub(super) fn new(cx: &'a ShapeCx, subject: &Poly) -> Search<'a> {
        Search {
            cx,
            ranges: Ranges::new(cx, Known::Facts),
            subject: subject.clone(),
            hypotheses: Vec::new(),
            gathered: false,
            seen: IndexSet::new(),
            budget: 0,
        }
    }

    /// Whether a proof of `d ≥ 0` was found, where `d` mentions nothing but what the subject mentions.
    pub(super) fn at_least_zero(&mut self, d: &Poly) -> bool {
        let d = &divided(d);
        if self.ranges.tight(d).lo >= 0 {
            return true;
        }
        // Without this, a search that must fail takes all of its budget.
        if d.terms.is_empty() || self.cx.is_negative_at_witness(d) {
            return false;
        }
        if !self.gathered {
            self.gathered = true;
            self.hypotheses = self.cx.hypotheses(&self.subject);
        }
        self.seen.clear();
        self.budget = BUDGET;
        self.run(d, 1, DEPTH, usize::MAX)
    }

    /// Whether `d > −scale` was proven. No step may leave more than `allowed` terms without a lower bound.
    fn run(&mut self, d: &Poly, scale: i64, depth: u32, allowed: usize) -> bool {
        if self.budget == 0 {
            return false;
        }
        self.budget = self.budget.saturating_sub(1 + d.terms.len());
        if self.ranges.sum(d).lo > -i128::from(scale) {
            return true;
        }
        let unbounded: Vec<bool> = d.terms.iter().map(|(mono, c)| self.is_unbounded(mono, *c)).collect();
        let count = unbounded.iter().filter(|unbounded| **unbounded).count();
        if depth == 0 || count > allowed || !self.seen.insert((d.clone(), scale)) {
            return false;
        }
        // Every unbounded term must go, so it is enough to look at the first one.
        let targets = match unbounded.iter().position(|unbounded| *unbounded) {
            Some(at) => &d.terms[at..=at],
            None => &d.terms[..],
        };
        let Some((id, operands)) = self.extremum(d) else {
            return self.eliminate(d, targets, scale, depth, count);
        };
        // Half of the budget for either way.
        let reserve = self.budget / 2;
        self.budget -= reserve;
        let proven = self.eliminate(d, targets, scale, depth, count);
        self.budget += reserve;
        proven || self.split(d, scale, depth, id, &operands)
    }

    fn is_unbounded(&mut self, mono: &Mono, c: i64) -> bool {
        self.ranges.mono(mono).mul(Range::point(c)).lo == i128::MIN
    }

    fn eliminate(
        &mut self,
        d: &Poly,
        targets: &[(Mono, i64)],
        scale: i64,
        depth: u32,
        allowed: usize,
    ) -> bool {
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
                    // A bound on the term itself says no more than its range.
                    if quotient.is_one() && self.hypotheses[at].terms.len() == 1 {
                        continue;
                    }
                    if self.ranges.mono(&quotient).lo < 0 {
                        continue;
                    }
                    // A product of facts must cancel more than one term, or it only moves the difficulty.
                    let limit = d.terms.len() - usize::from(part.is_one());
                    let next = combine(d, *c, &self.hypotheses[at], *x, &quotient, scale)
                        .filter(|(next, _)| quotient.is_one() || next.terms.len() <= limit);
                    if next.is_some_and(|(next, scale)| self.run(&next, scale, depth - 1, allowed)) {
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
            let proven =
                replace(d, id, value).is_ok_and(|case| self.run(&case, scale, depth - 1, usize::MAX));
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
fn replace(p: &Poly, id: AtomId, value: &Poly) -> Result<Poly, Overflow> {
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

impl ShapeCx {
    /// Polynomials that are at least 0 where `subject` has a value: facts, what the extents of loop indices
    /// say, and what atoms mean. Facts about a loop index take part only if the subject mentions it,
    /// because outside its loop the index has no value and the extent may be zero (law S10).
    fn hypotheses(&self, subject: &Poly) -> Vec<Poly> {
        let mut symbols: IndexSet<Sym> = IndexSet::new();
        let mut atoms: IndexSet<AtomId> = IndexSet::new();
        let mut out: Vec<Poly> = Vec::new();
        self.collect(subject, &mut symbols, &mut atoms);
        let mut at = 0;
        while let Some(&sym) = symbols.get_index(at) {
            // The loops around an index are those that its extent mentions.
            if let SymbolKind::Index { extent } = self.kind(sym) {
                self.collect(self.poly(extent), &mut symbols, &mut atoms);
                out.extend(self.last_iteration(sym, extent));
            }
            at += 1;
        }
        self.neighbouring_facts(&mut symbols, &mut atoms, &mut out);
        for &id in &atoms {
            self.atom_hypotheses(id, &mut out);
        }
        out.truncate(MAX_HYPOTHESES);
        out
    }

    /// `extent − 1 − index ≥ 0`.
    fn last_iteration(&self, sym: Sym, extent: Dim) -> Option<Poly> {
        let index = self.atoms.get_index_of(&Atom::Sym(sym))?;
        let index = Poly::of_atom(AtomId(u32::try_from(index).ok()?));
        self.poly(extent).sub(&index).and_then(|p| p.add(&Poly::int(-1))).ok()
    }

    fn neighbouring_facts(
        &self,
        symbols: &mut IndexSet<Sym>,
        atoms: &mut IndexSet<AtomId>,
        out: &mut Vec<Poly>,
    ) {
        let scope = symbols.clone();
        let visible = |fact: &&Fact| fact.indices.iter().all(|index| scope.contains(index));
        let inequalities = self.facts.inequalities.iter().map(|fact| (fact, false));
        let equations = self.facts.equations.iter().map(|fact| (fact, true));
        let mut waiting: Vec<(&Fact, bool)> =
            inequalities.chain(equations).filter(|(fact, _)| visible(fact)).collect();
        for _ in 0..NEIGHBOURHOOD {
            let before = symbols.clone();
            waiting.retain(|(fact, both)| {
                if !fact.symbols.iter().any(|sym| before.contains(sym)) {
                    return true;
                }
                self.collect(&fact.poly, symbols, atoms);
                out.push(fact.poly.clone());
                out.extend(both.then(|| fact.poly.scale(-1)).and_then(Result::ok));
                false
            });
            if before.len() == symbols.len() {
                break;
            }
        }
        for (mono, bound) in self.facts.bounds_as_inequalities() {
            let factors = mono.0.iter().map(|factor| self.atom(factor.0));
            let known = |(atom, id): (&Atom, AtomId)| match atom {
                Atom::Sym(sym) => symbols.contains(sym),
                _ => atoms.contains(&id),
            };
            if factors.zip(mono.0.iter().map(|factor| factor.0)).all(known) {
                out.push(bound);
            }
        }
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

    /// Whether a divisor is shown to be at least 0, by nothing but what it is made of: facts could lead back to what it divides.
    fn is_never_negative(&self, divisor: &Poly) -> bool {
        if self.range(divisor, Known::Facts).lo >= 0 {
            return true;
        }
        let (mut symbols, mut atoms) = (IndexSet::new(), IndexSet::new());
        self.collect(divisor, &mut symbols, &mut atoms);
        let mut search = Search { gathered: true, ..Search::new(self, divisor) };
        atoms.iter().for_each(|id| self.atom_hypotheses(*id, &mut search.hypotheses));
        search.at_least_zero(divisor)
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
                if self.is_never_negative(b)
                    && let Ok(remainder) = remainder
                {
                    push(b.sub(&remainder).and_then(|p| p.add(&Poly::int(-1))));
                    push(Ok(remainder));
                    push(b.add(&Poly::int(-1)));
                }
            }
            Atom::Min(list) => list.iter().for_each(|&d| push(self.poly(d).sub(&value))),
            Atom::Max(list) => list.iter().for_each(|&d| push(value.sub(self.poly(d)))),
            Atom::Broadcast(list) => {
                // Among extents of at least 1 it is the greatest.
                if list.iter().all(|&d| self.range(self.poly(d), Known::Facts).lo >= 1) {
                    list.iter().for_each(|&d| push(value.sub(self.poly(d))));
                }
            }
        }
    }
}
