//! Libraries in hosts that are not ours: `tests/interop` with the real tvm-ffi, from PyPI.

use crate::outcome::Outcome;
use crate::workspace;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// What is installed, into a folder of its own.
const PACKAGES: [&str; 2] = ["apache-tvm-ffi==0.1.15.post2", "numpy"];

/// Skipped, and said so, where Python is missing or the packages cannot be had.
pub(crate) fn run() -> Result<Outcome> {
    let here = std::env::current_exe().context("where this runs")?;
    let built_in = here.parent().context("a program lies in a folder")?;
    let folder = built_in.join("interop");
    let python = folder.join("bin/python");
    let installed = || Command::new(&python).args(["-c", "import tvm_ffi, numpy"]).output();
    if !installed().is_ok_and(|it| it.status.success())
        && let Err(reason) = install(&folder, &python)
    {
        println!("SKIPPED: {reason:#}");
        return Ok(Outcome::Skipped);
    }
    // As the tests build it, so that nothing is built twice.
    let build = ["build", "--workspace", "--bin", "orogen"];
    let built = Command::new("cargo").args(build).current_dir(workspace::root()).status();
    if !built.context("running cargo build")?.success() {
        return Ok(Outcome::Failed);
    }
    let script = workspace::root().join("tests/interop/in_tvm_ffi.py");
    let status = Command::new(&python).arg(script).arg(built_in.join("orogen")).status();
    let passed = status.context("running tests/interop/in_tvm_ffi.py")?.success();
    Ok(if passed { Outcome::Passed } else { Outcome::Failed })
}

fn install(folder: &Path, python: &Path) -> Result<()> {
    let run = |command: &mut Command, what: &str| -> Result<()> {
        let output = command.output().with_context(|| format!("{what} cannot be run"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or("it says nothing");
        anyhow::ensure!(output.status.success(), "{what} failed: {last}");
        Ok(())
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(folder), "python3 -m venv")?;
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--timeout",
        "10",
        "--retries",
        "1",
    ];
    run(Command::new(python).args(pip).args(PACKAGES), "pip install")
}
