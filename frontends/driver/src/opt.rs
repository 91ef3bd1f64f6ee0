//! Passes by name, on a program of either IR.

use crate::evaluator::ReferenceEvaluator;
use crate::frontend::IrText;
use crate::lower::{self, in_proportion, prove};
use crate::options::MAIN;
use crate::targets;
use crate::{CompileOptions, Compiler, LowerReport, Lowered, Model, OptIn};
use orogen_codegen::CodegenOptions;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::Module;
use orogen_ir::graph::Graph;
use orogen_ir::ops::{Budget, Folding};
use orogen_passes::manager::{
    Held, Ir, ListEdit, PassCall, PassCx, PassInfo, PassList, Pipeline, Step, StopAfter, verify_after,
};
use orogen_passes::registry::{PLAN_MEMORY, Path, TRANSLATE};
use orogen_passes::{bridge, flow, graph};

/// See [`Compiler::run_passes`].
pub(crate) fn run_passes(
    compiler: &Compiler,
    model: &Model,
    options: &CompileOptions,
    list: &PassList,
) -> Result<(Lowered, LowerReport), Diagnostics> {
    let mut options = CompileOptions { verify: true, ..options.clone() };
    // A text is in its own IR: whoever wrote it chose.
    if model.format() == IrText::Flow.name() {
        options.opt_in = OptIn::DataflowIr;
    } else if model.format() == IrText::Graph.name() {
        options.opt_in = OptIn::Legacy;
    }
    let none = Box::new(StopAfter(0));
    let (program, mut report) = lower::lower(compiler, model, &options, Step::Import, vec![none])?;
    report.instruments.remove(0);
    targets::check(list)?;
    let codegen = CodegenOptions { cpu: options.cpu, ..compiler.codegen.clone() };
    let parts = Parts::of(&targets::list_for(list, &codegen))?;
    let budget = Budget::new(options.budget);
    budget.raise(program.constants().map(in_proportion).unwrap_or_default());
    let evaluator = ReferenceEvaluator;
    let folding = Folding { evaluator: Some(&evaluator), budget };
    let cx = PassCx::new(&compiler.ops).with_accuracy(options.accuracy).with_folding(folding);
    let mut run = Run { compiler, options: &options, cx: cx.verifying(true), report };
    let program = run.program(program, &parts)?;
    let Run { cx, mut report, .. } = run;
    report.remarks.extend(cx.remarks);
    report.notes.extend(cx.notes);
    report.remarks.extend(cx.folding.budget.remark());
    Ok((program, report))
}

/// A list cut where the IR changes.
struct Parts {
    /// Before a translation; all where there is none.
    first: PassList,
    /// After one.
    second: Option<PassList>,
    /// Whether memory is planned at the end.
    planned: bool,
}

impl Parts {
    fn of(list: &PassList) -> Result<Parts, Diagnostic> {
        let is = |it: &PassCall, name: &str| it.edit == ListEdit::Append && it.name == name;
        let mut calls = list.0.as_slice();
        let planned = calls.last().is_some_and(|it| is(it, PLAN_MEMORY.name));
        if planned {
            calls = &calls[..calls.len() - 1];
        }
        if let Some(at) = calls.iter().position(|it| is(it, PLAN_MEMORY.name)) {
            let after = calls.get(at + 1).map_or(PLAN_MEMORY.name, |it| &it.name);
            return Err(ended(after));
        }
        let mut parts = calls.split(|it| is(it, TRANSLATE.name)).map(|it| PassList(it.to_vec()));
        let (first, second) = (parts.next().unwrap_or_default(), parts.next());
        match parts.next() {
            None => Ok(Parts { first, second, planned }),
            Some(_) => Err(translated()),
        }
    }
}

/// The error of what follows a plan.
fn ended(name: &str) -> Diagnostic {
    Diagnostic::error("N028", format!("pass `{name}` cannot run on a plan"))
        .help("a plan is what passes end with: put `plan-memory` last")
}

/// The error of a translation of what is translated.
fn translated() -> Diagnostic {
    Diagnostic::error("N028", "`translate` takes a legacy graph, and the program is in the dataflow IR there")
        .help("leave `translate` out")
}

