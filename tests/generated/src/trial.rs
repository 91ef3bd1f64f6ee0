//! A model on executors.

use crate::compare::compare;
use crate::executor::{Column, Form};
use crate::model::{Drawn, Setting};
use crate::peer::Answer;
use crate::setup::Setup;
use orogen::{Diagnostics, Model};
use orogen_differential::Expected;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How an executor may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It computes something else.
    Differs,
    /// It refuses the model, or running it.
    Refuses,
    /// It panics.
    Panics,
    /// Its process ends, or does not end.
    Crashes,
}

/// What is wrong.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Where.
    pub column: Column,
    /// Which setting of sizes.
    pub setting: usize,
    /// How.
    pub outcome: Outcome,
    /// In words.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, setting {}: {}", self.column, self.setting, self.what)
    }
}

/// Runs a model on an executor: on the dataflow path one program for every setting, else one for each of these settings.
/// How many settings were compared; none where the legacy graph cannot hold the model.
///
/// # Errors
/// The first that is wrong.
pub fn run(setup: &Setup, drawn: &Drawn, column: Column, settings: &[usize]) -> Result<usize, Finding> {
    let found = |setting: usize, outcome, what: String| Finding { column, setting, outcome, what };
    let caught = catch_unwind(AssertUnwindSafe(|| run_caught(setup, drawn, column, settings)));
    match caught {
        Ok(result) => result.map_err(|it| found(it.0, it.1, it.2)),
        Err(panic) => Err(found(0, Outcome::Panics, format!("panic: {}", text_of(&*panic)))),
    }
}

/// What a panic says.
pub fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or_default()
}

fn run_caught(
    setup: &Setup,
    drawn: &Drawn,
    column: Column,
    settings: &[usize],
) -> Result<usize, (usize, Outcome, String)> {
    if column.form == Form::Peer {
        return on_peer(setup, drawn, settings);
    }
    let model = setup.compiler.decode("model.onnx", drawn.proto.to_bytes());
    let model = model.map_err(|it| (0, Outcome::Refuses, format!("decoding: {it}")))?;
    let mut prepared = None;
    let mut compared = 0;
    for at in settings.iter().copied().filter(|it| *it < drawn.settings.len()) {
        let setting = &drawn.settings[at];
        let program = match prepared.take().filter(|_| !column.is_static()) {
            Some(program) => program,
            None => match prepare(setup, drawn.seed, &model, column, setting) {
                Ok(Some(program)) => program,
                Ok(None) => continue,
                Err(what) => return Err((at, Outcome::Refuses, what)),
            },
        };
        let outputs = program.run(&setting.inputs);
        let outputs = outputs.map_err(|it| (at, Outcome::Refuses, format!("running: {it:#}")))?;
        check(&outputs, setting).map_err(|it| (at, Outcome::Differs, it))?;
        compared += 1;
        prepared = Some(program);
    }
    Ok(compared)
}

/// Whether outputs are what they should be.
fn check(outputs: &Expected, setting: &Setting) -> Result<(), String> {
    for (name, sample) in &setting.outputs {
        let result = match outputs.get(name) {
            Some(found) => compare(found, sample),
            None => Err("it is not there".to_owned()),
        };
        result.map_err(|it| format!("output `{name}`: {it}"))?;
    }
    Ok(())
}

/// The same on another implementation; what it refuses is not compared.
fn on_peer(setup: &Setup, drawn: &Drawn, settings: &[usize]) -> Result<usize, (usize, Outcome, String)> {
    let peer = setup.peer.as_ref().ok_or((0, Outcome::Refuses, "there is no Python for it".to_owned()))?;
    let chosen: Vec<usize> = settings.iter().copied().filter(|it| *it < drawn.settings.len()).collect();
    let inputs = chosen.iter().map(|it| &drawn.settings[*it].inputs.inputs);
    let answers =
        peer.run(drawn.proto.to_bytes(), inputs).map_err(|it| (0, Outcome::Crashes, format!("{it:#}")))?;
    let mut compared = 0;
    for (at, answer) in chosen.into_iter().zip(answers) {
        match answer {
            Answer::Outputs(outputs) => {
                check(&outputs, &drawn.settings[at]).map_err(|it| (at, Outcome::Differs, it))?;
                compared += 1;
            }
            Answer::Unsupported => {}
            Answer::Failed(why) => return Err((at, Outcome::Refuses, format!("running: {why}"))),
        }
    }
    Ok(compared)
}

/// The program; none where the legacy graph cannot hold the model, which is no fault.
fn prepare(
    setup: &Setup,
    seed: u64,
    model: &Model,
    column: Column,
    setting: &Setting,
) -> Result<Option<orogen_differential::Program>, String> {
    let other = column.compiler(seed).map_err(|it| format!("making the compiler: {it}"))?;
    let compiler = other.as_ref().unwrap_or(&setup.compiler);
    match column.executor.prepare_with(compiler, model, &column.options(&setting.sizes)) {
        Ok(program) => Ok(Some(program)),
        // `K004` is a size that only a run knows.
        Err(error) => match error.downcast_ref::<Diagnostics>() {
            Some(found)
                if column.is_static()
                    && found.iter().all(|it| it.code.starts_with('G') || it.code == "K004") =>
            {
                Ok(None)
            }
            _ => Err(format!("compiling: {error:#}")),
        },
    }
}
