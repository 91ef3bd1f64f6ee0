//! Facts that hold only for a while: inside a branch, or during an attempt.

use super::facts::Facts;
use super::{Constraint, ShapeCx};

/// The facts of a context at one moment; see [`ShapeCx::save_facts`].
#[derive(Clone, Debug)]
pub struct SavedFacts(Facts);

impl ShapeCx {
    /// Remembers the facts of now.
    ///
    /// What a check inside a branch establishes does not hold after the branch: a builder saves the facts
    /// before it and restores them behind it. Symbols and expressions stay.
    pub fn save_facts(&self) -> SavedFacts {
        SavedFacts(self.facts.clone())
    }

    /// Forgets all facts but those saved.
    pub fn restore_facts(&mut self, saved: SavedFacts) {
        self.facts = saved.0;
    }

    /// Forgets all facts but those that `keep` accepts, and what followed from the others.
    pub fn keep_facts(&mut self, mut keep: impl FnMut(&ShapeCx, &Constraint) -> bool) {
        let kept: Vec<Constraint> = self.facts().copied().filter(|it| keep(self, it)).collect();
        self.facts = Facts::default();
        for fact in kept {
            // A part of facts that hold together contradicts itself as little as the whole.
            let _ = self.assume(fact);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Constraint, ShapeCx, Truth};

    #[test]
    fn restored_facts_are_the_saved_ones() {
        let mut cx = ShapeCx::new();
        let (n, four) = (cx.sym("n"), cx.int(4));
        cx.assume(Constraint::AtLeast(n, 1)).expect("possible");
        let saved = cx.save_facts();
        cx.assume(Constraint::Eq(n, four)).expect("possible");
        assert_eq!(cx.prove_eq(n, four), Truth::Always);
        cx.restore_facts(saved);
        assert_eq!(cx.prove_eq(n, four), Truth::Unknown);
        assert_eq!(cx.prove(Constraint::AtLeast(n, 1)), Truth::Always);
        assert_eq!(cx.facts().count(), 1);
    }

    #[test]
    fn kept_facts_are_all_that_is_known() {
        let mut cx = ShapeCx::new();
        let (n, m) = (cx.sym("n"), cx.sym("m"));
        cx.assume(Constraint::AtLeast(n, 3)).expect("possible");
        cx.assume(Constraint::Eq(n, m)).expect("possible");
        assert_eq!(cx.prove(Constraint::AtLeast(m, 3)), Truth::Always);
        cx.keep_facts(|_, fact| matches!(fact, Constraint::AtLeast(..)));
        assert_eq!(cx.prove(Constraint::AtLeast(m, 3)), Truth::Unknown);
        assert_eq!(cx.prove(Constraint::AtLeast(n, 3)), Truth::Always);
    }
}
