//! What squares are checked on.

use crate::generate::{self, Sample};
use anyhow::{Context, Result, bail};
use orogen::{CompileOptions, Compiler, Entry, Lowered, Model, OptIn, ReferenceEvaluator, Step};
use orogen_ir::flow::Module;
use orogen_ir::graph::Graph;
use orogen_ir::ops::{Budget, Folding, Limits};
use orogen_ir::types::TensorData;

/// A program as both importers leave it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What it is called in errors.
    pub name: String,
    /// By the legacy importer.
    pub graph: Graph,
    /// By the importer of the dataflow IR.
    pub module: Module,
    /// One tensor for each input, for programs that the interpreter evaluates.
    pub inputs: Option<Vec<TensorData>>,
    /// See [`Sample::is_tame`].
    pub is_tame: bool,
    /// What differs between the importers in what they say, if anything does.
    pub said: Option<String>,
}

impl Subject {
    /// The program of a seed. Every other one is built as users build theirs, with small constants computed at once; the
    /// others leave them to the passes.
    ///
    /// # Errors
    /// What a builder says of inputs and outputs; a generator that makes illegal ones is wrong.
    pub fn generated(compiler: &Compiler, seed: u64) -> Result<Subject> {
        let ops = compiler.ops();
        let folding = || match seed % 2 {
            0 => Folding { evaluator: Some(&ReferenceEvaluator), budget: Budget::new(Limits::default()) },
            _ => Folding::default(),
        };
        let sample: Sample = generate::sample(seed, ops, folding()).context("the legacy importer")?;
        let (module, events) =
            generate::module(&sample, ops, folding()).context("the importer of the dataflow IR")?;
        let differs = |(i, (a, b)): (usize, (&String, &String))| {
            (a != b).then(|| format!("step {i} is `{a}` for the graph and `{b}` for the dataflow IR"))
        };
        let said = sample.events.iter().zip(&events).enumerate().find_map(differs);
        let Sample { graph, inputs, is_tame, .. } = sample;
        Ok(Subject { name: format!("seed {seed}"), graph, module, inputs: Some(inputs), is_tame, said })
    }

    /// A model with its dynamic dimensions bound.
    ///
    /// # Errors
    /// A model that either importer refuses.
    pub fn model(compiler: &Compiler, model: &Model, dims: &[(String, u64)]) -> Result<Subject> {
        let options = |opt_in, entry| CompileOptions {
            opt_in,
            entry,
            dims: dims.to_vec(),
            verify: true,
            ..CompileOptions::default()
        };
        let lowered = |options| Ok::<_, anyhow::Error>(compiler.lower(model, &options, Step::Import)?.0);
        let Lowered::Graph(mut graph) = lowered(options(OptIn::Legacy, Entry::Ledger))? else {
            bail!("the legacy importer gave no graph");
        };
        let Lowered::Flow(mut module) = lowered(options(OptIn::DataflowIr, Entry::Above(Step::Import)))?
        else {
            bail!("the importer of the dataflow IR gave no module");
        };
        graph.prune();
        module.remove_dead_code(compiler.ops());
        Ok(Subject { name: String::new(), graph, module, inputs: None, is_tame: false, said: None })
    }
}
