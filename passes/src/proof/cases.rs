//! What is known of indices, and the cases of a proof.
//!
//! A condition on indices that nothing binds is decided, or the proof is split: both answers are assumed in turn, each
//! with the facts that follow from it. A condition on the index of a reduction stays in the expression, since it is true
//! for some iterations and false for others.

use indexmap::IndexSet;
use orogen_ir::shape::{Atom, AtomId, Constraint, Dim, Overflow, ShapeCx, Sym, SymbolKind, Truth};

/// Why a proof stops where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Whether this is at least 0 decides how to go on.
    Split(Dim),
    /// No proof is found, and why.
    Unknown(String),
}

impl From<Overflow> for Stop {
    fn from(_: Overflow) -> Self {
        Stop::unknown("an index expression is too large")
    }
}

impl Stop {
    pub(super) fn unknown(why: impl Into<String>) -> Stop {
        Stop::Unknown(why.into())
    }
}

pub(super) type Step<T> = Result<T, Stop>;

/// Indices and sizes with what is known of them.
#[derive(Clone, Debug)]
pub(super) struct Indices {
    pub(super) cx: ShapeCx,
    /// The indices of the element that is compared; all other indices are bound by reductions.
    free: IndexSet<Sym>,
}

impl Indices {
    pub(super) fn new(cx: ShapeCx) -> Indices {
        Indices { cx, free: IndexSet::new() }
    }

    /// A new index of the element that is compared, below an extent; `None` where there is no element.
    pub(super) fn free_index(&mut self, hint: &str, extent: Dim) -> Step<Option<Dim>> {
        let index = self.cx.fresh_index(hint, extent);
        self.free.extend(self.cx.as_sym(index));
        // There is an element, so the extent is not 0.
        Ok(self.cx.assume(Constraint::AtLeast(extent, 1)).is_ok().then_some(index))
    }

    /// A new index that a reduction binds.
    pub(super) fn bound_index(&mut self, extent: Dim) -> (Sym, Dim) {
        let index = self.cx.fresh_index("k", extent);
        (self.cx.as_sym(index).expect("a fresh symbol"), index)
    }

    /// Whether a symbol is the index of a reduction.
    pub(super) fn is_bound(&self, sym: Sym) -> bool {
        matches!(self.cx.kind(sym), SymbolKind::Index { .. }) && !self.free.contains(&sym)
    }

    /// Whether an expression mentions the index of a reduction.
    pub(super) fn mentions_bound(&self, d: Dim) -> bool {
        self.cx.free_symbols(d).iter().any(|it| self.is_bound(*it))
    }

    /// Whether `d ≥ 0`: `None` where bound indices decide it.
    pub(super) fn decide(&self, d: Dim) -> Step<Option<bool>> {
        match self.cx.prove(Constraint::AtLeast(d, 0)) {
            Truth::Always => Ok(Some(true)),
            Truth::Never => Ok(Some(false)),
            Truth::Unknown if self.mentions_bound(d) => Ok(None),
            Truth::Unknown => Err(Stop::Split(d)),
        }
    }

    /// `−d − 1`, which is at least 0 exactly where `d` is not.
    pub(super) fn negated(&mut self, d: Dim) -> Step<Dim> {
        let minus = self.cx.neg(d)?;
        Ok(self.cx.add_int(minus, -1)?)
    }

    /// `0 ≤ d < extent` as expressions that are at least 0.
    pub(super) fn within(&mut self, d: Dim, extent: Dim) -> Step<[Dim; 2]> {
        let last = self.cx.add_int(extent, -1)?;
        Ok([d, self.cx.sub(last, d)?])
    }

