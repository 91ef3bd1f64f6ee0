//! Modules of the dataflow IR: as text, or as a program built them. They need no import.

use super::erased::{Content, ErasedFrontend};
use super::{FileHead, ImportOptions, ImportReport, Recognised, Unsupported};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{FlowBuilder, Module, ValueId, text};
use orogen_ir::graph::{GraphBuilder, OPT_IN_HELP};
use orogen_ir::ops::Defaulted;
use orogen_ir::ops::OpRegistry;
use orogen_passes::manager::Ir;
use std::path::Path;

/// The text format of `ir/src/flow/text`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowText;

/// A model of this frontend.
#[derive(Debug)]
pub(crate) enum FlowModel {
    /// Read when the operators are known.
    Text(String),
    /// Built by a program.
    Module(Box<Module>),
}

impl FlowText {
    /// Name of the format.
    pub(crate) const NAME: &'static str = "flow";
}

impl ErasedFrontend for FlowText {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn recognises(&self, file: &FileHead<'_>) -> Recognised {
        if file.has_suffix("flow") { Recognised::Yes } else { Recognised::No }
    }

    fn open(&self, path: &Path) -> Result<Content, Diagnostics> {
        let fail = |message: String| Diagnostic::error(super::CANNOT_READ, message);
        if !path.metadata().is_ok_and(|it| it.is_file()) {
            return Err(fail("cannot read the model: it is not a regular file".to_owned()).into());
        }
        self.decode(std::fs::read(path).map_err(|error| fail(format!("cannot read the model: {error}")))?)
    }

    fn decode(&self, bytes: Vec<u8>) -> Result<Content, Diagnostics> {
        let text = String::from_utf8(bytes);
        let text =
            text.map_err(|_| Diagnostic::error("D016", "a module of the dataflow IR is UTF-8 text"))?;
        Ok(Box::new(FlowModel::Text(text)))
    }

    fn unsupported(&self, _: &Content) -> Result<Vec<Unsupported>, Diagnostics> {
        Ok(Vec::new())
    }

    fn import_graph(
        &self,
        _: &Content,
        _: &ImportOptions,
        _: &mut GraphBuilder<'_>,
    ) -> Result<ImportReport, Diagnostics> {
        let message = "the model is a module of the dataflow IR, which the legacy path does not hold";
        Err(Diagnostic::error("D017", message).help(OPT_IN_HELP).into())
    }

    fn import_flow(
        &self,
        _: &Content,
        _: &ImportOptions,
        _: &mut FlowBuilder<'_>,
    ) -> Result<ImportReport, Diagnostics> {
        Err(Diagnostic::error("D017", "a module of the dataflow IR is taken as it is").into())
    }

    fn module(
        &self,
        model: &Content,
        options: &ImportOptions,
        ops: &OpRegistry,
    ) -> Option<Result<(Module, ImportReport), Diagnostics>> {
        Some(match model.downcast_ref()? {
            FlowModel::Text(it) => text::parse(it, ops).and_then(|it| accepted(it, options, ops)),
            FlowModel::Module(it) => accepted((**it).clone(), options, ops),
        })
    }
}

/// A module that keeps its laws, and what is to be said of it.
fn accepted(
    module: Module,
    options: &ImportOptions,
    ops: &OpRegistry,
) -> Result<(Module, ImportReport), Diagnostics> {
    let overridden = options.defaults.names(Defaulted::Optional);
    if let Some(name) = options.dims.keys().map(String::as_str).chain(overridden).next() {
        let message = format!("`{name}` cannot be chosen: sizes and inputs are as the module has them");
        return Err(Diagnostic::error("D018", message).into());
    }
    Ir::verify(&module, ops)?;
    let mut report = ImportReport { format: FlowText::NAME, ..ImportReport::default() };
    if let Some((_, function)) = module.entry() {
        let ty = |value: ValueId| function[value].ty.clone();
        let results = &function[function.body()].results;
        report.inputs = function.params().iter().map(|it| (it.name.clone(), ty(it.value))).collect();
        report.outputs =
            function.outputs().iter().zip(results).map(|(it, value)| (it.name.clone(), ty(*value))).collect();
    }
    Ok((module, report))
}
