//! The dataflow-block IR: symbolic shapes, effects, control flow, in A-normal form by construction.
//!
//! Arenas say what exists, [`Block::order`] says where. Operands are [`ValueId`]s, never nested expressions.
//!
//! # Laws
//! * **F1** A value is defined before it is used: earlier in its block, in an earlier block of the same or an
//!   enclosing region, as a parameter of an enclosing region or of the function.
//! * **F2** A value is defined exactly once.
//! * **F3** A value of scope `BlockLocal` is used only in the block that defines it (nested regions included).
//! * **F4** A binding in a dataflow block has no effects but `ABORT`.
//! * **F5** A dataflow block holds no `If` and no `While`.
//! * **F6** The recorded type of a result follows from its right-hand side: it equals the inferred type or is
//!   implied by it.
//! * **F7** A symbol in a type is bound before: by a parameter of the function, or by a `match_cast`, call, `If`
//!   or `While` result earlier in program order. Bound means that it is a whole dimension, element or scalar there.
//! * **F8** Regions contain blocks, blocks contain bindings, and nothing belongs to two of them.
//! * **F9** A `call_kernel` matches the callee: operand count, buffer types and size arguments.
//! * **F10** Names of functions, kernels, externs, parameters and outputs are unique.
//! * **F11** Branches of an `If` and the body of a `While` return values that match the declared results.
//! * **F12** A function declares at least the effects that its body has.

mod builder;
mod data;
mod edit;
mod equal;
mod generate;
mod infer;
mod join;
mod query;
pub mod text;
mod verify;

pub use builder::FlowBuilder;
pub use data::{
    Binding, BindingId, Block, BlockId, BlockKind, Definition, Extern, Function, Module, Output, Parameter,
    Region, RegionId, Rhs, Scope, Value, ValueDef, ValueId,
};
pub use edit::{DataflowEditor, PureRhs};
pub use equal::{difference, same_structure};
pub use generate::random_module;
pub use infer::{InferEnv, Inferred, Signatures, effects_of, infer, region_effects};
pub use join::{Join, JoinElements};
pub use query::User;
