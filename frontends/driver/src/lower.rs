//! From a model to a call plan, on either path.

use crate::check::CheckValues;
use crate::frontend::{ImportOptions, ImportReport};
use crate::options::MAIN;
use crate::{CompileOptions, Compiler, Entry, Model, OptIn};
use orogen_ir::choices::Choices;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{self, Module};
use orogen_ir::graph::{self, Graph, GraphBuilder, OPT_IN_HELP};
use orogen_ir::ops::{Budget, Defaulted, Folding, InputDefaults, Limits, OpRegistry};
use orogen_ir::plan::{PlanModule, Proof, print_plans};
use orogen_ir::text::Numbering;
use orogen_ir::types::ConstPool;
use orogen_passes::bridge;
use orogen_passes::manager::{
    self, Held, Instrument, Ir, IrRef, PassCx, PassRecord, Pipeline, Report, Step, Verify,
};
use orogen_passes::registry::PLAN_MEMORY;
use std::any::Any;
use std::time::{Duration, Instant};

/// A model on its way down.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for each compilation")]
pub enum Lowered {
    /// On the legacy graph.
    Graph(Graph),
    /// On the dataflow-block IR.
    Flow(Module),
    /// The shared bottom.
    Plan(PlanModule),
}

/// A copy of a program that passes go on with.
impl From<IrRef<'_>> for Lowered {
    fn from(ir: IrRef<'_>) -> Self {
        match ir {
            IrRef::Graph(it) => Lowered::Graph(it.clone()),
            IrRef::Flow(it) => Lowered::Flow(it.clone()),
        }
    }
}

impl Lowered {
    /// The constants, where there is a place for any.
    pub fn constants(&self) -> Option<&ConstPool> {
        match self {
            Lowered::Graph(it) => Some(&it.constants),
            Lowered::Flow(it) => Some(&it.constants),
            Lowered::Plan(it) => it.constants(),
        }
    }

    /// The text form.
    pub fn print(&self, ops: &OpRegistry) -> String {
        match self {
            Lowered::Graph(graph) => Ir::print(graph, ops),
            Lowered::Flow(module) => Ir::print(module, ops),
            Lowered::Plan(plans) => print_plans(plans),
        }
    }

    /// The text form with names that passes keep, to be compared with that of another step.
    pub fn print_stable(&self, ops: &OpRegistry) -> String {
        match self {
            Lowered::Graph(graph) => graph::text::print_numbered(graph, ops, Numbering::Stable),
            Lowered::Flow(module) => flow::text::print_numbered(module, ops, Numbering::Stable),
            Lowered::Plan(plans) => print_plans(plans),
        }
    }
}

/// What lowering did.
#[derive(Default)]
pub struct LowerReport {
    /// What the importer saw.
    pub import: ImportReport,
    /// The step above which the model entered the dataflow IR, `None` when it did not.
    pub entered: Option<Step>,
    /// Passes that ran.
    pub passes: Report,
    /// Remarks for the user.
    pub remarks: Vec<Diagnostic>,
    /// What passes say of themselves, each with its name.
    pub notes: Vec<(&'static str, String)>,
    /// The choices that were made; all are the usual ones unless [`Builder::chaos`](crate::Builder::chaos) was asked for.
    pub choices: Choices,
    /// What was shown of the plans, once there are any.
    pub proof: Proof,
    /// What took time, in the order in which it ran. Reported only, nothing depends on it.
    pub parts: Vec<Part>,
    pub(crate) instruments: Vec<Box<dyn Instrument>>,
}

/// A part of a compilation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What was done.
    pub name: String,
    /// How long it took.
    pub time: Duration,
}

impl LowerReport {
    /// Notes what something took that began then.
    pub(crate) fn took(&mut self, name: &str, since: Instant) {
        self.parts.push(Part { name: name.to_owned(), time: since.elapsed() });
    }

    /// Adds passes that ran.
    pub(crate) fn ran(&mut self, passes: Report) {
        let part = |it: &PassRecord| Part { name: format!("pass {} ({})", it.name, it.step), time: it.time };
        self.parts.extend(passes.passes.iter().map(part));
        self.passes.passes.extend(passes.passes);
    }

    /// The first instrument of this type, as the compilation left it.
    pub fn instrument<I: Instrument>(&self) -> Option<&I> {
        self.instruments.iter().find_map(|it| (&**it as &dyn Any).downcast_ref())
    }
}

