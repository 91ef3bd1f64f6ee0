//! Symbols and what is known of them by nature.

use super::Dim;

/// What is known of a symbol from its creation on.
///
/// Only the kind takes part in canonical forms: it never changes, unlike facts.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum SymbolKind {
    /// The size of a dimension: at least 0.
    Size,
    /// A loop index: at least 0 and below the extent, wherever the loop body runs.
    Index {
        /// The number of iterations.
        extent: Dim,
    },
    /// An integer between −[`MAX_INTEGER`] and that. One that is read from data beyond it is taken to be the bound.
    Integer,
}

/// The largest magnitude of a symbol that is an [integer](SymbolKind::Integer): sums and differences of two fit.
pub const MAX_INTEGER: i64 = 1 << 60;

#[derive(Copy, Clone, Debug)]
pub(super) struct SymbolInfo {
    pub(super) kind: SymbolKind,
}
