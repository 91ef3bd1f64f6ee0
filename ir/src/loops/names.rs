//! Names that are unique.

use indexmap::IndexMap;

/// Names that are taken, each with the last suffix that was tried for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(IndexMap<String, u32>);

impl Names {
    /// `hint` when it is free, else `hint_1`, `hint_2`, …; it is taken from now on.
    pub(super) fn fresh(&mut self, hint: &str) -> String {
        let mut name = hint.to_owned();
        if let Some(mut suffix) = self.0.get(hint).copied() {
            while self.0.contains_key(&name) {
                suffix += 1;
                name = format!("{hint}_{suffix}");
            }
            self.0.insert(hint.to_owned(), suffix);
        }
        self.0.insert(name.clone(), 0);
        name
    }
}