impl std::fmt::Debug for LowerReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LowerReport")
            .field("import", &self.import)
            .field("entered", &self.entered)
            .field("passes", &self.passes)
            .field("remarks", &self.remarks)
            .finish_non_exhaustive()
    }
}

/// See [`Compiler::lower`]; with instruments that are called before those of the compiler.
pub(crate) fn lower(
    compiler: &Compiler,
    model: &Model,
    options: &CompileOptions,
    last: Step,
    mut instruments: Vec<Box<dyn Instrument>>,
) -> Result<(Lowered, LowerReport), Diagnostics> {
    if options.opt_in == OptIn::DataflowIr {
        flow::available()?;
    }
    if options.verify {
        instruments.push(Box::new(Verify));
        instruments.push(Box::new(CheckValues::default()));
    }
    instruments.extend(compiler.instruments.iter().map(|make| make()));
    let mut cx = PassCx::new(&compiler.ops).with_accuracy(options.accuracy).verifying(options.verify);
    cx.choices = compiler.choices.clone();
    let report = LowerReport { instruments, ..LowerReport::default() };
    let mut run = Run { compiler, model, options, last, cx, report, defaults: InputDefaults::default() };
    let lowered = run.model()?;
    run.report.remarks = run.cx.remarks;
    run.report.notes = run.cx.notes;
    run.report.choices = run.cx.choices;
    run.report.remarks.extend(run.cx.folding.budget.remark());
    Ok((lowered, run.report))
}

/// One model on its way down.
struct Run<'c> {
    compiler: &'c Compiler,
    model: &'c Model,
    options: &'c CompileOptions,
    last: Step,
    cx: PassCx<'c>,
    report: LowerReport,
    /// What becomes of inputs with a default in the version that is lowered.
    defaults: InputDefaults,
}

impl<'c> Run<'c> {
    /// A model whose inputs have defaults is lowered twice: once for calls that leave all of them as they are, with constants
    /// in their place as if nobody could override them; and once for all calls.
    fn model(&mut self) -> Result<Lowered, Diagnostics> {
        let fixed = self.version(&self.with_state())?;
        let explicit = !self.options.overridden.is_empty();
        if self.report.import.defaults.is_empty() && !explicit {
            return Ok(fixed);
        }
        let report = (self.report.import.clone(), self.report.entered);
        match self.overridable() {
            Ok(open) if explicit || !self.report.import.optional.is_empty() => {
                self.cx.remarks.extend(fixed_inputs(&self.report.import.defaults));
                match (open, fixed) {
                    (Lowered::Plan(mut open), Lowered::Plan(fixed)) => {
                        open.add_version_at_defaults(fixed);
                        self.sound(open)
                    }
                    (open, _) => Ok(open),
                }
            }
            Err(found) if explicit => Err(found),
            result => {
                (self.report.import, self.report.entered) = report;
                let why = result.err().and_then(|it| it.0.into_iter().next());
                let remark = fixed_inputs(&self.report.import.defaults);
                self.cx.remarks.extend(remark.map(|it| match why {
                    Some(why) => it.note(format!("with inputs in their place: {}", why.message)),
                    None => it,
                }));
                Ok(fixed)
            }
        }
    }

    /// The version for calls that may override defaults.
    fn overridable(&mut self) -> Result<Lowered, Diagnostics> {
        let mut defaults = self.with_state();
        defaults.others_optional = true;
        for name in &self.options.overridden {
            defaults.chosen.insert(name.clone(), Defaulted::Optional);
        }
        loop {
            let lowered = self.version(&defaults);
            let decided = std::mem::take(&mut *defaults.decided.borrow_mut());
            if decided.is_empty() {
                return lowered;
            }
            // What is a constant from now on is asked for no more, so this ends.
            defaults.chosen.extend(decided.into_iter().map(|it| (it, Defaulted::Constant)));
        }
    }

    /// State is memory of the caller, so it is given.
    fn with_state(&self) -> InputDefaults {
        let states = self.options.states.iter().map(|it| (it.input.clone(), Defaulted::Required));
        InputDefaults { chosen: states.collect(), ..InputDefaults::default() }
    }

    /// The model with these defaults for its inputs.
    fn version(&mut self, defaults: &InputDefaults) -> Result<Lowered, Diagnostics> {
        self.defaults = defaults.clone();
        if let Some(program) = self.program()? {
            return self.lowered(program);
        }
        match (self.options.opt_in, self.options.entry) {
            (OptIn::Legacy, _) => {
                let graph = self.import_graph(true).map_err(|found| ways_out(found, self.model, None))?;
                self.graph(graph)
            }
            (OptIn::DataflowIr, entry) => self.entering(entry),
        }
    }

