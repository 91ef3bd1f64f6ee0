//! `OPERATORS.md` is the rendering of the operator table.

use orogen_ir::ops::OpRegistry;
use orogen_onnx::{OpTable, operators_page};
use std::path::Path;

#[test]
fn the_list_of_operators_is_up_to_date() {
    let text = operators_page(&OpTable::standard(), &OpRegistry::standard());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("OPERATORS.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "OPERATORS.md is out of date: run with BLESS=1");
}

#[test]
fn every_operator_of_the_ir_has_a_derivative_or_a_reason() {
    let page = operators_page(&OpTable::new(), &OpRegistry::standard());
    assert!(!page.contains("none: it is an operator of a plug-in"), "{page}");
    assert!(page.contains("**0 operators of ONNX"), "{page}");
}
