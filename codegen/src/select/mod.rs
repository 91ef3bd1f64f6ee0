//! Choosing how each stage of a tensor program is computed.
//!
//! A schedule turns the statements of a program into a tree of loops, stages and calls of vector routines. Decisions
//! follow from structure alone (which axes stages share, how indices depend on them), never from operator names.
//!
//! What is tried for the stages at hand, in this order: a convolution, a matrix product, rows (elementwise and
//! reductions), columns, each with as many of the following stages as it can take in; tiles (transpositions), strips
//! (padding, upsampling); then scalar loops.
//!
//! Modules in reading order: `schedule`, `access` (linear positions), `expression` (scalar expressions as vector
//! code), `epilogue`, `contraction`, `convolution`, `rows` and `row_program`, `columns`, `tiles` and `tile_program`,
//! `strips` with `strip_loads` and `strip_program`, `forms` (constants as routines want them), `routine`.

mod access;
mod columns;
mod contraction;
mod convolution;
mod epilogue;
mod expression;
pub(crate) mod forms;
pub(crate) mod routine;
mod row_program;
mod rows;
pub(crate) mod schedule;
mod selector;
mod strip_loads;
mod strip_program;
mod strips;
mod tile_program;
mod tiles;

pub(crate) use schedule::{Node, Parallel, Schedule, schedule};
pub(crate) use selector::{Arg, Call};
