//! What a program that compiles models, or adds to the compiler, usually names.
//!
//! ```
//! use orogen::prelude::*;
//! ```

pub use crate::frontend::{FileHead, Frontend, ImportOptions, ImportReport, Recognised, Unsupported};
pub use crate::passes::{
    Accuracy, Changed, Fact, Facts, Instrument, Ir, IrRef, Pass, PassCx, PassDef, PassInfo, Place, Step,
};
pub use crate::rules::{ApplyRules, Legalizer, Lowering, Match, Matcher, OpCall, Rewriter, Rule, RuleClass};
pub use crate::{
    Artifact, Builder, CompileOptions, Compiler, Cpu, Diagnostic, Diagnostics, Entry, HostFunction, Library,
    LowerReport, Lowered, Model, Operator, OptIn, RuntimeError, State, Tensor,
};
pub use orogen_ir::choices::Choices;
pub use orogen_ir::flow::Module;
pub use orogen_ir::graph::Graph;
pub use orogen_ir::loops::{BinaryOp, CompareOp, UnaryOp};
pub use orogen_ir::ops::{
    Arity, AttrDef, AttrKind, InferCx, InferResult, OpDef, OpRegistry, OpSink, ResultCount,
};
pub use orogen_ir::types::{Attrs, DType, Effects, TensorData, TensorType, Type};
pub use orogen_onnx::{Converted, NodeCx};
pub use smallvec::smallvec;
