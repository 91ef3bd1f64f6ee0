//! Interval arithmetic.

use indexmap::IndexMap;

use super::poly::{Atom, AtomId, Mono, Poly, gcd};
use super::symbol::SymbolKind;
use super::{Dim, ShapeCx};

/// A set of integers between two inclusive ends; `None` is unbounded.
///
/// It is empty when `lo > hi`, which happens only for what is known inside a loop that never runs.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Interval {
    /// The least value.
    pub lo: Option<i64>,
    /// The greatest value.
    pub hi: Option<i64>,
}

impl Interval {
    /// All integers.
    pub const ALL: Interval = Interval { lo: None, hi: None };

    /// Whether `value` lies within.
    pub fn contains(self, value: i64) -> bool {
        self.lo.is_none_or(|lo| lo <= value) && self.hi.is_none_or(|hi| value <= hi)
    }
}

/// Which knowledge a question may use.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// The kinds of symbols: fixed at their creation, so canonical forms may use it.
    Kinds,
    /// The kinds and all assumed facts.
    Facts,
}

impl ShapeCx {
    /// Bounds on the value, from the kinds of symbols and the assumed facts.
    ///
    /// ```
    /// use orogen_ir::shape::{Constraint, Interval, ShapeCx};
    ///
    /// let mut cx = ShapeCx::new();
    /// let n = cx.sym("n");
    /// cx.assume(Constraint::AtMost(n, 100)).unwrap();
    /// let half = cx.ceil_div(n, 2).unwrap();
    /// assert_eq!(cx.bounds(half), Interval { lo: Some(0), hi: Some(50) });
    /// ```
    pub fn bounds(&self, d: Dim) -> Interval {
        self.range(self.poly(d), Known::Facts).to_interval()
    }

    pub(super) fn range(&self, p: &Poly, known: Known) -> Range {
        Ranges::new(self, known).tight(p)
    }
}

/// Ranges of polynomials, each atom computed once.
///
/// What the kinds alone say of an atom is stored with the atom, because it never changes.
pub(super) struct Ranges<'a> {
    cx: &'a ShapeCx,
    known: Known,
    atoms: IndexMap<AtomId, Range>,
}

impl<'a> Ranges<'a> {
    pub(super) fn new(cx: &'a ShapeCx, known: Known) -> Ranges<'a> {
        Ranges { cx, known, atoms: IndexMap::new() }
    }

    /// The sum of the ranges of the terms, improved by what floor divisions have in common with the rest.
    pub(super) fn tight(&mut self, p: &Poly) -> Range {
        let direct = self.sum(p);
        if direct.lo == direct.hi { direct } else { direct.meet(self.without_floors(p)) }
    }

    /// The sum of the ranges of the terms.
    pub(super) fn sum(&mut self, p: &Poly) -> Range {
        let mut sum = Range::point(p.constant);
        for (mono, c) in &p.terms {
            sum = sum.add(self.mono(mono).mul(Range::point(*c)));
        }
        sum
    }

    /// Replaces `⌊p/k⌋` by `(p − r)/k` with `0 ≤ r < k`, one after the other, and bounds what is left.
    ///
    /// Invariant: `scale · value = rest + slack`.
    fn without_floors(&mut self, p: &Poly) -> Range {
        const STEPS: usize = 12;
        let (mut rest, mut scale, mut slack, mut best) = (p.clone(), 1_i64, Range::point(0), Range::ALL);
        for _ in 0..STEPS {
            let Some((mono, coefficient, others, numerator, k)) = self.find_floor(&rest) else { break };
            let g = i64::try_from(gcd(coefficient.unsigned_abs(), k.unsigned_abs())).unwrap_or(1);
            let (up, c) = (k / g, coefficient / g);
            let eliminated = || {
                let without = rest.sub(&Poly::monomial(mono.clone(), coefficient)).ok()?;
                let numerator = self.cx.poly(numerator).mul_term(&others, c).ok()?;
                without.scale(up).ok()?.add(&numerator).ok()
            };
            let (Some(next), Some(next_scale)) = (eliminated(), scale.checked_mul(up)) else { break };
            let remainder = Range::new(0, i128::from(k) - 1).mul(self.mono(&others));
            slack = slack.mul(Range::point(up)).add(remainder.mul(Range::point(c).mul(Range::point(-1))));
            (rest, scale) = (next, next_scale);
            let total = self.sum(&rest).add(slack);
            best = best.meet(total.divide_inward(scale));
        }
        best
    }

    fn find_floor(&self, p: &Poly) -> Option<(Mono, i64, Mono, Dim, i64)> {
        p.terms.iter().find_map(|(mono, coefficient)| {
            mono.0.iter().find_map(|&(id, power)| match (self.cx.atom(id), power) {
                (&Atom::FloorDiv(numerator, k), 1) => {
                    let others = mono.div(&Mono::atom(id))?;
                    Some((mono.clone(), *coefficient, others, numerator, k))
                }
                _ => None,
            })
        })
    }

    pub(super) fn mono(&mut self, mono: &Mono) -> Range {
        let mut product = Range::point(1);
        for &(id, power) in &mono.0 {
            let base = self.atom(id);
            let mut factor = base;
            for _ in 1..power {
                factor = factor.mul(base);
            }
            if power % 2 == 0 {
                factor = factor.meet(Range::new(0, i128::MAX));
            }
            product = product.mul(factor);
        }
        match self.known {
            Known::Facts => product.meet(self.cx.facts.bound(mono)),
            Known::Kinds => product,
        }
    }

    fn atom(&mut self, id: AtomId) -> Range {
        let by_kind = self.cx.kind_range(id);
        if self.known == Known::Kinds {
            return by_kind;
        }
        if let Some(range) = self.atoms.get(&id) {
            return *range;
        }
        let range = self.compute(self.cx.atom(id)).meet(by_kind).meet(self.cx.facts.bound(&Mono::atom(id)));
        self.atoms.insert(id, range);
        range
    }

    /// The range of an atom from those of its operands.
    pub(super) fn compute(&mut self, atom: &Atom) -> Range {
        let (cx, known) = (self.cx, self.known);
        let mut inside = |d: Dim| self.tight(cx.poly(d));
        match atom {
            Atom::Sym(sym) => match (cx.kind(*sym), known) {
                (SymbolKind::Integer, _) => Range::ALL,
                (SymbolKind::Index { extent }, Known::Facts) => {
                    Range { lo: 0, hi: inside(extent).add(Range::point(-1)).hi }
                }
                (SymbolKind::Size | SymbolKind::Index { .. }, _) => Range::new(0, i128::MAX),
            },
            Atom::FloorDiv(numerator, k) => inside(*numerator).floor_div(Range::point(*k)),
            Atom::FloorDivSym(numerator, denominator) => inside(*numerator).floor_div(inside(*denominator)),
            Atom::Min(list) => {
                let ranges = list.iter().map(|&d| inside(d));
                ranges.reduce(|a, b| Range { lo: a.lo.min(b.lo), hi: a.hi.min(b.hi) }).unwrap_or(Range::ALL)
            }
            Atom::Max(list) => {
                let ranges = list.iter().map(|&d| inside(d));
                ranges.reduce(|a, b| Range { lo: a.lo.max(b.lo), hi: a.hi.max(b.hi) }).unwrap_or(Range::ALL)
            }
            Atom::Broadcast(list) => {
                let ranges = list.iter().map(|&d| inside(d));
                ranges.reduce(|a, b| Range { lo: a.lo.min(b.lo), hi: a.hi.max(b.hi) }).unwrap_or(Range::ALL)
            }
        }
    }
}

/// An interval in 128 bits, so that sums and products of 64-bit ends rarely saturate.
/// `i128::MIN` and `i128::MAX` stand for unbounded; finite ends stay within [`Range::LIMIT`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) lo: i128,
    pub(super) hi: i128,
}

