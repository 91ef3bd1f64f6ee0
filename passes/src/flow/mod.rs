//! Drivers over the dataflow-block IR.

mod canonicalize;
mod fold_constants;
mod plan_memory;
pub mod walk;

pub use canonicalize::Canonicalize;
pub use fold_constants::FoldConstants;
pub use plan_memory::plan_memory;
