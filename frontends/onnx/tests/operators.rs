//! `OPERATORS.md` is the rendering of the operator table.

use orogen_onnx::{NEWEST_OPSET, OLDEST_OPSET, OpTable};
use std::fmt::Write;
use std::path::Path;

#[test]
fn the_list_of_operators_is_up_to_date() {
    let table = OpTable::standard();
    let mut list: Vec<_> = table.iter().collect();
    list.sort();
    let mut text = String::from("# ONNX operators that are imported\n\n");
    writeln!(
        text,
        "Operator sets {OLDEST_OPSET} to {NEWEST_OPSET} of the standard domain `ai.onnx` are read."
    )
    .unwrap();
    text.push_str(
        "Model-local functions are expanded, so operators that a file defines itself are imported too.\n\
         What is listed may still be refused for an attribute or an operand; the message says which and why.\n\n\
         This page is written by `BLESS=1 cargo test -p orogen-onnx --test operators`.\n\n\
         | domain | operator | operator sets |\n|---|---|---|\n",
    );
    for (domain, name, versions) in list {
        let domain = if domain.is_empty() { "ai.onnx" } else { domain };
        writeln!(text, "| {domain} | {name} | {versions} |").unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("OPERATORS.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "OPERATORS.md is out of date: run with BLESS=1");
}