    /// A model that opted in.
    fn entering(&mut self, entry: Entry) -> Result<Lowered, Diagnostics> {
        let (line, asked) = match entry {
            // A test holds that the ledger has a waterline (law A1).
            Entry::Ledger => (bridge::waterline(bridge::LEDGER).unwrap_or(Step::Codegen), false),
            Entry::Above(line) => (line, true),
        };
        bridge::admit(bridge::LEDGER, line)?;
        if line == Step::Import {
            return self.native();
        }
        // The dataflow IR holds loops, so without being asked nothing is unrolled to fit the graph.
        match self.import_graph(asked) {
            Ok(graph) => self.translated(graph, line),
            Err(found) if asked => Err(ways_out(found, self.model, Some(line))),
            // The dataflow IR is the last one that the model can be in, so it has the last word.
            Err(_) => self.native(),
        }
    }

    /// The model, when it is a program of an IR already.
    fn program(&mut self) -> Result<Option<Lowered>, Diagnostics> {
        let folding = self.folding();
        let options = self.import_options(&folding.budget);
        let frontend = self.compiler.frontends.of(self.model)?;
        let Some(program) = frontend.program(&self.model.content, &options, &self.compiler.ops) else {
            return Ok(None);
        };
        let (program, report) = program?;
        self.report.import = report;
        options.budget.raise(program.constants().map(in_proportion).unwrap_or_default());
        Ok(Some(program))
    }

    /// A program goes on in its own IR, or is translated where the options say.
    fn lowered(&mut self, program: Lowered) -> Result<Lowered, Diagnostics> {
        let line = match (self.options.opt_in, self.options.entry) {
            (OptIn::Legacy, _) => None,
            (OptIn::DataflowIr, Entry::Ledger) => bridge::waterline(bridge::LEDGER).ok(),
            (OptIn::DataflowIr, Entry::Above(line)) => {
                bridge::admit(bridge::LEDGER, line)?;
                Some(line)
            }
        };
        self.cx.held = match &program {
            Lowered::Graph(it) => Some(Held::of(it.as_ir(), &self.compiler.ops)),
            Lowered::Flow(it) => Some(Held::of(it.as_ir(), &self.compiler.ops)),
            Lowered::Plan(_) => None,
        };
        match (program, line) {
            (Lowered::Graph(graph), None) => self.graph(graph),
            (Lowered::Graph(graph), Some(line)) => self.translated(graph, line),
            (Lowered::Flow(_), None) => {
                let message = "the model is a module of the dataflow IR, which the legacy path does not hold";
                let found = Diagnostic::error("D019", message).help(OPT_IN_HELP);
                Err(ways_out(found.into(), self.model, None))
            }
            (Lowered::Flow(_), Some(line)) if line > Step::Import && self.options.entry != Entry::Ledger => {
                let message = format!(
                    "the model is a module of the dataflow IR: there is nothing to translate at `{line}`"
                );
                Err(Diagnostic::error("D019", message).help("leave `--waterline` out").into())
            }
            (Lowered::Flow(module), Some(_)) => {
                self.report.entered = Some(Step::Import);
                let (_, on_flow) = self.pipelines(Step::Import)?;
                self.flow(module, &on_flow)
            }
            (Lowered::Plan(plans), _) => self.sound(plans),
        }
    }

    /// The legacy path.
    fn graph(&mut self, mut graph: Graph) -> Result<Lowered, Diagnostics> {
        let (on_graph, _) = self.pipelines(Step::Codegen)?;
        self.graph_passes(&mut graph, &on_graph)?;
        if self.last < Step::PlanMemory {
            return Ok(Lowered::Graph(graph));
        }
        self.ready_to_plan()?;
        let start = Instant::now();
        let (states, choices) = (&self.options.states, &mut self.cx.choices);
        let plan = orogen_passes::graph::plan_memory_with(&graph, MAIN, states, choices)?;
        self.report.took("plan-memory", start);
        self.sound(plan.into())
    }

    /// The steps above `line` on the legacy graph, the rest on the dataflow IR.
    fn translated(&mut self, mut graph: Graph, line: Step) -> Result<Lowered, Diagnostics> {
        // Memory planning is the last step on an IR, so with a line below it there is nothing to translate.
        if line > Step::PlanMemory {
            return self.graph(graph);
        }
        let (on_graph, on_flow) = self.pipelines(line)?;
        self.graph_passes(&mut graph, &on_graph)?;
        if self.last < line {
            return Ok(Lowered::Graph(graph));
        }
        let start = Instant::now();
        let module = bridge::translate(&graph, &self.compiler.ops)?;
        self.report.took("translate", start);
        self.report.entered = Some(line);
        self.verified("the translation", &module)?;
        self.flow(module, &on_flow)
    }

