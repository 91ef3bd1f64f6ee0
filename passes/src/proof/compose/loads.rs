//! Loads: at places that are symbolic, and at places from data.

use super::Composer;
use super::stages::Point;
use crate::proof::cases::{Indices, Step, Stop};
use crate::proof::term::{At, Term, TermId};
use indexmap::IndexMap;
use orogen_ir::loops::{BufferId, ExprId, Index};
use orogen_ir::shape::{Constraint, Dim, Sym};

impl Composer<'_> {
    pub(super) fn load(
        &mut self,
        point: &Point<'_, '_>,
        buffer: BufferId,
        at: &[Index],
        otherwise: Option<ExprId>,
    ) -> Step<TermId> {
        let frame = point.frame;
        let mut places = Vec::new();
        for index in at {
            places.push(match index {
                Index::Dim(d) => At::Dim(self.local(frame, &point.symbols, *d)?),
                Index::Value(id) | Index::Checked(id) => {
                    let value = self.expr(point, *id)?;
                    At::Data { value, checked: index.is_checked() }
                }
            });
        }
        let dims = frame.program.buffers[buffer].dims.clone();
        let mut extents = Vec::new();
        for dim in &dims {
            extents.push(self.local(frame, &frame.sizes, *dim)?);
        }
        // An index from data that is symbolic after all, and in range for all sizes, is a symbolic index.
        for (place, extent) in places.iter_mut().zip(&extents) {
            if let At::Data { value, .. } = *place
                && let Some(d) = self.as_index(value)
            {
                let within = self.indices.within(d, *extent)?;
                if within.iter().all(|it| self.indices.cx.prove(Constraint::AtLeast(*it, 0)).is_always()) {
                    *place = At::Dim(d);
                }
            }
        }
        let dims: Option<Vec<Dim>> =
            places.iter().map(|it| if let At::Dim(d) = it { Some(*d) } else { None }).collect();
        match dims {
            Some(at) => {
                let Some(otherwise) = otherwise else { return self.stored(frame, buffer, &at, point.stage) };
                let mut conditions = Vec::new();
                for (at, extent) in at.iter().zip(&extents) {
                    conditions.extend(self.indices.within(*at, *extent)?);
                }
                self.choose(conditions, &mut |cx| cx.stored(frame, buffer, &at, point.stage), &mut |cx| {
                    cx.expr(point, otherwise)
                })
            }
            None => self.load_at_data(point, buffer, places, &extents, otherwise),
        }
    }

    /// A load at places from data: of a parameter or constant, perhaps under another shape of equal leading dimensions.
    pub(super) fn load_at_data(
        &mut self,
        point: &Point<'_, '_>,
        buffer: BufferId,
        places: Vec<At>,
        extents: &[Dim],
        otherwise: Option<ExprId>,
    ) -> Step<TermId> {
        let frame = point.frame;
        // The place is an unknown index in range; what is loaded there is an element like any other.
        let mut at = Vec::new();
        let mut data: IndexMap<Sym, At> = IndexMap::new();
        for (place, extent) in places.iter().zip(extents) {
            at.push(match place {
                At::Dim(d) => *d,
                At::Data { .. } => {
                    let (sym, index) = self.indices.bound_index(*extent);
                    data.insert(sym, *place);
                    index
                }
            });
        }
        let term = self.stored(frame, buffer, &at, point.stage)?;
        let otherwise = otherwise.map(|it| self.expr(point, it)).transpose()?;
        let checked = data.values().all(|it| matches!(it, At::Data { checked: true, .. }));
        let plain = matches!(self.terms.get(term), Term::Load { .. });
        match otherwise {
            // Where an index is checked, there is a place, or no result.
            Some(otherwise) if !checked || places.iter().any(|it| matches!(it, At::Dim(_))) => {
                let found = self.with_data(term, &data)?;
                match self.terms.get(found).clone() {
                    Term::Load { source, dtype, at, otherwise: None } if plain => {
                        let otherwise = Some(otherwise);
                        Ok(self.terms.add(Term::Load { source, dtype, at, otherwise }))
                    }
                    _ => Err(Stop::unknown("a guarded element at a place from data")),
                }
            }
            _ => self.with_data(term, &data),
        }
    }

    /// A term with places from data for the symbols that stand for them.
    pub(super) fn with_data(&mut self, term: TermId, data: &IndexMap<Sym, At>) -> Step<TermId> {
        let mentions = |cx: &Indices, d: Dim| data.keys().any(|it| cx.cx.mentions(d, *it));
        let new = match self.terms.get(term).clone() {
            same @ (Term::Float(..) | Term::Int(..) | Term::Undefined(_)) => same,
            Term::Index(d, _) if mentions(&self.indices, d) => {
                return Err(Stop::unknown("a place from data as a number"));
            }
            same @ Term::Index(..) => same,
            Term::Load { source, dtype, at, otherwise } => {
                let mut out = Vec::new();
                for place in at {
                    out.push(match place {
                        At::Data { value, checked } => {
                            At::Data { value: self.with_data(value, data)?, checked }
                        }
                        At::Dim(d) if !mentions(&self.indices, d) => place,
                        At::Dim(d) => {
                            let place = self.indices.cx.as_sym(d).and_then(|it| data.get(&it));
                            *place.ok_or_else(|| Stop::unknown("a place is computed from data"))?
                        }
                    });
                }
                let otherwise = otherwise.map(|it| self.with_data(it, data)).transpose()?;
                Term::Load { source, dtype, at: out, otherwise }
            }
            Term::Unary(op, a) => Term::Unary(op, self.with_data(a, data)?),
            Term::Binary(op, a, b) => Term::Binary(op, self.with_data(a, data)?, self.with_data(b, data)?),
            Term::Compare(op, a, b) => Term::Compare(op, self.with_data(a, data)?, self.with_data(b, data)?),
            Term::Select(cond, a, b) => {
                let (cond, a) = (self.with_data(cond, data)?, self.with_data(a, data)?);
                Term::Select(cond, a, self.with_data(b, data)?)
            }
            Term::Cast(to, a) => Term::Cast(to, self.with_data(a, data)?),
            Term::Case(conditions, a, b) => {
                if conditions.iter().any(|it| mentions(&self.indices, *it)) {
                    return Err(Stop::unknown("a place from data decides a case"));
                }
                Term::Case(conditions, self.with_data(a, data)?, self.with_data(b, data)?)
            }
            Term::Reduce(combine, axes, a) => {
                if axes.iter().any(|it| mentions(&self.indices, it.extent)) {
                    return Err(Stop::unknown("a place from data bounds a reduction"));
                }
                Term::Reduce(combine, axes, self.with_data(a, data)?)
            }
        };
        Ok(self.terms.add(new))
    }
}
