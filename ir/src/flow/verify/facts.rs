//! What is known at a point of a walk.

use crate::flow::{BindingId, Function, Module, Rhs};
use crate::shape::{Constraint, SavedFacts, ShapeCx};
use crate::types::pair_dims;

/// The module's shapes with the facts that checks and casts up to here establish.
pub(super) struct Known<'m> {
    pub(super) shapes: ShapeCx,
    /// Whether no run that ends well comes here: a check contradicts what is known.
    pub(super) unreachable: bool,
    function: &'m Function,
    saved: Vec<(SavedFacts, bool)>,
}

impl<'m> Known<'m> {
    pub(super) fn of(module: &Module, function: &'m Function) -> Self {
        Known { shapes: module.shapes.clone(), unreachable: false, function, saved: Vec::new() }
    }

    pub(super) fn enter_region(&mut self) {
        self.saved.push((self.shapes.save_facts(), self.unreachable));
    }

    /// What a region establishes ends with it.
    pub(super) fn leave_region(&mut self) {
        if let Some((facts, unreachable)) = self.saved.pop() {
            self.shapes.restore_facts(facts);
            self.unreachable = unreachable;
        }
    }

    /// What holds after the binding. After a contradiction any type will do, to the end of the region.
    pub(super) fn establish(&mut self, id: BindingId) {
        let mut pairs = Vec::new();
        match &self.function.bindings[id].rhs {
            Rhs::Check { constraint, .. } => self.assume(*constraint),
            Rhs::MatchCast { value, ty } => {
                pair_dims(&self.function.values[*value].ty, ty, &mut pairs);
                pairs.into_iter().for_each(|(a, b)| self.assume(Constraint::Eq(a, b)));
            }
            _ => {}
        }
    }

    fn assume(&mut self, constraint: Constraint) {
        self.unreachable |= self.shapes.assume(constraint).is_err();
    }
}
