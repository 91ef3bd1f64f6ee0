//! One suite, many executors: the same models through every way that a model can be computed.
//!
//! A [`Case`] is a model with references. An [`Executor`] is a way to run it: a reference interpreter at some level,
//! or generated code, on either path and at every admissible waterline. Adding a case adds a row of tests, adding an
//! executor adds a column.
//!
//! Modules in reading order: `case`, `tensors`, `executor`, `compare`, `chaos`.

mod case;
pub mod chaos;
mod compare;
mod executor;
pub mod tensors;

pub use case::{Case, Expected, Legacy, Reference};
pub use compare::{Worst, compare};
pub use executor::{Executor, Program, Way};
