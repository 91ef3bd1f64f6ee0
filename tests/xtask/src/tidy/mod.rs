//! The rules of the house, checked.
//!
//! 1. `dependencies`: which crate may depend on which, and which foreign crates belong to one crate alone.
//! 2. `layers`: which module may name which inside a crate.
//! 3. `circles`: modules of a folder do not import each other in a circle.
//! 4. `style`: unsafe code, sizes of files, module docs, words.
//! 5. Generated files are what the code says.
//! 6. `pages`: code on pages is the code of examples, and links lead somewhere.
//! 7. `types`: the table of element types is the only list of them.
//!
//! They run in `cargo test` too, each as its own test. A rule reports every violation.

mod circles;
mod dependencies;
mod layers;
mod pages;
mod paths;
mod style;
mod types;

use crate::workspace::{self, Finding, Source};
use crate::{codes, generated};
use anyhow::{Result, bail};
use std::path::Path;

/// Checks everything and prints what is wrong.
pub(crate) fn run() -> Result<()> {
    let root = workspace::root();
    let sources = workspace::sources(&root)?;
    let mut findings = dependencies::check(&dependencies::read(&root)?);
    findings.extend(layers::check(&sources));
    findings.extend(circles::check(&sources));
    findings.extend(style::check(&sources));
    findings.extend(codes::check(&sources));
    findings.extend(stale(&root, &sources)?);
    findings.extend(pages::check(&root, &sources));
    findings.extend(types::check(&sources));
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("tidy: {} files", sources.len());
            Ok(())
        }
        n => bail!("{n} rule{} broken", if n == 1 { " is" } else { "s are" }),
    }
}

/// Which module may name which: what breaks that.
pub(crate) fn layers(sources: &[Source]) -> Vec<Finding> {
    layers::check(sources)
}

/// Generated files that differ from what the code says.
fn stale(root: &Path, sources: &[Source]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in generated::files(sources) {
        let found = std::fs::read_to_string(root.join(file.path)).unwrap_or_default();
        if found != file.text {
            findings.push(Finding::new(file.path, 0, "out of date: run `cargo xtask bless`"));
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Vec<Source> {
        workspace::sources(&workspace::root()).expect("the repository can be read")
    }

    #[track_caller]
    fn expect_none(findings: &[Finding]) {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }

    #[test]
    fn crates_depend_in_one_direction() {
        let packages = dependencies::read(&workspace::root()).expect("cargo metadata works");
        expect_none(&dependencies::check(&packages));
    }

    #[test]
    fn element_types_are_listed_in_one_place() {
        expect_none(&types::check(&sources()));
    }

    #[test]
    fn modules_name_only_those_below_them() {
        expect_none(&layers::check(&sources()));
    }

    #[test]
    fn modules_import_in_one_direction() {
        expect_none(&circles::check(&sources()));
    }

    #[test]
    fn files_follow_the_style() {
        expect_none(&style::check(&sources()));
    }

    #[test]
    fn error_codes_belong_to_one_crate() {
        expect_none(&codes::check(&sources()));
    }

    #[test]
    fn pages_show_the_code_of_examples() {
        expect_none(&pages::check(&workspace::root(), &sources()));
    }

    #[test]
    fn generated_files_are_up_to_date() {
        expect_none(&stale(&workspace::root(), &sources()).expect("the repository can be read"));
    }
}
