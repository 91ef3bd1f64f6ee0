//! The adoption ledger: which pipeline steps run on the dataflow-block IR.
//!
//! Steps are ported bottom-up, so the ported steps form a suffix of the list. The *waterline* is the first step
//! that runs on the new IR.
//!
//! # Laws
//! * **A1** The ported steps form a suffix of the pipeline, and each names the square that compares its two forms.
//! * **A2** An opted-in model that the legacy graph can hold runs the steps above the waterline there, is translated
//!   once, and runs the rest on the flow IR; with the waterline at the top it enters the flow IR natively. On request it is
//!   translated further down, at any step that is ported.
//! * **A3** A model that only the flow IR can hold enters it natively at the top, whatever the waterline. It needs the
//!   steps whose native column says so.

use crate::manager::Step;
use orogen_ir::diag::Diagnostic;
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
    Entry { step: Step::Import, port: Port::Ported { square: "import" }, native: Native::Runs },
    Entry { step: Step::Canonicalize, port: Port::Ported { square: "canonicalize" }, native: Native::Runs },
    Entry {
        step: Step::FoldConstants,
        port: Port::Ported { square: "fold_constants" },
        native: Native::Runs,
    },
    Entry { step: Step::Simplify, port: Port::Ported { square: "simplify" }, native: Native::Runs },
    Entry { step: Step::Layout, port: Port::Ported { square: "layout" }, native: Native::Runs },
    Entry { step: Step::Legalize, port: Port::Ported { square: "legalize" }, native: Native::Runs },
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

/// Whether a model may be translated above `step` (law A2).
///
/// # Errors
/// `M040`, with the steps that are admissible.
pub fn admit(ledger: &[Entry], step: Step) -> Result<(), Diagnostic> {
    let steps = admissible(ledger);
    if steps.contains(&step) {
        return Ok(());
    }
    let names: Vec<String> = steps.iter().map(|it| format!("`{it}`")).collect();
    let message =
        format!("the ledger does not admit waterline `{step}`: that step is not ported to the dataflow IR");
    Err(Diagnostic::error("M040", message).help(match names.as_slice() {
        [] => "no waterline is admissible".to_string(),
        names => format!("admissible waterlines are {}; rfcs/ADOPTION.md says why", names.join(", ")),
    }))
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
        Ok(Step::Import) => "\nWaterline: `import`.\n\n\
             A model that is opted in enters the flow IR at the top and runs every step there; what its steps do to a model \
             that the legacy graph can hold is compared with the legacy steps by the squares. \
             `--waterline STEP` moves the line down for one compilation: the steps above it run on the legacy graph, which \
             is translated once, and the rest run on the flow IR. That says in which step two results begin to differ.\n"
            .to_string(),
        Ok(step) => format!(
            "\nWaterline: `{step}`.\n\n\
             A model that is opted in and that the legacy graph can hold is a *translated model*: it runs the steps above \
             the waterline on the legacy graph, is translated once, and runs the rest on the flow IR. \
             `--waterline STEP` moves the line down to another ported step; steps above it are refused.\n\n\
             A model that only the flow IR can hold (dynamic dimensions, control flow) is a *native model*: it enters \
             at the top and runs every step there. \
             Above the waterline no square compares these steps with the legacy ones; the differential suite compares \
             their results with references and with the interpreter.\n"
        ),
        Err(step) => format!("\nNo waterline: `{step}` is not ported but a step above it is.\n"),
    };
    text + &line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ledger with the steps above this one on the legacy graph alone.
    fn ported_from(line: Step) -> Vec<Entry> {
        let port = |it: &Entry| if it.step < line { Port::LegacyOnly } else { it.port };
        LEDGER.iter().map(|it| Entry { port: port(it), ..*it }).collect()
    }

    #[test]
    fn a1_ported_steps_form_a_suffix() {
        assert_eq!(waterline(LEDGER), Ok(Step::Import));
        assert_eq!(admissible(LEDGER), Step::ALL);
        let fuse = ported_from(Step::Fuse);
        assert_eq!(waterline(&fuse), Ok(Step::Fuse));
        assert_eq!(admissible(&fuse), [Step::Fuse, Step::PlanMemory, Step::Codegen]);
    }

    #[test]
    fn a2_steps_that_are_not_ported_are_no_waterlines() {
        let ledger = ported_from(Step::Fuse);
        for step in Step::ALL {
            assert!(admit(LEDGER, step).is_ok(), "{step}");
            assert_eq!(admit(&ledger, step).is_ok(), step >= Step::Fuse, "{step}");
        }
        let refused = admit(&ledger, Step::Legalize).expect_err("it is not ported");
        assert!(refused.help.expect("a way out").contains("`fuse`, `plan-memory`, `codegen`"));
        assert!(
            render(&ledger).contains("*native model*")
                && render(&ledger).contains("| import | legacy graph |")
        );
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
