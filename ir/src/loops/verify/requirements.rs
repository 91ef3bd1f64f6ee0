//! What a program requires of the sizes that it is called with.

use crate::shape::{Constraint, Dim, ShapeCx};
use indexmap::IndexSet;
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// A relation between sizes that a call must keep.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// Extents of the loops around: where one of them is below 1, nothing is required.
    pub within: SmallVec<[Dim; 4]>,
    /// What holds otherwise.
    pub constraint: Constraint,
    /// What follows from it.
    pub reason: String,
    /// Whether the program assumes it. What it was made from knows that for runs that end well, maybe by a check that
    /// comes after the call.
    pub assumed: bool,
}

/// What the laws of a program ask that does not follow from the program alone.
#[derive(Clone, Debug, Default)]
pub struct Requirements {
    /// Where the sizes live: the context of the program, and what was added.
    pub shapes: ShapeCx,
    /// Each once.
    pub list: IndexSet<Requirement>,
    /// By law, how many questions follow from the program alone.
    pub proven: BTreeMap<&'static str, usize>,
}
