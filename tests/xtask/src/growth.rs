//! The table of growth, measured by an optimised build.

use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::process::Command;

/// Builds the tool and runs it with these arguments.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let mut command = Command::new("cargo");
    command.args(["run", "--quiet", "--release", "--package", "orogen-growth", "--"]).args(args);
    let status = command.current_dir(workspace::root()).status().context("running cargo")?;
    ensure!(status.success(), "the measurement failed");
    Ok(())
}
