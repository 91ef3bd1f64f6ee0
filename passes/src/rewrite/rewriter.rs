//! What rules see of a program, and rules that are code.

use super::class::RuleClass;
use orogen_ir::ops::{OpId, OpRegistry};
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{Attrs, TensorData, Type};
use std::fmt;
use std::sync::Arc;

/// A value of the program. It means something during the application of a rule that it was given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Value(u64);

impl Value {
    pub(crate) const fn from_bits(bits: u64) -> Value {
        Value(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }
}

/// An operation of one result.
#[derive(Clone, Debug, PartialEq)]
pub struct OpCall {
    /// Its operator.
    pub op: OpId,
    /// Attributes.
    pub attrs: Attrs,
    /// Operands.
    pub args: Vec<Value>,
    /// The result.
    pub result: Value,
}

/// The program around the operation that a rule looks at.
pub trait Rewriter {
    /// Operator table.
    fn ops(&self) -> &OpRegistry;

    /// The operation that defines a value, when it is one of one result.
    fn definition(&self, value: Value) -> Option<OpCall>;

    /// Whether the operation that defines a value stands in the block of the one that is rewritten: in a branch or a loop
    /// it is not made again what was made before it.
    fn is_local(&self, value: Value) -> bool;

    /// The data of a value that is a constant.
    fn constant(&self, value: Value) -> Option<TensorData>;

    /// Whether a value follows from constants alone, where that is known without looking at what defines it.
    fn is_made(&self, _value: Value) -> Option<bool> {
        None
    }

    /// An operation that reads a value and stands behind the roots of the match before it, as the further root of this
    /// number; `None` where one operation is replaced at a time.
    fn reader(&self, _value: Value, _number: usize) -> Option<OpCall> {
        None
    }

    /// The type of a value; its dimensions are of [`shapes`](Self::shapes).
    fn ty(&mut self, value: Value) -> Type;

    /// The context of dimensions.
    fn shapes(&self) -> &ShapeCx;

    /// The same, to make dimensions.
    fn shapes_mut(&mut self) -> &mut ShapeCx;

    /// How often a value is used.
    fn uses(&self, value: Value) -> usize;

    /// Adds an operation of one result before the one that is rewritten; `None` when there is no such operator, or when
    /// its types cannot be inferred without a check at run time that the program did not have.
    fn emit(&mut self, op: &str, attrs: Attrs, args: &[Value]) -> Option<Value>;

    /// Adds a constant before the operation that is rewritten.
    fn emit_constant(&mut self, data: TensorData) -> Value;
}

impl dyn Rewriter + '_ {
    /// The operation that defines a value, when it is one of this operator.
    pub fn definition_by(&self, value: Value, op: &str) -> Option<OpCall> {
        self.definition(value).filter(|it| self.ops().def(it.op).name == op)
    }
}

/// The value that replaces the result of an operation, when the rule applies.
pub type RuleFn = fn(&mut dyn Rewriter, &OpCall) -> Option<Value>;

/// Whether rules of a set are tried on an operation: what a pass was told by its options.
#[derive(Clone)]
pub struct Guard(Arc<GuardFn>);

type GuardFn = dyn Fn(&mut dyn Rewriter, &OpCall) -> bool + Send + Sync;

impl Guard {
    /// From a function.
    pub fn new(holds: impl Fn(&mut dyn Rewriter, &OpCall) -> bool + Send + Sync + 'static) -> Guard {
        Guard(Arc::new(holds))
    }

    pub(crate) fn holds(&self, rewriter: &mut dyn Rewriter, call: &OpCall) -> bool {
        (self.0)(rewriter, call)
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard(..)")
    }
}

/// A rewrite rule that is code: for what the rule language does not say.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name, in errors.
    pub name: &'static str,
    /// Name of the operator whose operations it is tried on.
    pub root: &'static str,
    /// How exact it is.
    pub class: RuleClass,
    /// Why it is code, and so not proven by a machine.
    pub reason: &'static str,
    /// Looks at one operation. What it emitted before it found that it does not apply is dead and goes away.
    pub apply: RuleFn,
}
