//! Programs of the workspace that chores build and run: those that measure, optimised, and `orogen` itself.

use crate::{python, workspace};
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::process::Command;

/// Builds the tool of a package and runs it with these arguments.
pub(crate) fn run(package: &str, args: &[String]) -> Result<()> {
    let mut command = Command::new("cargo");
    command.args(["run", "--quiet", "--release", "--package", package, "--"]).args(args);
    let status = command.current_dir(workspace::root()).status().context("running cargo")?;
    ensure!(status.success(), "{package} failed");
    Ok(())
}

/// Builds `orogen` as tests do, so that nothing is built twice; none when it cannot be built.
pub(crate) fn orogen() -> Result<Option<PathBuf>> {
    let build = ["build", "--workspace", "--bin", "orogen"];
    let built = Command::new("cargo").args(build).current_dir(workspace::root()).status();
    let built = built.context("running cargo build")?.success();
    let tool = python::build_folder()?.join("orogen");
    Ok(built.then_some(tool))
}
