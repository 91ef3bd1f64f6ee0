//! The cases that are known not to pass: `tests/conformance/EXECUTOR.txt`, a line for each with how it ends, and with the
//! codes of what the tool says: how a case ends is held to, of the codes only that `reasons` explains the first of a case
//! that is refused. `tests/conformance/peers` has such lists of other implementations, which hold nobody to anything.

use super::Executor;
use super::end::End;
use super::suite::{Case, Suite};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Ends that are not a pass.
pub(super) const CLASSES: [&str; 6] = ["wrong", "unsupported", "failed", "crash", "hang", "other"];

/// The list of an executor.
pub(super) struct List {
    path: PathBuf,
    name: String,
    /// The comment that it begins with.
    about: String,
    /// Class and codes by case.
    known: BTreeMap<String, (String, String)>,
}

impl List {
    /// An executor without a file passes all cases.
    pub(super) fn read(root: &Path, executor: Executor) -> Result<List> {
        let name = executor.name();
        let about = format!(
            "# Cases that do not pass on `{name}`, and how they end. All others pass.\n\
             # `cargo xtask conformance --all --executor {name} --bless` writes this.\n"
        );
        Self::of_file(root.join("tests/conformance").join(format!("{name}.txt")), name, about)
    }

    /// The list of another implementation, and the package that it is of.
    pub(super) fn of_peer(root: &Path, name: &str, package: &str) -> Result<List> {
        let about = format!(
            "# Cases that do not pass on {package}, and how they end. All others pass.\n\
             # `cargo xtask conformance --peer {name}` writes this.\n"
        );
        Self::of_file(root.join("tests/conformance/peers").join(format!("{name}.txt")), package, about)
    }

    fn of_file(path: PathBuf, name: &str, about: String) -> Result<List> {
        let text = if path.exists() { fs::read_to_string(&path)? } else { String::new() };
        let known = parse(&text).with_context(|| format!("reading {}", path.display()))?;
        Ok(List { path, name: name.to_owned(), about, known })
    }

    /// A list with this text.
    #[cfg(test)]
    pub(super) fn of(executor: Executor, text: &str) -> List {
        let name = executor.name().to_owned();
        List { path: PathBuf::new(), name, about: String::new(), known: parse(text).expect("a list") }
    }

    /// The name of the executor.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Takes how all cases end, as a class for each.
    pub(super) fn replace(&mut self, ends: impl Iterator<Item = (String, String)>) -> Result<()> {
        let failing = ends.filter(|it| it.1 != "pass");
        self.known = failing.map(|(name, class)| (name, (class, String::new()))).collect();
        self.write()
    }

    /// Whether it was ever written.
    pub(super) fn is_there(&self) -> bool {
        self.path.exists()
    }

    pub(super) fn passes(&self, case: &str) -> bool {
        !self.known.contains_key(case)
    }

    /// Whether a case is known not to end in time.
    pub(super) fn hangs(&self, case: &str) -> bool {
        self.known.get(case).is_some_and(|it| it.0 == "hang")
    }

    /// How many cases end so.
    pub(super) fn count(&self, class: &str) -> usize {
        self.known.values().filter(|it| it.0 == class).count()
    }

    /// The cases that do not pass and are not refused: each needs a reason of its own, a refusal one for its code.
    pub(super) fn unexplained(&self) -> impl Iterator<Item = &str> {
        self.known.iter().filter(|it| it.1.0 != "unsupported").map(|it| it.0.as_str())
    }

    /// The first code of each case that is refused.
    pub(super) fn refusals(&self) -> impl Iterator<Item = &str> {
        let refused = self.known.values().filter(|it| it.0 == "unsupported");
        refused.map(|it| it.1.split(' ').next().unwrap_or_default())
    }

    /// The cases that do not pass.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.known.keys().map(String::as_str)
    }

    /// What is not as the list says.
    pub(super) fn objection(&self, name: &str, end: &End) -> Option<String> {
        let known = self.known.get(name).map(|it| it.0.as_str());
        match (known, end.class()) {
            (None, "pass") => None,
            (None, class) => Some(format!("it passed, and is now {class}: {}", first(end.detail()))),
            (Some(known), "pass") => Some(format!("it passes now, and was {known}")),
            (Some(known), class) if known == class => None,
            (Some(known), class) => {
                Some(format!("it is now {class}, and was {known}: {}", first(end.detail())))
            }
        }
    }

    /// Takes what was found for what is known, and writes it.
    pub(super) fn bless(&mut self, ends: &[(&Case, End)], suite: &Suite) -> Result<()> {
        self.known.retain(|name, _| suite.cases().iter().any(|it| it.name == *name));
        self.learn(ends);
        self.write()
    }

    fn write(&self) -> Result<()> {
        let text = self.text();
        if fs::read_to_string(&self.path).is_ok_and(|it| it == text) {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&self.path, text).with_context(|| format!("writing {}", self.path.display()))?;
        println!("wrote {}: {} cases do not pass", self.path.display(), self.known.len());
        Ok(())
    }

    fn learn(&mut self, ends: &[(&Case, End)]) {
        for (case, end) in ends {
            match end {
                End::Pass => drop(self.known.remove(&case.name)),
                end => {
                    let entry = (end.class().to_owned(), end.codes().join(" "));
                    self.known.insert(case.name.clone(), entry);
                }
            }
        }
    }

    fn text(&self) -> String {
        let mut text = self.about.clone();
        for (case, (class, codes)) in &self.known {
            let line = format!("{case} {class} {codes}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }
}

fn parse(text: &str) -> Result<BTreeMap<String, (String, String)>> {
    let mut known = BTreeMap::new();
    for line in text.lines().filter(|it| !it.starts_with('#')) {
        let mut words = line.splitn(3, ' ');
        let (Some(name), Some(class)) = (words.next(), words.next()) else {
            bail!("`{line}`: how does it end?")
        };
        ensure!(CLASSES.contains(&class), "`{line}`: {class} is none of {}", CLASSES.join(", "));
        let entry = (class.to_owned(), words.next().unwrap_or_default().to_owned());
        ensure!(known.insert(name.to_owned(), entry).is_none(), "`{line}`: it is there twice");
    }
    Ok(known)
}

/// The first line, not too much of it.
fn first(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_list_does_not_say_is_told() {
        let mut list = List::of(Executor::Flow, "# about\na unsupported X009\nb wrong\n");
        let refused = || End::Unsupported("error[X009]: no\nmore".to_owned());
        assert_eq!(list.objection("a", &refused()), None);
        assert_eq!(list.objection("c", &End::Pass), None);
        assert_eq!(list.objection("a", &End::Pass).as_deref(), Some("it passes now, and was unsupported"));
        assert_eq!(list.objection("b", &End::Hang).as_deref(), Some("it is now hang, and was wrong: "));
        let lost = list.objection("c", &refused());
        assert_eq!(lost.as_deref(), Some("it passed, and is now unsupported: error[X009]: no"));

        let case = |name: &str| Case { name: name.to_owned(), group: String::new(), operators: Vec::new() };
        let (a, c) = (case("a"), case("c"));
        list.learn(&[(&a, End::Pass), (&c, refused())]);
        let text = list.text();
        assert!(text.ends_with("b wrong\nc unsupported X009\n"), "{text}");
        assert_eq!(parse(&text).expect("a list"), list.known);
    }

    #[test]
    fn a_list_with_a_mistake_is_refused() {
        for text in ["a", "a fine", "a wrong\na hang"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
