//! Lowers a legalised flow function to a call plan: steps in program order, buffers in arenas.
//!
//! Every tensor value gets storage: an input, a constant, an output, or a slot. Views share the storage of
//! their operand. Slots whose
//! size is known on entry share one arena; symbols bound later (`match_cast`, `If` results) open further
//! arenas at the point where their size is known. Peak memory is the sum of the arenas, a formula.

use crate::rules::memory::{Request, pack};
use indexmap::{IndexMap, IndexSet};
use la_arena::ArenaMap;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{BindingId, Definition, Function, Module, RegionId, Rhs, ValueDef, ValueId};
use orogen_ir::plan::{
    Arena, ArenaId, BufferRef, CallPlan, KernelId, PlanInput, PlanOutput, ShapeCheck, SizeBinding, Slot,
    SlotId, Step,
};
use orogen_ir::shape::{Constraint, Dim, Sym};
use orogen_ir::types::{DType, TensorType, Type};

/// Lowers the function `name` of a module whose operators are all legalised.
///
/// # Errors
/// When a value needs memory but its shape is not known, or the function holds something that has no plan form
/// (a sequence, state, an operator without a kernel).
pub fn plan_memory(module: &Module, name: &str) -> Result<CallPlan, Diagnostics> {
    let Some(Definition::Function(function)) = module.definitions.get(name) else {
        return Err(Diagnostic::error("M001", format!("the module has no function `@{name}`")).into());
    };
    let mut lowering = Lowering::new(module, function, name);
    lowering.run().map_err(Diagnostics::from)?;
    Ok(lowering.plan)
}

/// What a value is in the plan.
#[derive(Clone, Debug)]
enum Storage {
    Buffer(BufferRef),
    Tuple(Vec<ValueId>),
}

/// An arena that slots may go to, with the symbols that are bound where it is allocated.
#[derive(Clone, Debug)]
struct Open {
    arena: ArenaId,
    bound: IndexSet<Sym>,
}

struct Lowering<'a> {
    module: &'a Module,
    function: &'a Function,
    plan: CallPlan,
    kernels: IndexMap<String, KernelId>,
    storage: ArenaMap<ValueId, Storage>,
    /// Outputs whose memory a root value writes directly.
    direct: IndexMap<ValueId, u32>,
    allocated: IndexSet<u32>,
    requests: Vec<(ArenaId, Request)>,
    open: Vec<Open>,
    bound: IndexSet<Sym>,
    position: u32,
    depth: u32,
}

impl<'a> Lowering<'a> {
    fn new(module: &'a Module, function: &'a Function, name: &str) -> Self {
        let plan = CallPlan {
            name: name.to_string(),
            shapes: module.shapes.clone(),
            constants: module.constants.clone(),
            ..CallPlan::default()
        };
        Lowering {
            module,
            function,
            plan,
            kernels: IndexMap::new(),
            storage: ArenaMap::default(),
            direct: IndexMap::new(),
            allocated: IndexSet::new(),
            requests: Vec::new(),
            open: Vec::new(),
            bound: IndexSet::new(),
            position: 0,
            depth: 0,
        }
    }

    fn run(&mut self) -> Result<(), Diagnostic> {
        self.params()?;
        self.outputs()?;
        let mut steps = Vec::new();
        let entry = self.new_arena();
        self.open.push(Open { arena: entry, bound: self.bound.clone() });
        steps.push(Step::AllocArena(entry));
        self.region(self.function.body, &mut steps)?;
        self.write_outputs(&mut steps)?;
        self.plan.steps = steps;
        self.pack_arenas()
    }

    fn params(&mut self) -> Result<(), Diagnostic> {
        for (i, param) in self.function.params.iter().enumerate() {
            let what = || format!("input `{}`", param.name);
            let ty = self.tensor(param.value).map_err(|it| it.at(what()))?;
            let dims = known_dims(ty).map_err(|it| it.at(what()))?;
            let input = u32::try_from(i).expect("fewer than 2^32 inputs");
            for (axis, dim) in dims.iter().enumerate() {
                if let Some(symbol) = self.plan.shapes.as_sym(*dim)
                    && self.bound.insert(symbol)
                {
                    self.plan.bindings.push(SizeBinding { symbol, input, axis: axis as u32 });
                }
            }
            self.plan.inputs.push(PlanInput { name: param.name.clone(), dtype: ty.dtype, dims });
            self.storage.insert(param.value, Storage::Buffer(BufferRef::Input(input)));
        }
        Ok(())
    }

