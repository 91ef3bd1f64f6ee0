//! Where values go wrong: which pass changes them, in which part of a model.
//!
//! [`bisect`] finds the first pass after which a model computes something else, [`reduce`] makes the program that shows it
//! small, and [`compare_values`] compares every value of compiled code with the reference interpreter, by name. All three
//! work on text: what is cut down is what a person would cut down, and what comes out is a file that every command reads.
//! [`compare_with`] compares values of compiled code with what another program computed of the model. Where only other
//! choices than the usual ones show a fault, [`bisect_choices`] finds the one that does.
//!
//! # Laws
//! * **Q1** What is returned is what was tried: a reproducer shows the fault, on the inputs that come with it.
//! * **Q2** A part of a program is tried only if it keeps the laws of its IR.
//! * **Q3** The search ends after a number of trials that is given, with the best that was found.
//!
//! Modules in reading order: `slice` (a program as lines), `trial` (does a part of it show the fault), `bisect`, `reduce`,
//! `stages`.

mod bisect;
mod reduce;
mod slice;
mod stages;
mod trial;

pub use bisect::{Blame, bisect, bisect_choices};
pub use reduce::{Reproducer, reduce};
pub use stages::{Deviation, compare_values, compare_with};
pub use trial::{Fault, Made, Search};

/// Trials of a reduction, unless others are asked for.
pub const TRIALS: usize = 300;
