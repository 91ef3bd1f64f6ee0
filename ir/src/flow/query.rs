//! Questions about functions.

use super::{BindingId, BlockId, Definition, Function, Module, RegionId, Rhs, ValueDef, ValueId};
use indexmap::IndexSet;
use la_arena::ArenaMap;
use smallvec::SmallVec;

impl Rhs {
    /// Calls `visit` with every operand; what nested regions use is not among them.
    pub fn visit_operands(&self, visit: &mut dyn FnMut(ValueId)) {
        match self {
            Rhs::Op { args, .. }
            | Rhs::Call { args, .. }
            | Rhs::Tuple(args)
            | Rhs::While { init: args, .. } => args.iter().for_each(|it| visit(*it)),
            Rhs::MatchCast { value, .. } | Rhs::View { value, .. } => visit(*value),
            Rhs::Get { tuple, .. } => visit(*tuple),
            Rhs::If { cond, .. } => visit(*cond),
            Rhs::Constant(_) | Rhs::Check { .. } => {}
        }
    }

    /// Replaces every operand.
    pub fn map_operands(&mut self, map: &mut dyn FnMut(ValueId) -> ValueId) {
        match self {
            Rhs::Op { args, .. }
            | Rhs::Call { args, .. }
            | Rhs::Tuple(args)
            | Rhs::While { init: args, .. } => args.iter_mut().for_each(|it| *it = map(*it)),
            Rhs::MatchCast { value, .. } | Rhs::View { value, .. } => *value = map(*value),
            Rhs::Get { tuple, .. } => *tuple = map(*tuple),
            Rhs::If { cond, .. } => *cond = map(*cond),
            Rhs::Constant(_) | Rhs::Check { .. } => {}
        }
    }

    /// The operands in order.
    pub fn operands(&self) -> SmallVec<[ValueId; 3]> {
        let mut list = SmallVec::new();
        self.visit_operands(&mut |it| list.push(it));
        list
    }

    /// The nested regions in order.
    pub fn regions(&self) -> SmallVec<[RegionId; 2]> {
        match self {
            Rhs::If { then_region, else_region, .. } => SmallVec::from_buf([*then_region, *else_region]),
            Rhs::While { cond, body, .. } => SmallVec::from_buf([*cond, *body]),
            _ => SmallVec::new(),
        }
    }
}

impl Module {
    /// The functions with their names, in order.
    pub fn functions(&self) -> impl DoubleEndedIterator<Item = (&str, &Function)> {
        self.definitions.iter().filter_map(|(name, definition)| match definition {
            Definition::Function(function) => Some((name.as_str(), function)),
            Definition::Kernel(_) => None,
        })
    }

    /// The function of that name.
    pub fn function(&self, name: &str) -> Option<&Function> {
        match self.definitions.get(name)? {
            Definition::Function(function) => Some(function),
            Definition::Kernel(_) => None,
        }
    }

    /// The function that a module is about, with its name: the last one, which may call those before it.
    pub fn entry(&self) -> Option<(&str, &Function)> {
        self.functions().next_back()
    }
}

/// One use of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// An operand of a binding.
    Binding(BindingId),
    /// A result of a region.
    Region(RegionId),
}

impl Function {
    /// The right-hand side that defines a value; `None` for parameters.
    pub fn defining_rhs(&self, value: ValueId) -> Option<&Rhs> {
        match self.values[value].def {
            ValueDef::Result(binding, _) => Some(&self.bindings[binding].rhs),
            _ => None,
        }
    }

    /// Calls `visit` with every live region, outer ones before those nested in them.
    pub fn visit_regions(&self, visit: &mut dyn FnMut(RegionId)) {
        let mut stack = vec![self.body];
        while let Some(region) = stack.pop() {
            visit(region);
            for block in self.regions[region].blocks.iter().rev() {
                for binding in self.blocks[*block].order.iter().rev() {
                    stack.extend(self.bindings[*binding].rhs.regions().into_iter().rev());
                }
            }
        }
    }

    /// All live blocks with their regions in program order; a block comes before those nested in it.
    pub fn live_blocks(&self) -> Vec<(RegionId, BlockId)> {
        let mut list = Vec::new();
        let mut stack = vec![self.body];
        let mut blocks: Vec<(RegionId, BlockId)> = Vec::new();
        loop {
            while let Some(region) = stack.pop() {
                blocks.extend(self.regions[region].blocks.iter().rev().map(|block| (region, *block)));
            }
            let Some((region, block)) = blocks.pop() else { return list };
            list.push((region, block));
            // The last region is popped first, so that its blocks lie below those of the ones before it.
            let nested = self.blocks[block].order.iter().map(|it| self.bindings[*it].rhs.regions());
            stack.extend(nested.flatten());
        }
    }

    /// What the live regions return.
    pub fn returned_values(&self) -> IndexSet<ValueId> {
        let mut returned = IndexSet::new();
        self.visit_regions(&mut |region| returned.extend(self.regions[region].results.iter().copied()));
        returned
    }

    /// All live bindings; a block's bindings in order.
    pub fn live_bindings(&self) -> Vec<BindingId> {
        self.live_blocks()
            .into_iter()
            .flat_map(|(_, block)| self.blocks[block].order.iter().copied())
            .collect()
    }

    /// Who uses each value, live users only: a side table that is out of date after the next edit.
    pub fn users(&self) -> ArenaMap<ValueId, SmallVec<[User; 2]>> {
        let mut users: ArenaMap<ValueId, SmallVec<[User; 2]>> = ArenaMap::default();
        let mut add = |value: ValueId, user: User| match users.get_mut(value) {
            Some(list) => list.push(user),
            None => {
                users.insert(value, smallvec::smallvec![user]);
            }
        };
        self.visit_regions(&mut |region| {
            for block in &self.regions[region].blocks {
                for binding in &self.blocks[*block].order {
                    self.bindings[*binding].rhs.visit_operands(&mut |it| add(it, User::Binding(*binding)));
                }
            }
            self.regions[region].results.iter().for_each(|it| add(*it, User::Region(region)));
        });
        users
    }

    /// How often each value is used, live uses only.
    pub fn uses(&self) -> ArenaMap<ValueId, usize> {
        let mut uses = ArenaMap::default();
        for (value, users) in self.users().iter() {
            uses.insert(value, users.len());
        }
        uses
    }

    /// The block that holds each live binding.
    pub fn homes(&self) -> ArenaMap<BindingId, BlockId> {
        let mut homes = ArenaMap::default();
        for (_, block) in self.live_blocks() {
            for binding in &self.blocks[block].order {
                homes.insert(*binding, block);
            }
        }
        homes
    }
}
