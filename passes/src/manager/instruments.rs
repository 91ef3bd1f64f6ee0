//! Looking on while passes run: the interface, and the instruments that ship.

use super::{Changed, Ir, IrRef, PassInfo};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::ops::OpRegistry;
use orogen_ir::plan::PlanModule;
use std::any::Any;

/// Looks on while passes run. One instrument sees the passes of both IRs, in the order they run.
pub trait Instrument: Any + Send {
    /// Whether a pass runs; asked once for each, before it would.
    fn should_run(&mut self, _pass: PassInfo) -> bool {
        true
    }

    /// Called before a pass.
    ///
    /// # Errors
    /// What ends the compilation.
    fn before(&mut self, _ir: IrRef<'_>, _pass: PassInfo, _ops: &OpRegistry) -> Result<(), Diagnostics> {
        Ok(())
    }

    /// Called after a pass that did not fail.
    ///
    /// # Errors
    /// What ends the compilation.
    fn after(
        &mut self,
        _ir: IrRef<'_>,
        _pass: PassInfo,
        _changed: Changed,
        _ops: &OpRegistry,
    ) -> Result<(), Diagnostics> {
        Ok(())
    }

    /// Called when memory is planned and the plans are proven; no pass follows.
    ///
    /// # Errors
    /// What ends the compilation.
    fn planned(&mut self, _plans: &PlanModule, _ops: &OpRegistry) -> Result<(), Diagnostics> {
        Ok(())
    }
}

/// Verifies the IR after every pass and names the pass that broke it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verify;

impl Instrument for Verify {
    fn after(
        &mut self,
        ir: IrRef<'_>,
        pass: PassInfo,
        _changed: Changed,
        ops: &OpRegistry,
    ) -> Result<(), Diagnostics> {
        verified(ir, &format!("pass `{}`", pass.name), ops)
    }
}

/// Verifies an IR; the error says what made it.
///
/// # Errors
/// See [`defect`].
pub fn verify_after<I: Ir>(ir: &I, maker: &str, ops: &OpRegistry) -> Result<(), Diagnostics> {
    verified(ir.as_ir(), maker, ops)
}

fn verified(ir: IrRef<'_>, maker: &str, ops: &OpRegistry) -> Result<(), Diagnostics> {
    ir.verify(ops).map_err(|found| defect(&format!("{maker} left the {} IR invalid", ir.name()), found))
}

/// The violations of an IR that the compiler itself made, under a headline that says so.
pub fn defect(headline: &str, mut found: Diagnostics) -> Diagnostics {
    let headline =
        Diagnostic::error("V001", headline).note("this is a defect of the compiler, not of the model");
    found.0.insert(0, headline);
    found
}

/// Runs only the first `n` passes: bisection over a compilation.
#[derive(Clone, Copy, Debug)]
pub struct StopAfter(pub usize);

impl Instrument for StopAfter {
    fn should_run(&mut self, _pass: PassInfo) -> bool {
        let runs = self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        runs
    }
}
