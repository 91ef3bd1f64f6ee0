//! How compilation grows with the size of a model.
//!
//! [`Form`] makes models of any number of nodes in the shapes that programs have: long chains, wide fans, trees, nests.
//! The test compiles each at two sizes and compares what was allocated, which is the same in every run; the tool
//! (`cargo xtask growth`) prints processor time and peak memory.

mod forms;
mod nodes;

pub use forms::Form;

use anyhow::Result;
use orogen::{CompileOptions, Compiler, Model, OptIn, Step};

/// A path through the compiler, with its name.
pub const PATHS: [(&str, OptIn); 2] = [("legacy", OptIn::Legacy), ("dataflow", OptIn::DataflowIr)];

/// The model of a form with about `nodes` nodes.
///
/// # Errors
/// None but a defect of the generator.
pub fn model(form: Form, nodes: usize) -> Result<Model> {
    Ok(Compiler::standard().decode("model.onnx", form.proto(nodes).to_bytes())?)
}

fn options(path: OptIn) -> CompileOptions {
    CompileOptions { opt_in: path, threads: 1, ..CompileOptions::default() }
}

/// Lowers a model to a call plan, which is verified.
///
/// # Errors
/// What the compiler says.
pub fn plan(model: &Model, path: OptIn) -> Result<()> {
    Compiler::standard().lower(model, &options(path), Step::PlanMemory)?;
    Ok(())
}

/// Compiles a model to a library file, which does not stay.
///
/// # Errors
/// What the compiler says.
pub fn compile(model: &Model, path: OptIn) -> Result<()> {
    let artifact = orogen::compile(model, &options(path))?;
    let folder = tempfile::tempdir()?;
    artifact.write_library(folder.path().join("model.so"))?;
    Ok(())
}
