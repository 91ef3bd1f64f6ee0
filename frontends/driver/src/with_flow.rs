//! What of this crate needs the dataflow IR. In a build without it `without_flow` stands in its place.

#[path = "compiler/prove.rs"]
mod prove;
#[path = "check/flow.rs"]
mod views;

pub(crate) use prove::AddedRules;
pub(crate) use views::view;

use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::Module;
use orogen_ir::types::{TensorData, bound_symbols};
use orogen_passes::flow::BindSizes;

/// What input `i` of the entry of a module is when it is left out.
pub fn entry_default(module: &Module, i: usize) -> Option<&TensorData> {
    let id = module.entry()?.1.params().get(i)?.default?;
    module.constants.contains(id).then(|| module.constants.data(id))
}

/// Gives sizes to symbols of parameters.
///
/// # Errors
/// A name that no parameter has, and a size that a type contradicts.
pub(crate) fn bind_sizes(module: &mut Module, sizes: &IndexMap<String, u64>) -> Result<(), Diagnostics> {
    let size = |(name, size): (&String, &u64)| (name.clone(), i64::try_from(*size).unwrap_or(i64::MAX));
    BindSizes::new(sizes.iter().map(size)).bind(module).map(|_| ())
}

/// The symbols that the parameters of the entry bind.
pub(crate) fn open_sizes(module: &Module) -> Vec<String> {
    let mut found = IndexSet::new();
    for (_, ty) in module.ports().0 {
        bound_symbols(&module.shapes, &ty, &mut |it| _ = found.insert(module.shapes.name(it).to_owned()));
    }
    found.into_iter().collect()
}

/// What is known of rules.
pub(crate) mod proofs {
    pub use orogen_passes::proof::{RuleProof, Verdict};
}
