//! Traversal and rewriting of a flow function in program order.

use indexmap::{IndexMap, IndexSet};
use orogen_ir::flow::{BindingId, BlockId, Function, RegionId, Rhs, ValueId};
use orogen_ir::ops::OpRegistry;
use orogen_ir::types::Effects;

/// All blocks in program order; a block comes before the blocks of regions nested in it.
pub fn blocks_in_order(function: &Function) -> Vec<BlockId> {
    fn visit(function: &Function, region: RegionId, blocks: &mut Vec<BlockId>) {
        for block in &function.regions[region].blocks {
            blocks.push(*block);
            for binding in &function.blocks[*block].order {
                for nested in function.bindings[*binding].rhs.regions() {
                    visit(function, nested, blocks);
                }
            }
        }
    }
    let mut blocks = Vec::new();
    visit(function, function.body, &mut blocks);
    blocks
}

/// Replacements of values by earlier values, applied as a pass walks down the program.
#[derive(Debug, Default)]
pub struct Replacements(IndexMap<ValueId, ValueId>);

impl Replacements {
    /// Uses of `from` become uses of `to`.
    pub fn insert(&mut self, from: ValueId, to: ValueId) {
        let to = self.get(to);
        self.0.insert(from, to);
    }

    /// What `value` is replaced by, itself if nothing.
    pub fn get(&self, value: ValueId) -> ValueId {
        self.0.get(&value).copied().unwrap_or(value)
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Applies all replacements to operands and region results, and widens the scope of what is now used
    /// elsewhere.
    pub fn apply(&self, function: &mut Function) {
        if self.is_empty() {
            return;
        }
        for (_, binding) in function.bindings.iter_mut() {
            binding.rhs.map_operands(&mut |it| self.get(it));
        }
        for (_, region) in function.regions.iter_mut() {
            for result in &mut region.results {
                *result = self.get(*result);
            }
        }
        for to in self.0.values() {
            function.values[*to].scope = orogen_ir::flow::Scope::Region;
        }
    }
}

/// Values that regions return, where a backward walk begins.
pub fn live_out(function: &Function) -> IndexSet<ValueId> {
    let mut live: IndexSet<ValueId> = function.regions[function.body].results.iter().copied().collect();
    for block in blocks_in_order(function) {
        for binding in &function.blocks[block].order {
            for region in function.bindings[*binding].rhs.regions() {
                live.extend(function.regions[region].results.iter().copied());
            }
        }
    }
    live
}

/// Removes bindings whose results nothing uses and that have no effects; returns whether there were any.
pub fn remove_dead(function: &mut Function, ops: &OpRegistry) -> bool {
    let mut live = live_out(function);
    let mut changed = false;
    // Reverse program order sees every use before the definition, nested regions included.
    for block in blocks_in_order(function).into_iter().rev() {
        let order = std::mem::take(&mut function.blocks[block].order);
        let mut kept: Vec<BindingId> = Vec::with_capacity(order.len());
        for id in order.into_iter().rev() {
            let binding = &function.bindings[id];
            if is_removable(&binding.rhs, ops) && !binding.results.iter().any(|it| live.contains(it)) {
                changed = true;
                continue;
            }
            live.extend(binding.rhs.operands());
            kept.push(id);
        }
        kept.reverse();
        function.blocks[block].order = kept;
    }
    for (_, region) in function.regions.iter_mut() {
        region.blocks.retain(|block| !function.blocks[*block].order.is_empty());
    }
    changed
}

/// Whether a binding may vanish when its results are not used. A `match_cast` binds symbols that types use, so it
/// stays.
fn is_removable(rhs: &Rhs, ops: &OpRegistry) -> bool {
    match rhs {
        Rhs::Op { op, .. } => {
            let effects = ops.def(*op).effects;
            effects == Effects::PURE || effects == Effects::ABORT
        }
        Rhs::Constant(_) | Rhs::CallKernel { .. } | Rhs::View { .. } | Rhs::Tuple(_) | Rhs::Get { .. } => {
            true
        }
        _ => false,
    }
}
