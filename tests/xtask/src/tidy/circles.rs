//! No two modules that stand beside each other import each other.
//!
//! A folder may name its children and a child its folder: what they share stands in the folder's `mod.rs`. Two
//! modules beside each other that need each other are one module, or want a third.

use super::Finding;
use super::paths::named;
use crate::workspace::Source;
use std::collections::BTreeMap;

/// Pairs that may import each other, by their folder and names, and why.
const EXCEPT: &[(&str, &str, &str, &str)] = &[
    (
        "runtime/abi/src",
        "any",
        "object",
        "the C layouts name each other: a value may be an object, an array holds values",
    ),
    ("frontends/onnx/src", "branch", "import", "parts of one importer; a converter asks it for subgraphs"),
    ("frontends/onnx/src", "import", "node", "a converter asks the importer for subgraphs"),
    ("frontends/onnx/src", "probe", "sink", "a probe is a sink, and every sink can be probed"),
];

/// The place of a module: its crate's `src` folder, then the names of modules.
fn place(path: &str) -> Option<(&str, Vec<&str>)> {
    let (krate, inside) = path.split_once("/src/")?;
    let mut parts: Vec<&str> = inside.strip_suffix(".rs")?.split('/').collect();
    if matches!(parts.last(), Some(&("mod" | "lib" | "main"))) {
        parts.pop();
    }
    Some((krate, parts))
}

/// Every pair, once, at the first line of the import that closes the circle.
pub(crate) fn check(sources: &[Source]) -> Vec<Finding> {
    // Folder, importing module and imported module; where.
    let mut edges: BTreeMap<(String, String, String), (String, usize)> = BTreeMap::new();
    for source in sources.iter().filter(|it| it.is_rust() && !it.is_test()) {
        let Some((krate, here)) = place(&source.path) else { continue };
        let from_crate = named(source, "crate").into_iter().map(|it| {
            let target: Vec<String> = it.parts[1..].to_vec();
            (it.line, target)
        });
        let from_parent = named(source, "super").into_iter().map(|it| {
            let up = it.parts.iter().take_while(|part| *part == "super").count();
            let base = here.iter().take(here.len().saturating_sub(up)).map(ToString::to_string);
            (it.line, base.chain(it.parts[up..].iter().cloned()).collect())
        });
        for (line, target) in from_crate.chain(from_parent) {
            let shared = here.iter().zip(&target).take_while(|(a, b)| **a == b.as_str()).count();
            let (Some(from), Some(to)) = (here.get(shared), target.get(shared)) else { continue };
            let folder = [&[krate, "src"][..], &here[..shared]].concat().join("/");
            let key = (folder, (*from).to_string(), to.clone());
            edges.entry(key).or_insert_with(|| (source.path.clone(), line));
        }
    }
    let mut findings = Vec::new();
    for ((folder, a, b), (path, line)) in &edges {
        let back = edges.get(&(folder.clone(), b.clone(), a.clone()));
        let excepted =
            EXCEPT.iter().any(|it| (it.0, it.1, it.2) == (folder.as_str(), a.as_str(), b.as_str()));
        if let Some((other, other_line)) = back.filter(|_| a < b && !excepted) {
            let message = format!("`{a}` and `{b}` of {folder} import each other (see {other}:{other_line})");
            findings.push(Finding::new(path, *line, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources =
            files.iter().map(|(path, text)| Source { path: path.to_string(), text: text.to_string() });
        check(&sources.collect::<Vec<_>>()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn circles_are_found_at_every_depth() {
        let files = [("x/src/a/b.rs", "use crate::c::D;"), ("x/src/c.rs", "\nuse crate::a::b::E;")];
        assert_eq!(
            found(&files),
            ["x/src/a/b.rs:1: `a` and `c` of x/src import each other (see x/src/c.rs:2)"]
        );
        let files = [("x/src/a/b.rs", "use super::c::D;"), ("x/src/a/c/mod.rs", "use crate::a::{b::E};")];
        assert_eq!(found(&files).len(), 1);
    }

    #[test]
    fn folders_and_children_may_name_each_other() {
        let files = [("x/src/a/mod.rs", "use b::E; use crate::a::b::F;"), ("x/src/a/b.rs", "use super::D;")];
        assert_eq!(found(&files), [""; 0]);
        assert_eq!(found(&[("x/src/a.rs", "use crate::b::D;"), ("y/src/b.rs", "use crate::a::D;")]), [""; 0]);
    }
}
