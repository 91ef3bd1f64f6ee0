//! Dead code.

use super::declared::Declared;
use super::infer::effects_of;
use super::{
    Binding, BindingId, BlockId, BlockKind, Definition, Function, Module, RegionId, Rhs, Scope, ValueId,
};
use crate::ops::OpRegistry;
use crate::shape::{ShapeCx, Sym};
use crate::types::{bound_symbols, visit_dims};
use indexmap::{IndexMap, IndexSet};

/// Whether a binding may go when nobody uses its results and the symbols that it [binds](binds): at most aborting,
/// as an index out of range does, and all the same inside of control flow. A `check` or a `match_cast` states what the
/// user asked for; it stays.
pub(super) fn is_removable(
    ops: &OpRegistry,
    definitions: &IndexMap<String, Definition>,
    function: &Function,
    binding: &Binding,
) -> bool {
    if matches!(binding.rhs, Rhs::Check { .. } | Rhs::MatchCast { .. }) || binding.results.is_empty() {
        return false;
    }
    let regions = binding.rhs.regions();
    if regions.is_empty() {
        return effects_of(ops, definitions, function, &binding.rhs).allowed_in_dataflow();
    }
    let blocks = regions.iter().flat_map(|it| &function.regions[*it].blocks);
    let mut inside = blocks.flat_map(|it| &function.blocks[*it].order);
    inside.all(|it| is_removable(ops, definitions, function, &function.bindings[*it]))
}

/// Symbols that the results of an operator, of control flow or of a call may bind (law F7): those of their types that no
/// operand has, nor any size that a kernel is given.
pub(super) fn binds(shapes: &ShapeCx, function: &Function, binding: &Binding) -> IndexSet<Sym> {
    let mut symbols = IndexSet::new();
    if binding.rhs.may_bind() {
        let ty = |value: ValueId| &function.values[value].ty;
        for result in &binding.results {
            bound_symbols(shapes, ty(*result), &mut |sym| {
                symbols.insert(sym);
            });
        }
        binding.rhs.visit_operands(&mut |it| {
            bound_symbols(shapes, ty(it), &mut |sym| {
                symbols.shift_remove(&sym);
            });
        });
        if let Rhs::Call { sizes, .. } = &binding.rhs {
            let given: IndexSet<Sym> = sizes.iter().flat_map(|it| shapes.free_symbols(*it)).collect();
            symbols.retain(|it| !given.contains(it));
        }
        // What a parameter of the function binds is known before everything.
        if !symbols.is_empty() {
            for param in &function.regions[function.body].params {
                bound_symbols(shapes, ty(*param), &mut |sym| {
                    symbols.shift_remove(&sym);
                });
            }
        }
    }
    symbols
}

impl Rhs {
    /// Whether the results may be of a size that nothing before knows.
    pub(super) fn may_bind(&self) -> bool {
        matches!(self, Rhs::Op { .. } | Rhs::If { .. } | Rhs::While { .. } | Rhs::Call { .. })
    }
}

impl Function {
    /// Symbols that the results of a binding bind (law F7), those of a `match_cast` aside: sizes that nothing before
    /// knows.
    pub fn binds(&self, shapes: &ShapeCx, binding: BindingId) -> IndexSet<Sym> {
        binds(shapes, self, &self.bindings[binding])
    }
}

impl Module {
    /// Removes what nobody uses from every function; returns how many bindings went. Checks, `match_cast`s and
    /// everything with effects stays.
    pub fn remove_dead_code(&mut self, ops: &OpRegistry) -> usize {
        let mut removed = 0;
        for at in 0..self.definitions.len() {
            let Some((_, Definition::Function(function))) = self.definitions.get_index_mut(at) else {
                continue;
            };
            // While it is walked, a function of the same type stands for it: it may call itself.
            let mut taken = std::mem::replace(function, Function::stand_in(function));
            let declared = Declared::of(ops, &self.definitions, &taken);
            removed += taken.remove_dead_code(ops, &self.shapes, &self.definitions);
            declared.settle(ops, &self.definitions, &mut taken);
            self.definitions[at] = Definition::Function(taken);
        }
        removed
    }
}

