//! A sink that writes down what goes through it.

use crate::sink::{BranchFn, LoopFn, Sink, Value};
use indexmap::IndexSet;
use orogen_ir::diag::Diagnostic;
use orogen_ir::ops::{OnConstants, OpId, OpRegistry};
use orogen_ir::shape::{Constraint, ShapeCx};
use orogen_ir::types::{Attrs, TensorData, Type};

/// One operation.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Its operator; nothing for control flow, which may read any value.
    pub(super) op: Option<&'static str>,
    pub(super) attrs: Attrs,
    pub(super) args: Vec<Value>,
    pub(super) results: Vec<Value>,
    /// The node of the model that it is part of, as in `node `a` (Conv)`.
    pub(super) source: String,
}

impl Step {
    /// Whether it may read one of these.
    pub(super) fn reads_any(&self, values: &IndexSet<Value>) -> bool {
        self.op.is_none() || self.args.iter().any(|it| values.contains(it))
    }
}

/// The operator of a step that gives its operand as it is.
pub(super) const SAME: &str = "match_cast";

/// A sink seen through a list of what was emitted.
pub(crate) struct Tape<'a> {
    sink: &'a mut dyn Sink,
    steps: Vec<Step>,
    source: String,
}

impl<'a> Tape<'a> {
    pub(crate) fn over(sink: &'a mut dyn Sink) -> Self {
        Tape { sink, steps: Vec::new(), source: String::new() }
    }

    /// What was emitted, in order.
    pub(crate) fn into_steps(self) -> Vec<Step> {
        self.steps
    }

    fn push(&mut self, op: Option<&'static str>, attrs: Attrs, args: &[Value], results: &[Value]) {
        let source = self.source.clone();
        self.steps.push(Step { op, attrs, args: args.to_vec(), results: results.to_vec(), source });
    }

    fn control_flow(&mut self, results: &[Value]) {
        self.push(None, Attrs::none(), &[], results);
    }

    fn same(&mut self, from: Value, to: Value) {
        if from != to {
            self.push(Some(SAME), Attrs::none(), &[from], &[to]);
        }
    }
}

impl Sink for Tape<'_> {
    fn next_value(&self) -> u32 {
        self.sink.next_value()
    }

    fn ops(&self) -> &OpRegistry {
        self.sink.ops()
    }

    fn shapes(&mut self) -> &mut ShapeCx {
        self.sink.shapes()
    }

    fn set_source(&mut self, source: &str) {
        source.clone_into(&mut self.source);
        self.sink.set_source(source);
    }

    fn input(&mut self, name: &str, ty: Type) -> Result<Value, Diagnostic> {
        self.sink.input(name, ty)
    }

    fn optional_input(&mut self, name: &str, ty: Type, default: TensorData) -> Result<Value, Diagnostic> {
        self.sink.optional_input(name, ty, default)
    }

    fn constant(&mut self, name: &str, data: TensorData) -> Value {
        self.sink.constant(name, data)
    }

    fn emit(&mut self, op: OpId, attrs: Attrs, args: &[Value]) -> Result<Vec<Value>, Diagnostic> {
        let results = self.sink.emit(op, attrs.clone(), args)?;
        let name = self.sink.ops().def(op).name;
        self.push(Some(name), attrs, args, &results);
        Ok(results)
    }

    fn fold(&self, call: &OnConstants<'_>) -> Option<Vec<TensorData>> {
        self.sink.fold(call)
    }

    fn type_of(&self, value: Value) -> &Type {
        self.sink.type_of(value)
    }

    fn constant_data(&self, value: Value) -> Option<&TensorData> {
        self.sink.constant_data(value)
    }

    fn needed_data(&self, value: Value) -> Option<&TensorData> {
        self.sink.needed_data(value)
    }

    fn match_cast(&mut self, value: Value, ty: Type) -> Result<Value, Diagnostic> {
        let cast = self.sink.match_cast(value, ty)?;
        self.same(value, cast);
        Ok(cast)
    }

    fn known_sizes(&mut self, value: Value) -> Result<Value, Diagnostic> {
        let known = self.sink.known_sizes(value)?;
        self.same(value, known);
        Ok(known)
    }

    fn check(&mut self, fact: Constraint, message: &str) -> Result<(), Diagnostic> {
        self.sink.check(fact, message)
    }

    fn if_else(&mut self, cond: Value, branch: &mut BranchFn<'_>) -> Result<Vec<Value>, Diagnostic> {
        let results = self.sink.if_else(cond, branch)?;
        self.control_flow(&results);
        Ok(results)
    }

    fn while_loop(&mut self, init: &[Value], part: &mut LoopFn<'_>) -> Result<Vec<Value>, Diagnostic> {
        let results = self.sink.while_loop(init, part)?;
        self.control_flow(&results);
        Ok(results)
    }

    fn output(&mut self, name: &str, value: Value, rank: Option<Value>) -> Result<(), Diagnostic> {
        self.sink.output(name, value, rank)
    }
}