    /// Declares outputs and decides which root values write to them directly.
    fn outputs(&mut self) -> Result<(), Diagnostic> {
        let results = &self.function.regions[self.function.body].results;
        for (i, (output, value)) in self.function.outputs.iter().zip(results).enumerate() {
            let what = || format!("output `{}`", output.name);
            let ty = self.tensor(*value).map_err(|it| it.at(what()))?;
            let dims = known_dims(ty).map_err(|it| it.at(what()))?;
            self.plan.outputs.push(PlanOutput { name: output.name.clone(), dtype: ty.dtype, dims });
            let root = self.root(*value);
            if self.defined_by_kernel_at_top(root) {
                self.direct.entry(root).or_insert(i as u32);
            }
        }
        Ok(())
    }

    /// The value whose storage `value` shares.
    fn root(&self, mut value: ValueId) -> ValueId {
        loop {
            let ValueDef::Result(binding, _) = self.function.values[value].def else { return value };
            match &self.function.bindings[binding].rhs {
                Rhs::View { value: inner, .. } | Rhs::MatchCast { value: inner, .. } => value = *inner,
                Rhs::Get { tuple, index } => match self.tuple_elements(*tuple) {
                    Some(elements) => value = elements[*index as usize],
                    None => return value,
                },
                _ => return value,
            }
        }
    }

