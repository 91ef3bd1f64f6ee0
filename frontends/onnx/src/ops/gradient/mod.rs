//! Reverse-mode differentiation of what a graph computes.
//!
//! `Gradient` names values of its graph. What lies between them is built again from the node's operands through a
//! [`Tape`], which writes down each operation of the IR, and is then walked from its end: each operation hands the
//! derivative of its results on to its operands by a rule ([`rules`]). Rules are of operators of the IR, so every ONNX
//! operator that decomposes into ones with rules has a derivative. Values that both are built from are computed once,
//! because equal operations are merged later.
//!
//! Laws:
//! - T1: a derivative has the type of the value it is of; what a value adds to by broadcasting is summed.
//! - T2: values that are no floats have none, and none is passed through them.
//! - T3: what has no rule is an error when a derivative arrives there, never a silent zero.

mod rules;
mod tape;

use crate::node::{NodeCx, not_supported};
use crate::sink::Value;
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostic;
pub(crate) use rules::without_rule;
use rules::{Arrived, rule};
use tape::Step;
pub(crate) use tape::Tape;

/// Derivatives of the sum of `y` with respect to `xs`, where `tape` holds what computed `y` from them.
pub(crate) fn derivatives(
    cx: &mut NodeCx<'_, '_>,
    tape: &[Step],
    y: Value,
    xs: &[Value],
) -> Result<Vec<Value>, Diagnostic> {
    let mut dependent: IndexSet<Value> = xs.iter().copied().collect();
    for step in tape {
        if step.reads_any(&dependent) {
            dependent.extend(step.results.iter().copied());
        }
    }
    let mut found: IndexMap<Value, Value> = IndexMap::new();
    if dependent.contains(&y) {
        let one = cx.number_like(y, 1.0)?;
        let shape = cx.shape_of(y)?;
        let seed = cx.full(shape, one)?;
        found.insert(y, seed);
    }
    for step in tape.iter().rev().filter(|it| it.reads_any(&dependent)) {
        let arrived: Vec<Option<Value>> = step.results.iter().map(|it| found.get(it).copied()).collect();
        if arrived.iter().all(Option::is_none) {
            continue;
        }
        let known = step.op.and_then(rule);
        let Some(rule) = known else {
            let (what, why) = match step.op {
                Some(op) => (format!("`{op}`"), without_rule(op).unwrap_or_default()),
                None => ("control flow".to_string(), "what it may read is not written down"),
            };
            return Err(not_supported(format!("the derivative of {what} is not known: {why}"))
                .note(format!("it is part of {}", step.source))
                .help("compute this derivative outside of the model, or write the part with operators that have one"));
        };
        let passed = rule(cx, &Arrived { step, at: &arrived })
            .map_err(|error| error.note(format!("this is the derivative of {}", step.source)))?;
        for (operand, passed) in step.args.iter().zip(passed) {
            let Some(passed) = passed.filter(|_| dependent.contains(operand)) else { continue };
            if !cx.dtype(*operand)?.is_float() {
                continue;
            }
            let passed = cx.summed_to(passed, *operand)?;
            let sum = match found.get(operand) {
                Some(before) => cx.binary("add", *before, passed)?,
                None => passed,
            };
            found.insert(*operand, sum);
        }
    }
    xs.iter()
        .map(|x| match found.get(x) {
            Some(it) => Ok(*it),
            None => cx.zeros_like(*x),
        })
        .collect()
}

impl NodeCx<'_, '_> {
    /// A value that is known to have the dimensions of another, with the type that says so.
    fn typed_as(&mut self, value: Value, like: Value) -> Result<Value, Diagnostic> {
        let (own, other) = (self.sink.type_of(value).clone(), self.sink.type_of(like).clone());
        if own == other { Ok(value) } else { self.sink.match_cast(value, other) }
    }

    /// Zeros of the type of a value.
    fn zeros_like(&mut self, value: Value) -> Result<Value, Diagnostic> {
        let zero = self.number_like(value, 0.0)?;
        let shape = self.shape_of(value)?;
        self.full(shape, zero)
    }

    /// The derivative of an operand from the one of what it was broadcast to.
    fn summed_to(&mut self, derivative: Value, operand: Value) -> Result<Value, Diagnostic> {
        let (Some(from), Some(to)) = (self.dims(derivative), self.dims(operand)) else {
            return Err(not_supported("the derivative of a value of unknown rank is not known"));
        };
        let added = from.len().saturating_sub(to.len());
        let mut axes: Vec<i64> = (0..added as i64).collect();
        for (axis, dim) in to.iter().enumerate() {
            let wide = from[added + axis];
            let one = self.sink.shapes().as_int(*dim) == Some(1);
            if one && self.sink.shapes().as_int(wide) != Some(1) {
                axes.push((added + axis) as i64);
            } else if !one && *dim != wide && !self.sink.shapes().prove_eq(*dim, wide).is_always() {
                return Err(not_supported(
                    "the derivative of an operand that may be broadcast, depending on its size, is not known",
                ));
            }
        }
        if axes.is_empty() {
            return Ok(derivative);
        }
        let summed = self.reduce("reduce_sum", derivative, &axes, false)?;
        if axes.len() == added {
            return Ok(summed);
        }
        let shape = self.shape_of(operand)?;
        self.reshape(summed, shape)
    }
}
