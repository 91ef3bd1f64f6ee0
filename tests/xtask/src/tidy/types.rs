//! Nothing but the table of element types lists them: a pattern or a list of several names asks for a column of the table,
//! or for a question that `ir/src/types/classes.rs` answers, so that a new type has one place.
//!
//! Choices of tests and of generators are examples, and may name what they like.

use crate::workspace::{Finding, Source};

/// Where types are listed.
const TABLE: &str = "ir/src/types/";
/// What picks examples of types.
const EXAMPLES: &[&str] =
    &["passes/src/proof/instances/mod.rs", "ir/src/generate.rs", "ir/src/flow/generate.rs"];
/// The most names that an array has which is no list of types.
const ARRAY: usize = 2;
const NAME: &str = "DType::";

/// Alternatives of patterns, and arrays of more than [`ARRAY`] names.
pub(crate) fn check(sources: &[Source]) -> Vec<Finding> {
    sources.iter().filter(|it| is_shipped(&it.path)).flat_map(findings).collect()
}

fn is_shipped(path: &str) -> bool {
    let is_test = path.starts_with("tests/") || path.split('/').any(|it| it == "tests" || it == "tests.rs");
    path.ends_with(".rs") && !is_test && !path.starts_with(TABLE) && !EXAMPLES.contains(&path)
}

fn findings(source: &Source) -> Vec<Finding> {
    // Unit tests stand at the end.
    let code = source.text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut found = Vec::new();
    let mut rest = 0;
    while let Some(at) = code[rest..].find(NAME).map(|it| rest + it) {
        let (alternatives, end) = names(code, at, '|');
        let (items, end) = if alternatives > 1 { (1, end) } else { names(code, at, ',') };
        let in_list = code[..at].trim_end().ends_with(['[', '(']) && items > ARRAY;
        if alternatives > 1 || in_list {
            let line = code[..at].matches('\n').count() + 1;
            let message = format!(
                "{} element types are listed: ask the table (`ir/src/types`), so that another type needs no change here",
                alternatives.max(items)
            );
            found.push(Finding::new(&source.path, line, message));
        }
        rest = end;
    }
    found
}

/// How many names of types follow each other with a separator between them, from one on, and where they end.
fn names(code: &str, at: usize, separator: char) -> (usize, usize) {
    let (mut count, mut end) = (0, at);
    loop {
        let Some(name) = code[end..].trim_start().strip_prefix(NAME) else { return (count, end) };
        let after = name.trim_start_matches(|it: char| it.is_ascii_alphanumeric());
        // A function of the type, or all of them, is no name of one.
        let name = &name[..name.len() - after.len()];
        if !name.starts_with(|it: char| it.is_ascii_uppercase()) || name == "ALL" {
            return (count, (code.len() - after.len()).max(end + 1));
        }
        count += 1;
        end = code.len() - after.len();
        match after.trim_start().strip_prefix(separator) {
            Some(next) => end = code.len() - next.len(),
            None => return (count, end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let source = Source { path: path.to_string(), text: text.to_string() };
        check(&[source]).iter().map(|it| it.line).collect()
    }

    #[test]
    fn lists_are_found() {
        let path = "codegen/src/a.rs";
        assert_eq!(lines(path, "\nmatches!(it, DType::I8 | DType::U8)"), [2]);
        assert_eq!(lines(path, "match it {\n    DType::I8\n    | DType::U8 => 1,\n}"), [2]);
        assert_eq!(lines(path, "const A: [DType; 3] = [DType::I8, DType::U8,\n DType::F32];"), [1]);
        assert_eq!(lines(path, "Expr::Cast(DType::I32 | DType::F32, _)\nDType::I8 | DType::U8"), [1, 2]);
    }

    #[test]
    fn single_names_and_examples_are_none() {
        let path = "codegen/src/a.rs";
        for text in [
            "DType::F32 => a(DType::F64, DType::F32),",
            "a || b == DType::F32 || b == DType::F64",
            "DType::ALL.into_iter().filter(DType::is_int)",
            "let it = if a { DType::F64 } else { DType::F32 };",
            "[DType::F64, DType::F32]",
            "a\n#[cfg(test)]\nmod tests { DType::I8 | DType::U8 }",
        ] {
            assert_eq!(lines(path, text), [0; 0], "{text}");
        }
        for path in [
            "ir/src/types/dtype.rs",
            "tests/bench/src/lib.rs",
            "a/tests/b.rs",
            "a/src/b/tests.rs",
            EXAMPLES[0],
        ] {
            assert_eq!(lines(path, "DType::I8 | DType::U8"), [0; 0], "{path}");
        }
    }
}
