//! Applying rules until none applies.

use super::layout::layout;
use super::simplify::{Rewriter, simplify};
use crate::manager::{Changed, Step};
use orogen_ir::ops::OpId;
use orogen_ir::types::Attrs;

/// Rounds after which a pass stops although rules still apply.
const MAX_ROUNDS: usize = 8;

/// Applies the rules of one step until none applies. A pass over either IR; the driver of each holds its walk.
#[derive(Clone, Copy, Debug)]
pub struct ApplyRules {
    rules: Rules,
}

#[derive(Clone, Copy, Debug)]
enum Rules {
    Simplify,
    Layout,
}

impl ApplyRules {
    /// Algebra that saves work.
    pub fn simplify() -> Self {
        ApplyRules { rules: Rules::Simplify }
    }

    /// Order of dimensions.
    pub fn layout() -> Self {
        ApplyRules { rules: Rules::Layout }
    }

    pub(crate) fn of_step(self) -> Step {
        match self.rules {
            Rules::Simplify => Step::Simplify,
            Rules::Layout => Step::Layout,
        }
    }

    /// The value that replaces the single result of an operation.
    pub(crate) fn apply<R: Rewriter>(
        self,
        rewriter: &mut R,
        op: OpId,
        attrs: &Attrs,
        args: &[R::Value],
    ) -> Option<R::Value> {
        match self.rules {
            Rules::Simplify => simplify(rewriter, op, attrs, args),
            Rules::Layout => layout(rewriter, op, attrs, args),
        }
    }

    /// Walks over the program until a walk changes nothing.
    pub(crate) fn rounds(self, mut walk: impl FnMut() -> bool) -> Changed {
        let changes = (0..MAX_ROUNDS).take_while(|_| walk()).count();
        (changes > 0).into()
    }
}
