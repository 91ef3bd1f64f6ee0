//! Drivers over the dataflow-block IR.

mod apply_rules;
mod canonicalize;
mod fold_constants;
mod fuse;
mod legalize;
mod plan_memory;

pub use crate::rules::apply::ApplyRules;
pub use canonicalize::Canonicalize;
pub use fold_constants::FoldConstants;
pub use fuse::Fuse;
pub use legalize::Legalize;
pub use plan_memory::{plan_memory, plan_module};
