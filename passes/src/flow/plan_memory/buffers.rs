//! Memory for values: arenas, slots, outputs, and how long each is in use.

use super::Lowering;
use super::values::{Storage, known_dims, overflow};
use crate::rules::memory::{Request, pack};
use indexmap::IndexSet;
use orogen_ir::diag::Diagnostic;
use orogen_ir::flow::ValueId;
use orogen_ir::plan::{Arena, ArenaId, BufferRef, Slot, SlotId, Step, byte_size};
use orogen_ir::shape::Sym;
use orogen_ir::types::{DType, Dims};

/// An arena that slots may go to; the first `bound` symbols are bound where it is allocated.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) arena: ArenaId,
    pub(super) bound: usize,
    /// Those of them that have another value in every turn of a loop behind it.
    pub(super) changing: Vec<Sym>,
}

/// Memory of slots at one place, and its life so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    arena: ArenaId,
    request: Request,
    /// The last loop that uses what was there before it.
    through: Option<usize>,
}

/// What is at a place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Home {
    /// An output.
    Output(u32),
    /// Slots of this life.
    Life(usize),
}

/// Memory that is somewhere else than any other, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seat {
    Buffer(BufferRef),
    Life(usize),
}

impl Lowering<'_> {
    /// Memory for a value: where its place is, or the output that it becomes, or a slot.
    pub(super) fn new_buffer(
        &mut self,
        value: ValueId,
        steps: &mut Vec<Step>,
    ) -> Result<BufferRef, Diagnostic> {
        let place = self.places.place(self.function, value);
        let is_output = place.is_some_and(|it| {
            self.direct.contains_key(&it) || matches!(self.homes.get(&it), Some(Home::Output(_)))
        });
        if !is_output && let Some(item) = self.buffer_as_item(value, steps)? {
            self.storage.insert(value, Storage::Buffer(item));
            return Ok(item);
        }
        let buffer = match place.and_then(|it| self.homes.get(&it).copied()) {
            Some(Home::Output(output)) => BufferRef::Output(output),
            Some(Home::Life(life)) => {
                let growing = place.and_then(|it| self.growing.get(&it)?.slot);
                match growing.filter(|it| self.seat(*it) == Seat::Life(life)) {
                    Some(slot) => slot,
                    None => {
                        let (dtype, dims) = (self.tensor(value)?.dtype, self.slot_dims(value)?);
                        self.slot(life, dtype, dims)
                    }
                }
            }
            None => {
                let output = place.and_then(|it| self.direct.get(&it).copied());
                let buffer = match self.output_for(output, value)? {
                    Some(output) => {
                        self.alloc_output(output, steps)?;
                        BufferRef::Output(output)
                    }
                    None => match place.map_or(Ok(None), |it| self.grown(it, value, steps))? {
                        Some(slot) => slot,
                        None => self.new_slot_for(value, steps)?,
                    },
                };
                self.settle(value, buffer);
                buffer
            }
        };
        self.touch(buffer);
        self.storage.insert(value, Storage::Buffer(buffer));
        Ok(buffer)
    }

    /// An output if a value can be made in it here. A cast between the value and the result may bind the result's
    /// dimensions only later, and a check may only later establish that both have one size.
    fn output_for(&mut self, output: Option<u32>, value: ValueId) -> Result<Option<u32>, Diagnostic> {
        let Some(output) = output.filter(|it| self.depth == 0 && self.output_is_bound(*it)) else {
            return Ok(None);
        };
        Ok(self.output_has_size_of(output, value)?.then_some(output))
    }

    /// A slot in the outermost arena that knows all symbols of the value's size.
    pub(super) fn new_slot_for(
        &mut self,
        value: ValueId,
        steps: &mut Vec<Step>,
    ) -> Result<BufferRef, Diagnostic> {
        let dims = self.slot_dims(value)?;
        let shapes = &self.plan.shapes;
        let symbols: IndexSet<Sym> = dims.iter().flat_map(|it| shapes.free_symbols(*it)).collect();
        let arena =
            self.open.iter().find(|it| symbols.iter().all(|s| self.bound_in(it, *s))).map(|it| it.arena);
        let arena = match arena {
            Some(arena) => arena,
            None => {
                dims.iter().try_for_each(|it| self.require_bound(*it))?;
                let arena = self.new_arena();
                self.open.push(Open { arena, bound: self.bound.len(), changing: Vec::new() });
                self.emit(steps, Step::AllocArena(arena))?;
                arena
            }
        };
        self.new_slot(arena, value)
    }

    /// A slot of an arena, in use from here.
    pub(super) fn new_slot(&mut self, arena: ArenaId, value: ValueId) -> Result<BufferRef, Diagnostic> {
        let (dtype, dims) = (self.tensor(value)?.dtype, self.slot_dims(value)?);
        self.new_slot_of(arena, dtype, dims)
    }

    /// A slot of an arena for these elements, in use from here.
    pub(super) fn new_slot_of(
        &mut self,
        arena: ArenaId,
        dtype: DType,
        dims: Dims,
    ) -> Result<BufferRef, Diagnostic> {
        let bytes = byte_size(&mut self.plan.shapes, dtype, &dims).map_err(overflow)?;
        let request = Request { bytes, first: self.position, last: self.position };
        self.lives.push(Life { arena, request, through: None });
        Ok(self.slot(self.lives.len() - 1, dtype, dims))
    }

    /// One more slot with this memory.
    fn slot(&mut self, life: usize, dtype: DType, dims: Dims) -> BufferRef {
        let (arena, offset) = (self.lives[life].arena, self.plan.shapes.int(0));
        self.plan.slots.push(Slot { dtype, dims, arena, offset });
        self.slot_lives.push(life);
        BufferRef::Slot(SlotId(self.plan.slots.len() as u32 - 1))
    }

    /// Values at the place of `value` lie from now on where this buffer is.
    pub(super) fn settle(&mut self, value: ValueId, buffer: BufferRef) {
        let home = match buffer {
            BufferRef::Slot(slot) => Home::Life(self.slot_lives[slot.0 as usize]),
            BufferRef::Output(output) => Home::Output(output),
            BufferRef::Input(_) | BufferRef::Constant(_) | BufferRef::Object(_) => return,
        };
        if let Some(place) = self.places.place(self.function, value) {
            self.homes.insert(place, home);
        }
    }

    /// Where a buffer is.
    pub(super) fn seat(&self, buffer: BufferRef) -> Seat {
        match buffer {
            BufferRef::Slot(slot) => Seat::Life(self.slot_lives[slot.0 as usize]),
            BufferRef::Input(input) => match self.renewals.get(&input) {
                Some(output) => Seat::Buffer(BufferRef::Output(*output)),
                None => Seat::Buffer(buffer),
            },
            _ => Seat::Buffer(buffer),
        }
    }

    /// The dimensions of a slot for a value. A formula for a dimension may be negative at sizes that a check further
    /// on refuses; until then the slot is empty, and takes nothing from what lies in the arena before it.
    pub(super) fn slot_dims(&mut self, value: ValueId) -> Result<Dims, Diagnostic> {
        let dims = known_dims(self.tensor(value)?)?;
        let shapes = &mut self.plan.shapes;
        let zero = shapes.int(0);
        let at_least_zero = dims.into_iter().map(|dim| match shapes.is_le(zero, dim) {
            true => Ok(dim),
            false => shapes.max(&[zero, dim]).map_err(overflow),
        });
        at_least_zero.collect()
    }

    /// An arena, whose size is known once everything has its place.
    pub(super) fn new_arena(&mut self) -> ArenaId {
        let bytes = self.plan.shapes.int(0);
        self.plan.arenas.push(Arena { bytes, parts: Vec::new() });
        ArenaId((self.plan.arenas.len() - 1) as u32)
    }

    /// Makes an output, once.
    pub(super) fn alloc_output(&mut self, output: u32, steps: &mut Vec<Step>) -> Result<(), Diagnostic> {
        if self.allocated.insert(output) {
            self.emit(steps, Step::AllocOutput(output))?;
        }
        Ok(())
    }

    /// Whether the dimensions of an output are known here.
    fn output_is_bound(&self, output: u32) -> bool {
        let output = &self.plan.outputs[output as usize];
        let mut symbols = output.sizes().flat_map(|it| self.plan.shapes.free_symbols(it));
        symbols.all(|it| self.bound.contains(&it))
    }

    /// Whether an output has as many bytes as a value, for all sizes that may occur here.
    fn output_has_size_of(&mut self, output: u32, value: ValueId) -> Result<bool, Diagnostic> {
        let have = self.byte_size(self.tensor(value)?)?;
        let Some(output) = self.plan.outputs[output as usize].tensor() else { return Ok(false) };
        let wanted = byte_size(&mut self.plan.shapes, output.dtype, &output.dims).map_err(overflow)?;
        Ok(self.plan.shapes.prove_eq(have, wanted).is_always())
    }

    /// Whether a symbol is bound where an open arena is allocated.
    pub(super) fn bound_in(&self, open: &Open, symbol: Sym) -> bool {
        self.bound.get_index_of(&symbol).is_some_and(|it| it < open.bound) && !open.changing.contains(&symbol)
    }

    /// A buffer is in use here. What was written before a loop and is used in it is in use until its last turn.
    pub(super) fn touch(&mut self, buffer: BufferRef) {
        if let BufferRef::Slot(slot) = buffer {
            let life = &mut self.lives[self.slot_lives[slot.0 as usize]];
            life.request.last = life.request.last.max(self.position);
            // Loops nest, so their starts are in order.
            let outermost = self.inside.partition_point(|it| self.loops[*it].0 <= life.request.first);
            life.through = self.inside.get(outermost).copied().or(life.through);
        }
    }

    /// A loop begins.
    pub(super) fn enter_loop(&mut self) {
        self.inside.push(self.loops.len());
        self.loops.push((self.position, self.position));
    }

    /// The innermost loop ends.
    pub(super) fn leave_loop(&mut self) {
        if let Some(left) = self.inside.pop() {
            self.loops[left].1 = self.position;
        }
    }

    /// Gives all slots their offsets and all arenas their sizes.
    pub(super) fn pack_arenas(&mut self) -> Result<(), Diagnostic> {
        let mut members: Vec<(Vec<usize>, Vec<Request>)> = vec![Default::default(); self.plan.arenas.len()];
        for (i, life) in self.lives.iter().enumerate() {
            let mut request = life.request;
            if let Some(through) = life.through {
                request.last = request.last.max(self.loops[through].1);
            }
            let (lives, requests) = &mut members[life.arena.0 as usize];
            lives.push(i);
            requests.push(request);
        }
        let mut offsets = vec![None; self.lives.len()];
        for (arena, (lives, requests)) in self.plan.arenas.iter_mut().zip(members) {
            let packing =
                pack(&mut self.plan.shapes, &requests, &mut self.shared.choices).map_err(overflow)?;
            for (life, offset) in lives.into_iter().zip(packing.offsets) {
                offsets[life] = Some(offset);
            }
            arena.bytes = packing.total;
            arena.parts = packing.parts;
        }
        for (slot, life) in self.plan.slots.iter_mut().zip(&self.slot_lives) {
            slot.offset = offsets[*life].unwrap_or(slot.offset);
        }
        Ok(())
    }
}
