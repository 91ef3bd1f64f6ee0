//! Passes over both graph IRs, and the bridge between them.
//!
//! What is known per operator lives in [`rules`], tables that both drivers use, and in rules that are text, which
//! [`rewrite`] reads; [`graph`] and [`flow`] hold only
//! traversal. [`manager`] runs passes as a pipeline with instruments, [`registry`] is the table of
//! passes that pipelines are made of. [`bridge`] translates a graph into a flow
//! module, keeps the adoption ledger and compares the two sides step by step. [`proof`] shows that two programs compute
//! the same for all sizes.
//!
//! [`flow`], [`proof`] and the translation are behind the feature `dataflow-ir`, which is on by default.
//!
//! Modules in reading order: [`manager`], [`rewrite`], [`rules`], [`graph`], [`flow`], [`registry`], [`bridge`], [`proof`].

pub mod bridge;
#[cfg(feature = "dataflow-ir")]
#[path = "with_flow.rs"]
mod dataflow;
#[cfg(not(feature = "dataflow-ir"))]
#[path = "without_flow.rs"]
mod dataflow;
pub mod graph;
pub mod manager;
#[cfg(feature = "dataflow-ir")]
pub mod proof;
pub mod registry;
pub mod rewrite;
pub mod rules;

pub use dataflow::*;
