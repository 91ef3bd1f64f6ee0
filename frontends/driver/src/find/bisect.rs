//! The first pass after which a model computes something else.

use super::reduce::{Reproducer, reduce};
use super::trial::{Fault, Made, Search, call, evaluate, run};
use crate::compare::{Difference, difference};
use crate::{CompileOptions, Compiler, Library, Lowered, Model};
use orogen_ir::choices::{Choices, Culprit, first_failure};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::ops::OpRegistry;
use orogen_ir::plan::PlanModule;
use orogen_ir::types::TensorData;
use orogen_passes::manager::{Changed, Instrument, IrRef, PassInfo, Step};
use std::sync::{Arc, Mutex, PoisonError};

/// What first computes something else.
#[derive(Debug)]
pub struct Blame {
    /// The pass; `import`, `translate`, `plan-memory` or `codegen` for what is none.
    pub pass: String,
    /// The same as a list names it, with the options that it ran with.
    pub call: String,
    /// How the first output that differs does after it, with its name.
    pub output: String,
    /// See [`output`](Self::output).
    pub difference: Difference,
    /// Steps that were evaluated, and whether their values are as expected.
    pub tried: Vec<(String, bool)>,
    /// A small program that shows it; absent for what comes before all programs, and where no part shows it alone.
    pub reproducer: Option<Reproducer>,
}

/// Keeps the program after each pass.
struct Keep {
    made: Arc<Mutex<Vec<Made>>>,
}

impl Keep {
    fn note(&self, name: &str, program: Lowered) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.push(Made { name: name.to_owned(), program });
    }

    /// What the importer made, and what the translation did, no pass has made.
    fn note_new(&self, ir: IrRef<'_>) {
        let last =
            self.made.lock().unwrap_or_else(PoisonError::into_inner).last().map(|it| it.program.suffix());
        match last {
            None => self.note(Step::Import.name(), ir.into()),
            Some(last) if last != ir.name() => self.note("translate", ir.into()),
            Some(_) => {}
        }
    }
}

impl Instrument for Keep {
    fn before(&mut self, ir: IrRef<'_>, _: PassInfo, _: &OpRegistry) -> Result<(), Diagnostics> {
        self.note_new(ir);
        Ok(())
    }

    fn after(
        &mut self,
        ir: IrRef<'_>,
        pass: PassInfo,
        changed: Changed,
        _: &OpRegistry,
    ) -> Result<(), Diagnostics> {
        if changed == Changed::Yes {
            self.note(pass.name, ir.into());
        }
        Ok(())
    }

    fn planned(&mut self, plans: &PlanModule, _: &OpRegistry) -> Result<(), Diagnostics> {
        self.note(Step::PlanMemory.name(), Lowered::Plan(plans.clone()));
        Ok(())
    }
}

/// The programs that a model is on its way down, each after what made it. A model whose inputs have defaults is compiled
/// twice; these are those of its first version.
///
/// # Errors
/// See [`Compiler::lower`](crate::Compiler::lower).
pub(super) fn programs(search: &Search<'_>, model: &Model) -> Result<Vec<Made>, Diagnostics> {
    let made = Arc::new(Mutex::new(Vec::new()));
    let keep = Box::new(Keep { made: made.clone() });
    crate::lower::lower(search.compiler, model, &options(search), Step::PlanMemory, vec![keep])?;
    let mut made = std::mem::take(&mut *made.lock().unwrap_or_else(PoisonError::into_inner));
    let planned = made.iter().position(|it| matches!(it.program, Lowered::Plan(_)));
    made.truncate(planned.map_or(made.len(), |it| it + 1));
    Ok(made)
}

/// State is an output like others here.
fn options(search: &Search<'_>) -> CompileOptions {
    CompileOptions { states: Vec::new(), ..search.options.clone() }
}

