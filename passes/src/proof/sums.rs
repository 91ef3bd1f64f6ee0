//! Sums over bound indices.

use super::cases::Step;
use super::normal::Normal;
use super::poly::{Atom, Place, Poly, Renaming, Ring, Summand};
use super::term::Bound;
use orogen_ir::shape::{Atom as SizeAtom, Constraint, Dim, Sym};

/// Rounds of simplification of one summand.
const MAX_ROUNDS: usize = 24;

impl Normal<'_> {
    /// `Σ over axes of value`, each summand by itself.
    pub(super) fn sum(&mut self, axes: &[Bound], value: &Poly) -> Step<Poly> {
        let mut out = Poly::zero(value.ring);
        let (axes, value) = match self.writes_out {
            true => self.written_out(axes, value)?,
            false => (axes.to_vec(), value.clone()),
        };
        for term in &value.terms {
            let mut term = term.clone();
            term.axes.splice(0..0, axes.iter().copied());
            // Axes of a value that is used twice are those of one use each.
            let term = self.with_fresh_axes(value.ring, &term)?;
            let tidy = self.tidy(value.ring, term)?;
            out = self.add(&out, &tidy)?;
        }
        Ok(out)
    }

    /// A summand with as few axes and guards as laws know.
    fn tidy(&mut self, ring: Ring, term: Summand) -> Step<Poly> {
        let mut term = term;
        for _ in 0..MAX_ROUNDS {
            let Some(kept) = self.needed_guards(&term)? else { return Ok(Poly::zero(ring)) };
            term.guards = kept;
            if let Some(next) = self.without_axis(ring, &term)? {
                let mut out = Poly::zero(ring);
                for it in next.terms {
                    let tidy = self.tidy(ring, it)?;
                    out = self.add(&out, &tidy)?;
                }
                return Ok(out);
            }
            match self.absorbed(ring, &term)? {
                Some(next) => term = next,
                None => break,
            }
        }
        Ok(Poly { ring, terms: vec![term] })
    }

    /// The guards that do not follow from what is known and from the others; `None` where they never hold.
    fn needed_guards(&mut self, term: &Summand) -> Step<Option<Vec<Dim>>> {
        let mut kept = term.guards.clone();
        let mut at = 0;
        while at < kept.len() {
            kept[at] = self.indices.cx.simplify(kept[at]);
            let others: Vec<Dim> =
                kept.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, it)| *it).collect();
            let guard = kept[at];
            let known =
                self.indices.assuming(&others, |cx| Ok(cx.cx.prove(Constraint::AtLeast(guard, 0))))?;
            match known {
                None => return Ok(None),
                Some(it) if it.is_never() => return Ok(None),
                Some(it) if it.is_always() => {
                    kept.remove(at);
                }
                Some(_) => at += 1,
            }
        }
        Ok(Some(kept))
    }

    /// The summand without one of its axes, where a law removes one.
    fn without_axis(&mut self, ring: Ring, term: &Summand) -> Step<Option<Poly>> {
        for at in 0..term.axes.len() {
            let Bound { var, extent } = term.axes[at];
            let mut rest = term.clone();
            rest.axes.remove(at);
            let known = self.indices.cx.as_int(extent);
            if known == Some(0) {
                return Ok(Some(Poly::zero(ring)));
            }
            if known == Some(1) {
                let zero = self.indices.cx.int(0);
                return self.rename_summand(ring, &rest, &Renaming::from_iter([(var, zero)])).map(Some);
            }
            // A term that is the same for all iterations counts as often as there are.
            if !rest.mentions(self.indices, var) {
                let count = self.size(extent, ring)?;
                return self.mul(&Poly { ring, terms: vec![rest] }, &count).map(Some);
            }
            // A sum over one value of an index is the term at that value.
            if let Some(value) = self.equated(term, var)? {
                let mut within = self.indices.within(value, extent)?.to_vec();
                rest.guards.append(&mut within);
                return self.rename_summand(ring, &rest, &Renaming::from_iter([(var, value)])).map(Some);
            }
        }
        Ok(None)
    }

    /// The one value of an index that two guards leave.
    fn equated(&mut self, term: &Summand, var: Sym) -> Step<Option<Dim>> {
        for (i, a) in term.guards.iter().enumerate() {
            for b in &term.guards[i + 1..] {
                let sum = self.indices.cx.add(*a, *b)?;
                if self.indices.cx.as_int(sum) != Some(0) {
                    continue;
                }
                let Some((step, rest)) = self.indices.cx.affine_in(*a, var) else { continue };
                match self.indices.cx.as_int(step) {
                    Some(-1) => return Ok(Some(rest)),
                    Some(1) => return Ok(Some(self.indices.cx.neg(rest)?)),
                    _ => {}
                }
            }
        }
        Ok(None)
    }

    /// The same summand with a guard made part of an extent, or with an axis split in two.
    fn absorbed(&mut self, ring: Ring, term: &Summand) -> Step<Option<Summand>> {
        for at in 0..term.axes.len() {
            for g in 0..term.guards.len() {
                if let Some(found) = self.narrowed(ring, term, at, g)? {
                    return Ok(Some(found));
                }
            }
            if let Some(found) = self.split_axis(ring, term, at)? {
                return Ok(Some(found));
            }
        }
        self.merged(ring, term)
    }

    /// A sum over `n` and `m` of what speaks of `m·i + j` alone is one over `n·m`.
    fn merged(&mut self, ring: Ring, term: &Summand) -> Step<Option<Summand>> {
        for (i, outer) in term.axes.iter().enumerate() {
            for (j, inner) in term.axes.iter().enumerate() {
                if i == j || self.indices.cx.mentions(inner.extent, outer.var) {
                    continue;
                }
                let extent = self.indices.cx.mul(outer.extent, inner.extent)?;
                let (sym, index) = self.indices.bound_index(extent);
                let outside = self.indices.cx.sym_dim(outer.var);
                let whole = self.indices.cx.mul(inner.extent, outside)?;
                let rest = self.indices.cx.sub(index, whole)?;
                let body = Summand { axes: Vec::new(), ..term.clone() };
                let names = Renaming::from_iter([(inner.var, rest)]);
                let mut axes = term.axes.clone();
                axes[j] = Bound { var: sym, extent };
                axes.remove(i);
                let Some(one) = self.one_renamed(ring, &body, axes, &names)? else { continue };
                if !one.mentions(self.indices, outer.var) {
                    return Ok(Some(one));
                }
            }
        }
        Ok(None)
    }

    /// A range that a guard cuts: `k < u`, or `l ≤ k` for the axis from `l` on.
    fn narrowed(&mut self, ring: Ring, term: &Summand, at: usize, g: usize) -> Step<Option<Summand>> {
        let Bound { var, extent } = term.axes[at];
        let Some((step, rest)) = self.indices.cx.affine_in(term.guards[g], var) else { return Ok(None) };
        // A bound that follows from the size of the axis alone, for all other indices, is one of the range.
        let inner = |cx: &mut Self, d: Dim| term.axes.iter().any(|it| cx.indices.cx.mentions(d, it.var));
        let at_least = |cx: &Self, d: Dim| cx.indices.cx.prove(Constraint::AtLeast(d, 0)).is_always();
        let mut next = term.clone();
        next.guards.remove(g);
        let (shift, size) = match self.indices.cx.as_int(step) {
            // rest − k ≥ 0: k below rest + 1.
            Some(-1) => (self.indices.cx.int(0), self.indices.cx.add_int(rest, 1)?),
            // k + rest ≥ 0: k from −rest on.
            Some(1) => {
                let from = self.indices.cx.neg(rest)?;
                (from, self.indices.cx.sub(extent, from)?)
            }
            _ => return Ok(None),
        };
        let outside = self.indices.cx.sub(extent, size)?;
        if inner(self, size) || !at_least(self, size) || !at_least(self, outside) || !at_least(self, shift) {
            return Ok(None);
        }
        let (sym, index) = self.indices.bound_index(size);
        let moved = self.indices.cx.add(index, shift)?;
        let body = Summand { axes: Vec::new(), ..next.clone() };
        let mut axes = next.axes;
        axes[at] = Bound { var: sym, extent: size };
        self.one_renamed(ring, &body, axes, &Renaming::from_iter([(var, moved)]))
    }

    /// `Σ over k < n·m` of what speaks of `⌊k/m⌋` is a sum over `n` and `m`.
    fn split_axis(&mut self, ring: Ring, term: &Summand, at: usize) -> Step<Option<Summand>> {
        let Bound { var, extent } = term.axes[at];
        let body = Summand { axes: Vec::new(), ..term.clone() };
        let mut divisors = Vec::new();
        self.divisors(&body, var, &mut divisors);
        for divisor in divisors {
            let Ok(outer) = self.indices.cx.floor_div_dim(extent, divisor) else { continue };
            let outer = self.indices.cx.simplify(outer);
            let whole = self.indices.cx.mul(outer, divisor)?;
            if !self.indices.cx.prove_eq(whole, extent).is_always() {
                continue;
            }
            let (high, high_index) = self.indices.bound_index(outer);
            let (low, low_index) = self.indices.bound_index(divisor);
            let scaled = self.indices.cx.mul(high_index, divisor)?;
            let index = self.indices.cx.add(scaled, low_index)?;
            let mut axes = term.axes.clone();
            axes[at] = Bound { var: high, extent: outer };
            axes.push(Bound { var: low, extent: divisor });
            return self.one_renamed(ring, &body, axes, &Renaming::from_iter([(var, index)]));
        }
        Ok(None)
    }

    fn one_renamed(
        &mut self,
        ring: Ring,
        body: &Summand,
        axes: Vec<Bound>,
        names: &Renaming,
    ) -> Step<Option<Summand>> {
        let mut renamed = self.rename_summand(ring, body, names)?.terms;
        let axes = self.indices.rename_bounds(&axes, names)?;
        Ok(match (renamed.pop(), renamed.pop()) {
            (Some(one), None) => Some(Summand { axes, ..one }),
            _ => None,
        })
    }

    /// By what floor divisions of `var` alone, in a summand, divide.
    fn divisors(&mut self, term: &Summand, var: Sym, out: &mut Vec<Dim>) {
        let mut dims: Vec<Dim> = term.guards.clone();
        for (atom, _) in &term.factors {
            collect_dims(atom, &mut dims);
        }
        while let Some(d) = dims.pop() {
            if !self.indices.cx.mentions(d, var) {
                continue;
            }
            let atoms: Vec<_> = self
                .indices
                .cx
                .poly(d)
                .terms()
                .flat_map(|(factors, _)| factors.iter().map(|it| it.0))
                .collect();
            for atom in atoms {
                let (a, by) = match self.indices.cx.atom(atom).clone() {
                    SizeAtom::FloorDiv(a, k) => (a, self.indices.cx.int(k)),
                    SizeAtom::FloorDivSym(a, b) => (a, b),
                    _ => continue,
                };
                if self.indices.cx.as_sym(a) == Some(var) && !out.contains(&by) {
                    out.push(by);
                }
                dims.push(a);
            }
        }
    }
}

/// Every index expression inside an atom.
pub(super) fn collect_dims(atom: &Atom, out: &mut Vec<Dim>) {
    let poly = |it: &Poly, out: &mut Vec<Dim>| {
        for term in &it.terms {
            out.extend(&term.guards);
            term.factors.iter().for_each(|(atom, _)| collect_dims(atom, out));
        }
    };
    match atom {
        Atom::Load { at, otherwise, .. } => {
            for place in at {
                match place {
                    Place::Dim(d) => out.push(*d),
                    Place::Data(value, _) => poly(value, out),
                }
            }
            otherwise.iter().for_each(|it| poly(it, out));
        }
        Atom::Size(d) => out.push(*d),
        Atom::Float(..) | Atom::Bool(_) | Atom::Undefined => {}
        Atom::Apply(_, _, args) => args.iter().for_each(|it| poly(it, out)),
        Atom::Nested(value) | Atom::Reduce(_, _, value) => poly(value, out),
        Atom::Extreme(_, items) => items.iter().for_each(|it| {
            out.extend(&it.guards);
            poly(&it.value, out);
        }),
    }
}
