//! Commuting squares: each step of the pipeline on the dataflow IR against its legacy form.
//!
//! ```text
//!  graph ──legacy step──▶ graph
//!    │ translate            │ translate
//!    ▼                      ▼
//!  flow  ──flow step────▶ flow
//! ```
//!
//! Subjects are programs that a seed generates, and model files. What runs is what users run: the passes of a
//! [`orogen::Compiler`], by step. The ledger names its squares; [`SQUARES`] is what there is, each with the sense in which
//! both ways around agree. Where a program is tame, what the new way computes is compared with what the program means too,
//! by the reference interpreter.
//!
//! `cargo test` checks the same thousand seeds each time, `cargo run --release -p orogen-squares` others without end.
//!
//! Modules in reading order: `generate`, `subject`, `square`, `results`; `fault` is what tests plant.

mod fault;
mod generate;
mod results;
mod square;
mod subject;

pub use fault::{Damage, Fault, op_name, passes_through, swapped_operands, transpose_for_none};
pub use generate::{Sample, sample};
pub use square::{Agreement, Finding, Harness, PlanFn, SQUARES, Square, check};
pub use subject::Subject;
