//! What is known when a model is compiled: sizes through floats, ranges, loops that are counted, constants that are
//! computed within the budget. Both paths hold all of it, and generated code computes it.

mod protos;

use anyhow::{Context, Result, ensure};
use orogen::{CompileOptions, Compiler, Limits, Lowered, Model, OptIn, Step};
use orogen_differential::{Executor, Expected, Reference, Way, compare};
use orogen_ir::diag::Diagnostics;
use orogen_ir::plan::CallPlan;
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;
use protos::{data_for, int, model, plain_node, text, value};

fn ints(name: &str, dims: &[i64], list: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: data_type::INT64,
        int64_data: list.to_vec(),
        ..TensorProto::default()
    }
}

fn floats(name: &str, dims: &[i64], list: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: data_type::FLOAT,
        float_data: list.to_vec(),
        ..TensorProto::default()
    }
}

fn with(mut node: NodeProto, attribute: AttributeProto) -> NodeProto {
    node.attribute.push(attribute);
    node
}

/// A model with one output `y`.
fn graph(input: &[(&str, &[i64])], initializer: Vec<TensorProto>, node: Vec<NodeProto>) -> ModelProto {
    let graph = GraphProto {
        node,
        name: "g".into(),
        initializer,
        input: input.iter().map(|(name, dims)| value(name, data_type::FLOAT, dims)).collect(),
        output: vec![ValueInfoProto { name: "y".into(), r#type: None }],
        ..GraphProto::default()
    };
    model("", graph)
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    plain_node("", op, inputs, &[output])
}

/// Runs `check` with the model in a file.
fn opened<T>(proto: &ModelProto, check: impl FnOnce(&Model) -> Result<T>) -> Result<T> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, proto.to_bytes())?;
    check(&Model::open(&file)?)
}

/// The output, after both paths computed it with the same result.
fn computed(proto: &ModelProto, x: &TensorData) -> Result<TensorData> {
    opened(proto, |model| {
        let inputs: Expected = [("x".to_string(), x.clone())].into_iter().collect();
        let reference = Reference { name: "here".into(), inputs, outputs: Expected::new() };
        let run = |executor: Executor| -> Result<Expected> {
            let found = executor.run_model(model, std::slice::from_ref(&reference));
            found.with_context(|| executor.to_string())?.pop().context("an output")
        };
        let expected = run(Executor::Reference(Way::Native, Step::Import))?;
        for executor in [
            Executor::Reference(Way::Legacy, Step::Import),
            Executor::Jit(Way::Legacy),
            Executor::Jit(Way::Native),
        ] {
            ensure!(compare(&run(executor)?, &expected)?.error < 1e-5, "{executor} differs");
        }
        Ok(expected["y"].clone())
    })
}

fn plan(proto: &ModelProto, options: &CompileOptions) -> Result<(CallPlan, Vec<String>), Diagnostics> {
    let lowered = opened(proto, |model| Ok(Compiler::standard().lower(model, options, Step::PlanMemory)));
    match lowered.expect("a model file")? {
        (Lowered::Plan(mut plans), report) => {
            Ok((plans.functions.remove(0), report.remarks.iter().map(ToString::to_string).collect()))
        }
        _ => panic!("lowering ended before the plan"),
    }
}

fn both() -> [CompileOptions; 2] {
    [OptIn::Legacy, OptIn::DataflowIr].map(|opt_in| CompileOptions {
        opt_in,
        verify: true,
        ..CompileOptions::default()
    })
}

#[test]
fn sizes_that_pass_through_floats_are_known() {
    let nodes = vec![
        node("Shape", &["x"], "s"),
        with(node("Gather", &["s", "two"], "h"), int("axis", 0)),
        with(node("Cast", &["h"], "hf"), int("to", 1)),
        node("Mul", &["hf", "factor"], "grown"),
        node("Floor", &["grown"], "whole"),
        node("Sqrt", &["whole"], "root"),
        with(node("Cast", &["root"], "n"), int("to", 7)),
        node("Unsqueeze", &["n", "zero"], "n1"),
        with(node("Concat", &["n1", "rest"], "shape"), int("axis", 0)),
        node("Reshape", &["x", "shape"], "y"),
    ];
    let constants = vec![
        ints("two", &[], &[2]),
        ints("zero", &[1], &[0]),
        ints("rest", &[1], &[-1]),
        floats("factor", &[], &[1.5]),
    ];
    let y = computed(&graph(&[("x", &[1, 2, 6, 2])], constants, nodes), &data_for(DType::F32, &[1, 2, 6, 2]));
    // 6 · 1.5 = 9, and its root is 3.
    assert_eq!(y.expect("computed").dims(), [3, 8]);
}

#[test]
fn a_range_of_floats_has_a_known_size() {
    let constants = vec![floats("from", &[], &[0.0]), floats("to", &[], &[1.0]), floats("by", &[], &[0.25])];
    let nodes = vec![node("Range", &["from", "to", "by"], "r"), node("Add", &["x", "r"], "y")];
    let x = TensorData::from_f64(DType::F32, &[4], [1.0; 4]);
    let y = computed(&graph(&[("x", &[4])], constants, nodes), &x).expect("computed");
    assert_eq!(y.to_f64(), [1.0, 1.25, 1.5, 1.75]);
}

