//! What passes by group and by operator, and what stops the others.

use super::end::End;
use super::list::List;
use super::reasons::Reasons;
use super::suite::Case;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Reasons that are printed.
const REASONS: usize = 40;

/// Cases, and how many of them pass on each executor.
#[derive(Clone, Debug, Default)]
struct Counts {
    cases: usize,
    passed: Vec<usize>,
}

impl Counts {
    fn count(&mut self, case: &Case, lists: &[List]) {
        self.cases += 1;
        self.passed.resize(lists.len(), 0);
        for (passed, list) in self.passed.iter_mut().zip(lists) {
            *passed += usize::from(list.passes(&case.name));
        }
    }

    fn cells(&self, shares: bool) -> String {
        let cells = self.passed.iter().map(|it| match shares {
            true => percent(*it, self.cases),
            false => it.to_string(),
        });
        format!("{} | {}", self.cases, cells.collect::<Vec<_>>().join(" | "))
    }
}

/// What the lists say, as a page in Markdown.
pub(super) fn page(suite: &str, cases: &[Case], lists: &[List], peers: &[List], reasons: &Reasons) -> String {
    let mut groups: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut operators: BTreeMap<&str, Counts> = BTreeMap::new();
    for case in cases {
        for group in ["all", case.group.as_str()] {
            groups.entry(group).or_default().count(case, lists);
        }
        for operator in &case.operators {
            operators.entry(operator).or_default().count(case, lists);
        }
    }
    let names: Vec<&str> = lists.iter().map(List::name).collect();
    let (head, rule) = (names.join(" | "), "---|".repeat(lists.len() + 2));
    let mut text = format!(
        "# Cases that pass\n\n\
         Of the backend suite of {suite}, as the lists beside this say; `cargo xtask conformance --report` writes it.\n\n\
         | group | cases | {head} |\n|{rule}\n"
    );
    for (group, counts) in &groups {
        let _ = writeln!(text, "| {group} | {} |", counts.cells(true));
    }
    text += "\n## How the others end\n\n";
    let _ = writeln!(text, "| end | {head} |\n|---|{}", "---|".repeat(lists.len()));
    for class in super::list::CLASSES {
        let counts: Vec<String> = lists.iter().map(|it| it.count(class).to_string()).collect();
        let _ = writeln!(text, "| {class} | {} |", counts.join(" | "));
    }
    let _ = writeln!(
        text,
        "\n## Why they are refused\n\n| code | {head} | why |\n|---|{}---|",
        "---|".repeat(lists.len())
    );
    for (code, counts, reason) in reasons.of_refusals(lists) {
        let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
        let _ = writeln!(text, "| {code} | {} | {reason} |", counts.join(" | "));
    }
    text += &beside(cases, lists, peers);
    let is_whole = |it: &Counts| it.passed.iter().all(|passed| *passed == it.cases);
    let whole = operators.values().filter(|it| is_whole(it)).count();
    let _ = write!(
        text,
        "\n## Operators\n\n\
         {whole} of {} operators are in cases that all pass, on every executor. The others:\n\n\
         | operator | cases with it | {head} |\n|{rule}\n",
        operators.len()
    );
    for (operator, counts) in operators.iter().filter(|it| !is_whole(it.1)) {
        let _ = writeln!(text, "| {operator} | {} |", counts.cells(false));
    }
    text
}

/// What other implementations pass of the same cases, by the same rules.
fn beside(cases: &[Case], lists: &[List], peers: &[List]) -> String {
    let all: Vec<&List> = lists.iter().take(1).chain(peers).collect();
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for case in cases {
        for group in ["all", case.group.as_str()] {
            let row = groups.entry(group).or_insert_with(|| vec![0; all.len() + 1]);
            row[0] += 1;
            all.iter().zip(&mut row[1..]).for_each(|(list, it)| *it += usize::from(list.passes(&case.name)));
        }
    }
    let head: Vec<&str> = all.iter().map(|it| it.name()).collect();
    let mut text = format!(
        "\n## Beside others\n\n\
         Models as the suite has them, through the Python package of that version, compared by the suite's own rules in a \
         process for each case: `cargo xtask conformance --peer NAME` measures, and writes `peers/NAME.txt`.\n\n\
         | group | cases | {} |\n|{}\n",
        head.join(" | "),
        "---|".repeat(head.len() + 2)
    );
    for (group, row) in groups {
        let cells: Vec<String> = row[1..].iter().map(|it| percent(*it, row[0])).collect();
        let _ = writeln!(text, "| {group} | {} | {} |", row[0], cells.join(" | "));
    }
    text
}

fn percent(passed: usize, cases: usize) -> String {
    format!("{passed} ({:.1} %)", 100.0 * passed as f64 / cases as f64)
}

