//! Assumed facts.

use std::fmt;

use indexmap::{IndexMap, IndexSet};
use smallvec::SmallVec;

use super::bounds::{Interval, Range};
use super::poly::{Mono, Poly};
use super::symbol::SymbolKind;
use super::witness::Witnesses;
use super::{Dim, ShapeCx, Sym, Truth};

/// A fact about expressions.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Constraint {
    /// The expression is at least this number.
    AtLeast(Dim, i64),
    /// The expression is at most this number.
    AtMost(Dim, i64),
    /// The two expressions are equal.
    Eq(Dim, Dim),
    /// The expression is a multiple of this number, which is not zero.
    Multiple(Dim, i64),
    /// The expression is not this number.
    Differs(Dim, i64),
    /// Tensors of these extents broadcast: the two are equal, or one of them is 1.
    Broadcast(Dim, Dim),
}

impl Constraint {
    /// The expressions that it is about.
    pub fn dims(&self) -> impl Iterator<Item = Dim> + use<> {
        let (first, second) = match *self {
            Constraint::AtLeast(d, _)
            | Constraint::AtMost(d, _)
            | Constraint::Multiple(d, _)
            | Constraint::Differs(d, _) => (d, None),
            Constraint::Eq(a, b) | Constraint::Broadcast(a, b) => (a, Some(b)),
        };
        std::iter::once(first).chain(second)
    }

    /// The same relation between other expressions.
    pub fn map<E>(self, map: &mut dyn FnMut(Dim) -> Result<Dim, E>) -> Result<Self, E> {
        Ok(match self {
            Constraint::AtLeast(d, k) => Constraint::AtLeast(map(d)?, k),
            Constraint::AtMost(d, k) => Constraint::AtMost(map(d)?, k),
            Constraint::Eq(a, b) => Constraint::Eq(map(a)?, map(b)?),
            Constraint::Multiple(d, k) => Constraint::Multiple(map(d)?, k),
            Constraint::Differs(d, k) => Constraint::Differs(map(d)?, k),
            Constraint::Broadcast(a, b) => Constraint::Broadcast(map(a)?, map(b)?),
        })
    }
}

