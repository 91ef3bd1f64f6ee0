//! Shadow comparison (RFC 0002): a model compiled on both paths, so that each call returns what the legacy path computes
//! and says how the dataflow path differs from it.
//!
//! ```
//! use orogen::compare::Limits;
//! use orogen::prelude::*;
//! use orogen::runtime::{RunOptions, Value};
//! use orogen::tensors::to_tensor;
//!
//! let compiler = Compiler::standard();
//! let model = compiler.decode("g.graph", "graph @g(%x: f32[2]) { %0 = relu(%x) return y = %0 }".into())?;
//! let shadow = compiler.shadow(&model, &CompileOptions::default(), Limits::default())?;
//! let x = to_tensor(&TensorData::from_f64(DType::F32, &[2], [-1.0, 1.0]))?;
//! let seen = shadow.call("main", &mut [Value::Tensor(x)], RunOptions::default());
//! assert!(seen.differences.is_empty());
//! assert_eq!(seen.result?.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Laws
//! * **S1** What a caller gets is what the legacy path gives: results, state, and errors.
//! * **S2** Each difference is said: a refusal, an error of one path alone, an output or a state that is another one.

use crate::compare::{Difference, Limits, difference};
use crate::tensors::{to_data, to_tensor};
use crate::{Artifact, CompileOptions, Compiler, Entry, Model, OptIn};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_runtime::{Library, Parameter, RunOptions, RuntimeError, Value};
use std::fmt;

/// How the dataflow path differs from the legacy one.
#[derive(Clone, Debug)]
pub enum ShadowDifference {
    /// It does not compile the model.
    Refused(Diagnostics),
    /// The dataflow path fails, the legacy path does not: what it says.
    Fails(String),
    /// The legacy path fails, the dataflow path does not: what the legacy path says.
    FailsNot(String),
    /// An output, or what a state becomes.
    Output {
        /// Its name; of a sequence with the number of the element.
        name: String,
        /// How it differs.
        how: Difference,
    },
}

impl fmt::Display for ShadowDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShadowDifference::Refused(found) => {
                let first = found.iter().next();
                let said = first.map(|it| format!("{}: {}", it.code, it.message)).unwrap_or_default();
                write!(f, "the dataflow path refuses the model: {said}")
            }
            ShadowDifference::Fails(why) => write!(f, "the dataflow path alone fails: {why}"),
            ShadowDifference::FailsNot(why) => write!(f, "the legacy path alone fails: {why}"),
            ShadowDifference::Output { name, how } => write!(f, "output `{name}`: {how}"),
        }
    }
}

impl ShadowDifference {
    /// As a warning, `D043`.
    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic::warning("D043", format!("shadow comparison: {self}"))
            .note("the result is that of the legacy path")
            .help("`orogen bisect --opt-in dataflow-ir` names the pass, `--waterline STEP` the step")
    }
}

/// A call on both paths.
#[derive(Debug)]
pub struct Seen {
    /// What the legacy path gives.
    pub result: Result<Vec<Value>, RuntimeError>,
    /// How the dataflow path differs; empty where it does not.
    pub differences: Vec<ShadowDifference>,
}

/// A model that is compiled on both paths.
#[derive(Debug)]
pub struct Shadow {
    /// The legacy path, whose code is loaded as [`library`](Self::library).
    pub artifact: Artifact,
    library: Library,
    beside: Result<Library, Diagnostics>,
    limits: Limits,
}

impl Compiler {
    /// Compiles a model on both paths, for calls that are compared. What the options say of paths is not looked at.
    ///
    /// # Errors
    /// What the legacy path says of the model. That the dataflow path refuses it is a difference.
    pub fn shadow(
        &self,
        model: &Model,
        options: &CompileOptions,
        limits: Limits,
    ) -> Result<Shadow, Diagnostics> {
        let on = |opt_in| CompileOptions { opt_in, entry: Entry::Ledger, ..options.clone() };
        let artifact = self.compile(model, &on(OptIn::Legacy))?;
        let library = artifact.load()?;
        let beside = self.compile(model, &on(OptIn::DataflowIr)).and_then(|it| it.load());
        Ok(Shadow { artifact, library, beside, limits })
    }
}

