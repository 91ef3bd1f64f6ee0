//! Whether a part of a program shows a fault.

use super::slice::Slice;
use crate::compare::{Difference, Limits, difference};
use crate::frontend::{IrModel, IrText};
use crate::tensors::{to_data, to_tensor};
use crate::{CompileOptions, Compiler, Library, Lowered, Model, OptIn};
use indexmap::IndexMap;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::Module;
use orogen_ir::types::{ConstPool, TensorData};
use orogen_reference::{Value, eval_function, eval_graph, eval_plans};
use std::cell::Cell;

/// What is asked, and of whom.
#[derive(Debug)]
pub struct Search<'c> {
    /// Its passes are tried.
    pub compiler: &'c Compiler,
    /// How the model is compiled. Dimensions are bound by it once; states are outputs.
    pub options: CompileOptions,
    /// What counts as the same value.
    pub limits: Limits,
    /// Trials of a reduction (law Q3).
    pub trials: usize,
}

/// What makes other values of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Passes by name, as [`Compiler::run_passes`] takes them.
    Passes(Vec<String>),
    /// All that is below the passes: plans and code.
    Code,
}

/// A program at a step, as a model.
#[derive(Clone, Debug)]
pub struct Made {
    /// The pass that made it; `import`, `translate` or `plan-memory`.
    pub name: String,
    /// The program.
    pub program: Lowered,
}

/// A text and the constants that it names.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) format: IrText,
    pub(super) text: String,
    pub(super) constants: ConstPool,
}

impl Text {
    /// A program as text; `None` for plans, which are not cut.
    pub(super) fn of(search: &Search<'_>, program: &Lowered) -> Option<Text> {
        let format = match program {
            Lowered::Graph(_) => IrText::Graph,
            Lowered::Flow(_) => IrText::Flow,
            Lowered::Plan(_) => return None,
        };
        let mut sealed = program.clone();
        crate::constants::Constants::default().seal(&mut sealed);
        let text = sealed.print(search.compiler.ops());
        Some(Text { format, text, constants: sealed.constants().cloned().unwrap_or_default() })
    }

    pub(super) fn with(&self, text: String) -> Text {
        Text { text, ..self.clone() }
    }

    fn model(&self) -> Model {
        let (name, file) = ("part".to_owned(), format!("part.{}", self.format.name()));
        let content = Box::new(IrModel::Text(self.text.clone(), self.constants.clone()));
        Model { name, file, frontend: self.format.name(), content }
    }
}

/// Evaluates a program with the reference interpreter.
///
/// # Errors
/// What has no value.
pub(super) fn evaluate(
    search: &Search<'_>,
    program: &Lowered,
    inputs: &[TensorData],
) -> Result<Vec<TensorData>, Diagnostics> {
    let said = |it: orogen_reference::EvalError| Diagnostics::from(Diagnostic::from(it));
    let ops = search.compiler.ops();
    match program {
        Lowered::Graph(it) => eval_graph(ops, it, inputs).map_err(said),
        Lowered::Flow(it) => {
            let inputs: Vec<Value> = inputs.iter().cloned().map(Value::Tensor).collect();
            let values = eval_function(ops, it, entry(it), &inputs).map_err(said)?;
            values.into_iter().map(tensor).collect()
        }
        Lowered::Plan(it) => {
            let name = it.entry().map_or("", |it| it.name.as_str());
            eval_plans(it, name, inputs).map_err(said)
        }
    }
}

fn entry(module: &Module) -> &str {
    module.entry().map_or("", |it| it.0)
}

fn tensor(value: Value) -> Result<TensorData, Diagnostics> {
    match value {
        Value::Tensor(it) => Ok(it),
        _ => Err(Diagnostic::error("D036", "an output is no tensor").help("compare tensors alone").into()),
    }
}

/// Runs compiled code.
///
/// # Errors
/// What cannot be compiled, and what fails when it runs.
pub(super) fn run(
    compiler: &Compiler,
    model: &Model,
    options: &CompileOptions,
    inputs: &[TensorData],
) -> Result<Vec<TensorData>, Diagnostics> {
    call(&compiler.compile(model, options)?.load()?, inputs)
}

/// Runs code.
///
/// # Errors
/// What fails when it runs.
pub(super) fn call(library: &Library, inputs: &[TensorData]) -> Result<Vec<TensorData>, Diagnostics> {
    let failed = |it: orogen_runtime::RuntimeError| {
        Diagnostics::from(Diagnostic::error("D038", format!("the compiled model fails: {it}")))
    };
    let tensors = inputs.iter().map(to_tensor).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let outputs = library.run(&tensors).map_err(failed)?;
    outputs.iter().map(|it| to_data(it).ok_or_else(|| tensor(Value::None).unwrap_err())).collect()
}

/// Trials of parts of one program.
pub(super) struct Trials<'s> {
    pub(super) search: &'s Search<'s>,
    pub(super) whole: Text,
    pub(super) fault: Fault,
    /// Values of the whole program, by name: what a part takes in the place of what it left out.
    pub(super) values: IndexMap<String, TensorData>,
    left: Cell<usize>,
}

impl<'s> Trials<'s> {
    pub(super) fn new(search: &'s Search<'s>, whole: Text, fault: Fault) -> Self {
        Trials { search, whole, fault, values: IndexMap::new(), left: Cell::new(search.trials) }
    }

    /// Whether trials are left (law Q3).
    pub(super) fn may_go_on(&self) -> bool {
        self.left.get() > 0
    }

    /// The part as a program; `None` if it breaks a law (law Q2).
    pub(super) fn program(&self, slice: &Slice) -> Option<Lowered> {
        let model = self.whole.with(slice.text()).model();
        let none: [&str; 0] = [];
        Some(self.search.compiler.run_passes(&model, &self.options(), &none).ok()?.0)
    }

    fn options(&self) -> CompileOptions {
        let is_flow = self.whole.format == IrText::Flow;
        let opt_in = if is_flow { OptIn::DataflowIr } else { self.search.options.opt_in };
        CompileOptions { opt_in, dims: Vec::new(), states: Vec::new(), ..self.search.options.clone() }
    }

    /// The inputs of a part.
    pub(super) fn inputs(&self, slice: &Slice) -> Option<Vec<TensorData>> {
        slice.inputs().iter().map(|it| self.values.get(it).cloned()).collect()
    }

    /// How the outputs of a part differ, in order, when it can be tried.
    pub(super) fn differences(&self, slice: &Slice) -> Option<Vec<Difference>> {
        self.left.set(self.left.get().checked_sub(1)?);
        let inputs = self.inputs(slice)?;
        let program = self.program(slice)?;
        let expected = evaluate(self.search, &program, &inputs).ok()?;
        let model = self.whole.with(slice.text()).model();
        let found = match &self.fault {
            Fault::Passes(names) => {
                let (after, _) = self.search.compiler.run_passes(&model, &self.options(), names).ok()?;
                evaluate(self.search, &after, &inputs).ok()?
            }
            Fault::Code => run(self.search.compiler, &model, &self.options(), &inputs).ok()?,
        };
        let pairs = found.iter().zip(&expected);
        (found.len() == expected.len()).then(|| {
            pairs.map(|(found, expected)| difference(found, expected, &self.search.limits)).collect()
        })
    }

    /// The first output of a part that differs.
    pub(super) fn shows(&self, slice: &Slice) -> Option<(usize, Difference)> {
        self.differences(slice)?.into_iter().enumerate().find(|it| !it.1.passes())
    }
}
