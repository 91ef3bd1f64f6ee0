//! From tensor programs and call plans to native code.
//!
//! [`compile`] chooses how each kernel of a [`PlanModule`](orogen_ir::plan::PlanModule) is computed and builds its
//! functions. The result goes to an object file ([`Compiled::object`]) for the [`link`]er, or to memory
//! ([`Compiled::jit`]): one lowering serves both.
//!
//! ```
//! use orogen_codegen::{CodegenOptions, Metadata, compile};
//! use orogen_ir::plan::CallPlan;
//!
//! let plan = CallPlan { name: "main".into(), ..CallPlan::default() };
//! let compiled = compile(&plan.into(), &Metadata::default(), &CodegenOptions::default()).unwrap();
//! let object = compiled.object().unwrap();
//! assert!(object.bytes.starts_with(b"\x7fELF") || !cfg!(target_os = "linux"));
//! ```
//!
//! Modules in reading order: `clif` (scalar code, kernels, entry points), [`select`], [`vector`], [`kernels`],
//! `routines` (kernels by hand), `tied` (tables that are weights too), [`object`], [`link`].

mod clif;
pub mod jit_memory;
pub mod kernels;
pub mod link;
pub mod object;
mod options;
mod routines;
pub mod select;
pub mod vector;

mod compile;
mod library;
mod tied;

pub use compile::compile;
pub use library::{Blob, Compiled, KernelCode, KernelInfo, LibraryCode, Metadata, PhaseInfo};
pub use object::{Loaded, ObjectOutput, View};
pub use options::{CodegenOptions, Cpu, OUTSIDE};
