//! Every value of compiled code against the reference interpreter.

use super::bisect::programs;
use super::slice::Slice;
use super::trial::{Fault, Search, Text, Trials, evaluate, run};
use crate::compare::{Difference, difference};
use crate::{CompileOptions, Model, Step};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::types::TensorData;

/// A value of compiled code next to that of the reference interpreter.
#[derive(Clone, Debug)]
pub struct Deviation {
    /// Its name: in the text of the model as it was imported, or, of [`compare_with`], the one that it is expected by.
    pub value: String,
    /// The constructs of the source that it comes from; may be empty.
    pub source: String,
    /// How it differs.
    pub difference: Difference,
}

/// Compiles a model so that every value of it comes out, and compares each with the reference interpreter, in the order in
/// which they are computed. Values inside of branches and loops are not seen, and code is fused only as far as values
/// stay visible: where all of them agree and outputs do not, [`bisect`](super::bisect) tells more.
///
/// # Errors
/// A model that cannot be compiled or evaluated.
pub fn compare_values(
    search: &Search<'_>,
    model: &Model,
    inputs: &[TensorData],
) -> Result<Vec<Deviation>, Diagnostics> {
    let failed = |message: &str| Diagnostics::from(Diagnostic::error("D036", message));
    let made = programs(search, model)?;
    let imported = made.first().ok_or_else(|| failed("the model has no program before its plan"))?;
    let text =
        Text::of(search, &imported.program).ok_or_else(|| failed("a plan has no values with names"))?;
    let whole = Slice::of(&imported.program, &text.text)
        .ok_or_else(|| failed("there is no function to look into"))?;
    let taps = whole.taps();
    let tapped = whole.returning(&taps);
    let mut trials = Trials::new(search, text, Fault::Code);
    trials.values = whole.inputs().into_iter().zip(inputs.iter().cloned()).collect();
    // What fails is said, not passed over.
    let program = trials.program(&tapped).ok_or_else(|| failed("values of the model cannot come out"))?;
    let given = trials.inputs(&tapped).ok_or_else(|| failed("an input is missing"))?;
    evaluate(search, &program, &given)?;
    let found = trials.differences(&tapped).ok_or_else(|| failed("the code of the model does not run"))?;
    let pairs = taps.into_iter().zip(found);
    Ok(pairs
        .map(|(value, it)| Deviation { source: source(&tapped, &value), value, difference: it })
        .collect())
}

/// What the value of a program comes from.
fn source(program: &Slice, name: &str) -> String {
    let item = program.items().find(|it| it.defines.iter().any(|it| it == name));
    item.map_or_else(String::new, |it| it.source.replace('"', ""))
}

/// Compiles a model so that values come out that another program computed of it, such as ONNX Runtime, and compares each with
/// what is expected of it, in the order of the file. They are known by the names that the file gives them or their nodes; of
/// what the model has no such name for there is nothing in the result.
///
/// # Errors
/// A model that cannot be compiled, and one that fails when it runs.
pub fn compare_with(
    search: &Search<'_>,
    model: &Model,
    inputs: &[TensorData],
    expected: &[(String, TensorData)],
) -> Result<Vec<Deviation>, Diagnostics> {
    let values = expected.iter().map(|it| it.0.clone()).collect();
    let options = CompileOptions { values, states: Vec::new(), ..search.options.clone() };
    let (imported, report) = search.compiler.lower(model, &options, Step::Import)?;
    let whole = Text::of(search, &imported).and_then(|it| Slice::of(&imported, &it.text));
    let returned = whole.as_ref().map_or_else(Vec::new, Slice::returned);
    let found = run(search.compiler, model, &options, inputs)?;
    let named = report.import.outputs.into_iter().zip(&found).enumerate();
    let defined =
        |name: &String| whole.as_ref()?.items().position(|it| it.defines.iter().any(|it| it == name));
    let compared = named.filter_map(|(i, ((value, _), found))| {
        let (_, wanted) = expected.iter().find(|it| it.0 == value)?;
        let source = whole.as_ref().zip(returned.get(i)).map_or_else(String::new, |(it, of)| source(it, of));
        let deviation = Deviation { value, source, difference: difference(found, wanted, &search.limits) };
        Some((returned.get(i).and_then(defined), deviation))
    });
    // The first that is off is the first that is computed, whatever is an output.
    let mut compared: Vec<_> = compared.collect();
    compared.sort_by_key(|it| it.0);
    Ok(compared.into_iter().map(|it| it.1).collect())
}
