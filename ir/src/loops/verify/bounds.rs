//! Bounds of values.

use crate::shape::Dim;
use smallvec::SmallVec;

/// Bounds of an integer: it is at least each of `least` and at most each of `most`.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    pub(super) least: SmallVec<[Dim; 2]>,
    pub(super) most: SmallVec<[Dim; 2]>,
}

impl Bounds {
    pub(super) fn is_whole(&self) -> bool {
        !self.least.is_empty() && !self.most.is_empty()
    }
}
