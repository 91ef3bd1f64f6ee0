//! Other implementations on the same cases, by the same rules: `tests/conformance/peers.py`, and a list for each.

use super::list::List;
use super::suite::{PACKAGES, SUITE};
use crate::{python, workspace};
use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const SCRIPT: &str = "tests/conformance/peers.py";

/// Another implementation of ONNX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// ONNX Runtime, on the processor.
    Onnxruntime,
    /// OpenVINO, on the processor, with f32 where the model says f32.
    Openvino,
    /// The evaluator in Python that ships with ONNX.
    Reference,
}

impl Peer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Peer::Onnxruntime => "onnxruntime",
            Peer::Openvino => "openvino",
            Peer::Reference => "reference",
        }
    }

    /// The package that was measured.
    pub(super) fn package(self) -> &'static str {
        match self {
            Peer::Onnxruntime => "onnxruntime==1.32.0",
            Peer::Openvino => "openvino==2026.4.1",
            Peer::Reference => SUITE,
        }
    }

    fn list(self) -> Result<List> {
        List::of_peer(&workspace::root(), self.name(), self.package())
    }

    /// The lists of those that were measured.
    pub(super) fn lists() -> Result<Vec<List>> {
        let lists = Peer::value_variants().iter().map(|it| it.list());
        Ok(lists.collect::<Result<Vec<_>>>()?.into_iter().filter(List::is_there).collect())
    }

    /// A Python that has it.
    ///
    /// # Errors
    /// Packages that cannot be had.
    pub(crate) fn python(self) -> Result<PathBuf> {
        let mut packages = PACKAGES.to_vec();
        packages.extend((self != Peer::Reference).then(|| self.package()));
        python::environment(&format!("conformance-{}", self.name()), &packages)
            .context("a peer needs Python 3 and its package index")
    }

    /// Runs all cases in a process each, and writes how they end.
    ///
    /// # Errors
    /// Packages that cannot be had, and what the script says.
    pub(super) fn measure(self) -> Result<()> {
        let mut command = Command::new(self.python()?);
        command.arg(workspace::root().join(SCRIPT)).arg(self.name()).stderr(Stdio::inherit());
        let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().context("running Python")?;
        ensure!(output.status.success(), "{} cannot be measured", self.name());
        let text = String::from_utf8(output.stdout).context("what Python says")?;
        let mut ends = Vec::new();
        for line in text.lines() {
            let mut parts = line.split('\t');
            let (case, end) = parts.next().zip(parts.next()).with_context(|| format!("reading `{line}`"))?;
            ends.push((case.to_owned(), end.to_owned()));
        }
        let passed = ends.iter().filter(|it| it.1 == "pass").count();
        println!("{}: {passed} of {} cases pass", self.package(), ends.len());
        self.list()?.replace(ends.into_iter())
    }
}
