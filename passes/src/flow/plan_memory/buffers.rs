//! Memory for values: arenas, slots, outputs, and how long each is in use.

use super::Lowering;
use super::values::{Storage, known_dims, overflow};
use crate::rules::memory::{Request, pack};
use indexmap::IndexSet;
use orogen_ir::diag::Diagnostic;
use orogen_ir::flow::ValueId;
use orogen_ir::plan::{Arena, ArenaId, BufferRef, Slot, SlotId, Step};
use orogen_ir::shape::Sym;
use orogen_ir::types::{DType, Dims};

/// An arena that slots may go to, with the symbols that are bound where it is allocated.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) arena: ArenaId,
    pub(super) bound: IndexSet<Sym>,
}

impl Lowering<'_> {
    /// Memory for a new root value: the output it becomes, or a slot.
    pub(super) fn new_buffer(
        &mut self,
        value: ValueId,
        steps: &mut Vec<Step>,
    ) -> Result<BufferRef, Diagnostic> {
        if let Some(output) = self.direct.get(&value).copied() {
            // A cast between the value and the result may bind the result's dimensions only later.
            if self.output_is_bound(output) {
                self.alloc_output(output, steps)?;
                self.storage.insert(value, Storage::Buffer(BufferRef::Output(output)));
                return Ok(BufferRef::Output(output));
            }
            self.direct.swap_remove(&value);
        }
        let buffer = self.new_slot_for(value, steps)?;
        self.storage.insert(value, Storage::Buffer(buffer));
        Ok(buffer)
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
            self.open.iter().find(|it| symbols.iter().all(|s| it.bound.contains(s))).map(|it| it.arena);
        let arena = match arena {
            Some(arena) => arena,
            None => {
                dims.iter().try_for_each(|it| self.require_bound(*it))?;
                let arena = self.new_arena();
                self.open.push(Open { arena, bound: self.bound.clone() });
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
        let offset = self.plan.shapes.int(0);
        let slot = Slot { dtype, dims, arena, offset };
        let bytes = slot.bytes(&mut self.plan.shapes).map_err(overflow)?;
        self.plan.slots.push(slot);
        let slot = SlotId(self.requests.len() as u32);
        self.requests.push((arena, Request { bytes, first: self.position, last: self.position }));
        Ok(BufferRef::Slot(slot))
    }

    /// The dimensions of a slot for a value. A formula for a dimension may be negative at sizes that a check further
    /// on refuses; until then the slot is empty, and takes nothing from what lies in the arena before it.
    pub(super) fn slot_dims(&mut self, value: ValueId) -> Result<Dims, Diagnostic> {
        let dims = known_dims(self.tensor(value)?)?;
        let shapes = &mut self.plan.shapes;
        let zero = shapes.int(0);
        let at_least_zero = dims.into_iter().map(|dim| match shapes.prove_le(zero, dim).is_always() {
            true => Ok(dim),
            false => shapes.max(&[zero, dim]).map_err(overflow),
        });
        at_least_zero.collect()
    }

    /// An arena, whose size is known once everything has its place.
    pub(super) fn new_arena(&mut self) -> ArenaId {
        let bytes = self.plan.shapes.int(0);
        self.plan.arenas.push(Arena { bytes });
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
        let dims = &self.plan.outputs[output as usize].dims;
        let mut symbols = dims.iter().flat_map(|it| self.plan.shapes.free_symbols(*it));
        symbols.all(|it| self.bound.contains(&it))
    }

    /// A buffer is in use here.
    pub(super) fn touch(&mut self, buffer: BufferRef) {
        if let BufferRef::Slot(slot) = buffer {
            let request = &mut self.requests[slot.0 as usize].1;
            request.last = request.last.max(self.position);
        }
    }

    /// What was written before a loop and is read in it is in use until its last iteration.
    pub(super) fn keep_alive_through_loop(&mut self, start: u32) {
        let end = self.position;
        for (_, request) in &mut self.requests {
            if request.first < start && request.last >= start {
                request.last = request.last.max(end);
            }
        }
    }

    /// Gives all slots their offsets and all arenas their sizes.
    pub(super) fn pack_arenas(&mut self) -> Result<(), Diagnostic> {
        for index in 0..self.plan.arenas.len() {
            let arena = ArenaId(index as u32);
            let slots: Vec<usize> =
                (0..self.requests.len()).filter(|i| self.requests[*i].0 == arena).collect();
            let requests: Vec<Request> = slots.iter().map(|i| self.requests[*i].1).collect();
            let packing = pack(&mut self.plan.shapes, &requests).map_err(overflow)?;
            for (slot, offset) in slots.into_iter().zip(packing.offsets) {
                self.plan.slots[slot].offset = offset;
            }
            self.plan.arenas[index].bytes = packing.total;
        }
        Ok(())
    }
}
