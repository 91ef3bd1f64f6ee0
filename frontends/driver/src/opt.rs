//! Passes by name, on a program of either IR.

use crate::evaluator::ReferenceEvaluator;
use crate::frontend::IrText;
use crate::lower::{self, in_proportion, prove};
use crate::options::MAIN;
use crate::{CompileOptions, Compiler, LowerReport, Lowered, Model, OptIn};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::ops::{Budget, Folding};
use orogen_passes::manager::{PassCx, PassInfo, Report, Step, StopAfter, verify_after};
use orogen_passes::{bridge, flow, graph};

/// Takes a legacy graph to the dataflow IR.
const TRANSLATE: &str = "translate";

/// See [`Compiler::run_passes`].
pub(crate) fn run_passes(
    compiler: &Compiler,
    model: &Model,
    options: &CompileOptions,
    names: &[&str],
) -> Result<(Lowered, LowerReport), Diagnostics> {
    let mut options = CompileOptions { verify: true, ..options.clone() };
    // A text is in its own IR: whoever wrote it chose.
    if model.format() == IrText::Flow.name() {
        options.opt_in = OptIn::DataflowIr;
    } else if model.format() == IrText::Graph.name() {
        options.opt_in = OptIn::Legacy;
    }
    let none = Box::new(StopAfter(0));
    let (mut program, mut report) = lower::lower(compiler, model, &options, Step::Import, vec![none])?;
    report.instruments.remove(0);
    let budget = Budget::new(options.budget);
    budget.raise(program.constants().map(in_proportion).unwrap_or_default());
    let evaluator = ReferenceEvaluator;
    let folding = Folding { evaluator: Some(&evaluator), budget };
    let mut cx = PassCx::new(&compiler.ops).with_accuracy(options.accuracy).with_folding(folding);
    for name in names {
        program = run_pass(compiler, program, name, &options, &mut cx, &mut report)?;
    }
    report.remarks.extend(cx.remarks);
    report.notes.extend(cx.notes);
    report.remarks.extend(cx.folding.budget.remark());
    Ok((program, report))
}

fn run_pass(
    compiler: &Compiler,
    program: Lowered,
    name: &str,
    options: &CompileOptions,
    cx: &mut PassCx<'_>,
    report: &mut LowerReport,
) -> Result<Lowered, Diagnostics> {
    let planned = |report: &mut LowerReport, mut plans| {
        report.proof = prove(&mut plans)?;
        Ok(Lowered::Plan(plans))
    };
    match program {
        Lowered::Graph(graph) if name == TRANSLATE => {
            let module = bridge::translate(&graph, &compiler.ops)?;
            verify_after(&module, "the translation", &compiler.ops)?;
            Ok(Lowered::Flow(module))
        }
        Lowered::Graph(graph) if name == Step::PlanMemory.name() => {
            planned(report, graph::plan_memory(&graph, MAIN, &options.states)?.into())
        }
        Lowered::Flow(module) if name == Step::PlanMemory.name() => {
            planned(report, flow::plan_memory(&compiler.ops, &module, &options.states)?)
        }
        Lowered::Graph(mut graph) => {
            let ran = compiler.graph.run_pass(name, &mut graph, cx, &mut report.instruments);
            let others = [TRANSLATE, Step::PlanMemory.name()];
            let ran =
                ran.ok_or_else(|| unknown(name, "the legacy graph", compiler.graph_passes(), &others))?;
            report.ran(Report { passes: vec![ran?] });
            Ok(Lowered::Graph(graph))
        }
        Lowered::Flow(mut module) => {
            let ran = compiler.flow.run_pass(name, &mut module, cx, &mut report.instruments);
            let others = [Step::PlanMemory.name()];
            let ran = ran.ok_or_else(|| unknown(name, "the dataflow IR", compiler.flow_passes(), &others))?;
            report.ran(Report { passes: vec![ran?] });
            Ok(Lowered::Flow(module))
        }
        Lowered::Plan(_) => Err(unknown(name, "a call plan", std::iter::empty(), &[]).into()),
    }
}

fn unknown(name: &str, ir: &str, passes: impl Iterator<Item = PassInfo>, others: &[&str]) -> Diagnostic {
    let known: Vec<&str> = passes.map(|it| it.name).chain(others.iter().copied()).collect();
    let help = match &known[..] {
        [] => "a plan is what passes end with".to_owned(),
        known => format!("passes here are: {}", known.join(", ")),
    };
    Diagnostic::error("D032", format!("there is no pass `{name}` on {ir}")).help(help)
}
