//! Operators of `com.microsoft` that arrange, compare and select: values by hand, and what is wrong with others.

mod common;

use common::*;
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;

fn of(
    op: &str,
    attributes: Vec<AttributeProto>,
    args: &[TensorData],
    constants: &[TensorProto],
) -> ModelProto {
    let mut names: Vec<String> = (0..args.len()).map(|i| format!("x{i}")).collect();
    let inputs = names.iter().zip(args).map(|(name, it)| {
        let dims: Vec<D> = it.dims().iter().map(|it| D::N(*it as i64)).collect();
        value(name, it.dtype().row().onnx.expect("a type of ONNX"), &dims)
    });
    let inputs = inputs.collect();
    names.extend(constants.iter().map(|it| it.name.clone()));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let node = NodeProto { domain: "com.microsoft".into(), ..node(op, &names, &["y"], attributes) };
    let mut proto = model(21, graph(inputs, constants.to_vec(), vec![node], &["y"]));
    proto.opset_import.push(OperatorSetIdProto { domain: "com.microsoft".into(), version: 1 });
    proto
}

fn run(
    op: &str,
    attributes: Vec<AttributeProto>,
    args: &[TensorData],
    constants: &[TensorProto],
) -> TensorData {
    let results = eval(of(op, attributes, args, constants), args);
    results.expect("a program").swap_remove(0)
}

fn refused(
    op: &str,
    attributes: Vec<AttributeProto>,
    args: &[TensorData],
    constants: &[TensorProto],
    text: &str,
) {
    let error = eval(of(op, attributes, args, constants), args).expect_err("the model is refused");
    assert!(error.contains(text), "`{text}` is not in: {error}");
}

fn f32s(dims: &[u64], list: &[f64]) -> TensorData {
    TensorData::from_f64(DType::F32, dims, list.iter().copied())
}

#[test]
fn distances_of_rows() {
    let args = [f32s(&[2, 2], &[0.0, 0.0, 3.0, 4.0]), f32s(&[1, 2], &[0.0, 0.0])];
    assert_eq!(run("CDist", vec![], &args, &[]), f32s(&[2, 1], &[0.0, 25.0]));
    assert_eq!(run("CDist", vec![text("metric", "euclidean")], &args, &[]), f32s(&[2, 1], &[0.0, 5.0]));
    refused("CDist", vec![text("metric", "cosine")], &args, &[], "metric `cosine` is not known");
    refused("CDist", vec![], &[args[0].clone(), f32s(&[2], &[0.0; 2])], &[], "must have 2 dimensions");
}

#[test]
fn dimensions_and_padding() {
    let x = [f32s(&[2, 2], &[1.0, 2.0, 3.0, 4.0])];
    let place = |list: &[i64]| i64_tensor("k", &[list.len() as i64], list);
    for (at, dims) in [(0, [1, 2, 2]), (-1, [2, 2, 1]), (2, [2, 2, 1])] {
        assert_eq!(run("ExpandDims", vec![], &x, &[i64_tensor("k", &[], &[at])]).dims(), dims);
    }
    refused("ExpandDims", vec![], &x, &[place(&[3])], "axis 3 is out of range for 3 dimensions");
    refused("ExpandDims", vec![], &x, &[place(&[0, 1])], "must be one number");
    let widths = i64_tensor("k", &[1, 4], &[0, 1, 0, 0]);
    let padded = run("Pad", vec![], &x, &[widths.clone(), f32_tensor("v", &[1], &[9.0])]);
    assert_eq!(padded, f32s(&[2, 3], &[9.0, 1.0, 2.0, 9.0, 3.0, 4.0]));
    refused("Pad", vec![text("mode", "odd")], &x, &[widths], "odd");
    let picked = TensorData::from_f64(DType::I32, &[1, 2], [1.0, 0.0]);
    assert_eq!(run("GatherND", vec![], &[x[0].clone(), picked], &[]), f32s(&[1], &[3.0]));
    let bounds = [f32s(&[], &[1.0]), f32s(&[], &[4.0])];
    assert_eq!(run("Range", vec![], &bounds, &[]), f32s(&[3], &[1.0, 2.0, 3.0]));
}

