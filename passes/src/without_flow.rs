//! Stands for [`flow`](self) and the translation in a build without the feature `dataflow-ir`: passes of the same names over
//! modules, of which there are none. So pipelines are put together in one way, and places in them are the same.

use crate::manager::{Changed, Facts, Pass, PassCx};
use crate::rules::state::State;
use orogen_ir::choices::Choices;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{Module, absent};
use orogen_ir::graph::Graph;
use orogen_ir::ops::OpRegistry;
use orogen_ir::plan::PlanModule;
use orogen_ir::types::DType;

pub use crate::graph::{Canonicalize, Fuse, Legalize};
pub use crate::rules::apply::ApplyRules;
pub use crate::rules::fold::FoldConstants;
pub use crate::rules::order::Shuffle;

/// Translates nothing.
///
/// # Errors
/// `D040`.
pub fn translate(_: &Graph, _: &OpRegistry) -> Result<Module, Diagnostic> {
    Err(absent())
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

/// Passes of the legacy graph say what those of the same names would.
macro_rules! absent {
    ($($ty:ty),*) => { $(
        impl Pass<Module> for $ty {
            fn name(&self) -> &'static str {
                Pass::<Graph>::name(self)
            }

            fn facts(&self) -> Facts {
                Pass::<Graph>::facts(self)
            }

            fn run(&self, module: &mut Module, _: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
                module.never()
            }
        }
    )* };
}

absent!(ApplyRules, FoldConstants, Shuffle, Canonicalize, Legalize, Fuse);

/// Passes over the dataflow IR alone.
macro_rules! alone {
    ($($ty:ident $name:literal),* $(,)?) => { $(
        #[doc = concat!("Stands for pass `", $name, "`.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $ty;

        impl Pass<Module> for $ty {
            fn name(&self) -> &'static str {
                $name
            }

            fn run(&self, module: &mut Module, _: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
                module.never()
            }
        }
    )* };
}

alone! {
    BindSizes "bind-sizes",
    InferEffects "infer-effects",
    Inline "inline",
    RemoveUnused "remove-unused",
    MergeProducts "merge-products",
    LiftParameters "lift-parameters",
    MixedPrecision "mixed-precision",
    FuseByPattern "fuse-by-pattern",
}

impl BindSizes {
    /// To any sizes.
    ///
    /// # Errors
    /// None.
    pub fn parse<T>(_: T) -> Result<Self, Diagnostic> {
        Ok(BindSizes)
    }
}

impl LiftParameters {
    /// Of any parameters.
    pub fn new<T>(_: T) -> Self {
        LiftParameters
    }
}

impl MixedPrecision {
    /// With any policy.
    ///
    /// # Errors
    /// None.
    pub fn new<P>(_: DType, _: P) -> Result<Self, Diagnostic> {
        Ok(MixedPrecision)
    }
}

impl FuseByPattern {
    /// Of any name.
    pub fn new(_: &'static str) -> Self {
        FuseByPattern
    }

    /// With any pattern.
    ///
    /// # Errors
    /// None.
    pub fn pattern(self, _: &OpRegistry, _: &str, _: &str) -> Result<Self, Diagnostics> {
        Ok(self)
    }
}

/// Equality saturation.
pub mod egraph {
    use crate::manager::{Changed, Pass, PassCx};
    use orogen_ir::diag::Diagnostics;
    use orogen_ir::flow::Module;

    /// Stands for the budget of that name.
    #[derive(Clone, Copy, Debug)]
    pub struct ExploreBudget {
        /// Bindings of a region.
        pub region: usize,
        /// Nodes of an e-graph.
        pub nodes: usize,
        /// Rounds of all rules.
        pub iterations: usize,
        /// Runs of rules.
        pub matches: usize,
        /// Programs that extraction compares.
        pub programs: usize,
    }

    /// Stands for the pass of this name.
    #[derive(Clone, Copy, Debug)]
    pub struct Explore;

    impl Explore {
        /// With any budget.
        pub fn when_run(_: ExploreBudget) -> Self {
            Explore
        }
    }

    impl Pass<Module> for Explore {
        fn name(&self) -> &'static str {
            "explore"
        }

        fn run(&self, module: &mut Module, _: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
            module.never()
        }
    }
}
