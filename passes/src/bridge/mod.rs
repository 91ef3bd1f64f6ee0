//! From the legacy graph to the dataflow-block IR: translation, the adoption ledger, commuting squares.

mod ledger;

pub use crate::dataflow::translate::translate;
pub use ledger::{Entry, LEDGER, Native, Port, admissible, admit, render, waterline};
