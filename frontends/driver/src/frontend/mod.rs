//! Model formats: the interface of a frontend, and those that ship.
//!
//! A frontend decodes files of one format and writes their operations into an [`OpSink`], so one import serves both
//! IRs. A [`Model`](crate::Model) remembers which frontend opened it, and nothing else here names a format.

mod erased;
mod kernel;
mod onnx;
mod text;

pub(crate) use erased::{ErasedFrontend, Frontends};
pub(crate) use onnx::Onnx;
pub(crate) use text::{IrModel, IrText};

use crate::files::CANNOT_READ;
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::ops::{Budget, InputDefaults, OpRegistry, OpSink};
use orogen_ir::types::Type;
use std::fmt;
use std::path::Path;

/// A model format.
///
/// ```no_run
/// use orogen::prelude::*;
/// use std::path::Path;
///
/// /// A text that names one operator of one operand, such as `relu`.
/// struct OneLine;
///
/// impl Frontend for OneLine {
///     type Model = String;
///
///     fn name(&self) -> &'static str {
///         "one-line"
///     }
///
///     fn recognises(&self, file: &FileHead<'_>) -> Recognised {
///         if file.has_suffix("oneline") { Recognised::Yes } else { Recognised::No }
///     }
///
///     fn decode(&self, bytes: Vec<u8>) -> Result<String, Diagnostics> {
///         let text = String::from_utf8(bytes);
///         Ok(text.map_err(|_| Diagnostic::error("E001", "this is no text"))?.trim().to_string())
///     }
///
///     fn import<S: OpSink>(
///         &self,
///         model: &String,
///         options: &ImportOptions,
///         sink: &mut S,
///     ) -> Result<ImportReport, Diagnostics> {
///         let n = sink.shapes().int(options.dim("n").unwrap_or(1) as i64);
///         let x = sink.input("x", Type::tensor(DType::F32, [n]))?;
///         let op = sink.ops().find(model);
///         let op = op.ok_or_else(|| Diagnostic::error("E002", format!("no operator `{model}`")))?;
///         let y = sink.emit(op, Attrs::none(), &[x])?;
///         sink.output("y", y[0])?;
///         Ok(ImportReport::default())
///     }
/// }
///
/// let compiler = Compiler::builder().frontend(OneLine).build()?;
/// let model = compiler.open("relu.oneline")?;
/// compiler.compile(&model, &CompileOptions::default())?.write_library("relu.so")?;
/// # Ok::<(), Diagnostics>(())
/// ```
pub trait Frontend: Send + Sync + 'static {
    /// A decoded model.
    type Model: Send + Sync + 'static;

    /// Name of the format, unique in a compiler.
    fn name(&self) -> &'static str;

    /// Whether a file is of this format, judged by its beginning and its name.
    fn recognises(&self, file: &FileHead<'_>) -> Recognised;

    /// Decodes a model in memory.
    ///
    /// # Errors
    /// Bytes that are no model of this format.
    fn decode(&self, bytes: Vec<u8>) -> Result<Self::Model, Diagnostics>;

    /// Opens a model file, for formats that map weights or keep them in files beside it.
    ///
    /// # Errors
    /// Files that cannot be read, and those that are no model of this format.
    fn open(&self, path: &Path) -> Result<Self::Model, Diagnostics> {
        let bytes = std::fs::read(path)
            .map_err(|error| Diagnostic::error(CANNOT_READ, format!("cannot read the model: {error}")))?;
        self.decode(bytes)
    }

    /// Everything of a model that cannot be imported; empty when all can, which is what a frontend that cannot say
    /// before it imports answers.
    ///
    /// # Errors
    /// A model that breaks the rules of its format.
    fn unsupported(&self, _model: &Self::Model) -> Result<Vec<Unsupported>, Diagnostics> {
        Ok(Vec::new())
    }

    /// Files that a model is made of and that cannot be read, each with the reason; what is known before it is imported.
    fn missing_files(&self, _model: &Self::Model) -> Vec<String> {
        Vec::new()
    }

    /// A page, in Markdown, of what this frontend imports into operators of a table; nothing when there is no list of it.
    fn operators(&self, _ops: &OpRegistry) -> Option<String> {
        None
    }

    /// Writes the operations of a model into a sink.
    ///
    /// # Errors
    /// What is unsupported, what the sink cannot hold, and what is wrong with the model or the options.
    fn import<S: OpSink>(
        &self,
        model: &Self::Model,
        options: &ImportOptions,
        sink: &mut S,
    ) -> Result<ImportReport, Diagnostics>;
}

/// What a frontend says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recognised {
    /// Another format.
    No,
    /// Nothing speaks against it. Such a frontend gets files that no other knows.
    Maybe,
    /// This format.
    Yes,
}

/// The beginning of a file and its name.
#[derive(Clone, Copy, Debug)]
pub struct FileHead<'a> {
    /// Name or path; empty for a model in memory.
    pub path: &'a Path,
    /// Up to [`FileHead::LENGTH`] bytes; empty for what cannot be read.
    pub bytes: &'a [u8],
}

impl FileHead<'_> {
    /// How many bytes there are of a file that has as many.
    pub const LENGTH: usize = 64;

    /// Whether the name ends in `.suffix`, in letters of either case.
    pub fn has_suffix(&self, suffix: &str) -> bool {
        self.path.extension().is_some_and(|it| it.eq_ignore_ascii_case(suffix))
    }
}

/// What the user chose about the import.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Sizes for dynamic dimensions by name.
    pub dims: IndexMap<String, u64>,
    /// What becomes of inputs to which the file gives a value.
    pub defaults: InputDefaults,
    /// Values that come out beside the outputs, by the names that the format gives them or the operations that make them.
    /// What it has no such name for stays inside.
    pub values: IndexSet<String>,
    /// What may be built beyond what the file holds. The sink spends from it too.
    pub budget: Budget,
}

impl ImportOptions {
    /// The size chosen for a dimension.
    pub fn dim(&self, name: &str) -> Option<u64> {
        self.dims.get(name).copied()
    }
}

/// What was imported. Frontends fill in what their format knows.
#[derive(Clone, Debug, Default)]
pub struct ImportReport {
    /// Name of the format.
    pub format: &'static str,
    /// What wrote the file; may be empty.
    pub producer: String,
    /// Versions that the model names, by what they are versions of.
    pub versions: Vec<(String, i64)>,
    /// Inputs in order.
    pub inputs: Vec<(String, Type)>,
    /// Outputs in order.
    pub outputs: Vec<(String, Type)>,
    /// Names of the dynamic dimensions of the inputs, in order of first use.
    pub dims: Vec<String>,
    /// How many operations of each operator of the format were imported.
    pub operators: IndexMap<String, usize>,
    /// What the importer had to assume about the data, one sentence each; it is checked when the model runs.
    pub assumptions: Vec<String>,
    /// Inputs of the file that are none here, because the file gives their value, although it says that a caller may give
    /// another one.
    pub defaults: Vec<String>,
    /// Inputs that a caller may leave out.
    pub optional: Vec<String>,
}

/// Something that cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Where, for example ``node `topk` (TopK)``.
    pub place: String,
    /// The name of the operator, for example `TopK` or `my.domain.Bar`; empty for what is no operator.
    pub name: String,
    /// What qualifies the operator, for example `ai.onnx version 17`; empty for what is no operator.
    pub operator: String,
    /// Why: one clause without a full stop.
    pub reason: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let comma = if self.operator.is_empty() { "" } else { ", " };
        write!(f, "{}{comma}{}: {}", self.place, self.operator, self.reason)
    }
}
