//! Steps in program order: bindings become kernels, calls and copies.

use super::Lowering;
use super::values::Storage;
use super::versions::Call;
use orogen_ir::diag::Diagnostic;
use orogen_ir::flow::{BindingId, Definition, RegionId, Rhs, ValueId};
use orogen_ir::ops::StructureOp;
use orogen_ir::plan::{Arg, BufferRef, OutputKind, ShapeCheck, Step};
use orogen_ir::shape::{Constraint, Dim};
use orogen_ir::types::Source;

impl Lowering<'_> {
    pub(super) fn region(&mut self, region: RegionId, steps: &mut Vec<Step>) -> Result<(), Diagnostic> {
        let function = self.function;
        for block in &function[region].blocks {
            for binding in &function[*block].order {
                self.source.clone_from(&function[*binding].source);
                self.binding(*binding, steps).map_err(|it| {
                    let source = &function[*binding].source;
                    if source.is_empty() { it } else { it.at(source.clone()) }
                })?;
            }
        }
        Ok(())
    }

    fn binding(&mut self, id: BindingId, steps: &mut Vec<Step>) -> Result<(), Diagnostic> {
        let binding = &self.function[id];
        match &binding.rhs {
            Rhs::Op { op, args, .. } => {
                if let Some(structure) = StructureOp::of(self.ops.def(*op)) {
                    return self.structure(id, structure, args, steps);
                }
                let name = self.ops.def(*op).name;
                return Err(Diagnostic::error("M013", format!("operator `{name}` is not legalised")));
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
            Rhs::Call { callee, args, sizes } => self.call(id, callee, args, sizes, steps)?,
            Rhs::Check { constraint, message } => self.check(*constraint, message.clone(), steps)?,
            Rhs::MatchCast { value, ty } => self.match_cast(*value, ty, binding.results[0], steps)?,
            Rhs::If { cond, then_region, else_region } => {
                self.if_else(id, *cond, [*then_region, *else_region], steps)?;
            }
            Rhs::While { init, cond, body } => self.while_loop(id, init, *cond, *body, steps)?,
        }
        Ok(())
    }

    fn call(
        &mut self,
        id: BindingId,
        callee: &str,
        args: &[ValueId],
        sizes: &[Dim],
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        let kernel = match self.module.definitions().get(callee) {
            Some(Definition::Kernel(kernel)) => kernel,
            Some(Definition::Function(it)) if it.outputs().iter().any(|it| it.gives_rank) => {
                let message =
                    format!("the call of `@{callee}` gives a tensor whose rank only that call knows");
                return Err(Diagnostic::error("M023", message).help(
                    "return the value under all its dimensions, and its rank as an output of its own",
                ));
            }
            Some(Definition::Function(_)) => return self.invoke(id, callee, args, steps),
            None => return Err(Diagnostic::error("M004", format!("the module has no kernel `@{callee}`"))),
        };
        let function = self.function;
        let (mut operands, mut results) = (args.iter(), function[id].results.iter());
        let mut buffers = Vec::with_capacity(kernel.param_count());
        let missing =
            || Diagnostic::error("M014", format!("the call of `@{callee}` does not fit it (law F9)"));
        for param in kernel.params() {
            let operand = match param.access.reads() {
                true => Some(*operands.next().ok_or_else(missing)?),
                false => None,
            };
            if param.object().is_some() {
                let id = match operand {
                    Some(operand) => self.object_of(operand)?,
                    None => self.object_place(*results.next().ok_or_else(missing)?),
                };
                buffers.push(BufferRef::Object(id));
                continue;
            }
            if !param.access.writes() {
                buffers.extend(operand.map(|it| self.buffer_of(it)).transpose()?);
                continue;
            }
            let buffer = self.new_buffer(*results.next().ok_or_else(missing)?, steps)?;
            // What the kernel changes is copied before, unless the operand lies there and is needed no more.
            if let Some(operand) = operand {
                self.copy(operand, buffer, steps)?;
            }
            buffers.push(buffer);
        }
        let source = function[id].source.clone();
        self.call_version(callee, kernel, Call { args: buffers, sizes: sizes.to_vec(), source }, steps)
    }

    pub(super) fn copy(
        &mut self,
        value: ValueId,
        to: BufferRef,
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        let from = self.buffer_of(value)?;
        if from == to {
            return Ok(());
        }
        let bytes = self.byte_size(self.tensor(value)?)?;
        self.transfer(from, to, bytes, steps)
    }

    /// Brings bytes from one buffer to another one, which costs nothing where both lie at one place.
    pub(super) fn transfer(
        &mut self,
        from: BufferRef,
        to: BufferRef,
        bytes: Dim,
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        self.touch(from);
        self.touch(to);
        match self.seat(from) == self.seat(to) {
            true => self.emit(steps, Step::Move { from, to }),
            false => self.emit(steps, Step::Copy { from, to, bytes }),
        }
    }

    pub(super) fn write_outputs(&mut self, steps: &mut Vec<Step>) -> Result<(), Diagnostic> {
        let results = self.function[self.function.body()].results.clone();
        let (mut number, mut renewals) = (0, Vec::new());
        for (i, value) in results.into_iter().enumerate() {
            if self.function.outputs()[i].gives_rank {
                continue;
            }
            if let OutputKind::Object(to) = self.plan.outputs[number as usize].kind {
                self.carry_objects(&[(value, to)], usize::MAX, steps)?;
                number += 1;
                continue;
            }
            let output = BufferRef::Output(number);
            match self.renewed[i] {
                Some(input) => renewals.push((value, self.function.params()[input].value, output)),
                None => {
                    if let Some(rank) = self.rank_of(i) {
                        self.bind_rank(number, rank, steps)?;
                    }
                    self.alloc_output(number, steps)?;
                    self.copy(value, output, steps)?;
                }
            }
            number += 1;
        }
        // The old state is read by now, but for what becomes other state.
        let pairs: Vec<_> = renewals.iter().map(|(value, param, _)| (*value, *param)).collect();
        self.bind_types(pairs, "a state", steps)?;
        self.carry(&renewals, steps)
    }

    fn bind_rank(&mut self, output: u32, rank: ValueId, steps: &mut Vec<Step>) -> Result<(), Diagnostic> {
        let tensor = self.plan.outputs[output as usize].tensor().cloned();
        let Some(tensor) = tensor else { return Ok(()) };
        let Some(symbol) = tensor.rank.and_then(|it| self.plan.shapes.as_sym(it)) else { return Ok(()) };
        let (from, dtype) = (self.buffer_of(rank)?, self.tensor(rank)?.dtype);
        self.touch(from);
        self.emit(steps, Step::Bind { symbol, from, dtype, element: 0, source: self.source.clone() })?;
        self.bound.insert(symbol);
        let output = &self.plan.outputs[output as usize];
        let message = format!("the rank of output `{}`", output.name);
        let (rank, most) = (self.plan.shapes.sym_dim(symbol), tensor.dims.len() as i64);
        for constraint in [Constraint::AtLeast(rank, 0), Constraint::AtMost(rank, most)] {
            self.emit(
                steps,
                Step::Check(ShapeCheck { constraint, message: message.clone(), source: Source::default() }),
            )?;
        }
        Ok(())
    }

    /// Appends a step; every size that it needs is known here (law P1).
    pub(super) fn emit(&mut self, steps: &mut Vec<Step>, step: Step) -> Result<(), Diagnostic> {
        match &step {
            Step::Kernel { args, sizes, .. } => {
                sizes.iter().try_for_each(|it| self.require_bound(*it))?;
                args.iter().for_each(|it| self.touch(*it));
            }
            Step::Invoke { args, .. } => {
                for arg in args {
                    if let Arg::View(it) = arg {
                        it.dims.iter().try_for_each(|it| self.require_bound(*it))?;
                        self.touch(it.place);
                    }
                }
            }
            Step::Copy { bytes: size, .. } | Step::Let { value: size, .. } => self.require_bound(*size)?,
            Step::Check(check) => check.constraint.dims().try_for_each(|it| self.require_bound(it))?,
            Step::AllocOutput(output) => {
                let output = &self.plan.outputs[*output as usize];
                output.sizes().try_for_each(|it| self.require_bound(it))?;
            }
            Step::Object { op, .. } => op.sizes().iter().try_for_each(|it| self.require_bound(*it))?,
            Step::Move { .. }
            | Step::AllocArena(_)
            | Step::Bind { .. }
            | Step::If { .. }
            | Step::While { .. } => {}
        }
        steps.push(step);
        self.position += 1;
        Ok(())
    }
}
