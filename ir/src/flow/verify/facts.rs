//! What is known at a point of a walk.

use crate::flow::{BindingId, Function, Module, Rhs};
use crate::shape::{Constraint, SavedFacts, ShapeCx};
use crate::types::pair_dims;

/// The module's shapes with the facts that checks and casts up to here establish.
pub(super) struct Known<'m> {
    pub(super) shapes: ShapeCx,
    function: &'m Function,
    saved: Vec<SavedFacts>,
}

impl<'m> Known<'m> {
    pub(super) fn of(module: &Module, function: &'m Function) -> Self {
        Known { shapes: module.shapes.clone(), function, saved: Vec::new() }
    }

    pub(super) fn enter_region(&mut self) {
        self.saved.push(self.shapes.save_facts());
    }

    /// What a region establishes ends with it.
    pub(super) fn leave_region(&mut self) {
        self.saved.pop().into_iter().for_each(|it| self.shapes.restore_facts(it));
    }

    /// What holds after the binding. A contradiction means that what follows is never reached: any type will do.
    pub(super) fn establish(&mut self, id: BindingId) {
        match &self.function.bindings[id].rhs {
            Rhs::Check { constraint, .. } => drop(self.shapes.assume(*constraint)),
            Rhs::MatchCast { value, ty } => {
                let mut pairs = Vec::new();
                pair_dims(&self.function.values[*value].ty, ty, &mut pairs);
                pairs.into_iter().for_each(|(a, b)| drop(self.shapes.assume(Constraint::Eq(a, b))));
            }
            _ => {}
        }
    }
}
