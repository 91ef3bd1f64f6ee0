//! Every step of lowering computes what it got: random programs of both IRs are evaluated after each pass and as a
//! call plan on real memory, and every plan keeps its laws and passes through text.

use orogen_ir::flow::{Module, random_module};
use orogen_ir::graph::{Graph, random_graph};
use orogen_ir::ops::OpRegistry;
use orogen_ir::plan::{CallPlan, parse_plan, print_plan, verify};
use orogen_ir::shape::Env;
use orogen_ir::types::{ShapeInfo, TensorData, TensorType};
use orogen_passes::manager::{Pass, PassCx};
use orogen_passes::rules::legalize::LegalizeTable;
use orogen_passes::{flow, graph};
use orogen_reference::{EvalError, EvalErrorKind, Value, eval_function, eval_graph, eval_plan};

const SEEDS: u64 = 150;
/// Seeds of the long variants. Reference kernels round to the element type when they store, so fusion may move a value
/// across a jump of `floor`, `sign` or a comparison: about one seed in twenty thousand differs for that.
const MANY_SEEDS: u64 = 8000;

/// Small data that differs from element to element.
fn data(ty: &TensorType, dims: Vec<u64>, seed: &mut u64) -> TensorData {
    let n: u64 = dims.iter().product();
    let values = (0..n).map(|_| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((*seed >> 40) % 13) as f64 * 0.5 - 3.0
    });
    TensorData::from_f64(ty.dtype, &dims, values.collect::<Vec<_>>())
}

fn same(found: &TensorData, wanted: &TensorData) -> bool {
    let close = |a: f64, b: f64| {
        a == b
            || (a.is_nan() && b.is_nan())
            || (a - b).abs() <= 1e-4 * (1.0 + b.abs())
            || (a.abs() > 1e30 && b.abs() > 1e30)
    };
    found.dtype() == wanted.dtype()
        && found.dims() == wanted.dims()
        && found.to_f64().into_iter().zip(wanted.to_f64()).all(|(a, b)| close(a, b))
}

fn compare(found: Result<Vec<TensorData>, EvalError>, wanted: &[TensorData], what: &str) {
    let found = found.unwrap_or_else(|it| panic!("{what}: {it}"));
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(same(found, wanted), "{what}: {:?} but expected {:?}", found.to_f64(), wanted.to_f64());
    }
}

/// The plan keeps its laws; returns what its text reads back as.
fn checked(plan: &CallPlan, what: &str) -> CallPlan {
    let printed = print_plan(plan).text;
    verify(plan).unwrap_or_else(|it| panic!("{what}\n{printed}\n{it}"));
    let again = parse_plan(&printed, &plan.constants).unwrap_or_else(|it| panic!("{what}\n{printed}\n{it}"));
    assert_eq!(print_plan(&again).text, printed, "{what}");
    again
}

fn graph_inputs(graph: &Graph) -> Vec<TensorData> {
    let mut seed = 7;
    let inputs = graph.inputs().iter().map(|it| {
        let ty = &graph[*it].outputs[0];
        data(&TensorType::unknown(ty.dtype), ty.dims.to_vec(), &mut seed)
    });
    inputs.collect()
}

/// Lowers one random graph; returns whether it could be evaluated.
fn lower_graph(ops: &OpRegistry, seed: u64) -> bool {
    let mut g = random_graph(ops, seed);
    let inputs = graph_inputs(&g);
    let Ok(wanted) = eval_graph(ops, &g, &inputs) else { return false };
    let passes: [Box<dyn Pass<Graph>>; 4] = [
        Box::new(graph::Canonicalize),
        Box::new(graph::ApplyRules::simplify(ops)),
        Box::new(graph::Legalize::new(LegalizeTable::standard(ops))),
        Box::new(graph::Fuse),
    ];
    for pass in passes {
        let what = format!("seed {seed}, graph after {}", pass.name());
        let mut cx = PassCx::new(ops);
        pass.run(&mut g, &mut cx).unwrap_or_else(|it| panic!("{what}: {it}"));
        compare(eval_graph(ops, &g, &inputs), &wanted, &what);
    }
    let plan = graph::plan_memory(&g, "main", &[]).unwrap_or_else(|it| panic!("seed {seed}: {it}"));
    let what = format!("seed {seed}, plan");
    let plan = checked(&plan, &what);
    compare(eval_plan(&plan, &inputs), &wanted, &format!("{what}\n{}", print_plan(&plan).text));
    true
}

fn module_inputs(module: &Module, n: i64) -> Option<Vec<TensorData>> {
    let function = module.function("main")?;
    let env: Env = module.shapes.symbols().map(|it| (it, n)).collect();
    let mut seed = 11;
    let inputs = function.params().iter().map(|param| {
        let ty = function[param.value].ty.as_tensor()?;
        let ShapeInfo::Known(dims) = &ty.shape else { return None };
        let dims: Option<Vec<u64>> =
            dims.iter().map(|it| u64::try_from(module.shapes.eval(*it, &env)?).ok()).collect();
        Some(data(ty, dims?, &mut seed))
    });
    inputs.collect()
}

