//! The commands that the README shows, as it shows them.

mod support;

use std::path::Path;
use support::orogen;

/// How the README calls the tool before it is built.
const BY_CARGO: &str = "cargo run --release -p orogen-cli -- ";

/// Lines of shell blocks that call the tool, without their comments and the name of the tool.
fn commands(readme: &str) -> Vec<&str> {
    let mut in_shell = false;
    let mut found = Vec::new();
    for line in readme.lines() {
        match line.strip_prefix("```") {
            Some(kind) => in_shell = kind == "sh",
            None if in_shell => {
                let call = line.strip_prefix("orogen ").or_else(|| line.strip_prefix(BY_CARGO));
                found.extend(call.map(|it| it.split(" # ").next().unwrap_or(it).trim()));
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
        assert!(commands.iter().any(|it| it.split(' ').next() == Some(name)), "the README shows no `{name}`");
    }
    for command in commands {
        let args: Vec<&str> = command.split_whitespace().collect();
        let outcome = orogen(folder.path(), &args);
        assert_eq!(outcome.status, 0, "{command}\n{}{}", outcome.out, outcome.err);
        // What it prints stands below the command.
        if let Some(rest) = readme.split(&format!("{BY_CARGO}{command}\n")).nth(1) {
            let block =
                rest.split("```text\n").nth(1).and_then(|it| it.split("```").next()).expect("a block");
            assert!(outcome.out.contains(block), "{command}\n{}", outcome.out);
        }
    }
}
