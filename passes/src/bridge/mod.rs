//! From the legacy graph to the dataflow-block IR: translation, the adoption ledger, commuting squares.

mod ledger;
mod translate;

pub use ledger::{Entry, LEDGER, Native, Port, admissible, admit, render, waterline};
pub use translate::translate;
