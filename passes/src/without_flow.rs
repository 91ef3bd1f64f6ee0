//! Stands for what of this crate needs the dataflow IR, in a build without it: there are no modules and no passes over them.

/// Stands for the translation.
pub(crate) mod translate {
    use orogen_ir::diag::Diagnostic;
    use orogen_ir::flow::{Module, absent};
    use orogen_ir::graph::Graph;
    use orogen_ir::ops::OpRegistry;

    /// Translates nothing.
    ///
    /// # Errors
    /// `D040`.
    pub fn translate(_: &Graph, _: &OpRegistry) -> Result<Module, Diagnostic> {
        Err(absent())
    }
}

/// Stands for the passes.
pub mod flow {
    use crate::manager::Pass;
    use crate::rules::order::Shuffle;
    use crate::rules::state::State;
    use orogen_ir::choices::Choices;
    use orogen_ir::diag::Diagnostics;
    use orogen_ir::flow::Module;
    use orogen_ir::ops::OpRegistry;
    use orogen_ir::plan::PlanModule;
    use std::sync::Arc;

    /// There is no program to put into another order.
    pub fn shuffled(_: Shuffle) -> Option<Arc<dyn Pass<Module>>> {
        None
    }

    /// Is never called: there is no module.
    ///
    /// # Errors
    /// None.
    pub fn plan_memory_with(
        _: &OpRegistry,
        module: &Module,
        _: &[State],
        _: &mut Choices,
    ) -> Result<PlanModule, Diagnostics> {
        module.never()
    }

    /// Is never called: there is no module.
    ///
    /// # Errors
    /// None.
    pub fn plan_memory(_: &OpRegistry, module: &Module, _: &[State]) -> Result<PlanModule, Diagnostics> {
        module.never()
    }
}

/// No pass is made.
pub(crate) mod makers {
    use crate::registry::Make;
    use orogen_ir::flow::Module;

    pub(crate) const fn maker(_: &str) -> Option<Make<Module>> {
        None
    }
}

/// Stands for what is asked of modules.
pub(crate) mod holds {
    use orogen_ir::flow::Module;
    use orogen_ir::ops::OpRegistry;

    pub(crate) fn live(module: &Module, _: &OpRegistry) -> Result<(), String> {
        module.never()
    }

    pub(crate) fn no_duplicates(module: &Module, _: &OpRegistry) -> Result<(), String> {
        module.never()
    }

    pub(crate) fn legalized(module: &Module, _: &OpRegistry) -> Result<(), String> {
        module.never()
    }
}
