//! The operator registry: what is known of every operator, independent of any IR.
//!
//! An [`OpDef`] is semantic: arity, attributes, effects and shape inference. Other layers attach knowledge by
//! tables keyed by [`OpId`] (legalisation, folding, reference evaluation, fusion kind, gradient).
//! There is no global registry: [`OpRegistry::standard`] builds one from the family files.
//!
//! # Conventions
//! * Operands that are optional come last and may only be left out from the end.
//! * Shape-like operands (`reshape`, `expand`, `slice`, …) are integer tensors; inference reads their symbolic
//!   elements from the operand's type. Elements that are not known make the result shape `Rank` or `Unknown`.
//! * Attributes hold only plain numbers; what may be symbolic is an operand.
//! * Axes in attributes are normalised: `0 <= axis < rank`.

mod infer;
mod registry;
mod sink;

pub use infer::{InferCx, InferResult, Requirement};
pub use registry::{Arity, AttrDef, AttrKind, InferFn, OpDef, OpId, OpRegistry, ResultCount};
pub use sink::{OpSink, SinkResult};
