//! A model and the reference interpreter, in place of a library: `run --reference`.

use crate::args::ModelArgs;
use crate::failure::Failure;
use crate::progress::spin;
use crate::subject::is_library;
use crate::values::Ports;
use orogen::reference::{self, EvalError, EvalErrorKind, eval_function, eval_graph, eval_plans};
use orogen::tensors::{to_data, to_tensor};
use orogen::{Diagnostic, Lowered, Step, entry_default};
use orogen_abi::signature::Function;
use orogen_ir::flow::Module;
use orogen_ir::ops::OpRegistry;
use orogen_ir::types::TensorData;
use orogen_runtime::{RuntimeError, Value};
use std::path::Path;

/// What a model was imported to.
pub(crate) struct Interpreted {
    ops: OpRegistry,
    program: Lowered,
    /// Names of inputs, for messages.
    inputs: Vec<String>,
}

/// Imports a model; no pass changes it.
pub(crate) fn open(path: &Path, args: &ModelArgs) -> Result<(Interpreted, Function), Failure> {
    if is_library(path)? {
        let message = "`--reference` interprets a model, and this is a compiled library".to_string();
        return Err(Failure::Usage(message));
    }
    let settled = args.settled(path)?;
    let options = settled.options()?;
    settled.with_compiler(|compiler| {
        let what = format!("importing {}", path.display());
        let (program, report) = spin(what, || {
            let model = compiler.open(path)?;
            Ok::<_, Failure>(compiler.lower(&model, &options, Step::Import)?)
        })?;
        let function = Ports::of_import(&program, &report).function;
        let names = function.inputs.iter().map(|it| it.name.clone()).collect();
        Ok((Interpreted { ops: compiler.ops().clone(), program, inputs: names }, function))
    })
}

impl Interpreted {
    /// Outputs in order.
    pub(crate) fn call(&self, inputs: &[Value]) -> Result<Vec<Value>, Failure> {
        match &self.program {
            Lowered::Flow(module) => {
                let values = self.of_flow(module, inputs)?;
                let name = module.entry().map_or("", |it| it.0);
                let outputs = eval_function(&self.ops, module, name, &values).map_err(failed)?;
                outputs.into_iter().map(|it| from_reference(it).map_err(Failure::Run)).collect()
            }
            Lowered::Graph(graph) => {
                shown(&eval_graph(&self.ops, graph, &self.tensors(inputs)?).map_err(failed)?)
            }
            Lowered::Plan(plans) => {
                let name = plans.entry().map_or("", |it| it.name.as_str());
                shown(&eval_plans(plans, name, &self.tensors(inputs)?).map_err(failed)?)
            }
        }
    }

    /// Inputs of a module, defaults included.
    fn of_flow(&self, module: &Module, inputs: &[Value]) -> Result<Vec<reference::Value>, Failure> {
        let value = |(i, value): (usize, &Value)| match (value, entry_default(module, i)) {
            (Value::None, Some(data)) => Ok(reference::Value::Tensor(data.clone())),
            _ => self.value(i, value),
        };
        inputs.iter().enumerate().map(value).collect()
    }

    fn value(&self, i: usize, value: &Value) -> Result<reference::Value, Failure> {
        Ok(match value {
            Value::None => reference::Value::None,
            Value::Tensor(it) => match to_data(it) {
                Some(data) => reference::Value::Tensor(data),
                None => return Err(self.refused(i, "has elements that the interpreter does not hold")),
            },
            Value::Array(items) => reference::Value::Sequence(
                items.iter().map(|it| self.value(i, it)).collect::<Result<_, _>>()?,
            ),
            Value::Str(it) => reference::Value::Str(it.clone()),
            other => return Err(self.refused(i, &format!("is {}", other.kind()))),
        })
    }

    /// Inputs that are all tensors, without those at the end that take their default.
    fn tensors(&self, inputs: &[Value]) -> Result<Vec<TensorData>, Failure> {
        let given = inputs.iter().rposition(|it| !matches!(it, Value::None)).map_or(0, |it| it + 1);
        let data = |(i, value): (usize, &Value)| match self.value(i, value)? {
            reference::Value::Tensor(it) => Ok(it),
            _ => Err(self.refused(i, "is no tensor")),
        };
        inputs[..given].iter().enumerate().map(data).collect()
    }

    fn refused(&self, i: usize, why: &str) -> Failure {
        Failure::Usage(format!("input `{}` {why}", self.inputs.get(i).map_or("", String::as_str)))
    }
}

fn shown(outputs: &[TensorData]) -> Result<Vec<Value>, Failure> {
    outputs.iter().map(|it| Ok(Value::Tensor(to_tensor(it).map_err(Failure::Run)?))).collect()
}

fn from_reference(value: reference::Value) -> Result<Value, RuntimeError> {
    Ok(match value {
        reference::Value::Tensor(it) => Value::Tensor(to_tensor(&it)?),
        reference::Value::Tuple(items) | reference::Value::Sequence(items) => {
            Value::Array(items.into_iter().map(from_reference).collect::<Result<_, _>>()?)
        }
        reference::Value::None => Value::None,
        reference::Value::Str(it) => Value::Str(it),
    })
}

/// What the interpreter cannot do is a model that is refused; what has no value fails when it runs.
fn failed(error: EvalError) -> Failure {
    let refused = error.kind == EvalErrorKind::Unsupported;
    let found = Diagnostic::from(error);
    if refused { Failure::Model(found.into()) } else { Failure::Evaluate(found) }
}