    fn tuple_elements(&self, tuple: ValueId) -> Option<&'a [ValueId]> {
        let ValueDef::Result(binding, _) = self.function.values[tuple].def else { return None };
        match &self.function.bindings[binding].rhs {
            Rhs::Tuple(elements) => Some(elements),
            _ => None,
        }
    }

    fn defined_by_kernel_at_top(&self, value: ValueId) -> bool {
        let ValueDef::Result(binding, _) = self.function.values[value].def else { return false };
        let body = &self.function.regions[self.function.body];
        matches!(self.function.bindings[binding].rhs, Rhs::CallKernel { .. })
            && body.blocks.iter().any(|block| self.function.blocks[*block].order.contains(&binding))
    }

    fn region(&mut self, region: RegionId, steps: &mut Vec<Step>) -> Result<(), Diagnostic> {
        let function = self.function;
        for block in &function.regions[region].blocks {
            for binding in &function.blocks[*block].order {
                self.binding(*binding, steps).map_err(|it| {
                    let source = &function.bindings[*binding].source;
                    if source.is_empty() { it } else { it.at(source.clone()) }
                })?;
            }
        }
        Ok(())
    }

    fn binding(&mut self, id: BindingId, steps: &mut Vec<Step>) -> Result<(), Diagnostic> {
        let binding = &self.function.bindings[id];
        match &binding.rhs {
            Rhs::Op { op, .. } => {
                return Err(Diagnostic::error("M013", format!("operator {op:?} is not legalised")));
            }
            Rhs::View { value, .. } => {
                let storage = self.storage_of(*value)?;
                self.storage.insert(binding.results[0], storage);
            }
            Rhs::Constant(constant) => {
                self.storage.insert(binding.results[0], Storage::Buffer(BufferRef::Constant(*constant)));
            }
            Rhs::Tuple(elements) => {
                self.storage.insert(binding.results[0], Storage::Tuple(elements.to_vec()));
            }
            Rhs::Get { tuple, index } => {
                let Storage::Tuple(elements) = self.storage_of(*tuple)? else {
                    return Err(Diagnostic::error("M002", "a value that is not a tuple has no elements"));
                };
                let storage = self.storage_of(elements[*index as usize])?;
                self.storage.insert(binding.results[0], storage);
            }
            Rhs::CallKernel { callee, args, sizes } => {
                let kernel = self.kernel(callee)?;
                let mut buffers = Vec::with_capacity(args.len() + binding.results.len());
                for arg in args {
                    buffers.push(self.buffer_of(*arg)?);
                }
                for result in &binding.results {
                    buffers.push(self.new_buffer(*result, steps)?);
                }
                self.emit(steps, Step::Kernel { kernel, args: buffers, sizes: sizes.to_vec() });
            }
            Rhs::CallExtern { callee, args } => self.call_extern(id, callee, args, steps)?,
            Rhs::Call { callee, .. } => {
                return Err(Diagnostic::error("M003", format!("the call of `@{callee}` is not inlined")));
            }
            Rhs::Check { constraint, message } => self.check(*constraint, message.clone(), steps),
            Rhs::MatchCast { value, ty } => self.match_cast(*value, ty, binding.results[0], steps)?,
            Rhs::If { cond, then_region, else_region } => {
                self.if_else(id, *cond, [*then_region, *else_region], steps)?;
            }
            Rhs::While { init, cond, body } => self.while_loop(id, init, *cond, *body, steps)?,
        }
        Ok(())
    }

    fn kernel(&mut self, callee: &str) -> Result<KernelId, Diagnostic> {
        if let Some(id) = self.kernels.get(callee) {
            return Ok(*id);
        }
        let Some(Definition::Kernel(program)) = self.module.definitions.get(callee) else {
            return Err(Diagnostic::error("M004", format!("the module has no kernel `@{callee}`")));
        };
        let id = KernelId(self.plan.kernels.len() as u32);
        self.plan.kernels.push(program.clone());
        self.kernels.insert(callee.to_string(), id);
        Ok(id)
    }

    fn call_extern(
        &mut self,
        id: BindingId,
        callee: &str,
        args: &[ValueId],
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        let Some(Definition::Extern(definition)) = self.module.definitions.get(callee) else {
            return Err(Diagnostic::error("M005", format!("the module has no extern `@{callee}`")));
        };
        let mut buffers = Vec::new();
        for arg in args {
            buffers.push(self.buffer_of(*arg)?);
        }
        for result in &self.function.bindings[id].results {
            buffers.push(self.new_buffer(*result, steps)?);
        }
        let (symbol, effects) = (definition.symbol.clone(), definition.ty.effects);
        self.emit(steps, Step::Extern { symbol, args: buffers, effects });
        Ok(())
    }

    /// A check over input dimensions alone runs on entry, before the first kernel.
    fn check(&mut self, constraint: Constraint, message: String, steps: &mut Vec<Step>) {
        let on_entry = self.open.first().is_some_and(|entry| {
            constraint_dims(&constraint)
                .into_iter()
                .flat_map(|dim| self.plan.shapes.free_symbols(dim))
                .all(|symbol| entry.bound.contains(&symbol))
        });
        let check = ShapeCheck { constraint, message };
        // Inside a branch or loop the check belongs to that path alone.
        if on_entry && self.depth == 0 {
            if !self.plan.checks.contains(&check) {
                self.plan.checks.push(check);
            }
        } else {
            self.emit(steps, Step::Check(check));
        }
    }

    fn match_cast(
        &mut self,
        value: ValueId,
        ty: &Type,
        result: ValueId,
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        let storage = self.storage_of(value)?;
        self.storage.insert(result, storage.clone());
        let (Type::Tensor(wanted), Storage::Buffer(buffer)) = (ty, storage) else { return Ok(()) };
        let have = self.tensor(value)?.clone();
        let (Some(have_dims), Some(wanted_dims)) = (have.dims(), wanted.dims()) else {
            return Err(Diagnostic::error("M006", "match_cast of a value whose dimensions are not known"));
        };
        for (axis, (from, to)) in have_dims.iter().zip(wanted_dims).enumerate() {
            self.bind_or_check(*from, *to, &format!("dimension {axis}"), steps);
        }
        let Some(elements) = &wanted.elements else { return Ok(()) };
        for (i, element) in elements.iter().enumerate() {
            if have.elements.as_ref().is_some_and(|it| it[i] == *element) {
                continue;
            }
            let (symbol, fresh) = match self.plan.shapes.as_sym(*element) {
                Some(symbol) if !self.bound.contains(&symbol) => (symbol, true),
                _ => {
                    let temporary = self.plan.shapes.fresh_integer("element");
                    (self.plan.shapes.as_sym(temporary).expect("a fresh symbol is a symbol"), false)
                }
            };
            self.touch(buffer);
            self.emit(steps, Step::Bind { symbol, from: buffer, dtype: have.dtype, element: i as u64 });
            self.bound.insert(symbol);
            if fresh {
                let at_least = Constraint::AtLeast(*element, 0);
                let kind = self.plan.shapes.kind(symbol);
                if kind == orogen_ir::shape::SymbolKind::Size {
                    self.check(at_least, format!("element {i} of a shape must not be negative"), steps);
                }
            } else {
                let bound = self.plan.shapes.sym_dim(symbol);
                self.check(
                    Constraint::Eq(bound, *element),
                    format!("element {i} must be as asserted"),
                    steps,
                );
            }
        }
        Ok(())
    }

    fn bind_or_check(&mut self, from: Dim, to: Dim, what: &str, steps: &mut Vec<Step>) {
        if from == to {
            return;
        }
        match self.plan.shapes.as_sym(to) {
            Some(symbol) if !self.bound.contains(&symbol) => {
                self.emit(steps, Step::Let { symbol, value: from });
                self.bound.insert(symbol);
            }
            _ => self.check(Constraint::Eq(from, to), format!("{what} must be as asserted"), steps),
        }
    }

    fn if_else(
        &mut self,
        id: BindingId,
        cond: ValueId,
        regions: [RegionId; 2],
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        let results = self.function.bindings[id].results.clone();
        let cond = self.buffer_of(cond)?;
        self.touch(cond);
        // Symbols that the branches bind for the results, and an arena for results whose size uses them.
        let mut late: IndexSet<Sym> = IndexSet::new();
        for result in &results {
            for dim in known_dims(self.tensor(*result)?)? {
                late.extend(
                    self.plan.shapes.free_symbols(dim).into_iter().filter(|it| !self.bound.contains(it)),
                );
            }
        }
        let late_arena = (!late.is_empty()).then(|| self.new_arena());
        let mut targets = Vec::new();
        for result in &results {
            let dims = known_dims(self.tensor(*result)?)?;
            let is_late =
                dims.iter().any(|dim| self.plan.shapes.free_symbols(*dim).iter().any(|it| late.contains(it)));
            targets.push(match late_arena {
                Some(arena) if is_late => self.new_slot(arena, *result)?,
                _ => self.new_buffer(*result, steps)?,
            });
        }
        let before = self.bound.clone();
        let mut branches = Vec::new();
        for region in regions {
            let mut branch = Vec::new();
            let open = self.open.len();
            self.depth += 1;
            self.region(region, &mut branch)?;
            for (result, value) in results.iter().zip(&self.function.regions[region].results) {
                let to = known_dims(self.tensor(*result)?)?;
                let from = known_dims(self.tensor(*value)?)?;
                if to.len() != from.len() {
                    return Err(Diagnostic::error("M007", "the branches of an `If` return different ranks"));
                }
                for (axis, (from, to)) in from.into_iter().zip(to).enumerate() {
                    self.bind_or_check(
                        from,
                        to,
                        &format!("dimension {axis} of a branch result"),
                        &mut branch,
                    );
                }
            }
            if let Some(arena) = late_arena {
                self.emit(&mut branch, Step::AllocArena(arena));
            }
            for (target, value) in targets.iter().zip(self.function.regions[region].results.clone()) {
                self.copy(value, *target, &mut branch)?;
            }
            self.depth -= 1;
            self.open.truncate(open);
            self.bound = before.clone();
            branches.push(branch);
        }
        self.bound.extend(late);
        let else_steps = branches.pop().expect("two branches");
        let then_steps = branches.pop().expect("two branches");
        self.emit(steps, Step::If { cond, then_steps, else_steps });
        for (result, target) in results.into_iter().zip(targets) {
            self.touch(target);
            self.storage.insert(result, Storage::Buffer(target));
        }
        Ok(())
    }

    fn while_loop(
        &mut self,
        id: BindingId,
        init: &[ValueId],
        cond_region: RegionId,
        body_region: RegionId,
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        let function = self.function;
        let results = function.bindings[id].results.clone();
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
        let (open, before) = (self.open.len(), self.bound.clone());
        self.depth += 1;
        let mut cond_steps = Vec::new();
        self.region(cond_region, &mut cond_steps)?;
        let cond = self.buffer_of(function.regions[cond_region].results[0])?;
        self.touch(cond);
        self.position += 1;
        self.open.truncate(open);
        self.bound = before.clone();
        let mut body = Vec::new();
        self.region(body_region, &mut body)?;
        self.carry(&function.regions[body_region].results, &carried, &results, &mut body)?;
        self.depth -= 1;
        self.open.truncate(open);
        self.bound = before;
        self.emit(steps, Step::While { cond_steps, cond, body });
        self.keep_alive_through_loop(start);
        for (result, buffer) in results.into_iter().zip(carried) {
            self.touch(buffer);
            self.storage.insert(result, Storage::Buffer(buffer));
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
            for (value, target) in values.iter().zip(carried) {
                self.copy(*value, *target, steps)?;
            }
            return Ok(());
        }
        let mut temporaries = Vec::new();
        for (value, result) in values.iter().zip(results) {
            let temporary = self.new_slot_for(*result, steps)?;
            self.copy(*value, temporary, steps)?;
            temporaries.push(temporary);
        }
        for ((temporary, target), result) in temporaries.into_iter().zip(carried).zip(results) {
            let bytes = self.byte_size(&self.tensor(*result)?.clone())?;
            self.touch(temporary);
            self.touch(*target);
            self.emit(steps, Step::Copy { from: temporary, to: *target, bytes });
        }
        Ok(())
    }

    fn keep_alive_through_loop(&mut self, start: u32) {
        let end = self.position;
        for (_, request) in &mut self.requests {
            if request.first < start && request.last >= start {
                request.last = request.last.max(end);
            }
        }
    }

    fn copy(&mut self, value: ValueId, to: BufferRef, steps: &mut Vec<Step>) -> Result<(), Diagnostic> {
        let from = self.buffer_of(value)?;
        if from == to {
            return Ok(());
        }
        let bytes = self.byte_size(&self.tensor(value)?.clone())?;
        self.touch(from);
        self.touch(to);
        self.emit(steps, Step::Copy { from, to, bytes });
        Ok(())
    }

    fn write_outputs(&mut self, steps: &mut Vec<Step>) -> Result<(), Diagnostic> {
        let results = self.function.regions[self.function.body].results.clone();
        for (i, value) in results.into_iter().enumerate() {
            let output = i as u32;
            if self.direct.get(&self.root(value)) == Some(&output) {
                continue;
            }
            self.alloc_output(output, steps);
            self.copy(value, BufferRef::Output(output), steps)?;
        }
        Ok(())
    }

    fn alloc_output(&mut self, output: u32, steps: &mut Vec<Step>) {
        if self.allocated.insert(output) {
            self.emit(steps, Step::AllocOutput(output));
        }
    }

    /// Whether the dimensions of an output are known here.
    fn output_is_bound(&self, output: u32) -> bool {
        let dims = &self.plan.outputs[output as usize].dims;
        let mut symbols = dims.iter().flat_map(|it| self.plan.shapes.free_symbols(*it));
        symbols.all(|it| self.bound.contains(&it))
    }

    /// Memory for a new root value: the output it becomes, or a slot.
    fn new_buffer(&mut self, value: ValueId, steps: &mut Vec<Step>) -> Result<BufferRef, Diagnostic> {
        if let Some(output) = self.direct.get(&value).copied() {
            // A cast between the value and the result may bind the result's dimensions only later.
            if self.output_is_bound(output) {
                self.alloc_output(output, steps);
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
    fn new_slot_for(&mut self, value: ValueId, steps: &mut Vec<Step>) -> Result<BufferRef, Diagnostic> {
        let bytes = self.byte_size(&self.tensor(value)?.clone())?;
        let symbols = self.plan.shapes.free_symbols(bytes);
        let arena =
            self.open.iter().find(|it| symbols.iter().all(|s| it.bound.contains(s))).map(|it| it.arena);
        let arena = match arena {
            Some(arena) => arena,
            None => {
                if let Some(unbound) = symbols.iter().find(|it| !self.bound.contains(*it)) {
                    return Err(Diagnostic::error(
                        "M008",
                        format!(
                            "the size of a buffer depends on `{}`, which is not known here",
                            self.plan.shapes.name(*unbound)
                        ),
                    ));
                }
                let arena = self.new_arena();
                self.open.push(Open { arena, bound: self.bound.clone() });
                self.emit(steps, Step::AllocArena(arena));
                arena
            }
        };
        self.new_slot(arena, value)
    }

    fn new_slot(&mut self, arena: ArenaId, value: ValueId) -> Result<BufferRef, Diagnostic> {
        let bytes = self.byte_size(&self.tensor(value)?.clone())?;
        let slot = SlotId(self.plan.slots.len() as u32);
        let offset = self.plan.shapes.int(0);
        self.plan.slots.push(Slot { arena, offset, bytes });
        self.requests.push((arena, Request { bytes, first: self.position, last: self.position }));
        Ok(BufferRef::Slot(slot))
    }

    fn new_arena(&mut self) -> ArenaId {
        let bytes = self.plan.shapes.int(0);
        self.plan.arenas.push(Arena { bytes });
        ArenaId((self.plan.arenas.len() - 1) as u32)
    }

    fn emit(&mut self, steps: &mut Vec<Step>, step: Step) {
        if let Step::Kernel { args, .. } | Step::Extern { args, .. } = &step {
            for arg in args.clone() {
                self.touch(arg);
            }
        }
        steps.push(step);
        self.position += 1;
    }

    fn touch(&mut self, buffer: BufferRef) {
        if let BufferRef::Slot(slot) = buffer {
            let request = &mut self.requests[slot.0 as usize].1;
            request.last = request.last.max(self.position);
        }
    }

    fn pack_arenas(&mut self) -> Result<(), Diagnostic> {
        let overflow = |_| Diagnostic::error("S002", "the size of a buffer overflows 64-bit integers");
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

    fn byte_size(&mut self, ty: &TensorType) -> Result<Dim, Diagnostic> {
        let dims = known_dims(ty)?;
        let shapes = &mut self.plan.shapes;
        let count = shapes.product(&dims);
        count
            .and_then(|count| shapes.scale(count, dtype_size(ty.dtype)))
            .map_err(|_| Diagnostic::error("S002", "the size of a buffer overflows 64-bit integers"))
    }

    fn tensor(&self, value: ValueId) -> Result<&'a TensorType, Diagnostic> {
        self.function.values[value].ty.as_tensor().ok_or_else(|| {
            Diagnostic::error("M009", "only tensors have a place in a call plan")
                .note("sequences, optionals and state are not lowered yet")
        })
    }

    fn storage_of(&self, value: ValueId) -> Result<Storage, Diagnostic> {
        self.storage
            .get(value)
            .cloned()
            .ok_or_else(|| Diagnostic::error("M010", "a value is used before it has memory (law F1)"))
    }

    fn buffer_of(&self, value: ValueId) -> Result<BufferRef, Diagnostic> {
        match self.storage_of(value)? {
            Storage::Buffer(buffer) => Ok(buffer),
            Storage::Tuple(_) => Err(Diagnostic::error("M011", "a tuple is used where a tensor is needed")),
        }
    }
}

fn dtype_size(dtype: DType) -> i64 {
    dtype.size() as i64
}

fn known_dims(ty: &TensorType) -> Result<orogen_ir::types::Dims, Diagnostic> {
    ty.dims().map(Into::into).ok_or_else(|| {
        Diagnostic::error("M012", "a value's shape is not known, so it cannot get memory")
            .help("the shape depends on data: bind it with a match_cast")
    })
}

fn constraint_dims(constraint: &Constraint) -> Vec<Dim> {
    match constraint {
        Constraint::AtLeast(dim, _) | Constraint::AtMost(dim, _) | Constraint::Multiple(dim, _) => vec![*dim],
        Constraint::Eq(a, b) => vec![*a, *b],
    }
}
