//! From a model to a call plan, on either path.

use crate::{CompileOptions, Model, OptIn, ReferenceEvaluator};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{FlowBuilder, Module};
use orogen_ir::graph::{Graph, GraphBuilder, OPT_IN_HELP};
use orogen_ir::ops::{OpRegistry, OpSink};
use orogen_ir::plan::{CallPlan, print_plan};
use orogen_onnx::ImportReport;
use orogen_passes::bridge;
use orogen_passes::manager::{Ir, PassCx, Pipeline, Report, Step, Verify};
use orogen_passes::rules::legalize::LegalizeTable;
use orogen_passes::{flow, graph};

/// The function that a model becomes.
const MAIN: &str = "main";

/// A model on its way down.
#[derive(Clone, Debug)]
pub enum Lowered {
    /// On the legacy graph.
    Graph(Graph),
    /// On the dataflow-block IR.
    Flow(Module),
    /// The shared bottom.
    Plan(CallPlan),
}

impl Lowered {
    /// The text form.
    pub fn print(&self, ops: &OpRegistry) -> String {
        match self {
            Lowered::Graph(graph) => Ir::print(graph, ops),
            Lowered::Flow(module) => Ir::print(module, ops),
            Lowered::Plan(plan) => print_plan(plan).text,
        }
    }
}

/// What lowering did.
#[derive(Clone, Debug, Default)]
pub struct LowerReport {
    /// What the importer saw.
    pub import: ImportReport,
    /// Passes that ran.
    pub passes: Report,
    /// Remarks for the user.
    pub remarks: Vec<Diagnostic>,
}

/// The passes of the legacy path, in order.
pub fn graph_pipeline(ops: &OpRegistry, verify: bool) -> Pipeline<Graph> {
    let pipeline = Pipeline::default()
        .pass(graph::Canonicalize)
        .pass(graph::FoldConstants)
        .pass(graph::ApplyRules::simplify())
        .pass(graph::ApplyRules::layout())
        .pass(graph::Legalize::new(LegalizeTable::standard(ops)))
        .pass(graph::Fuse);
    if verify { pipeline.instrument(Verify) } else { pipeline }
}

/// The passes of the dataflow path, in order.
pub fn flow_pipeline(ops: &OpRegistry, verify: bool) -> Pipeline<Module> {
    let pipeline = Pipeline::default()
        .pass(flow::Canonicalize)
        .pass(flow::FoldConstants)
        .pass(flow::ApplyRules::simplify())
        .pass(flow::ApplyRules::layout())
        .pass(flow::Legalize::new(LegalizeTable::standard(ops)))
        .pass(flow::Fuse);
    if verify { pipeline.instrument(Verify) } else { pipeline }
}

/// Imports and lowers a model up to and including step `last`.
///
/// # Errors
/// What is unsupported, what the chosen path cannot hold, and what is wrong with the model or the options.
pub fn lower(
    model: &Model,
    options: &CompileOptions,
    ops: &OpRegistry,
    last: Step,
) -> Result<(Lowered, LowerReport), Diagnostics> {
    let mut report = LowerReport::default();
    let evaluator = ReferenceEvaluator;
    let mut cx = PassCx::new(ops).with_evaluator(&evaluator);
    let waterline = match options.opt_in {
        OptIn::Legacy => None,
        OptIn::DataflowIr => Some(options.waterline.unwrap_or(Step::Import)),
    };
    let module = match waterline {
        Some(Step::Import) => {
            let mut builder = FlowBuilder::new(ops, &model.name);
            report.import = import(model, options, &mut builder)?;
            builder.finish()?
        }
        _ => {
            let mut builder = GraphBuilder::new(ops, &model.name);
            let built = import(model, options, &mut builder).and_then(|it| Ok((it, builder.finish()?)));
            let (import, mut graph) = built.map_err(|found| ways_out(found, model, waterline))?;
            report.import = import;
            let above = |step: Step| step <= last && waterline.is_none_or(|line| step < line);
            report.passes = graph_pipeline(ops, options.verify).run(&mut graph, &mut cx, above)?;
            match waterline {
                None if last < Step::PlanMemory => return finish(Lowered::Graph(graph), report, cx),
                None => {
                    let plan = graph::plan_memory(&graph, MAIN)?;
                    return finish(Lowered::Plan(plan), report, cx);
                }
                // Memory planning is the last step above the line of code generation.
                Some(Step::Codegen) if last >= Step::PlanMemory => {
                    let plan = graph::plan_memory(&graph, MAIN)?;
                    return finish(Lowered::Plan(plan), report, cx);
                }
                Some(line) if last < line => return finish(Lowered::Graph(graph), report, cx),
                Some(_) => bridge::translate(&graph, ops)?,
            }
        }
    };
    let mut module = module;
    let below = |step: Step| step <= last && waterline.is_some_and(|line| step >= line);
    let passes = flow_pipeline(ops, options.verify).run(&mut module, &mut cx, below)?;
    report.passes.passes.extend(passes.passes);
    if last < Step::PlanMemory {
        return finish(Lowered::Flow(module), report, cx);
    }
    let plan = flow::plan_memory(&module, MAIN)?;
    finish(Lowered::Plan(plan), report, cx)
}

/// Makes the way out of the legacy path exact: the line for this model, and nothing that was done already.
fn ways_out(mut found: Diagnostics, model: &Model, waterline: Option<Step>) -> Diagnostics {
    for help in found.0.iter_mut().filter_map(|it| it.help.as_mut()) {
        if let Some(step) = waterline {
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

fn finish(
    lowered: Lowered,
    mut report: LowerReport,
    cx: PassCx<'_>,
) -> Result<(Lowered, LowerReport), Diagnostics> {
    report.remarks = cx.remarks;
    Ok((lowered, report))
}

fn import<S: OpSink>(
    model: &Model,
    options: &CompileOptions,
    sink: &mut S,
) -> Result<ImportReport, Diagnostics> {
    let mut import = orogen_onnx::Options::default();
    for (name, size) in &options.dims {
        import = import.with_dim(name, *size);
    }
    orogen_onnx::import(&model.onnx, &import, sink)
}
