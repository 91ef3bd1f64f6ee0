//! What `deny.toml` says of dependencies, held without a tool that has to be installed first.
//!
//! Licences, banned crates, version wildcards and sources are in `cargo metadata`, so a table and a small reader of
//! licence expressions check them in a second. The file is that of `cargo-deny`, which reads it too and also knows
//! the advisory database; building it takes minutes and the database takes a network, so neither is part of
//! continuous integration.

use crate::workspace;
use crate::workspace::Finding;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const FILE: &str = "deny.toml";
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The part of `deny.toml` that is checked here.
#[derive(Debug, Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Debug, Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// `None` for crates of the workspace.
    source: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    req: String,
    path: Option<String>,
}

/// Checks all dependencies, of every platform, and prints what is wrong.
pub(crate) fn run() -> Result<()> {
    let root = workspace::root();
    let findings = check(&rules(&root)?, &packages(&root)?);
    for finding in &findings {
        println!("{finding}");
    }
    ensure!(findings.is_empty(), "{} findings", findings.len());
    Ok(())
}

fn rules(root: &Path) -> Result<Rules> {
    let text = std::fs::read_to_string(root.join(FILE)).with_context(|| format!("reading {FILE}"))?;
    toml::from_str(&text).with_context(|| format!("understanding {FILE}"))
}

fn packages(root: &Path) -> Result<Vec<Package>> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root)
        .output()
        .context("running cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
    Ok(metadata.packages)
}

fn check(rules: &Rules, packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |message: String| findings.push(Finding::new(FILE, 0, message));
    let mut seen = BTreeSet::new();
    for Package { name, version, license, source, dependencies } in packages {
        match license.as_deref().map(Expression::parse) {
            Some(Ok(expression)) => {
                expression.names(&mut seen);
                if !expression.holds(&|it| rules.licenses.allow.iter().any(|allowed| allowed == it)) {
                    let license = license.as_deref().unwrap_or_default();
                    find(format!("{name} {version} is under `{license}`, which is not allowed"));
                }
            }
            Some(Err(error)) => find(format!("{name} {version}: {error}")),
            None => find(format!("{name} {version} names no licence")),
        }
        if let Some(banned) = rules.bans.deny.iter().find(|it| it.name == *name) {
            find(format!("{name} {version} is banned: {}", banned.reason));
        }
        match source {
            Some(source) if source != CRATES_IO => {
                find(format!("{name} {version} comes from {source}, which is not crates.io"));
            }
            Some(_) => {}
            None => {
                for it in dependencies.iter().filter(|it| it.req == "*" && it.path.is_none()) {
                    find(format!("{name} names no version of {}", it.name));
                }
            }
        }
    }
    for unused in rules.licenses.allow.iter().filter(|it| !seen.contains(*it)) {
        find(format!("no dependency is under `{unused}`: take it off the list"));
    }
    findings
}

/// A licence expression of SPDX, as in `(MIT OR Apache-2.0) AND Unicode-3.0`.
#[derive(Debug, PartialEq, Eq)]
enum Expression {
    /// A licence, with its exception where it has one.
    Licence(String),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

impl Expression {
    fn parse(text: &str) -> Result<Expression> {
        // Old manifests write a slash between alternatives.
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut tokens: Vec<&str> = spaced.split_whitespace().rev().collect();
        let expression = Self::any(&mut tokens)?;
        match tokens.pop() {
            Some(token) => bail!("`{text}` is no licence expression: unexpected `{token}`"),
            None => Ok(expression),
        }
    }

    fn any(tokens: &mut Vec<&str>) -> Result<Expression> {
        let mut parts = vec![Self::all(tokens)?];
        while tokens.pop_if(|it| *it == "OR").is_some() {
            parts.push(Self::all(tokens)?);
        }
        Ok(Expression::Any(parts))
    }

    fn all(tokens: &mut Vec<&str>) -> Result<Expression> {
        let mut parts = vec![Self::one(tokens)?];
        while tokens.pop_if(|it| *it == "AND").is_some() {
            parts.push(Self::one(tokens)?);
        }
        Ok(Expression::All(parts))
    }

