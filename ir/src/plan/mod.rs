//! The call plan: which kernel runs when, on which memory. The shared bottom of both pipelines.
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
//! * **P1** Every symbol in a size, offset, condition or kernel argument is bound before: by an input dimension, or by a
//!   `Bind` or `Let` step earlier on every path.
//! * **P2** Every buffer is written before it is read, on every path.
//! * **P3** Two slots of one arena whose live ranges overlap do not overlap in memory; a slot is alive from a write to
//!   the last read of what was written. A kernel's output may lie exactly on an input that it reads only at the
//!   element it stores.
//! * **P4** A slot lies within its arena with all bytes of its type and is aligned to [`ALIGNMENT`].
//! * **P5** A kernel step matches its kernel: argument count, size arguments, and each argument has the element type and
//!   the bytes of its parameter. A copy is between buffers of one element type and takes no more bytes than either has.
//! * **P6** Inputs and constants are never written, but for inputs that are state; no two of these share memory with each
//!   other or with another input, which the call checks.
//! * **P7** Every output is written on every path.

mod data;
mod text;
mod verify;

pub use data::{
    ALIGNMENT, Arena, ArenaId, BufferRef, CallPlan, Condition, KernelId, PlanInput, PlanOutput, ShapeCheck,
    SizeBinding, Slot, SlotId, Step, byte_size,
};
pub use text::{PrintedPlan, parse_plan, print_plan};
pub use verify::verify;
