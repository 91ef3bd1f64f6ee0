//! The tool: a process that watches, and those that draw, compile and run.
//!
//! A process that runs a model may crash or not end; it says what it begins, so that the one that watches knows the seed and
//! the executor, makes the model small in processes of their own, and goes on with the next.
//!
//! Modules in reading order: `work` (a process that runs models), `watch`, `tally` (what was done).

pub(crate) mod tally;
pub(crate) mod watch;
pub(crate) mod work;
