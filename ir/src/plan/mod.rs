//! The call plan: which kernel runs when, on which memory. The shared bottom of both pipelines.
//!
//! A [`CallPlan`] is one function, a [`PlanModule`] several that call each other and share constants and kernels.
//!
//! ```
//! use orogen_ir::plan::{parse_plan, print_plan, verify};
//! use orogen_ir::types::ConstPool;
//!
//! let text = "\
//! plan @main {
//!   size n
//!   in x: f32[n]
//!   out y: f32[n]
//!   from n = %in0[0]
//!   kernel @exp {
//!     size n
//!     in %x: f32[n]
//!     out %y: f32[n]
//!     for i < n { %y[i] = exp(%x[i]) }
//!   }
//!   steps {
//!     alloc %out0
//!     call 0 @exp(%in0, %out0) [n]
//!   }
//! }
//! ";
//! let plan = parse_plan(text, &ConstPool::default())?;
//! verify(&plan)?;
//! assert_eq!(print_plan(&plan).text, text);
//!
//! // Reading memory that nothing wrote is found, and drawn under its line.
//! let broken = text.replace("(%in0, %out0)", "(%out0, %out0)");
//! let found = verify(&parse_plan(&broken, &ConstPool::default())?).unwrap_err();
//! assert!(found.to_string().contains("P2: %out0 is read before it is written"));
//! # Ok::<(), orogen_ir::diag::Diagnostics>(())
//! ```
//!
//! # Laws
//! Where a law depends on sizes, it holds for all that may occur; [`verify`] says what of that is proven, and
//! [`prove_module`] makes a check of the plan of what is not.
//!
//! * **P1** Every symbol in a size, offset, condition or kernel argument is bound before: by an input dimension, or by a
//!   `Bind` or `Let` step earlier on every path. A symbol that is a size is never negative: a `Let` gives it no such
//!   value, and a check stands right behind a `Bind`.
//! * **P2** Every buffer is written before it is read, on every path.
//! * **P3** Two slots of one arena whose live ranges overlap do not overlap in memory; a slot is alive from a write to
//!   the last read of what was written. A kernel's output may lie exactly on an input that it reads only at the
//!   element it stores. A move is between buffers that lie at one place and have as many bytes.
//! * **P4** A slot lies within its arena with all bytes of its type and is aligned to [`ALIGNMENT`]. The symbols in the size
//!   of an arena and of its slots mean the same from its allocation to the last use.
//! * **P5** A kernel step matches its kernel: argument count, size arguments, and each argument has the element type and
//!   the bytes of its parameter. A copy is between buffers of one element type and takes no more bytes than the one has,
//!   and as many as the other. An element that is read as a size or a condition is there.
//! * **P6** Inputs and constants are never written.
//! * **P7** Every output is written on every path.
//! * **P8** An `invoke` matches the function: an argument for each input with its element type, its rank, and the bytes of
//!   the place it lies in; an object place of its own for each output, with element type and rank. It binds whole
//!   dimensions of results. A function with state is called from outside only.
//! * **P12** State is renewed after all its reads: an output over an input has the type of that, which has no other, and
//!   from when it is written, or moved there, the input is read no more. No other input shares memory with state, which
//!   the call checks.
//! * **P14** An input with a default is no state, and no input without one comes after it. The default is a constant of
//!   its element type, and of sizes that its dimensions may have.
//! * **P16** A step on objects gets and gives what it is about: an element or length is that of a sequence, the first and
//!   second element the keys and values of a map, a value that of an optional. What is put into a place is checked against the type of that where the types do not say that it fits.
//!   Symbols that it binds are whole dimensions of the place.
//! * **P17** The sizes of a kernel step keep what the kernel [requires](crate::loops::Requirement) of them (law L11 of
//!   [programs](crate::loops)).
//!
//! # Laws of modules
//! * **P9** Names of functions are unique. That of a function which others may call begins with no underscore and holds
//!   no NUL: it names a symbol.
//! * **P10** No function leads back to itself, and no chain of calls is longer than [`MAX_CALLS`].
//! * **P11** All functions have the same constants and kernels: `#2` and kernel 3 mean one thing in all of them.
//! * **P15** A function that takes the place of another one at its defaults is private; its inputs are those of the other
//!   one without a default, its outputs are those of the other one: in order, name, element type and rank.

mod data;
mod join;
mod module;
mod object;
mod text;
mod verify;

pub use data::{
    ALIGNMENT, Arena, ArenaId, Arg, BufferRef, CallPlan, Condition, FunctionId, InputKind, KernelId,
    OutputKind, PlanInput, PlanOutput, ResultBinding, ShapeCheck, SizeBinding, Slot, SlotId, Step,
    TensorInput, TensorOutput, View, byte_size,
};
pub use module::{CallOrder, MAX_CALLS, PlanModule, call_order, for_each_kernel};
pub use object::{AxisBinding, Object, ObjectId, ObjectOp};
pub use text::{PrintedPlan, parse_plan, parse_plans, print_plan, print_plans};
pub use verify::{Count, Proof, prove_module, verify, verify_module};
