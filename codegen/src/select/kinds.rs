//! Kinds of vector routines, in the order in which they are tried.

use orogen_ir::loops::Stage;

use super::columns::columns;
use super::contraction::matrix_product;
use super::convolution::{convolution, pooling};
use super::rows::rows;
use super::selector::{Match, Selector};
use super::strips::{interleaved, packed, strips, windows};
use super::tiles::tiles;

/// Finds a routine for the first stages of a run.
type Find = fn(&mut Selector<'_>, &[&Stage]) -> Option<Match>;

/// Kinds of routines in the order in which they are tried. What none of them computes is computed by scalar loops, which
/// compute everything.
pub(crate) const KINDS: [(&str, Find); 10] = [
    ("convolutions", convolution),
    ("matrix products", matrix_product),
    ("packed strips", packed),
    ("rows", rows),
    ("windows", windows),
    ("pooling", pooling),
    ("columns", columns),
    ("tiles", tiles),
    ("interleaved strips", interleaved),
    ("strips", strips),
];
