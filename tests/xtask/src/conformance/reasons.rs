//! Why a case cannot pass: `tests/conformance/reasons.txt`, by its name where it is not refused. What is refused ends with
//! a code, and there is one reason for each code.

use super::list::List;
use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fs;

const FILE: &str = "tests/conformance/reasons.txt";

/// Reasons.
pub(super) struct Reasons {
    /// By the name of a case, or by what names begin with where it ends in `*`.
    cases: Vec<(String, String)>,
    /// By the code of a refusal.
    codes: Vec<(String, String)>,
}

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
        let missing = unexplained.iter().filter(|name| !self.cases.iter().any(|it| covers(&it.0, name)));
        let missing = missing.map(|name| format!("{name}: {FILE} does not say why it does not pass"));
        let idle = self.cases.iter().filter(|it| !unexplained.iter().any(|name| covers(&it.0, name)));
        let idle = idle.map(|it| format!("{}: {FILE} says why it does not pass, and it is not listed", it.0));

        let refused = lists.iter().flat_map(List::refusals).collect::<BTreeSet<_>>();
        let nameless = refused.iter().filter(|code| !self.codes.iter().any(|it| it.0 == **code));
        let nameless =
            nameless.map(|code| format!("{code}: {FILE} does not say why cases are refused with it"));
        let unused = self.codes.iter().filter(|it| !refused.contains(it.0.as_str()));
        let unused = unused.map(|it| format!("{}: {FILE} has a reason for it, and it refuses no case", it.0));
        missing.chain(idle).chain(nameless).chain(unused).collect()
    }

    /// Of each code, how many cases it refuses on each executor, and why.
    pub(super) fn of_refusals<'a>(
        &'a self,
        lists: &'a [List],
    ) -> impl Iterator<Item = (&'a str, Vec<usize>, &'a str)> {
        self.codes.iter().map(|(code, reason)| {
            let count = |list: &List| list.refusals().filter(|it| it == code).count();
            (code.as_str(), lists.iter().map(count).collect(), reason.as_str())
        })
    }
}

/// A letter and a number of three digits.
fn is_code(text: &str) -> bool {
    let [letter, digits @ ..] = text.as_bytes() else { return false };
    letter.is_ascii_uppercase() && digits.len() == 3 && digits.iter().all(u8::is_ascii_digit)
}

pub(super) fn parse(text: &str) -> Result<Reasons> {
    let mut reasons = Reasons { cases: Vec::new(), codes: Vec::new() };
    for line in text.lines().filter(|it| !it.starts_with('#')) {
        let (name, reason) = line.split_once(' ').unwrap_or((line, ""));
        ensure!(!name.is_empty() && !reason.trim().is_empty(), "`{line}`: a name or a code, and why");
        let list = if is_code(name) { &mut reasons.codes } else { &mut reasons.cases };
        list.push((name.to_owned(), reason.to_owned()));
    }
    Ok(reasons)
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
        assert!(of("# about\na* chance\nc long\nX009 not yet\n").is_empty());
        assert_eq!(of("a1 chance\nc long\nX009 not yet\n").len(), 1);
        assert_eq!(of("a* chance\nb refused\nc long\nX009 not yet\n").len(), 1);
        assert_eq!(of("a* chance\nc long\n").len(), 1);
        assert_eq!(of("a* chance\nc long\nX009 not yet\nG002 never\n").len(), 1);
        assert!(parse("a \n").is_err());
    }
}
