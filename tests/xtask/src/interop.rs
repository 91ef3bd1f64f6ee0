//! Libraries in hosts that are not ours: `tests/interop` with the real tvm-ffi, from PyPI.

use crate::outcome::Outcome;
use crate::{python, tool, workspace};
use anyhow::{Context, Result};
use std::process::Command;

/// What is installed, into a folder of its own.
const PACKAGES: [&str; 2] = ["apache-tvm-ffi==0.1.15.post2", "numpy"];

/// Skipped, and said so, where Python is missing or the packages cannot be had.
pub(crate) fn run() -> Result<Outcome> {
    let python = match python::environment("interop", &PACKAGES) {
        Ok(it) => it,
        Err(reason) => {
            println!("SKIPPED: {reason:#}");
            return Ok(Outcome::Skipped);
        }
    };
    let Some(tool) = tool::orogen()? else { return Ok(Outcome::Failed) };
    let script = workspace::root().join("tests/interop/in_tvm_ffi.py");
    let status = Command::new(&python).arg(script).arg(tool).status();
    let passed = status.context("running tests/interop/in_tvm_ffi.py")?.success();
    Ok(if passed { Outcome::Passed } else { Outcome::Failed })
}
