//! Replacing values by others.

use super::{Function, Scope, User, ValueDef, ValueId};
use indexmap::IndexMap;

/// Replacements of values by earlier values, collected on a walk down the program and applied at once.
#[derive(Clone, Debug, Default)]
pub struct Replacements(IndexMap<ValueId, ValueId>);

impl Replacements {
    /// Uses of `from` become uses of `to`.
    pub fn insert(&mut self, from: ValueId, to: ValueId) {
        let to = self.get(to);
        self.0.insert(from, to);
    }

    /// What `value` is replaced by, itself if nothing.
    pub fn get(&self, value: ValueId) -> ValueId {
        self.0.get(&value).copied().unwrap_or(value)
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Applies all replacements to live operands and region results, and widens the scope of what is now used
    /// elsewhere.
    pub fn apply(&self, function: &mut Function) {
        if self.is_empty() {
            return;
        }
        for id in function.live_bindings() {
            function.bindings[id].rhs.map_operands(&mut |it| self.get(it));
        }
        let mut regions = Vec::new();
        function.visit_regions(&mut |it| regions.push(it));
        for region in regions {
            for result in &mut function.regions[region].results {
                *result = self.get(*result);
            }
        }
        for to in self.0.values() {
            function.values[*to].scope = Scope::Region;
        }
    }
}

impl Function {
    /// Makes every live user of `from` use `to`, results of regions included, but for the binding that defines `to`.
    /// `to` becomes region-scoped when `from` is. Returns how many users changed.
    pub fn replace_all_uses(&mut self, from: ValueId, to: ValueId) -> usize {
        let defines_to = match self.values[to].def {
            ValueDef::Result(binding, _) => Some(binding),
            _ => None,
        };
        let users = self.users().get(from).cloned().unwrap_or_default();
        let mut changed = 0;
        for user in users {
            let replace = |it: ValueId| if it == from { to } else { it };
            match user {
                User::Binding(binding) if Some(binding) == defines_to => continue,
                User::Binding(binding) => self.bindings[binding].rhs.map_operands(&mut { replace }),
                User::Region(region) => {
                    self.regions[region].results.iter_mut().for_each(|it| *it = replace(*it))
                }
            }
            changed += 1;
        }
        if self.values[from].scope == Scope::Region {
            self.values[to].scope = Scope::Region;
        }
        changed
    }
}
