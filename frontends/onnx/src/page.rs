//! The page of operators: what is imported, and how few operators of the IR serve it.

use crate::decode::{NEWEST_OPSET, OLDEST_OPSET};
use crate::ops::without_rule;
use crate::table::OpTable;
use indexmap::IndexMap;
use orogen_ir::ops::OpRegistry;

/// The operators of a table, those of the IR that they become, and which of these have derivatives, as Markdown.
pub fn operators_page(table: &OpTable, ops: &OpRegistry) -> String {
    let mut list: Vec<_> = table.iter().collect();
    list.sort();
    let shown = |domain: &str| if domain.is_empty() { "ai.onnx".to_string() } else { domain.to_string() };
    let mut domains: IndexMap<&str, usize> = IndexMap::new();
    list.iter().for_each(|it| *domains.entry(it.0).or_default() += 1);
    let core = ops.iter().filter(|(_, def)| !def.name.contains('.')).count();
    let mut text = format!(
        "# ONNX operators that are imported\n\n\
         **{} operators of ONNX, in all their versions, are served by {core} operators of the IR.**\n\
         Operator sets {OLDEST_OPSET} to {NEWEST_OPSET} of the standard domain `ai.onnx` are read.\n\
         Model-local functions are expanded, so operators that a file defines itself are imported too.\n\
         What is listed may still be refused for an attribute or an operand; the message says which and why.\n\n\
         `orogen operators` prints this page; `BLESS=1 cargo test -p orogen-onnx --test operators` writes it.\n\n\
         | domain | operators |\n|---|---|\n",
        list.len()
    );
    for (domain, count) in domains {
        text += &format!("| {} | {count} |\n", shown(domain));
    }
    text += "\n## Operators of the IR\n\nEach with the reason why it has no rule of differentiation, if it has none: \
             `Gradient` is refused where a derivative arrives at one of these, and at control flow. \
             Control flow, calls and casts of types are no operators.\n\n| derivative | operators |\n|---|---|\n";
    let mut reasons: IndexMap<Option<&str>, Vec<String>> = IndexMap::from([(None, Vec::new())]);
    for (_, def) in ops.iter() {
        reasons.entry(without_rule(def.name)).or_default().push(format!("`{}`", def.name));
    }
    for (reason, names) in reasons {
        let names = names.join(", ");
        text += &format!(
            "| {} | {names} |\n",
            reason.map_or("by a rule".to_string(), |it| format!("none: {it}"))
        );
    }
    text += "\n## Operators of ONNX\n\n| domain | operator | operator sets |\n|---|---|---|\n";
    for (domain, name, versions) in list {
        text += &format!("| {} | {name} | {versions} |\n", shown(domain));
    }
    text
}