/// Finds the first pass after which the outputs of a model are not the expected ones, on inputs in the order of the
/// model; and a small program that shows it. `None` when the compiled model computes what is expected.
///
/// It is looked for by halves, with the reference interpreter: passes before the one that is found keep the values, as far
/// as they were tried.
///
/// # Errors
/// A model that cannot be compiled or evaluated.
pub fn bisect(
    search: &Search<'_>,
    model: &Model,
    inputs: &[TensorData],
    expected: &[(String, TensorData)],
) -> Result<Option<Blame>, Diagnostics> {
    let made = programs(search, model)?;
    let mut tried = Vec::new();
    let code = run(search.compiler, model, &options(search), inputs)?;
    let names = output_names(made.last().map(|it| &it.program));
    let mut off = |name: &str, values: &[TensorData]| -> Result<Option<(String, Difference)>, Diagnostics> {
        let found = first_off(search, &names, values, expected)?;
        tried.push((name.to_owned(), found.is_none()));
        Ok(found)
    };
    let Some(mut worst) = off(Step::Codegen.name(), &code)? else { return Ok(None) };
    // The first of the programs that is off, or the code when none is.
    let (mut low, mut high) = (0, made.len());
    while low < high {
        // The first one decides whether there is anything to find.
        let middle = if low == 0 && high == made.len() { 0 } else { (low + high) / 2 };
        match off(&made[middle].name, &evaluate(search, &made[middle].program, inputs)?)? {
            Some(found) => (high, worst) = (middle, found),
            None => low = middle + 1,
        }
    }
    let pass = made.get(high).map_or(Step::Codegen.name(), |it| it.name.as_str()).to_owned();
    let base = made[..high].iter().rev().find(|it| !matches!(it.program, Lowered::Plan(_)));
    let call = search.compiler.call_of(&pass, search.options.cpu);
    let fault = if pass == Step::Codegen.name() { Fault::Code } else { Fault::Passes(vec![call.clone()]) };
    let reproducer = match base {
        Some(base) => reduce(search, &base.program, fault, inputs).ok(),
        None => None,
    };
    Ok(Some(Blame { pass, call, output: worst.0, difference: worst.1, tried, reproducer }))
}

/// Finds the choice of a seed with which the outputs of the compiled model are first not the expected ones, with that and
/// those before it; `build` makes the compiler of `search` again, with these choices. `None` when all of them compute what
/// is expected.
///
/// # Errors
/// A model that cannot be compiled or run.
pub fn bisect_choices(
    search: &Search<'_>,
    model: &Model,
    inputs: &[TensorData],
    expected: &[(String, TensorData)],
    seed: u64,
    build: impl Fn(Choices) -> Result<Compiler, Diagnostics>,
) -> Result<Option<Culprit>, Diagnostics> {
    let options = options(search);
    first_failure(seed, |choices| {
        let artifact = build(choices)?.compile(model, &options)?;
        let library = artifact.load()?;
        let values = call(&library, inputs)?;
        let off = first_off(search, &library_outputs(&library), &values, expected)?;
        Ok((off.is_some(), artifact.report.choices))
    })
}

/// Names of the outputs of a compiled model.
fn library_outputs(library: &Library) -> Vec<String> {
    let functions = &library.signature().functions;
    let main = library.signature().function("main").or(functions.first());
    main.map_or_else(Vec::new, |it| it.outputs.iter().map(|it| it.name.clone()).collect())
}

fn output_names(plan: Option<&Lowered>) -> Vec<String> {
    match plan {
        Some(Lowered::Plan(it)) => {
            it.entry().map_or_else(Vec::new, |it| it.outputs.iter().map(|it| it.name.clone()).collect())
        }
        _ => Vec::new(),
    }
}

/// The first output that is not as expected.
fn first_off(
    search: &Search<'_>,
    names: &[String],
    values: &[TensorData],
    expected: &[(String, TensorData)],
) -> Result<Option<(String, Difference)>, Diagnostics> {
    for (name, wanted) in expected {
        let Some(found) = names.iter().position(|it| it == name).and_then(|it| values.get(it)) else {
            let message =
                format!("`{name}` is no output of the model; its outputs are: {}", names.join(", "));
            return Err(Diagnostic::error("D039", message).into());
        };
        let difference = difference(found, wanted, &search.limits);
        if !difference.passes() {
            return Ok(Some((name.clone(), difference)));
        }
    }
    Ok(None)
}
