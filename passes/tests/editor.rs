//! Random edits through the editors keep every law and what a program computes.

use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{BindingId, BlockKind, Editor, Module, RegionId, Rhs, ValueId, random_module};
use orogen_ir::generate::Random;
use orogen_ir::graph::{Edge, Graph, GraphEditor, NodeId, NodeKind, random_graph};
use orogen_ir::ops::OpRegistry;
use orogen_ir::shape::Env;
use orogen_ir::types::{Attrs, DType, TensorData, TensorType};
use orogen_reference::{EvalErrorKind, Value, eval_function, eval_graph};

const SEEDS: u64 = 60;
const EDITS: usize = 12;

fn one_of<T: Copy>(random: &mut Random, list: &[T]) -> Option<T> {
    if list.is_empty() { None } else { Some(random.pick(list)) }
}

fn data(ty: &TensorType, dims: &[u64]) -> TensorData {
    let n: u64 = dims.iter().product();
    TensorData::from_f64(ty.dtype, dims, (0..n).map(|i| ((i * 37 + 5) % 13) as f64 * 0.5 - 3.0))
}

/// What a function computes on small inputs, or that it refuses them; nothing where it cannot be run.
fn outcome(ops: &OpRegistry, module: &Module) -> Option<Option<Vec<TensorData>>> {
    let (_, function) = module.entry()?;
    let env: Env = module.shapes.symbols().map(|it| (it, 3)).collect();
    let inputs = function.signature().params.into_iter().map(|ty| {
        let ty = ty.as_tensor()?.clone();
        let dims = ty.dims()?.iter().map(|it| u64::try_from(module.shapes.eval(*it, &env)?).ok());
        Some(Value::Tensor(data(&ty, &dims.collect::<Option<Vec<u64>>>()?)))
    });
    match eval_function(ops, module, "main", &inputs.collect::<Option<Vec<_>>>()?) {
        Ok(results) => Some(Some(results.iter().filter_map(Value::as_tensor).cloned().collect())),
        Err(it) if it.kind == EvalErrorKind::CheckFailed => Some(None),
        Err(_) => None,
    }
}

fn same(a: &[TensorData], b: &[TensorData]) -> bool {
    let equal = |a: &TensorData, b: &TensorData| {
        let mut pairs = a.to_f64().into_iter().zip(b.to_f64());
        a.dims() == b.dims() && pairs.all(|(a, b)| a.to_bits() == b.to_bits() || a == b)
    };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
}

/// Law E2: uses are those that a walk over the program counts.
fn check_uses(editor: &Editor<'_>) {
    fn regions(editor: &Editor<'_>, region: RegionId, found: &mut Vec<RegionId>) {
        found.push(region);
        for block in &editor.region(region).blocks {
            for id in editor.order(*block) {
                editor.binding(id).rhs.regions().into_iter().for_each(|it| regions(editor, it, found));
            }
        }
    }
    let mut found = Vec::new();
    regions(editor, editor.body(), &mut found);
    let mut used: Vec<ValueId> =
        found.iter().flat_map(|it| editor.region(*it).results.iter().copied()).collect();
    used.extend(editor.bindings().into_iter().flat_map(|it| editor.binding(it).rhs.operands()));
    let results = editor.bindings().into_iter().flat_map(|it| editor.binding(it).results.clone());
    for value in results.chain(used.iter().copied()) {
        assert_eq!(editor.uses(value), used.iter().filter(|it| **it == value).count(), "{value:?}");
    }
}

/// One edit that changes nothing that is computed; whether there was one to make.
fn edit(editor: &mut Editor<'_>, random: &mut Random) -> Result<bool, Diagnostic> {
    let ops = editor.ops();
    let Some(id) = one_of(random, &editor.bindings()) else { return Ok(false) };
    let binding = editor.binding(id).clone();
    let plain = binding.rhs.regions().is_empty() && !binding.results.is_empty();
    let moves = matches!(binding.rhs, Rhs::Op { .. } | Rhs::Constant(_) | Rhs::Tuple(_) | Rhs::Get { .. });
    let unused = binding.results.iter().all(|it| editor.uses(*it) == 0);
    match random.below(5) {
        // What uses a result uses a copy of it.
        0 if !binding.results.is_empty() => {
            let Some(result) = one_of(random, &binding.results) else { return Ok(false) };
            let Some(dtype) = editor.type_of(result).as_tensor().map(|it| it.dtype) else { return Ok(false) };
            editor.after(id);
            let copy = editor.op(ops.get("cast"), Attrs::none().with("to", dtype), &[result])?[0];
            editor.replace(result, copy);
        }
        // The same is computed again, in front or behind, and used instead.
        1 if plain && moves && editor.binds(id).is_empty() => {
            if random.coin() {
                editor.before(id)
            } else {
                editor.after(id)
            };
            let again = editor.emit(binding.rhs)?;
            for (from, to) in binding.results.iter().zip(again) {
                editor.replace(*from, to);
            }
            editor.remove(id);
        }
        // What nobody uses goes.
        2 if plain && moves && unused && editor.binds(id).is_empty() => editor.remove(id),
        // A constant that nobody uses comes.
        3 => {
            if random.coin() {
                editor.before(id)
            } else {
                editor.after(id)
            };
            editor.constant("", TensorData::from_f64(DType::F32, &[2], [1.0, 2.0]));
        }
        // A right-hand side is set to what it is.
        4 if plain => editor.set_rhs(id, binding.rhs)?,
        _ => return Ok(false),
    }
    Ok(true)
}

