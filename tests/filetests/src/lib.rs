//! Tests that are text files: a command, the text of an IR, and what the command prints of it.
//!
//! `README.md` beside this crate says how to write one.
//!
//! # Laws
//! * **J1** What a file expects is what the command prints, to the last character.
//! * **J2** Passes keep values: `opt` is followed by an evaluation of the program before and after, by the reference
//!   interpreter on data that depend on the types of the inputs alone. A file that cannot be evaluated says why.
//! * **J3** A file says nothing twice: each command has one expected text, and no text is without a command.
//!
//! Modules in reading order: [`file`](mod@file), [`command`], [`values`].

pub mod command;
pub mod file;
pub mod values;

use anyhow::{Context, Result, ensure};
use file::File;
use orogen::Compiler;
use similar::TextDiff;
use std::path::{Path, PathBuf};

/// Suffixes of test files.
const SUFFIXES: [&str; 5] = ["graph", "flow", "plan", "kernel", "rules"];

/// The test files of a folder and of those in it, in order.
///
/// # Errors
/// Folders that cannot be read.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|it| SUFFIXES.iter().any(|suffix| it == *suffix)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Runs the commands of a file and compares, or writes what they print when `bless` is set.
///
/// # Errors
/// What differs, and files that are no tests.
pub fn run(compiler: &Compiler, path: &Path, bless: bool) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let file = File::parse(&text)?;
    let mut printed = Vec::new();
    for line in &file.commands {
        let command = command::parse(line).with_context(|| format!("in `// run: {line}`"))?;
        printed.push(command.run(compiler, path, &file)?);
    }
    let made = file.with_expected(&printed);
    if bless {
        if made != text {
            std::fs::write(path, made).with_context(|| format!("writing {}", path.display()))?;
        }
        return Ok(());
    }
    ensure!(
        made == text,
        "{} prints something else (law J1; `BLESS=1` writes it):\n{}",
        path.display(),
        TextDiff::from_lines(&text, &made).unified_diff().header("expected", "printed")
    );
    Ok(())
}
