//! Passes, pipelines and instruments.
//!
//! One trait, generic over the IR, serves both graph IRs. A [`Pipeline`] holds passes in order, each at a place: a step,
//! or before or after another pass. Running it calls [`Instrument`]s around each pass: verify, time, dump, count, stop
//! after the n-th (bisection). Every run ends with a [`Report`].
//!
//! # Laws
//! * **N1** The steps of the passes of a pipeline never go up again, so that a pipeline can be cut between two steps.
//! * **N2** No two passes of a pipeline have one name.

mod accuracy;
mod instruments;
mod irs;
mod pipeline;
mod step;

pub use accuracy::Accuracy;
pub use instruments::{Instrument, StopAfter, Verify, defect, verify_after};
pub use irs::{Ir, IrRef};
pub use pipeline::{PassInfo, PassRecord, Pipeline, Place, Report};
pub use step::Step;

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
        }
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
    /// Name in reports, dumps and [`Place`]s.
    fn name(&self) -> &'static str;

    /// Transforms `ir`.
    ///
    /// # Errors
    /// What is wrong with the program, with the place in its source; a pass that finds nothing to do is no error.
    fn run(&self, ir: &mut I, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics>;
}
