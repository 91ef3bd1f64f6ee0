//! The operator registry: what is known of every operator, independent of any IR.
//!
//! An [`OpDef`] is semantic: arity, attributes, effects and shape inference. Other layers attach knowledge by
//! tables keyed by [`OpId`] (legalisation, folding, reference evaluation, fusion kind, gradient).
//! There is no global registry: [`OpRegistry::standard`] builds one from the family files.
//!
//! # Conventions
//! * Operands that are optional come last and may only be left out from the end.
//! * Shape-like operands (`reshape`, `expand`, `slice`, …) are integer tensors; inference reads their symbolic
//!   elements from the operand's type. Elements that are not known make the result shape `Rank` or `Unknown`. An
//!   operator says which operands these are ([`OpDef::reads`]), so that a builder can bind their elements to symbols.
//! * Attributes hold only plain numbers; what may be symbolic is an operand.
//! * Axes in attributes are normalised: `0 <= axis < rank`.
//!
#![doc = include_str!("operators.md")]

mod attention;
mod budget;
mod defaults;
mod elementwise;
mod evaluate;
mod index;
mod infer;
mod join;
mod linalg;
mod nn;
mod quantized;
mod reduce;
mod registry;
mod rnn;
mod selection;
mod sequence;
mod shape_ops;
mod sink;
mod slicing;
mod support;
mod trees;

pub use attention::ATTENTION_PERMS;
pub use budget::{Budget, Cost, Limits};
pub use defaults::{Defaulted, InputDefaults};
pub use evaluate::{Evaluator, Folding, OnConstants, Outline};
pub use index::SCATTER_REDUCTIONS;
pub use infer::{InferCx, InferResult, Requirement};
pub use join::{Join, JoinElements, SettledLoops};
pub use nn::{RESIZE_COORDINATES, RESIZE_MODES, RESIZE_NEAREST, Window};
pub use registry::{
    Arity, AttrDef, AttrKind, EvaluateFn, InferFn, OpDef, OpId, OpRegistry, Read, ResultCount,
};
pub use rnn::{
    Activation, DIRECTIONS, GRU_ACTIVATIONS, LSTM_ACTIVATIONS, RNN_ACTIVATIONS, ScaledActivation, activations,
};
pub(crate) use sequence::emit_decided;
pub use sequence::{Decided, StructureOp, empty_attrs};
pub use shape_ops::PAD_MODES;
pub use sink::{OpSink, SinkResult};
pub use slicing::{SliceRange, range_length, slice_range};
pub use trees::TREE_AGGREGATES;

impl OpRegistry {
    /// All operators that Orogen itself knows.
    pub fn standard() -> Self {
        let mut ops = OpRegistry::new();
        elementwise::register(&mut ops);
        reduce::register(&mut ops);
        linalg::register(&mut ops);
        attention::register(&mut ops);
        nn::register(&mut ops);
        quantized::register(&mut ops);
        rnn::register(&mut ops);
        shape_ops::register(&mut ops);
        index::register(&mut ops);
        selection::register(&mut ops);
        trees::register(&mut ops);
        sequence::register(&mut ops);
        ops
    }
}