/// A fact cannot hold together with what is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The fact as text.
    pub fact: String,
    /// The expression that contradicts it, with its known bounds, as text.
    pub known: String,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` cannot hold: {}", self.fact, self.known)
    }
}

impl std::error::Error for Contradiction {}

/// Facts, sorted by how proofs use them.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) list: IndexSet<Constraint>,
    /// Bounds on a single product of atoms.
    bounds: IndexMap<Mono, Interval>,
    /// Polynomials of several terms that are at least 0.
    pub(super) inequalities: Vec<Fact>,
    /// Polynomials that are 0.
    pub(super) equations: Vec<Fact>,
    /// Polynomials that are multiples of a number.
    pub(super) multiples: Vec<(Fact, i64)>,
    /// Values of symbols with which all facts hold.
    pub(super) witnesses: Witnesses,
}

/// A polynomial that a fact speaks of.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub(super) poly: Poly,
    /// The greatest term, which an equation rewrites; `None` for a constant, and where an atom of it
    /// occurs inside another atom.
    pub(super) lead: Option<(Mono, i64)>,
    pub(super) symbols: SmallVec<[Sym; 4]>,
    /// The symbols that are loop indices: the fact holds inside their loops.
    pub(super) indices: SmallVec<[Sym; 2]>,
}

impl Facts {
    pub(super) fn bound(&self, mono: &Mono) -> Range {
        self.bounds.get(mono).map_or(Range::ALL, |interval| Range::from_interval(*interval))
    }

    /// `m − lo ≥ 0` and `hi − m ≥ 0`: intervals alone do not multiply them by other expressions.
    pub(super) fn bounds_as_inequalities(&self) -> impl Iterator<Item = (&Mono, Poly)> {
        self.bounds.iter().flat_map(|(mono, interval)| {
            let above = interval
                .lo
                .filter(|lo| *lo != 0)
                .and_then(|lo| Poly::monomial(mono.clone(), 1).add(&Poly::int(lo.checked_neg()?)).ok());
            let below = interval.hi.and_then(|hi| Poly::monomial(mono.clone(), -1).add(&Poly::int(hi)).ok());
            above.into_iter().chain(below).map(move |p| (mono, p))
        })
    }

    fn tighten(&mut self, mono: Mono, range: Range) {
        let old = self.bound(&mono);
        self.bounds.insert(mono, old.meet(range).to_interval());
    }

    pub(super) fn add_at_least_zero(&mut self, fact: Fact) {
        let p = &fact.poly;
        match &p.terms[..] {
            [] => {}
            // c·m + k ≥ 0
            [(mono, c)] => {
                let end = Range::point(p.constant).mul(Range::point(-1)).lo;
                let scale = i64::try_from(c.unsigned_abs()).unwrap_or(i64::MAX);
                let range = match *c > 0 {
                    true => Range { lo: end, hi: i128::MAX },
                    false => Range { lo: i128::MIN, hi: -end },
                };
                self.tighten(mono.clone(), range.divide_inward(scale));
            }
            _ => self.inequalities.push(fact),
        }
    }
}

impl ShapeCx {
    /// Adds a fact, which all later questions may use. Canonical forms never depend on facts.
    ///
    /// An obvious contradiction with earlier facts is an error and changes nothing.
    /// Contradictions that need more than the prover sees are not found;
    /// questions then have answers for an empty set of values.
    ///
    /// A fact that holds for all values, such as `2 == 2` or `n == n`, says nothing and is not kept.
    pub fn assume(&mut self, fact: Constraint) -> Result<(), Contradiction> {
        match self.prove(fact) {
            Truth::Always if self.is_trivial(&fact) => return Ok(()),
            Truth::Always => {
                self.facts.list.insert(fact);
                return Ok(());
            }
            Truth::Never => return Err(self.contradiction(fact)),
            Truth::Unknown => {}
        }
        self.facts.list.insert(fact);
        self.keep_witnesses(&fact);
        // A fact whose difference has no representation stays in the list but helps no proof.
        match fact {
            Constraint::AtLeast(d, k) => {
                if let Ok(p) = self.poly(d).sub(&Poly::int(k)) {
                    self.facts.add_at_least_zero(self.fact(p));
                }
            }
            Constraint::AtMost(d, k) => {
                if let Ok(p) = Poly::int(k).sub(self.poly(d)) {
                    self.facts.add_at_least_zero(self.fact(p));
                }
            }
            Constraint::Eq(a, b) => {
                if let Ok(p) = self.poly(a).sub(self.poly(b)) {
                    if p.terms.len() == 1
                        && let Ok(minus) = p.scale(-1)
                    {
                        self.facts.add_at_least_zero(self.fact(p.clone()));
                        self.facts.add_at_least_zero(self.fact(minus));
                    }
                    self.facts.equations.push(self.fact(p));
                }
            }
            Constraint::Multiple(d, k) => {
                let fact = self.fact(self.poly(d).clone());
                self.facts.multiples.push((fact, k.saturating_abs()));
            }
            Constraint::Broadcast(a, b) => self.assume_broadcast(a, b),
            // Beside a bound at the number, the bound moves.
            Constraint::Differs(d, k) => {
                let bounds = self.bounds(d);
                let poly = match k {
                    k if bounds.lo == Some(k) => self.poly(d).sub(&Poly::int(k.saturating_add(1))),
                    k if bounds.hi == Some(k) => Poly::int(k.saturating_sub(1)).sub(self.poly(d)),
                    _ => return Ok(()),
                };
                if let Ok(p) = poly {
                    self.facts.add_at_least_zero(self.fact(p));
                }
            }
        }
        Ok(())
    }

    /// Whether a fact that holds is one about numbers, or about one expression and itself.
    fn is_trivial(&self, fact: &Constraint) -> bool {
        let same = matches!(fact, Constraint::Eq(a, b) | Constraint::Broadcast(a, b) if a == b);
        same || fact.dims().all(|it| self.as_int(it).is_some())
    }

    pub(super) fn fact(&self, poly: Poly) -> Fact {
        let symbols = self.poly_symbols(&poly);
        let is_index = |sym: &Sym| matches!(self.kind(*sym), SymbolKind::Index { .. });
        let indices = symbols.iter().copied().filter(is_index).collect();
        let lead = poly.leading().filter(|(mono, _)| !mono.is_one());
        // `y = max(y, 7) − 1` rewrites nothing: what comes out would hold what went in.
        let lead = lead.filter(|(mono, _)| !mono.0.iter().any(|factor| self.occurs_inside(factor.0, &poly)));
        Fact { poly, lead, symbols, indices }
    }

    /// All assumed facts, in the order of assumption.
    pub fn facts(&self) -> impl Iterator<Item = &Constraint> {
        self.facts.list.iter()
    }

    /// Whether a fact follows from what is known.
    pub fn prove(&self, fact: Constraint) -> Truth {
        match fact {
            Constraint::AtLeast(d, k) => match self.as_int(d) {
                // The difference of numbers may be none.
                Some(d) => Truth::from(d >= k),
                None => match self.sign(self.poly(d).sub(&Poly::int(k))) {
                    Truth::Unknown if k == 1 && self.is_positive_by_broadcast(d) => Truth::Always,
                    truth => truth,
                },
            },
            Constraint::AtMost(d, k) => match self.as_int(d) {
                Some(d) => Truth::from(d <= k),
                None => self.sign(Poly::int(k).sub(self.poly(d))),
            },
            Constraint::Eq(a, b) => self.prove_eq(a, b),
            Constraint::Multiple(d, k) => self.divides(k, d),
            Constraint::Broadcast(a, b) => self.prove_broadcast(a, b),
            Constraint::Differs(d, k) => self.prove_differs(d, k),
        }
    }

    fn prove_differs(&self, d: Dim, k: i64) -> Truth {
        if self.facts.list.contains(&Constraint::Differs(d, k)) {
            return Truth::Always;
        }
        let difference = self.poly(d).sub(&Poly::int(k));
        difference.map_or(Truth::Unknown, |it| !self.is_zero(&it))
    }

    /// A fact as text: `n >= 1`, `b*s == h*t`, `8 | n`, `n != 1`, `n ~ m`.
    /// [`parse_fact`](ShapeCx::parse_fact) reads it back.
    pub fn display_fact(&self, fact: &Constraint) -> String {
        match *fact {
            Constraint::AtLeast(d, k) => format!("{} >= {k}", self.display(d)),
            Constraint::AtMost(d, k) => format!("{} <= {k}", self.display(d)),
            Constraint::Eq(a, b) => format!("{} == {}", self.display(a), self.display(b)),
            Constraint::Multiple(d, k) => format!("{k} | {}", self.display(d)),
            Constraint::Differs(d, k) => format!("{} != {k}", self.display(d)),
            Constraint::Broadcast(a, b) => format!("{} ~ {}", self.display(a), self.display(b)),
        }
    }

    fn contradiction(&self, fact: Constraint) -> Contradiction {
        let d = match fact {
            Constraint::Eq(a, b) | Constraint::Broadcast(a, b) if self.as_int(a).is_some() => b,
            Constraint::AtLeast(d, _)
            | Constraint::AtMost(d, _)
            | Constraint::Eq(d, _)
            | Constraint::Broadcast(d, _)
            | Constraint::Differs(d, _)
            | Constraint::Multiple(d, _) => d,
        };
        let text = self.display(d);
        let bounds = self.bounds(d);
        let known = match (bounds.lo, bounds.hi) {
            (Some(lo), Some(hi)) if lo == hi => format!("`{text}` is {lo}"),
            (Some(lo), Some(hi)) => format!("`{text}` lies between {lo} and {hi}"),
            (Some(lo), None) => format!("`{text}` is at least {lo}"),
            (None, Some(hi)) => format!("`{text}` is at most {hi}"),
            (None, None) => "it contradicts earlier facts".to_owned(),
        };
        Contradiction { fact: self.display_fact(&fact), known }
    }
}
