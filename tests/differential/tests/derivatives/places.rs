//! Elements that are read and written at places, products of many, and losses.

use super::protos::{float, int, text};
use super::{check, check_on, distinct, floats, list, node, places};
use anyhow::Result;
use orogen_differential::Way;
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::NodeProto;

const FLOW: &[Way] = &[Way::Native];

fn square() -> NodeProto {
    node("Mul", &["t", "t"], "y", Vec::new())
}

#[test]
fn slices_at_places() -> Result<()> {
    let a = ("a", floats(&[2, 3, 4], -0.3));
    let i = ("i", places(&[2, 2, 1], &[0, 2, -1, 2]));
    let nodes = [node("GatherND", &["a", "i"], "t", vec![int("batch_dims", 1)]), square()];
    check("GatherND by batches", &nodes, &[a.clone(), i], &["a"])?;
    let i = ("i", places(&[3, 2], &[0, 2, 1, 0, 0, 2]));
    let nodes = [node("GatherND", &["a", "i"], "t", Vec::new()), square()];
    check("GatherND", &nodes, &[a.clone(), i.clone()], &["a"])?;
    for reduction in ["none", "add", "mul", "max", "min"] {
        let nodes = [node("ScatterND", &["a", "i", "u"], "t", vec![text("reduction", reduction)]), square()];
        let operands = [a.clone(), i.clone(), ("u", floats(&[3, 4], -0.21))];
        check(reduction, &nodes, &operands, &["a", "u"])?;
        let attributes = vec![text("reduction", reduction), int("axis", 1)];
        let nodes = [node("ScatterElements", &["a", "j", "u"], "t", attributes), square()];
        let j = ("j", places(&[1, 2, 3], &[0, -1, 2, 0, 1, 1]));
        check(reduction, &nodes, &[a.clone(), j, ("u", floats(&[1, 2, 3], -0.21))], &["a", "u"])?;
    }
    Ok(())
}

#[test]
fn elements_that_are_chosen_and_repeated() -> Result<()> {
    let a = [("a", floats(&[2, 3, 4], -0.3))];
    let one = |what: &str, ways: &[Way], nodes: Vec<NodeProto>| {
        check_on(ways, what, &nodes.into_iter().chain([square()]).collect::<Vec<_>>(), &a, &["a"])
    };
    let both = &[Way::Legacy, Way::Native];
    one("Tile", both, vec![list("r", &[2, 1, 3]), node("Tile", &["a", "r"], "t", vec![])])?;
    one("Trilu", both, vec![node("Trilu", &["a"], "t", vec![int("upper", 0)])])?;
    for mode in ["edge", "reflect", "wrap"] {
        let pad = node("Pad", &["a", "p"], "t", vec![text("mode", mode)]);
        one(mode, both, vec![list("p", &[0, 1, 2, 1, 0, 1]), pad])?;
    }
    let crop = node("Pad", &["a", "p"], "t", vec![]);
    one("Pad that crops", both, vec![list("p", &[0, 1, -1, -1, 0, 2]), crop])?;
    let bits = TensorData::from_f64(DType::Bool, &[3], [1.0, 0.0, 1.0]);
    let nodes = [node("Compress", &["a", "c"], "t", vec![int("axis", 1)]), square()];
    check_on(FLOW, "Compress", &nodes, &[a[0].clone(), ("c", bits)], &["a"])?;
    let mut best = node("TopK", &["a", "k"], "t", vec![int("axis", 1)]);
    best.output.push("at".into());
    check_on(FLOW, "TopK", &[list("k", &[2]), best, square()], &a, &["a"])?;
    let nodes = [
        node("Constant", &[], "depth", vec![int("value_int", 3)]),
        node("OneHot", &["i", "depth", "v"], "t", vec![]),
        square(),
    ];
    check("OneHot", &nodes, &[("i", places(&[4], &[0, 2, -1, 5])), ("v", floats(&[2], 0.3))], &["v"])?;
    let operands = [("a", floats(&[2, 3], -0.3)), ("v", floats(&[], 0.2))];
    let nodes = [list("p", &[0, 1, 1, 0]), node("Pad", &["a", "p", "v"], "t", vec![]), square()];
    check("Pad by a number", &nodes, &operands, &["a", "v"])
}

