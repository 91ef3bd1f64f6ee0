//! The editor: how a function changes once it is built.
//!
//! # Laws
//! * **E1** A dataflow block takes nothing with effects but the possibility to abort, and no control flow (laws F4, F5).
//! * **E2** What replaces a value is its operand everywhere; uses are counted exactly, at any time.
//! * **E3** A value that is used outside of the block that defines it is of scope `Region` (law F3).
//! * **E4** A function declares the effects of what is put into it (law F12).
//! * **E5** A binding has types when it is there, and a check in front of it for each equality that they need (law F6).
//! * **E6** An edit takes as long as what it changes: an operand, a use, a result.

use super::dead::binds;
use super::infer::{InferEnv, Inferred, effects_of, infer, region_effects};
use super::{
    Binding, BindingId, Block, BlockId, BlockKind, Definition, Function, Module, Output, Parameter, Region,
    RegionId, Rhs, Scope, Value, ValueDef, ValueId,
};
use crate::diag::Diagnostic;
use crate::kernel::Kernel;
use crate::ops::{OpId, OpRegistry, Requirement};
use crate::order::Sequences;
use crate::shape::{ShapeCx, Sym};
use crate::types::{Attrs, ConstId, ConstPool, Effects, Source, TensorData, TensorType, Type};
use indexmap::{IndexMap, IndexSet};
use la_arena::{Arena, ArenaMap};
use smallvec::SmallVec;

/// Edits one function; see [`Module::edit`].
///
/// New bindings go to the insertion point: [`before`](Self::before) or [`after`](Self::after) a binding, whose source
/// they have.
pub struct Editor<'m> {
    ops: &'m OpRegistry,
    /// Where dimensions live.
    pub shapes: &'m mut ShapeCx,
    constants: &'m mut ConstPool,
    /// What calls may name; something of the same type stands for the edited function.
    definitions: &'m mut IndexMap<String, Definition>,
    function: &'m mut Function,
    /// Live blocks with their regions in program order.
    blocks: Vec<(RegionId, BlockId)>,
    /// The region of each live block.
    regions: ArenaMap<BlockId, RegionId>,
    /// Regions that are not removed.
    live: IndexSet<RegionId>,
    /// Bindings in order, a sequence for each block; the blocks themselves hold none meanwhile.
    order: Sequences<Binding>,
    /// Uses of each value, and some that are none any more.
    users: ArenaMap<ValueId, Vec<Use>>,
    /// How many uses there are.
    counts: ArenaMap<ValueId, usize>,
    point: Option<Point>,
    source: Source,
}

/// An operand of a binding or a result of a region.
#[derive(Clone, Copy, Debug)]
struct Use {
    user: User,
    place: usize,
}

#[derive(Clone, Copy, Debug)]
enum User {
    Binding(BindingId),
    Region(RegionId),
}

#[derive(Clone, Copy, Debug)]
struct Point {
    block: BlockId,
    /// The end of the block when there is none, or when it went.
    before: Option<BindingId>,
}

impl<'m> Editor<'m> {
    fn new(
        ops: &'m OpRegistry,
        shapes: &'m mut ShapeCx,
        constants: &'m mut ConstPool,
        definitions: &'m mut IndexMap<String, Definition>,
        function: &'m mut Function,
    ) -> Self {
        let mut editor = Editor {
            ops,
            shapes,
            constants,
            definitions,
            blocks: function.live_blocks(),
            regions: ArenaMap::default(),
            live: IndexSet::new(),
            order: Sequences::new(function.blocks.len()),
            users: ArenaMap::default(),
            counts: ArenaMap::default(),
            point: None,
            source: Source::default(),
            function,
        };
        let live = &mut editor.live;
        editor.function.visit_regions(&mut |it| {
            live.insert(it);
        });
        for region in editor.live.clone() {
            for (place, value) in editor.function.regions[region].results.clone().into_iter().enumerate() {
                editor.add_use(value, Use { user: User::Region(region), place });
            }
        }
        for (region, block) in editor.blocks.clone() {
            editor.regions.insert(block, region);
            for id in std::mem::take(&mut editor.function.blocks[block].order) {
                editor.order.insert(id, None, number(block));
                editor.add_uses(id);
            }
        }
        editor
    }

