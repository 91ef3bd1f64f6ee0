//! The dataflow editor.

use super::dead::{binds, is_removable};
use super::infer::{InferEnv, Inferred, infer};
use super::{
    Binding, BindingId, BlockId, BlockKind, Definition, Function, Module, Region, Rhs, Scope, Value,
    ValueDef, ValueId,
};
use crate::diag::Diagnostic;
use crate::ops::{OpId, OpRegistry, Requirement};
use crate::shape::ShapeCx;
use crate::types::{Attrs, ConstPool, Effects, TensorData, TensorType, Type};
use indexmap::IndexMap;
use la_arena::Arena;
use smallvec::SmallVec;

/// A right-hand side that a dataflow block admits: no effects but `ABORT`, no control flow (laws F4 and F5).
///
/// Only [`Rhs::into_pure`] makes one, so an effect inside a dataflow block cannot be written down.
#[derive(Clone, Debug)]
pub struct PureRhs(Rhs);

impl PureRhs {
    /// The right-hand side.
    pub fn into_inner(self) -> Rhs {
        self.0
    }
}

impl Rhs {
    /// The right-hand side as one that a dataflow block admits.
    ///
    /// # Errors
    /// The right-hand side itself when it has effects or is control flow.
    pub fn into_pure(
        self,
        ops: &OpRegistry,
        definitions: &IndexMap<String, Definition>,
    ) -> Result<PureRhs, Rhs> {
        let effects = match &self {
            Rhs::Op { op, .. } => ops.def(*op).effects,
            Rhs::Call { callee, .. } => match definitions.get(callee) {
                Some(definition) => definition.effects(),
                None => return Err(self),
            },
            Rhs::If { .. } | Rhs::While { .. } => return Err(self),
            Rhs::MatchCast { .. } | Rhs::Check { .. } => Effects::ABORT,
            Rhs::Constant(_) | Rhs::View { .. } | Rhs::Tuple(_) | Rhs::Get { .. } => Effects::PURE,
        };
        if effects.allowed_in_dataflow() { Ok(PureRhs(self)) } else { Err(self) }
    }
}

/// Edits one dataflow block. Every emitted binding has its types at once.
///
/// New bindings go to the insertion point: in front of the binding of the last [`set_point`](Self::set_point), at the
/// end without one.
pub struct DataflowEditor<'m> {
    ops: &'m OpRegistry,
    /// Where dimensions live.
    pub shapes: &'m mut ShapeCx,
    constants: &'m mut ConstPool,
    /// What calls may name; the edited function is not among them.
    definitions: &'m IndexMap<String, Definition>,
    function: &'m mut Function,
    block: BlockId,
    point: Option<BindingId>,
    source: String,
}

impl<'m> DataflowEditor<'m> {
    /// An editor of a block of `function`; `None` when it is no dataflow block.
    ///
    /// `definitions` are what calls may name. A caller that edits a function of a module takes it out first, as
    /// [`Module::edit_dataflow`] does.
    pub fn new(
        ops: &'m OpRegistry,
        shapes: &'m mut ShapeCx,
        constants: &'m mut ConstPool,
        definitions: &'m IndexMap<String, Definition>,
        function: &'m mut Function,
        block: BlockId,
    ) -> Option<Self> {
        (function.blocks[block].kind == BlockKind::Dataflow).then(|| DataflowEditor {
            ops,
            shapes,
            constants,
            definitions,
            function,
            block,
            point: None,
            source: String::new(),
        })
    }

    /// The function.
    pub fn function(&self) -> &Function {
        self.function
    }

    /// The constants.
    pub fn constants(&self) -> &ConstPool {
        self.constants
    }

