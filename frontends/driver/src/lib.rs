//! Orogen as a library: a model file in, native code out.
//!
//! ```no_run
//! use orogen::{CompileOptions, Model, OptIn};
//!
//! let model = Model::open("model.onnx")?;
//! let options = CompileOptions { opt_in: OptIn::DataflowIr, ..CompileOptions::default() };
//! let artifact = orogen::compile(&model, &options)?;
//! artifact.write_library("model.so".as_ref())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A model takes one of two paths. The legacy path builds a static graph and is the default. The dataflow path is
//! opted in to per model ([`OptIn`]); it holds dynamic shapes and control flow. A model that the legacy path cannot
//! hold is an error that says what it needs: nothing switches path by itself.
//!
//! Modules in reading order: `model`, `options`, [`pipeline`], `compile`, `metadata`, `load`.

mod compile;
mod evaluator;
mod load;
mod metadata;
mod model;
mod options;
pub mod pipeline;

pub use compile::{Artifact, compile, concerns_file};
pub use evaluator::ReferenceEvaluator;
pub use metadata::MetadataView;
pub use model::Model;
pub use options::{CompileOptions, OptIn};
pub use pipeline::{Lowered, lower};

pub use orogen_codegen::link::OutputFile;
pub use orogen_codegen::{Cpu, KernelInfo};
pub use orogen_ir::diag::{Diagnostic, Diagnostics};
pub use orogen_passes::manager::Step;
