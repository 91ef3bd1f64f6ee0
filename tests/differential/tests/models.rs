//! Every model of `tests/models` on every executor.
//!
//! `cargo test -p orogen-differential` runs what is fast, `-- --include-ignored` everything; a name filters.

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use orogen::{CompileOptions, Compiler, Model, OptIn, Step};
use orogen_differential::{Case, Executor, Legacy, Way, compare};

/// Largest error, relative to the largest magnitude of an output.
const TOLERANCE: f64 = 1e-4;

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for case in Case::ALL {
        for executor in Executor::all() {
            if executor.way().is_static() && case.legacy != Legacy::Runs {
                continue;
            }
            let name = format!("{}/{executor}", case.folder);
            let slow = executor.is_reference() && case.slow_reference;
            trials.push(trial(name.clone(), move || agrees(case, executor)).with_ignored_flag(slow));
            if case.fails {
                trials.push(trial(format!("{name}/refuses"), move || fails(case, executor)));
            }
        }
        if let Legacy::Refuses(code) = case.legacy {
            trials.push(trial(format!("{}/legacy refuses", case.folder), move || refuses(case, code)));
        }
        if case.legacy == Legacy::Runs {
            trials
                .push(trial(format!("{}/one plan at every waterline", case.folder), move || one_plan(case)));
        }
        trials.push(trial(format!("{}/same bytes twice", case.folder), move || same_bytes(case)));
        trials.push(trial(format!("{}/eight threads", case.folder), move || eight_threads(case)));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(name: String, run: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    Trial::test(name, move || run().map_err(|error| Failed::from(format!("{error:#}"))))
}

/// Outputs are the expected ones for every reference.
fn agrees(case: &Case, executor: Executor) -> Result<()> {
    let references = case.references()?;
    ensure!(!references.is_empty(), "there is no reference");
    let outputs = executor.run(case, &references)?;
    for (reference, outputs) in references.iter().zip(&outputs) {
        let worst = compare(outputs, &reference.outputs).with_context(|| reference.name.clone())?;
        ensure!(
            worst.error <= TOLERANCE,
            "{}: the error of `{}` is {:.2e}",
            reference.name,
            worst.output,
            worst.error
        );
    }
    Ok(())
}

/// Inputs without a result are an error of the call, which says what is wrong.
fn fails(case: &Case, executor: Executor) -> Result<()> {
    let failures = case.failures()?;
    ensure!(!failures.is_empty(), "there are no such inputs");
    for inputs in failures {
        let outcome = executor.run(case, std::slice::from_ref(&inputs));
        let error = outcome.err().with_context(|| format!("{} has a result", inputs.name))?;
        ensure!(format!("{error:#}").contains("is out of range"), "{}: {error:#}", inputs.name);
    }
    Ok(())
}

/// The legacy path says what it cannot hold, and how to opt in.
fn refuses(case: &Case, code: &str) -> Result<()> {
    let model = Model::open(case.model())?;
    let references = case.references()?;
    let options = Executor::Jit(Way::Legacy).options(
        case.states,
        &model,
        references.first().context("a reference")?,
    )?;
    let error = orogen::compile(&model, &options).err().context("it was compiled")?;
    let first = error.iter().find(|it| it.code == code).with_context(|| format!("other errors: {error}"))?;
    let help = first.help.as_deref().unwrap_or_default();
    ensure!(help.contains("dataflow-ir"), "the help does not say how to opt in: {first}");
    Ok(())
}

/// Wherever a static model is translated to the dataflow IR, its plan is that of the import into it.
fn one_plan(case: &Case) -> Result<()> {
    let (compiler, model) = (Compiler::standard(), Model::open(case.model())?);
    let reference = case.references()?.into_iter().next().context("a reference")?;
    let plan = |line: Step| {
        let options = Executor::Jit(Way::Waterline(line)).options(case.states, &model, &reference)?;
        let (lowered, report) = compiler.lower(&model, &options, Step::PlanMemory)?;
        ensure!(report.entered == Some(line), "it entered the dataflow IR above {:?}", report.entered);
        Ok(lowered.print(compiler.ops()))
    };
    let native = plan(Step::Import)?;
    for line in Executor::waterlines() {
        ensure!(plan(line)? == native, "at waterline `{line}` the plan is another one");
    }
    Ok(())
}

/// Equal input gives an equal library.
fn same_bytes(case: &Case) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut found = Vec::new();
    for name in ["a", "b"] {
        // The name of the library is a part of it.
        let place = folder.path().join(name);
        std::fs::create_dir(&place)?;
        let options = CompileOptions { opt_in: OptIn::DataflowIr, ..CompileOptions::default() };
        orogen::compile(&Model::open(case.model())?, &options)?.write_library(place.join("model.so"))?;
        found.push(std::fs::read(place.join("model.so"))?);
    }
    ensure!(found[0] == found[1], "two compilations differ");
    Ok(())
}

/// Eight threads may call one library at once.
fn eight_threads(case: &Case) -> Result<()> {
    let references = case.references()?;
    let expected = Executor::Jit(Way::Native).run(case, &references[..1])?;
    let outputs = Executor::run_in_threads(case, &references[0], 8)?;
    for outputs in outputs {
        ensure!(compare(&outputs, &expected[0])?.error == 0.0, "a thread got other outputs");
    }
    Ok(())
}