#[test]
fn products_of_many_and_remainders() -> Result<()> {
    // One has a zero, one has two.
    let numbers = [0.5, -1.5, 2.0, 0.0, 0.7, 1.1, 0.0, 0.9, 0.0];
    let a = [("a", TensorData::from_f64(DType::F64, &[3, 3], numbers))];
    for keep in [0, 1] {
        let nodes = [list("x", &[1]), node("ReduceProd", &["a", "x"], "t", vec![int("keepdims", keep)])];
        let nodes: Vec<NodeProto> = nodes.into_iter().chain([node("Exp", &["t"], "y", Vec::new())]).collect();
        check("ReduceProd", &nodes, &a, &["a"])?;
    }
    for (exclusive, reverse) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let nodes = [
            node("Constant", &[], "x", vec![int("value_int", 1)]),
            node("CumProd", &["a", "x"], "t", vec![int("exclusive", exclusive), int("reverse", reverse)]),
            node("Exp", &["t"], "y", Vec::new()),
        ];
        check("CumProd", &nodes, &a, &["a"])?;
    }
    for op in ["ReduceL1", "ReduceSumSquare", "ReduceLogSum"] {
        let nodes = [list("x", &[1]), node(op, &["b", "x"], "t", Vec::new()), square()];
        check(op, &nodes, &[("b", floats(&[2, 3], 0.1))], &["b"])?;
    }
    let operands = [("a", floats(&[2, 3], 1.31)), ("b", floats(&[3], 0.42))];
    check("Mod", &[node("Mod", &["a", "b"], "y", vec![int("fmod", 1)])], &operands, &["a", "b"])?;
    let nodes = [node("Clip", &["a", "l", "h"], "t", Vec::new()), square()];
    let operands = [operands[0].clone(), ("l", floats(&[], 0.9)), ("h", floats(&[], 1.3))];
    check("Clip", &nodes, &operands, &["a", "l", "h"])
}

#[test]
fn attention_and_sums_of_products() -> Result<()> {
    let operands = [
        ("q", floats(&[1, 4, 3, 2], -0.3)),
        ("k", floats(&[1, 2, 5, 2], -0.4)),
        ("v", floats(&[1, 2, 5, 3], -0.2)),
        ("m", floats(&[3, 5], -0.1)),
    ];
    for attributes in [vec![], vec![int("is_causal", 1)], vec![float("scale", 0.7), float("softcap", 2.0)]] {
        let nodes = [node("Attention", &["q", "k", "v"], "t", attributes), square()];
        check("Attention", &nodes, &operands[..3], &["q", "k", "v"])?;
    }
    let nodes = [node("Attention", &["q", "k", "v", "m"], "t", vec![]), square()];
    check("Attention with a mask", &nodes, &operands, &["q", "k", "v", "m"])?;
    let operands = [("a", floats(&[2, 3, 4], -0.3)), ("b", floats(&[4, 3, 2], -0.4))];
    for equation in ["bij,jik->bk", "bij,jkb->ikb", "bij,jkl->bl"] {
        let nodes = [node("Einsum", &["a", "b"], "t", vec![text("equation", equation)]), square()];
        check(equation, &nodes, &operands, &["a", "b"])?;
    }
    Ok(())
}

#[test]
fn losses() -> Result<()> {
    let operands = [("a", floats(&[3, 4], 0.0)), ("i", places(&[3], &[1, 0, 3])), ("w", floats(&[4], 0.2))];
    for op in ["SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"] {
        for reduction in ["none", "sum", "mean"] {
            let attributes = vec![text("reduction", reduction), int("ignore_index", 0)];
            check(op, &[node(op, &["a", "i", "w"], "y", attributes)], &operands, &["a", "w"])?;
        }
    }
    Ok(())
}

#[test]
fn movement_to_space() -> Result<()> {
    let a = [("a", distinct(&[1, 4, 2, 6], -0.3))];
    for (op, attributes) in [
        ("DepthToSpace", vec![int("blocksize", 2)]),
        ("SpaceToDepth", vec![int("blocksize", 2)]),
        ("Flatten", vec![]),
        ("Split", vec![int("axis", 3), int("num_outputs", 1)]),
    ] {
        check(op, &[node(op, &["a"], "t", attributes), square()], &a, &["a"])?;
    }
    let nodes = [node("ReduceMax", &["a"], "t", vec![int("keepdims", 0)]), square()];
    check("ReduceMax of all", &nodes, &a, &["a"])
}
