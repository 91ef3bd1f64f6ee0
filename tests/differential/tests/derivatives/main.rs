//! Training operators: derivatives against differences of the reference, optimizers against their formulas.

mod places;
#[path = "../protos/mod.rs"]
mod protos;
mod windows;

use anyhow::{Context, Result, ensure};
use orogen::{Model, Step};
use orogen_differential::{Executor, Expected, Reference, Way, compare};
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;
use protos::{float, int, ints, model, number, plain_node, text, texts, value};

const DOMAIN: &str = "ai.onnx.preview.training";

fn floats(dims: &[i64], from: f64) -> TensorData {
    let count = dims.iter().product::<i64>();
    let dims: Vec<u64> = dims.iter().map(|it| it.unsigned_abs()).collect();
    TensorData::from_f64(DType::F64, &dims, (0..count).map(|i| from + ((i * 37 + 11) % 17) as f64 / 20.0))
}

/// The same, no two of which are equal.
fn distinct(dims: &[i64], from: f64) -> TensorData {
    let plain = floats(dims, from);
    let moved = plain.to_f64().into_iter().enumerate().map(|(i, it)| it + i as f64 / 1000.0);
    TensorData::from_f64(DType::F64, plain.dims(), moved)
}

fn places(dims: &[u64], list: &[i64]) -> TensorData {
    TensorData::from_slice(DType::I64, dims, list)
}

/// A node of the standard operators with one result.
fn node(op: &str, inputs: &[&str], output: &str, attributes: Vec<AttributeProto>) -> NodeProto {
    NodeProto { attribute: attributes, ..plain_node("", op, inputs, &[output]) }
}

fn list(output: &str, values: &[i64]) -> NodeProto {
    node("Constant", &[], output, vec![ints("value_ints", values)])
}

fn build(nodes: Vec<NodeProto>, operands: &[(&str, TensorData)], outputs: &[&str]) -> Result<Model> {
    build_with(nodes, operands, outputs, &|_| None)
}

