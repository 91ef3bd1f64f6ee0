//! New bindings.

use super::module::define;
use super::{Editor, number};
use crate::diag::Diagnostic;
use crate::flow::infer::{InferEnv, Inferred, effects_of, infer};
use crate::flow::{Binding, BindingId, Block, BlockId, BlockKind, Rhs, Scope, Value, ValueDef, ValueId};
use crate::kernel::Kernel;
use crate::ops::{OpId, Requirement};
use crate::types::{Attrs, Source, TensorData, TensorType, Type};
use smallvec::SmallVec;

/// Where new bindings go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) block: BlockId,
    /// The end of the block when there is none, or when it went.
    pub(super) before: Option<BindingId>,
}

impl Editor<'_> {
    /// New bindings go in front of this one, and have its source.
    pub fn before(&mut self, id: BindingId) {
        self.set_point(id, Some(id));
    }

    /// New bindings go behind this one, and have its source.
    pub fn after(&mut self, id: BindingId) {
        self.set_point(id, self.order.after(id));
    }

    /// New bindings go to the end of the dataflow block that ends the body, which is added when there is none, and have
    /// this source.
    pub fn at_end(&mut self, source: &Source) {
        self.point = None;
        self.source.clone_from(source);
    }

    fn set_point(&mut self, of: BindingId, before: Option<BindingId>) {
        self.source.clone_from(&self.function.bindings[of].source);
        self.point = self.block_of(of).map(|block| Point { block, before });
    }

    /// Adds a constant of the pool as a binding.
    pub fn constant(&mut self, name: &str, data: TensorData) -> ValueId {
        let ty = Type::Tensor(TensorType::of_constant(self.shapes, &data));
        let id = self.constants.add(name, data);
        self.insert(Rhs::Constant(id), [ty])[0]
    }

    /// Adds a binding and returns its results. Equalities that inference requires and that are not known become `check`
    /// bindings before it, and facts outside of branches and loops (law E5).
    ///
    /// # Errors
    /// What inference reports; `S001`: what it requires never holds; and what [`emit_as`](Self::emit_as) refuses.
    pub fn emit(&mut self, rhs: Rhs) -> Result<SmallVec<[ValueId; 1]>, Diagnostic> {
        self.admit(&rhs)?;
        let Inferred { results, requirements, facts } = self.infer(&rhs)?;
        for Requirement { constraint, message } in requirements {
            if self.shapes.prove(constraint).is_always() {
                continue;
            }
            let everywhere =
                self.point.and_then(|it| self.regions.get(it.block)) == Some(&self.function.body);
            let saved = (!everywhere).then(|| self.shapes.save_facts());
            let assumed = self.shapes.assume(constraint);
            if let Some(saved) = saved {
                self.shapes.restore_facts(saved);
            }
            if let Err(contradiction) = assumed {
                return Err(Diagnostic::error("S001", message).note(contradiction.to_string()));
            }
            let check = Rhs::Check { constraint, message };
            self.admit(&check)?;
            self.insert(check, []);
        }
        for fact in facts {
            // It follows from what the operator means: nothing that is known contradicts it.
            let _ = self.shapes.assume(fact);
        }
        Ok(self.insert(rhs, results))
    }

    /// Adds a binding whose results have these types, which inference would find or which follow from what it would
    /// find (law F6).
    ///
    /// # Errors
    /// `B027`: effects that a dataflow block does not hold, or control flow (law E1). `B023`: a callee that is not there.
    pub fn emit_as(
        &mut self,
        rhs: Rhs,
        types: impl IntoIterator<Item = Type>,
    ) -> Result<SmallVec<[ValueId; 1]>, Diagnostic> {
        self.admit(&rhs)?;
        Ok(self.insert(rhs, types))
    }

    /// Adds an operation and returns its results; see [`emit`](Self::emit).
    ///
    /// # Errors
    /// Those of [`emit`](Self::emit).
    pub fn op(
        &mut self,
        op: OpId,
        attrs: Attrs,
        args: &[ValueId],
    ) -> Result<SmallVec<[ValueId; 1]>, Diagnostic> {
        self.emit(Rhs::Op { op, attrs, args: args.into() })
    }

    /// Adds an operation of one result, unless that needs a check at run time or does not fit.
    pub fn op_without_checks(&mut self, op: OpId, attrs: Attrs, args: &[ValueId]) -> Option<ValueId> {
        let rhs = Rhs::Op { op, attrs, args: args.into() };
        let Inferred { results, requirements, facts } = self.infer(&rhs).ok()?;
        if !requirements.is_empty() || results.len() != 1 {
            return None;
        }
        self.admit(&rhs).ok()?;
        for fact in facts {
            let _ = self.shapes.assume(fact);
        }
        Some(self.insert(rhs, results)[0])
    }

    /// Adds a kernel that calls may name.
    ///
    /// # Errors
    /// `B003`: a name that is taken.
    pub fn define(&mut self, kernel: Kernel) -> Result<(), Diagnostic> {
        define(self.definitions, kernel)
    }

    fn infer(&mut self, rhs: &Rhs) -> Result<Inferred, Diagnostic> {
        let env = InferEnv { ops: self.ops, constants: self.constants, signatures: &*self.definitions };
        let values = &self.function.values;
        // Control flow, of which nothing is inferred, is not admitted.
        Ok(infer(env, self.shapes, rhs, &|it| values[it].ty.clone())?.unwrap_or_default())
    }

    /// Law E1 at the insertion point, and law E4.
    pub(super) fn admit(&mut self, rhs: &Rhs) -> Result<(), Diagnostic> {
        if !rhs.regions().is_empty() {
            return Err(Diagnostic::error(
                "B027",
                "branches and loops are built, not edited into a function",
            )
            .help("build them with a `FlowBuilder`"));
        }
        if let Rhs::Call { callee, .. } = rhs
            && !self.definitions.contains_key(callee)
        {
            let message = format!("the module defines no function or kernel `{callee}`");
            return Err(Diagnostic::error("B023", message));
        }
        let effects = effects_of(self.ops, self.definitions, self.function, rhs);
        let kind = self.point.map(|it| self.function.blocks[it.block].kind);
        if kind != Some(BlockKind::Effect) && !effects.allowed_in_dataflow() {
            let what = match rhs {
                Rhs::Op { op, .. } => self.ops.def(*op).name,
                Rhs::Call { callee, .. } => callee.as_str(),
                _ => "it",
            };
            let message = format!("a dataflow block does not hold the effects of `{what}`");
            return Err(Diagnostic::error("B027", message));
        }
        self.function.effects = self.function.effects | effects;
        Ok(())
    }

    /// Adds a binding that is admitted, at the insertion point; without one at the end of the body.
    fn insert(&mut self, rhs: Rhs, types: impl IntoIterator<Item = Type>) -> SmallVec<[ValueId; 1]> {
        let point = self.point.unwrap_or_else(|| self.end_of_body());
        let scope = match self.kind(point.block) {
            BlockKind::Dataflow => Scope::BlockLocal,
            BlockKind::Effect => Scope::Region,
        };
        let source = self.source.clone();
        let function = &mut *self.function;
        let id = function.bindings.alloc(Binding { results: SmallVec::new(), rhs, source });
        let results: SmallVec<[ValueId; 1]> = (0..)
            .zip(types)
            .map(|(i, ty)| {
                function.values.alloc(Value { ty, def: ValueDef::Result(id, i), scope, name: None })
            })
            .collect();
        function.bindings[id].results.clone_from(&results);
        self.order.insert(id, point.before, number(point.block));
        self.add_uses(id);
        results
    }

    /// The end of a dataflow block that ends the body; adds one when it ends otherwise.
    fn end_of_body(&mut self) -> Point {
        let body = self.function.body;
        let last = self.function.regions[body].blocks.last().copied();
        let block = last.filter(|it| self.kind(*it) == BlockKind::Dataflow).unwrap_or_else(|| {
            let block = self.function.blocks.alloc(Block { kind: BlockKind::Dataflow, order: Vec::new() });
            self.function.regions[body].blocks.push(block);
            self.blocks.push((body, block));
            self.regions.insert(block, body);
            self.order.grow(self.function.blocks.len());
            block
        });
        Point { block, before: None }
    }
}
