//! Faults that are planted in passes, as a user would register them, are found and shown by small programs.

use orogen::compare::{Limits, difference};
use orogen::find::{Blame, Fault, Search, TRIALS, bisect, bisect_choices, compare_values, reduce};
use orogen::ir::flow::Rhs;
use orogen::ir::graph::{Edge, NodeKind};
use orogen::ir::types::TensorData;
use orogen::prelude::*;
use orogen::reference::{Value, eval_function, eval_graph};
use orogen::{Builder, Lowered};

/// A chain with branches, in which a subtraction stands in the middle.
const MODEL: &str = "graph @g(%x: f32[4, 6], %z: f32[4, 6]) {
  %w = const \"w\" f32[6, 6] [1, 2, -1, 0, 1, 3, 2, 1, 0, -2, 1, 1, 0, 1, 1, 2, -1, 1, 3, 0, 1, 1, 2, -1, 1, 1, 0, 2, 1, 0, -1, 2, 1, 1, 0, 1]
  %a = matmul(%x, %w) loc(\"node `first` (MatMul)\")
  %b = tanh(%a) loc(\"node `squash` (Tanh)\")
  %c = mul(%b, %z) loc(\"node `gate` (Mul)\")
  %d = sub(%c, %a) loc(\"node `difference` (Sub)\")
  %e = exp(%b) loc(\"node `grow` (Exp)\")
  %f = add(%d, %e) loc(\"node `sum` (Add)\")
  %g = matmul(%f, %w) loc(\"node `second` (MatMul)\")
  %h = relu(%g) loc(\"node `last` (Relu)\")
  %i = reduce_sum(%h) {axes = [1], keepdims = false} loc(\"node `total` (ReduceSum)\")
  return y = %i, z = %e
}
";

/// Subtractions on the legacy graph become additions.
struct AddsOnGraphs;

impl Pass<Graph> for AddsOnGraphs {
    fn name(&self) -> &'static str {
        "planted-on-graphs"
    }

    fn run(&self, graph: &mut Graph, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let (sub, add) = (cx.ops.get("sub"), cx.ops.get("add"));
        graph.edit(cx.ops, |editor| -> Result<(), Diagnostic> {
            for id in editor.order() {
                let node = editor.node(id).clone();
                if !matches!(&node.kind, NodeKind::Op { op, .. } if *op == sub) {
                    continue;
                }
                editor.before(id);
                let kind = NodeKind::Op { op: add, attrs: Attrs::none() };
                let made = editor.emit(kind, node.inputs, node.outputs)?;
                editor.replace(Edge { node: id, output: 0 }, Edge { node: made, output: 0 });
            }
            Ok(())
        })?;
        graph.prune();
        Ok(Changed::Yes)
    }
}

/// The same, where an exponential stands before a subtraction, which it usually does not.
struct AddsWhereEarly;

impl Pass<Graph> for AddsWhereEarly {
    fn name(&self) -> &'static str {
        "planted-on-an-order"
    }

    fn run(&self, graph: &mut Graph, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let place = |name: &str, graph: &Graph| {
            let wanted = cx.ops.get(name);
            let is_it = |it: &NodeKind| matches!(it, NodeKind::Op { op, .. } if *op == wanted);
            graph.order().iter().position(|it| is_it(&graph[*it].kind))
        };
        match place("exp", graph) < place("sub", graph) {
            true => AddsOnGraphs.run(graph, cx),
            false => Ok(Changed::No),
        }
    }
}

/// Exponentials on the dataflow IR are forgotten.
struct ForgetsOnModules;

impl Pass<Module> for ForgetsOnModules {
    fn name(&self) -> &'static str {
        "planted-on-modules"
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let exp = cx.ops.get("exp");
        module.edit(cx.ops, |editor| -> Result<(), Diagnostic> {
            for id in editor.bindings() {
                let Rhs::Op { op, args, .. } = &editor.binding(id).rhs else { continue };
                if *op == exp {
                    let (x, y) = (args[0], editor.binding(id).results[0]);
                    editor.replace(y, x);
                    editor.remove(id);
                }
            }
            Ok(())
        })?;
        Ok(Changed::Yes)
    }
}

/// Kernels that read two operands get them the other way round.
struct TurnsKernels;

impl Pass<Graph> for TurnsKernels {
    fn name(&self) -> &'static str {
        "planted-on-kernels"
    }

    fn run(&self, graph: &mut Graph, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        graph.edit(cx.ops, |editor| -> Result<(), Diagnostic> {
            for id in editor.order() {
                let node = editor.node(id).clone();
                let NodeKind::Kernel { kernel } = node.kind else { continue };
                if kernel.starts_with("sub") && node.inputs.len() == 2 {
                    editor.set_kernel(id, kernel, node.inputs.iter().rev().copied().collect());
                }
            }
            Ok(())
        })?;
        Ok(Changed::Yes)
    }
}

impl Pass<Module> for TurnsKernels {
    fn name(&self) -> &'static str {
        "planted-on-calls"
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        module.edit(cx.ops, |editor| -> Result<(), Diagnostic> {
            for id in editor.bindings() {
                let Rhs::Call { callee, args, sizes } = editor.binding(id).rhs.clone() else { continue };
                if callee.starts_with("sub") && args.len() == 2 {
                    let args = args.into_iter().rev().collect();
                    editor.set_rhs(id, Rhs::Call { callee, args, sizes })?;
                }
            }
            Ok(())
        })?;
        Ok(Changed::Yes)
    }
}

fn inputs() -> Vec<TensorData> {
    let values = |step: f64| (0..24).map(move |i| ((f64::from(i) * step) % 7.0) / 4.0 - 0.75);
    [5.0, 3.0].map(|step| TensorData::from_f64(DType::F32, &[4, 6], values(step))).into()
}

/// What a fault does to the model, and the small program after the passes that are blamed.
fn found(plant: impl FnOnce(&mut Builder), opt_in: OptIn) -> (Compiler, Blame) {
    let mut builder = Compiler::builder();
    plant(&mut builder);
    let compiler = builder.build().expect("the places are there");
    let model = compiler.decode("m.graph", MODEL.into()).expect("a text");
    let options = CompileOptions { opt_in, ..CompileOptions::default() };
    let right = Compiler::standard();
    let (imported, _) = right.lower(&model, &CompileOptions::default(), Step::Import).expect("it is lawful");
    let Lowered::Graph(graph) = imported else { panic!("a graph") };
    let expected = eval_graph(right.ops(), &graph, &inputs()).expect("it has values");
    let expected: Vec<_> = ["y".to_owned(), "z".to_owned()].into_iter().zip(expected).collect();
    let search =
        Search { compiler: &compiler, options: options.clone(), limits: Limits::default(), trials: TRIALS };
    let blame = bisect(&search, &model, &inputs(), &expected).unwrap_or_else(|it| panic!("{it}"));
    let blame = blame.expect("the fault is there");
    // The compiler that ships computes what is expected, with the same search.
    let search = Search { compiler: &right, options, limits: Limits::default(), trials: TRIALS };
    let none = bisect(&search, &model, &inputs(), &expected).unwrap_or_else(|it| panic!("{it}"));
    assert!(none.is_none(), "{none:?}");
    let values = compare_values(&search, &model, &inputs()).unwrap_or_else(|it| panic!("{it}"));
    assert!(values.len() >= 9 && values.iter().all(|it| it.difference.passes()), "{values:?}");
    (compiler, blame)
}

/// Law Q1: the reproducer is read from its text alone, and the pass changes its values on its inputs.
fn shows(compiler: &Compiler, blame: &Blame, most: usize) -> String {
    let shown = blame.reproducer.as_ref().expect("a part shows it");
    assert!(shown.operations.0 >= 5 && shown.operations.1 <= most, "{:?}", shown.operations);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("small").with_extension(shown.program.suffix());
    shown.program.write_text(compiler.ops(), &path).expect("written");
    let model = compiler.open(&path).expect("read");
    let values = |passes: &[&str]| {
        let (program, _) = compiler.run_passes(&model, &CompileOptions::default(), passes).expect("it runs");
        let given: Vec<TensorData> = shown.inputs.iter().map(|it| it.1.clone()).collect();
        match &program {
            Lowered::Graph(it) => eval_graph(compiler.ops(), it, &given).expect("it has values"),
            Lowered::Flow(it) => {
                let given: Vec<Value> = given.into_iter().map(Value::Tensor).collect();
                let name = it.entry().expect("a function").0;
                let values = eval_function(compiler.ops(), it, name, &given).expect("it has values");
                values.iter().map(|it| it.as_tensor().expect("a tensor").clone()).collect()
            }
            Lowered::Plan(_) => panic!("no pass makes a plan"),
        }
    };
    let (before, after) = (values(&[]), values(&[&blame.pass]));
    assert!(!difference(&after[0], &before[0], &Limits::default()).passes());
    shown.program.print(compiler.ops())
}

#[test]
fn a_pass_over_graphs_is_blamed() {
    let plant = |it: &mut Builder| {
        it.graph_pass(Place::after("fold-constants"), AddsOnGraphs);
    };
    let (compiler, blame) = found(plant, OptIn::Legacy);
    assert_eq!((blame.pass.as_str(), blame.output.as_str()), ("planted-on-graphs", "y"), "{blame:?}");
    let text = shows(&compiler, &blame, 1);
    assert!(text.contains("sub(") && text.contains("node `difference` (Sub)"), "{text}");
    // Steps above it keep the values, as far as they were tried.
    assert_eq!(blame.tried[0], ("codegen".to_owned(), false));
    assert_eq!(blame.tried[1], ("import".to_owned(), true));
}

#[test]
fn a_pass_over_modules_is_blamed() {
    let plant = |it: &mut Builder| {
        it.flow_pass(Place::before("layout"), ForgetsOnModules);
    };
    let (compiler, blame) = found(plant, OptIn::DataflowIr);
    assert_eq!(blame.pass, "planted-on-modules", "{blame:?}");
    let text = shows(&compiler, &blame, 1);
    assert!(text.starts_with("module") && text.contains("exp("), "{text}");
}

#[test]
fn a_pass_over_kernels_is_blamed() {
    let plant = |it: &mut Builder| {
        it.graph_pass(Place::after("legalize"), TurnsKernels);
    };
    let (compiler, blame) = found(plant, OptIn::Legacy);
    assert_eq!(blame.pass, "planted-on-kernels", "{blame:?}");
    let text = shows(&compiler, &blame, 1);
    assert_eq!(text.matches("kernel @sub").count(), 2, "its definition and its call: {text}");
    assert_eq!(text.matches("kernel @").count(), 2, "{text}");
}

#[test]
fn a_pass_over_calls_of_kernels_is_blamed() {
    let plant = |it: &mut Builder| {
        it.flow_pass(Place::after("legalize"), TurnsKernels);
    };
    let (compiler, blame) = found(plant, OptIn::DataflowIr);
    assert_eq!(blame.pass, "planted-on-calls", "{blame:?}");
    let text = shows(&compiler, &blame, 1);
    assert_eq!((text.matches("kernel @").count(), text.matches("call @sub").count()), (1, 1), "{text}");
}

/// A fault that the usual order hides: of all choices of a seed the one is found that shows it.
#[test]
fn a_choice_that_shows_a_fault_is_found() {
    let build = |choices| {
        Compiler::builder().graph_pass(Place::after("canonicalize"), AddsWhereEarly).chaos(choices).build()
    };
    let usual = build(Choices::usual()).unwrap_or_else(|it| panic!("{it}"));
    let model = usual.decode("g.graph", MODEL.into()).unwrap_or_else(|it| panic!("{it}"));
    let search = Search {
        compiler: &usual,
        options: CompileOptions { threads: 1, ..CompileOptions::default() },
        limits: Limits::default(),
        trials: TRIALS,
    };
    let graph = orogen::ir::graph::text::parse(MODEL, usual.ops()).unwrap_or_else(|it| panic!("{it}"));
    let values = eval_graph(usual.ops(), &graph, &inputs()).expect("it has values");
    let expected: Vec<(String, TensorData)> = ["y", "z"].map(str::to_owned).into_iter().zip(values).collect();
    let found = |seed| {
        let found = bisect_choices(&search, &model, &inputs(), &expected, seed, build);
        found.unwrap_or_else(|it| panic!("{it}"))
    };
    let (hidden, shown): (Vec<_>, Vec<_>) = (0..8).map(found).partition(Option::is_none);
    assert!(!hidden.is_empty() && !shown.is_empty());
    for it in shown.into_iter().flatten() {
        assert!(it.fuel > 0 && it.choice.contains("comes early"), "{it:?}");
    }
}

#[test]
fn what_cannot_be_reduced_is_said() {
    let compiler = Compiler::standard();
    let model = compiler.decode("m.graph", MODEL.into()).expect("a text");
    let options = CompileOptions::default();
    let (program, _) = compiler.run_passes(&model, &options, &[""; 0]).expect("it is lawful");
    let search = Search { compiler: &compiler, options, limits: Limits::default(), trials: TRIALS };
    let fault = Fault::Passes(vec!["canonicalize".to_owned()]);
    let code = |inputs: &[TensorData]| {
        let found = reduce(&search, &program, fault.clone(), inputs).expect_err("it keeps the values");
        found.0[0].code
    };
    assert_eq!(code(&inputs()), "D037");
    assert_eq!(code(&inputs()[..1]), "D036");
    let wrong = [("nope".to_owned(), inputs().remove(0))];
    let found = bisect(&search, &model, &inputs(), &wrong).expect_err("no such output");
    assert_eq!(found.0[0].code, "D039");
}
