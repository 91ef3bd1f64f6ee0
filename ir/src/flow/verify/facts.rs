//! What is known at a point of a walk.

use super::Check;
use crate::flow::infer::{InferEnv, infer};
use crate::flow::{Binding, BindingId, Function, Rhs, ValueId};
use crate::shape::{Constraint, Dim, SavedFacts, ShapeCx, Sym};
use crate::types::{match_type, pair_dims, visit_dims};
use indexmap::IndexMap;

/// The module's shapes with the facts that checks and casts up to here establish.
pub(super) struct Known<'m> {
    pub(super) shapes: ShapeCx,
    /// Whether no run that ends well comes here: a check contradicts what is known.
    pub(super) unreachable: bool,
    env: InferEnv<'m>,
    function: &'m Function,
    saved: Vec<(SavedFacts, bool)>,
}

impl<'m> Known<'m> {
    pub(super) fn of(check: &Check<'m>) -> Self {
        let (module, function) = (check.module, check.function);
        let env = InferEnv { ops: check.ops, constants: &module.constants, signatures: &module.definitions };
        Known { shapes: module.shapes.clone(), unreachable: false, env, function, saved: Vec::new() }
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
            Rhs::Op { .. } => self.fresh_sizes(id),
            _ => {}
        }
    }

    /// What an operator says of the sizes that it binds.
    fn fresh_sizes(&mut self, id: BindingId) {
        let binding = &self.function.bindings[id];
        if self.function.binds(&self.shapes, id).is_empty() {
            return;
        }
        let type_of = |value: ValueId| self.function.values[value].ty.clone();
        // An operation that cannot be inferred breaks law F6.
        let Ok(Some(inferred)) = infer(self.env, &mut self.shapes, &binding.rhs, &type_of) else { return };
        let mut map = operand_symbols(&mut self.shapes, self.function, binding);
        for (value, ty) in binding.results.iter().zip(&inferred.results) {
            match_type(&mut self.shapes, ty, &self.function.values[*value].ty, &mut map);
        }
        for fact in inferred.facts {
            if let Ok(fact) = fact.map(&mut |dim| self.shapes.substitute(dim, &map)) {
                self.assume(fact);
            }
        }
    }

    fn assume(&mut self, constraint: Constraint) {
        self.unreachable |= self.shapes.assume(constraint).is_err();
    }
}

/// The symbols in the types of a binding's operands, which stand for themselves.
pub(super) fn operand_symbols(
    shapes: &mut ShapeCx,
    function: &Function,
    binding: &Binding,
) -> IndexMap<Sym, Dim> {
    let mut symbols = IndexMap::new();
    binding.rhs.visit_operands(&mut |operand| {
        visit_dims(&function.values[operand].ty, &mut |dim| {
            for sym in shapes.free_symbols(dim) {
                symbols.insert(sym, shapes.sym_dim(sym));
            }
        });
    });
    symbols
}
