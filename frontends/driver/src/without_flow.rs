//! Stands for what of this crate needs the dataflow IR, in a build without it: there are no modules, and no proofs.

use crate::Compiler;
use crate::check::view::View;
use indexmap::IndexMap;
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::Module;
use orogen_ir::types::TensorData;
use orogen_passes::rewrite::Rewrite;
use std::sync::Arc;

pub(crate) fn view(module: &Module) -> Option<View<'_>> {
    module.never()
}

/// What input `i` of the entry of a module is when it is left out.
pub fn entry_default(module: &Module, _: usize) -> Option<&TensorData> {
    module.never()
}

/// Gives sizes to symbols of parameters.
pub(crate) fn bind_sizes(module: &mut Module, _: &IndexMap<String, u64>) -> Result<(), Diagnostics> {
    module.never()
}

/// The symbols that the parameters of the entry bind.
pub(crate) fn open_sizes(module: &Module) -> Vec<String> {
    module.never()
}

/// Rules that are text and not of ours; proofs are made in the dataflow IR.
pub(crate) struct AddedRules;

impl AddedRules {
    pub(crate) fn new(_: Vec<(Option<String>, Arc<Rewrite>)>) -> AddedRules {
        AddedRules
    }

    pub(crate) fn check(&self, _: &Compiler) -> Result<(), Diagnostics> {
        Ok(())
    }
}
