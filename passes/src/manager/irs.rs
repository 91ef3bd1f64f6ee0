//! The two graph IRs as pass subjects. The laws of their kernels are among theirs.

use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::Module;
use orogen_ir::graph::Graph;
use orogen_ir::ops::OpRegistry;

/// An IR that passes run on.
pub trait Ir {
    /// The IR as instruments see it.
    fn as_ir(&self) -> IrRef<'_>;

    /// Checks every law and reports all violations.
    ///
    /// # Errors
    /// The violations.
    fn verify(&self, ops: &OpRegistry) -> Result<(), Diagnostics> {
        self.as_ir().verify(ops)
    }

    /// The text form.
    fn print(&self, ops: &OpRegistry) -> String {
        self.as_ir().print(ops)
    }
}

impl Ir for Graph {
    fn as_ir(&self) -> IrRef<'_> {
        IrRef::Graph(self)
    }
}

impl Ir for Module {
    fn as_ir(&self) -> IrRef<'_> {
        IrRef::Flow(self)
    }
}

/// A program in either IR.
#[derive(Clone, Copy, Debug)]
pub enum IrRef<'a> {
    /// The legacy graph.
    Graph(&'a Graph),
    /// The dataflow-block IR.
    Flow(&'a Module),
}

impl IrRef<'_> {
    /// Name of the IR, also the suffix of its text files.
    pub const fn name(self) -> &'static str {
        match self {
            IrRef::Graph(_) => "graph",
            IrRef::Flow(_) => "flow",
        }
    }

    /// Checks every law and reports all violations.
    ///
    /// # Errors
    /// The violations.
    pub fn verify(self, ops: &OpRegistry) -> Result<(), Diagnostics> {
        match self {
            IrRef::Graph(graph) => {
                let kernels = graph.kernels().values();
                all(std::iter::once(graph.verify(ops))
                    .chain(kernels.map(|it| orogen_ir::kernel::verify(it).map(drop))))
            }
            IrRef::Flow(module) => {
                let kernels = module.kernels();
                all(std::iter::once(module.verify(ops))
                    .chain(kernels.map(|it| orogen_ir::kernel::verify(it).map(drop))))
            }
        }
    }

    /// The text form.
    pub fn print(self, ops: &OpRegistry) -> String {
        match self {
            IrRef::Graph(graph) => orogen_ir::graph::text::print(graph, ops),
            IrRef::Flow(module) => orogen_ir::flow::text::print(module, ops),
        }
    }
}

/// Everything that any of the verifiers found.
fn all(outcomes: impl Iterator<Item = Result<(), Diagnostics>>) -> Result<(), Diagnostics> {
    let found = outcomes.filter_map(Result::err).flat_map(|it| it.0);
    Diagnostics(found.collect()).into_result(())
}
