//! The text format of the dataflow-block IR; the grammar is in `grammar.md` beside this file.

mod function;
mod names;
mod parse;
mod parser;
mod print;
mod rhs;
mod symbols;

pub(crate) use symbols::constraint_texts;

#[cfg(test)]
mod tests;

pub use parse::{parse, parse_with_constants};
pub(crate) use print::value_name;
pub use print::{FunctionSpans, Printed, print, print_numbered, print_with_places};