/// `x` doubled in each of `turns` turns.
fn counted_loop(turns: i64) -> ModelProto {
    let named = |name: &str| ValueInfoProto { name: name.into(), r#type: None };
    let body = GraphProto {
        node: vec![node("Identity", &["on"], "go"), node("Add", &["a", "a"], "b")],
        name: "body".into(),
        input: vec![
            value("turn", data_type::INT64, &[]),
            value("on", data_type::BOOL, &[]),
            value("a", data_type::FLOAT, &[2]),
        ],
        output: vec![named("go"), named("b")],
        ..GraphProto::default()
    };
    let attribute = attribute::graph("body", body);
    let nodes = vec![with(node("Loop", &["turns", "", "x"], "y"), attribute)];
    graph(&[("x", &[2])], vec![ints("turns", &[], &[turns])], nodes)
}

#[test]
fn the_static_graph_unrolls_counted_loops_within_the_budget() {
    let x = TensorData::from_f64(DType::F32, &[2], [1.0, -3.0]);
    for (turns, factor) in [(0, 1.0), (1, 2.0), (5, 32.0)] {
        let y = computed(&counted_loop(turns), &x).expect("computed");
        assert_eq!(y.to_f64(), [factor, -3.0 * factor], "{turns} turns");
    }
    let [legacy, flow] = both();
    let error = plan(&counted_loop(1 << 40), &legacy).expect_err("too many turns").to_string();
    for part in ["O030", "(Loop)", "every turn is built", "--budget", "--opt-in dataflow-ir"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    plan(&counted_loop(1 << 40), &flow).expect("a loop stays a loop");
}

/// A constant grows by a factor in each of `count` steps, and its sum is added to `x`.
fn tiles(count: usize, repeats: &[i64], square: bool) -> ModelProto {
    let mut nodes = Vec::new();
    let mut last = "start".to_string();
    for i in 0..count {
        nodes.push(node("Tile", &[&last, "repeats"], &format!("t{i}")));
        last = format!("t{i}");
    }
    if square {
        nodes.push(node("MatMul", &[&last, &last], "product"));
        last = "product".into();
    }
    nodes.push(with(node("ReduceSum", &[&last], "sum"), int("keepdims", 0)));
    nodes.push(node("Add", &["x", "sum"], "y"));
    let constants = vec![floats("start", &[64, 64], &[1.0; 4096]), ints("repeats", &[2], repeats)];
    graph(&[("x", &[2, 3])], constants, nodes)
}

#[test]
fn folding_ends_with_the_budget_and_says_so() {
    for options in both() {
        // 10¹⁵ products may not be computed here.
        let (_, remarks) = plan(&tiles(10, &[2, 2], true), &options).expect("compiled");
        assert!(remarks.iter().any(|it| it.contains("O031") && it.contains("--budget")), "{remarks:?}");
        // 8 TB that nothing wants as weights are not even tried.
        let (_, remarks) = plan(&tiles(10, &[8, 1], false), &options).expect("compiled");
        assert!(remarks.is_empty(), "{remarks:?}");
        let (_, remarks) = plan(&tiles(2, &[2, 2], true), &options).expect("compiled");
        assert!(remarks.is_empty(), "{remarks:?}");
        let nothing = CompileOptions { budget: Limits { bytes: 0, operations: 0, nodes: 0 }, ..options };
        let (_, remarks) = plan(&tiles(2, &[2, 2], true), &nothing).expect("compiled without folding");
        assert_eq!(remarks.len(), 1, "{remarks:?}");
    }
}

#[test]
fn weights_that_the_model_fills_are_constants() {
    let fill = |output: &str, shape: &str, number: f32| {
        let tensor = floats("", &[1], &[number]);
        let attribute = attribute::tensor("value", tensor);
        with(node("ConstantOfShape", &[shape], output), attribute)
    };
    let nodes = vec![
        fill("w", "weights", 0.5),
        with(node("Conv", &["x", "w"], "c"), text("auto_pad", "SAME_UPPER")),
        fill("m", "same", 2.0),
        node("Mul", &["c", "m"], "y"),
    ];
    // 147 kB of weights, 65 kB and more of a factor.
    let constants = vec![ints("weights", &[4], &[64, 64, 3, 3]), ints("same", &[4], &[1, 64, 17, 16])];
    let proto = graph(&[("x", &[1, 64, 17, 16])], constants, nodes);
    let bytes = |plan: &CallPlan| -> Vec<usize> {
        plan.constants.ids().map(|id| plan.constants.data(id).bytes().len()).collect()
    };
    for options in both() {
        let (plan, _) = plan(&proto, &options).expect("compiled");
        let large: Vec<usize> = bytes(&plan).into_iter().filter(|it| *it > 1 << 16).collect();
        assert_eq!(large, [64 * 64 * 9 * 4], "the weights are folded, the factor is not worth its bytes");
    }
}
