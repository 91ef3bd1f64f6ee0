//! Stands for [`flow`](self) in a build without the feature `dataflow-ir`: the same names, of types that have no values.
//! Whoever holds a program of either IR is written once, and nothing but this file knows what was left out.

use crate::diag::{Diagnostic, Diagnostics};
use crate::kernel::Kernel;
use crate::ops::{Folding, OpId, OpRegistry, OpSink, SinkResult};
use crate::shape::{Constraint, ShapeCx};
use crate::types::{Attrs, ConstPool, TensorData, Type};
use std::convert::Infallible;
use std::marker::PhantomData;

/// Whether this build has the dataflow-block IR.
///
/// # Errors
/// `D040`, with the ways out.
pub fn available() -> Result<(), Diagnostic> {
    Err(absent())
}

/// `D040`, with the ways out.
pub fn absent() -> Diagnostic {
    Diagnostic::error("D040", "this compiler was built without the dataflow IR").help(
        "take the opt-in back with `--opt-in legacy`, or build the compiler with its feature `dataflow-ir`, which is on \
         by default",
    )
}

/// A module. There is none.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its name.
    pub name: String,
    /// Its constants.
    pub constants: ConstPool,
    /// Its sizes.
    pub shapes: ShapeCx,
    none: Infallible,
}

/// A function. There is none.
#[derive(Clone, Copy, Debug)]
pub enum Function {}

/// A binding. There is none.
#[derive(Clone, Copy, Debug)]
pub enum Binding {}

impl Module {
    /// Is never called.
    pub fn never(&self) -> ! {
        match self.none {}
    }

    /// Builds nothing.
    ///
    /// # Errors
    /// See [`available`].
    pub fn build(
        _: &OpRegistry,
        _: &str,
        _: Folding<'_>,
        _: impl FnOnce(&mut FlowBuilder<'_>) -> Result<(), Diagnostics>,
    ) -> Result<Module, Diagnostics> {
        Err(absent().into())
    }

    /// Checks nothing.
    ///
    /// # Errors
    /// None.
    pub fn verify(&self, _: &OpRegistry) -> Result<(), Diagnostics> {
        self.never()
    }

    /// Its kernels.
    pub fn kernels(&self) -> impl Iterator<Item = &Kernel> {
        std::iter::from_fn(|| self.never())
    }

    /// The function that runs when none is named.
    pub fn entry(&self) -> Option<(&str, &Function)> {
        self.never()
    }

    /// What the entry function takes and returns.
    pub fn ports(&self) -> (Vec<(String, Type)>, Vec<(String, Type)>) {
        self.never()
    }

    /// Drops what no block holds.
    pub fn compact(&mut self) {
        self.never()
    }

    /// Drops kernels that nothing calls.
    pub fn drop_uncalled_kernels(&mut self) {
        self.never()
    }
}

/// The text form.
pub mod text {
    use super::{Module, absent};
    use crate::diag::Diagnostics;
    use crate::ops::OpRegistry;
    use crate::text::Numbering;
    use crate::types::ConstPool;

    /// Prints nothing.
    pub fn print(module: &Module, _: &OpRegistry) -> String {
        module.never()
    }

    /// Prints nothing.
    pub fn print_numbered(module: &Module, _: &OpRegistry, _: Numbering) -> String {
        module.never()
    }

    /// Reads nothing.
    ///
    /// # Errors
    /// See [`available`].
    pub fn parse_with_constants(_: &str, _: &OpRegistry, _: &ConstPool) -> Result<Module, Diagnostics> {
        Err(absent().into())
    }
}

/// A builder. There is none.
#[derive(Clone, Copy, Debug)]
pub struct FlowBuilder<'o> {
    none: Infallible,
    life: PhantomData<&'o OpRegistry>,
}

impl OpSink for FlowBuilder<'_> {
    type Value = Infallible;

    fn ops(&self) -> &OpRegistry {
        match self.none {}
    }

    fn shapes(&mut self) -> &mut ShapeCx {
        match self.none {}
    }

    fn set_source(&mut self, _: &str) {
        match self.none {}
    }

    fn input(&mut self, _: &str, _: Type) -> Result<Infallible, Diagnostic> {
        match self.none {}
    }

    fn constant(&mut self, _: &str, _: TensorData) -> Infallible {
        match self.none {}
    }

    fn emit(&mut self, _: OpId, _: Attrs, _: &[Infallible]) -> SinkResult<Infallible> {
        match self.none {}
    }

    fn type_of(&self, value: Infallible) -> &Type {
        match value {}
    }

    fn constant_data(&self, value: Infallible) -> Option<&TensorData> {
        match value {}
    }

    fn match_cast(&mut self, value: Infallible, _: Type) -> Result<Infallible, Diagnostic> {
        match value {}
    }

    fn check(&mut self, _: Constraint, _: &str) -> Result<(), Diagnostic> {
        match self.none {}
    }

    fn if_else(
        &mut self,
        cond: Infallible,
        _: &mut dyn FnMut(&mut Self) -> SinkResult<Infallible>,
        _: &mut dyn FnMut(&mut Self) -> SinkResult<Infallible>,
    ) -> SinkResult<Infallible> {
        match cond {}
    }

    fn while_loop(
        &mut self,
        _: &[Infallible],
        _: &mut dyn FnMut(&mut Self, &[Infallible]) -> Result<Infallible, Diagnostic>,
        _: &mut dyn FnMut(&mut Self, &[Infallible]) -> SinkResult<Infallible>,
    ) -> SinkResult<Infallible> {
        match self.none {}
    }

    fn output(&mut self, _: &str, value: Infallible) -> Result<(), Diagnostic> {
        match value {}
    }
}