    /// The dataflow path from the top.
    fn native(&mut self) -> Result<Lowered, Diagnostics> {
        let folding = self.folding();
        let options = self.import_options(&folding.budget);
        let frontend = self.compiler.frontends.of(self.model)?;
        let start = Instant::now();
        let (ops, content, report) = (&self.compiler.ops, &self.model.content, &mut self.report.import);
        let module = Module::build(ops, &self.model.name, folding, |builder| {
            *report = frontend.import_flow(content, &options, builder)?;
            Ok(())
        })?;
        self.report.took("import", start);
        self.report.entered = Some(Step::Import);
        options.budget.raise(in_proportion(&module.constants));
        self.verified("the importer", &module)?;
        self.cx.held = Some(Held::default());
        let (_, on_flow) = self.pipelines(Step::Import)?;
        self.flow(module, &on_flow)
    }

    fn flow(&mut self, mut module: Module, pipeline: &Pipeline<Module>) -> Result<Lowered, Diagnostics> {
        let (last, instruments) = (self.last, &mut self.report.instruments);
        let ran = pipeline.run(&mut module, &mut self.cx, instruments, |step| step <= last)?;
        self.report.ran(ran);
        if last < Step::PlanMemory {
            return Ok(Lowered::Flow(module));
        }
        self.ready_to_plan()?;
        let start = Instant::now();
        let (states, choices) = (&self.options.states, &mut self.cx.choices);
        let plans = orogen_passes::flow::plan_memory_with(&self.compiler.ops, &module, states, choices)?;
        self.report.took("plan-memory", start);
        self.sound(plans)
    }

    /// What the compilation may spend from here on, for the builder, the importer and the passes.
    fn folding(&mut self) -> Folding<'c> {
        let budget = Budget::new(self.options.budget);
        self.cx.folding = Folding { evaluator: Some(&self.compiler.evaluator), budget };
        self.cx.folding.clone()
    }

    fn import_graph(&mut self, unroll: bool) -> Result<Graph, Diagnostics> {
        let folding = self.folding();
        let options = self.import_options(&folding.budget);
        let builder = GraphBuilder::new(&self.compiler.ops, &self.model.name).with_folding(folding);
        let mut builder = if unroll { builder } else { builder.without_unrolling() };
        let start = Instant::now();
        let frontend = self.compiler.frontends.of(self.model)?;
        self.report.import = frontend.import_graph(&self.model.content, &options, &mut builder)?;
        let graph = builder.finish()?;
        self.report.took("import", start);
        options.budget.raise(in_proportion(&graph.constants));
        self.verified("the importer", &graph)?;
        self.cx.held = Some(Held::default());
        Ok(graph)
    }

    /// The passes above a step on the legacy graph, and the rest on the dataflow IR, which fit together.
    fn pipelines(&self, line: Step) -> Result<(Pipeline<Graph>, Pipeline<Module>), Diagnostics> {
        let (compiler, accuracy) = (self.compiler, self.options.accuracy);
        let on_graph = compiler.pipeline::<Graph>(accuracy, self.options.cpu, |it| it < line)?;
        let on_flow = compiler.pipeline::<Module>(accuracy, self.options.cpu, |it| it >= line)?;
        let planned = (self.last >= Step::PlanMemory).then(|| PLAN_MEMORY.info());
        let passes = on_graph.passes().chain(on_flow.passes()).chain(planned);
        compiler.passes.check_order(passes, self.cx.held.clone().unwrap_or_default())?;
        Ok((on_graph, on_flow))
    }

    /// Whether memory can be planned of what passes left, also those that do not say what they destroy.
    fn ready_to_plan(&self) -> Result<(), Diagnostics> {
        Ok(self.cx.held.as_ref().map_or(Ok(()), |it| it.admit(PLAN_MEMORY.info()))?)
    }

    /// The passes of the legacy graph, down to the last step that is asked for.
    fn graph_passes(&mut self, graph: &mut Graph, pipeline: &Pipeline<Graph>) -> Result<(), Diagnostics> {
        let (last, instruments) = (self.last, &mut self.report.instruments);
        let ran = pipeline.run(graph, &mut self.cx, instruments, |step| step <= last)?;
        self.report.ran(ran);
        Ok(())
    }

    fn import_options(&self, budget: &Budget) -> ImportOptions {
        ImportOptions {
            dims: self.options.dims.iter().cloned().collect(),
            defaults: self.defaults.clone(),
            values: self.options.values.iter().cloned().collect(),
            budget: budget.clone(),
        }
    }

    /// Plans that keep their laws. What is checked at run time is told to who asks for all checks.
    fn sound(&mut self, mut plans: PlanModule) -> Result<Lowered, Diagnostics> {
        let start = Instant::now();
        self.report.proof = prove(&mut plans)?;
        self.report.took("proof of the plan", start);
        if self.options.verify {
            self.cx.remarks.extend(self.report.proof.checked.iter().cloned());
        }
        for instrument in &mut self.report.instruments {
            instrument.planned(&plans, &self.compiler.ops)?;
        }
        Ok(Lowered::Plan(plans))
    }

    /// Checks all laws of an IR that no pass has seen yet, when the user asks for it.
    fn verified<I: Ir>(&self, maker: &str, ir: &I) -> Result<(), Diagnostics> {
        if self.options.verify { manager::verify_after(ir, maker, &self.compiler.ops) } else { Ok(()) }
    }
}