    /// Puts the order back into the blocks.
    fn finish(self) {
        for (_, block) in &self.blocks {
            self.function.blocks[*block].order = self.order.iter(number(*block)).collect();
        }
    }

    /// The operator table.
    pub fn ops(&self) -> &'m OpRegistry {
        self.ops
    }

    /// The constants.
    pub fn constants(&self) -> &ConstPool {
        self.constants
    }

    /// What calls may name.
    pub fn definitions(&self) -> &IndexMap<String, Definition> {
        self.definitions
    }

    /// The body of the function.
    pub fn body(&self) -> RegionId {
        self.function.body
    }

    /// The parameters of the function.
    pub fn params(&self) -> &[Parameter] {
        &self.function.params
    }

    /// Adds a result of the function, under a name that no other has (law F10).
    pub fn add_output(&mut self, name: &str, value: ValueId) {
        let body = self.function.body;
        let place = self.function.regions[body].results.len();
        self.function.regions[body].results.push(value);
        self.function.outputs.push(Output::new(name));
        self.function.values[value].scope = Scope::Region;
        self.add_use(value, Use { user: User::Region(body), place });
    }

    /// A region; its blocks hold their bindings when the editor is gone, see [`order`](Self::order).
    pub fn region(&self, id: RegionId) -> &Region {
        &self.function.regions[id]
    }

    /// The blocks in program order; a block comes before those nested in it.
    pub fn blocks(&self) -> Vec<BlockId> {
        self.blocks.iter().map(|(_, block)| *block).collect()
    }

    /// What a block admits.
    pub fn kind(&self, block: BlockId) -> BlockKind {
        self.function.blocks[block].kind
    }

    /// The bindings of a block in order, as they are now.
    pub fn order(&self, block: BlockId) -> Vec<BindingId> {
        self.order.iter(number(block)).collect()
    }

    /// All bindings, block by block, as they are now.
    pub fn bindings(&self) -> Vec<BindingId> {
        self.blocks.iter().flat_map(|(_, block)| self.order.iter(number(*block))).collect()
    }

    /// A binding.
    pub fn binding(&self, id: BindingId) -> &Binding {
        &self.function.bindings[id]
    }

    /// The block that a binding is in; none once it is removed.
    pub fn block_of(&self, id: BindingId) -> Option<BlockId> {
        self.order.of(id).map(|it| BlockId::from_raw(la_arena::RawIdx::from_u32(it as u32)))
    }

    /// A value.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.function.values[id]
    }

    /// The type of a value.
    pub fn type_of(&self, value: ValueId) -> &Type {
        &self.function.values[value].ty
    }

    /// The right-hand side that defines a value; `None` for parameters.
    pub fn defining_rhs(&self, value: ValueId) -> Option<&Rhs> {
        self.function.defining_rhs(value)
    }

    /// The data of a value that is bound to a constant.
    pub fn constant_data(&self, value: ValueId) -> Option<&TensorData> {
        match self.defining_rhs(value)? {
            Rhs::Constant(id) => Some(self.constants.data(*id)),
            _ => None,
        }
    }

    /// How often a value is used: operands and results of regions.
    pub fn uses(&self, value: ValueId) -> usize {
        self.counts.get(value).copied().unwrap_or(0)
    }

    /// Symbols that the results of a binding bind; see [`Function::binds`].
    pub fn binds(&self, id: BindingId) -> IndexSet<Sym> {
        binds(self.shapes, self.function, self.binding(id))
    }

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
        if self.definitions.contains_key(kernel.name()) {
            return Err(Diagnostic::error("B003", format!("the module defines `@{}` twice", kernel.name())));
        }
        self.definitions.insert(kernel.name().to_owned(), Definition::Kernel(kernel));
        Ok(())
    }

    /// Gives a binding another right-hand side, which computes the same results.
    ///
    /// # Errors
    /// As [`emit_as`](Self::emit_as).
    pub fn set_rhs(&mut self, id: BindingId, rhs: Rhs) -> Result<(), Diagnostic> {
        let (point, block) = (self.point, self.block_of(id));
        self.point = block.map(|block| Point { block, before: Some(id) });
        let admitted = self.admit(&rhs);
        self.point = point;
        admitted?;
        self.drop_uses(id);
        self.function.bindings[id].rhs = rhs;
        if block.is_some() {
            self.add_uses(id);
        }
        Ok(())
    }

    /// Says where a binding came from.
    pub fn set_source(&mut self, id: BindingId, source: Source) {
        self.function.bindings[id].source = source;
    }

    /// Says that a binding stands for another one too.
    pub fn add_source(&mut self, id: BindingId, of: BindingId) {
        let source = self.function.bindings[of].source.clone();
        self.function.bindings[id].source.add(&source);
    }

    /// Makes everything that uses `from` use `to`, results of regions included, but for the binding that defines `to`.
    /// The name goes along when `to` has none.
    pub fn replace(&mut self, from: ValueId, to: ValueId) {
        if from == to {
            return;
        }
        let defines_to = self.definition(to);
        let outside = self.home(from) != self.home(to);
        let mut own = Vec::new();
        for it in self.users.remove(from).unwrap_or_default() {
            let live = match it.user {
                User::Binding(binding) => self.order.of(binding).is_some(),
                User::Region(region) => self.live.contains(&region),
            };
            if !live {
                continue;
            }
            let Some(operand) = self.operand(it).filter(|operand| **operand == from) else { continue };
            if matches!(it.user, User::Binding(binding) if Some(binding) == defines_to) {
                own.push(it);
                continue;
            }
            *operand = to;
            self.count(from, -1);
            self.add_use(to, it);
        }
        self.users.insert(from, own);
        if outside || self.function.values[from].scope == Scope::Region {
            self.function.values[to].scope = Scope::Region;
        }
        if self.function.values[to].name.is_none() {
            self.function.values[to].name = self.function.values[from].name.take();
        }
    }

    /// Takes a binding out of the program, with what is nested in it. Its results must not be used any more (law F1).
    pub fn remove(&mut self, id: BindingId) {
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            if let Some(point) = &mut self.point
                && point.before == Some(id)
            {
                point.before = self.order.after(id);
            }
            self.drop_uses(id);
            self.order.remove(id);
            for region in self.function.bindings[id].rhs.regions() {
                self.live.swap_remove(&region);
                for result in self.function.regions[region].results.clone() {
                    self.count(result, -1);
                }
                for block in &self.function.regions[region].blocks {
                    stack.extend(self.order.iter(number(*block)));
                }
            }
        }
    }

    fn infer(&mut self, rhs: &Rhs) -> Result<Inferred, Diagnostic> {
        let env = InferEnv { ops: self.ops, constants: self.constants, signatures: &*self.definitions };
        let values = &self.function.values;
        // Control flow, of which nothing is inferred, is not admitted.
        Ok(infer(env, self.shapes, rhs, &|it| values[it].ty.clone())?.unwrap_or_default())
    }

    /// Law E1 at the insertion point, and law E4.
    fn admit(&mut self, rhs: &Rhs) -> Result<(), Diagnostic> {
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

    fn definition(&self, value: ValueId) -> Option<BindingId> {
        match self.function.values[value].def {
            ValueDef::Result(binding, _) => Some(binding),
            _ => None,
        }
    }

    /// The block whose binding defines a value.
    fn home(&self, value: ValueId) -> Option<usize> {
        self.order.of(self.definition(value)?)
    }

    fn operand(&mut self, it: Use) -> Option<&mut ValueId> {
        match it.user {
            User::Binding(binding) => self.function.bindings[binding].rhs.operands_mut().get_mut(it.place),
            User::Region(region) => self.function.regions[region].results.get_mut(it.place),
        }
    }

    fn count(&mut self, value: ValueId, change: isize) {
        let count = self.uses(value).saturating_add_signed(change);
        self.counts.insert(value, count);
    }

    fn add_use(&mut self, value: ValueId, it: Use) {
        self.count(value, 1);
        match self.users.get_mut(value) {
            Some(users) => users.push(it),
            None => drop(self.users.insert(value, vec![it])),
        }
    }

    /// Notes the operands of a binding in a block (laws E2 and E3).
    fn add_uses(&mut self, id: BindingId) {
        let block = self.order.of(id);
        for (place, value) in self.function.bindings[id].rhs.operands().into_iter().enumerate() {
            self.add_use(value, Use { user: User::Binding(id), place });
            if self.definition(value).is_some() && self.home(value) != block {
                self.function.values[value].scope = Scope::Region;
            }
        }
    }

    fn drop_uses(&mut self, id: BindingId) {
        if self.order.of(id).is_some() {
            for value in self.function.bindings[id].rhs.operands() {
                self.count(value, -1);
            }
        }
    }
}

