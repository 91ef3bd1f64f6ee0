//! Model files, whatever their format.

use crate::frontend::Frontends;
use orogen_ir::diag::Diagnostics;
use orogen_onnx::OpTable;
use std::any::Any;
use std::fmt;
use std::path::Path;

/// A decoded model file. It says nothing of how it will be compiled.
pub struct Model {
    pub(crate) name: String,
    /// The name of the file, for messages.
    pub(crate) file: String,
    /// Name of the frontend that opened it.
    pub(crate) frontend: &'static str,
    /// What that frontend knows of it.
    pub(crate) content: Box<dyn Any + Send + Sync>,
}

impl Model {
    /// Opens a model file with the frontends that ship. Its weights are mapped, not read.
    /// A compiler with other frontends has [`Compiler::open`](crate::Compiler::open).
    ///
    /// # Errors
    /// Files that cannot be read, and files that are no model; the message says what they seem to be.
    pub fn open(path: impl AsRef<Path>) -> Result<Model, Diagnostics> {
        Frontends::standard(OpTable::new()).open(path.as_ref())
    }

    /// The name of the file without its suffix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name of its format.
    pub fn format(&self) -> &'static str {
        self.frontend
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("name", &self.name).field("format", &self.frontend).finish()
    }
}
