//! Drivers over the dataflow-block IR.

mod apply_rules;
mod canonicalize;
pub mod egraph;
mod fold_constants;
mod fuse;
mod legalize;
mod plan_memory;

use crate::rules::kernels::KernelTable;
use orogen_ir::flow::{Definition, Editor};
use orogen_ir::kernel::Kernel;

pub use crate::rules::apply::ApplyRules;
pub use crate::rules::fold::FoldConstants;
pub use canonicalize::Canonicalize;
pub use fuse::Fuse;
pub use legalize::Legalize;
pub use plan_memory::plan_memory;

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
