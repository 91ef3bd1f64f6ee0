//! Choosing how each stage of a tensor program is computed.
//!
//! A schedule turns the statements of a program into a tree of loops, stages and calls of vector routines. Decisions
//! follow from structure alone (which axes stages share, how indices depend on them), never from operator names.
//!
//! What is tried for the stages at hand, in this order: a convolution, a matrix product, rows (elementwise and
//! reductions), pools, columns, each with as many of the following stages as it can take in; tiles (transpositions), strips
//! (padding, upsampling); then scalar loops. Loops are kept as they are, but for scans (running sums) and compactions (numbers of what is selected).
//!
//! # Laws
//! What holds of every routine that is called:
//!
//! * **S1** It computes the points of the stage, no fewer and no more: the extents that it is given are those of the
//!   stage's axes. Where they are read from buffers, every index is an axis of its own of that extent
//!   (`selector::spans`).
//! * **S2** Its preconditions over extents are proven for all sizes that may occur (`Selector::lawful`). The numbered
//!   laws stand with the generators (see [`crate::kernels::laws`]): R1 and R2 in `row_program`, T1 to T3 in
//!   `tile_program`, U1 to U5 in `strip_program`, N1 and N2 in `scan_program`, C1 and C2 in
//!   `compaction_program`, and those of convolution and of matrix products.
//! * **S3** It writes what the stage writes, and reads what the stage reads, with what lies in the same row of a buffer
//!   between such elements or beside them, in one load. The stage's accesses are in range or guarded, so nothing is read
//!   around rows; a guarded access is read under a mask.
//! * **S4** Sizes that it is given may be any up to 2⁴⁰: what is narrower inside of it (lane numbers, positions in a
//!   gather) is bounded by the vector, by its constants, or by a law.
//!
//! Modules in reading order: `tree` (what comes out), `schedule`, `partials` (reductions in two stages), `parts` (what threads divide), `stages` (questions about stages), `access` (linear positions), `expression` with `expression_parts`, `division`, `wide` and `halves` (scalar expressions as
//! vector code), `epilogue`, `contraction` with `scaled`, `convolution`, `rows` and `row_program`, `columns`, `tiles` and `tile_program`,
//! `bends`, `strips` with `strip_loads`, `strip_bounds`, `strip_lanes`, `strip_needs`, `strip_numbers`, `strip_program`, `strip_scatter` and `strip_steps`, `scans` and `scan_program`, `compactions` and
//! `compaction_program`, `unpacking` (constants narrower than a byte), `forms` (constants as routines want them), `routine`, `kinds` (of routines), `way` (other choices).

mod access;
mod bends;
mod cast;
mod columns;
mod compaction_program;
mod compactions;
mod contraction;
mod convolution;
mod division;
mod element;
mod epilogue;
mod expression;
mod expression_parts;
pub(crate) mod forms;
mod halves;
mod integers;
mod kinds;
mod partials;
pub(crate) mod parts;
mod periods;
mod product;
mod reduction;
pub(crate) mod routine;
mod row_program;
mod rows;
mod scaled;
mod scan_program;
mod scans;
pub(crate) mod schedule;
mod selector;
mod stages;
mod strip_bounds;
mod strip_lanes;
mod strip_loads;
mod strip_needs;
mod strip_numbers;
mod strip_points;
mod strip_program;
mod strip_scatter;
mod strip_steps;
mod strips;
mod tile_program;
mod tiles;
mod tree;
mod unpacking;
pub(crate) mod way;
mod wide;

pub(crate) use partials::in_partials;
pub(crate) use parts::{Part, Phase, phases, work};
pub(crate) use schedule::{Schedule, schedule};
pub(crate) use stages::{checked_indices, symbols_below};
pub(crate) use tree::{Arg, Call, Node, Parallel};
