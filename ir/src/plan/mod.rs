//! The call plan: which kernel runs when, on which memory. The shared bottom of both pipelines.
//!
//! # Laws
//! * **P1** Every symbol in a size, offset or kernel argument is bound before: by an input dimension, or by a
//!   `Bind` or `Let` step earlier on every path.
//! * **P2** Every buffer is written before it is read, on every path.
//! * **P3** Two slots of one arena whose live ranges overlap do not overlap in memory.
//! * **P4** A slot lies within its arena and is aligned to [`ALIGNMENT`].
//! * **P5** A kernel step matches its kernel: argument count, element types, size arguments.
//! * **P6** Inputs and constants are never written.
//! * **P7** Every output is written on every path.

mod data;
mod text;

pub use data::{
    ALIGNMENT, Arena, ArenaId, BufferRef, CallPlan, KernelId, PlanInput, PlanOutput, ShapeCheck, SizeBinding,
    Slot, SlotId, Step,
};
pub use text::{PrintedPlan, parse_plan, print_plan};
