//! Names of values in print order.

use crate::flow::{BindingId, BlockId, Function, RegionId, ValueId};
use crate::text::{NameAllocator, Numbering, exists};
use indexmap::IndexSet;
use la_arena::ArenaMap;

/// Names of the values of one function, without the sigil.
pub(super) struct ValueNames {
    names: ArenaMap<ValueId, String>,
}

impl ValueNames {
    /// Hands out names in the order in which the printer meets definitions.
    pub(super) fn of(function: &Function, numbering: Numbering) -> Self {
        let mut walk = Walk {
            function,
            numbering,
            allocator: NameAllocator::new(),
            names: ArenaMap::default(),
            seen: IndexSet::new(),
        };
        function.params.iter().for_each(|it| walk.name(it.value));
        walk.region(function.body);
        ValueNames { names: walk.names }
    }

    /// `%name`; a value that nothing defines has a name that no definition has.
    pub(super) fn get(&self, value: ValueId) -> String {
        match self.names.get(value) {
            Some(name) => format!("%{name}"),
            None => format!("%undefined.{}", value.into_raw().into_u32()),
        }
    }
}

struct Walk<'f> {
    function: &'f Function,
    numbering: Numbering,
    allocator: NameAllocator,
    names: ArenaMap<ValueId, String>,
    seen: IndexSet<RegionId>,
}

impl Walk<'_> {
    fn name(&mut self, value: ValueId) {
        if self.names.contains_idx(value) {
            return;
        }
        let wish = exists(&self.function.values, value).and_then(|it| it.name.as_deref());
        let name = self.numbering.name(&mut self.allocator, wish, value.into_raw().into_u32());
        self.names.insert(value, name);
    }

    fn region(&mut self, id: RegionId) {
        let Some(region) = exists(&self.function.regions, id).filter(|_| self.seen.insert(id)) else {
            return;
        };
        region.params.iter().for_each(|it| self.name(*it));
        for block in &region.blocks {
            self.block(*block);
        }
    }

    fn block(&mut self, id: BlockId) {
        let Some(block) = exists(&self.function.blocks, id) else { return };
        for binding in &block.order {
            self.binding(*binding);
        }
    }

    fn binding(&mut self, id: BindingId) {
        let Some(binding) = exists(&self.function.bindings, id) else { return };
        binding.results.iter().for_each(|it| self.name(*it));
        binding.rhs.regions().into_iter().for_each(|it| self.region(it));
    }
}
