//! The two graph IRs as pass subjects. The laws of their kernels are among theirs.

use super::Ir;
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::{Definition, Module};
use orogen_ir::graph::Graph;
use orogen_ir::ops::OpRegistry;

impl Ir for Graph {
    const NAME: &'static str = "graph";

    fn verify(&self, ops: &OpRegistry) -> Result<(), Diagnostics> {
        let kernels = self.kernels.values();
        all(std::iter::once(Graph::verify(self, ops)).chain(kernels.map(orogen_ir::loops::verify)))
    }

    fn print(&self, ops: &OpRegistry) -> String {
        orogen_ir::graph::text::print(self, ops)
    }
}

impl Ir for Module {
    const NAME: &'static str = "flow";

    fn verify(&self, ops: &OpRegistry) -> Result<(), Diagnostics> {
        let kernels = self.definitions.values().filter_map(|it| match it {
            Definition::Kernel(program) => Some(program),
            _ => None,
        });
        all(std::iter::once(Module::verify(self, ops)).chain(kernels.map(orogen_ir::loops::verify)))
    }

    fn print(&self, ops: &OpRegistry) -> String {
        orogen_ir::flow::text::print(self, ops)
    }
}

/// Everything that any of the verifiers found.
fn all(outcomes: impl Iterator<Item = Result<(), Diagnostics>>) -> Result<(), Diagnostics> {
    let found = outcomes.filter_map(Result::err).flat_map(|it| it.0);
    Diagnostics(found.collect()).into_result(())
}
