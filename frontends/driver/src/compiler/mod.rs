//! The compiler: every table, pipeline and frontend that a compilation uses.

mod builder;
mod operator;

pub use builder::Builder;
pub use operator::Operator;

use crate::artifact::Artifact;
use crate::dataflow::AddedRules;
use crate::evaluator::ReferenceEvaluator;
use crate::frontend::{Frontends, Unsupported};
use crate::{CompileOptions, Cpu, LowerReport, Lowered, Model, targets};
use orogen_codegen::CodegenOptions;
use orogen_ir::choices::Choices;
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::Module;
use orogen_ir::graph::Graph;
use orogen_ir::ops::{Budget, Folding, Limits, OpRegistry};
use orogen_passes::manager::{
    Accuracy, Instrument, ListEdit, PassCall, PassCx, PassInfo, PassList, Pipeline, Report, Step,
};
use orogen_passes::registry::{self, PassRow, Passes};
use orogen_passes::rewrite::AnyRule;
use std::path::Path;

/// Makes an instrument for one compilation.
type InstrumentFactory = Box<dyn Fn() -> Box<dyn Instrument> + Send + Sync>;

/// A compiler. It does not change once it is built; several threads may compile with one.
///
/// [`orogen::compile`](crate::compile) is [`Compiler::standard`]; [`Compiler::builder`] adds to it.
pub struct Compiler {
    pub(crate) ops: OpRegistry,
    pub(crate) frontends: Frontends,
    pub(crate) passes: Passes,
    /// Rules that are text and not of ours.
    pub(crate) added: AddedRules,
    /// What a user said of which of them run.
    pub(crate) list: Option<PassList>,
    pub(crate) evaluator: ReferenceEvaluator,
    pub(crate) instruments: Vec<InstrumentFactory>,
    pub(crate) codegen: CodegenOptions,
    /// With which each compilation begins.
    pub(crate) choices: Choices,
}

impl Compiler {
    /// A compiler with what ships and nothing else.
    pub fn standard() -> Compiler {
        let built = Self::builder().build();
        built.unwrap_or_else(|found| panic!("what ships fits together: {found}"))
    }

    /// A compiler with what ships and more.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The operator table: text forms are printed and parsed with it.
    pub fn ops(&self) -> &OpRegistry {
        &self.ops
    }

    /// What models may be made of, and the operators of this compiler that serve it: a page of each frontend that has a
    /// list, in Markdown.
    pub fn operators_page(&self) -> String {
        self.frontends.operators(&self.ops).join("\n")
    }

    /// The rewrite rules, in the order they are tried, each with the pass that applies it: `simplify`, `layout`, or `explore`
    /// for those that are for equality saturation alone. That pass applies those of the others too.
    pub fn rules(&self) -> impl Iterator<Item = (&'static str, &AnyRule)> {
        self.passes.rules(&self.ops)
    }

    /// What is known of the passes of both paths, in order, whether they run or not.
    pub fn pass_rows(&self) -> Vec<PassRow> {
        self.passes.rows()
    }

    /// The passes that run on the legacy path, in order, with the default accuracy; none when they are listed and one of
    /// them is of the dataflow path alone.
    pub fn graph_passes(&self) -> impl Iterator<Item = PassInfo> + use<> {
        self.pipeline::<Graph>(Accuracy::Default, Cpu::Host, |_| true)
            .into_iter()
            .flat_map(|it| it.passes().collect::<Vec<_>>())
    }

    /// The passes that run on the dataflow path, in order, with the default accuracy; none when they are listed and one of
    /// them is of the legacy path alone.
    pub fn flow_passes(&self) -> impl Iterator<Item = PassInfo> + use<> {
        self.pipeline::<Module>(Accuracy::Default, Cpu::Host, |_| true)
            .into_iter()
            .flat_map(|it| it.passes().collect::<Vec<_>>())
    }

    /// A pass as the list of this compiler names it for a target, with its options.
    pub(crate) fn call_of(&self, name: &str, cpu: Cpu) -> String {
        let list = self.list_for(cpu);
        let calls = list.iter().flat_map(|it| it.0.iter().rev());
        let call = calls.into_iter().find(|it| it.name == name && it.edit != ListEdit::Drop);
        call.map_or_else(
            || name.to_owned(),
            |it| PassCall { edit: ListEdit::Append, ..it.clone() }.to_string(),
        )
    }

    /// Runs the passes of one step on a legacy graph, with the usual budget, and checks what they say of facts.
    ///
    /// # Errors
    /// What a pass says.
    pub fn graph_step(&self, graph: &mut Graph, step: Step) -> Result<Report, Diagnostics> {
        let pipeline = self.pipeline::<Graph>(Accuracy::Default, Cpu::Host, |it| it == step)?;
        pipeline.run(graph, &mut self.pass_cx(), &mut [], |_| true)
    }