struct Run<'a> {
    compiler: &'a Compiler,
    options: &'a CompileOptions,
    cx: PassCx<'a>,
    report: LowerReport,
}

impl<'a> Run<'a> {
    fn program(&mut self, program: Lowered, parts: &Parts) -> Result<Lowered, Diagnostics> {
        match program {
            Lowered::Graph(mut graph) => {
                let on_graph = self.pipeline::<Graph>(&parts.first)?;
                let on_flow = parts.second.as_ref().map(|it| self.pipeline::<Module>(it)).transpose()?;
                let held = Held::of(graph.as_ir(), &self.compiler.ops);
                let translation =
                    on_flow.iter().flat_map(|it| [TRANSLATE.info()].into_iter().chain(it.passes()));
                self.ordered(on_graph.passes().chain(translation), held, parts)?;
                self.run(&on_graph, &mut graph)?;
                let Some(on_flow) = on_flow else {
                    return match parts.planned {
                        true => {
                            self.ready_to_plan()?;
                            self.planned(graph::plan_memory(&graph, MAIN, &self.options.states)?.into())
                        }
                        false => Ok(Lowered::Graph(graph)),
                    };
                };
                let module = bridge::translate(&graph, &self.compiler.ops)?;
                verify_after(&module, "the translation", &self.compiler.ops)?;
                self.flow(module, &on_flow, parts)
            }
            Lowered::Flow(module) => {
                if parts.second.is_some() {
                    return Err(translated().into());
                }
                let on_flow = self.pipeline::<Module>(&parts.first)?;
                let held = Held::of(module.as_ir(), &self.compiler.ops);
                self.ordered(on_flow.passes(), held, parts)?;
                self.flow(module, &on_flow, parts)
            }
            Lowered::Plan(plan) => {
                let names = [&parts.first].into_iter().chain(&parts.second).flat_map(|it| &it.0);
                match names.map(|it| it.name.as_str()).chain(parts.planned.then_some(PLAN_MEMORY.name)).next()
                {
                    None => Ok(Lowered::Plan(plan)),
                    Some(name) => Err(ended(name).into()),
                }
            }
        }
    }

    fn flow(
        &mut self,
        mut module: Module,
        pipeline: &Pipeline<Module>,
        parts: &Parts,
    ) -> Result<Lowered, Diagnostics> {
        self.run(pipeline, &mut module)?;
        match parts.planned {
            true => {
                self.ready_to_plan()?;
                self.planned(flow::plan_memory(&self.compiler.ops, &module, &self.options.states)?)
            }
            false => Ok(Lowered::Flow(module)),
        }
    }

    fn pipeline<I: Path>(&self, list: &PassList) -> Result<Pipeline<I>, Diagnostics> {
        self.compiler.passes.pipeline(&self.compiler.ops, self.options.accuracy, Some(list), |_| true)
    }

    /// Whether passes fit together, on a program of which this holds.
    fn ordered(
        &mut self,
        passes: impl Iterator<Item = PassInfo>,
        held: Held,
        parts: &Parts,
    ) -> Result<(), Diagnostics> {
        let planning = parts.planned.then(|| PLAN_MEMORY.info());
        self.compiler.passes.check_order(passes.chain(planning), held.clone())?;
        self.cx.held = Some(held);
        Ok(())
    }

    fn run<I: Ir>(&mut self, pipeline: &Pipeline<I>, ir: &mut I) -> Result<(), Diagnostics> {
        let ran = pipeline.run(ir, &mut self.cx, &mut self.report.instruments, |_| true)?;
        self.report.ran(ran);
        Ok(())
    }

    fn ready_to_plan(&self) -> Result<(), Diagnostics> {
        Ok(self.cx.held.as_ref().map_or(Ok(()), |it| it.admit(PLAN_MEMORY.info()))?)
    }

    fn planned(&mut self, mut plans: orogen_ir::plan::PlanModule) -> Result<Lowered, Diagnostics> {
        self.report.proof = prove(&mut plans)?;
        Ok(Lowered::Plan(plans))
    }
}
