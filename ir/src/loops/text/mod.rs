//! The text format of tensor programs; `grammar.md` beside this file is its definition.
//!
//! # Laws
//! * **T1** `print(parse(t)) = t` for text that the printer wrote.
//! * **T2** `parse(print(p))` equals `p` up to arena numbering, dead arena entries and equal expressions of one
//!   stage, which become one.

use super::Expr;

mod embedded;
mod names;
mod parse;
mod print;

#[cfg(test)]
mod tests;

pub(crate) use embedded::write_kernel;
pub use parse::{parse_kernel, parse_program};
pub use print::{Printed, print_kernel, print_program};

/// A text that is equal for expressions that are equal, floats by their bits.
fn expr_key(expr: &Expr) -> String {
    match expr {
        Expr::Float(value, dtype) => format!("{dtype} {:#x}", value.to_bits()),
        expr => format!("{expr:?}"),
    }
}
