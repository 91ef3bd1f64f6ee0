//! Ways to compute a model.

use crate::{Case, Expected, Reference, chaos, tensors};
use anyhow::{Context, Result, anyhow, bail};
use indexmap::IndexMap;
use orogen::{CompileOptions, Compiler, Entry, Lowered, Model, OptIn, State, Step};
use orogen_ir::choices::Choices;
use orogen_ir::ops::OpRegistry;
use orogen_ir::types::TensorData;
use orogen_passes::bridge;
use orogen_reference::{Value, eval_function, eval_graph, eval_plans};
use orogen_runtime::Library;
use std::fmt;

/// Which IRs a model passes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The legacy graph alone.
    Legacy,
    /// The dataflow IR alone.
    Native,
    /// The legacy graph above this step, the dataflow IR from it on.
    Waterline(Step),
}

impl Way {
    /// Whether dynamic dimensions must be bound at compile time.
    pub fn is_static(self) -> bool {
        self != Way::Native
    }

    /// Options of a compilation on this way.
    pub fn options(self) -> CompileOptions {
        let opt_in = if self == Way::Legacy { OptIn::Legacy } else { OptIn::DataflowIr };
        let entry = match self {
            Way::Waterline(step) => Entry::Above(step),
            Way::Legacy | Way::Native => Entry::Above(Step::Import),
        };
        CompileOptions { opt_in, entry, threads: 1, verify: true, ..CompileOptions::default() }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Legacy => f.write_str("legacy"),
            Way::Native => f.write_str("flow"),
            Way::Waterline(step) => write!(f, "waterline={step}"),
        }
    }
}

/// A way to compute a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executor {
    /// The reference interpreter on what lowering gives at a step.
    Reference(Way, Step),
    /// Generated code in memory.
    Jit(Way),
    /// Generated code from a library.
    Library(Way),
}

impl fmt::Display for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Executor::Reference(way, step) => write!(f, "reference/{way}/{step}"),
            Executor::Jit(way) => write!(f, "jit/{way}"),
            Executor::Library(way) => write!(f, "library/{way}"),
        }
    }
}

impl Executor {
    /// Every executor, the waterlines from the ledger.
    pub fn all() -> Vec<Executor> {
        let mut found = Vec::new();
        for way in [Way::Legacy, Way::Native] {
            let steps = [Step::Import, Step::Simplify, Step::Fuse, Step::PlanMemory];
            found.extend(steps.map(|step| Executor::Reference(way, step)));
            found.extend([Executor::Jit(way), Executor::Library(way)]);
        }
        // The plan is the same at every waterline, which is tested; so one has code generated.
        found.extend(Self::waterlines().into_iter().take(1).map(|it| Executor::Jit(Way::Waterline(it))));
        found
    }

    /// The waterlines of the ledger at which there are legacy steps above and others below.
    pub fn waterlines() -> Vec<Step> {
        let admitted = bridge::admissible(bridge::LEDGER).into_iter();
        admitted.filter(|it| (Step::Canonicalize..=Step::PlanMemory).contains(it)).collect()
    }

    /// Which IRs it goes through.
    pub fn way(self) -> Way {
        match self {
            Executor::Reference(way, _) | Executor::Jit(way) | Executor::Library(way) => way,
        }
    }

    /// Whether it interprets.
    pub fn is_reference(self) -> bool {
        matches!(self, Executor::Reference(..))
    }

    /// Outputs for each reference. On a static way the model is compiled for each, else once for all.
    ///
    /// # Errors
    /// What compiling or running says.
    pub fn run(self, case: &Case, references: &[Reference]) -> Result<Vec<Expected>> {
        self.run_with(&Model::open(case.model())?, case.states, references)
    }

    /// The same of a model that is no case of the suite.
    ///
    /// # Errors
    /// What compiling or running says.
    pub fn run_model(self, model: &Model, references: &[Reference]) -> Result<Vec<Expected>> {
        self.run_with(model, &[], references)
    }

