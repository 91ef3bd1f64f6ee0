//! Turns of loops whose carried values change their size.
//!
//! The next value has other sizes than the present one, which is in use until the turn ends. So the next sizes have
//! names of their own during the turn, and the next value waits in an arena of its own until the present one can go.
//! Where its size is known when it is made it is made there, and copied once.

use super::Lowering;
use super::values::{Storage, known_dims, overflow};
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostic;
use orogen_ir::flow::ValueId;
use orogen_ir::plan::{BufferRef, Step, byte_size};
use orogen_ir::shape::{Dim, Sym};
use orogen_ir::types::Dims;

/// A next value that may be made where it waits.
#[derive(Clone, Debug)]
pub(super) struct Growing {
    param: ValueId,
    next: ValueId,
    /// The names of the next sizes.
    later: IndexMap<Sym, Dim>,
    /// How many branches and loops are around where the turn ends.
    depth: u32,
    /// Where it waits, once anything is made there: the one slot of its arena, which speaks of the next sizes.
    pub(super) slot: Option<BufferRef>,
}

impl Lowering<'_> {
    /// Symbols that the parameters of a loop bind and that stand for another size in the next turn.
    pub(super) fn changing_symbols(
        &self,
        params: &[ValueId],
        next: &[ValueId],
    ) -> Result<IndexSet<Sym>, Diagnostic> {
        let mut changing = IndexSet::new();
        for (param, next) in params.iter().zip(next) {
            let (param, next) = (self.tensor(*param)?, self.tensor(*next)?);
            let dims = param.dims().zip(next.dims());
            let elements = param.elements.as_deref().zip(next.elements.as_deref());
            for (from, to) in dims.into_iter().chain(elements).flat_map(|(a, b)| a.iter().zip(b)) {
                let symbol = self.plan.shapes.as_sym(*from);
                changing.extend(symbol.filter(|it| from != to && !self.bound.contains(it)));
            }
        }
        Ok(changing)
    }

    /// Whether the size of a value changes with these symbols.
    pub(super) fn speaks_of(&self, value: ValueId, symbols: &IndexSet<Sym>) -> Result<bool, Diagnostic> {
        let dims = known_dims(self.tensor(value)?)?;
        let mut free = dims.iter().flat_map(|it| self.plan.shapes.free_symbols(*it));
        Ok(free.any(|it| symbols.contains(&it)))
    }

    /// Names for the next values of symbols.
    pub(super) fn later_names(&mut self, changing: &IndexSet<Sym>) -> IndexMap<Sym, Dim> {
        let mut later = IndexMap::new();
        for symbol in changing {
            let name = self.plan.shapes.name(*symbol).to_owned();
            later.insert(*symbol, self.plan.shapes.fresh_like(*symbol, &name));
        }
        later
    }

    /// Notes the places of next values that change their size. Returns those that nothing lies at yet.
    pub(super) fn expect_growing(
        &mut self,
        params: &[ValueId],
        next: &[ValueId],
        later: &IndexMap<Sym, Dim>,
    ) -> Result<Vec<usize>, Diagnostic> {
        let changing: IndexSet<Sym> = later.keys().copied().collect();
        let mut noted = Vec::new();
        for (param, next) in params.iter().copied().zip(next.iter().copied()) {
            let Some(place) = self.places.place(self.function, next) else { continue };
            let free = !self.homes.contains_key(&place) && !self.growing.contains_key(&place);
            if free && self.speaks_of(param, &changing)? {
                let depth = self.depth + 1;
                self.growing.insert(place, Growing { param, next, later: later.clone(), depth, slot: None });
                noted.push(place);
            }
        }
        Ok(noted)
    }

    /// Where the first value at a place is made, when the last one is the next value of a loop whose size is known.
    pub(super) fn grown(
        &mut self,
        place: usize,
        value: ValueId,
        steps: &mut Vec<Step>,
    ) -> Result<Option<BufferRef>, Diagnostic> {
        let Some(Growing { param, next, later, depth, .. }) = self.growing.get(&place).cloned() else {
            return Ok(None);
        };
        let ty = self.tensor(next)?;
        let (have, wanted) = (self.byte_size(self.tensor(value)?)?, self.byte_size(ty)?);
        let known = known_dims(ty)?
            .iter()
            .chain(ty.elements.as_deref().unwrap_or_default())
            .all(|it| self.require_bound(*it).is_ok());
        if depth != self.depth || !known || have != wanted {
            return Ok(None);
        }
        self.bind_types_as([(next, param)], &later, "a carried value", steps)?;
        let slot = self.waiting(param, &later, steps)?;
        if let Some(growing) = self.growing.get_mut(&place) {
            growing.slot = Some(slot);
        }
        Ok(Some(slot))
    }

    /// An arena with a slot for the next value of a parameter.
    fn waiting(
        &mut self,
        param: ValueId,
        later: &IndexMap<Sym, Dim>,
        steps: &mut Vec<Step>,
    ) -> Result<BufferRef, Diagnostic> {
        let dtype = self.tensor(param)?.dtype;
        let dims = self.slot_dims(param)?.into_iter();
        let dims = dims.map(|it| self.plan.shapes.substitute(it, later).map_err(overflow));
        let dims = dims.collect::<Result<Dims, _>>()?;
        let arena = self.new_arena();
        let slot = self.new_slot_of(arena, dtype, dims)?;
        self.emit(steps, Step::AllocArena(arena))?;
        Ok(slot)
    }

    /// The slot in which a next value was made.
    fn made_waiting(&self, next: ValueId) -> Option<BufferRef> {
        let place = self.places.place(self.function, next)?;
        let growing = self.growing.get(&place).filter(|it| it.next == next)?;
        let Ok(Storage::Buffer(made)) = self.storage_of(next) else { return None };
        growing.slot.filter(|it| *it == made)
    }

    /// The end of a turn: the next values become the carried ones, and symbols that change get their next values.
    pub(super) fn turn(
        &mut self,
        params: &[ValueId],
        next: &[ValueId],
        carried: &[BufferRef],
        later: &IndexMap<Sym, Dim>,
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        let changing: IndexSet<Sym> = later.keys().copied().collect();
        // Sizes of this turn are in use until all next values are copied.
        let slots: Vec<Option<BufferRef>> = next.iter().map(|it| self.made_waiting(*it)).collect();
        let pairs = next.iter().copied().zip(params.iter().copied()).zip(&slots);
        let pairs: Vec<_> = pairs.filter(|it| it.1.is_none()).map(|it| it.0).collect();
        self.bind_types_as(pairs, later, "a carried value", steps)?;
        let (mut fixed, mut moved) = (Vec::new(), Vec::new());
        for (((param, value), buffer), made) in params.iter().zip(next).zip(carried).zip(slots) {
            if !self.speaks_of(*param, &changing)? {
                fixed.push((*value, *param, *buffer));
                continue;
            }
            let slot = match made {
                Some(slot) => slot,
                None => {
                    let slot = self.waiting(*param, later, steps)?;
                    self.copy(*value, slot, steps)?;
                    slot
                }
            };
            moved.push((slot, *buffer));
        }
        self.carry(&fixed, steps)?;
        for (symbol, value) in later {
            let source = self.source.clone();
            self.emit(steps, Step::Let { symbol: *symbol, value: *value, source })?;
        }
        for (from, to) in moved {
            let BufferRef::Slot(id) = from else { continue };
            let slot = &self.plan.slots[id.0 as usize];
            let (dtype, dims) = (slot.dtype, slot.dims.clone());
            let bytes = byte_size(&mut self.plan.shapes, dtype, &dims).map_err(overflow)?;
            if let BufferRef::Slot(slot) = to {
                self.emit(steps, Step::AllocArena(self.plan.slots[slot.0 as usize].arena))?;
            }
            self.touch(from);
            self.touch(to);
            self.emit(steps, Step::Copy { from, to, bytes })?;
        }
        Ok(())
    }
}
