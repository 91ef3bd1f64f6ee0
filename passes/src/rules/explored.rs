//! Rules for equality saturation alone.

use crate::rewrite::{AnyRule, Rewrite, parse, shipped_names, taken};
use orogen_ir::diag::Diagnostic;
use orogen_ir::ops::OpRegistry;
use std::sync::{Arc, OnceLock};

/// Those that ship.
pub const RULES: &str = include_str!("../../rules/explore.rules");

/// Rules that no pass applies until none applies: those that ship, read when they are needed first, which takes longer than
/// most compilers live without them, and those that a user adds.
#[derive(Clone, Debug, Default)]
pub struct ExploredRules {
    added: Vec<AnyRule>,
    shipped: Arc<OnceLock<Vec<AnyRule>>>,
}

impl ExploredRules {
    /// Adds a rule.
    ///
    /// # Errors
    /// `N004`: a name that is taken.
    pub fn insert(&mut self, rule: Arc<Rewrite>) -> Result<(), Diagnostic> {
        if self.contains(&rule.name) {
            return Err(taken(&rule.name));
        }
        self.added.push(AnyRule::Text(rule));
        Ok(())
    }

    /// Whether there is a rule of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.added.iter().any(|it| it.name() == name) || shipped_names(RULES).any(|it| it == name)
    }

    /// The rules: those that ship, then those that were added.
    ///
    /// # Panics
    /// When `ops` lacks a standard operator.
    pub fn rules(&self, ops: &OpRegistry) -> impl Iterator<Item = &AnyRule> {
        let read = || {
            let rules = parse(RULES, ops).unwrap_or_else(|it| panic!("rules over standard operators:\n{it}"));
            rules.into_iter().map(|it| AnyRule::Text(Arc::new(it))).collect()
        };
        self.shipped.get_or_init(read).iter().chain(&self.added)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_once() {
        let ops = OpRegistry::standard();
        let rule = |name: &str| {
            let text = format!("rule {name} bitwise explored\n  add(x, y) => add(y, x)");
            Arc::new(parse(&text, &ops).expect("a rule").swap_remove(0))
        };
        let mut rules = ExploredRules::default();
        let shipped = rules.rules(&ops).count();
        assert!(rules.insert(rule("turned")).is_ok());
        let names: Vec<&str> = rules.rules(&ops).map(AnyRule::name).collect();
        assert_eq!((names.len(), names.last()), (shipped + 1, Some(&"turned")));
        for taken in ["turned", "transpose-after-unary"] {
            assert_eq!(rules.insert(rule(taken)).map_err(|it| it.code), Err("N004"), "{taken}");
        }
        assert!(rules.rules(&ops).all(|it| matches!(it, AnyRule::Text(rule) if rule.explored)));
    }
}
