//! Which module may name which.

use super::paths::{Named, named};
use crate::workspace::Finding;
use crate::workspace::Source;

/// A rule: files below `folder` may, of the modules of `crate_name`, name only `allowed`.
struct Layer {
    folder: &'static str,
    crate_name: &'static str,
    allowed: &'static [&'static str],
}

const fn layer(folder: &'static str, crate_name: &'static str, allowed: &'static [&'static str]) -> Layer {
    Layer { folder, crate_name, allowed }
}

/// `shape ← types ← {text, scalar} ← ops ← loops ← kernel ← {graph, flow} ← plan`, and the two graph IRs do not know each other: either
/// can go without the other noticing. The same holds for the passes over them; only `bridge` sees both.
const LAYERS: &[Layer] = &[
    layer("ir/src/diag/", "crate", &["diag"]),
    layer("ir/src/shape/", "crate", &["shape", "diag"]),
    layer("ir/src/types/", "crate", &["types", "shape", "diag"]),
    layer("ir/src/scalar/", "crate", &["scalar", "types"]),
    layer("ir/src/text/", "crate", &["text", "types", "shape", "diag"]),
    layer("ir/src/ops/", "crate", &["ops", "text", "scalar", "types", "shape", "diag"]),
    layer("ir/src/loops/", "crate", &["loops", "ops", "text", "scalar", "types", "shape", "diag"]),
    layer("ir/src/kernel/", "crate", &["kernel", "loops", "ops", "text", "scalar", "types", "shape", "diag"]),
    layer(
        "ir/src/graph/",
        "crate",
        &["graph", "generate", "order", "kernel", "loops", "ops", "text", "scalar", "types", "shape", "diag"],
    ),
    layer(
        "ir/src/flow/",
        "crate",
        &["flow", "generate", "order", "kernel", "loops", "ops", "text", "scalar", "types", "shape", "diag"],
    ),
    layer(
        "ir/src/plan/",
        "crate",
        &["plan", "kernel", "loops", "ops", "text", "scalar", "types", "shape", "diag"],
    ),
    // How facts of a module are asked for is behind the border to the dataflow IR.
    layer("passes/src/manager/", "crate", &["manager", "dataflow"]),
    layer("passes/src/rewrite/", "crate", &["rewrite", "manager"]),
    layer("passes/src/rules/", "crate", &["rules", "rewrite", "manager"]),
    layer("passes/src/graph/", "crate", &["graph", "rules", "rewrite", "manager"]),
    layer("passes/src/flow/", "crate", &["flow", "rules", "rewrite", "manager"]),
    layer("passes/src/rewrite/", "orogen_ir", &["ops", "scalar", "types", "shape", "text", "diag"]),
    layer(
        "passes/src/rules/",
        "orogen_ir",
        &["choices", "plan", "ops", "kernel", "loops", "scalar", "types", "shape", "text", "diag"],
    ),
    layer(
        "passes/src/graph/",
        "orogen_ir",
        &["graph", "choices", "plan", "kernel", "loops", "ops", "scalar", "types", "shape", "text", "diag"],
    ),
    layer(
        "passes/src/flow/",
        "orogen_ir",
        &["flow", "choices", "plan", "kernel", "loops", "ops", "scalar", "types", "shape", "text", "diag"],
    ),
    layer(
        "codegen/src/",
        "orogen_ir",
        &["choices", "plan", "kernel", "loops", "scalar", "types", "shape", "text", "diag"],
    ),
    layer("frontends/onnx/src/", "orogen_ir", &["ops", "scalar", "types", "shape", "text", "diag"]),
];

/// Crates that one folder alone may name in its code.
const OWNED: &[(&str, &str)] =
    &[("cranelift", "codegen/"), ("iced_x86", "codegen/"), ("egg", "passes/src/flow/egraph/")];

