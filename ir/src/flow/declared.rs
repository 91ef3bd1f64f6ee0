//! What functions declare while they change.

use super::infer::region_effects;
use super::{Definition, Function};
use crate::ops::OpRegistry;
use crate::types::Effects;
use indexmap::IndexMap;

/// What a function declared before it changed.
pub(super) struct Declared {
    effects: Effects,
    /// Whether these were those of its body and no more.
    exact: bool,
}

impl Declared {
    pub(super) fn of(
        ops: &OpRegistry,
        definitions: &IndexMap<String, Definition>,
        function: &Function,
    ) -> Declared {
        let found = region_effects(ops, definitions, function, function.body);
        Declared { effects: function.effects, exact: found == function.effects }
    }

    pub(super) fn effects(&self) -> Effects {
        self.effects
    }

    /// A function that declared no more effects than it had declares no more than are left.
    pub(super) fn settle(
        &self,
        ops: &OpRegistry,
        definitions: &IndexMap<String, Definition>,
        function: &mut Function,
    ) {
        if self.exact {
            function.effects = region_effects(ops, definitions, function, function.body);
        }
    }
}
