//! Legalisation: the table is complete, and every kernel computes what its operator means.

use orogen_ir::ops::OpRegistry;
use orogen_passes::rules::legalize::LegalizeTable;

#[test]
fn every_standard_operator_has_a_row() {
    let ops = OpRegistry::standard();
    assert_eq!(LegalizeTable::standard(&ops).missing(&ops), Vec::<&str>::new());
}