/// What may be spent beyond the limits because the model has so many bytes of weights: they may be converted, transposed
/// and joined a few times.
pub(crate) fn in_proportion(weights: &ConstPool) -> Limits {
    let bytes = weights.ids().fold(0u64, |sum, id| sum.saturating_add(weights.data(id).bytes().len() as u64));
    Limits { bytes: bytes.saturating_mul(16), operations: bytes.saturating_mul(16), nodes: 0 }
}

/// A remark on inputs of the file that the library does not take.
fn fixed_inputs(names: &[String]) -> Option<Diagnostic> {
    let first = names.first()?;
    let message = match names.len() {
        1 => format!("input `{first}` keeps the value that the file gives it"),
        n => format!("{n} inputs keep the values that the file gives them, the first is `{first}`"),
    };
    let help = format!("`--override {first}` lets a caller override it");
    Some(Diagnostic::remark("D015", message).help(help))
}

/// What is shown of plans that keep their laws, as their kernels do; what is not shown, they check at run time. This is
/// always done: what is generated from a plan is not checked, so a wrong plan would be wrong code.
pub(crate) fn prove(plans: &mut PlanModule) -> Result<Proof, Diagnostics> {
    orogen_ir::plan::prove_module(plans)
        .map_err(|found| manager::defect("memory planning left the call plan invalid", found))
}

/// Makes the way out of the legacy path exact: the line for this model, and nothing that was done already.
fn ways_out(mut found: Diagnostics, model: &Model, waterline: Option<Step>) -> Diagnostics {
    for help in found.0.iter_mut().filter_map(|it| it.help.as_mut()) {
        if flow::available().is_err() {
            *help = help.replace(OPT_IN_HELP, "build the compiler with its feature `dataflow-ir` and opt in");
        } else if let Some(step) = waterline {
            let here = format!(
                "leave `--waterline {}` out, which runs the steps above it on this graph",
                step.name()
            );
            *help = help.replace(OPT_IN_HELP, &here);
        } else if !model.file.contains(|it: char| it.is_control() || it == '"' || it == '\\') {
            *help = help.replace("[models.\"NAME\"]", &format!("[models.\"{}\"]", model.file));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use orogen_ir::plan::parse_plan;

    #[test]
    fn a_wrong_plan_is_an_error() {
        let text = "plan @main {
  size n
  in x: f32[n]
  out y: f32[n]
  from n = %in0[0]
  arena 64
  slot %s0: f32[16] = ^0[0]
  steps {
    alloc ^0
    alloc %out0
    copy %in0 to %s0; 4*n
    copy %s0 to %out0; 4*n
  }
}
";
        let plan = |text: &str| parse_plan(text, &ConstPool::default()).expect("a plan");
        let found = prove(&mut plan(text).into()).expect_err("the slot is too small");
        let codes: Vec<&str> = found.iter().map(|it| it.code).collect();
        assert_eq!(codes, ["V001", "P005", "P005"], "{found}");
        assert!(found.to_string().contains("memory planning left the call plan invalid"), "{found}");
        let good = text.replace("arena 64", "arena 64*n").replace("f32[16]", "f32[n]");
        let proof = prove(&mut plan(&good).into()).expect("lawful");
        assert!(proof.is_whole() && proof.count().asked > 5, "{proof}");
    }
}
