//! Python with packages of pinned versions, in a virtual environment that is made here.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What says that an environment is complete: the packages it was made for.
const MARKER: &str = "packages.txt";

/// The folder of this build, where what chores make lies.
pub(crate) fn build_folder() -> Result<PathBuf> {
    let here = env::current_exe().context("where this runs")?;
    Ok(here.parent().context("a program lies in a folder")?.to_path_buf())
}

/// The interpreter of an environment that has these packages, made when it is not there.
///
/// # Errors
/// Python is missing, or the package index cannot be reached.
pub(crate) fn environment(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = build_folder()?.join(name);
    let (python, marker) = (folder.join("bin/python"), folder.join(MARKER));
    let wanted = packages.join("\n");
    let runs = || Command::new(&python).arg("--version").output().is_ok_and(|it| it.status.success());
    if fs::read_to_string(&marker).is_ok_and(|it| it == wanted) && runs() {
        return Ok(python);
    }
    install(&folder, &python, packages)?;
    fs::write(&marker, wanted).with_context(|| format!("writing {}", marker.display()))?;
    Ok(python)
}

fn install(folder: &Path, python: &Path, packages: &[&str]) -> Result<()> {
    let run = |command: &mut Command, what: &str| -> Result<()> {
        let output = command.output().with_context(|| format!("{what} cannot be run"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or("it says nothing");
        ensure!(output.status.success(), "{what} failed: {last}");
        Ok(())
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder), "python3 -m venv")?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    let patience = ["--timeout", "10", "--retries", "1"];
    run(Command::new(python).args(pip).args(patience).args(packages), "pip install")
}
