//! Passes, pipelines and instruments.
//!
//! One trait, generic over the IR, serves both graph IRs. A [`Pipeline`] holds passes in order, each at a place: a step,
//! or before or after another pass. Running it calls [`Instrument`]s around each pass: verify, time, dump, count, stop
//! after the n-th (bisection). Every run ends with a [`Report`].
//!
//! # Laws
//! * **N1** The steps of the passes of a pipeline never go up again, so that a pipeline can be cut between two steps: a pass
//!   that a list names further down belongs to the step of the pass before it.
//! * **N2** One name is one pass: it may run several times, but no two passes of a pipeline share a name.
//! * **N3** A pass finds the [`Fact`]s that it requires: an earlier one established them, and those between kept them.
//! * **N4** What a pass says of facts is so; `verify` looks at the program after each pass.
//!
//! Modules in reading order: `step`, `facts`, `holds` (how facts are checked), `held` (which ones hold where), `list`
//! (pipelines as text), `irs`, `named`, `pipeline`, `instruments`, `accuracy`, `near`.

mod accuracy;
mod facts;
mod held;
pub(crate) mod holds;
mod instruments;
mod irs;
mod list;
mod named;
mod near;
mod pipeline;
mod step;

pub use accuracy::Accuracy;
pub use facts::{Fact, Facts};
pub use held::{Held, check_order};
pub use instruments::{Instrument, StopAfter, Verify, defect, verify_after};
pub use irs::{Ir, IrRef};
pub use list::{ListEdit, PassCall, PassList};
pub use named::Named;
pub use near::nearest;
pub use pipeline::{PassInfo, PassRecord, Pipeline, Place, Report};
pub use step::Step;

use orogen_ir::choices::Choices;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::ops::{Folding, OpRegistry};

/// Whether a pass changed the IR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It did.
    Yes,
    /// It did not.
    No,
}

impl From<bool> for Changed {
    fn from(changed: bool) -> Self {
        if changed { Changed::Yes } else { Changed::No }
    }
}

/// What a pass may use besides the IR.
pub struct PassCx<'a> {
    /// Operator table.
    pub ops: &'a OpRegistry,
    /// Evaluates operators on constants, within the budget of the compilation.
    pub folding: Folding<'a>,
    /// Remarks for the user.
    pub remarks: Vec<Diagnostic>,
    /// Which rewrites are admitted.
    pub accuracy: Accuracy,
    /// What passes say of themselves, each with its name.
    pub notes: Vec<(&'static str, String)>,
    /// What is known to hold of the program; `None` before the first pass, which looks.
    pub held: Option<Held>,
    /// Whether what passes say of facts is checked after each (law N4).
    pub verify: bool,
    /// Choices that are legal either way.
    pub choices: Choices,
}

impl<'a> PassCx<'a> {
    /// A context without an evaluator.
    pub fn new(ops: &'a OpRegistry) -> Self {
        PassCx {
            ops,
            folding: Folding::default(),
            remarks: Vec::new(),
            accuracy: Accuracy::default(),
            notes: Vec::new(),
            held: None,
            verify: false,
            choices: Choices::usual(),
        }
    }

    /// The same, checking what passes say of facts.
    #[must_use]
    pub fn verifying(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// The same with other rewrites admitted.
    #[must_use]
    pub fn with_accuracy(mut self, accuracy: Accuracy) -> Self {
        self.accuracy = accuracy;
        self
    }

    /// The same with an evaluator, or none, and the budget it spends.
    #[must_use]
    pub fn with_folding(mut self, folding: Folding<'a>) -> Self {
        self.folding = folding;
        self
    }
}

/// A transformation of one IR. Where it runs is not its own affair but that of the pipeline, see [`Place`].
pub trait Pass<I: Ir>: Send + Sync {
    /// Name in reports, dumps, lists and [`Place`]s.
    fn name(&self) -> &'static str;

    /// What it requires of a program, establishes and destroys. What is not said is looked at after each run that changed
    /// something, which costs a walk over the program.
    fn facts(&self) -> Facts {
        Facts::UNSAID
    }

    /// Transforms `ir`.
    ///
    /// # Errors
    /// What is wrong with the program, with the place in its source; a pass that finds nothing to do is no error.
    fn run(&self, ir: &mut I, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics>;
}
