//! The cases of the suite as files, and its own comparison: `tests/conformance/suite.py` in a pinned environment.

use super::end::End;
use crate::{python, workspace};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The package that has the suite.
pub(super) const SUITE: &str = "onnx==1.23.2";
/// Of what the cases are made. Other versions of these make other cases.
pub(super) const PACKAGES: [&str; 5] =
    [SUITE, "numpy==2.4.6", "ml_dtypes==0.6.0", "protobuf==7.36.2", "pillow==13.0.0"];
const SCRIPT: &str = "tests/conformance/suite.py";
/// Of every operator, as many cases are in the part, and of the others each third.
const OF_EACH: usize = 1;
const STRIDE: usize = 3;

/// A case.
#[derive(Debug, Deserialize)]
pub(super) struct Case {
    pub(super) name: String,
    /// What kind of case it is.
    pub(super) group: String,
    /// Operators of its model, with their domain where it is not that of ONNX.
    pub(super) operators: Vec<String>,
}

/// All cases, as files.
pub(super) struct Suite {
    python: PathBuf,
    folder: PathBuf,
    cases: Vec<Case>,
    /// What this run writes; other runs of the same build have folders of their own.
    scratch: PathBuf,
    /// Held as long as the files are in use.
    _in_use: fs::File,
}

impl Drop for Suite {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

impl Suite {
    /// Writes the files when they are not there.
    pub(super) fn open() -> Result<Suite> {
        let build = python::build_folder()?;
        // Two runs at once would write the same.
        let turn = opened(&build.join("conformance.lock"))?;
        turn.lock().context("waiting for another run")?;
        let python = python::environment("conformance", &PACKAGES)
            .context("the suite needs Python 3 and its package index")?;
        let script = fs::read(workspace::root().join(SCRIPT)).with_context(|| format!("reading {SCRIPT}"))?;
        // Other text writes other files.
        let digest = Sha256::new().chain_update(PACKAGES.join(" ")).chain_update(script).finalize();
        let key: String = digest[..6].iter().fold(String::new(), |mut text, it| {
            let _ = write!(text, "{it:02x}");
            text
        });
        let parent = build.join("conformance-cases");
        let folder = parent.join(&key);
        let index = folder.join("cases.json");
        if !index.exists() {
            fs::create_dir_all(&parent)?;
            remove_unused(&parent)?;
            fs::create_dir_all(&folder)?;
            println!("writing the cases of {SUITE} to {}", folder.display());
            let output = Self::script(&python, "write", &folder).output().context("running Python")?;
            ensure!(
                output.status.success(),
                "the suite cannot be written: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        let text = fs::read_to_string(&index).with_context(|| format!("reading {}", index.display()))?;
        let cases = serde_json::from_str(&text).with_context(|| format!("reading {}", index.display()))?;
        let in_use = opened(&parent.join(key).with_extension("lock"))?;
        in_use.lock_shared().context("using the cases")?;
        let scratch = build.join("conformance-runs").join(std::process::id().to_string());
        fs::create_dir_all(&scratch)?;
        Ok(Suite { python, folder, cases, scratch, _in_use: in_use })
    }

    fn script(python: &Path, job: &str, folder: &Path) -> Command {
        let mut command = Command::new(python);
        command.arg(workspace::root().join(SCRIPT)).arg(job).arg(folder);
        command
    }

    /// In order of name.
    pub(super) fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// A file of a case.
    pub(super) fn file(&self, case: &Case, name: &str) -> PathBuf {
        self.folder.join(&case.name).join(name)
    }

    /// A file that a run of a case writes.
    pub(super) fn scratch(&self, case: &Case, name: &str) -> PathBuf {
        self.scratch.join(format!("{}.{name}", case.name))
    }

    /// Decides what was computed: each [`End::Ran`] becomes a pass or a wrong answer.
    pub(super) fn compare(&self, ends: &mut [(&Case, End)]) -> Result<()> {
        let mut lines = String::new();
        for (case, end) in &*ends {
            if let End::Ran { saved, said } = end {
                writeln!(lines, "{}\t{}\t{}", case.name, saved.display(), said)?;
            }
        }
        // A file, since neither side may wait for the other.
        let asked = self.scratch.join("compare.txt");
        fs::write(&asked, lines)?;
        let output = Self::script(&self.python, "compare", &self.folder)
            .stdin(fs::File::open(&asked)?)
            .stderr(Stdio::inherit())
            .output()
            .context("running Python")?;
        ensure!(output.status.success(), "outputs cannot be compared");
        let text = String::from_utf8(output.stdout).context("what Python says")?;
        let answers: BTreeMap<&str, &str> = text.lines().filter_map(|it| it.split_once('\t')).collect();
        for (case, end) in ends {
            if let End::Ran { saved, .. } = end {
                let _ = fs::remove_file(saved);
                *end = match answers.get(&*case.name) {
                    Some(&"") => End::Pass,
                    Some(what) => End::Wrong((*what).to_owned()),
                    None => bail!("{} was not compared", case.name),
                };
            }
        }
        Ok(())
    }
}

fn opened(path: &Path) -> Result<fs::File> {
    let file = fs::OpenOptions::new().create(true).write(true).truncate(false).open(path);
    file.with_context(|| format!("opening {}", path.display()))
}

/// Removes the cases of other versions that no run uses.
fn remove_unused(parent: &Path) -> Result<()> {
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        if path.is_dir() && opened(&path.with_extension("lock"))?.try_lock().is_ok() {
            fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

/// A part that has every operator: its first cases in order of name, and every third of the others.
pub(super) fn part(cases: &[Case]) -> Vec<&Case> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut firsts: BTreeSet<&str> = BTreeSet::new();
    for case in cases {
        for operator in &case.operators {
            let count = seen.entry(operator).or_default();
            *count += 1;
            if *count <= OF_EACH {
                firsts.insert(&case.name);
            }
        }
    }
    let mut others = 0_usize;
    let is_taken = |it: &&Case| {
        firsts.contains(&*it.name) || {
            others += 1;
            others.is_multiple_of(STRIDE)
        }
    };
    cases.iter().filter(is_taken).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, operators: &[&str]) -> Case {
        let operators = operators.iter().map(|it| (*it).to_owned()).collect();
        Case { name: name.to_owned(), group: "core".to_owned(), operators }
    }

    #[test]
    fn the_part_has_every_operator_and_a_third_of_the_others() {
        let cases: Vec<Case> = ('a'..='j')
            .map(|it| case(&it.to_string(), if it == 'h' { &["Mul", "Add"] } else { &["Add"] }))
            .collect();
        let names: Vec<&str> = part(&cases).iter().map(|it| &*it.name).collect();
        assert_eq!(names, ["a", "d", "g", "h"]);
    }
}
