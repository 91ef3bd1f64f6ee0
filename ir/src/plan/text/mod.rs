//! The text format of call plans; `grammar.md` beside this file is its definition.
//!
//! # Laws
//! * **T1** `print(parse(t)) = t` for text that the printer wrote.
//! * **T2** `parse(print(p))` equals `p`, given the constants that the text does not hold, up to what the text of
//!   tensor programs leaves open.

mod module;
mod object;
mod parse;
mod print;

#[cfg(test)]
mod tests;

pub use module::{parse_plans, print_plans};
pub(in crate::plan) use object::object_type_text;
pub use parse::parse_plan;
pub(super) use print::symbols_of;
pub use print::{PrintedPlan, print_plan};

use crate::plan::BufferRef;

/// A buffer as steps name it: `%in0`, `%out0`, `%s3`, `%o1`, `#2`.
pub(super) fn buffer_text(buffer: BufferRef) -> String {
    match buffer {
        BufferRef::Input(i) => format!("%in{i}"),
        BufferRef::Output(i) => format!("%out{i}"),
        BufferRef::Slot(id) => format!("%s{}", id.0),
        BufferRef::Constant(id) => id.to_string(),
        BufferRef::Object(id) => format!("%o{}", id.0),
    }
}