#[test]
fn repeats_of_tokens_are_banned() {
    let tokens = TensorData::from_slice(DType::I64, &[2, 5], &[1i64, 2, 3, 1, 2, 0, 1, 0, 1, 0]);
    let scores = f32s(&[2, 4], &[0.5; 8]);
    let banned = |length: i64| {
        let found =
            run("NGramRepeatBlock", vec![int("ngram_size", length)], &[tokens.clone(), scores.clone()], &[]);
        found.to_f64().iter().map(|it| u8::from(*it == f64::NEG_INFINITY)).collect::<Vec<u8>>()
    };
    assert_eq!(banned(1), [0, 1, 1, 1, 1, 1, 0, 0]);
    assert_eq!(banned(2), [0, 0, 0, 1, 0, 1, 0, 0]);
    assert_eq!(banned(3), [0, 0, 0, 1, 0, 1, 0, 0]);
    // Longer than what there is.
    assert_eq!(banned(6), [0; 8]);
    refused("NGramRepeatBlock", vec![], &[tokens, scores], &[], "its `ngram_size` is below 1");
}

#[test]
fn regions_in_another_size() {
    let image = f32s(&[1, 1, 2, 3], &[1.0, 2.0, 3.0, 5.0, 6.0, 7.0]);
    let owners = TensorData::from_f64(DType::I32, &[2], [0.0, 0.0]);
    // The whole image, and what is half beyond its lower border.
    let regions = f32s(&[2, 4], &[0.0, 0.0, 1.0, 1.0, 0.5, 0.0, 1.5, 1.0]);
    let args = [image, regions, owners];
    let size = |list: &[i64]| [i64_tensor("size", &[list.len() as i64], list)];
    let found = run("CropAndResize", vec![float("extrapolation_value", -1.0)], &args, &size(&[2, 3]));
    let wanted = [1.0, 2.0, 3.0, 5.0, 6.0, 7.0, 3.0, 4.0, 5.0, -1.0, -1.0, -1.0];
    assert_eq!(found, f32s(&[2, 1, 2, 3], &wanted));
    let found = run("CropAndResize", vec![text("mode", "nearest")], &args, &size(&[1, 1]));
    assert_eq!(found, f32s(&[2, 1, 1, 1], &[6.0, 6.0]));
    refused("CropAndResize", vec![text("mode", "cubic")], &args, &size(&[1, 1]), "mode `cubic` is not known");
    refused("CropAndResize", vec![], &args, &size(&[0, 1]), "must be 2 numbers from 1");
}

#[test]
fn weights_have_the_block_that_a_list_says() {
    // One row of 32 weights in two blocks of 16: 8 less their zero point is 1 in the first and −1 in the second.
    let x = [f32s(&[1, 32], &[1.0; 32])];
    let bytes = |name: &str, dims: &[i64], list: &[u8]| TensorProto {
        name: name.into(),
        data_type: data_type::UINT8,
        dims: dims.to_vec(),
        raw_data: Some(list.to_vec().into()),
        ..TensorProto::default()
    };
    let list = |name: &str, list: &[i32]| TensorProto {
        name: name.into(),
        data_type: data_type::INT32,
        dims: vec![list.len() as i64],
        int32_data: list.to_vec(),
        ..TensorProto::default()
    };
    let attributes = || vec![int("K", 32), int("N", 1), int("block_size", 16)];
    let of_blocks = |blocks: &[i32]| {
        let weights = bytes("w", &[1, 2, 8], &[0x88; 16]);
        [weights, f32_tensor("s", &[2], &[1.0, 10.0]), bytes("z", &[1], &[0x97]), list("g", blocks)]
    };
    let found = |blocks: &[i32]| run("MatMulNBits", attributes(), &x, &of_blocks(blocks)).to_f64();
    let halves: Vec<i32> = (0..32).map(|i| i / 16).collect();
    assert_eq!(found(&halves), [16.0 - 160.0]);
    assert_eq!(found(&[0; 32]), [32.0]);
    assert_eq!(found(&[1; 32]), [-320.0]);
    refused("MatMulNBits", attributes(), &x, &of_blocks(&[2; 32]), "is 2, which is not from 0 to 1");
    refused("MatMulNBits", attributes(), &x, &of_blocks(&[0; 31]), "has 31 numbers");
}