fn number(block: BlockId) -> usize {
    block.into_raw().into_u32() as usize
}

impl Module {
    /// Adds a function without results that does nothing yet; an editor fills it.
    ///
    /// # Errors
    /// `B002`: two parameters of one name. `B003`: a name that is taken.
    pub fn declare(
        &mut self,
        name: &str,
        params: impl IntoIterator<Item = (String, Type, Option<ConstId>)>,
    ) -> Result<(), Diagnostic> {
        if self.definitions.contains_key(name) {
            return Err(Diagnostic::error("B003", format!("the module defines `@{name}` twice")));
        }
        let mut function = Function::empty();
        let mut names = IndexSet::new();
        for (i, (name, ty, default)) in (0..).zip(params) {
            if !names.insert(name.clone()) {
                return Err(Diagnostic::error("B002", format!("two inputs are called `{name}`")));
            }
            let (def, scope) = (ValueDef::Param(i), Scope::Region);
            let value = function.values.alloc(Value { ty, def, scope, name: Some(name.clone()) });
            function.params.push(Parameter { name, value, default });
        }
        self.definitions.insert(name.to_owned(), Definition::Function(function));
        Ok(())
    }

    /// Edits every function, in order. While it is edited, something of the same type stands for it: it may call itself.
    ///
    /// # Errors
    /// The first error of `edit`; the module is whole then, but partly edited.
    pub fn edit<E>(
        &mut self,
        ops: &OpRegistry,
        mut edit: impl FnMut(&mut Editor<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut result, mut more) = (Ok(()), false);
        for at in 0..self.definitions.len() {
            let Some((_, Definition::Function(function))) = self.definitions.get_index_mut(at) else {
                continue;
            };
            let mut taken = std::mem::replace(function, Function::stand_in(function));
            let (shapes, constants, declared) = (&mut self.shapes, &mut self.constants, taken.effects);
            let mut editor = Editor::new(ops, shapes, constants, &mut self.definitions, &mut taken);
            result = edit(&mut editor);
            editor.finish();
            more |= taken.effects != declared;
            self.definitions[at] = Definition::Function(taken);
            if result.is_err() {
                break;
            }
        }
        if more {
            self.declare_effects(ops);
        }
        result
    }

