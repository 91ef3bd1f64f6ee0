//! Editing functions: the dataflow editor and dead code.

use super::infer::{InferEnv, Inferred, effects_of, infer};
use super::{
    Binding, BindingId, BlockId, BlockKind, Definition, Function, Module, Region, Rhs, Scope, User, Value,
    ValueDef, ValueId,
};
use crate::diag::Diagnostic;
use crate::ops::{OpRegistry, Requirement};
use crate::shape::ShapeCx;
use crate::types::{ConstPool, Effects, TensorData, TensorType, Type};
use indexmap::{IndexMap, IndexSet};
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
            Rhs::CallExtern { callee, .. } => match definitions.get(callee) {
                Some(Definition::Extern(it)) => it.ty.effects,
                _ => return Err(self),
            },
            Rhs::Call { callee, .. } => match definitions.get(callee) {
                Some(Definition::Function(it)) => it.effects,
                _ => return Err(self),
            },
            Rhs::If { .. } | Rhs::While { .. } => return Err(self),
            Rhs::MatchCast { .. } | Rhs::Check { .. } => Effects::ABORT,
            Rhs::Constant(_)
            | Rhs::CallKernel { .. }
            | Rhs::View { .. }
            | Rhs::Tuple(_)
            | Rhs::Get { .. } => Effects::PURE,
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
        let (results, requirements) = match inferred {
            Some(Inferred { results, requirements }) => (results, requirements),
            // Control flow is never pure.
            None => (SmallVec::new(), Vec::new()),
        };
        for Requirement { constraint, message } in requirements {
            if self.shapes.prove(constraint).is_always() {
                continue;
            }
            if let Err(contradiction) = self.shapes.assume(constraint) {
                return Err(Diagnostic::error("S001", message).note(contradiction.to_string()));
            }
            self.append(Rhs::Check { constraint, message }, []);
        }
        Ok(self.append(rhs, results))
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

/// Whether a binding may go when nobody uses its results: pure, or a `match_cast` or operator that at most aborts and
/// binds no symbol. A `check` states what the user asked for and has no results to be unused; it stays.
fn is_removable(
    ops: &OpRegistry,
    definitions: &IndexMap<String, Definition>,
    function: &Function,
    binding: &Binding,
) -> bool {
    match &binding.rhs {
        Rhs::Check { .. } | Rhs::MatchCast { .. } => false,
        rhs => {
            effects_of(ops, definitions, function, rhs).allowed_in_dataflow() && !binding.results.is_empty()
        }
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

    /// Removes what nobody uses from every function; returns how many bindings went. Checks, `match_cast`s and
    /// everything with effects stays.
    pub fn remove_dead_code(&mut self, ops: &OpRegistry) -> usize {
        let mut removed = 0;
        for at in 0..self.definitions.len() {
            let Definition::Function(function) = &self.definitions[at] else { continue };
            let mut function = function.clone();
            removed += function.remove_dead_code(ops, &self.definitions);
            self.definitions[at] = Definition::Function(function);
        }
        removed
    }
}

impl Function {
    /// A function of the same type and effects without anything in it.
    fn stand_in(other: &Function) -> Function {
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
            body,
            values,
            bindings: Arena::new(),
            blocks: Arena::new(),
            regions,
        }
    }

    /// Makes every live user of `from` use `to`, results of regions included, but for the binding that defines `to`.
    /// `to` becomes region-scoped when `from` is. Returns how many users changed.
    pub fn replace_all_uses(&mut self, from: ValueId, to: ValueId) -> usize {
        let defines_to = match self.values[to].def {
            ValueDef::Result(binding, _) => Some(binding),
            _ => None,
        };
        let users = self.users().get(from).cloned().unwrap_or_default();
        let mut changed = 0;
        for user in users {
            let replace = |it: ValueId| if it == from { to } else { it };
            match user {
                User::Binding(binding) if Some(binding) == defines_to => continue,
                User::Binding(binding) => self.bindings[binding].rhs.map_operands(&mut { replace }),
                User::Region(region) => {
                    self.regions[region].results.iter_mut().for_each(|it| *it = replace(*it))
                }
            }
            changed += 1;
        }
        if self.values[from].scope == Scope::Region {
            self.values[to].scope = Scope::Region;
        }
        changed
    }

    /// Removes live bindings whose results nobody uses, until none is left, and blocks that become empty; returns how
    /// many bindings went. Checks, `match_cast`s and everything with effects stays. An unused `If` or `While` goes when
    /// it is pure.
    pub fn remove_dead_code(
        &mut self,
        ops: &OpRegistry,
        definitions: &IndexMap<String, Definition>,
    ) -> usize {
        let mut removed = 0;
        loop {
            let uses = self.uses();
            let dead: IndexSet<BindingId> = self
                .live_bindings()
                .into_iter()
                .filter(|id| {
                    let binding = &self.bindings[*id];
                    let unused = binding.results.iter().all(|it| uses.get(*it).copied().unwrap_or(0) == 0);
                    // A loop that may abort may also never end; only a pure one is known to be of no account.
                    let control = !binding.rhs.regions().is_empty();
                    let effects = effects_of(ops, definitions, self, &binding.rhs);
                    unused && is_removable(ops, definitions, self, binding) && (!control || effects.is_pure())
                })
                .collect();
            if dead.is_empty() {
                break;
            }
            removed += dead.len();
            for (_, block) in self.live_blocks() {
                self.blocks[block].order.retain(|it| !dead.contains(it));
            }
        }
        let mut regions = Vec::new();
        self.visit_regions(&mut |it| regions.push(it));
        for region in regions {
            let blocks = &self.blocks;
            self.regions[region].blocks.retain(|it| !blocks[*it].order.is_empty());
        }
        removed
    }
}