impl Shadow {
    /// The code of the legacy path.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// Limits the threads of calls on both paths.
    pub fn set_threads(&self, threads: usize) {
        self.library.set_threads(threads);
        if let Ok(beside) = &self.beside {
            beside.set_threads(threads);
        }
    }

    /// Calls a function on both paths (laws S1 and S2). State in `inputs` becomes what the legacy path makes of it.
    pub fn call(&self, function: &str, inputs: &mut [Value], options: RunOptions) -> Seen {
        let beside = match &self.beside {
            Ok(it) => it,
            Err(found) => {
                let result = self.library.call_values(function, inputs, options);
                return Seen { result, differences: vec![ShadowDifference::Refused(found.clone())] };
            }
        };
        // Before the legacy path changes state in place.
        let mut copies: Vec<Value> = inputs.iter().map(copy).collect();
        let result = self.library.call_values(function, inputs, options);
        let other = beside.call_values(function, &mut copies, options);
        let differences = match (&result, other) {
            (Ok(ours), Ok(theirs)) => self.differences(function, (ours, inputs), (&theirs, &copies)),
            (Err(_), Err(_)) => Vec::new(),
            (Ok(_), Err(why)) => vec![ShadowDifference::Fails(why.to_string())],
            (Err(why), Ok(_)) => vec![ShadowDifference::FailsNot(why.to_string())],
        };
        Seen { result, differences }
    }

    fn differences(
        &self,
        function: &str,
        ours: (&[Value], &[Value]),
        theirs: (&[Value], &[Value]),
    ) -> Vec<ShadowDifference> {
        let mut found = Vec::new();
        let Some(function) = self.library.signature().function(function) else { return found };
        let outputs = function.outputs.iter().zip(ours.0.iter().zip(theirs.0));
        for (output, (ours, theirs)) in outputs {
            self.compare(&output.name, theirs, ours, &mut found);
        }
        let becomes = |it: &Parameter| it.becomes.clone();
        for (input, (ours, theirs)) in function.inputs.iter().zip(ours.1.iter().zip(theirs.1)) {
            if let Some(name) = becomes(input) {
                self.compare(&name, theirs, ours, &mut found);
            }
        }
        found
    }

    fn compare(&self, name: &str, got: &Value, expected: &Value, found: &mut Vec<ShadowDifference>) {
        let other =
            |what: String| ShadowDifference::Output { name: name.to_owned(), how: Difference::Kind(what) };
        match (got, expected) {
            (Value::Tensor(got), Value::Tensor(expected)) => match (to_data(got), to_data(expected)) {
                (Some(got), Some(expected)) => {
                    let how = difference(&got, &expected, &self.limits);
                    if !how.passes() {
                        found.push(ShadowDifference::Output { name: name.to_owned(), how });
                    }
                }
                _ => found.push(other("elements that cannot be compared".to_owned())),
            },
            (Value::Array(got), Value::Array(expected)) if got.len() != expected.len() => {
                found.push(other(format!("{} values instead of {}", got.len(), expected.len())));
            }
            (Value::Array(got), Value::Array(expected)) => {
                for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
                    self.compare(&format!("{name}[{i}]"), got, expected, found);
                }
            }
            (got, expected) if got.kind() != expected.kind() => {
                found.push(other(format!("{} instead of {}", got.kind(), expected.kind())));
            }
            _ => {}
        }
    }
}

/// A value of its own, so that a call that changes one in place leaves the other.
fn copy(value: &Value) -> Value {
    match value {
        Value::Tensor(it) => {
            let own = to_data(it).and_then(|it| to_tensor(&it).ok());
            Value::Tensor(own.unwrap_or_else(|| it.clone()))
        }
        Value::Array(items) => Value::Array(items.iter().map(copy).collect()),
        it => it.clone(),
    }
}
