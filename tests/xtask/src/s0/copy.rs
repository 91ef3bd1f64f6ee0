//! The sources of the repository without some of them.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Copies what Git knows of `root`, or would add, to `tree`, without the files and folders `removed`. What is there and has
/// the same content is left alone, so that it is not built again; what is there and should not be is deleted.
///
/// # Errors
/// Files that cannot be read or written; something to be removed that is not there.
pub(super) fn without(root: &Path, tree: &Path, removed: &[&str]) -> Result<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("running git ls-files")?;
    ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr).trim());
    let listed = String::from_utf8(listed.stdout).context("paths are UTF-8")?;
    let files: Vec<&str> =
        listed.split('\0').filter(|it| !it.is_empty() && root.join(it).is_file()).collect();
    let kept = kept(&files, removed)?;
    for file in &kept {
        let (from, to) = (root.join(file), tree.join(file));
        let bytes = fs::read(&from).with_context(|| format!("reading {}", from.display()))?;
        if fs::read(&to).is_ok_and(|it| it == bytes) {
            continue;
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        fs::write(&to, bytes).with_context(|| format!("writing {}", to.display()))?;
    }
    sweep(tree, tree, &kept)?;
    Ok(tree.to_path_buf())
}

/// Files that are not removed. Models are not part of what is built.
fn kept<'a>(files: &[&'a str], removed: &[&str]) -> Result<BTreeSet<&'a str>> {
    let is_below = |file: &str, it: &str| file == it || file.starts_with(&format!("{it}/"));
    for it in removed {
        ensure!(files.iter().any(|file| is_below(file, it)), "there is no `{it}` to remove");
    }
    let gone = |file: &str| file.starts_with("tests/models/") || removed.iter().any(|it| is_below(file, it));
    Ok(files.iter().copied().filter(|file| !gone(file)).collect())
}

/// Deletes files that are not listed.
fn sweep(tree: &Path, folder: &Path, kept: &BTreeSet<&str>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            sweep(tree, &path, kept)?;
            continue;
        }
        let name = path.strip_prefix(tree).context("a path below the copy")?;
        if !kept.contains(name.to_string_lossy().replace('\\', "/").as_str()) {
            fs::remove_file(&path).with_context(|| format!("deleting {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_are_removed_and_must_be_there() {
        let files = ["a/flow/x.rs", "a/flow.rs", "a/flower.rs", "tests/models/m.onnx", "b.rs"];
        let kept = |removed: &[&str]| kept(&files, removed).map(|it| it.into_iter().collect::<Vec<_>>());
        assert_eq!(kept(&["a/flow"]).expect("it is there"), ["a/flow.rs", "a/flower.rs", "b.rs"]);
        assert_eq!(kept(&["a/flow", "a/flow.rs"]).expect("it is there"), ["a/flower.rs", "b.rs"]);
        let absent = kept(&["c"]).expect_err("it is not there").to_string();
        assert!(absent.contains("there is no `c`"), "{absent}");
    }

    #[test]
    fn what_is_not_listed_goes() {
        let folder = std::env::temp_dir().join(format!("orogen-s0-{}", std::process::id()));
        fs::create_dir_all(folder.join("a")).expect("a folder");
        for file in ["a/x", "a/y"] {
            fs::write(folder.join(file), "").expect("a file");
        }
        sweep(&folder, &folder, &BTreeSet::from(["a/y"])).expect("it can be swept");
        assert!(!folder.join("a/x").exists() && folder.join("a/y").exists());
        fs::remove_dir_all(&folder).expect("it can be removed");
    }
}
