//! ONNX as one of the frontends.

use super::{FileHead, Frontend, ImportOptions, ImportReport, Recognised, Unsupported};
use orogen_ir::diag::Diagnostics;
use orogen_ir::ops::{OpRegistry, OpSink};
use orogen_onnx::{Model, OpTable, Options};
use std::path::Path;

/// The ONNX importer with a table of converters.
#[derive(Clone, Debug)]
pub(crate) struct Onnx {
    pub(crate) ops: OpTable,
}

impl Frontend for Onnx {
    type Model = Model;

    fn name(&self) -> &'static str {
        "onnx"
    }

    /// Protocol buffers have no magic number, so a file that no one else knows may be one.
    fn recognises(&self, file: &FileHead<'_>) -> Recognised {
        if file.has_suffix("onnx") { Recognised::Yes } else { Recognised::Maybe }
    }

    fn decode(&self, bytes: Vec<u8>) -> Result<Model, Diagnostics> {
        Model::from_bytes(bytes)
    }

    fn open(&self, path: &Path) -> Result<Model, Diagnostics> {
        Model::open(path)
    }

    fn unsupported(&self, model: &Model) -> Result<Vec<Unsupported>, Diagnostics> {
        let found = orogen_onnx::unsupported(model, &self.ops)?.into_iter().map(|it| {
            let (name, operator) = match (it.op.as_str(), it.domain.as_str()) {
                ("", _) => (String::new(), String::new()),
                (op, "") => (op.to_owned(), format!("ai.onnx version {}", it.version)),
                (op, domain) => (format!("{domain}.{op}"), format!("{domain} version {}", it.version)),
            };
            Unsupported { place: it.place, name, operator, reason: it.reason }
        });
        Ok(found.collect())
    }

    fn missing_files(&self, model: &Model) -> Vec<String> {
        orogen_onnx::missing_files(model)
    }

    fn operators(&self, ops: &OpRegistry) -> Option<String> {
        Some(orogen_onnx::operators_page(&self.ops, ops))
    }

    fn import<S: OpSink>(
        &self,
        model: &Model,
        options: &ImportOptions,
        sink: &mut S,
    ) -> Result<ImportReport, Diagnostics> {
        let options = Options {
            dims: options.dims.clone(),
            defaults: options.defaults.clone(),
            values: options.values.clone(),
            ops: self.ops.clone(),
            budget: options.budget.clone(),
        };
        let report = orogen_onnx::import(model, &options, sink)?;
        Ok(ImportReport {
            format: self.name(),
            producer: report.producer,
            versions: report.opsets,
            inputs: report.inputs,
            outputs: report.outputs,
            dims: report.dims,
            operators: report.operators,
            assumptions: report.assumptions,
            defaults: report.defaults,
            optional: report.optional,
        })
    }
}
