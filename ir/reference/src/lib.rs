//! Slow, obvious evaluation: the oracle that everything else is compared with.
//!
//! Each operator is evaluated straight from its definition, each IR by walking it; nothing here knows of
//! legalisation, fusion, memory planning or code generation. Floating-point work happens in f64 and is rounded
//! to the element type when a result is stored.
//!
//! ```
//! use orogen_ir::ops::OpRegistry;
//! use orogen_ir::types::{Attrs, DType, TensorData};
//! use orogen_reference::eval_named;
//!
//! let x = TensorData::from_slice(DType::F32, &[2, 1], &[1.0f32, 2.0]);
//! let y = TensorData::from_slice(DType::F32, &[2], &[10.0f32, 20.0]);
//! let sum = eval_named("add", &Attrs::none(), &[x, y])?;
//! assert_eq!(sum[0].dims(), [2, 2]);
//! assert_eq!(sum[0].to_f64(), [11.0, 21.0, 12.0, 22.0]);
//! # Ok::<(), orogen_reference::EvalError>(())
//! ```
//!
//! # Laws
//! * **R1** Evaluation never panics, whatever the program and the operands are: what has no value is an
//!   [`EvalError`].
//! * **R2** Reading memory that nothing wrote is an error, not a zero.
//! * **R3** With a limit ([`Host::with_limit`]) evaluation ends: what takes more steps is an error before they are done.
//!
//! Modules in reading order: `error`, `fuel`, `scalar` (arithmetic of one element), `memory`, `program` (loops), `routines`,
//! `kernel` (kernels of every kind), `checks`, `ops` (operators, a file per family), `graph`,
//! `flow` (and in it `structure`, operators on sequences and optionals), `plan`.

mod checks;
mod error;
#[cfg(feature = "dataflow-ir")]
mod flow;
#[cfg(not(feature = "dataflow-ir"))]
#[path = "without_flow.rs"]
mod flow;
mod fuel;
mod graph;
mod kernel;
mod memory;
mod ops;
mod plan;
mod program;
mod routines;
mod scalar;
mod value;

pub use error::{EvalError, EvalErrorKind};
pub use flow::{eval_function, eval_function_with};
pub use graph::{eval_graph, eval_graph_traced};
pub use kernel::{Host, eval_kernel, eval_kernel_values};
pub use ops::{eval_cost, eval_named, eval_op};
pub use plan::{eval_plan, eval_plan_values, eval_plan_with, eval_plans, eval_plans_with};
pub use program::eval_program;
pub use value::Value;
