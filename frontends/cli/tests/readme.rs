//! The commands that the README shows, as it shows them.

mod support;

use std::path::Path;
use support::orogen;

/// Lines of shell blocks that call the tool, without their comments.
fn commands(readme: &str) -> Vec<&str> {
    let mut in_shell = false;
    let mut found = Vec::new();
    for line in readme.lines() {
        match line.strip_prefix("```") {
            Some(kind) => in_shell = kind == "sh",
            None if in_shell && line.starts_with("orogen ") => {
                found.push(line.split(" # ").next().unwrap_or(line).trim());
            }
            None => {}
        }
    }
    found
}

#[test]
#[cfg(unix)]
fn every_command_of_the_readme_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the root");
    let readme = std::fs::read_to_string(root.join("README.md")).expect("the README");
    // A folder that looks like the root, so that what is written goes away.
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["tests", "examples"] {
        std::os::unix::fs::symlink(root.join(name), folder.path().join(name)).expect("a link");
    }
    let commands = commands(&readme);
    for name in ["compile", "run", "bench", "print", "inspect", "opt", "diff", "bisect"] {
        assert!(commands.iter().any(|it| it.split(' ').nth(1) == Some(name)), "the README shows no `{name}`");
    }
    for command in commands {
        let args: Vec<&str> = command.split_whitespace().skip(1).collect();
        let outcome = orogen(folder.path(), &args);
        assert_eq!(outcome.status, 0, "{command}\n{}{}", outcome.out, outcome.err);
    }
}
