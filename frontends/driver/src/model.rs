//! Model files, whatever their format.

use orogen_ir::diag::{Diagnostic, Diagnostics};
use std::path::Path;

/// A decoded model file.
#[derive(Debug)]
pub struct Model {
    pub(crate) name: String,
    /// The name of the file, for messages.
    pub(crate) file: String,
    pub(crate) onnx: orogen_onnx::Model,
}

impl Model {
    /// Opens a model file. Its weights are mapped, not read.
    ///
    /// # Errors
    /// Files that cannot be read, and files that are no model; the message says what they seem to be.
    pub fn open(path: impl AsRef<Path>) -> Result<Model, Diagnostics> {
        let path = path.as_ref();
        let onnx = orogen_onnx::Model::open(path).map_err(|found| place(found, path))?;
        let name = path.file_stem().map_or_else(|| "model".into(), |it| it.to_string_lossy().into_owned());
        let file = path.file_name().map_or_else(String::new, |it| it.to_string_lossy().into_owned());
        Ok(Model { name, file, onnx })
    }

    /// The name of the file without its suffix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What cannot be imported, complete; empty when all can.
    ///
    /// # Errors
    /// A model that breaks the rules of its format.
    pub fn unsupported(&self) -> Result<Vec<orogen_onnx::Unsupported>, Diagnostics> {
        orogen_onnx::unsupported(&self.onnx, &orogen_onnx::OpTable::standard())
    }
}

fn place(mut found: Diagnostics, path: &Path) -> Diagnostics {
    let at = |it: Diagnostic| it.at(format!("file `{}`", path.display()));
    found.0 = found.0.into_iter().map(at).collect();
    found
}