    fn one(tokens: &mut Vec<&str>) -> Result<Expression> {
        match tokens.pop() {
            Some("(") => {
                let inner = Self::any(tokens)?;
                ensure!(tokens.pop() == Some(")"), "a parenthesis of a licence expression is not closed");
                Ok(inner)
            }
            Some(name) if !["AND", "OR", "WITH", ")"].contains(&name) => {
                if tokens.pop_if(|it| *it == "WITH").is_none() {
                    return Ok(Expression::Licence(name.to_string()));
                }
                let exception = tokens.pop().context("an exception of a licence has no name")?;
                Ok(Expression::Licence(format!("{name} WITH {exception}")))
            }
            token => bail!("a licence is expected, not `{}`", token.unwrap_or("the end")),
        }
    }

    /// Whether licences that are allowed satisfy it.
    fn holds(&self, allowed: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Expression::Licence(name) => allowed(name),
            Expression::All(parts) => parts.iter().all(|it| it.holds(allowed)),
            Expression::Any(parts) => parts.iter().any(|it| it.holds(allowed)),
        }
    }

    fn names(&self, found: &mut BTreeSet<String>) {
        match self {
            Expression::Licence(name) => _ = found.insert(name.clone()),
            Expression::All(parts) | Expression::Any(parts) => parts.iter().for_each(|it| it.names(found)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str) -> bool {
        let allowed = ["MIT", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"];
        Expression::parse(text).expect("an expression").holds(&|it| allowed.contains(&it))
    }

    #[test]
    fn expressions_are_understood() {
        for good in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0/MIT",
            "Apache-2.0 WITH LLVM-exception",
            "(GPL-3.0 OR MIT) AND Unicode-3.0",
            "GPL-3.0 AND BSD-2-Clause OR MIT",
        ] {
            assert!(holds(good), "{good}");
        }
        for bad in ["GPL-3.0", "Apache-2.0", "MIT AND GPL-3.0", "MIT AND (GPL-3.0 OR BSD-2-Clause)"] {
            assert!(!holds(bad), "{bad}");
        }
        for broken in ["", "MIT OR", "(MIT", "MIT)", "MIT Apache-2.0", "Apache-2.0 WITH", "AND"] {
            assert!(Expression::parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn every_rule_finds_what_breaks_it() {
        let rules = Rules {
            licenses: Licenses { allow: vec!["MIT".into(), "ISC".into()] },
            bans: Bans { deny: vec![Banned { name: "bad".into(), reason: "it is".into() }] },
        };
        let package = |name: &str, license: Option<&str>, source: Option<&str>, req: &str| Package {
            name: name.into(),
            version: "1.0.0".into(),
            license: license.map(Into::into),
            source: source.map(Into::into),
            dependencies: vec![Dependency { name: "other".into(), req: req.into(), path: None }],
        };
        let found = |package| {
            let findings = check(&rules, &[package, isc()]);
            findings.into_iter().map(|it| it.message).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(found(package("good", Some("MIT"), Some(CRATES_IO), "*")), "");
        let of = |it: String, phrase: &str| assert!(it.contains(phrase), "no `{phrase}` in `{it}`");
        of(found(package("x", Some("GPL-3.0"), Some(CRATES_IO), "1")), "`GPL-3.0`, which is not allowed");
        of(found(package("x", None, Some(CRATES_IO), "1")), "names no licence");
        of(found(package("bad", Some("MIT"), Some(CRATES_IO), "1")), "is banned: it is");
        of(found(package("x", Some("MIT"), Some("git+https://example.org"), "1")), "is not crates.io");
        of(found(package("x", Some("MIT"), None, "*")), "names no version of other");
        of(found(package("x", Some("ISC"), Some(CRATES_IO), "1")), "no dependency is under `MIT`");
    }

    /// A package that uses up an allowance.
    fn isc() -> Package {
        let (name, version) = ("isc".to_string(), "1.0.0".to_string());
        let (license, source) = (Some("ISC".to_string()), Some(CRATES_IO.to_string()));
        Package { name, version, license, source, dependencies: Vec::new() }
    }

    #[test]
    fn the_file_can_be_read() {
        let rules = rules(&workspace::root()).expect("deny.toml is understood");
        assert!(!rules.licenses.allow.is_empty() && !rules.bans.deny.is_empty());
    }
}
