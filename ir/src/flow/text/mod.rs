//! The text format of the dataflow-block IR; the grammar is in `grammar.md` beside this file.

mod kernels;
mod names;
mod print;
mod symbols;

pub(crate) use symbols::constraint_dims;

pub(crate) use names::exists;
pub(crate) use print::value_name;
pub use print::{FunctionSpans, Printed, print, print_with_places};
