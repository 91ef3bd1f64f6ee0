//! Valid ONNX models, drawn from a seed, and compared on every executor. Operators are those that the importer knows, but the
//! ones that `tests/generated.rs` lists.
//!
//! A model is drawn node by node. Each is imported alone and computed by the reference interpreter at once, in every
//! setting of the sizes that the model leaves open, so that what is drawn next knows shapes and elements, and a node that
//! is not legal is left out. What is computed so is what executors are held to: it is computed twice, the second time with
//! every rounding off by a little, and what the two differ by says how far an executor may be away. A node whose result
//! depends on the last bit is left out too, so that what is compared says something.
//!
//! Laws:
//!
//! * D1 A model is a function of its seed.
//! * D2 What the reference interpreter computes of every node alone, every executor computes of the whole.
//! * D3 A model whose nodes can all be imported is compiled: on the dataflow path for all sizes at once.
//! * D4 An operator of the importer is drawn or listed with a reason.
//!
//! `cargo test` draws the same models each time, `cargo xtask generated` others without end.
//!
//! Modules in reading order: `value`, `attributes`, `setup`, `draw` (a model that grows), `evaluate`, `cases`, `recipes` (a file
//! for each family of operators), `model` (a whole one), `executor`, `peer`, `compare`, `trial`, `reduce` (a small one that fails).

mod attributes;
mod cases;
mod compare;
mod draw;
mod evaluate;
mod executor;
mod model;
mod peer;
mod recipes;
mod reduce;
mod setup;
mod trial;
mod value;

pub use compare::compare;
pub use executor::{Column, Form};
pub use model::{Drawn, Setting, draw};
pub use reduce::{reduce, smallest, write};
pub use setup::{Operator, Setup};
pub use trial::{Finding, Outcome, run, text_of};
pub use value::Sample;
