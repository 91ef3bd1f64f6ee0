//! Stands for what is asked of modules in a build without the dataflow IR: there are none.

use orogen_ir::flow::Module;
use orogen_ir::ops::OpRegistry;

pub(super) fn live(module: &Module, _: &OpRegistry) -> Result<(), String> {
    module.never()
}

pub(super) fn no_duplicates(module: &Module, _: &OpRegistry) -> Result<(), String> {
    module.never()
}

pub(super) fn legalized(module: &Module, _: &OpRegistry) -> Result<(), String> {
    module.never()
}
