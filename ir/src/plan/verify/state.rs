//! What is known at a point of a plan.

use super::facts::{Established, Forgotten};
use crate::plan::{ArenaId, BufferRef, ObjectId, SlotId};
use crate::shape::{ShapeCx, Sym};
use indexmap::IndexSet;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of an arena, from the first to before the last, where both are numbers; or else parts of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) arena: ArenaId,
    pub(super) start: i64,
    pub(super) end: i64,
}

/// A write to a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) slot: SlotId,
    /// The step that writes.
    pub(super) step: Option<usize>,
}

/// What is known at a point of the program, on every path to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State {
    pub(super) bound: IndexSet<Sym>,
    pub(super) established: Established,
    pub(super) arenas: IndexSet<ArenaId>,
    pub(super) outputs: IndexSet<u32>,
    /// Tensor objects that nobody else holds yet, so they may be written.
    pub(super) fresh: IndexSet<ObjectId>,
    /// Buffers that hold what was written to them.
    pub(super) valid: Valid,
    /// Slots of which that is so unless another one that was written since overlaps them, and that write.
    pub(super) doubtful: BTreeMap<SlotId, Write>,
    /// Sizes read from data that no check has found to be sizes yet.
    pub(super) unchecked: IndexSet<Sym>,
}

impl State {
    /// What holds on this path and on another.
    pub(super) fn meet(&mut self, shapes: &ShapeCx, other: &State) {
        self.bound.retain(|it| other.bound.contains(it));
        self.established.meet(shapes, &other.established);
        self.arenas.retain(|it| other.arenas.contains(it));
        self.outputs.retain(|it| other.outputs.contains(it));
        self.fresh.retain(|it| other.fresh.contains(it));
        self.valid.retain(|it| other.valid.contains(it));
        self.doubtful.extend(&other.doubtful);
        self.unchecked.extend(&other.unchecked);
    }

    /// What holds here and no longer holds in `later`.
    pub(super) fn lost(&self, later: &State) -> Lost {
        Lost {
            valid: self.valid.buffers.iter().filter(|it| !later.valid.contains(it)).copied().collect(),
            doubtful: later.doubtful.clone(),
            established: self.established.forgotten(&later.established),
        }
    }

    /// Without what was lost elsewhere.
    pub(super) fn lose(&mut self, shapes: &ShapeCx, lost: &Lost) {
        lost.valid.iter().for_each(|it| self.valid.remove(it));
        self.doubtful.extend(&lost.doubtful);
        self.established.forget(shapes, &lost.established);
    }
}

/// What a state lost on the way to another one.
#[derive(Clone, Debug, Default)]
pub(super) struct Lost {
    valid: Vec<BufferRef>,
    doubtful: BTreeMap<SlotId, Write>,
    established: Forgotten,
}

/// Buffers that hold what was written to them, so ordered that those a write destroys are found without looking at
/// the others. Slots that are valid together do not overlap.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Valid {
    buffers: BTreeSet<BufferRef>,
    /// Slots whose place is known, by arena and start, with the end.
    placed: BTreeMap<(u32, i64), (i64, SlotId)>,
    /// Other slots.
    unplaced: BTreeSet<SlotId>,
    /// The place of each slot in `placed`.
    places: BTreeMap<SlotId, (u32, i64)>,
}

impl Valid {
    pub(super) fn contains(&self, buffer: &BufferRef) -> bool {
        self.buffers.contains(buffer)
    }

    /// A buffer was written; `extent` is where a slot lies, if that is known.
    pub(super) fn insert(&mut self, buffer: BufferRef, extent: Option<Extent>) {
        if !self.buffers.insert(buffer) {
            return;
        }
        let BufferRef::Slot(slot) = buffer else { return };
        match extent {
            // An empty slot overlaps nothing.
            Some(Extent { start, end, .. }) if start >= end => {}
            Some(Extent { arena, start, end }) if !self.placed.contains_key(&(arena.0, start)) => {
                self.placed.insert((arena.0, start), (end, slot));
                self.places.insert(slot, (arena.0, start));
            }
            _ => {
                self.unplaced.insert(slot);
            }
        }
    }

    pub(super) fn remove(&mut self, buffer: &BufferRef) {
        self.buffers.remove(buffer);
        if let BufferRef::Slot(slot) = buffer {
            self.unplaced.remove(slot);
            if let Some(place) = self.places.remove(slot)
                && self.placed.get(&place).is_some_and(|it| it.1 == *slot)
            {
                self.placed.remove(&place);
            }
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&BufferRef) -> bool) {
        let gone: Vec<BufferRef> = self.buffers.iter().filter(|it| !keep(it)).copied().collect();
        gone.iter().for_each(|it| self.remove(it));
    }

    /// The valid slots that may overlap a slot that lies there.
    pub(super) fn near(&self, extent: Option<Extent>) -> Vec<SlotId> {
        let mut near: Vec<SlotId> = self.unplaced.iter().copied().collect();
        match extent {
            None => near.extend(self.places.keys()),
            Some(Extent { arena, start, end }) => {
                let before_end = self.placed.range((arena.0, i64::MIN)..(arena.0, end.max(start)));
                // They do not overlap, so their ends are in the order of their starts.
                let overlapping = before_end.rev().take_while(|(_, (end, _))| *end > start);
                near.extend(overlapping.map(|(_, (_, slot))| *slot));
            }
        }
        near
    }
}