    fn run_with(
        self,
        model: &Model,
        states: &[(&str, &str)],
        references: &[Reference],
    ) -> Result<Vec<Expected>> {
        let mut prepared = None;
        let mut found = Vec::new();
        for reference in references {
            let program = match prepared.take() {
                Some(program) if !self.way().is_static() => program,
                _ => self.prepare(model, &self.options(states, model, reference)?)?,
            };
            let outputs = program.run(reference);
            found.push(outputs.with_context(|| format!("running {}", reference.name))?);
            prepared = Some(program);
        }
        Ok(found)
    }

    /// Outputs of code in memory that this compiler makes for each reference, and the choices that it made.
    ///
    /// # Errors
    /// What compiling or running says.
    pub fn run_chosen(
        self,
        compiler: &Compiler,
        case: &Case,
        references: &[Reference],
    ) -> Result<(Vec<Expected>, Choices)> {
        let model = compiler.open(case.model())?;
        let (mut found, mut choices) = (Vec::new(), Choices::usual());
        for reference in references {
            let artifact = compiler.compile(&model, &self.options(case.states, &model, reference)?)?;
            found.push(Program::Native(artifact.load()?, None).run(reference)?);
            choices = artifact.report.choices;
        }
        Ok((found, choices))
    }

    /// Outputs of several threads that call one library on the dataflow path at the same time.
    ///
    /// # Errors
    /// What compiling or running says.
    pub fn run_in_threads(case: &Case, reference: &Reference, threads: usize) -> Result<Vec<Expected>> {
        let executor = Executor::Library(Way::Native);
        let model = Model::open(case.model())?;
        let program = executor.prepare(&model, &executor.options(case.states, &model, reference)?)?;
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| program.run(reference))).collect();
            running.into_iter().map(|it| it.join().map_err(|_| anyhow!("a thread panicked"))?).collect()
        })
    }

    /// Options that fit a reference: on a static way with the sizes of its inputs.
    ///
    /// # Errors
    /// Models that cannot be imported.
    pub fn options(
        self,
        states: &[(&str, &str)],
        model: &Model,
        reference: &Reference,
    ) -> Result<CompileOptions> {
        let mut options = self.way().options();
        let state =
            |(input, output): &(&str, &str)| State { input: (*input).into(), output: (*output).into() };
        options.states = states.iter().map(state).collect();
        if self.way().is_static() {
            options.dims = dims(model, reference)?;
        }
        Ok(options)
    }

    fn prepare(self, model: &Model, options: &CompileOptions) -> Result<Program> {
        let compiler = if self.is_reference() { Compiler::standard() } else { chaos::compiler()? };
        self.prepare_with(&compiler, model, options)
    }

    /// A model that can be run, as this compiler makes it.
    ///
    /// # Errors
    /// What compiling says: [`Diagnostics`](orogen::Diagnostics), unless a file cannot be written.
    pub fn prepare_with(
        self,
        compiler: &Compiler,
        model: &Model,
        options: &CompileOptions,
    ) -> Result<Program> {
        let compile = || -> Result<_> {
            let artifact = compiler.compile(model, options)?;
            chaos::note(&artifact);
            Ok(artifact)
        };
        match self {
            Executor::Reference(_, step) => {
                let (lowered, _) = compiler.lower(model, options, step)?;
                Ok(Program::Lowered(Box::new((OpRegistry::standard(), lowered))))
            }
            Executor::Jit(_) => Ok(Program::Native(compile()?.load()?, None)),
            Executor::Library(_) => {
                let folder = tempfile::tempdir()?;
                let path = folder.path().join("model.so");
                compile()?.write_library(&path)?;
                Ok(Program::Native(Library::open(&path)?, Some(folder)))
            }
        }
    }
}

