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
//!   implied by it. A size that inference leaves open is recorded as a symbol of its own, bound by that result.
//! * **F7** A symbol in a type is bound before: by a parameter of the function, or by a `match_cast`, operator, call of a
//!   function, `If` or `While` result earlier in program order. Bound means that it is a whole dimension, element or scalar there.
//! * **F8** Regions contain blocks, blocks contain bindings, and nothing belongs to two of them.
//! * **F9** A call of a kernel matches it: operand count, buffer types and size arguments.
//! * **F10** Names of functions, kernels, parameters and outputs are unique.
//! * **F11** Branches of an `If` return values that match the declared results. The values that a `While` starts with,
//!   those that its body returns, and its results match the types of its parameters, where a symbol that the parameters
//!   bind stands for one size on entry, one in each turn, and one at the end; results do not speak of one that changes.
//! * **F12** A function declares at least the effects that its body has.
//! * **F13** A symbol that the body of a function binds is mentioned in no other function: what is known of it would be
//!   known there.
//! * **F14** The default of a parameter is a constant that has its type, as far as sizes are known; parameters with one
//!   come last.
//!
//! # Use
//! Build with [`FlowBuilder`] (an [`OpSink`](crate::ops::OpSink)), print and parse with [`text`], check with
//! [`Module::verify`], edit with an [`Editor`]: [`Module::edit`].
//!
//! ```
//! use orogen_ir::flow::{FlowBuilder, same_structure, text};
//! use orogen_ir::ops::{OpRegistry, OpSink};
//! use orogen_ir::types::{Attrs, DType, Type};
//!
//! let ops = OpRegistry::standard();
//! let mut builder = FlowBuilder::new(&ops, "sum");
//! let (n, m) = (builder.shapes().sym("n"), builder.shapes().sym("m"));
//! let x = builder.input("x", Type::tensor(DType::F32, [n]))?;
//! let y = builder.input("y", Type::tensor(DType::F32, [m]))?;
//! let sum = builder.emit(ops.get("add"), Attrs::none(), &[x, y])?;
//! builder.output("sum", sum[0])?;
//! let module = builder.finish()?;
//! module.verify(&ops)?;
//!
//! // Whether `n` and `m` broadcast is known only at run time, so the builder wrote a check.
//! let printed = text::print(&module, &ops);
//! assert!(printed.contains("check n ~ m"));
//! let parsed = text::parse(&printed, &ops)?;
//! assert!(same_structure(&module, &parsed));
//! assert_eq!(text::print(&parsed, &ops), printed);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Facts
//! A fact of [`Module::shapes`] holds on every run that ends without an error: it is a promise about the inputs, or a
//! `check` outside of all branches establishes it. What a check inside a branch or a loop establishes ends there: builder
//! and verifier forget it at the end of the region.

mod builder;
mod compact;
mod data;
mod dead;
mod declared;
mod edit;
mod effects;
mod equal;
mod generate;
mod infer;
mod inline;
mod query;
mod signature;
pub mod text;
mod verify;

pub use builder::FlowBuilder;
pub use data::{
    Binding, BindingId, Block, BlockId, BlockKind, Definition, Function, Module, Output, Parameter, Region,
    RegionId, Rhs, Scope, Value, ValueDef, ValueId,
};
pub use edit::Editor;
pub use equal::{difference, same_structure};
pub use generate::random_module;
pub use infer::{InferEnv, Inferred, Signatures, effects_of, infer, region_effects};
pub use query::available;
