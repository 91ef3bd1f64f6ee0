//! What an importer writes into.

use super::{OnConstants, OpId, OpRegistry};
use crate::diag::Diagnostic;
use crate::shape::{Constraint, ShapeCx};
use crate::types::{Attrs, TensorData, Type};

/// Values, or why the sink cannot hold them.
pub type SinkResult<V> = Result<Vec<V>, Diagnostic>;

/// A builder of either graph IR. An importer written against this trait serves both.
///
/// Every method infers types at once; a sink that cannot hold something (the legacy graph: a dynamic
/// dimension, control flow) says so in its error, with the way out.
pub trait OpSink {
    /// A value of the IR under construction.
    type Value: Copy + std::fmt::Debug;

    /// The operator table.
    fn ops(&self) -> &OpRegistry;

    /// The context of all dimensions in types given to and returned by this sink.
    fn shapes(&mut self) -> &mut ShapeCx;

    /// Names the source construct (for example ``node `conv1` (Conv)``) that later calls belong to.
    fn set_source(&mut self, source: &str);

    /// Adds a model input.
    fn input(&mut self, name: &str, ty: Type) -> Result<Self::Value, Diagnostic>;

    /// Adds a model input that a caller may leave out: it is `default` then, which has the type `ty`. Those come after all
    /// others.
    fn optional_input(
        &mut self,
        name: &str,
        _ty: Type,
        _default: TensorData,
    ) -> Result<Self::Value, Diagnostic> {
        Err(Diagnostic::error("G004", format!("input `{name}` has a default, which this sink cannot hold")))
    }

    /// Adds a constant; `name` is its name in the source, possibly empty.
    fn constant(&mut self, name: &str, data: TensorData) -> Self::Value;

    /// Adds an operation and returns its results.
    fn emit(&mut self, op: OpId, attrs: Attrs, args: &[Self::Value]) -> SinkResult<Self::Value>;

    /// The results of an operation on constants, when this sink would have constants for them. For those who infer without building.
    fn fold(&self, _call: &OnConstants<'_>) -> Option<Vec<TensorData>> {
        None
    }

    /// The type of a value.
    fn type_of(&self, value: Self::Value) -> &Type;

    /// The data of a value that is a constant.
    fn constant_data(&self, value: Self::Value) -> Option<&TensorData>;

    /// Asserts at run time that a value has a more precise type and returns the refined value; symbols of
    /// `ty` that are not bound yet are bound by it, from dimensions and from elements.
    fn match_cast(&mut self, value: Self::Value, ty: Type) -> Result<Self::Value, Diagnostic>;

    /// A vector of sizes with elements that its type knows: as it is, or read at run time and bound to symbols. A sink
    /// that holds no such sizes returns it as it is. [`emit`](Self::emit) does so for operands that the operator
    /// [reads](super::OpDef::reads).
    fn known_sizes(&mut self, value: Self::Value) -> Result<Self::Value, Diagnostic> {
        Ok(value)
    }

    /// Asserts at run time that sizes satisfy a fact, and knows it from then on. `message` says what it means: one
    /// clause without a full stop.
    fn check(&mut self, fact: Constraint, message: &str) -> Result<(), Diagnostic>;

    /// A two-way branch on a boolean scalar. Both branches return as many values.
    fn if_else(
        &mut self,
        cond: Self::Value,
        then_branch: &mut dyn FnMut(&mut Self) -> SinkResult<Self::Value>,
        else_branch: &mut dyn FnMut(&mut Self) -> SinkResult<Self::Value>,
    ) -> SinkResult<Self::Value>;

    /// A loop over carried values: while `cond(carried)` is true, `carried = body(carried)`. Types of carried
    /// values do not change from one iteration to the next.
    fn while_loop(
        &mut self,
        init: &[Self::Value],
        cond: &mut dyn FnMut(&mut Self, &[Self::Value]) -> Result<Self::Value, Diagnostic>,
        body: &mut dyn FnMut(&mut Self, &[Self::Value]) -> SinkResult<Self::Value>,
    ) -> SinkResult<Self::Value>;

    /// Declares a model output.
    fn output(&mut self, name: &str, value: Self::Value) -> Result<(), Diagnostic>;

    /// Declares a model output whose rank the call decides: `rank`, an integer of rank 0, says how many of the
    /// dimensions of `value` it has; those after them are 1.
    fn output_of_rank(
        &mut self,
        name: &str,
        _value: Self::Value,
        _rank: Self::Value,
    ) -> Result<(), Diagnostic> {
        Err(Diagnostic::error("G004", format!("the rank of output `{name}` is known only at run time")))
    }
}
