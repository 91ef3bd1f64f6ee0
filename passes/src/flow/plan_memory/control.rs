//! Branches and loops.

use super::Lowering;
use super::values::{Storage, known_dims};
use orogen_ir::diag::Diagnostic;
use orogen_ir::flow::{BindingId, RegionId, ValueId};
use orogen_ir::plan::{BufferRef, Step};

impl Lowering<'_> {
    /// A region on a path of its own: symbols that it binds and arenas that it opens end with it, after `end`.
    fn path(
        &mut self,
        region: RegionId,
        end: &mut dyn FnMut(&mut Self, &mut Vec<Step>) -> Result<(), Diagnostic>,
    ) -> Result<Vec<Step>, Diagnostic> {
        let (open, before) = (self.open.len(), self.bound.clone());
        let mut steps = Vec::new();
        self.depth += 1;
        self.region(region, &mut steps)?;
        end(self, &mut steps)?;
        self.depth -= 1;
        self.open.truncate(open);
        self.bound = before;
        Ok(steps)
    }

    pub(super) fn if_else(
        &mut self,
        id: BindingId,
        cond: ValueId,
        regions: [RegionId; 2],
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        let function = self.function;
        let results = &function.bindings[id].results;
        let cond = self.buffer_of(cond)?;
        self.touch(cond);
        // Symbols that the branches bind for the results, and an arena for results whose size uses them.
        let late = self.unbound_in(results)?;
        let mut late_arena = None;
        let mut targets = Vec::new();
        for result in results {
            let dims = known_dims(self.tensor(*result)?)?;
            let is_late =
                dims.iter().any(|dim| self.plan.shapes.free_symbols(*dim).iter().any(|it| late.contains(it)));
            targets.push(if is_late {
                let arena = *late_arena.get_or_insert_with(|| self.new_arena());
                self.new_slot(arena, *result)?
            } else {
                self.new_buffer(*result, steps)?
            });
        }
        let mut branches = [Vec::new(), Vec::new()];
        for (branch, region) in branches.iter_mut().zip(regions) {
            let returned = &function.regions[region].results;
            *branch = self.path(region, &mut |this, branch| {
                let pairs = returned.iter().copied().zip(results.iter().copied());
                this.bind_types(pairs, "a branch result", branch)?;
                if let Some(symbol) = late.iter().find(|it| !this.bound.contains(*it)) {
                    return Err(this.unbound(*symbol));
                }
                if let Some(arena) = late_arena {
                    this.emit(branch, Step::AllocArena(arena))?;
                }
                returned.iter().zip(&targets).try_for_each(|(value, to)| this.copy(*value, *to, branch))
            })?;
        }
        self.bound.extend(late);
        let [then_steps, else_steps] = branches;
        self.emit(steps, Step::If { cond, then_steps, else_steps })?;
        for (result, target) in results.iter().zip(targets) {
            self.touch(target);
            self.storage.insert(*result, Storage::Buffer(target));
        }
        Ok(())
    }

    /// Carried values live in buffers of their own, which each iteration writes again. Their sizes are the same in
    /// every iteration (law F11), so the initial values bind the symbols of carried types for the whole loop and
    /// what follows it.
    pub(super) fn while_loop(
        &mut self,
        id: BindingId,
        init: &[ValueId],
        cond_region: RegionId,
        body_region: RegionId,
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        let function = self.function;
        let results = &function.bindings[id].results;
        self.bind_types(init.iter().copied().zip(results.iter().copied()), "a carried value", steps)?;
        if let Some(symbol) = self.unbound_in(results)?.first() {
            return Err(self.unbound(*symbol));
        }
        let mut carried = Vec::new();
        for (result, value) in results.iter().zip(init) {
            let buffer = self.new_slot_for(*result, steps)?;
            self.copy(*value, buffer, steps)?;
            carried.push(buffer);
        }
        let start = self.position;
        for region in [cond_region, body_region] {
            for (param, buffer) in function.regions[region].params.iter().zip(&carried) {
                self.storage.insert(*param, Storage::Buffer(*buffer));
            }
        }
        let cond_steps = self.path(cond_region, &mut |_, _| Ok(()))?;
        let cond = self.buffer_of(function.regions[cond_region].results[0])?;
        self.touch(cond);
        self.position += 1;
        let next = &function.regions[body_region].results;
        let body = self.path(body_region, &mut |this, body| {
            this.bind_types(next.iter().copied().zip(results.iter().copied()), "a carried value", body)?;
            this.carry(next, &carried, results, body)
        })?;
        self.emit(steps, Step::While { cond_steps, cond, body })?;
        self.keep_alive_through_loop(start);
        for (result, buffer) in results.iter().zip(carried) {
            self.touch(buffer);
            self.storage.insert(*result, Storage::Buffer(buffer));
        }
        Ok(())
    }

    /// Copies next values into the carried buffers. A next value that lies in another carried buffer would be
    /// overwritten before it is read, so such a permutation goes through temporaries.
    fn carry(
        &mut self,
        values: &[ValueId],
        carried: &[BufferRef],
        results: &[ValueId],
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        let sources: Vec<BufferRef> =
            values.iter().map(|it| self.buffer_of(*it)).collect::<Result<_, _>>()?;
        let permutes =
            sources.iter().zip(carried).any(|(source, target)| source != target && carried.contains(source));
        if !permutes {
            return values.iter().zip(carried).try_for_each(|(value, to)| self.copy(*value, *to, steps));
        }
        let mut temporaries = Vec::new();
        for (value, result) in values.iter().zip(results) {
            let temporary = self.new_slot_for(*result, steps)?;
            self.copy(*value, temporary, steps)?;
            temporaries.push(temporary);
        }
        for ((temporary, target), result) in temporaries.into_iter().zip(carried).zip(results) {
            let bytes = self.byte_size(self.tensor(*result)?)?;
            self.touch(temporary);
            self.touch(*target);
            self.emit(steps, Step::Copy { from: temporary, to: *target, bytes })?;
        }
        Ok(())
    }
}
