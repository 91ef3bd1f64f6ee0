//! The binary interface between generated code and whoever loads it.
//!
//! Everything here is plain data with C layout.
//! The packed calling convention, the object header and the tensor layout are those of the tvm-ffi C ABI,
//! so a library that Orogen emits loads in any host of that ABI.
//! The layouts are declared here rather than imported: this crate depends on nothing and needs no `std`.
//!
//! Laws:
//!
//! - **A1** A function has the type [`SafeCall`]: it returns 0, or −1 *after* an error was set.
//!   A −1 without an error makes foreign hosts crash.
//! - **A2** The caller sets `result` to [`Any::NONE`] before the call; on success `result` owns one reference.
//! - **A3** Arguments are borrowed for the length of the call; the callee keeps one by taking a reference.
//! - **A4** An object is released through the deleter in its own header, whoever made it.
//! - **A5** An [`AllocHeader`] lies immediately before every object.
//! - **A6** Generated code works without a host: [`symbol::HOST`] may stay null.
//!   It then allocates with `malloc`, runs serially, and sets errors through the weak symbol
//!   [`symbol::TVM_FFI_SET_ERROR`] where the process has one.
//!
//! ```
//! use orogen_abi::{Any, TypeIndex};
//!
//! let args = [Any::int(7), Any::float(0.5)];
//! assert_eq!(args[0].as_int(), Some(7));
//! assert_eq!(args[1].as_int(), None);
//! assert_eq!(args[1].type_index, TypeIndex::FLOAT);
//! ```
//!
//! Reading order: [`any`], [`dlpack`], [`object`], [`container`], [`host`], [`symbol`], [`signature`].
#![no_std]
#![allow(unsafe_code, reason = "C layouts: unions and function pointers that cross the language boundary")]

extern crate alloc;

pub mod any;
pub mod container;
pub mod dlpack;
pub mod host;
pub mod object;
pub mod signature;
pub mod symbol;

pub use any::{Any, Payload, SafeCall, TypeIndex};
pub use container::{ArrayObject, FunctionObject};
pub use dlpack::{DLDataType, DLDevice, DLManagedTensor, DLManagedTensorVersioned, DLPackVersion, DLTensor};
pub use host::{ExternSlot, HOST_STRINGS, HOST_VERSION, HostTable, LoopBody};
pub use object::{AllocHeader, ByteArray, ErrorObject, Object, ShapeObject, StrObject, TensorObject};
