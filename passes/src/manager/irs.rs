//! The two graph IRs as pass subjects.

use super::Ir;
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::Module;
use orogen_ir::graph::Graph;
use orogen_ir::ops::OpRegistry;

impl Ir for Graph {
    const NAME: &'static str = "graph";

    fn verify(&self, ops: &OpRegistry) -> Result<(), Diagnostics> {
        Graph::verify(self, ops)
    }

    fn print(&self, ops: &OpRegistry) -> String {
        orogen_ir::graph::text::print(self, ops)
    }
}

impl Ir for Module {
    const NAME: &'static str = "flow";

    fn verify(&self, ops: &OpRegistry) -> Result<(), Diagnostics> {
        Module::verify(self, ops)
    }

    fn print(&self, ops: &OpRegistry) -> String {
        orogen_ir::flow::text::print(self, ops)
    }
}
