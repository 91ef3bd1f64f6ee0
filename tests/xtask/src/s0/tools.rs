//! The compiler with and without the dataflow IR, and what they say.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Both command line tools.
pub(super) struct Tools {
    /// The root of the repository.
    pub(super) root: PathBuf,
    /// Where files are written.
    pub(super) work: PathBuf,
    /// With the dataflow IR.
    pub(super) with: PathBuf,
    /// Built from sources that do not have it.
    pub(super) without: PathBuf,
    /// Crates in the second.
    pub(super) crates: String,
}

/// How a tool ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) code: Option<i32>,
    pub(super) output: String,
    pub(super) errors: String,
}

impl Tools {
    /// Builds both. The second needs no speed, so it is built without optimisation, in a folder of its own: features of
    /// crates are those of the tool alone, not those of the workspace.
    pub(super) fn build(root: &Path, tree: &Path, work: &Path) -> Result<Tools> {
        let built = work.join("build");
        let without = ["--package", "orogen-cli", "--no-default-features"];
        let plain = [
            "--config",
            "profile.dev.opt-level=0",
            "--config",
            "profile.dev.debug=0",
            "--config",
            "profile.dev.package.\"*\".opt-level=0",
        ];
        let mut build = cargo(tree, &["build", "--quiet", "--locked", "--target-dir"]);
        run(build.arg(&built).args(without).args(plain), "building the tool without the dataflow IR")?;
        let mut tree_of = cargo(tree, &["tree", "--locked", "--edges", "normal,build", "--prefix", "none"]);
        let crates = run(tree_of.args(without), "listing its crates")?;
        // As the tests build it, so that nothing is built twice.
        let built_with = super::target()?;
        let mut build = cargo(root, &["build", "--quiet", "--workspace", "--bin", "orogen", "--target-dir"]);
        run(build.arg(&built_with), "building the tool")?;
        let tool =
            |folder: &Path| folder.join("debug").join(format!("orogen{}", std::env::consts::EXE_SUFFIX));
        Ok(Tools {
            root: root.to_path_buf(),
            work: work.to_path_buf(),
            with: tool(&built_with),
            without: tool(&built),
            crates,
        })
    }

    /// An empty folder.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.work.join(name);
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| format!("deleting {}", path.display()))?;
        }
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(path)
    }
}

/// Runs a tool from a folder.
pub(super) fn say(tool: &Path, folder: &Path, args: &[&str]) -> Result<Said> {
    let output = Command::new(tool).args(args).current_dir(folder).output();
    let output = output.with_context(|| format!("running {}", tool.display()))?;
    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    Ok(Said { code: output.status.code(), output: text(&output.stdout), errors: text(&output.stderr) })
}

fn cargo(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(folder);
    command
}

fn run(command: &mut Command, what: &str) -> Result<String> {
    let output = command.output().with_context(|| what.to_owned())?;
    ensure!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
