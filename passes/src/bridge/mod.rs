//! From the legacy graph to the dataflow-block IR: translation, the adoption ledger, commuting squares.

mod ledger;
mod translate;

pub use ledger::{admissible, Entry, LEDGER, Native, Port, render, waterline};
pub use translate::translate;
pub(crate) use translate::constant_type;
