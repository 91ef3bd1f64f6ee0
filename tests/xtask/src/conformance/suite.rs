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
const PACKAGES: [&str; 5] = [SUITE, "numpy==2.4.6", "ml_dtypes==0.6.0", "protobuf==7.36.2", "pillow==13.0.0"];
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
}

impl Suite {
    /// Writes the files when they are not there.
    pub(super) fn open() -> Result<Suite> {
        let python = python::environment("conformance", &PACKAGES)
            .context("the suite needs Python 3 and its package index")?;
        let script = fs::read(workspace::root().join(SCRIPT)).with_context(|| format!("reading {SCRIPT}"))?;
        // Other text writes other files.
        let digest = Sha256::new().chain_update(PACKAGES.join(" ")).chain_update(script).finalize();
        let key: String = digest[..6].iter().fold(String::new(), |mut text, it| {
            let _ = write!(text, "{it:02x}");
            text
        });
        let parent = python::build_folder()?.join("conformance-cases");
        let folder = parent.join(key);
        let index = folder.join("cases.json");
        if !index.exists() {
            if parent.exists() {
                fs::remove_dir_all(&parent).with_context(|| format!("removing {}", parent.display()))?;
            }
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
        Ok(Suite { python, folder, cases })
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

    /// Decides what was computed: each [`End::Ran`] becomes a pass or a wrong answer.
    pub(super) fn compare(&self, ends: &mut [(&Case, End)]) -> Result<()> {
        let mut lines = String::new();
        for (case, end) in &*ends {
            if let End::Ran { saved, said } = end {
                writeln!(lines, "{}\t{}\t{}", case.name, saved.display(), said)?;
            }
        }
        // A file, since neither side may wait for the other.
        let asked = self.folder.join("compare.txt");
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
