//! What is tried where two expressions have different normal forms: sums over few numbers as so many summands, and an index
//! by its remainders.
//!
//! Both are for phases, windows in reverse and what lies in padding: which taps there are depends on the place, so axes of
//! sums cannot be paired, but terms can.

use super::cases::{Indices, Step};
use super::normal::Normal;
use super::poly::{Poly, Renaming, Summand};
use super::sums::collect_dims;
use super::term::Bound;
use orogen_ir::shape::{Atom as SizeAtom, Constraint, Dim, Sym};

/// The most iterations of an axis that is written out, and of all axes of a summand.
const MAX_EXTENT: i64 = 8;
const MAX_ITERATIONS: i64 = 64;

impl Normal<'_> {
    /// A sum over few numbers as a sum of so many summands, and the axes that are left: the shortest are written out first.
    /// Conditions on indices that are left are decided, or split the proof.
    pub(super) fn written_out(&mut self, axes: &[Bound], value: &Poly) -> Step<(Vec<Bound>, Poly)> {
        let mut short: Vec<(i64, Bound)> = Vec::new();
        for axis in axes {
            let extent = self.indices.cx.as_int(axis.extent);
            short.extend(extent.filter(|it| (1..=MAX_EXTENT).contains(it)).map(|it| (it, *axis)));
        }
        short.sort_by_key(|it| it.0);
        let mut whole = 1;
        short.retain(|it| {
            whole *= it.0;
            whole <= MAX_ITERATIONS
        });
        let mut value = value.clone();
        for (extent, axis) in &short {
            let mut out = Poly::zero(value.ring);
            for at in 0..*extent {
                let at = self.indices.cx.int(at);
                let one = self.rename(&value, &Renaming::from_iter([(axis.var, at)]))?;
                for it in one.terms {
                    if let Some(term) = self.where_it_holds(it)? {
                        out = self.add(&out, &Poly { ring: value.ring, terms: vec![term] })?;
                    }
                }
            }
            value = out;
        }
        let is_left = |axis: &&Bound| short.iter().all(|it| it.1.var != axis.var);
        Ok((axes.iter().filter(is_left).copied().collect(), value))
    }

    /// A summand without guards that are decided; `None` where one of them does not hold.
    fn where_it_holds(&mut self, term: Summand) -> Step<Option<Summand>> {
        let mut kept = Vec::new();
        for guard in &term.guards {
            match self.indices.decide(*guard)? {
                Some(true) => {}
                Some(false) => return Ok(None),
                None => kept.push(*guard),
            }
        }
        Ok(Some(Summand { guards: kept, ..term }))
    }
}

/// A free index that a floor division by a small number is of, and the number.
pub(super) fn period(indices: &mut Indices, sides: [&Poly; 2], free: &[Dim]) -> Option<(usize, i64)> {
    let mut dims: Vec<Dim> = Vec::new();
    for term in sides.iter().flat_map(|it| &it.terms) {
        dims.extend(&term.guards);
        term.factors.iter().for_each(|(atom, _)| collect_dims(atom, &mut dims));
    }
    let symbols: Vec<Option<Sym>> = free.iter().map(|it| indices.cx.as_sym(*it)).collect();
    while let Some(d) = dims.pop() {
        let poly = indices.cx.poly(d).clone();
        for atom in poly.terms().flat_map(|(factors, _)| factors.iter().map(|it| it.0)) {
            let SizeAtom::FloorDiv(of, by) = indices.cx.atom(atom).clone() else { continue };
            let at = symbols.iter().position(|it| it.is_some_and(|sym| indices.cx.mentions(of, sym)));
            if let (Some(at), 2..=MAX_EXTENT) = (at, by) {
                return Some((at, by));
            }
            dims.push(of);
        }
    }
    None
}

impl Indices {
    /// The index `by·q + remainder` below an extent; `None` where there is no such element.
    pub(super) fn residue(&mut self, extent: Dim, by: i64, remainder: i64) -> Step<Option<Dim>> {
        let room = self.cx.add_int(extent, by - 1 - remainder)?;
        let count = self.cx.floor_div(room, by)?;
        let Some(index) = self.free_index("q", count)? else { return Ok(None) };
        let scaled = self.cx.scale(index, by)?;
        let whole = self.cx.add_int(scaled, remainder)?;
        let last = self.cx.add_int(extent, -1)?;
        let rest = self.cx.sub(last, whole)?;
        Ok(self.cx.assume(Constraint::AtLeast(rest, 0)).is_ok().then_some(whole))
    }
}
