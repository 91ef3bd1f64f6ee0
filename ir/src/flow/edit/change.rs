//! Changes of what is there, and the uses of values.

use super::emit::Point;
use super::{Editor, number};
use crate::diag::Diagnostic;
use crate::flow::{BindingId, Output, RegionId, Rhs, Scope, ValueDef, ValueId};
use crate::types::Source;

/// An operand of a binding or a result of a region.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    pub(super) user: User,
    pub(super) place: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum User {
    Binding(BindingId),
    Region(RegionId),
}

impl Editor<'_> {
    /// Adds a result of the function, under a name that no other has (law F10).
    pub fn add_output(&mut self, name: &str, value: ValueId) {
        let body = self.function.body;
        let place = self.function.regions[body].results.len();
        self.function.regions[body].results.push(value);
        self.function.outputs.push(Output::new(name));
        self.function.values[value].scope = Scope::Region;
        self.add_use(value, Use { user: User::Region(body), place });
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

    /// Moves a binding in front of another one of its block. What it reads must stand before, and what reads it after (law
    /// F1).
    pub fn move_before(&mut self, id: BindingId, next: BindingId) {
        if id != next && self.order.of(id) == self.order.of(next) && self.order.remove(id) {
            self.order.insert(id, Some(next), 0);
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

    pub(super) fn add_use(&mut self, value: ValueId, it: Use) {
        self.count(value, 1);
        match self.users.get_mut(value) {
            Some(users) => users.push(it),
            None => drop(self.users.insert(value, vec![it])),
        }
    }

    /// Notes the operands of a binding in a block (laws E2 and E3).
    pub(super) fn add_uses(&mut self, id: BindingId) {
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
