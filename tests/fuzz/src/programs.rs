//! Generated programs of both IRs: what any pass, the bridge and the planners make of one is lawful and computes what it
//! did.

use crate::compare::{data, differ, is_smooth};
use crate::outcome::Outcome;
use crate::plans;
use crate::setup::Setup;
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::{self, Module};
use orogen_ir::generate::Random;
use orogen_ir::graph::{self, Graph};
use orogen_ir::ops::OpRegistry;
use orogen_ir::plan::{PlanModule, print_plans, prove_module};
use orogen_ir::shape::Env;
use orogen_ir::types::TensorData;
use orogen_passes::bridge::translate;
use orogen_passes::manager::{Pass, PassCx};
use orogen_passes::rules::legalize::LegalizeTable;
use orogen_passes::{flow as flow_passes, graph as graph_passes};
use orogen_reference::{EvalError, EvalErrorKind, Value, eval_function_with, eval_graph};
use orogen_runtime::Tensor;

/// The program of a seed: a graph or a module.
pub(crate) fn run(setup: &Setup, seed: u64) -> Outcome {
    let found = if seed.is_multiple_of(2) { graph(setup, seed) } else { module(setup, seed) };
    match found {
        Ok(true) => Outcome::Held,
        Ok(false) => Outcome::Refused,
        Err(what) => Outcome::Broken(what),
    }
}

/// The plan of a generated graph, as text.
pub(crate) fn graph_plan(setup: &Setup, seed: u64) -> Option<String> {
    let ops = setup.compiler.ops();
    let mut graph = graph::random_graph(ops, seed);
    for pass in graph_pipeline(ops) {
        pass.run(&mut graph, &mut PassCx::new(ops)).ok()?;
    }
    let plan = graph_passes::plan_memory(&graph, "main", &[]).ok()?;
    Some(print_plans(&plan.into()))
}

/// The plan of a generated module, as text.
pub(crate) fn module_plan(setup: &Setup, seed: u64) -> Option<String> {
    let ops = setup.compiler.ops();
    let mut module = flow::random_module(ops, seed);
    for pass in module_pipeline(ops) {
        pass.run(&mut module, &mut PassCx::new(ops)).ok()?;
    }
    Some(print_plans(&flow_passes::plan_memory(ops, &module, &[]).ok()?))
}

fn graph_pipeline(ops: &OpRegistry) -> [Box<dyn Pass<Graph>>; 5] {
    [
        Box::new(graph_passes::Canonicalize),
        Box::new(graph_passes::ApplyRules::simplify(ops)),
        Box::new(graph_passes::ApplyRules::layout(ops)),
        Box::new(graph_passes::Legalize::new(LegalizeTable::standard(ops))),
        Box::new(graph_passes::Fuse),
    ]
}

fn module_pipeline(ops: &OpRegistry) -> [Box<dyn Pass<Module>>; 5] {
    [
        Box::new(flow_passes::Canonicalize),
        Box::new(flow_passes::ApplyRules::simplify(ops)),
        Box::new(flow_passes::ApplyRules::layout(ops)),
        Box::new(flow_passes::Legalize::new(LegalizeTable::standard(ops))),
        Box::new(flow_passes::Fuse),
    ]
}

/// What a program comes to on some inputs: outputs, or which kind of error.
struct Run {
    inputs: Vec<Tensor>,
    args: Vec<TensorData>,
    outcome: Result<Vec<TensorData>, EvalErrorKind>,
}

impl Run {
    /// `None` where there is nothing to compare with: too long, or a program that is wrong by itself.
    fn new(
        inputs: Vec<Tensor>,
        evaluate: impl FnOnce(&[TensorData]) -> Result<Vec<TensorData>, EvalError>,
    ) -> Option<Run> {
        let args = inputs.iter().map(data).collect::<Option<Vec<TensorData>>>()?;
        let outcome = match evaluate(&args) {
            Ok(values) => Ok(values),
            Err(error) if error.kind == EvalErrorKind::CheckFailed => Err(error.kind),
            Err(_) => return None,
        };
        Some(Run { inputs, args, outcome })
    }

    fn compare(&self, found: Result<Vec<TensorData>, EvalError>, smooth: bool) -> Result<(), String> {
        match (found, &self.outcome) {
            (Ok(found), Ok(wanted)) => differ(&found, wanted, smooth).map_or(Ok(()), Err),
            (Ok(_), Err(kind)) => Err(format!("a result where there was {kind:?}")),
            (Err(error), _) if error.kind == EvalErrorKind::LimitReached => Ok(()),
            (Err(error), Ok(_)) => Err(format!("no result: {error}")),
            (Err(error), Err(kind)) if error.kind == *kind => Ok(()),
            (Err(error), Err(kind)) => Err(format!("{kind:?} became {error}")),
        }
    }
}

/// The plans of a program are lawful and compute what it does, and so does their code.
fn planned(mut plans: PlanModule, runs: &[Run], smooth: bool) -> Result<(), String> {
    prove_module(&mut plans).map_err(|it| format!("the plan: {it}"))?;
    let library = plans::library(&plans).map_err(|it| format!("the code of the plan: {it}"))?;
    for run in runs {
        let wanted = run.outcome.as_ref().ok().map(|it| &it[..]);
        plans::check(&plans, library.as_ref(), &run.inputs, wanted, smooth)?;
    }
    Ok(())
}

