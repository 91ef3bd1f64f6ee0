//! Drivers over the legacy graph.

mod apply_rules;
mod canonicalize;
mod fold_constants;
mod fuse;
mod legalize;
mod plan_memory;
mod rewrite;
mod shuffle;

pub use crate::rules::apply::ApplyRules;
pub use crate::rules::fold::FoldConstants;
pub use crate::rules::order::Shuffle;
pub use canonicalize::Canonicalize;
pub use fuse::Fuse;
pub use legalize::Legalize;
pub use plan_memory::{plan_memory, plan_memory_with};
