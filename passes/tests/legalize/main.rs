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
use orogen_ir::scalar::ScalarFn;
use orogen_ir::types::DType;
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
    // Operators over one function have cases below.
    let names = ops.iter().filter(|(_, def)| def.function.is_none()).map(|(_, def)| def.name);
    let missing: Vec<&str> = names.filter(|it| lowered(it) && !cased(it)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

fn check(cases: &str) {
    let failures: Vec<String> = run::run_all(cases);
    assert!(failures.is_empty(), "{} of the cases fail:\n{}", failures.len(), failures.join("\n"));
}

/// Every function of the table, on a type of each class that it is defined on.
#[test]
fn functions() {
    let mut cases = String::new();
    for function in ScalarFn::all() {
        let Some(name) = function.operator() else { continue };
        for (dtype, operand) in [
            (DType::F32, "f32[2, 3]"),
            (DType::BF16, "bf16[2, 3]"),
            (DType::I32, "i32[2, 3] (-5, 5)"),
            (DType::U8, "u8[2, 3]"),
            (DType::Bool, "bool[2, 3]"),
        ] {
            if function.operands().admits(dtype) {
                cases += &format!("{name}({})\n", vec![operand; function.arity()].join(", "));
            }
        }
    }
    assert!(cases.lines().count() > 80, "{cases}");
    check(&cases);
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
fn quantized() {
    check(cases::QUANTIZED);
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
