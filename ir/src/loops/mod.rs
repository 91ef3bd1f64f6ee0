//! Tensor programs: kernels as loop nests over buffers with symbolic extents.
//!
//! The unit is a [`Stage`]: for every point of its axes, compute one expression (or reduce it over further axes)
//! and store it. A stage keeps a reduction's identity and update together, so fusion, vectorisation and pattern
//! matching see it whole. Stages run in order; [`Stmt::For`] repeats statements sequentially (recurrences).
//!
//! Index expressions are [`Dim`](crate::shape::Dim)s over the axes' symbols: one arithmetic in the whole compiler. A tensor program
//! owns its [`ShapeCx`](crate::shape::ShapeCx), so programs compile in parallel; callers pass the values of
//! [`TensorProgram::sizes`].
//!
//! ```
//! use orogen_ir::loops::{parse_program, print_program, verify};
//!
//! let text = "\
//! kernel @matmul {
//!   size n
//!   in %a: f32[n, 128]
//!   in %b: f32[128, 64]
//!   out %c: f32[n, 64]
//!   for i < n, j < 64 { %c[i, j] = sum k < 128 { %a[i, k] * %b[k, j] } }
//! }
//! ";
//! let program = parse_program(text)?;
//! verify(&program)?;
//! assert_eq!(program.stages()[0].reduce.len(), 1);
//! assert_eq!(print_program(&program).text, text);
//! # Ok::<(), orogen_ir::diag::Diagnostics>(())
//! ```
//!
//! # Laws
//! * **L1** Every symbol in an index, extent or buffer shape is a size parameter, a loop variable or an axis in
//!   scope.
//! * **L2** A buffer is indexed by as many expressions as it has dimensions.
//! * **L3** Input buffers are never stored to; output buffers are stored to by at least one stage.
//! * **L4** A local buffer is stored before it is loaded, in program order.
//! * **L5** Operand types of an expression agree; the stored value has the buffer's element type.
//! * **L6** Within one stage no iteration loads what another iteration stores, and no two store to one element.
//! * **L7** Parameters list inputs first, then buffers that are updated, then outputs; every parameter is listed once.
//! * **L8** Axis symbols are unique in the program.
//! * **L9** A stage has a combination exactly when it has reduction axes, and no expression contains itself.
//! * **L10** Expressions nest at most [`MAX_NESTING`] deep, so that what walks them may recurse.

pub mod analysis;
mod broadcast;
mod builder;
mod compose;
mod copy;
mod data;
mod expr;
mod extend;
mod inline;
mod names;
mod text;
mod verify;

pub use broadcast::equal_extents;
pub use builder::{BuildResult, ProgramBuilder};
pub use compose::{Composed, Junction, Origin, compose};
pub use copy::compact;
pub use data::{
    Axis, BinaryOp, Buffer, BufferId, BufferRole, Combine, CompareOp, Expr, ExprId, Index, Stage, Stmt,
    TensorProgram, UnaryOp,
};
pub use extend::extend;
pub use inline::inline;
pub(crate) use text::write_kernel;
pub use text::{Printed, parse_kernel, parse_program, print_kernel, print_program};
pub use verify::{MAX_NESTING, verify};
