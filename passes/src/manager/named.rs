//! A pass under another name.

use super::{Changed, Facts, Ir, Pass, PassCx};
use orogen_ir::diag::Diagnostics;

/// A pass that stands a second time in a pipeline, under a name of its own (law N2).
#[derive(Clone, Copy, Debug)]
pub struct Named<P> {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub pass: P,
}

impl<I: Ir, P: Pass<I>> Pass<I> for Named<P> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn facts(&self) -> Facts {
        self.pass.facts()
    }

    fn run(&self, ir: &mut I, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        self.pass.run(ir, cx)
    }
}
