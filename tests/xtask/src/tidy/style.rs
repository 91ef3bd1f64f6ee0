//! Rules of single files: unsafe code, sizes, module docs, words.

use crate::workspace::Finding;
use crate::workspace::Source;

/// Longest file, in lines. Beyond it a module becomes a folder.
const MAX_LINES: usize = 700;

/// The folders of the top level: what they are for says where a new one belongs.
const FOLDERS: &[&str] =
    &["ir", "passes", "codegen", "runtime", "frontends", "tests", "rfcs", "docs", "examples"];

/// Files that may be longer, and why.
const LONG: &[(&str, &str)] = &[];

/// Where unsafe code may stand: the runtime, what generated code sees, the loader of generated code, that of plug-ins
/// (which come as shared libraries), one mapping of a file, tests that call generated code, and the allocator that counts.
const UNSAFE: &[&str] = &[
    "runtime/abi/",
    "runtime/src/",
    "runtime/tests/",
    "codegen/src/jit_memory.rs",
    "codegen/src/object/loader.rs",
    "codegen/tests/",
    "codegen/examples/",
    "frontends/driver/src/load.rs",
    "frontends/driver/src/plugin.rs",
    "frontends/onnx/src/mapping.rs",
    "tests/fuzz/src/guard.rs",
    "tests/growth/tests/growth.rs",
];

/// How many lines above an unsafe block its reason may stand.
const REASON_WITHIN: usize = 8;

/// Every rule on every file.
pub(crate) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        words(source, &mut findings);
        folder(source, &mut findings);
        if source.is_rust() {
            size(source, &mut findings);
            docs(source, &mut findings);
            unsafe_code(source, &mut findings);
            hash_types(source, &mut findings);
        }
    }
    for (path, _) in LONG {
        let lines = sources.iter().find(|it| it.path == *path).map_or(0, |it| it.text.lines().count());
        if lines <= MAX_LINES {
            findings.push(Finding::new(path, 0, "is no longer long: take it off the list in tidy/style.rs"));
        }
    }
    findings
}

fn folder(source: &Source, findings: &mut Vec<Finding>) {
    if let Some((top, _)) = source.path.split_once('/')
        && !top.starts_with('.')
        && !FOLDERS.contains(&top)
    {
        let message = format!("`{top}` is no folder of the top level: those are {}", FOLDERS.join(", "));
        findings.push(Finding::new(&source.path, 0, message));
    }
}

fn size(source: &Source, findings: &mut Vec<Finding>) {
    let lines = source.text.lines().count();
    if lines > MAX_LINES && !LONG.iter().any(|(path, _)| *path == source.path) {
        let message =
            format!("{lines} lines: make it a folder with a file per noun (at most {MAX_LINES} lines)");
        findings.push(Finding::new(&source.path, 0, message));
    }
}

fn docs(source: &Source, findings: &mut Vec<Finding>) {
    let name = source.path.rsplit('/').next().unwrap_or_default();
    let first = source.text.lines().find(|it| !it.trim().is_empty()).unwrap_or_default();
    if matches!(name, "lib.rs" | "mod.rs" | "main.rs") && !first.starts_with("//!") {
        findings.push(Finding::new(&source.path, 1, "starts without a `//!` line that says what it is"));
    }
}

fn unsafe_code(source: &Source, findings: &mut Vec<Finding>) {
    if source.path.starts_with("tests/xtask/src/tidy/") {
        return;
    }
    let lines: Vec<&str> = source.text.lines().collect();
    let allowed = UNSAFE.iter().any(|it| source.path.starts_with(it));
    for (i, line) in lines.iter().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let block = code.contains("unsafe {") || code.contains("unsafe impl");
        let any = block
            || ["unsafe fn", "unsafe extern", "unsafe trait", "unsafe("].iter().any(|it| code.contains(it));
        if any && !allowed {
            let message = "unsafe code belongs in the runtime or the loader of generated code";
            findings.push(Finding::new(&source.path, i + 1, message));
        } else if block {
            let from = i.saturating_sub(REASON_WITHIN);
            if !lines[from..=i].iter().any(|it| it.contains("SAFETY:")) {
                findings.push(Finding::new(&source.path, i + 1, "unsafe code without a `SAFETY:` line"));
            }
        }
    }
}

fn hash_types(source: &Source, findings: &mut Vec<Finding>) {
    for (number, line) in source.code() {
        for word in [concat!("Hash", "Map"), concat!("Hash", "Set")] {
            if line.contains(word) {
                let message = format!("iteration order reaches output: use IndexMap or IndexSet, not {word}");
                findings.push(Finding::new(&source.path, number, message));
            }
        }
    }
}

/// Paths of one person's machine.
fn words(source: &Source, findings: &mut Vec<Finding>) {
    for (i, line) in source.text.lines().enumerate() {
        for word in [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("../sha", "red")] {
            if line.contains(word) {
                findings.push(Finding::new(
                    &source.path,
                    i + 1,
                    format!("names a place of one machine: `{word}`"),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        check(&[Source { path: path.to_string(), text: text.to_string() }])
            .into_iter()
            .map(|it| it.message)
            .collect()
    }

    #[test]
    fn folders_of_the_top_level_are_known() {
        assert!(findings("tools/src/x.rs", "fn f() {}")[0].contains("no folder of the top level"));
        assert!(findings("runtime/x/src/x.rs", "fn f() {}").is_empty());
        assert!(findings(".ci/run", "true").is_empty() && findings("README.md", "Orogen").is_empty());
    }

    #[test]
    fn unsafe_code_needs_its_place_and_its_reason() {
        let text = "fn f() {\n    unsafe { g() }\n}\n";
        assert!(findings("ir/src/x.rs", text)[0].contains("belongs in the runtime"));
        assert!(findings("runtime/src/x.rs", text)[0].contains("SAFETY"));
        assert!(
            findings("runtime/src/x.rs", &text.replace("    unsafe", "// SAFETY: g is sound.\nunsafe"))
                .is_empty()
        );
        assert!(findings("ir/src/x.rs", "// unsafe { }\n").is_empty());
    }

    #[test]
    fn long_and_undocumented_files_are_found() {
        let long = "//! Long.\n".repeat(MAX_LINES + 1);
        assert_eq!(findings("ir/src/x.rs", &long).len(), 1);
        assert_eq!(findings("ir/src/x.rs", &"\n".repeat(MAX_LINES)).len(), 0);
        assert_eq!(findings("ir/src/lib.rs", "pub mod x;\n").len(), 1);
    }

    #[test]
    fn hash_types_and_private_paths_are_found() {
        assert_eq!(findings("ir/src/x.rs", concat!("use std::collections::Hash", "Map;\n")).len(), 1);
        assert_eq!(findings("README.md", concat!("see /wo", "rk/x\n")).len(), 1);
    }
}
