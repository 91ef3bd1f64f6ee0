//! Walking a function in program order.

use crate::flow::{BindingId, BlockId, Function, RegionId};

/// What a walk meets, in program order. Regions nested in a binding come between `before` and `after` it.
pub(super) trait Visit {
    fn enter_region(&mut self, _region: RegionId) {}
    fn leave_region(&mut self, _region: RegionId) {}
    fn enter_block(&mut self, _block: BlockId) {}
    fn leave_block(&mut self, _block: BlockId) {}
    fn before(&mut self, _binding: BindingId) {}
    fn after(&mut self, _binding: BindingId) {}
}

pub(super) fn walk(function: &Function, visit: &mut dyn Visit) {
    region(function, function.body, visit);
}

fn region(function: &Function, id: RegionId, visit: &mut dyn Visit) {
    visit.enter_region(id);
    for block in &function.regions[id].blocks {
        visit.enter_block(*block);
        for binding in &function.blocks[*block].order {
            visit.before(*binding);
            for nested in function.bindings[*binding].rhs.regions() {
                region(function, nested, visit);
            }
            visit.after(*binding);
        }
        visit.leave_block(*block);
    }
    visit.leave_region(id);
}
