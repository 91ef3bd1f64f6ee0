//! Branches and loops.

use super::Lowering;
use super::buffers::Seat;
use super::values::{Storage, known_dims};
use crate::rules::moves::{Move, Place, in_turn};
use indexmap::IndexMap;
use orogen_ir::diag::Diagnostic;
use orogen_ir::flow::{BindingId, RegionId, ValueId};
use orogen_ir::plan::{BufferRef, Condition, ObjectId, Step};

impl Lowering<'_> {
    /// A region on a path of its own: symbols that it binds and arenas that it opens end with it, after `end`.
    fn path(
        &mut self,
        region: RegionId,
        end: &mut dyn FnMut(&mut Self, &mut Vec<Step>) -> Result<(), Diagnostic>,
    ) -> Result<Vec<Step>, Diagnostic> {
        let (open, bound) = (self.open.len(), self.bound.len());
        let mut steps = Vec::new();
        self.depth += 1;
        self.region(region, &mut steps)?;
        end(self, &mut steps)?;
        self.depth -= 1;
        self.open.truncate(open);
        self.bound.truncate(bound);
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
        let results = &function[id].results;
        let cond = self.buffer_of(cond)?;
        self.touch(cond);
        // Symbols that the branches bind for the results, and an arena for results whose size uses them.
        let late = self.unbound_in(results)?;
        let mut late_arena = None;
        let mut targets = Vec::new();
        let mut objects: Vec<ObjectId> = Vec::new();
        for result in results {
            if self.is_object(*result) {
                objects.push(self.object_place(*result));
                continue;
            }
            let dims = known_dims(self.tensor(*result)?)?;
            let is_late =
                dims.iter().any(|dim| self.plan.shapes.free_symbols(*dim).iter().any(|it| late.contains(it)));
            targets.push(if is_late {
                let arena = *late_arena.get_or_insert_with(|| self.new_arena());
                let slot = self.new_slot(arena, *result)?;
                self.settle(*result, slot);
                slot
            } else {
                self.new_buffer(*result, steps)?
            });
        }
        let mut branches = [Vec::new(), Vec::new()];
        for (branch, region) in branches.iter_mut().zip(regions) {
            let returned = &function[region].results;
            let since = self.plan.objects.len();
            *branch = self.path(region, &mut |this, branch| {
                let pairs = returned.iter().copied().zip(results.iter().copied());
                this.bind_types(pairs, "a branch result", branch)?;
                if let Some(symbol) = late.iter().find(|it| !this.bound.contains(*it)) {
                    return Err(this.unbound(*symbol));
                }
                if let Some(arena) = late_arena {
                    this.emit(branch, Step::AllocArena(arena))?;
                }
                let pairs = returned.iter().copied().zip(results.iter().copied());
                let (held, tensors): (Vec<_>, Vec<_>) = pairs.partition(|it| this.is_object(it.1));
                let ends = tensors.into_iter().zip(&targets);
                let ends: Vec<_> = ends.map(|((value, result), to)| (value, result, *to)).collect();
                this.carry(&ends, branch)?;
                let ends: Vec<_> = held.iter().map(|it| it.0).zip(objects.iter().copied()).collect();
                this.carry_objects(&ends, since, branch)
            })?;
        }
        self.bound.extend(late);
        let [then_steps, else_steps] = branches;
        self.emit(steps, Step::If { cond: Condition::Buffer(cond), then_steps, else_steps })?;
        let tensors = results.iter().filter(|it| !function[**it].ty.is_object());
        for (result, target) in tensors.zip(targets) {
            self.touch(target);
            self.storage.insert(*result, Storage::Buffer(target));
        }
        Ok(())
    }

    /// Carried values live in buffers of their own, which each turn writes again. The initial values bind the symbols of
    /// the parameters' types. What changes its size from turn to turn has an arena of its own, which each turn makes
    /// again, and a second one in which the next value waits meanwhile.
    pub(super) fn while_loop(
        &mut self,
        id: BindingId,
        init: &[ValueId],
        cond_region: RegionId,
        body_region: RegionId,
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        let function = self.function;
        let split = |values: &[ValueId]| -> (Vec<ValueId>, Vec<ValueId>) {
            values.iter().copied().partition(|it| !function[*it].ty.is_object())
        };
        let (results, held_results) = split(&function[id].results);
        let (params, held_params) = split(&function[body_region].params);
        let (next, held_next) = split(&function[body_region].results);
        let (init, held_init) = split(init);
        let (results, params, next) = (&results, &params, &next);
        let changing = self.changing_symbols(params, next)?;
        self.bind_types(init.iter().copied().zip(params.iter().copied()), "a carried value", steps)?;
        if let Some(symbol) = self.unbound_in(params)?.first() {
            return Err(self.unbound(*symbol));
        }
        let mut carried = Vec::new();
        for param in params {
            carried.push(match self.speaks_of(*param, &changing)? {
                false => self.new_buffer(*param, steps)?,
                true => {
                    let arena = self.new_arena();
                    self.emit(steps, Step::AllocArena(arena))?;
                    let slot = self.new_slot(arena, *param)?;
                    self.settle(*param, slot);
                    slot
                }
            });
        }
        let begins = init.iter().zip(params).zip(&carried);
        let begins: Vec<_> = begins.map(|((value, param), to)| (*value, *param, *to)).collect();
        self.carry(&begins, steps)?;
        let held: Vec<ObjectId> = held_params.iter().map(|it| self.object_place(*it)).collect();
        let begins: Vec<_> = held_init.into_iter().zip(held.iter().copied()).collect();
        self.carry_objects(&begins, usize::MAX, steps)?;
        // Memory from before the loop is as large as the first turn needs it.
        for open in &mut self.open {
            let bound =
                changing.iter().filter(|it| self.bound.get_index_of(*it).is_some_and(|at| at < open.bound));
            open.changing.extend(bound.copied());
        }
        self.enter_loop();
        for region in [cond_region, body_region] {
            let (params, held_params) = split(&function[region].params);
            for (param, buffer) in params.into_iter().zip(&carried) {
                self.storage.insert(param, Storage::Buffer(*buffer));
            }
            for (param, place) in held_params.into_iter().zip(&held) {
                self.storage.insert(param, Storage::Object(*place));
            }
        }
        let cond_steps = self.path(cond_region, &mut |_, _| Ok(()))?;
        let cond = self.buffer_of(function[cond_region].results[0])?;
        self.touch(cond);
        self.position += 1;
        let since = self.plan.objects.len();
        let ends: Vec<_> = held_next.into_iter().zip(held.iter().copied()).collect();
        let later = self.later_names(&changing);
        let grows = self.expect_growing(params, next, &later)?;
        let body = self.path(body_region, &mut |this, body| {
            this.turn(params, next, &carried, &later, body)?;
            this.carry_objects(&ends, since, body)
        })?;
        grows.into_iter().for_each(|place| {
            self.growing.swap_remove(&place);
        });
        self.emit(steps, Step::While { cond_steps, cond, body })?;
        self.leave_loop();
        self.bind_types(params.iter().copied().zip(results.iter().copied()), "a carried value", steps)?;
        for (result, buffer) in results.iter().zip(carried) {
            self.touch(buffer);
            self.storage.insert(*result, Storage::Buffer(buffer));
        }
        for (result, place) in held_results.into_iter().zip(held) {
            self.storage.insert(result, Storage::Object(place));
        }
        Ok(())
    }

    /// Brings values where others of the same sizes shall be, all at once: what one copy overwrites may be what another
    /// one reads.
    pub(super) fn carry(
        &mut self,
        values: &[(ValueId, ValueId, BufferRef)],
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        let sources: Vec<BufferRef> =
            values.iter().map(|it| self.buffer_of(it.0)).collect::<Result<_, _>>()?;
        let from: Vec<Seat> = sources.iter().map(|it| self.seat(*it)).collect();
        let to: Vec<Seat> = values.iter().map(|it| self.seat(it.2)).collect();
        let mut temporaries: IndexMap<usize, BufferRef> = IndexMap::new();
        for Move { from: source, to: target, size } in in_turn(&from, &to) {
            let (_, like, buffer) = values[size];
            if let Place::Temporary(i) = target {
                temporaries.insert(i, self.new_slot_for(like, steps)?);
            }
            let source = match source {
                Place::Buffer(seat) => sources[from.iter().position(|it| *it == seat).unwrap_or(size)],
                Place::Temporary(i) => temporaries[&i],
            };
            let target = match target {
                Place::Buffer(_) => buffer,
                Place::Temporary(i) => temporaries[&i],
            };
            let bytes = self.byte_size(self.tensor(like)?)?;
            self.transfer(source, target, bytes, steps)?;
        }
        // What lies there already has another name from now on.
        for (i, (_, like, target)) in values.iter().enumerate() {
            if from[i] == to[i] && sources[i] != *target {
                let bytes = self.byte_size(self.tensor(*like)?)?;
                self.transfer(sources[i], *target, bytes, steps)?;
            }
        }
        Ok(())
    }
}