impl Range {
    pub(super) const ALL: Range = Range { lo: i128::MIN, hi: i128::MAX };
    const LIMIT: i128 = 1 << 126;

    pub(super) fn point(value: i64) -> Range {
        Range { lo: i128::from(value), hi: i128::from(value) }
    }

    /// Normalises ends beyond the limit: outward to unbounded, inward to the limit.
    pub(super) fn new(lo: i128, hi: i128) -> Range {
        Range {
            lo: if lo <= -Range::LIMIT { i128::MIN } else { lo.min(Range::LIMIT) },
            hi: if hi >= Range::LIMIT { i128::MAX } else { hi.max(-Range::LIMIT) },
        }
    }

    pub(super) fn from_interval(interval: Interval) -> Range {
        Range { lo: interval.lo.map_or(i128::MIN, i128::from), hi: interval.hi.map_or(i128::MAX, i128::from) }
    }

    pub(super) fn to_interval(self) -> Interval {
        let (min, max) = (i128::from(i64::MIN), i128::from(i64::MAX));
        Interval {
            lo: if self.lo < min { None } else { i64::try_from(self.lo.min(max)).ok() },
            hi: if self.hi > max { None } else { i64::try_from(self.hi.max(min)).ok() },
        }
    }

    pub(super) fn meet(self, other: Range) -> Range {
        Range { lo: self.lo.max(other.lo), hi: self.hi.min(other.hi) }
    }

    pub(super) fn add(self, other: Range) -> Range {
        Range::new(self.lo.saturating_add(other.lo), self.hi.saturating_add(other.hi))
    }

    pub(super) fn mul(self, other: Range) -> Range {
        let corners = [(self.lo, other.lo), (self.lo, other.hi), (self.hi, other.lo), (self.hi, other.hi)];
        let products = corners.map(|(a, b)| a.saturating_mul(b));
        let lo = products.iter().copied().fold(i128::MAX, i128::min);
        let hi = products.iter().copied().fold(i128::MIN, i128::max);
        Range::new(lo, hi)
    }

    /// The integers `x` with `scale·x` within `self`; `scale > 0`.
    pub(super) fn divide_inward(self, scale: i64) -> Range {
        let scale = i128::from(scale);
        let lo = if self.lo == i128::MIN { i128::MIN } else { -(-self.lo).div_euclid(scale) };
        let hi = if self.hi == i128::MAX { i128::MAX } else { self.hi.div_euclid(scale) };
        Range { lo, hi }
    }

    /// Bounds on `⌊a/b⌋` where it has a value, that is, `b ≠ 0`.
    fn floor_div(self, b: Range) -> Range {
        let (a, b) = match b {
            Range { lo, hi } if lo >= 0 => (self, Range { lo: lo.max(1), hi }),
            Range { lo, hi } if hi <= 0 => {
                let minus = Range::point(-1);
                (self.mul(minus), Range { lo, hi: hi.min(-1) }.mul(minus))
            }
            _ => return Range::ALL,
        };
        if b.lo > b.hi {
            return Range::ALL;
        }
        // Dividing by more brings the quotient nearer to zero, but floors of negative ones stay below.
        let end = |value: i128, nearer: i128, farther: i128| match value {
            i128::MIN | i128::MAX => value,
            v if v >= 0 => v.div_euclid(farther),
            v => v.div_euclid(nearer),
        };
        Range { lo: end(a.lo, b.lo, b.hi), hi: end(a.hi, b.hi, b.lo) }
    }
}
