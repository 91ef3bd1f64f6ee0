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
//!   scope. What a program assumes is about size parameters.
//! * **L2** A buffer is indexed by as many expressions as it has dimensions.
//! * **L3** Input buffers are never stored to; output buffers are stored to by at least one stage.
//! * **L4** A local buffer is stored before it is loaded, in program order.
//! * **L5** Operand types of an expression agree; the stored value has the buffer's element type. Of a type that is only
//!   moved there are loads, selects, the constant 0, and a cast to bool that says whether a value is not 0; strings are
//!   compared for equality.
//! * **L6** Within one stage no iteration loads what another iteration stores, and no two store to one element.
//! * **L7** Parameters list inputs first, then buffers that are updated, then outputs; every parameter is listed once.
//! * **L8** Axis symbols are unique in the program, and are indices below the extents of their axes.
//! * **L9** A stage has a combination exactly when it has reduction axes, and no expression contains itself.
//! * **L10** Expressions nest at most [`MAX_NESTING`] deep, so that what walks them may recurse.
//! * **L11** Every access stays within its buffer, for all iterations: stores, and loads without a guard. An index from data
//!   is checked before the access, or clamped. What that needs of sizes beyond what the program says of them is one of
//!   the [`Requirements`] that each call must keep (law P17 of [plans](crate::plan)), and so is what it assumes.
//! * **L12** Every element of an output is written, by one stage or by several side by side. What that needs of sizes is
//!   required of calls as well.

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
mod weights;

pub use crate::scalar::{BinaryOp, CompareOp, UnaryOp};
pub use broadcast::{EqualExtents, equal_extents};
pub use builder::{BuildResult, ProgramBuilder};
pub use compose::{Composed, Junction, Origin, compose, join};
pub use copy::compact;
pub use data::{
    Axis, Buffer, BufferId, BufferRole, Combine, Expr, ExprId, Index, Stage, Stmt, TensorProgram,
};
pub use extend::extend;
pub use inline::inline;
pub(crate) use text::write_kernel;
pub use text::{Printed, parse_kernel, parse_program, print_kernel, print_program};
pub use verify::{MAX_NESTING, Requirement, Requirements, verify};
pub use weights::into_products;