impl Function {
    /// Removes live bindings of whose results and symbols nobody makes use, and blocks that become empty; dataflow blocks
    /// between which nothing is left become one. Returns how many bindings went.
    fn remove_dead_code(
        &mut self,
        ops: &OpRegistry,
        shapes: &ShapeCx,
        definitions: &IndexMap<String, Definition>,
    ) -> usize {
        let (used, needed) = (IndexSet::new(), IndexSet::new());
        let mut sweep = Sweep { ops, shapes, definitions, used, needed, removed: 0, joined: false };
        sweep.region(self, self.body);
        if sweep.joined {
            self.narrow_scopes();
        }
        sweep.removed
    }

    /// Values of dataflow blocks that are used nowhere else are local to them.
    pub(super) fn narrow_scopes(&mut self) {
        let mut outside: IndexSet<ValueId> = IndexSet::new();
        self.visit_regions(&mut |it| outside.extend(self.regions[it].results.iter().copied()));
        let mut home: IndexMap<ValueId, BlockId> = IndexMap::new();
        let blocks = self.live_blocks();
        for (_, block) in &blocks {
            for id in &self.blocks[*block].order {
                let binding = &self.bindings[*id];
                binding.rhs.visit_operands(&mut |it| {
                    if home.get(&it).is_some_and(|home| home != block) {
                        outside.insert(it);
                    }
                });
                home.extend(binding.results.iter().map(|it| (*it, *block)));
            }
        }
        for (value, block) in home {
            let local = self.blocks[block].kind == BlockKind::Dataflow && !outside.contains(&value);
            self.values[value].scope = if local { Scope::BlockLocal } else { Scope::Region };
        }
    }
}

/// A walk against the program order, which sees every use before the definition.
struct Sweep<'a> {
    ops: &'a OpRegistry,
    shapes: &'a ShapeCx,
    definitions: &'a IndexMap<String, Definition>,
    used: IndexSet<ValueId>,
    /// Symbols in the types and sizes of what stays.
    needed: IndexSet<Sym>,
    removed: usize,
    /// Whether two blocks became one.
    joined: bool,
}

impl Sweep<'_> {
    fn region(&mut self, function: &mut Function, region: RegionId) {
        self.used.extend(function.regions[region].results.iter().copied());
        let mut blocks = function.regions[region].blocks.clone();
        blocks.reverse();
        blocks.retain(|block| {
            let before = std::mem::take(&mut function.blocks[*block].order);
            let mut order: Vec<BindingId> = Vec::with_capacity(before.len());
            for id in before.into_iter().rev() {
                match self.is_dead(function, id) {
                    true => self.removed += 1,
                    false => {
                        self.keep(function, id);
                        order.push(id);
                    }
                }
            }
            order.reverse();
            function.blocks[*block].order = order;
            !function.blocks[*block].order.is_empty()
        });
        blocks.reverse();
        function.regions[region].blocks = self.joined(function, blocks);
    }

    /// The blocks with neighbours joined that are both of dataflow.
    fn joined(&mut self, function: &mut Function, blocks: Vec<BlockId>) -> Vec<BlockId> {
        let mut kept: Vec<BlockId> = Vec::with_capacity(blocks.len());
        for block in blocks {
            match kept.last() {
                Some(last)
                    if [*last, block].iter().all(|it| function.blocks[*it].kind == BlockKind::Dataflow) =>
                {
                    let order = std::mem::take(&mut function.blocks[block].order);
                    function.blocks[*last].order.extend(order);
                    self.joined = true;
                }
                _ => kept.push(block),
            }
        }
        kept
    }

    fn is_dead(&self, function: &Function, id: BindingId) -> bool {
        let binding = &function.bindings[id];
        !binding.results.iter().any(|it| self.used.contains(it))
            && is_removable(self.ops, self.definitions, function, binding)
            && binds(self.shapes, function, binding).is_disjoint(&self.needed)
    }

    fn keep(&mut self, function: &mut Function, id: BindingId) {
        let binding = &function.bindings[id];
        binding.rhs.visit_operands(&mut |it| {
            self.used.insert(it);
        });
        let (shapes, needed) = (self.shapes, &mut self.needed);
        let mut need = |dim| needed.extend(shapes.free_symbols(dim));
        binding.results.iter().for_each(|it| visit_dims(&function.values[*it].ty, &mut need));
        match &binding.rhs {
            Rhs::Check { constraint, .. } => constraint.dims().for_each(need),
            Rhs::Call { sizes, .. } => sizes.iter().copied().for_each(need),
            Rhs::MatchCast { ty, .. } | Rhs::View { ty, .. } => visit_dims(ty, &mut need),
            _ => {}
        }
        for region in binding.rhs.regions().into_iter().rev() {
            self.region(function, region);
        }
    }
}
