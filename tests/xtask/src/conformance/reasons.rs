//! Why a case cannot pass: `tests/conformance/reasons.txt`, for what ends otherwise than refused. A refusal says itself why.

use super::list::List;
use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fs;

const FILE: &str = "tests/conformance/reasons.txt";

/// Reasons by the name of a case, or by what names begin with where it ends in `*`.
pub(super) struct Reasons(Vec<(String, String)>);

impl Reasons {
    pub(super) fn read() -> Result<Reasons> {
        let text =
            fs::read_to_string(workspace::root().join(FILE)).with_context(|| format!("reading {FILE}"))?;
        parse(&text).with_context(|| format!("reading {FILE}"))
    }

    /// What is listed without a reason, and reasons of what is not listed.
    pub(super) fn objections(&self, lists: &[List]) -> Vec<String> {
        let unexplained = lists.iter().flat_map(List::unexplained).collect::<BTreeSet<_>>();
        let covers = |pattern: &str, name: &str| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == pattern,
        };
        let missing = unexplained.iter().filter(|name| !self.0.iter().any(|it| covers(&it.0, name)));
        let missing = missing.map(|name| format!("{name}: {FILE} does not say why it does not pass"));
        let idle = self.0.iter().filter(|it| !unexplained.iter().any(|name| covers(&it.0, name)));
        let idle = idle.map(|it| format!("{}: {FILE} says why it does not pass, and it is not listed", it.0));
        missing.chain(idle).collect()
    }
}

fn parse(text: &str) -> Result<Reasons> {
    let mut reasons = Vec::new();
    for line in text.lines().filter(|it| !it.starts_with('#')) {
        let (name, reason) = line.split_once(' ').unwrap_or((line, ""));
        ensure!(!name.is_empty() && !reason.trim().is_empty(), "`{line}`: a name, and why");
        reasons.push((name.to_owned(), reason.to_owned()));
    }
    Ok(Reasons(reasons))
}

#[cfg(test)]
mod tests {
    use super::super::Executor;
    use super::*;

    #[test]
    fn what_is_wrong_has_a_reason_and_reasons_are_of_something() {
        let lists = [
            List::of(Executor::Flow, "a1 wrong\na2 wrong\nb unsupported X009\n"),
            List::of(Executor::Legacy, "c hang\n"),
        ];
        let of = |text: &str| parse(text).expect("reasons").objections(&lists);
        assert!(of("# about\na* chance\nc long\n").is_empty());
        assert_eq!(of("a1 chance\nc long\n").len(), 1);
        assert_eq!(of("a* chance\nb refused\nc long\n").len(), 1);
        assert!(parse("a \n").is_err());
    }
}
