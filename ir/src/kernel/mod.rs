//! Kernels: what computes on buffers, whoever wrote it.
//!
//! A kernel is a [tensor program](crate::loops::TensorProgram), from which code is generated; a [`Routine`], a leaf of code generation
//! that is written by hand and found by name; or an [`Extern`], a function of the host that is found by name when the
//! model runs. All three are called the same way, in destination-passing style: the caller gives a buffer for each
//! parameter, and a value for each size; objects (sequences, optionals, texts) go in and come out by reference. What a caller needs to know is the same for all: parameters with their
//! [`Access`], sizes, effects. Attributes belong to the kernel, not to the call: they decide what is compiled.
//!
//! In the graph IRs calls are pure in their buffers: an operand for each parameter that is read, a result for each that
//! is written, and an `inout` parameter has both. That operand and result are one buffer is a matter of the call plan.
//!
//! ```
//! use orogen_ir::kernel::{Access, parse_kernel_text, print_kernel_text};
//!
//! let text = "\
//! extern @rows = \"acme.rows\" with {axis = 1} !io {
//!   size n
//!   in %x: f32[n, 4]
//!   inout %seen: i64[1]
//!   out %y: f32[n]
//! }
//! ";
//! let kernel = parse_kernel_text(text)?;
//! let access: Vec<Access> = kernel.params().map(|it| it.access).collect();
//! assert_eq!(access, [Access::In, Access::InOut, Access::Out]);
//! assert_eq!(print_kernel_text(&kernel), text);
//! # Ok::<(), orogen_ir::diag::Diagnostics>(())
//! ```
//!
//! # Laws
//! Those of a tensor program are [its own](crate::loops). Of routines and externs:
//! * **K1** Every symbol in the dimensions of a parameter is a size.
//! * **K2** Parameters that are only written come after all others; names of parameters are unique.
//! * **K3** At least one parameter is written, or the kernel has effects.
//! * **K4** Attributes of an extern are integers, floats, truth values or texts: what a packed call can pass.
//! * **K5** Externs alone take and make objects, which are read or made, never changed; no size in their types is a symbol.

mod data;
mod text;
mod verify;

pub use data::{Access, Extern, Kernel, Param, ParamRef, ParamType, ParamTypeRef, Routine, Signature};
pub(crate) use text::write_kernel;
pub use text::{kernel_text, parse_kernel, parse_kernel_text, print_kernel_text, starts_kernel};
pub use verify::verify;
