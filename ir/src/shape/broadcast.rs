//! What extents broadcast to, as numpy does: they are equal, or one of them is 1.

use smallvec::SmallVec;

use super::arith::MAX_OPERANDS;
use super::bounds::Known;
use super::poly::{Atom, Poly};
use super::{Constraint, Dim, Overflow, ShapeCx, Truth};

impl ShapeCx {
    /// What extents broadcast to: 1 if all are 1, else the one that is not.
    ///
    /// It has no value where two operands other than 1 differ, so an operand that is never 1, as far as the form of
    /// the expression tells, makes those superfluous that may be.
    ///
    /// ```
    /// use orogen_ir::shape::ShapeCx;
    ///
    /// let mut cx = ShapeCx::new();
    /// let (n, m, one, four) = (cx.sym("n"), cx.sym("m"), cx.int(1), cx.int(4));
    /// let both = cx.broadcast(&[n, m]).unwrap();
    /// assert_eq!(cx.broadcast(&[both, n, one]), Ok(both));
    /// assert_eq!(cx.broadcast(&[both, four]), Ok(four));
    /// ```
    pub fn broadcast(&mut self, operands: &[Dim]) -> Result<Dim, Overflow> {
        self.broadcast_known(operands, Known::Kinds)
    }

    pub(super) fn broadcast_known(&mut self, operands: &[Dim], known: Known) -> Result<Dim, Overflow> {
        let mut list: SmallVec<[Dim; 2]> = SmallVec::new();
        for &d in operands {
            match self.broadcast_parts(d) {
                [] => list.push(d),
                parts => list.extend_from_slice(parts),
            }
        }
        list.retain(|d| self.as_int(*d) != Some(1));
        list.sort_unstable();
        list.dedup();
        if list.len() > MAX_OPERANDS {
            return Err(Overflow);
        }
        if let Some(extent) = list.iter().filter_map(|&d| self.as_int(d)).max() {
            return Ok(self.int(extent));
        }
        match known {
            Known::Kinds if list.iter().any(|&d| self.is_never_one(d)) => {
                list.retain(|d| self.is_never_one(*d));
            }
            Known::Kinds => {}
            Known::Facts => self.drop_decided(&mut list),
        }
        match list[..] {
            [] => Ok(self.int(1)),
            [only] => Ok(only),
            _ => self.atom_dim(Atom::Broadcast(list)),
        }
    }

    /// Removes extents beside which another one is known to be the result.
    fn drop_decided(&mut self, list: &mut SmallVec<[Dim; 2]>) {
        // One at a time, because of two equal ones one must stay; by text, so that the order of interning does not
        // choose which.
        let mut by_text: Vec<(String, Dim)> =
            list.iter().map(|&d| (self.display(d).to_string(), d)).collect();
        by_text.sort_unstable();
        for (_, d) in by_text.into_iter().rev() {
            let others: SmallVec<[Dim; 2]> = list.iter().copied().filter(|it| *it != d).collect();
            if others.iter().any(|other| self.gives_broadcast(*other, d)) {
                *list = others;
            }
        }
    }

    /// Whether an extent is never 1, as far as the form of the expression tells.
    pub fn is_never_one(&self, d: Dim) -> bool {
        let Ok(p) = self.poly(d).add(&Poly::int(-1)) else { return false };
        let range = self.range(&p, Known::Kinds);
        range.lo > 0 || range.hi < 0 || !p.constant.unsigned_abs().is_multiple_of(p.content())
    }

    /// Whether what `a` and `b` broadcast to is known to be `a`: `b` is 1 wherever `a` is, perhaps because `a` never
    /// is.
    pub fn gives_broadcast(&mut self, a: Dim, b: Dim) -> bool {
        let one = self.int(1);
        if self.prove(Constraint::Differs(a, 1)).is_always() || self.prove_eq(a, b).is_always() {
            return true;
        }
        let facts = self.save_facts();
        let mut under = |assumed: Constraint, claim: &dyn Fn(&ShapeCx) -> bool| {
            let proven = self.assume(assumed).is_err() || claim(self);
            self.restore_facts(facts.clone());
            proven
        };
        // Directly, or because `a` is not 1 where `b` is not.
        under(Constraint::Eq(a, one), &|cx| cx.prove_eq(b, one).is_always())
            || (under(Constraint::AtLeast(b, 2), &|cx| cx.prove_eq(a, one).is_never())
                && under(Constraint::AtMost(b, 0), &|cx| cx.prove_eq(a, one).is_never()))
    }

    /// Whether `part` is known to be what it and others broadcast to, which is `whole`.
    pub fn decides_broadcast(&mut self, part: Dim, whole: Dim) -> bool {
        let parts: SmallVec<[Dim; 4]> = self.broadcast_parts(whole).into();
        parts.contains(&part) && parts.into_iter().all(|it| it == part || self.gives_broadcast(part, it))
    }

    /// What follows in bounds: beside a constant extent, the other one is that number or 1.
    pub(super) fn assume_broadcast(&mut self, a: Dim, b: Dim) {
        let (extent, other) = match (self.as_int(a), self.as_int(b)) {
            (Some(extent), None) => (extent, b),
            (None, Some(extent)) => (extent, a),
            _ => return,
        };
        let above = self.poly(other).sub(&Poly::int(extent.min(1)));
        let below = Poly::int(extent.max(1)).sub(self.poly(other));
        for poly in [above, below].into_iter().flatten() {
            self.facts.add_at_least_zero(self.fact(poly));
        }
    }

    /// Whether an extent is known to be at least 1 because it broadcasts with one that is at least 2: it is that or 1.
    pub(super) fn is_positive_by_broadcast(&self, d: Dim) -> bool {
        self.facts().any(|fact| {
            let other = match *fact {
                Constraint::Broadcast(a, b) if a == d => b,
                Constraint::Broadcast(a, b) if b == d => a,
                _ => return false,
            };
            let decides =
                self.is_never_one(other) || self.facts.list.contains(&Constraint::Differs(other, 1));
            decides && self.poly(other).sub(&Poly::int(1)).is_ok_and(|it| self.at_least_zero(&it))
        })
    }

    pub(super) fn prove_broadcast(&self, a: Dim, b: Dim) -> Truth {
        let known = [Constraint::Broadcast(a, b), Constraint::Broadcast(b, a)];
        if known.iter().any(|it| self.facts.list.contains(it))
            || self.is_broadcast_part(a, b)
            || self.is_broadcast_part(b, a)
        {
            return Truth::Always;
        }
        let is_one = |d: Dim| self.poly(d).add(&Poly::int(-1)).map_or(Truth::Unknown, |p| self.is_zero(&p));
        let answers = [self.prove_eq(a, b), is_one(a), is_one(b)];
        if answers.iter().any(|it| it.is_always()) {
            Truth::Always
        } else if answers.iter().all(|it| it.is_never()) {
            Truth::Never
        } else {
            Truth::Unknown
        }
    }

    /// The extents that `d` is the broadcast of; none if it is something else.
    fn broadcast_parts(&self, d: Dim) -> &[Dim] {
        match self.poly(d).as_atom().map(|it| self.atom(it)) {
            Some(Atom::Broadcast(list)) => list,
            _ => &[],
        }
    }

    /// Whether `whole` is, by its form, what `part` and others broadcast to.
    pub fn is_broadcast_part(&self, part: Dim, whole: Dim) -> bool {
        let own = match self.broadcast_parts(part) {
            [] => &[part],
            parts => parts,
        };
        own.iter().all(|it| self.broadcast_parts(whole).contains(it))
    }
}