    /// An index expression as simple as facts make it. A minimum or maximum that sizes decide is decided.
    pub(super) fn simplify(&mut self, d: Dim) -> Step<Dim> {
        let d = self.cx.simplify(d);
        let d = self.without_small_quotients(d)?;
        let mut pending = vec![d];
        while let Some(at) = pending.pop() {
            let poly = self.cx.poly(at).clone();
            let atoms: Vec<_> = poly.terms().flat_map(|(factors, _)| factors.iter().map(|it| it.0)).collect();
            for atom in atoms {
                match self.cx.atom(atom).clone() {
                    Atom::Sym(_) => {}
                    Atom::FloorDiv(a, _) => pending.push(a),
                    Atom::FloorDivSym(a, b) => pending.extend([a, b]),
                    Atom::Min(list) | Atom::Max(list) | Atom::Broadcast(list) => {
                        for pair in list.windows(2) {
                            let difference = self.cx.sub(pair[0], pair[1])?;
                            if self.mentions_bound(difference) {
                                continue;
                            }
                            self.decide(difference)?;
                            let other = self.cx.neg(difference)?;
                            self.decide(other)?;
                        }
                    }
                }
            }
        }
        Ok(d)
    }

    /// `⌊⌊a/b⌋/c⌋ = ⌊a/(b·c)⌋` for positive `b` and `c`, which is 0 where `0 ≤ a < b·c`.
    fn without_small_quotients(&mut self, d: Dim) -> Step<Dim> {
        let poly = self.cx.poly(d).clone();
        let is_division =
            |cx: &ShapeCx, id: AtomId| matches!(cx.atom(id), Atom::FloorDiv(..) | Atom::FloorDivSym(..));
        if !poly.terms().any(|(factors, _)| factors.iter().any(|it| is_division(&self.cx, it.0))) {
            return Ok(d);
        }
        let mut sum = self.cx.int(poly.constant());
        for (factors, coefficient) in poly.terms() {
            let mut product = self.cx.int(coefficient);
            for (id, power) in factors {
                let atom = self.atom(*id)?;
                for _ in 0..*power {
                    product = self.cx.mul(product, atom)?;
                }
            }
            sum = self.cx.add(sum, product)?;
        }
        Ok(self.cx.simplify(sum))
    }

    /// An atom, without quotients in it that are 0.
    fn atom(&mut self, id: AtomId) -> Step<Dim> {
        let (a, by) = match self.cx.atom(id).clone() {
            Atom::Sym(sym) => return Ok(self.cx.sym_dim(sym)),
            Atom::Min(list) => return Ok(self.cx.min(&list)?),
            Atom::Max(list) => return Ok(self.cx.max(&list)?),
            Atom::Broadcast(list) => return Ok(self.cx.broadcast(&list)?),
            Atom::FloorDiv(a, k) => (a, self.cx.int(k)),
            Atom::FloorDivSym(a, b) => (a, b),
        };
        let a = self.without_small_quotients(a)?;
        let (mut whole, mut divisor) = (a, by);
        while let Some((inner, other)) = self.cx.poly(whole).as_atom().and_then(|it| self.division(it)) {
            (whole, divisor) = (inner, self.cx.mul(divisor, other)?);
        }
        let within = self.within(whole, divisor)?;
        if within.iter().all(|it| self.cx.prove(Constraint::AtLeast(*it, 0)).is_always()) {
            return Ok(self.cx.int(0));
        }
        Ok(self.cx.floor_div_dim(a, by)?)
    }

    fn division(&mut self, id: AtomId) -> Option<(Dim, Dim)> {
        match self.cx.atom(id).clone() {
            Atom::FloorDiv(a, k) => Some((a, self.cx.int(k))),
            Atom::FloorDivSym(a, b) => Some((a, b)),
            _ => None,
        }
    }

    /// Runs `body` with conditions assumed; `None` where they contradict what is known.
    pub(super) fn assuming<T>(
        &mut self,
        conditions: &[Dim],
        body: impl FnOnce(&mut Indices) -> Step<T>,
    ) -> Step<Option<T>> {
        let saved = self.cx.save_facts();
        let possible = conditions.iter().all(|it| self.cx.assume(Constraint::AtLeast(*it, 0)).is_ok());
        let result = if possible { body(self).map(Some) } else { Ok(None) };
        self.cx.restore_facts(saved);
        result
    }
}
