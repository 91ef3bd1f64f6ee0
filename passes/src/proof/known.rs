//! What is known of data.

use indexmap::{IndexMap, IndexSet};

/// What is known of the data of two functions besides types: what a rule asks of constants, which are parameters where
/// it is proven.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// Between which numbers all elements of a parameter lie, these included; by its place.
    pub ranges: IndexMap<usize, [f64; 2]>,
    /// Parameters whose elements are all finite and greater than 0; by their places.
    pub positive: IndexSet<usize>,
    /// Whether a constant that is [`ANY`](Self::ANY) stands for any number.
    ///
    /// Over the reals no law looks at it then: it is equal to itself, and that is all. So what is proven with it holds for
    /// each number, as long as nothing else looks at it either: lowering does not.
    pub any: bool,
}

impl Known {
    /// A number that every float type holds, and that nothing else is.
    pub const ANY: f64 = 0.010_559_082_031_25;
}
