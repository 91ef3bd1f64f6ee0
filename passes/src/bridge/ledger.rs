//! The adoption ledger: which pipeline steps run on the dataflow-block IR.
//!
//! Steps are ported bottom-up, so the ported steps form a suffix of the list. The *waterline* is the first step
//! that runs on the new IR: an opted-in static model runs the steps above it on the legacy graph, is translated
//! once, and runs the rest on the flow IR. A model that the legacy IR cannot hold enters natively at the top and
//! needs only the steps whose native column says so.

use crate::manager::Step;
use std::fmt::Write as _;

/// Whether a step is ported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// It exists on the legacy graph alone, or its two forms have not been shown to agree.
    LegacyOnly,
    /// Both forms exist and a commuting square compares them.
    Ported {
        /// Name of the test that compares them.
        square: &'static str,
    },
    /// It works on the shared bottom.
    Shared,
}

/// What the step is for a model that enters the flow IR natively.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Native {
    /// The flow pipeline runs it.
    Runs,
    /// The flow pipeline does without.
    Skipped,
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The step.
    pub step: Step,
    /// Translated models.
    pub port: Port,
    /// Models that enter natively.
    pub native: Native,
}

/// The ledger, top to bottom.
pub const LEDGER: &[Entry] = &[
    Entry { step: Step::Import, port: Port::LegacyOnly, native: Native::Runs },
    Entry { step: Step::Canonicalize, port: Port::LegacyOnly, native: Native::Runs },
    Entry { step: Step::FoldConstants, port: Port::LegacyOnly, native: Native::Runs },
    Entry { step: Step::Simplify, port: Port::LegacyOnly, native: Native::Runs },
    Entry { step: Step::Layout, port: Port::LegacyOnly, native: Native::Runs },
    Entry { step: Step::Legalize, port: Port::LegacyOnly, native: Native::Runs },
    Entry { step: Step::Fuse, port: Port::Ported { square: "fuse" }, native: Native::Runs },
    Entry { step: Step::PlanMemory, port: Port::Ported { square: "plan_memory" }, native: Native::Runs },
    Entry { step: Step::Codegen, port: Port::Shared, native: Native::Runs },
];

/// The first step that runs on the flow IR.
///
/// # Errors
/// The unported step that stands below a ported one.
pub fn waterline(ledger: &[Entry]) -> Result<Step, Step> {
    let first = ledger.iter().position(|it| it.port != Port::LegacyOnly);
    let Some(first) = first else { return Ok(Step::Codegen) };
    match ledger[first..].iter().find(|it| it.port == Port::LegacyOnly) {
        Some(hole) => Err(hole.step),
        None => Ok(ledger[first].step),
    }
}

/// Every waterline at or below the current one, highest first: each is a way to compile a translated model.
pub fn admissible(ledger: &[Entry]) -> Vec<Step> {
    match waterline(ledger) {
        Ok(top) => ledger.iter().map(|it| it.step).filter(|it| *it >= top).collect(),
        Err(_) => Vec::new(),
    }
}

/// The ledger as Markdown: the content of `rfcs/ADOPTION.md`.
pub fn render(ledger: &[Entry]) -> String {
    let mut text = String::from(
        "# Adoption of the dataflow-block IR\n\n\
         Generated from the ledger in `passes/src/bridge/ledger.rs` by `cargo xtask bless`; do not edit.\n\n\
         | step | translated models | native models |\n|---|---|---|\n",
    );
    for entry in ledger {
        let port = match entry.port {
            Port::LegacyOnly => "legacy graph".to_string(),
            Port::Ported { square } => format!("flow IR, square `{square}`"),
            Port::Shared => "shared".to_string(),
        };
        let native = match entry.native {
            Native::Runs => "runs",
            Native::Skipped => "skipped",
        };
        writeln!(text, "| {} | {port} | {native} |", entry.step).expect("writing to a string");
    }
    let line = match waterline(ledger) {
        Ok(step) => format!("\nWaterline: `{step}`.\n"),
        Err(step) => format!("\nNo waterline: `{step}` is not ported but a step above it is.\n"),
    };
    text + &line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ported_steps_form_a_suffix() {
        assert_eq!(waterline(LEDGER), Ok(Step::Fuse));
        assert_eq!(admissible(LEDGER), [Step::Fuse, Step::PlanMemory, Step::Codegen]);
    }

    #[test]
    fn the_ledger_lists_every_step_once_in_order() {
        let steps: Vec<Step> = LEDGER.iter().map(|it| it.step).collect();
        assert_eq!(steps, Step::ALL);
    }

    #[test]
    fn a_hole_below_a_ported_step_is_named() {
        let mut ledger = LEDGER.to_vec();
        ledger[7].port = Port::LegacyOnly;
        assert_eq!(waterline(&ledger), Err(Step::PlanMemory));
    }
}
