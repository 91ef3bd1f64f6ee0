//! The index of diagnostic codes, collected from the code.

use crate::workspace::Finding;
use crate::workspace::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// What the first letter of a code means.
const FAMILIES: &[(char, &str)] = &[
    ('B', "building a graph or a dataflow module"),
    ('C', "code generation"),
    ('D', "driver: compiler, frontends, plug-ins, output"),
    ('E', "reference evaluation"),
    ('F', "laws of the dataflow IR"),
    ('G', "the legacy graph"),
    ('K', "legalisation: kernels from operators"),
    ('L', "tensor programs"),
    ('M', "translation and memory planning"),
    ('N', "pipelines, passes and rewrite rules"),
    ('O', "operators: arity, attributes, types"),
    ('P', "laws of the call plan"),
    ('S', "symbolic shapes"),
    ('T', "text formats"),
    ('V', "vector programs"),
    ('X', "model files"),
];

/// Codes of one fact that several crates meet.
const SHARED: &[(&str, &str)] = &[
    ("S001", "whoever assumes a fact may find that it contradicts another"),
    ("S002", "size arithmetic overflows wherever sizes are computed"),
    ("O012", "operators that are added infer types as those that ship"),
    ("X009", "converters that are added refuse nodes as those that ship"),
    ("X010", "and so do they report nodes that are none"),
];

/// Where a code is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    /// Files.
    pub(crate) files: BTreeSet<String>,
    /// Messages as the code spells them, where they stand near the code.
    pub(crate) messages: BTreeSet<String>,
}

/// Every code in the shipped code.
pub(crate) fn collect(sources: &[Source]) -> BTreeMap<String, Uses> {
    let mut codes: BTreeMap<String, Uses> = BTreeMap::new();
    for source in sources {
        if !source.is_rust() || source.is_test() || !source.path.contains("/src/") {
            continue;
        }
        let text: String = source.code().map(|(_, line)| format!("{line}\n")).collect();
        for (at, _) in text.match_indices('"') {
            let Some(code) = code_at(&text[at..]) else { continue };
            let uses = codes.entry(code.to_string()).or_default();
            uses.files.insert(source.path.clone());
            uses.messages.extend(message(&text, at));
        }
    }
    codes
}

/// The code of a literal such as `"S012"`.
fn code_at(text: &str) -> Option<&str> {
    let code = text.get(1..5)?;
    let ok = code.starts_with(|it: char| it.is_ascii_uppercase())
        && code[1..].bytes().all(|it| it.is_ascii_digit())
        && text[5..].starts_with('"');
    ok.then_some(code)
}

/// The message of the diagnostic whose code stands at `at`: the literal after it, or the one that was given to the
/// nearest `let message` before it.
fn message(text: &str, at: usize) -> Option<String> {
    let after = text[at + 6..].strip_prefix(',')?.trim_start();
    if let Some(found) = literal(after.strip_prefix("format!(").unwrap_or(after).trim_start()) {
        return Some(found);
    }
    if !after.starts_with("message") {
        return None;
    }
    let from = text[..at].rfind("let message =")?;
    let given = &text[from..at];
    literal(&given[given.find('"')?..])
}

/// The text of a string literal at the start, on one line.
fn literal(text: &str) -> Option<String> {
    let mut found = String::new();
    let mut chars = text.strip_prefix('"')?.chars();
    loop {
        match chars.next()? {
            '"' => return Some(found),
            '\\' => match chars.next()? {
                // A line that continues on the next one.
                '\n' => {
                    let rest = chars.as_str().trim_start();
                    chars = rest.chars();
                }
                'n' => found.push(' '),
                other => found.push(other),
            },
            '\n' => return None,
            other => found.push(other),
        }
    }
}

/// The index as Markdown.
pub(crate) fn render(codes: &BTreeMap<String, Uses>) -> String {
    let mut text = String::from(
        "# Diagnostic codes\n\nGenerated from the code by `cargo xtask bless`; do not edit.\n\
         `{…}` stands for a value.\n",
    );
    for (letter, meaning) in FAMILIES {
        let family: Vec<_> = codes.iter().filter(|(code, _)| code.starts_with(*letter)).collect();
        if family.is_empty() {
            continue;
        }
        writeln!(text, "\n## {letter}: {meaning}\n\n| code | message | where |\n|---|---|---|")
            .expect("a string");
        for (code, uses) in family {
            let messages: Vec<&str> = uses.messages.iter().map(String::as_str).collect();
            let files: Vec<String> = uses.files.iter().map(|it| format!("`{it}`")).collect();
            let messages = messages.join("<br>").replace('|', "\\|");
            writeln!(text, "| {code} | {messages} | {} |", files.join("<br>")).expect("a string");
        }
    }
    text
}

/// A letter that is in no family, and a code that two crates use.
pub(crate) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (code, uses) in collect(sources) {
        let first = uses.files.first().expect("a code is used somewhere");
        if !FAMILIES.iter().any(|(letter, _)| code.starts_with(*letter)) {
            let message = format!("`{code}`: name its family in tests/xtask/src/codes.rs");
            findings.push(Finding::new(first, 0, message));
        }
        let crates: BTreeSet<&str> = uses.files.iter().filter_map(|it| it.split("/src/").next()).collect();
        if crates.len() > 1 && !SHARED.iter().any(|it| it.0 == code) {
            let list: Vec<&str> = crates.into_iter().collect();
            findings.push(Finding::new(
                first,
                0,
                format!("`{code}` is used by several crates: {}", list.join(", ")),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_beside_and_before_the_code() {
        let text = "fn f() {\n    error(\"S001\", \"one\");\n    error(\n        \"S002\",\n        format!(\"two {x}\"),\n    );\n    \
                    let message = format!(\"three\");\n    error(\"S003\", message);\n    error(\"S004\", g());\n}\n\
                    #[cfg(test)]\nmod tests { const C: &str = \"S005\"; }\n";
        let source = Source { path: "ir/src/x.rs".to_string(), text: text.to_string() };
        let codes = collect(&[source]);
        let found: Vec<(&str, Vec<&str>)> = codes
            .iter()
            .map(|(code, uses)| (code.as_str(), uses.messages.iter().map(String::as_str).collect()))
            .collect();
        let expected =
            [("S001", vec!["one"]), ("S002", vec!["two {x}"]), ("S003", vec!["three"]), ("S004", vec![])];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_code_of_two_crates_is_found() {
        let source = |path: &str| Source { path: path.to_string(), text: "\"G999\"".to_string() };
        assert_eq!(check(&[source("ir/src/x.rs"), source("passes/src/x.rs")]).len(), 1);
        assert_eq!(check(&[source("ir/src/x.rs"), source("ir/src/y.rs")]), []);
    }
}