/// A static, pure program: each pass of the legacy path, and from behind each the way over the bridge.
fn graph(setup: &Setup, seed: u64) -> Result<bool, String> {
    let ops = setup.compiler.ops();
    let mut graph = graph::random_graph(ops, seed);
    let smooth = is_smooth(&graph::text::print(&graph, ops));
    let mut random = Random::new(seed);
    let Some(inputs) = graph_inputs(&graph, &mut random) else { return Ok(false) };
    let Some(run) = Run::new(inputs, |args| eval_graph(ops, &graph, args)) else { return Ok(false) };
    for pass in graph_pipeline(ops) {
        let after = |it: String| format!("the graph after {}: {it}", pass.name());
        pass.run(&mut graph, &mut PassCx::new(ops)).map_err(|it| after(it.to_string()))?;
        graph.verify(ops).map_err(|it| after(it.to_string()))?;
        run.compare(eval_graph(ops, &graph, &run.args), smooth).map_err(after)?;
        let module = translate(&graph, ops).map_err(|it| after(format!("no translation: {it}")))?;
        module.verify(ops).map_err(|it| after(format!("translated: {it}")))?;
        run.compare(eval_main(ops, &module, &run.args), smooth)
            .map_err(|it| after(format!("translated: {it}")))?;
    }
    let module = translate(&graph, ops).map_err(|it| it.to_string())?;
    let runs = [run];
    let plan = graph_passes::plan_memory(&graph, "main", &[]).map_err(|it| format!("no plan: {it}"))?;
    planned(plan.into(), &runs, smooth).map_err(|it| format!("the legacy path: {it}"))?;
    let plans = flow_passes::plan_memory(ops, &module, &[])
        .map_err(|it| format!("no plan of the translation: {it}"))?;
    planned(plans, &runs, smooth).map_err(|it| format!("the translation: {it}"))?;
    Ok(true)
}

fn graph_inputs(graph: &Graph, random: &mut Random) -> Option<Vec<Tensor>> {
    let at_start = random.coin();
    let tensor = |it: &graph::NodeId| {
        let ty = &graph[*it].outputs[0];
        let dims: Vec<i64> = ty.dims.iter().map(|it| i64::try_from(*it)).collect::<Result<_, _>>().ok()?;
        plans::tensor(ty.dtype, &dims, at_start, random)
    };
    graph.inputs().iter().map(tensor).collect()
}

/// A program with sizes of the call, control flow and functions of a host.
fn module(setup: &Setup, seed: u64) -> Result<bool, String> {
    let ops = setup.compiler.ops();
    let mut module = flow::random_module(ops, seed);
    let smooth = is_smooth(&flow::text::print(&module, ops));
    let mut random = Random::new(seed);
    let runs: Vec<Run> = (0..3)
        .filter_map(|_| {
            let inputs = module_inputs(&module, &mut random)?;
            Run::new(inputs, |args| eval_main(ops, &module, args))
        })
        .collect();
    for pass in module_pipeline(ops) {
        let after = |it: String| format!("the module after {}: {it}", pass.name());
        if let Err(found) = pass.run(&mut module, &mut PassCx::new(ops)) {
            // A shape that is not known has no kernel; nothing else is refused.
            return refused(&found, "K002").map_err(after);
        }
        module.verify(ops).map_err(|it| after(it.to_string()))?;
        for run in &runs {
            run.compare(eval_main(ops, &module, &run.args), smooth).map_err(after)?;
        }
    }
    match flow_passes::plan_memory(ops, &module, &[]) {
        Ok(plans) => planned(plans, &runs, smooth).map(|()| true),
        // A shape that is not known has no memory; nothing else is refused.
        Err(found) => refused(&found, "M012"),
    }
}

fn refused(found: &Diagnostics, code: &str) -> Result<bool, String> {
    if found.iter().all(|it| it.code == code) { Ok(false) } else { Err(found.to_string()) }
}

fn module_inputs(module: &Module, random: &mut Random) -> Option<Vec<Tensor>> {
    let function = module.function("main")?;
    let env: Env = module.shapes.symbols().map(|it| (it, random.pick(&[1, 2, 3, 1, 0, 17]))).collect();
    let at_start = random.coin();
    let tensor = |param: &flow::Parameter| {
        let ty = function[param.value].ty.as_tensor()?;
        let dims = ty.dims()?.iter().map(|it| module.shapes.eval(*it, &env).filter(|it| *it >= 0));
        plans::tensor(ty.dtype, &dims.collect::<Option<Vec<i64>>>()?, at_start, random)
    };
    function.params().iter().map(tensor).collect()
}

fn eval_main(ops: &OpRegistry, module: &Module, args: &[TensorData]) -> Result<Vec<TensorData>, EvalError> {
    let args: Vec<Value> = args.iter().cloned().map(Value::Tensor).collect();
    let results = eval_function_with(&plans::host(plans::STEPS), ops, module, "main", &args)?;
    Ok(results.iter().filter_map(Value::as_tensor).cloned().collect())
}
