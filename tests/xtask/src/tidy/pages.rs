//! Code on pages is the code of examples, which run as tests.
//!
//! A block of Rust in `README.md` or `docs/` stands under a line `<!-- from FILE -->`, and its lines stand in that file,
//! one after another, perhaps further to the right. Links lead to files that are there.

use crate::workspace::Finding;
use crate::workspace::Source;
use std::path::Path;

/// Columns by which code in a file may stand further to the right than on a page.
const INDENTS: [usize; 3] = [0, 4, 8];

/// Every page against the files it shows.
pub(crate) fn check(root: &Path, sources: &[Source]) -> Vec<Finding> {
    let pages = sources.iter().filter(|it| it.path == "README.md" || is_guide(&it.path));
    pages.flat_map(|it| [blocks(it, sources), links(root, it)].concat()).collect()
}

fn is_guide(path: &str) -> bool {
    path.starts_with("docs/") && path.ends_with(".md")
}

fn blocks(page: &Source, sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines: Vec<&str> = page.text.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        if lines[at] != "```rust" {
            at += 1;
            continue;
        }
        let end = at + 1 + lines[at + 1..].iter().take_while(|it| **it != "```").count();
        let block = &lines[at + 1..end];
        let named = at.checked_sub(1).and_then(|it| lines[it].strip_prefix("<!-- from "));
        let message = match named.and_then(|it| it.strip_suffix(" -->")) {
            None => Some("say above the block which example it is from: `<!-- from FILE -->`".to_string()),
            Some(file) => match sources.iter().find(|it| it.path == file) {
                None => Some(format!("there is no `{file}`")),
                Some(source) if holds(&source.text, block) => None,
                Some(_) => Some(format!("this is not the code of `{file}`: copy it anew")),
            },
        };
        findings.extend(message.map(|it| Finding::new(&page.path, at + 1, it)));
        at = end;
    }
    findings
}

fn holds(text: &str, block: &[&str]) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    INDENTS.into_iter().any(|indent| {
        let space = " ".repeat(indent);
        let same = |line: &str, shown: &str| match shown {
            "" => line.is_empty(),
            shown => line.strip_prefix(&space).is_some_and(|it| it == shown),
        };
        lines.windows(block.len()).any(|it| it.iter().zip(block).all(|(line, shown)| same(line, shown)))
    })
}

/// Links to files of the repository.
fn links(root: &Path, page: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let folder = Path::new(&page.path).parent().unwrap_or(Path::new(""));
    for (number, line) in page.text.lines().enumerate() {
        for (at, _) in line.match_indices("](") {
            let Some(target) = line[at + 2..].split(')').next() else { continue };
            let target = target.split('#').next().unwrap_or_default();
            let local = !target.is_empty() && !target.contains("://");
            if local && !root.join(folder).join(target).exists() {
                findings.push(Finding::new(&page.path, number + 1, format!("there is no `{target}`")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(page: &str) -> Vec<String> {
        let source = |path: &str, text: &str| Source { path: path.to_string(), text: text.to_string() };
        let example = source("examples/x.rs", "fn main() {\n    let a = 1;\n\n    let b = 2;\n}\n");
        let sources = [source("docs/x.md", page), example];
        check(Path::new("."), &sources).into_iter().map(|it| it.message).collect()
    }

    #[test]
    fn code_that_is_not_that_of_the_example_is_found() {
        let block = |code: &str| format!("<!-- from examples/x.rs -->\n```rust\n{code}\n```\n");
        assert_eq!(found(&block("let a = 1;\n\nlet b = 2;")), [""; 0]);
        assert_eq!(found(&block("fn main() {\n    let a = 1;")), [""; 0]);
        assert_eq!(found(&block("let a = 1;\nlet b = 2;")).len(), 1);
        assert_eq!(found(&block("let c = 1;")).len(), 1);
        assert_eq!(found("```rust\nlet a = 1;\n```\n").len(), 1);
        assert_eq!(found("<!-- from examples/y.rs -->\n```rust\nlet a = 1;\n```\n").len(), 1);
        assert_eq!(found("see [it](absent.md) and [that](https://example.com)").len(), 1);
    }
}