/// Every path in the code against the rules.
pub(crate) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|it| it.is_rust()) {
        if source.path.starts_with("tests/xtask/") {
            continue;
        }
        for (crate_part, folder) in OWNED {
            let first = source.code().find(|(_, line)| names_crate(line, crate_part));
            if let Some((line, _)) = first.filter(|_| !source.path.starts_with(folder)) {
                let message = format!("only {folder} may name {}", crate_part.trim_end_matches(':'));
                findings.push(Finding::new(&source.path, line, message));
            }
        }
        if source.is_test() {
            continue;
        }
        for layer in LAYERS.iter().filter(|it| source.path.starts_with(it.folder)) {
            for (line, module) in modules(source, layer.crate_name) {
                if !layer.allowed.contains(&module.as_str()) {
                    let message = format!("{} must not name `{}::{module}`", layer.folder, layer.crate_name);
                    findings.push(Finding::new(&source.path, line, message));
                }
            }
        }
    }
    findings
}

/// Whether a line of code has a path that starts with the crate.
fn names_crate(line: &str, start: &str) -> bool {
    let line = line.trim_start();
    if let Some(used) = line.strip_prefix("use ").or_else(|| line.strip_prefix("pub use ")) {
        return used.starts_with(start);
    }
    line.match_indices(start).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let is_path = line[at..].chars().take_while(|it| it.is_alphanumeric() || *it == '_').count();
        before.is_none_or(|it| !it.is_alphanumeric() && !"_\":`/".contains(it))
            && line[at + is_path..].starts_with("::")
    })
}

/// The modules that come right after `root::`, with their lines. Names that start with a capital letter are items of
/// the crate's root, not modules.
fn modules(source: &Source, root: &str) -> Vec<(usize, String)> {
    let second = |it: Named| Some((it.line, it.parts.into_iter().nth(1)?));
    let found = named(source, root).into_iter().filter_map(second);
    found.filter(|(_, name)| name.starts_with(|c: char| c.is_ascii_lowercase())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&[Source { path: path.to_string(), text: text.to_string() }]).iter().map(|it| it.line).collect()
    }

    #[test]
    fn upward_names_are_found_in_every_form() {
        let text = "use crate::shape::Dim;\n\nuse crate::{\n    types::DType,\n    flow::{Module},\n};\n\
                    fn f() -> crate::plan::CallPlan {}\n";
        assert_eq!(lines("ir/src/ops/x.rs", text), [3, 7]);
    }

    #[test]
    fn comments_tests_and_root_items_are_free() {
        let text = "//! See [`crate::flow`].\nuse crate::Result;\n#[cfg(test)]\nmod tests { use crate::flow::Module; }\n";
        assert_eq!(lines("ir/src/ops/x.rs", text), [0; 0]);
        assert_eq!(lines("ir/src/ops/tests.rs", "use crate::flow::Module;"), [0; 0]);
    }

    #[test]
    fn graph_and_flow_do_not_know_each_other() {
        assert_eq!(lines("ir/src/graph/x.rs", "use crate::flow::Module;"), [1]);
        assert_eq!(lines("ir/src/flow/x.rs", "use crate::graph::Graph;"), [1]);
        assert_eq!(lines("passes/src/flow/x.rs", "use orogen_ir::graph::Graph;"), [1]);
        assert_eq!(lines("passes/src/bridge/x.rs", "use orogen_ir::graph::Graph;"), [0; 0]);
    }

    #[test]
    fn owned_crates_are_named_by_their_owner_alone() {
        assert_eq!(lines("runtime/src/x.rs", "use cranelift_codegen::ir;"), [1]);
        assert_eq!(lines("runtime/src/x.rs", "fn f() { cranelift_codegen::f() }"), [1]);
        assert_eq!(lines("runtime/src/x.rs", "let x = \"cranelift::x\";"), [0; 0]);
        assert_eq!(lines("codegen/src/x.rs", "use cranelift_codegen::ir;"), [0; 0]);
    }
}