#[test]
fn codes_of_bitsandbytes_stand_for_shares_of_the_largest() {
    // Two columns of two weights, in blocks of three: codes lie in the high bits first.
    let bytes = |list: &[u8]| TensorProto {
        name: "w".into(),
        data_type: data_type::UINT8,
        dims: vec![list.len() as i64],
        raw_data: Some(list.to_vec().into()),
        ..TensorProto::default()
    };
    let attributes =
        |kind: i64| vec![int("K", 2), int("N", 2), int("block_size", 3), int("quant_type", kind)];
    let x = [f32s(&[1, 2], &[1.0, 10.0])];
    let of = |codes: &[u8]| [bytes(codes), f32_tensor("s", &[2], &[2.0, 100.0])];
    // 1 · 2, 0 and −1 · 2, then 1 · 100 of the second block.
    assert_eq!(run("MatMulBnb4", attributes(1), &x, &of(&[0xf7, 0x0f])).to_f64(), [2.0, 998.0]);
    // 0.5 · 2 and −1 · 2, then 0.25 · 2 and −0.25 · 100.
    assert_eq!(run("MatMulBnb4", attributes(0), &x, &of(&[0x5b, 0x7f])).to_f64(), [-19.0, -249.5]);
    refused("MatMulBnb4", attributes(2), &x, &of(&[0, 0]), "neither 0 (FP4) nor 1 (NF4)");
    refused("MatMulBnb4", attributes(1), &x, &of(&[0]), "bytes with 2 · 2 codes");
}

#[test]
fn tokens_go_to_the_best_experts() {
    // Three experts that multiply by 1, 10 and 100; the first token likes the last two, the second the first.
    let (x, scores) = (f32s(&[2, 1], &[1.0, 2.0]), f32s(&[2, 3], &[-9.0, 0.0, 3f64.ln(), 5.0, 1.0, 1.0]));
    let first = f32_tensor("w", &[3, 1, 1], &[1.0, 10.0, 100.0]);
    let second = f32_tensor("v", &[3, 1, 1], &[1.0; 3]);
    let layers = [first, f32_tensor("b", &[3, 1], &[0.0, 0.0, 1.0]), second];
    let run = |k: i64, more: Vec<AttributeProto>| {
        let attributes = [vec![int("k", k), text("activation_type", "identity")], more].concat();
        run("MoE", attributes, &[x.clone(), scores.clone()], &layers).to_f64()
    };
    let close = |found: Vec<f64>, wanted: [f64; 2]| {
        assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-3), "{found:?} is not {wanted:?}");
    };
    let part = |scores: [f64; 3], i: usize| scores[i].exp() / scores.iter().map(|it| it.exp()).sum::<f64>();
    let second = part([5.0, 1.0, 1.0], 0);
    let of_first = [-9.0, 0.0, 3f64.ln()];
    close(run(1, vec![]), [101.0 * part(of_first, 2), 2.0 * second]);
    close(run(1, vec![int("normalize_routing_weights", 1)]), [101.0, 2.0]);
    close(
        run(2, vec![]),
        [
            10.0 * part(of_first, 1) + 101.0 * part(of_first, 2),
            2.0 * second + 20.0 * part([5.0, 1.0, 1.0], 1),
        ],
    );
    for (attributes, said) in [
        (vec![int("k", 4)], "its `k` is 4, more than there are experts"),
        (vec![int("k", 0)], "its `k` is below 1"),
        (vec![text("activation_type", "tanh")], "activation `tanh` is not known"),
        (vec![text("activation_type", "swiglu")], "it has no third weights for its gates"),
        (vec![int("use_sparse_mixer", 1)], "`use_sparse_mixer`"),
    ] {
        refused("MoE", attributes, &[x.clone(), scores.clone()], &layers, said);
    }
    let quantized = |attributes: Vec<AttributeProto>, said: &str| {
        refused("QMoE", attributes, &[x.clone(), scores.clone()], &layers, said);
    };
    quantized(vec![text("quant_type", "fp8")], "`quant_type`");
    quantized(vec![int("expert_weight_bits", 3)], "`expert_weight_bits`");
    quantized(vec![int("fc1_expert_weight_bits", 8)], "`fc1_expert_weight_bits` other than");
}
