//! Tools of their own that measure: built optimised, and run.

use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::process::Command;

/// Builds the tool of a package and runs it with these arguments.
pub(crate) fn run(package: &str, args: &[String]) -> Result<()> {
    let mut command = Command::new("cargo");
    command.args(["run", "--quiet", "--release", "--package", package, "--"]).args(args);
    let status = command.current_dir(workspace::root()).status().context("running cargo")?;
    ensure!(status.success(), "{package} failed");
    Ok(())
}