/// Prints tables in Markdown: how the cases ended that were run, and why.
pub(super) fn print(ends: &[(&Case, End)]) {
    print!("{}", groups(ends));
    println!();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for (_, end) in ends.iter().filter(|it| it.1 != End::Pass) {
        *reasons.entry(reason(end)).or_default() += 1;
    }
    println!("| reason | cases |\n|---|---|");
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    for (reason, count) in reasons.iter().take(REASONS) {
        println!("| {} | {count} |", reason.replace('|', "\\|"));
    }
    println!();
    for (case, end) in ends.iter().filter(|it| !matches!(it.1, End::Pass | End::Unsupported(_))) {
        println!("{} {}: {}", case.name, end.class(), end.detail().lines().next().unwrap_or_default());
    }
}

fn groups(ends: &[(&Case, End)]) -> String {
    const ENDS: [&str; 7] = ["pass", "wrong", "unsupported", "failed", "crash", "hang", "other"];
    let mut counts: BTreeMap<&str, [usize; ENDS.len()]> = BTreeMap::new();
    for (case, end) in ends {
        let at = ENDS.iter().position(|it| *it == end.class()).unwrap_or(ENDS.len() - 1);
        for group in ["all", case.group.as_str()] {
            counts.entry(group).or_default()[at] += 1;
        }
    }
    let mut text =
        format!("| group | cases | {} |\n|---|{}\n", ENDS.join(" | "), "---|".repeat(ENDS.len() + 1));
    for (group, counts) in counts {
        let numbers: Vec<String> = counts.iter().map(usize::to_string).collect();
        text += &format!("| {group} | {} | {} |\n", counts.iter().sum::<usize>(), numbers.join(" | "));
    }
    text
}

/// Why a case does not pass, without what is of this case alone: names and numbers.
fn reason(end: &End) -> String {
    let lines = end.detail().lines();
    // A diagnostic of several parts has a note for each, which says more than the first line.
    let line = lines.clone().find_map(|it| it.trim().strip_prefix("= note: ")).or(lines.clone().next());
    let line = line.unwrap_or_default();
    let mut text = String::new();
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '`' => {
                quoted = !quoted;
                text += if quoted { "`…" } else { "`" };
            }
            _ if quoted => {}
            '0'..='9' if text.ends_with('N') => {}
            '0'..='9' => text.push('N'),
            other => text.push(other),
        }
    }
    format!("{}: {}", end.class(), text.chars().take(120).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::super::{Executor, reasons};
    use super::*;

    #[test]
    fn the_page_says_what_the_lists_say() {
        let case = |name: &str, operator: &str| Case {
            name: name.to_owned(),
            group: "core".to_owned(),
            operators: vec![operator.to_owned()],
        };
        let cases = [case("a", "Add"), case("b", "Mul"), case("c", "Mul")];
        let lists =
            [List::of(Executor::Flow, "b wrong\nd unsupported X009\n"), List::of(Executor::Reference, "")];
        let reasons = reasons::parse("X009 not yet\n").expect("reasons");
        let text = page("onnx", &cases, &lists, &lists[1..], &reasons);
        assert!(text.contains("| X009 | 1 | 0 | not yet |\n"), "{text}");
        assert!(text.contains("| core | 3 | 2 (66.7 %) | 3 (100.0 %) |\n"), "{text}");
        assert!(text.contains("| wrong | 1 | 0 |\n"), "{text}");
        assert!(text.contains("\n1 of 2 operators"), "{text}");
        assert!(text.contains("| group | cases | flow | reference |\n|---|---|---|---|\n| all | 3 | 2 (66.7 %) | 3 (100.0 %) |\n"), "{text}");
        assert!(text.ends_with("|\n| Mul | 2 | 1 | 2 |\n"), "{text}");
    }

    #[test]
    fn tables_count_by_group_and_reasons_are_without_names() {
        let case = |group: &str| Case { name: String::new(), group: group.to_owned(), operators: Vec::new() };
        let (core, ml) = (case("core"), case("ml"));
        let refused =
            End::Unsupported("error[X009]: 1 part\n  = note: the node of `z` (Adam), version 12: no".into());
        assert_eq!(reason(&refused), "unsupported: the node of `…` (Adam), version N: no");
        let text = groups(&[(&core, End::Pass), (&core, End::Hang), (&ml, refused)]);
        assert!(text.contains("| all | 3 | 1 | 0 | 1 | 0 | 0 | 1 | 0 |\n"), "{text}");
        assert!(text.contains("| core | 2 | 1 | 0 | 0 | 0 | 0 | 1 | 0 |\n"), "{text}");
    }
}
