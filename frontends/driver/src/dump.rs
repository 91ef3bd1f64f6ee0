//! The text of a program after every pass, in files that any command reads back.

use crate::Lowered;
use crate::constants::{Constants, SHARED, named_in};
use crate::files::{cannot_write, write_file};
use indexmap::IndexSet;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::ops::OpRegistry;
use orogen_ir::plan::PlanModule;
use orogen_ir::types::Digest;
use orogen_passes::manager::{Changed, Instrument, IrRef, PassInfo, Step};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Every pass, as a name.
pub const ALL: &str = "all";

/// Writes programs to a folder while compilations run: what the importer made, what each pass made of it, and the plan.
/// All of them share one file of constants.
///
/// ```no_run
/// use orogen::dump::Dump;
/// use orogen::prelude::*;
///
/// let dump = Dump::new("all", "steps")?;
/// let mut builder = Compiler::builder();
/// dump.watch(&mut builder);
/// let compiler = builder.build()?;
/// let outcome = compiler.compile(&compiler.open("model.onnx")?, &CompileOptions::default());
/// // Also what led to a failure is worth to be seen.
/// println!("{} texts in `steps`", dump.finish()?);
/// outcome?;
/// # Ok::<(), Diagnostics>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dump {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// A pass, `import`, `plan-memory`, or [`ALL`].
    after: String,
    folder: PathBuf,
    constants: Constants,
    named: IndexSet<Digest>,
    /// What ran, in order, whether it was written or not.
    ran: Vec<String>,
    written: usize,
}

impl Dump {
    /// Will write what `after` makes, or what everything makes that changes something, to a folder, which is made if it is
    /// not there.
    ///
    /// # Errors
    /// `D002`: a folder that cannot be made.
    pub fn new(after: &str, folder: impl AsRef<Path>) -> Result<Dump, Diagnostic> {
        let folder = folder.as_ref().to_path_buf();
        std::fs::create_dir_all(&folder).map_err(|error| cannot_write(&folder, &error.to_string()))?;
        let state = State {
            after: after.to_owned(),
            folder,
            constants: Constants::default(),
            named: IndexSet::new(),
            ran: Vec::new(),
            written: 0,
        };
        Ok(Dump { state: Arc::new(Mutex::new(state)) })
    }

    /// Looks on at the compilations of a compiler.
    pub fn watch(&self, builder: &mut crate::Builder) {
        let state = self.state.clone();
        builder.instrument(move || Watcher { state: state.clone(), step: None });
    }

    /// Writes the constants; how many texts there are.
    ///
    /// # Errors
    /// `D002`: a file that cannot be written. `D035`: nothing of that name ran.
    pub fn finish(self) -> Result<usize, Diagnostic> {
        let state = lock(&self.state);
        if state.written == 0 && state.after != ALL {
            let message = format!("nothing was written: no pass `{}` ran", state.after);
            return Err(
                Diagnostic::error("D035", message).help(format!("there ran: {}", state.ran.join(", ")))
            );
        }
        state.constants.write(&state.folder.join(SHARED), &state.named)?;
        Ok(state.written)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // What a panic left is still worth to be seen.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Notes that something ran, and writes what it made when that was asked for.
    fn note(
        &mut self,
        name: &str,
        changed: bool,
        program: impl FnOnce() -> Lowered,
        ops: &OpRegistry,
    ) -> Result<(), Diagnostic> {
        let number = self.ran.len();
        self.ran.push(name.to_owned());
        if self.after != name && !(self.after == ALL && changed) {
            return Ok(());
        }
        let program = program();
        let text = program.print_sealed(ops, &mut self.constants);
        self.named.extend(named_in(&text));
        let path = self.folder.join(format!("{number:02}-{name}.{}", program.suffix()));
        write_file(&path, |out| out.write_all(text.as_bytes()))?;
        self.written += 1;
        Ok(())
    }
}

struct Watcher {
    state: Arc<Mutex<State>>,
    /// The step of the last pass of this version of the model.
    step: Option<Step>,
}

impl Instrument for Watcher {
    fn before(&mut self, ir: IrRef<'_>, pass: PassInfo, ops: &OpRegistry) -> Result<(), Diagnostics> {
        // The first pass of a version of the model gets what the importer made.
        if self.step.is_none_or(|it| pass.step < it) {
            lock(&self.state).note(Step::Import.name(), true, || ir.into(), ops)?;
        }
        self.step = Some(pass.step);
        Ok(())
    }

    fn after(
        &mut self,
        ir: IrRef<'_>,
        pass: PassInfo,
        changed: Changed,
        ops: &OpRegistry,
    ) -> Result<(), Diagnostics> {
        let changed = changed == Changed::Yes;
        Ok(lock(&self.state).note(pass.name, changed, || ir.into(), ops)?)
    }

    fn planned(&mut self, plans: &PlanModule, ops: &OpRegistry) -> Result<(), Diagnostics> {
        self.step = None;
        Ok(lock(&self.state).note(Step::PlanMemory.name(), true, || Lowered::Plan(plans.clone()), ops)?)
    }
}