#[test]
fn random_edits_of_modules() {
    let ops = OpRegistry::standard();
    let (mut edits, mut runs) = (0, 0);
    for seed in 0..SEEDS {
        let mut module = random_module(&ops, seed);
        let mut random = Random::new(seed);
        let before = outcome(&ops, &module);
        for _ in 0..EDITS {
            let edited = module.edit(&ops, |editor| {
                edits += usize::from(edit(editor, &mut random)?);
                check_uses(editor);
                Ok::<(), Diagnostic>(())
            });
            edited.unwrap_or_else(|it| panic!("seed {seed}: {it}"));
            module.verify(&ops).unwrap_or_else(|it| panic!("seed {seed}: {it}"));
        }
        let Some(before) = before else { continue };
        let after = outcome(&ops, &module).unwrap_or_else(|| panic!("seed {seed}: it ran before"));
        match (&before, &after) {
            (Some(before), Some(after)) => assert!(same(before, after), "seed {seed}"),
            _ => assert_eq!(before.is_some(), after.is_some(), "seed {seed}"),
        }
        runs += 1;
    }
    assert!(edits > 200 && runs > 20, "{edits} edits, {runs} runs");
}

fn check_graph_uses(editor: &GraphEditor<'_>, outputs: &[Edge]) {
    let order = editor.order();
    let mut used: Vec<Edge> = order.iter().flat_map(|it| editor.node(*it).inputs.iter().copied()).collect();
    used.extend_from_slice(outputs);
    for edge in order.into_iter().flat_map(|it| editor.edges(it)) {
        assert_eq!(editor.uses(edge), used.iter().filter(|it| **it == edge).count(), "{edge:?}");
    }
}

fn edit_graph(editor: &mut GraphEditor<'_>, random: &mut Random) -> Result<bool, Diagnostic> {
    let Some(id) = one_of(random, &editor.order()) else { return Ok(false) };
    let node = editor.node(id).clone();
    let input = matches!(node.kind, NodeKind::Input { .. });
    match random.below(3) {
        0 if !input => {
            editor.before(id);
            let again: NodeId = editor.emit(node.kind, node.inputs, node.outputs)?;
            for (from, to) in editor.edges(id).zip(editor.edges(again)) {
                editor.replace(from, to);
            }
            editor.remove(id);
        }
        1 if !input && editor.edges(id).all(|it| editor.uses(it) == 0) => editor.remove(id),
        2 if !input => {
            editor.before(id);
            editor.constant("", TensorData::from_f64(DType::F32, &[2], [1.0, 2.0]));
        }
        _ => return Ok(false),
    }
    Ok(true)
}

#[test]
fn random_edits_of_graphs() {
    let ops = OpRegistry::standard();
    let (mut edits, mut runs) = (0, 0);
    for seed in 0..SEEDS {
        let mut graph: Graph = random_graph(&ops, seed);
        let mut random = Random::new(seed);
        let inputs: Vec<TensorData> = graph
            .inputs()
            .iter()
            .map(|it| {
                let ty = &graph[*it].outputs[0];
                data(&TensorType::unknown(ty.dtype), &ty.dims)
            })
            .collect();
        let before = eval_graph(&ops, &graph, &inputs);
        for _ in 0..EDITS {
            let edited = graph.edit(&ops, |editor| -> Result<(), Diagnostics> {
                edits += usize::from(edit_graph(editor, &mut random)?);
                Ok(())
            });
            edited.unwrap_or_else(|it| panic!("seed {seed}: {it}"));
            let outputs: Vec<Edge> = graph.outputs().iter().map(|(_, edge)| *edge).collect();
            let counted = graph.edit(&ops, |editor| -> Result<(), Diagnostics> {
                check_graph_uses(editor, &outputs);
                Ok(())
            });
            counted.expect("nothing is edited");
            graph.verify(&ops).unwrap_or_else(|it| panic!("seed {seed}: {it}"));
        }
        let Ok(before) = before else { continue };
        let after = eval_graph(&ops, &graph, &inputs).unwrap_or_else(|it| panic!("seed {seed}: {it}"));
        assert!(same(&before, &after), "seed {seed}");
        runs += 1;
    }
    assert!(edits > 200 && runs > 20, "{edits} edits, {runs} runs");
}

/// Law E1, for whoever edits.
#[test]
fn effects_and_control_flow_are_refused_in_dataflow_blocks() {
    let ops = OpRegistry::standard();
    let mut refused = 0;
    for seed in 0..SEEDS {
        let mut module = random_module(&ops, seed);
        let printed = orogen_ir::flow::text::print(&module, &ops);
        let edited = module.edit(&ops, |editor| {
            let dataflow: Vec<_> =
                editor.blocks().into_iter().filter(|it| editor.kind(*it) == BlockKind::Dataflow).collect();
            let control = |it: &BindingId| !editor.binding(*it).rhs.regions().is_empty();
            let mut refusals: Vec<Rhs> = editor
                .bindings()
                .into_iter()
                .filter(control)
                .map(|it| editor.binding(it).rhs.clone())
                .collect();
            // Of a kernel with effects, which random modules define.
            let args = Default::default();
            refusals.push(Rhs::Call { callee: "observe0".to_owned(), args, sizes: Default::default() });
            let Some(place) = dataflow.iter().find_map(|it| editor.order(*it).first().copied()) else {
                return Ok::<(), Diagnostic>(());
            };
            editor.before(place);
            for rhs in refusals {
                assert_eq!(editor.emit_as(rhs.clone(), []).expect_err("refused").code, "B027");
                assert_eq!(editor.set_rhs(place, rhs).expect_err("refused").code, "B027");
                refused += 1;
            }
            Ok(())
        });
        edited.expect("nothing is edited");
        assert_eq!(orogen_ir::flow::text::print(&module, &ops), printed);
    }
    assert!(refused > 2 * SEEDS / 3, "{refused}");
}
