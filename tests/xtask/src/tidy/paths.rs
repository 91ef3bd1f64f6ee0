//! The paths that code names, from `use` lines and from expressions.

use crate::workspace::Source;

/// A path and the line where it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    /// Its parts, the first of them the root that was asked for.
    pub(crate) parts: Vec<String>,
}

/// Every path in the code of a file that starts with `root`, groups in braces taken apart.
pub(crate) fn named(source: &Source, root: &str) -> Vec<Named> {
    let mut code = String::new();
    let mut starts = Vec::new();
    for (number, line) in source.code() {
        starts.push((code.len(), number));
        code.push_str(line);
        code.push('\n');
    }
    let line_of = |at: usize| starts[starts.partition_point(|it| it.0 <= at) - 1].1;
    let mut found = Vec::new();
    for (at, _) in code.match_indices(&format!("{root}::")) {
        // `a::crate::b` and `my_crate::b` are other paths.
        if code[..at].chars().next_back().is_none_or(|it| !it.is_alphanumeric() && !"_:".contains(it)) {
            let mut parts = vec![root.to_string()];
            tree(&code[at + root.len() + 2..], &mut parts, &mut |parts| {
                found.push(Named { line: line_of(at), parts: parts.to_vec() });
            });
        }
    }
    found
}

/// Reads what follows `::`, and gives every path in it; returns how much was read.
fn tree(text: &str, parts: &mut Vec<String>, give: &mut dyn FnMut(&[String])) -> usize {
    let depth = parts.len();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        if rest.starts_with('{') {
            at += group(rest, parts, give);
            break;
        }
        let name: String = rest.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect();
        at += name.len();
        if !name.is_empty() && name != "self" {
            parts.push(name);
        }
        if !text[at..].starts_with("::") {
            give(parts);
            break;
        }
        at += 2;
    }
    parts.truncate(depth);
    at
}

/// Reads `{a, b::c, …}`.
fn group(text: &str, parts: &mut Vec<String>, give: &mut dyn FnMut(&[String])) -> usize {
    let mut at = 1;
    while let Some(next) = text[at..].chars().next() {
        match next {
            '}' => return at + 1,
            // The name of an import is none of its path.
            ' ' if text[at..].starts_with(" as ") => at += text[at..].find([',', '}']).unwrap_or(1),
            it if it.is_alphanumeric() || "_{".contains(it) => at += tree(&text[at..], parts, give).max(1),
            it => at += it.len_utf8(),
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str, root: &str) -> Vec<String> {
        let source = Source { path: "x.rs".to_string(), text: text.to_string() };
        named(&source, root).iter().map(|it| format!("{} {}", it.line, it.parts[1..].join("::"))).collect()
    }

    #[test]
    fn every_form_is_taken_apart() {
        let text = "use crate::a::B;\nuse crate::{\n    c::{self, d::E, F},\n    g as h,\n};\nfn f(x: &crate::i::J) {}\n\
                    // crate::comment\nlet y = my_crate::z;\n#[cfg(test)]\nuse crate::test;";
        assert_eq!(paths(text, "crate"), ["1 a::B", "2 c", "2 c::d::E", "2 c::F", "2 g", "6 i::J"]);
        assert_eq!(paths("use super::super::a::{b, c};", "super"), ["1 super::a::b", "1 super::a::c"]);
    }
}
