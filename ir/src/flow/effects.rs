//! Effects that follow from bodies, and dataflow blocks where there are none.

use super::infer::{effects_of, region_effects};
use super::{Block, BlockKind, Definition, Module};
use crate::ops::OpRegistry;
use crate::types::Effects;

impl Module {
    /// Makes every function declare what its body may do and no more (law F12): the least effects with which all laws
    /// hold, also of functions that call each other. Returns whether any declared more.
    pub fn narrow_effects(&mut self, ops: &OpRegistry) -> bool {
        let mut before = Vec::new();
        for definition in self.definitions.values_mut() {
            if let Definition::Function(function) = definition {
                before.push(std::mem::replace(&mut function.effects, Effects::PURE));
            }
        }
        // Effects only grow, and there are few of them.
        let mut grows = true;
        while grows {
            grows = false;
            for at in 0..self.definitions.len() {
                let Definition::Function(function) = &self.definitions[at] else { continue };
                let found = region_effects(ops, &self.definitions, function, function.body);
                let Definition::Function(function) = &mut self.definitions[at] else { continue };
                if !function.effects.contains(found) {
                    function.effects = function.effects | found;
                    grows = true;
                }
            }
        }
        self.functions().zip(before).any(|((_, function), before)| function.effects != before)
    }

    /// Runs of bindings of effect blocks that a dataflow block holds (laws F4 and F5) become dataflow blocks, where they are.
    /// Returns whether there are any.
    pub fn form_dataflow(&mut self, ops: &OpRegistry) -> bool {
        let mut formed = false;
        for at in 0..self.definitions.len() {
            let Definition::Function(function) = &self.definitions[at] else { continue };
            let mut parts = Vec::new();
            for (region, block) in function.live_blocks() {
                if function.blocks[block].kind == BlockKind::Dataflow {
                    continue;
                }
                let mut runs: Vec<Block> = Vec::new();
                for id in &function.blocks[block].order {
                    let rhs = &function.bindings[*id].rhs;
                    let pure = rhs.regions().is_empty()
                        && effects_of(ops, &self.definitions, function, rhs).allowed_in_dataflow();
                    let kind = if pure { BlockKind::Dataflow } else { BlockKind::Effect };
                    match runs.last_mut() {
                        Some(run) if run.kind == kind => run.order.push(*id),
                        _ => runs.push(Block { kind, order: vec![*id] }),
                    }
                }
                if runs.iter().any(|it| it.kind == BlockKind::Dataflow) {
                    parts.push((region, block, runs));
                }
            }
            let Definition::Function(function) = &mut self.definitions[at] else { continue };
            formed |= !parts.is_empty();
            for (region, block, runs) in &mut parts {
                let new: Vec<_> = runs.drain(..).map(|it| function.blocks.alloc(it)).collect();
                function.blocks[*block].order.clear();
                let blocks = &mut function.regions[*region].blocks;
                let place = blocks.iter().position(|it| it == block);
                let place = place.expect("a live block is in its region");
                blocks.splice(place..=place, new);
            }
            if !parts.is_empty() {
                function.narrow_scopes();
            }
        }
        formed
    }
}