    /// The operator table.
    pub fn ops(&self) -> &'m OpRegistry {
        self.ops
    }

    /// The bindings of the block in order.
    pub fn order(&self) -> &[BindingId] {
        &self.function.blocks[self.block].order
    }

    /// The binding.
    pub fn binding(&self, id: BindingId) -> &Binding {
        &self.function.bindings[id]
    }

    /// The type of a value.
    pub fn type_of(&self, value: ValueId) -> &Type {
        &self.function.values[value].ty
    }

    /// The data of a value that is bound to a constant.
    pub fn constant_data(&self, value: ValueId) -> Option<&TensorData> {
        match self.function.defining_rhs(value)? {
            Rhs::Constant(id) => Some(self.constants.data(*id)),
            _ => None,
        }
    }

    /// New bindings go in front of `binding` and have its source; `None`: to the end, without source.
    pub fn set_point(&mut self, binding: Option<BindingId>) {
        self.point = binding;
        self.source = binding.map(|it| self.function.bindings[it].source.clone()).unwrap_or_default();
    }

    /// Adds a constant of the pool as a binding.
    pub fn constant(&mut self, name: &str, data: TensorData) -> ValueId {
        let ty = Type::Tensor(TensorType::of_constant(self.shapes, &data));
        let id = self.constants.add(name, data);
        self.append(Rhs::Constant(id), [ty])[0]
    }

    /// Adds a binding and returns its results. Equalities that inference requires and that are not known become
    /// `check` bindings before it, and facts.
    ///
    /// # Errors
    /// What inference reports.
    pub fn emit(&mut self, rhs: PureRhs) -> Result<SmallVec<[ValueId; 1]>, Diagnostic> {
        let rhs = rhs.0;
        let env = InferEnv { ops: self.ops, constants: self.constants, signatures: self.definitions };
        let values = &self.function.values;
        let inferred = infer(env, self.shapes, &rhs, &|it| values[it].ty.clone())?;
        // Control flow, of which nothing is inferred, is never pure.
        let Inferred { results, requirements, facts } = inferred.unwrap_or_default();
        for Requirement { constraint, message } in requirements {
            if self.shapes.prove(constraint).is_always() {
                continue;
            }
            if let Err(contradiction) = self.shapes.assume(constraint) {
                return Err(Diagnostic::error("S001", message).note(contradiction.to_string()));
            }
            self.append(Rhs::Check { constraint, message }, []);
        }
        for fact in facts {
            // It follows from what the operator means: nothing that is known contradicts it.
            let _ = self.shapes.assume(fact);
        }
        Ok(self.append(rhs, results))
    }

    /// Emits an operation at the insertion point and returns its results; see [`emit`](Self::emit).
    ///
    /// # Errors
    /// What inference reports; and `B027`: an operator with effects.
    pub fn op(
        &mut self,
        op: OpId,
        attrs: Attrs,
        args: &[ValueId],
    ) -> Result<SmallVec<[ValueId; 1]>, Diagnostic> {
        let rhs = Rhs::Op { op, attrs, args: args.iter().copied().collect() };
        let rhs = rhs.into_pure(self.ops, self.definitions).map_err(|_| {
            let name = self.ops.def(op).name;
            Diagnostic::error("B027", format!("a dataflow block does not hold the effects of `{name}`"))
        })?;
        self.emit(rhs)
    }

    fn append(&mut self, rhs: Rhs, types: impl IntoIterator<Item = Type>) -> SmallVec<[ValueId; 1]> {
        let function = &mut *self.function;
        let homes = &function.blocks[self.block].order;
        let at = self.point.and_then(|it| homes.iter().position(|other| *other == it)).unwrap_or(homes.len());
        let source = self.source.clone();
        let binding = function.bindings.alloc(Binding { results: SmallVec::new(), rhs, source });
        let results: SmallVec<[ValueId; 1]> = (0..)
            .zip(types)
            .map(|(i, ty)| {
                let def = ValueDef::Result(binding, i);
                function.values.alloc(Value { ty, def, scope: Scope::BlockLocal, name: None })
            })
            .collect();
        function.bindings[binding].results.clone_from(&results);
        function.blocks[self.block].order.insert(at, binding);
        results
    }

    /// Makes everything that used `from` use `to`, also behind the block; see [`Function::replace_all_uses`].
    pub fn replace_all_uses(&mut self, from: ValueId, to: ValueId) {
        self.function.replace_all_uses(from, to);
    }

    /// Takes a binding out of the order. Its results must not be used any more (law F1).
    pub fn remove(&mut self, binding: BindingId) {
        self.function.blocks[self.block].order.retain(|it| *it != binding);
        if self.point == Some(binding) {
            self.point = None;
        }
    }

    /// Removes bindings of the block whose results nobody uses, checks excepted; returns how many.
    pub fn remove_dead(&mut self) -> usize {
        let before = self.order().len();
        let mut uses = self.function.uses();
        let mut order = self.order().to_vec();
        order.reverse();
        order.retain(|id| {
            let binding = &self.function.bindings[*id];
            let dead = is_removable(self.ops, self.definitions, self.function, binding)
                && binds(self.shapes, self.function, binding).is_empty()
                && binding.results.iter().all(|it| uses.get(*it).copied().unwrap_or(0) == 0);
            if dead {
                binding.rhs.visit_operands(&mut |it| {
                    if let Some(count) = uses.get_mut(it) {
                        *count -= 1;
                    }
                });
            }
            !dead
        });
        order.reverse();
        self.function.blocks[self.block].order = order;
        before - self.order().len()
    }
}

impl Module {
    /// Runs `edit` on every dataflow block of every function, in program order, with the function taken out of the
    /// module while it is edited.
    ///
    /// # Errors
    /// The first error of `edit`; the module is whole then, but partly edited.
    pub fn edit_dataflow<E>(
        &mut self,
        ops: &OpRegistry,
        mut edit: impl FnMut(&mut DataflowEditor<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for at in 0..self.definitions.len() {
            let Some((_, definition)) = self.definitions.get_index_mut(at) else { break };
            let Definition::Function(function) = definition else { continue };
            let blocks: Vec<BlockId> = function.live_blocks().into_iter().map(|(_, block)| block).collect();
            // While it is edited, a function of the same type stands for it: it may call itself.
            let mut taken = std::mem::replace(function, Function::stand_in(function));
            let mut result = Ok(());
            for block in blocks {
                let editor = DataflowEditor::new(
                    ops,
                    &mut self.shapes,
                    &mut self.constants,
                    &self.definitions,
                    &mut taken,
                    block,
                );
                if let Some(mut editor) = editor {
                    result = edit(&mut editor);
                }
                if result.is_err() {
                    break;
                }
            }
            self.definitions[at] = Definition::Function(taken);
            result?;
        }
        Ok(())
    }
}

impl Function {
    /// A function of the same type and effects without anything in it.
    pub(super) fn stand_in(other: &Function) -> Function {
        let mut values = Arena::new();
        let copy = |values: &mut Arena<Value>, value: ValueId| values.alloc(other.values[value].clone());
        let params = other
            .params
            .iter()
            .map(|it| super::Parameter { name: it.name.clone(), value: copy(&mut values, it.value) });
        let params = params.collect();
        let results = other.regions[other.body].results.iter().map(|it| copy(&mut values, *it)).collect();
        let mut regions = Arena::new();
        let body = regions.alloc(Region { results, ..Region::default() });
        Function {
            params,
            outputs: other.outputs.clone(),
            effects: other.effects,
            private: other.private,
            body,
            values,
            bindings: Arena::new(),
            blocks: Arena::new(),
            regions,
        }
    }
}
