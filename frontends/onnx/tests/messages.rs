//! What an error of a node says: which node, of which operator, on which operands, and what to do.

mod common;

use common::*;
use orogen_onnx::proto::*;
use orogen_onnx::{Model, NEWEST_OPSET, OpTable, Options, import};
use prost::Message;

/// What is said of a model, when it is refused.
fn said(model: ModelProto) -> Option<String> {
    let model = Model::from_bytes(model.encode_to_vec()).unwrap();
    import(&model, &Options::default(), &mut Recorder::default()).err().map(|it| it.to_string())
}

fn named_node(op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> NodeProto {
    NodeProto { name: "the node".into(), ..node(op, inputs, &["y"], attributes) }
}

fn with_inputs(node: NodeProto) -> ModelProto {
    let inputs = vec![f32_input("first", &[2, 3]), f32_input("second", &[5, 7])];
    model(NEWEST_OPSET, graph(inputs, vec![], vec![node], &["y"]))
}

#[track_caller]
fn says(model: ModelProto, parts: &[&str]) {
    let error = said(model).expect("the model is refused");
    for part in parts {
        assert!(error.contains(part), "no `{part}` in: {error}");
    }
}

#[test]
fn each_kind_of_error_names_node_operator_operands_and_a_way_out() {
    let place = "node `the node` (";
    let shapes = with_inputs(named_node("MatMul", &["first", "second"], vec![]));
    says(
        shapes,
        &["S001", place, "(MatMul)", "operand 0 is `first`: ", "[2, 3]", "operand 1 is `second`", "help: "],
    );
    let attribute = with_inputs(named_node("Concat", &["first"], vec![int("axis", 9)]));
    says(attribute, &["X010", place, "(Concat)", "operand 0 is `first`", "help: "]);
    let absent = with_inputs(named_node("Gemm", &["first"], vec![]));
    says(absent, &["X010", place, "(Gemm)", "operand 0 is `first`", "help: "]);
    let kind = with_inputs(named_node("BitwiseAnd", &["first", "first"], vec![]));
    says(kind, &["O0", place, "(BitwiseAnd)", "operand 1 is `first`", "help: "]);
    let unknown = with_inputs(named_node("Nothing", &["first", "", "second"], vec![]));
    says(unknown, &["X009", place, "(Nothing) of `first`, `second`, ai.onnx version", "help: "]);
    let inner = || graph(vec![], vec![], vec![named_node("MatMul", &["first", "second"], vec![])], &["y"]);
    let branches = vec![graph_attr("then_branch", inner()), graph_attr("else_branch", inner())];
    let nodes = vec![
        node("ReduceMax", &["first"], &["largest"], vec![int("keepdims", 0)]),
        node("Cast", &["largest"], &["condition"], vec![int("to", 9)]),
        node("If", &["condition"], &["z"], branches),
    ];
    let inputs = vec![f32_input("first", &[2, 3]), f32_input("second", &[5, 7])];
    let branch = model(NEWEST_OPSET, graph(inputs, vec![], nodes, &["z"]));
    says(branch, &[place, "(MatMul)", "operand 1 is `second`", "help: "]);
}

#[test]
fn every_operator_says_what_it_refuses() {
    let table = OpTable::standard();
    let mut refused = 0;
    for (domain, op, _) in table.iter() {
        for inputs in [&["first"][..], &["first", "second"], &["second", "first", "second", "first"]] {
            let mut node = named_node(op, inputs, vec![]);
            node.domain = domain.into();
            let mut model = with_inputs(node);
            for domain in ["ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training", "com.microsoft"] {
                let version = if domain == "ai.onnx.ml" { 5 } else { 1 };
                model.opset_import.push(OperatorSetIdProto { domain: domain.into(), version });
            }
            let Some(error) = said(model) else { continue };
            refused += 1;
            // Old operators are listed, without what their operands are.
            let parts = ["node `the node` (", op, "`first`", "help: "];
            assert!(parts.iter().all(|it| error.contains(it)), "{domain} {op} {inputs:?}: {error}");
        }
    }
    assert!(refused > 300, "{refused}");
}