/// A model that can be run.
#[derive(Debug)]
pub enum Program {
    /// Interpreted.
    Lowered(Box<(OpRegistry, Lowered)>),
    /// Code. The folder keeps the library's file.
    Native(Library, #[allow(dead_code, reason = "dropped after the library")] Option<tempfile::TempDir>),
}

impl Program {
    /// Its outputs for the inputs of a reference.
    ///
    /// # Errors
    /// What running says.
    pub fn run(&self, reference: &Reference) -> Result<Expected> {
        match self {
            Program::Lowered(it) => interpret(&it.0, &it.1, reference),
            Program::Native(library, _) => {
                let signature = library.signature();
                let function = signature.function("main").context("the library has no function `main`")?;
                let names = function.inputs.iter().map(|it| it.name.as_str());
                let mut inputs: Vec<_> =
                    ordered(reference, names)?.iter().map(tensors::to_runtime).collect::<Result<_>>()?;
                let outputs = library.run_in_place(&mut inputs)?;
                let names = function.outputs.iter().map(|it| it.name.clone());
                // State is left where it was.
                let states = function.inputs.iter().zip(&inputs);
                let states = states.filter_map(|(it, tensor)| Some((it.becomes.clone()?, tensor)));
                let found = names.zip(&outputs).chain(states);
                found.map(|(name, it)| Ok((name, tensors::from_runtime(it)?))).collect()
            }
        }
    }
}

fn interpret(ops: &OpRegistry, lowered: &Lowered, reference: &Reference) -> Result<Expected> {
    match lowered {
        Lowered::Graph(graph) => {
            let names = graph.inputs().iter().map(|id| match &graph[*id].kind {
                orogen_ir::graph::NodeKind::Input { name, .. } => name.as_str(),
                _ => "",
            });
            let outputs = eval_graph(ops, graph, &ordered(reference, names)?)?;
            Ok(graph.outputs().iter().map(|it| it.0.clone()).zip(outputs).collect())
        }
        Lowered::Flow(module) => {
            let (name, function) = module.entry().context("the module has no function")?;
            let names = function.params().iter().map(|it| it.name.as_str());
            let args: Vec<Value> = ordered(reference, names)?.into_iter().map(Value::from).collect();
            let outputs = eval_function(ops, module, name, &args)?;
            let names = function.outputs().iter().filter(|it| !it.gives_rank).map(|it| it.name.clone());
            names
                .zip(&outputs)
                .map(|(name, it)| Ok((name, it.as_tensor().context("an output is no tensor")?.clone())))
                .collect()
        }
        Lowered::Plan(plans) => {
            let plan = plans.entry().context("the module has no function")?;
            let names = plan.inputs.iter().map(|it| it.name.as_str());
            let outputs = eval_plans(plans, &plan.name, &ordered(reference, names)?)?;
            Ok(plan.outputs.iter().map(|it| it.name.clone()).zip(outputs).collect())
        }
    }
}

fn ordered<'a>(reference: &Reference, names: impl Iterator<Item = &'a str>) -> Result<Vec<TensorData>> {
    names
        .map(|name| reference.inputs.get(name).cloned().ok_or_else(|| anyhow!("no input is called `{name}`")))
        .collect()
}

/// Sizes of the dynamic dimensions of a model, read off the inputs of a reference.
fn dims(model: &Model, reference: &Reference) -> Result<Vec<(String, u64)>> {
    let options = CompileOptions {
        opt_in: OptIn::DataflowIr,
        entry: Entry::Above(Step::Import),
        ..CompileOptions::default()
    };
    let (Lowered::Flow(module), _) = Compiler::standard().lower(model, &options, Step::Import)? else {
        bail!("importing gave no dataflow module");
    };
    let (_, function) = module.entry().context("the module has no function")?;
    let mut sizes = IndexMap::new();
    for parameter in function.params() {
        let ty = function[parameter.value].ty.as_tensor().and_then(|it| it.dims());
        let given = reference.inputs.get(&parameter.name).map(TensorData::dims);
        for (dim, size) in ty.unwrap_or_default().iter().zip(given.unwrap_or_default()) {
            if let Some(symbol) = module.shapes.as_sym(*dim) {
                sizes.insert(module.shapes.name(symbol).to_string(), *size);
            }
        }
    }
    Ok(sizes.into_iter().collect())
}
