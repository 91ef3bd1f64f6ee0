//! Drivers over the legacy graph.

mod plan_memory;

pub use plan_memory::plan_memory;