    /// Runs the passes of one step on a module of the dataflow IR, with the usual budget, and checks what they say of facts.
    ///
    /// # Errors
    /// What a pass says.
    pub fn flow_step(&self, module: &mut Module, step: Step) -> Result<Report, Diagnostics> {
        let pipeline = self.pipeline::<Module>(Accuracy::Default, Cpu::Host, |it| it == step)?;
        pipeline.run(module, &mut self.pass_cx(), &mut [], |_| true)
    }

    /// The passes of these steps that run on a path.
    pub(crate) fn pipeline<I: registry::Path>(
        &self,
        accuracy: Accuracy,
        cpu: Cpu,
        steps: impl Fn(Step) -> bool,
    ) -> Result<Pipeline<I>, Diagnostics> {
        self.passes.pipeline(&self.ops, accuracy, self.list_for(cpu).as_ref(), steps)
    }

    /// What counts of the list of this compiler where code is made for these instructions.
    fn list_for(&self, cpu: Cpu) -> Option<PassList> {
        Some(targets::list_for(self.list.as_ref()?, &CodegenOptions { cpu, ..self.codegen.clone() }))
    }

    fn pass_cx(&self) -> PassCx<'_> {
        let folding = Folding { evaluator: Some(&self.evaluator), budget: Budget::new(Limits::default()) };
        PassCx::new(&self.ops).with_folding(folding).verifying(true)
    }

    /// Opens a model file with the first frontend that knows it.
    ///
    /// # Errors
    /// Files that cannot be read, and files that are no model; the message says what they seem to be.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Model, Diagnostics> {
        self.frontends.open(path.as_ref())
    }

    /// Decodes a model in memory. `name` is that of a file which it might have come from.
    ///
    /// # Errors
    /// See [`open`](Self::open).
    pub fn decode(&self, name: &str, bytes: Vec<u8>) -> Result<Model, Diagnostics> {
        self.frontends.decode(name, bytes)
    }

    /// What cannot be imported of a model, complete; empty when all can.
    ///
    /// # Errors
    /// A model that breaks the rules of its format.
    pub fn unsupported(&self, model: &Model) -> Result<Vec<Unsupported>, Diagnostics> {
        self.frontends.of(model)?.unsupported(&model.content)
    }

    /// Files that a model is made of and that cannot be read, each with the reason.
    pub fn missing_files(&self, model: &Model) -> Vec<String> {
        self.frontends.of(model).map_or_else(|_| Vec::new(), |it| it.missing_files(&model.content))
    }

    /// Imports and lowers a model up to and including step `last`.
    ///
    /// # Errors
    /// What is unsupported, what the chosen path cannot hold, and what is wrong with the model or the options. A plan that
    /// breaks a law is an error, whether [`CompileOptions::verify`] is set or not.
    pub fn lower(
        &self,
        model: &Model,
        options: &CompileOptions,
        last: Step,
    ) -> Result<(Lowered, LowerReport), Diagnostics> {
        crate::lower::lower(self, model, options, last, Vec::new())
    }

    /// Imports a model and runs passes on it by name, those named and no others, verifying after each. Names are items of a
    /// list, as [`Builder::passes`] takes one; `translate` takes a legacy graph to the dataflow IR, `plan-memory` ends with a
    /// plan. The IR is that which the options choose; a program of an IR is in its own.
    ///
    /// ```
    /// use orogen::prelude::*;
    ///
    /// let compiler = Compiler::standard();
    /// let text = "graph @g(%x: f32[2]) { %0 = relu(%x) %1 = relu(%x) %2 = add(%0, %1) return y = %2 }";
    /// let model = compiler.decode("g.graph", text.into())?;
    /// let (lowered, _) = compiler.run_passes(&model, &CompileOptions::default(), &["canonicalize"])?;
    /// assert!(lowered.print(compiler.ops()).contains("add(%0, %0)"));
    /// # Ok::<(), orogen::Diagnostics>(())
    /// ```
    ///
    /// # Errors
    /// As [`lower`](Self::lower). `N020`, `N021`: a pass that is not there, or not on the IR that the program is in. `N022`,
    /// `N023`: an order in which passes do not fit together.
    pub fn run_passes(
        &self,
        model: &Model,
        options: &CompileOptions,
        names: &[impl AsRef<str>],
    ) -> Result<(Lowered, LowerReport), Diagnostics> {
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        crate::opt::run_passes(self, model, options, &PassList::parse(&names.join(","))?)
    }

    /// Compiles a model.
    ///
    /// # Errors
    /// See [`lower`](Self::lower); and what the target cannot do. With [`CompileOptions::verify`], `N015`: a rule that was
    /// added as text and is wrong.
    pub fn compile(&self, model: &Model, options: &CompileOptions) -> Result<Artifact, Diagnostics> {
        crate::artifact::compile(self, model, options)
    }
}

impl std::fmt::Debug for Compiler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiler")
            .field("passes", &self.passes)
            .field("list", &self.list)
            .finish_non_exhaustive()
    }
}
