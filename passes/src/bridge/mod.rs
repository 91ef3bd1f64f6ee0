//! From the legacy graph to the dataflow-block IR: translation, the adoption ledger, commuting squares.

mod ledger;
#[cfg(feature = "dataflow-ir")]
mod translate;

#[cfg(not(feature = "dataflow-ir"))]
pub use crate::flow::translate;
pub use ledger::{Entry, LEDGER, Native, Port, admissible, admit, render, waterline};
#[cfg(feature = "dataflow-ir")]
pub use translate::translate;
