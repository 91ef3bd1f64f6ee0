//! Rewriting generated files and expected texts.

use crate::{generated, workspace};
use anyhow::{Context, Result, ensure};
use std::process::Command;

pub(crate) fn run(no_tests: bool) -> Result<()> {
    let root = workspace::root();
    for file in generated::files(&workspace::sources(&root)?) {
        let path = root.join(file.path);
        if std::fs::read_to_string(&path).is_ok_and(|it| it == file.text) {
            continue;
        }
        std::fs::write(&path, &file.text).with_context(|| format!("writing {}", path.display()))?;
        println!("wrote {}", file.path);
    }
    if no_tests {
        return Ok(());
    }
    // `BLESS` for text files of ours, `UPDATE_EXPECT` for texts inside Rust files.
    let status = Command::new("cargo")
        .args(["test", "--workspace", "--quiet"])
        .env("BLESS", "1")
        .env("UPDATE_EXPECT", "1")
        .current_dir(&root)
        .status()
        .context("running cargo test")?;
    ensure!(status.success(), "some tests fail for other reasons than their expected text");
    Ok(())
}
