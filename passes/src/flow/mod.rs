//! Drivers over the dataflow-block IR.

mod apply_rules;
mod bind_parameters;
mod canonicalize;
mod composite;
pub mod egraph;
mod fold_constants;
mod functions;
mod fuse;
mod legalize;
mod lift_parameters;
mod merge_products;
mod merge_steps;
mod mixed_precision;
mod outline;
mod plan_memory;
mod shuffle;

use crate::rules::kernels::KernelTable;
use orogen_ir::flow::{BindingId, Definition, Editor, ValueDef, ValueId};
use orogen_ir::kernel::Kernel;

pub(crate) use apply_rules::{FlowRewriter, call, value_id};

pub use crate::rules::apply::ApplyRules;
pub use crate::rules::fold::FoldConstants;
pub use crate::rules::order::Shuffle;
pub use bind_parameters::BindParameters;
pub use canonicalize::Canonicalize;
pub use composite::{Composite, CompositeHook, FuseByPattern};
pub use functions::{BindSizes, InferEffects, Inline, RemoveUnused};
pub use fuse::Fuse;
pub use legalize::Legalize;
pub use lift_parameters::LiftParameters;
pub use merge_products::MergeProducts;
pub use mixed_precision::MixedPrecision;
pub use plan_memory::{plan_memory, plan_memory_with};
pub use shuffle::shuffled;

impl KernelTable for Editor<'_> {
    fn kernel(&self, name: &str) -> Option<&Kernel> {
        match self.definitions().get(name)? {
            Definition::Kernel(kernel) => Some(kernel),
            Definition::Function(_) => None,
        }
    }

    fn is_taken(&self, name: &str) -> bool {
        self.definitions().contains_key(name)
    }

    fn put(&mut self, kernel: Kernel) {
        self.define(kernel).expect("the name is not taken");
    }
}

/// The binding that makes the result of an operation or a call.
fn binding_of(editor: &Editor<'_>, value: ValueId) -> BindingId {
    match editor.value(value).def {
        ValueDef::Result(id, _) => id,
        _ => unreachable!("an operation or a call made it"),
    }
}
