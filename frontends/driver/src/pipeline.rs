//! From a model to a call plan, on either path.

use crate::{CompileOptions, Model, OptIn, ReferenceEvaluator};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{FlowBuilder, Module};
use orogen_ir::graph::{Graph, GraphBuilder, OPT_IN_HELP};
use orogen_ir::ops::{OpRegistry, OpSink};
use orogen_ir::plan::{CallPlan, print_plan};
use orogen_onnx::ImportReport;
use orogen_passes::bridge;
use orogen_passes::manager::{self, Ir, PassCx, Pipeline, Report, Step, Verify};
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
/// What is unsupported, what the chosen path cannot hold, and what is wrong with the model or the options. A plan that
/// breaks a law is an error, whether [`CompileOptions::verify`] is set or not.
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
            let module = builder.finish()?;
            verified(options, "the importer", &module, ops)?;
            module
        }
        _ => {
            let mut builder = GraphBuilder::new(ops, &model.name);
            let built = import(model, options, &mut builder).and_then(|it| Ok((it, builder.finish()?)));
            let (import, mut graph) = built.map_err(|found| ways_out(found, model, waterline))?;
            report.import = import;
            verified(options, "the importer", &graph, ops)?;
            let above = |step: Step| step <= last && waterline.is_none_or(|line| step < line);
            report.passes = graph_pipeline(ops, options.verify).run(&mut graph, &mut cx, above)?;
            match waterline {
                None if last < Step::PlanMemory => return finish(Lowered::Graph(graph), report, cx),
                None => return finish(Lowered::Plan(sound(graph::plan_memory(&graph, MAIN)?)?), report, cx),
                // Memory planning is the last step above the line of code generation.
                Some(Step::Codegen) if last >= Step::PlanMemory => {
                    return finish(Lowered::Plan(sound(graph::plan_memory(&graph, MAIN)?)?), report, cx);
                }
                Some(line) if last < line => return finish(Lowered::Graph(graph), report, cx),
                Some(_) => {
                    let module = bridge::translate(&graph, ops)?;
                    verified(options, "the translation", &module, ops)?;
                    module
                }
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
    finish(Lowered::Plan(sound(flow::plan_memory(&module, MAIN)?)?), report, cx)
}

/// Checks all laws of an IR that no pass has seen yet, when the user asks for it.
fn verified<I: Ir>(
    options: &CompileOptions,
    after: &str,
    ir: &I,
    ops: &OpRegistry,
) -> Result<(), Diagnostics> {
    if options.verify { manager::verify_after(ir, after, ops) } else { Ok(()) }
}

/// A plan that keeps its laws, and so do its kernels. This is always checked: what is generated from a plan is not, so a
/// wrong plan would be wrong code.
fn sound(plan: CallPlan) -> Result<CallPlan, Diagnostics> {
    orogen_ir::plan::verify(&plan)
        .map_err(|found| manager::defect("memory planning left the call plan invalid", found))?;
    Ok(plan)
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

#[cfg(test)]
mod tests {
    use super::*;
    use orogen_ir::plan::parse_plan;
    use orogen_ir::types::ConstPool;

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
        let found = sound(plan(text)).expect_err("the slot is too small");
        let codes: Vec<&str> = found.iter().map(|it| it.code).collect();
        assert_eq!(codes, ["V001", "P005", "P005"], "{found}");
        assert!(found.to_string().contains("memory planning left the call plan invalid"), "{found}");
        let good = text.replace("arena 64", "arena 64*n").replace("f32[16]", "f32[n]");
        assert!(sound(plan(&good)).is_ok());
    }
}
