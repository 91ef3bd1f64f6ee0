//! No modules that stand beside each other import each other in a circle.
//!
//! A folder may name its children and a child its folder: what they share stands in the folder's `mod.rs`. Modules
//! beside each other that need each other are one module, or want another one below them.

use super::paths::named;
use crate::workspace::{Finding, Source};
use std::collections::BTreeMap;

/// The imports between the modules of one folder: by the module that imports and the one that is imported, where.
type Imports = BTreeMap<String, BTreeMap<String, (String, usize)>>;

/// The place of a module: its crate's `src` folder, then the names of modules.
fn place(path: &str) -> Option<(&str, Vec<&str>)> {
    let (krate, inside) = path.split_once("/src/")?;
    let mut parts: Vec<&str> = inside.strip_suffix(".rs")?.split('/').collect();
    if matches!(parts.last(), Some(&("mod" | "lib" | "main"))) {
        parts.pop();
    }
    Some((krate, parts))
}

/// Every circle, once, at the first import of it.
pub(crate) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (folder, imports) in folders(sources) {
        for (first, targets) in &imports {
            for (second, (path, line)) in targets {
                // A circle is told at the first of its modules.
                let Some(circle) = way(&imports, second, first) else { continue };
                let message = match circle.as_slice() {
                    [_, last] => {
                        let (other, line) = &imports[second][last];
                        format!("`{first}` and `{second}` of {folder} import each other (see {other}:{line})")
                    }
                    more => format!(
                        "modules of {folder} import each other in a circle: `{first}` → `{}`",
                        more.join("` → `")
                    ),
                };
                findings.push(Finding::new(path, *line, message));
            }
        }
    }
    findings
}

/// The imports in each folder.
fn folders(sources: &[Source]) -> BTreeMap<String, Imports> {
    let mut folders: BTreeMap<String, Imports> = BTreeMap::new();
    for source in sources.iter().filter(|it| it.is_rust()) {
        // Unit tests may import what they like.
        let Some((krate, here)) = place(&source.path).filter(|it| !it.1.contains(&"tests")) else { continue };
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
            let imports = folders.entry(folder).or_default().entry((*from).to_string()).or_default();
            imports.entry(to.clone()).or_insert_with(|| (source.path.clone(), line));
        }
    }
    folders
}

/// The shortest way from a module to another one by way of modules that come behind that in the alphabet.
fn way(imports: &Imports, from: &str, to: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![from.to_string()]];
    let mut seen = vec![from.to_string()];
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let last = way.last().filter(|it| it.as_str() > to)?;
            for next in imports.get(last).into_iter().flat_map(BTreeMap::keys) {
                let way = [&way[..], std::slice::from_ref(next)].concat();
                if next == to {
                    return Some(way);
                }
                if next.as_str() > to && !seen.contains(next) {
                    seen.push(next.clone());
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    None
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
    fn circles_of_more_than_two_are_found_once() {
        let files = [
            ("x/src/a.rs", "use crate::b::B;"),
            ("x/src/b.rs", "use crate::c::C;"),
            ("x/src/c.rs", "use super::a::A;"),
        ];
        let message = "modules of x/src import each other in a circle: `a` → `b` → `c` → `a`";
        assert_eq!(found(&files), [format!("x/src/a.rs:1: {message}")]);
    }

    #[test]
    fn folders_and_children_may_name_each_other() {
        let files = [("x/src/a/mod.rs", "use b::E; use crate::a::b::F;"), ("x/src/a/b.rs", "use super::D;")];
        assert_eq!(found(&files), [""; 0]);
        assert_eq!(found(&[("x/src/a.rs", "use crate::b::D;"), ("y/src/b.rs", "use crate::a::D;")]), [""; 0]);
    }
}
