//! Files that are written by code.

use crate::codes;
use crate::workspace::Source;
use orogen_passes::{bridge, registry};

/// A file and what it must contain.
pub(crate) struct Generated {
    /// Path from the root.
    pub(crate) path: &'static str,
    pub(crate) text: String,
}

/// Every generated file.
pub(crate) fn files(sources: &[Source]) -> Vec<Generated> {
    vec![
        Generated { path: "rfcs/ADOPTION.md", text: bridge::render(bridge::LEDGER) },
        Generated { path: "docs/passes.md", text: registry::standard_page() },
        Generated { path: "ir/src/diag/CODES.md", text: codes::render(&codes::collect(sources)) },
    ]
}
