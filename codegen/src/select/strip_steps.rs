//! How a program of [`super::strips`] steps along a row other than by a vector: by two, and by one element.

use super::strip_program::{Registers, Source, StripProgram, Zone};
use crate::kernels::element::Element;
use crate::vector::{Addr, Builder, IReg, Isa, VReg};

impl StripProgram {
    /// Whether rows are taken in two vectors at a time, as those of [`RowProgram`](super::row_program::RowProgram) are.
    pub(super) fn in_pairs(&self, isa: Isa, zone: Zone) -> bool {
        let simple = |it: &Source| match it {
            Source::Scalar | Source::Row => true,
            Source::Guarded(_) => zone != Zone::Mixed,
            _ => false,
        };
        let rows = self.sources.iter().map(|it| !matches!(it, Source::Scalar)).chain([true]);
        let pairs = rows.zip(&self.elements).any(|(row, it)| row && it.is_in_pairs(self.width));
        let single = self.results.len() == 1 && self.placed.is_none() && !self.probes;
        isa == Isa::Clif128 && pairs && single && self.sources.iter().all(simple)
    }

    /// Two vectors of elements.
    pub(super) fn step_two(
        &self,
        b: &mut Builder,
        cursors: &[IReg],
        target: IReg,
        r: &Registers,
        zone: Zone,
    ) {
        let needed = self.needed(zone);
        let load = |(i, source): (usize, &Source)| match (source, r.scalars[i]) {
            (_, Some(scalar)) => [scalar; 2],
            (Source::Guarded(otherwise), _) if zone == Zone::Outside => [b.constant_lane(*otherwise); 2],
            _ if !needed[i] => [b.constant_int(0); 2],
            _ => self.elements[i].load_two(b, cursors[i]),
        };
        let leaves: Vec<[VReg; 2]> = self.sources.iter().enumerate().map(load).collect();
        let values = [0, 1].map(|at| {
            let leaves: Vec<VReg> = leaves.iter().map(|it| it[at]).collect();
            self.expr.emit(b, &leaves, &self.results)[0]
        });
        self.element_of_target().store_two(b, values, target);
    }

    /// Whether what whole vectors leave of a row is taken one by one: narrow lanes cannot gather it.
    pub(super) fn ends_one_by_one(&self) -> bool {
        !self.width.has_floats() && self.sources.iter().any(|it| matches!(it, Source::Strided(_)))
    }

    /// Whether all that is read can be taken so, where it has to be.
    pub(crate) fn has_an_end(&self) -> bool {
        let single = |it: &Source| {
            matches!(it, Source::Row | Source::Strided(_) | Source::Spread { .. } | Source::Scalar)
        };
        !self.ends_one_by_one()
            || self.sources.iter().all(single) && self.results.len() == 1 && self.placed.is_none()
    }

    /// One element; see [`StripProgram::has_an_end`].
    pub(super) fn single(&self, b: &mut Builder, cursors: &[IReg], target: IReg, r: &Registers) {
        let sources = self.sources.iter().zip(&self.elements).zip(cursors.iter().zip(&r.scalars));
        let load = |((source, element), (cursor, scalar)): ((&Source, &Element), (&IReg, &Option<VReg>))| {
            let place = if let Source::Spread { place, .. } = source { *place } else { 0 };
            let at = Addr::new(*cursor).offset(place * element.bytes());
            scalar.unwrap_or_else(|| element.load_splat(b, at))
        };
        let leaves: Vec<VReg> = sources.map(load).collect();
        let value = self.expr.emit(b, &leaves, &self.results)[0];
        self.element_of_target().store_lane(b, value, target);
    }
}
