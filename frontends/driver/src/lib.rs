//! Orogen as a library: a model file in, native code out, and every part of the way there open to its user.
//!
//! ```no_run
//! use orogen::prelude::*;
//!
//! let model = Model::open("model.onnx")?;
//! let options = CompileOptions { opt_in: OptIn::DataflowIr, ..CompileOptions::default() };
//! let artifact = orogen::compile(&model, &options)?;
//! artifact.write_library("model.so")?;
//! let outputs = artifact.load()?.run(&[Tensor::from_slice(&[1, 3], &[0.1f32, 0.2, 0.3])?])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A model takes one of two paths. The legacy path builds a static graph and is the default. The dataflow path is
//! opted in to per model ([`OptIn`]); it holds dynamic shapes and control flow. A model that the legacy path cannot
//! hold is an error that says what it needs: nothing switches path by itself.
//!
//! A model may be a module of several functions that call each other, built or as text ([`Model::from_module`], files
//! that end in `.flow`): one library then has several entry points.
//!
//! # Adding to the compiler
//! [`compile`] is the default of a [`Compiler`]. Its [`Builder`] takes operators ([`Operator`]), ONNX converters
//! ([`Builder::converter`]), frontends ([`Frontend`](frontend::Frontend)), rewrite rules that serve both IRs
//! ([`Rule`](rules::Rule)), functions of the host ([`HostFunction`]), passes at any place ([`Place`](passes::Place)), and instruments
//! ([`Instrument`](passes::Instrument)). Everything that these need is in the [`prelude`]; the parts of the compiler are
//! re-exported as modules: [`ir`], [`passes`], [`rules`], [`onnx`], [`runtime`].
//!
//! The same from a shared library: [`plugin`](mod@plugin).
//!
//! # Seeing and finding
//! [`check`]: whether passes keep values; [`constants`]: text that travels; [`dump`]: the text after every pass; [`compare`]: how values differ; [`find`]: the
//! first pass that changes them, and a small program that shows it.
//!
//! # Without the dataflow path
//! It is behind the feature `dataflow-ir`, which is on by default. A build without it refuses models that opt in (`D040`),
//! and everything else is the same, byte for byte.
//!
//! Modules in reading order: `model`, `options`, [`frontend`], `compiler`, `lower`, `opt`, `artifact`, `metadata`, `load`,
//! [`tensors`], [`shadow`], [`plugin`](mod@plugin).

mod artifact;
pub mod check;
pub mod compare;
mod compiler;
pub mod constants;
#[cfg(feature = "dataflow-ir")]
#[path = "with_flow.rs"]
mod dataflow;
#[cfg(not(feature = "dataflow-ir"))]
#[path = "without_flow.rs"]
mod dataflow;
pub mod dump;
mod evaluator;
mod files;
pub mod find;
pub mod frontend;
mod load;
mod lower;
mod metadata;
mod model;
mod opt;
mod options;
pub mod plugin;
pub mod prelude;
pub mod shadow;
mod targets;
pub mod tensors;

pub use artifact::{Artifact, KernelView, compile_standard as compile};
pub use compiler::{Builder, Compiler, Operator};
pub use dataflow::entry_default;
pub use evaluator::ReferenceEvaluator;
pub use files::concerns_file;
pub use lower::{LowerReport, Lowered, Part};
pub use metadata::MetadataView;
pub use model::Model;
pub use options::{Accuracy, CompileOptions, Entry, OptIn, State};

pub use orogen_codegen::link::OutputFile;
pub use orogen_codegen::{CodegenOptions, Cpu, KernelCode, KernelInfo, LibraryCode, PhaseInfo};
pub use orogen_ir as ir;
pub use orogen_ir::diag::{Diagnostic, Diagnostics};
pub use orogen_ir::ops::Limits;
pub use orogen_onnx as onnx;
pub use orogen_passes::manager::Step;
pub use orogen_reference as reference;
pub use orogen_runtime as runtime;
pub use orogen_runtime::{HostCall, HostFunction, Library, RuntimeError, Tensor};

/// Passes, pipelines and instruments.
pub mod passes {
    pub use orogen_passes::manager::*;
    pub use orogen_passes::registry::{
        Make, NAMED, NamedPipeline, OptionDef, OptionKind, Parts, PassClass, PassDef, PassRow, STANDARD,
        Settings, TURNS, When,
    };
    pub use orogen_passes::{bridge, flow, graph};
}

/// What is known per operator and per kernel: rewrite rules and lowering.
pub mod rules {
    #[cfg(feature = "dataflow-ir")]
    pub use crate::dataflow::proofs::*;
    pub use orogen_passes::rewrite::{
        AnyRule, Bound, Match, Matcher, OpCall, Rewrite, Rewriter, Rule, RuleClass, RuleFn, RuleSet, Value,
        parse, parse_explored, print,
    };
    pub use orogen_passes::rules::apply::ApplyRules;
    pub use orogen_passes::rules::legalize::{LegalizeFn, LegalizeTable, Legalizer, Lowering};
    pub use orogen_passes::rules::precision::{Precision, PrecisionPolicy};
}
