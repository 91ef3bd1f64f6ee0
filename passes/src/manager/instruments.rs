//! Instruments that ship.

use super::{Changed, Instrument, Ir};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::ops::OpRegistry;

/// Verifies the IR after every pass and names the pass that broke it.
#[derive(Debug, Default)]
pub struct Verify;

impl<I: Ir> Instrument<I> for Verify {
    fn after(&mut self, ir: &I, name: &str, _changed: Changed, ops: &OpRegistry) -> Result<(), Diagnostics> {
        verify_after(ir, &format!("pass `{name}`"), ops)
    }
}

/// Verifies an IR; the error says what made it.
///
/// # Errors
/// See [`defect`].
pub fn verify_after<I: Ir>(ir: &I, maker: &str, ops: &OpRegistry) -> Result<(), Diagnostics> {
    ir.verify(ops).map_err(|found| defect(&format!("{maker} left the {} IR invalid", I::NAME), found))
}

/// The violations of an IR that the compiler itself made, under a headline that says so.
pub fn defect(headline: &str, mut found: Diagnostics) -> Diagnostics {
    let headline =
        Diagnostic::error("V001", headline).note("this is a defect of the compiler, not of the model");
    found.0.insert(0, headline);
    found
}

/// Hands the printed IR to a callback after every pass that changed it.
pub struct DumpChanged<F: FnMut(&str, &str)> {
    sink: F,
}

impl<F: FnMut(&str, &str)> DumpChanged<F> {
    /// `sink` gets the name of the pass and the text.
    pub fn new(sink: F) -> Self {
        DumpChanged { sink }
    }
}

impl<I: Ir, F: FnMut(&str, &str)> Instrument<I> for DumpChanged<F> {
    fn after(&mut self, ir: &I, name: &str, changed: Changed, ops: &OpRegistry) -> Result<(), Diagnostics> {
        if changed == Changed::Yes {
            (self.sink)(name, &ir.print(ops));
        }
        Ok(())
    }
}

/// Runs only the first `n` passes: bisection over a pipeline.
#[derive(Debug)]
pub struct StopAfter(pub usize);

impl<I: Ir> Instrument<I> for StopAfter {
    fn should_run(&mut self, index: usize, _name: &str) -> bool {
        index < self.0
    }
}
