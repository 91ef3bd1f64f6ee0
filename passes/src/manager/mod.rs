//! Passes, pipelines and instruments.
//!
//! One trait, generic over the IR, serves both graph IRs. A [`Pipeline`] runs passes in order and calls its
//! [`Instrument`]s around each: verify, time, dump, stop after the n-th (bisection). Every run ends with a
//! [`Report`].

mod instruments;
mod irs;
mod step;

pub use instruments::{DumpChanged, StopAfter, Verify, defect, verify_after};
pub use step::Step;

use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::ops::OpRegistry;
use orogen_ir::types::{Attrs, TensorData};
use std::time::{Duration, Instant};

/// An IR that passes run on.
pub trait Ir: Clone {
    /// Name of the IR, also the suffix of its text files.
    const NAME: &'static str;

    /// Checks every law and reports all violations.
    fn verify(&self, ops: &OpRegistry) -> Result<(), Diagnostics>;

    /// The text form.
    fn print(&self, ops: &OpRegistry) -> String;
}

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

/// Evaluates operators on constants. Passes get one injected, so they do not depend on any executor.
pub trait Evaluator {
    /// The results of an operator on constants.
    fn evaluate(
        &self,
        ops: &OpRegistry,
        op: orogen_ir::ops::OpId,
        attrs: &Attrs,
        args: &[TensorData],
    ) -> Result<Vec<TensorData>, String>;
}

/// What a pass may use besides the IR.
pub struct PassCx<'a> {
    /// Operator table.
    pub ops: &'a OpRegistry,
    /// Evaluates operators on constants; without one nothing is folded.
    pub evaluator: Option<&'a dyn Evaluator>,
    /// Remarks for the user.
    pub remarks: Vec<Diagnostic>,
}

impl<'a> PassCx<'a> {
    /// A context without an evaluator.
    pub fn new(ops: &'a OpRegistry) -> Self {
        PassCx { ops, evaluator: None, remarks: Vec::new() }
    }

    /// The same with an evaluator.
    #[must_use]
    pub fn with_evaluator(mut self, evaluator: &'a dyn Evaluator) -> Self {
        self.evaluator = Some(evaluator);
        self
    }
}

/// A transformation of one IR.
pub trait Pass<I: Ir> {
    /// Name in reports and on the command line.
    fn name(&self) -> &'static str;

    /// The pipeline step it belongs to.
    fn step(&self) -> Step;

    /// Transforms `ir`.
    fn run(&self, ir: &mut I, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics>;
}

/// Looks on while a pipeline runs.
pub trait Instrument<I: Ir> {
    /// Whether the pass at `index` runs.
    fn should_run(&mut self, _index: usize, _name: &str) -> bool {
        true
    }

    /// Called after a pass.
    fn after(
        &mut self,
        _ir: &I,
        _name: &str,
        _changed: Changed,
        _ops: &OpRegistry,
    ) -> Result<(), Diagnostics> {
        Ok(())
    }
}

/// One pass of a finished run.
#[derive(Clone, Debug)]
pub struct PassRecord {
    /// Name of the pass.
    pub name: &'static str,
    /// Its step.
    pub step: Step,
    /// Whether it changed the IR.
    pub changed: Changed,
    /// Time it took; reported only, nothing depends on it.
    pub time: Duration,
}

/// What a pipeline did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Passes that ran, in order.
    pub passes: Vec<PassRecord>,
}

/// Passes in order, with instruments.
pub struct Pipeline<I: Ir> {
    passes: Vec<Box<dyn Pass<I>>>,
    instruments: Vec<Box<dyn Instrument<I>>>,
}

impl<I: Ir> Default for Pipeline<I> {
    fn default() -> Self {
        Pipeline { passes: Vec::new(), instruments: Vec::new() }
    }
}

impl<I: Ir> Pipeline<I> {
    /// Adds a pass at the end.
    #[must_use]
    pub fn pass(mut self, pass: impl Pass<I> + 'static) -> Self {
        self.passes.push(Box::new(pass));
        self
    }

    /// Adds an instrument.
    #[must_use]
    pub fn instrument(mut self, instrument: impl Instrument<I> + 'static) -> Self {
        self.instruments.push(Box::new(instrument));
        self
    }

    /// Names of the passes with their steps.
    pub fn passes(&self) -> impl Iterator<Item = (&'static str, Step)> {
        self.passes.iter().map(|it| (it.name(), it.step()))
    }

    /// Runs the passes of the steps in `range`, in order.
    pub fn run(
        &mut self,
        ir: &mut I,
        cx: &mut PassCx<'_>,
        steps: impl Fn(Step) -> bool,
    ) -> Result<Report, Diagnostics> {
        let mut report = Report::default();
        for (index, pass) in self.passes.iter().enumerate() {
            let name = pass.name();
            if !steps(pass.step()) || !self.instruments.iter_mut().all(|it| it.should_run(index, name)) {
                continue;
            }
            let start = Instant::now();
            let changed = pass.run(ir, cx)?;
            report.passes.push(PassRecord { name, step: pass.step(), changed, time: start.elapsed() });
            for instrument in &mut self.instruments {
                instrument.after(ir, name, changed, cx.ops)?;
            }
        }
        Ok(report)
    }
}
