//! Which crate may depend on which.

use crate::workspace::Finding;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::Path;
use std::process::Command;

/// Crates of the workspace that a crate may use in its shipped code. Test and tool crates, which only
/// such crates may use, are not listed and may use everything.
const ALLOWED: &[(&str, &[&str])] = &[
    ("orogen-abi", &[]),
    ("orogen-ir", &[]),
    ("orogen-reference", &["orogen-ir"]),
    ("orogen-passes", &["orogen-ir"]),
    ("orogen-codegen", &["orogen-ir", "orogen-abi"]),
    ("orogen-runtime", &["orogen-abi"]),
    ("orogen-onnx", &["orogen-ir"]),
    (
        "orogen",
        &[
            "orogen-ir",
            "orogen-reference",
            "orogen-passes",
            "orogen-codegen",
            "orogen-abi",
            "orogen-runtime",
            "orogen-onnx",
        ],
    ),
    ("orogen-npz", &[]),
    ("orogen-hosted", &["orogen", "orogen-runtime"]),
    ("orogen-cli", &["orogen", "orogen-ir", "orogen-abi", "orogen-runtime", "orogen-npz", "orogen-hosted"]),
];

/// Foreign crates, by the start of their name, that one crate alone may use.
const OWNED: &[(&str, &str, &str)] = &[
    ("cranelift", "orogen-codegen", "the code generator can be replaced only if nothing else knows it"),
    ("iced-x86", "orogen-codegen", "machine code is written in one place"),
    ("prost", "orogen-onnx", "the model format ends at its importer"),
    ("clap", "orogen-cli", "libraries take options as values"),
    ("indicatif", "orogen-cli", "libraries do not print"),
];

/// A crate of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `None` for what is shipped, `dev` or `build`.
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: String,
}

/// The crates of the workspace, from Cargo.
pub(crate) fn read(root: &Path) -> Result<Vec<Package>> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root)
        .output()
        .context("running cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
    let prefix = format!("{}/", metadata.workspace_root);
    let mut packages = metadata.packages;
    for package in &mut packages {
        package.manifest_path = package.manifest_path.replace('\\', "/").replace(&prefix, "");
    }
    Ok(packages)
}

/// Every dependency against the rules.
pub(crate) fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let is_test = package.manifest_path.starts_with("tests/");
        if package.manifest_path.starts_with("examples/") {
            findings.extend(example(package, packages));
            continue;
        }
        let allowed = ALLOWED.iter().find(|(name, _)| *name == package.name).map(|it| it.1);
        if allowed.is_none() && !is_test {
            let message =
                format!("`{}` is not in the table of tests/xtask/src/tidy/dependencies.rs", package.name);
            findings.push(Finding::new(&package.manifest_path, 0, message));
        }
        for dependency in &package.dependencies {
            let problem = problem(&package.name, is_test, allowed, dependency, packages);
            findings.extend(problem.map(|it| Finding::new(&package.manifest_path, 0, it)));
        }
    }
    findings
}

/// Examples show that one dependency is enough, so they have no other crate of the workspace.
fn example(package: &Package, packages: &[Package]) -> Vec<Finding> {
    let of_workspace =
        |it: &&Dependency| it.name != "orogen" && packages.iter().any(|other| other.name == it.name);
    let others = package.dependencies.iter().filter(of_workspace);
    let message =
        |it: &Dependency| format!("`{}` is an example and uses `{}` beside `orogen`", package.name, it.name);
    others.map(|it| Finding::new(&package.manifest_path, 0, message(it))).collect()
}

fn problem(
    name: &str,
    is_test: bool,
    allowed: Option<&[&str]>,
    dependency: &Dependency,
    packages: &[Package],
) -> Option<String> {
    let used = dependency.name.as_str();
    let shipped = dependency.kind.as_deref() != Some("dev");
    if let Some(package) = packages.iter().find(|it| it.name == used) {
        if package.manifest_path.starts_with("tests/") && !is_test {
            return Some(format!("`{name}` uses `{used}`, a crate for tests"));
        }
        if package.manifest_path.starts_with("examples/") && shipped {
            return Some(format!("`{name}` uses `{used}`, an example"));
        }
        let ok = !shipped || is_test || allowed.is_some_and(|it| it.contains(&used));
        return (!ok).then(|| format!("`{name}` must not depend on `{used}`"));
    }
    if name == "orogen-abi" {
        return Some(format!("`{name}` has no dependencies, but names `{used}`"));
    }
    let starts = |prefix: &str| used == prefix || used.starts_with(&format!("{prefix}-"));
    let (prefix, owner, why) = OWNED.iter().find(|it| starts(it.0))?;
    let tool = is_test && ["clap", "indicatif"].contains(prefix);
    (name != *owner && !tool).then(|| format!("only `{owner}` may use `{used}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, path: &str, uses: &[(&str, Option<&str>)]) -> Package {
        let dependencies = uses
            .iter()
            .map(|(name, kind)| Dependency { name: name.to_string(), kind: kind.map(str::to_string) })
            .collect();
        Package { name: name.to_string(), manifest_path: path.to_string(), dependencies }
    }

    fn messages(packages: &[Package]) -> Vec<String> {
        check(packages).into_iter().map(|it| it.message).collect()
    }

    #[test]
    fn upward_dependencies_are_found() {
        let packages = [
            package("orogen-ir", "ir/Cargo.toml", &[("orogen-passes", None)]),
            package(
                "orogen-passes",
                "passes/Cargo.toml",
                &[("orogen-ir", None), ("cranelift-codegen", None)],
            ),
            package("orogen-abi", "runtime/abi/Cargo.toml", &[("libc", None)]),
        ];
        let found = messages(&packages);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("must not depend on `orogen-passes`"));
        assert!(found[1].contains("only `orogen-codegen` may use `cranelift-codegen`"));
        assert!(found[2].contains("no dependencies"));
    }

    #[test]
    fn tests_may_use_what_shipped_code_may_not() {
        let packages = [
            package("orogen-ir", "ir/Cargo.toml", &[("orogen-reference", Some("dev"))]),
            package("orogen-reference", "ir/reference/Cargo.toml", &[("orogen-ir", None)]),
            package("orogen-suite", "tests/suite/Cargo.toml", &[("orogen-reference", None), ("clap", None)]),
            package("orogen-models", "tests/models/Cargo.toml", &[("orogen-suite", None)]),
        ];
        assert_eq!(messages(&packages), [""; 0]);
    }

    #[test]
    fn examples_have_one_dependency_and_nothing_ships_them() {
        let packages = [
            package("orogen", "frontends/driver/Cargo.toml", &[]),
            package("orogen-ir", "ir/Cargo.toml", &[]),
            package(
                "acme",
                "examples/acme/Cargo.toml",
                &[("orogen", Some("dev")), ("tempfile", Some("dev"))],
            ),
            package("acme-wide", "examples/wide/Cargo.toml", &[("orogen", None), ("orogen-ir", Some("dev"))]),
            package("orogen-cli", "frontends/cli/Cargo.toml", &[("acme", Some("dev")), ("acme-wide", None)]),
        ];
        assert_eq!(messages(&packages).len(), 2, "{:?}", messages(&packages));
    }

    #[test]
    fn unknown_crates_and_uses_of_test_crates_are_found() {
        let packages = [
            package("orogen-new", "ir/new/Cargo.toml", &[]),
            package("orogen-ir", "ir/Cargo.toml", &[("orogen-suite", Some("dev"))]),
            package("orogen-suite", "tests/suite/Cargo.toml", &[]),
        ];
        assert_eq!(messages(&packages).len(), 2);
    }
}