fn eval_main(ops: &OpRegistry, module: &Module, inputs: &[TensorData]) -> Result<Vec<TensorData>, EvalError> {
    let args: Vec<Value> = inputs.iter().cloned().map(Value::Tensor).collect();
    let results = eval_function(ops, module, "main", &args)?;
    Ok(results.iter().filter_map(Value::as_tensor).cloned().collect())
}

/// What the interpreter of modules says about a module on some inputs.
struct Run {
    inputs: Vec<TensorData>,
    outcome: Result<Vec<TensorData>, EvalErrorKind>,
}

impl Run {
    /// The same result, or the same refusal of the inputs.
    fn compare(&self, found: Result<Vec<TensorData>, EvalError>, what: &str) {
        match &self.outcome {
            Ok(wanted) => compare(found, wanted, what),
            Err(kind) => match found {
                Ok(_) => panic!("{what}: a result, but {kind:?} was expected"),
                Err(found) => assert_eq!(found.kind, *kind, "{what}: {found}"),
            },
        }
    }
}

fn runs(ops: &OpRegistry, module: &Module) -> Vec<Run> {
    let sizes = [3, 1, 0].into_iter();
    let runs = sizes.filter_map(|n| {
        let inputs = module_inputs(module, n)?;
        let outcome = match eval_main(ops, module, &inputs) {
            Ok(wanted) => Ok(wanted),
            Err(it) if it.kind == EvalErrorKind::CheckFailed => Err(it.kind),
            Err(_) => return None,
        };
        Some(Run { inputs, outcome })
    });
    runs.collect()
}

/// Lowers one random module; returns how often its plan was run.
fn lower_module(ops: &OpRegistry, seed: u64) -> usize {
    let mut module = random_module(ops, seed);
    let runs = runs(ops, &module);
    let passes: [Box<dyn Pass<Module>>; 4] = [
        Box::new(flow::Canonicalize),
        Box::new(flow::ApplyRules::simplify(ops)),
        Box::new(flow::Legalize::new(LegalizeTable::standard(ops))),
        Box::new(flow::Fuse),
    ];
    for pass in passes {
        let what = format!("seed {seed}, module after {}", pass.name());
        let mut cx = PassCx::new(ops);
        if let Err(problem) = pass.run(&mut module, &mut cx) {
            // A shape that is not known has no kernel; nothing else is refused.
            assert!(problem.iter().all(|it| it.code == "K002"), "{what}: {problem}");
            return 0;
        }
        module.verify(ops).unwrap_or_else(|it| panic!("{what}: {it}"));
        for run in &runs {
            run.compare(eval_main(ops, &module, &run.inputs), &what);
        }
    }
    let plans = match flow::plan_memory(ops, &module, &[]) {
        Ok(plans) => plans,
        Err(problem) => {
            // A shape that is not known has no memory; nothing else is refused.
            assert!(problem.iter().all(|it| it.code == "M012"), "seed {seed}, plan: {problem}");
            return 0;
        }
    };
    let what = format!("seed {seed}, plan");
    let plan = checked(plans.entry().expect("`main`"), &what);
    let what = format!("{what}\n{}", print_plan(&plan).text);
    for run in &runs {
        run.compare(eval_plan(&plan, &run.inputs), &what);
    }
    runs.len()
}

/// Lowers all of a range of seeds and names every seed that fails.
fn lower_all<T>(seeds: std::ops::Range<u64>, lower: impl Fn(u64) -> T) -> Vec<T> {
    let mut failed = Vec::new();
    let mut done = Vec::new();
    for seed in seeds {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| lower(seed))) {
            Ok(it) => done.push(it),
            Err(_) => failed.push(seed),
        }
    }
    assert!(failed.is_empty(), "these seeds fail: {failed:?}");
    done
}

#[test]
fn graphs() {
    let ops = OpRegistry::standard();
    let evaluated = lower_all(0..SEEDS, |seed| lower_graph(&ops, seed));
    let evaluated = evaluated.iter().filter(|it| **it).count();
    assert!(evaluated > SEEDS as usize / 2, "only {evaluated} graphs can be evaluated");
}

#[test]
fn modules() {
    let ops = OpRegistry::standard();
    let runs: usize = lower_all(0..SEEDS, |seed| lower_module(&ops, seed)).into_iter().sum();
    assert!(runs > SEEDS as usize, "only {runs} runs reach a plan");
}

/// The inner loop carries a size of its own, which an expression behind that loop uses.
#[test]
fn a_nested_loop_carries_a_generalised_size() {
    assert_ne!(lower_module(&OpRegistry::standard(), 2760), 0);
}

/// A check refuses sizes that are known late: until then memory holds for them.
#[test]
fn memory_does_not_trust_a_check_that_comes_later() {
    assert_ne!(lower_module(&OpRegistry::standard(), 13160), 0);
}

#[test]
#[ignore = "takes a minute in a debug build"]
fn many_graphs() {
    let ops = OpRegistry::standard();
    lower_all(SEEDS..MANY_SEEDS, |seed| lower_graph(&ops, seed));
}

#[test]
#[ignore = "takes a minute in a debug build"]
fn many_modules() {
    let ops = OpRegistry::standard();
    lower_all(SEEDS..MANY_SEEDS, |seed| lower_module(&ops, seed));
}
