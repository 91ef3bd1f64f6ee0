//! What of this crate needs the dataflow IR. In a build without it `without_flow` stands in its place.

#[path = "compiler/prove.rs"]
mod prove;
#[path = "check/flow.rs"]
mod views;

pub(crate) use views::view;

/// What is known of rules.
pub(crate) mod proofs {
    pub use orogen_passes::proof::{RuleProof, Verdict};
}
