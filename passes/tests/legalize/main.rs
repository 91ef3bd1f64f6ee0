//! Legalisation: the table is complete, and every kernel computes what its operator means.
//!
//! A case is one line: an operator, its operands and its attributes.
//!
//! * `f32[2, 3]` is random data,
//! * `i64[2, 3] (-3, 3)` is random data from −3 to 2,
//! * `i64[2] = [3, 4]` has elements that inference knows, `i64[2] ? [3, 4]` has elements that it does not know.
//!
//! Each case runs with constant dimensions, then with a symbol for every dimension, then with symbols for known
//! elements too. The result types are compared with the results as well: inference and evaluation are independent.

mod cases;
mod forms;
mod run;

use orogen_ir::ops::{OpRegistry, StructureOp};
use orogen_passes::rules::legalize::LegalizeTable;

#[test]
fn every_standard_operator_has_a_row() {
    let ops = OpRegistry::standard();
    assert_eq!(LegalizeTable::standard(&ops).missing(&ops), Vec::<&str>::new());
}

#[test]
fn every_standard_operator_has_a_case() {
    let ops = OpRegistry::standard();
    let cased = |name: &str| cases::all().any(|it| it.split('(').next() == Some(name));
    // What a plan has steps for has no kernel: `tests/differential/tests/objects.rs` runs all of it.
    let lowered = |name: &str| StructureOp::named(name).is_none();
    let names = ops.iter().map(|(_, def)| def.name);
    let missing: Vec<&str> = names.filter(|it| lowered(it) && !cased(it)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

fn check(cases: &str) {
    let failures: Vec<String> = run::run_all(cases);
    assert!(failures.is_empty(), "{} of the cases fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn elementwise() {
    check(cases::ELEMENTWISE);
}

#[test]
fn reductions() {
    check(cases::REDUCE);
}

#[test]
fn contractions() {
    check(cases::CONTRACTION);
}

#[test]
fn pools() {
    check(cases::POOL);
}

#[test]
fn normalisation() {
    check(cases::NORMALIZE);
}

#[test]
fn resizing() {
    check(cases::RESIZE);
}

#[test]
fn recurrent_networks() {
    check(cases::RNN);
}

#[test]
fn movement() {
    check(cases::MOVEMENT);
}

#[test]
fn indexing() {
    check(cases::INDEX);
}

#[test]
fn selection() {
    check(cases::SELECTION);
}
