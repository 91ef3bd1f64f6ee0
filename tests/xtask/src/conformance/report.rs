//! What passes by group, and what stops the others.

use super::end::End;
use super::suite::Case;
use std::collections::BTreeMap;

/// Reasons that are printed.
const REASONS: usize = 40;

/// Prints tables in Markdown.
pub(super) fn print(ends: &[(&Case, End)]) {
    print!("{}", groups(ends));
    println!();
    let mut operators: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for (case, end) in ends {
        for operator in &case.operators {
            let (passed, all) = operators.entry(operator).or_default();
            *passed += usize::from(*end == End::Pass);
            *all += 1;
        }
        if *end != End::Pass {
            *reasons.entry(reason(end)).or_default() += 1;
        }
    }
    let whole = operators.values().filter(|it| it.0 == it.1).count();
    println!("{} operators, {whole} of them in cases that all pass. The others:\n", operators.len());
    let some = operators.iter().filter(|it| it.1.0 < it.1.1);
    let some: Vec<String> = some.map(|(name, (passed, all))| format!("{name} {passed}/{all}")).collect();
    println!("{}\n\n| reason | cases |\n|---|---|", some.join(", "));
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
    use super::*;

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
