//! Every intermediate representation of Orogen, and what they share.
//!
//! A model enters as a [`graph::Graph`] (the legacy static graph IR) or as a [`flow::Module`] (the
//! dataflow-block IR). Both lower to the same pair: [`kernel::Kernel`]s, most of them
//! [`loops::TensorProgram`]s, and a [`plan::CallPlan`] (which kernel runs when, on which memory). What is known per operator lives once in
//! [`ops`], keyed by [`ops::OpId`].
//!
//! The dataflow-block IR is behind the feature `dataflow-ir`, which is on by default. Without it `flow` has the same names
//! for nothing, and its folder may be absent.
//!
//! Modules in reading order: [`diag`], [`shape`], [`types`], [`scalar`], [`ops`], [`text`], [`graph`], [`flow`],
//! [`loops`], [`kernel`], [`plan`]; [`choices`] are those that may be made either way; [`generate`] makes random programs for tests.

pub mod choices;
pub mod diag;
#[cfg(feature = "dataflow-ir")]
pub mod flow;
#[cfg(not(feature = "dataflow-ir"))]
#[path = "without_flow.rs"]
pub mod flow;
pub mod generate;
pub mod graph;
pub mod kernel;
pub mod loops;
pub mod ops;
mod order;
pub mod plan;
pub mod scalar;
pub mod shape;
pub mod text;
pub mod types;
