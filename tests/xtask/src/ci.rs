//! What continuous integration runs, step by step, with the time each takes.

use crate::outcome::Outcome;
use crate::workspace;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use std::process::Command;
use std::time::Instant;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// Every file is formatted.
    Fmt,
    /// No rule of the house is broken.
    Tidy,
    /// No lint fires.
    Clippy,
    /// The README's test command.
    Test,
    /// The conditions of stage S0 hold: `cargo xtask s0`.
    S0,
    /// Libraries in the tvm-ffi host of Python; skipped where it cannot be installed.
    Interop,
    /// A part of the official ONNX suite that has every operator: `cargo xtask conformance`. It needs Python and its package
    /// index.
    Conformance,
    /// A minute of hostile input.
    Fuzz,
    /// The documentation builds and its links lead somewhere.
    Doc,
    /// Dependencies keep to `deny.toml`: licences, banned crates, sources.
    Deny,
}

/// Runs the steps, all without a choice. Every step runs, even after a failure.
pub(crate) fn run(steps: &[Step]) -> Result<()> {
    let steps = if steps.is_empty() { Step::value_variants() } else { steps };
    let mut lines = Vec::new();
    let mut failed = 0;
    for step in steps {
        println!("== {step:?}");
        let start = Instant::now();
        let outcome = step.run()?;
        failed += usize::from(outcome == Outcome::Failed);
        lines.push(format!("{step:?} {outcome:?}, {:.0} s", start.elapsed().as_secs_f64()));
    }
    println!("== {}", lines.join("; "));
    match failed {
        0 => Ok(()),
        n => bail!("{n} of {} steps failed", steps.len()),
    }
}

impl Step {
    fn run(self) -> Result<Outcome> {
        match self {
            Step::Fmt => cargo(&["fmt", "--all", "--check"], &[]),
            Step::Tidy => Ok(outcome(crate::tidy::run())),
            Step::Clippy => cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[]),
            Step::Test => cargo(&["test", "--workspace"], &[]),
            Step::S0 => Ok(outcome(crate::s0::run())),
            Step::Interop => crate::interop::run(),
            Step::Conformance => Ok(outcome(crate::conformance::run(&crate::conformance::Args::default()))),
            Step::Fuzz => cargo(&["run", "--package", "orogen-fuzz", "--", "--rounds", "1"], &[]),
            Step::Doc => cargo(&["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")]),
            Step::Deny => Ok(outcome(crate::deny::run())),
        }
    }
}

fn outcome(result: Result<()>) -> Outcome {
    match result {
        Ok(()) => Outcome::Passed,
        Err(error) => {
            println!("{error:#}");
            Outcome::Failed
        }
    }
}

fn cargo(args: &[&str], env: &[(&str, &str)]) -> Result<Outcome> {
    let mut command = Command::new("cargo");
    command.args(args).envs(env.iter().copied()).current_dir(workspace::root());
    let status = command.status().with_context(|| format!("running cargo {}", args.join(" ")))?;
    Ok(if status.success() { Outcome::Passed } else { Outcome::Failed })
}
