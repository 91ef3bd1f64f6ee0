//! What of this crate needs the dataflow IR. In a build without it `without_flow` stands in its place.

#[path = "compiler/prove.rs"]
mod prove;
#[path = "check/flow.rs"]
mod views;

pub(crate) use views::view;

use orogen_ir::flow::Module;
use orogen_ir::types::TensorData;

/// What input `i` of the entry of a module is when it is left out.
pub fn entry_default(module: &Module, i: usize) -> Option<&TensorData> {
    let id = module.entry()?.1.params().get(i)?.default?;
    module.constants.contains(id).then(|| module.constants.data(id))
}

/// What is known of rules.
pub(crate) mod proofs {
    pub use orogen_passes::proof::{RuleProof, Verdict};
}
