//! Loads and runs compiled models, and knows no IR.
//!
//! A compiled model is a [`Library`]: packed functions with the calling convention of [`orogen_abi`], a signature,
//! and weights that stay mapped in its file.
//! This crate gives it memory, threads and errors through one table, and gives Rust a typed, safe way to call it.
//!
//! Laws:
//!
//! - **R1** Nothing here knows how a model was compiled; only symbols of [`orogen_abi::symbol`] are read.
//! - **R2** No panic crosses the border of a packed call, and no failure crosses it without an error.
//! - **R3** A library, a tensor and a function may be used from several threads at once.
//! - **R4** A size that overflows or cannot be had is an error, never an abort.
//!
//! ```
//! use orogen_runtime::{PackedFunc, RuntimeError, Tensor, Value};
//!
//! let sum = PackedFunc::new("sum", |args| match args {
//!     [Value::Tensor(x)] => Ok(Value::Float(x.as_slice::<f32>()?.iter().map(|&it| f64::from(it)).sum())),
//!     other => Err(RuntimeError::ArgumentCount {
//!         function: "sum".into(), expected: vec!["x".into()], got: other.len(),
//!     }),
//! });
//!
//! let x = Tensor::from_slice(&[3], &[1.0f32, 2.0, 3.5])?;
//! assert!(matches!(sum.call(&[x.into()])?, Value::Float(6.5)));
//! # Ok::<(), RuntimeError>(())
//! ```
//!
//! Reading order: [`Tensor`], [`Value`], [`PackedFunc`], [`HostFunction`], [`Library`]; then `host` (what compiled code
//! calls), `pool` and `workspace`.
#![allow(unsafe_code, reason = "this crate is the border to generated code")]

mod cell;
mod error;
mod function;
mod host;
mod host_function;
mod library;
mod object;
mod pool;
mod tensor;
mod value;
mod workspace;

pub use error::RuntimeError;
pub use function::PackedFunc;
pub use host::host_table;
pub use host_function::{HostCall, HostFunction, extern_function, register_extern, unregister_extern};
pub use library::{Library, RunOptions, orogen_register_symbol};
pub use object::live_objects;
pub use orogen_abi::signature::{Dim, Function, Parameter, Signature};
pub use orogen_abi::{DLDataType, DLDevice};
pub use tensor::{ALIGNMENT, Element, Tensor, TensorView, TensorViewMut, trim_tensors};
pub use value::Value;
pub use workspace::trim_workspace;