    /// Functions declare what those that they call declare.
    fn declare_effects(&mut self, ops: &OpRegistry) {
        for at in 0..self.definitions.len() {
            let Definition::Function(function) = &self.definitions[at] else { continue };
            let found = region_effects(ops, &self.definitions, function, function.body);
            if let Definition::Function(function) = &mut self.definitions[at] {
                function.effects = function.effects | found;
            }
        }
    }

    /// Puts kernels before functions; either keep their order.
    pub fn kernels_first(&mut self) {
        let (kernels, functions): (Vec<_>, Vec<_>) = std::mem::take(&mut self.definitions)
            .into_iter()
            .partition(|(_, it)| matches!(it, Definition::Kernel(_)));
        self.definitions.extend(kernels);
        self.definitions.extend(functions);
    }
}

impl Function {
    /// A function without anything in it.
    pub(super) fn empty() -> Function {
        let mut regions = Arena::new();
        let body = regions.alloc(Region::default());
        Function {
            params: Vec::new(),
            outputs: Vec::new(),
            effects: Effects::PURE,
            private: false,
            body,
            values: Arena::new(),
            bindings: Arena::new(),
            blocks: Arena::new(),
            regions,
        }
    }

    /// A function of the same type and effects without anything in it.
    pub(super) fn stand_in(other: &Function) -> Function {
        let mut function = Function::empty();
        let mut copy = |value: ValueId| function.values.alloc(other.values[value].clone());
        function.params = other
            .params
            .iter()
            .map(|it| Parameter { name: it.name.clone(), value: copy(it.value), default: it.default })
            .collect();
        function.regions[function.body].results = other.results().iter().map(|it| copy(*it)).collect();
        function.outputs.clone_from(&other.outputs);
        function.effects = other.effects;
        function.private = other.private;
        function
    }
}