/// Some dimensions have a name in the place of their size.
fn build_with(
    nodes: Vec<NodeProto>,
    operands: &[(&str, TensorData)],
    outputs: &[&str],
    open: &dyn Fn(i64) -> Option<&'static str>,
) -> Result<Model> {
    let dims = |it: &TensorData| it.dims().iter().map(|it| it.cast_signed()).collect::<Vec<i64>>();
    let graph = GraphProto {
        node: nodes,
        name: "g".into(),
        input: operands
            .iter()
            .map(|(name, it)| opened(value(name, number(it.dtype()), &dims(it)), open))
            .collect(),
        output: outputs.iter().map(|it| ValueInfoProto { name: (*it).into(), r#type: None }).collect(),
        ..GraphProto::default()
    };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("model.onnx");
    let mut model = model(DOMAIN, graph);
    model.opset_import[0].version = 26;
    std::fs::write(&file, model.to_bytes())?;
    Ok(Model::open(&file)?)
}

fn opened(mut value: ValueInfoProto, open: &dyn Fn(i64) -> Option<&'static str>) -> ValueInfoProto {
    let tensor = value.r#type.as_mut().and_then(|it| it.tensor_type.as_mut());
    for dim in tensor.into_iter().filter_map(|it| it.shape.as_mut()).flat_map(|it| &mut it.dim) {
        if let Some(name) = dim.dim_value.and_then(open) {
            *dim = DimensionProto { dim_value: None, dim_param: Some(name.into()) };
        }
    }
    value
}

fn reference(operands: &[(&str, TensorData)]) -> Reference {
    let inputs = operands.iter().map(|(name, it)| ((*name).to_string(), it.clone())).collect();
    Reference { name: "operands".into(), inputs, outputs: Expected::new() }
}

/// Derivatives of the sum of `y` by each name of `xs`, as differences of the reference.
fn differences(nodes: &[NodeProto], operands: &[(&str, TensorData)], xs: &[&str]) -> Result<Expected> {
    const STEP: f64 = 1e-5;
    let forward = build(nodes.to_vec(), operands, &["y"])?;
    let mut moved = Vec::new();
    for x in xs {
        let at = operands.iter().position(|it| it.0 == *x).context("an operand")?;
        let values = operands[at].1.to_f64();
        for i in 0..values.len() {
            for by in [-STEP, STEP] {
                let mut list = operands.to_vec();
                let shifted = values.iter().enumerate().map(|(j, it)| if i == j { it + by } else { *it });
                list[at].1 = TensorData::from_f64(DType::F64, operands[at].1.dims(), shifted);
                moved.push(reference(&list));
            }
        }
    }
    let results = Executor::Reference(Way::Native, Step::Import).run_model(&forward, &moved)?;
    let sums: Vec<f64> = results.iter().map(|it| it["y"].to_f64().iter().sum()).collect();
    let mut slopes = sums.chunks_exact(2).map(|it| (it[1] - it[0]) / (2.0 * STEP));
    let mut found = Expected::new();
    for x in xs {
        let at = operands.iter().position(|it| it.0 == *x).context("an operand")?;
        let (dims, count) = (operands[at].1.dims(), operands[at].1.len());
        found.insert(format!("d_{x}"), TensorData::from_f64(DType::F64, dims, slopes.by_ref().take(count)));
    }
    Ok(found)
}

fn with_gradient(nodes: &[NodeProto], operands: &[(&str, TensorData)], xs: &[&str]) -> Vec<NodeProto> {
    let zs: Vec<&str> = operands.iter().map(|it| it.0).filter(|it| !xs.contains(it)).collect();
    let names: Vec<String> = xs.iter().map(|it| format!("d_{it}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let given: Vec<&str> = xs.iter().chain(&zs).copied().collect();
    let mut gradient = plain_node(DOMAIN, "Gradient", &given, &names);
    gradient.attribute = vec![texts("xs", xs), text("y", "y")];
    gradient.attribute.extend((!zs.is_empty()).then(|| texts("zs", &zs)));
    nodes.iter().cloned().chain([gradient]).collect()
}

/// The derivatives that `Gradient` gives are the differences, on every path.
fn check(what: &str, nodes: &[NodeProto], operands: &[(&str, TensorData)], xs: &[&str]) -> Result<()> {
    check_on(&[Way::Legacy, Way::Native], what, nodes, operands, xs)
}

fn check_on(
    ways: &[Way],
    what: &str,
    nodes: &[NodeProto],
    operands: &[(&str, TensorData)],
    xs: &[&str],
) -> Result<()> {
    check_with(ways, &|_| None, what, nodes, operands, xs)
}

/// The same where sizes are known only at run time: those that have a name.
fn check_open(
    open: &dyn Fn(i64) -> Option<&'static str>,
    what: &str,
    nodes: &[NodeProto],
    operands: &[(&str, TensorData)],
    xs: &[&str],
) -> Result<()> {
    check_with(&[Way::Native], open, what, nodes, operands, xs)
}

fn check_with(
    ways: &[Way],
    open: &dyn Fn(i64) -> Option<&'static str>,
    what: &str,
    nodes: &[NodeProto],
    operands: &[(&str, TensorData)],
    xs: &[&str],
) -> Result<()> {
    let expected = differences(nodes, operands, xs)?;
    let outputs: Vec<String> = xs.iter().map(|it| format!("d_{it}")).collect();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let backward = build_with(with_gradient(nodes, operands, xs), operands, &outputs, open)?;
    let compiled = ways.iter().map(|it| Executor::Jit(*it));
    for executor in [Executor::Reference(Way::Native, Step::Import)].into_iter().chain(compiled) {
        let found = executor.run_model(&backward, &[reference(operands)]);
        let found = found.with_context(|| format!("{what}: {executor}"))?.pop().context("an output")?;
        let worst = compare(&found, &expected).with_context(|| format!("{what}: {executor}"))?;
        // Central differences of a step of 1e-5 are exact to about 1e-9 of values near 1.
        ensure!(worst.error <= 1e-7, "{what}: {executor}: error {}", worst.error);
    }
    Ok(())
}

#[test]
fn functions_of_one_operand() -> Result<()> {
    let plain = [
        "Neg",
        "Abs",
        "Exp",
        "Log",
        "Sqrt",
        "Reciprocal",
        "Sin",
        "Cos",
        "Tan",
        "Asin",
        "Acos",
        "Atan",
        "Sinh",
        "Cosh",
        "Asinh",
        "Atanh",
        "Tanh",
        "Sigmoid",
        "Erf",
        "Softplus",
        "Relu",
        "Softsign",
        "Elu",
        "Selu",
        "Mish",
        "HardSwish",
        "LeakyRelu",
        "Gelu",
    ];
    for op in plain {
        check(op, &[node(op, &["a"], "y", Vec::new())], &[("a", floats(&[3, 4], 0.06))], &["a"])?;
    }
    check("Acosh", &[node("Acosh", &["a"], "y", Vec::new())], &[("a", floats(&[5], 1.2))], &["a"])
}

#[test]
fn operands_that_are_broadcast() -> Result<()> {
    for op in ["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"] {
        let shapes: [[&[i64]; 2]; 4] =
            [[&[3, 4], &[4]], [&[3, 4], &[2, 1, 4]], [&[], &[3, 1]], [&[1, 4], &[3, 1]]];
        for [a, b] in shapes {
            let operands = [("a", floats(a, 0.31)), ("b", floats(b, 0.42))];
            check(op, &[node(op, &["a", "b"], "y", Vec::new())], &operands, &["a", "b"])?;
        }
    }
    let nodes =
        [node("Less", &["a", "b"], "c", Vec::new()), node("Where", &["c", "a", "b"], "y", Vec::new())];
    check("Where", &nodes, &[("a", floats(&[3, 4], 0.0)), ("b", floats(&[4], 0.013))], &["a", "b"])
}

#[test]
fn products() -> Result<()> {
    let shapes: [[&[i64]; 2]; 5] = [
        [&[2, 3, 4], &[4, 5]],
        [&[3], &[2, 3, 4]],
        [&[2, 3, 4], &[4]],
        [&[4], &[4]],
        [&[2, 1, 3, 4], &[5, 4, 2]],
    ];
    for [a, b] in shapes {
        let nodes = [node("MatMul", &["a", "b"], "t", Vec::new()), node("Tanh", &["t"], "y", Vec::new())];
        check("MatMul", &nodes, &[("a", floats(a, -0.4)), ("b", floats(b, -0.3))], &["a", "b"])?;
    }
    let nodes = [
        node("Gemm", &["a", "b", "c"], "t", vec![int("transB", 1), float("alpha", 0.5)]),
        node("Tanh", &["t"], "y", Vec::new()),
    ];
    let operands = [("a", floats(&[3, 4], -0.4)), ("b", floats(&[5, 4], -0.3)), ("c", floats(&[5], 0.1))];
    check("Gemm", &nodes, &operands, &["a", "b", "c"])
}

#[test]
fn reductions_and_normalisations() -> Result<()> {
    let a = [("a", floats(&[2, 3, 4], 0.1))];
    for op in ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceLogSumExp"] {
        for keep in [0, 1] {
            let nodes = [
                list("axes", &[1, 2]),
                node(op, &["a", "axes"], "t", vec![int("keepdims", keep)]),
                node("Exp", &["t"], "y", Vec::new()),
            ];
            check(op, &nodes, &a, &["a"])?;
        }
    }
    for op in ["Softmax", "LogSoftmax"] {
        for axis in [0, 1, -1] {
            let nodes =
                [node(op, &["a"], "t", vec![int("axis", axis)]), node("Mul", &["t", "w"], "y", Vec::new())];
            check(op, &nodes, &[a[0].clone(), ("w", floats(&[2, 3, 4], -0.2))], &["a"])?;
        }
    }
    let nodes = [
        node("LayerNormalization", &["a", "s", "b"], "t", Vec::new()),
        node("Mul", &["t", "w"], "y", Vec::new()),
    ];
    let operands =
        [a[0].clone(), ("s", floats(&[4], 0.3)), ("b", floats(&[4], 0.7)), ("w", floats(&[2, 3, 4], -0.2))];
    check("LayerNormalization", &nodes, &operands, &["a", "s", "b"])?;
    let nodes = [
        node("InstanceNormalization", &["a", "s", "b"], "t", Vec::new()),
        node("Tanh", &["t"], "y", Vec::new()),
    ];
    let operands = [a[0].clone(), ("s", floats(&[3], 0.3)), ("b", floats(&[3], 0.7))];
    check("InstanceNormalization", &nodes, &operands, &["a", "s", "b"])?;
    let loss = [node("SoftmaxCrossEntropyLoss", &["a", "i"], "y", Vec::new())];
    check("loss", &loss, &[("a", floats(&[3, 4], 0.0)), ("i", places(&[3], &[1, 0, 3]))], &["a"])
}

#[test]
fn elements_that_are_moved() -> Result<()> {
    let a = ("a", floats(&[2, 3, 4], -0.3));
    let square = || node("Mul", &["t", "t"], "y", Vec::new());
    let one = |nodes: Vec<NodeProto>, what: &str| {
        let nodes: Vec<NodeProto> = nodes.into_iter().chain([square()]).collect();
        check(what, &nodes, std::slice::from_ref(&a), &["a"])
    };
    one(vec![node("Transpose", &["a"], "t", vec![ints("perm", &[2, 0, 1])])], "Transpose")?;
    one(vec![list("s", &[-1, 2]), node("Reshape", &["a", "s"], "t", Vec::new())], "Reshape")?;
    one(vec![list("s", &[5, 2, 1, 1]), node("Expand", &["a", "s"], "t", Vec::new())], "Expand")?;
    one(vec![list("s", &[5, 2, 3, 4]), node("Expand", &["a", "s"], "t", Vec::new())], "Expand")?;
    one(vec![list("s", &[0, 1, 0, 0, 0, 2]), node("Pad", &["a", "s"], "t", Vec::new())], "Pad")?;
    let bounds = [list("s", &[2, -1]), list("e", &[0, -10]), list("x", &[1, 2]), list("st", &[-1, -2])];
    let slice = node("Slice", &["a", "s", "e", "x", "st"], "t", Vec::new());
    one(bounds.into_iter().chain([slice]).collect(), "Slice")?;
    let axis = node("Constant", &[], "x", vec![int("value_int", 1)]);
    one(vec![axis, node("CumSum", &["a", "x"], "t", vec![int("exclusive", 1)])], "CumSum")?;
    let nodes = [node("Concat", &["a", "b"], "t", vec![int("axis", 1)]), square()];
    check("Concat", &nodes, &[a.clone(), ("b", floats(&[2, 2, 4], 0.2))], &["a", "b"])?;
    let nodes = [node("Gather", &["a", "i"], "t", vec![int("axis", 1)]), square()];
    check("Gather", &nodes, &[a.clone(), ("i", places(&[2, 2], &[0, 2, -1, 2]))], &["a"])?;
    let nodes = [node("GatherElements", &["a", "i"], "t", vec![int("axis", 2)]), square()];
    check("GatherElements", &nodes, &[a.clone(), ("i", places(&[2, 1, 2], &[0, -1, 3, 3]))], &["a"])
}

#[test]
fn what_has_no_derivative_is_refused_by_name() -> Result<()> {
    let operands =
        [("a", floats(&[2, 1, 3], 0.1)), ("w", floats(&[1, 2, 3], 0.1)), ("b", floats(&[1, 2, 2], 0.1))];
    let mut network = node("RNN", &["a", "w", "b"], "y", vec![int("hidden_size", 2)]);
    network.name = "memory".into();
    let model = build(with_gradient(&[network], &operands, &["a", "w", "b"]), &operands, &["d_a"])?;
    let error = Executor::Jit(Way::Native).run_model(&model, &[reference(&operands)]).unwrap_err();
    let error = format!("{error:#}");
    let parts = ["X009", "Gradient", "the derivative of `rnn` is not known", "`memory` (RNN)", "help: "];
    ensure!(parts.iter().all(|it| error.contains(it)), "{error}");
    let operands = [("a", floats(&[1, 1, 4], 0.1)), ("b", floats(&[1, 1, 2], 0.1))];
    // What is not on the way has a derivative of zeros.
    let nodes = with_gradient(&[node("Exp", &["a"], "y", Vec::new())], &operands, &["a", "b"]);
    let model = build(nodes, &operands, &["d_b"])?;
    let found = Executor::Jit(Way::Native).run_model(&model, &[reference(&operands)])?;
    ensure!(found[0]["d_b"].to_f64() == [0.0, 0.0], "{found:?}");
    Ok(())
}

/// Names of operands: a rate, a count, and the kinds of two tensors.
fn optimizer(
    op: &str,
    attributes: Vec<AttributeProto>,
    kinds: &[&str],
    count: i64,
) -> Result<[Vec<Vec<f64>>; 2]> {
    let name = |kind: &str, tensor: usize| format!("{kind}{tensor}");
    let mut operands = vec![
        ("r".to_string(), TensorData::from_f64(DType::F32, &[], [0.1])),
        ("t".to_string(), places(&[], &[count])),
    ];
    for (k, kind) in kinds.iter().enumerate() {
        for (tensor, dims) in [&[2_u64, 3][..], &[4]].into_iter().enumerate() {
            let values = (0..dims.iter().product::<u64>()).map(|i| 0.3 + 0.1 * (i as f64) + 0.7 * k as f64);
            operands.push((name(kind, tensor), TensorData::from_f64(DType::F32, dims, values)));
        }
    }
    let operands: Vec<(&str, TensorData)> =
        operands.iter().map(|(name, it)| (name.as_str(), it.clone())).collect();
    // All kinds but gradients have a next value.
    let results: Vec<String> =
        kinds.iter().filter(|it| **it != "g").flat_map(|it| [0, 1].map(|i| format!("n{it}{i}"))).collect();
    let results: Vec<&str> = results.iter().map(String::as_str).collect();
    let names: Vec<&str> = operands.iter().map(|it| it.0).collect();
    let node = NodeProto { attribute: attributes, ..plain_node(DOMAIN, op, &names, &results) };
    let model = build(vec![node], &operands, &results)?;
    let mut found = Executor::Jit(Way::Native).run_model(&model, &[reference(&operands)])?;
    let legacy = Executor::Jit(Way::Legacy).run_model(&model, &[reference(&operands)])?;
    let found = found.pop().context("an output")?;
    ensure!(compare(&found, &legacy[0])?.error == 0.0, "{op}: paths differ");
    let given = operands[2..].iter().map(|it| it.1.to_f64()).collect();
    Ok([given, results.iter().map(|it| found[*it].to_f64()).collect()])
}

fn near(op: &str, found: &[f64], expected: impl Iterator<Item = f64>) -> Result<()> {
    for (found, expected) in found.iter().zip(expected) {
        ensure!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{op}: {found} for {expected}");
    }
    Ok(())
}

#[test]
fn optimizers_follow_their_formulas() -> Result<()> {
    for count in [0, 3] {
        let attributes =
            vec![float("norm_coefficient", 0.01), float("epsilon", 1e-3), float("decay_factor", 0.1)];
        let [given, found] = optimizer("Adagrad", attributes, &["x", "g", "h"], count)?;
        for tensor in [0, 1] {
            let part = |kind: usize, i: usize| given[kind * 2 + tensor][i];
            let g = |i| 0.01 * part(0, i) + part(1, i);
            let h = |i| part(2, i) + g(i) * g(i);
            let rate = 0.1 / (1.0 + 0.1 * count as f64);
            let size = found[tensor].len();
            let next = (0..size).map(|i| part(0, i) - rate * g(i) / (h(i).sqrt() + 1e-3));
            near("Adagrad", &found[tensor], next)?;
            near("Adagrad", &found[2 + tensor], (0..size).map(h))?;
        }

        let [alpha, beta, after] = [0.95f32, 0.8, 0.05];
        let attributes = vec![
            float("norm_coefficient", 0.01),
            float("epsilon", 1e-3),
            float("alpha", alpha),
            float("beta", beta),
            float("norm_coefficient_post", after),
        ];
        let [given, found] = optimizer("Adam", attributes, &["x", "g", "v", "h"], count)?;
        let [alpha, beta, after] = [alpha, beta, after].map(f64::from);
        for tensor in [0, 1] {
            let part = |kind: usize, i: usize| given[kind * 2 + tensor][i];
            let g = |i| 0.01 * part(0, i) + part(1, i);
            let v = |i| alpha * part(2, i) + (1.0 - alpha) * g(i);
            let h = |i| beta * part(3, i) + (1.0 - beta) * g(i) * g(i);
            let power = i32::try_from(count)?;
            let rate = match count {
                0 => 0.1,
                _ => 0.1 * (1.0 - beta.powi(power)).sqrt() / (1.0 - alpha.powi(power)),
            };
            let size = found[tensor].len();
            let next = (0..size).map(|i| (1.0 - after) * (part(0, i) - rate * v(i) / (h(i).sqrt() + 1e-3)));
            near("Adam", &found[tensor], next)?;
            near("Adam", &found[2 + tensor], (0..size).map(v))?;
            near("Adam", &found[4 + tensor], (0..size).map(h))?;
        }

        for mode in ["standard", "nesterov"] {
            let attributes = vec![
                float("norm_coefficient", 0.01),
                float("alpha", 0.9),
                float("beta", 0.5),
                text("mode", mode),
            ];
            let [given, found] = optimizer("Momentum", attributes, &["x", "g", "v"], count)?;
            for tensor in [0, 1] {
                let part = |kind: usize, i: usize| given[kind * 2 + tensor][i];
                let g = |i| 0.01 * part(0, i) + part(1, i);
                let share = if count > 0 { 0.5 } else { 1.0 };
                let v = |i| 0.9 * part(2, i) + share * g(i);
                let step = |i| if mode == "nesterov" { g(i) + 0.9 * v(i) } else { v(i) };
                let size = found[tensor].len();
                near(mode, &found[tensor], (0..size).map(|i| part(0, i) - 0.1 * step(i)))?;
                near(mode, &found[2 + tensor], (0..size).map(v))?;
            }
        }
    }
    Ok(())
}

#[test]
fn optimizers_with_too_few_operands_are_refused() -> Result<()> {
    let operands = [("r", floats(&[], 0.1)), ("t", places(&[], &[0])), ("x", floats(&[2], 0.1))];
    let node = plain_node(DOMAIN, "Adam", &["r", "t", "x"], &["y"]);
    let model = build(vec![node], &operands, &["y"])?;
    let error = Executor::Jit(Way::Native).run_model(&model, &[reference(&operands)]).unwrap_err();
    ensure!(format!("{error:#}").contains("4 for each tensor are wanted"), "{error:#}");
    Ok(())
}
