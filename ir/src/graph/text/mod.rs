//! The text format of the legacy graph; the grammar is in `grammar.md` beside this file.

mod names;
mod parse;
mod print;

#[cfg(test)]
mod tests;

pub use parse::{parse, parse_with_constants};
pub use print::{Printed, print, print_numbered, print_with_places};
