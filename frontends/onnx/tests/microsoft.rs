//! Operators of `com.microsoft`: what does not fit is refused by name, and what ONNX Runtime has no kernels for on processors
//! computes the same as the standard operators that it stands for. Values of the others are those of ONNX Runtime, in
//! `tests/models/microsoft`, `fused`, `qoperator` and `blocks`.

mod common;

use common::*;
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;

const STANDARD: [&str; 6] = ["Transpose", "Conv", "Relu", "GroupNormalization", "Add", "Concat"];

fn of(nodes: Vec<NodeProto>, inputs: Vec<ValueInfoProto>, outputs: &[&str]) -> ModelProto {
    let nodes = nodes.into_iter().map(|it| match STANDARD.contains(&&*it.op_type) {
        true => it,
        false => NodeProto { domain: "com.microsoft".into(), ..it },
    });
    let mut proto = model(21, graph(inputs, vec![], nodes.collect(), outputs));
    proto.opset_import.push(OperatorSetIdProto { domain: "com.microsoft".into(), version: 1 });
    proto
}

fn refused(proto: ModelProto, text: &str) {
    let error = eval(proto, &[]).expect_err("the model is refused");
    assert!(error.contains(text), "`{text}` is not in: {error}");
}

/// Numbers without order.
fn numbers(dims: &[u64], seed: u64) -> TensorData {
    let count = dims.iter().product::<u64>();
    let at = |i: u64| ((i * 37 + seed * 101) % 64) as f64 / 16.0 - 2.0;
    TensorData::from_f64(DType::F32, dims, (0..count).map(at))
}

fn input_of(name: &str, data: &TensorData) -> ValueInfoProto {
    let dims: Vec<D> = data.dims().iter().map(|it| D::N(*it as i64)).collect();
    let ty = if data.dtype() == DType::I32 { data_type::INT32 } else { data_type::FLOAT };
    value(name, ty, &dims)
}

/// Two programs of inputs `a`, `b`, … and of result `y` compute the same.
fn same(nodes: Vec<NodeProto>, others: Vec<NodeProto>, args: &[TensorData]) {
    let names = ["a", "b", "c", "d", "e"];
    let inputs = || names.iter().zip(args).map(|(name, it)| input_of(name, it)).collect();
    let found = eval(of(nodes, inputs(), &["y"]), args).expect("a program");
    let wanted = eval(of(others, inputs(), &["y"]), args).expect("the other one");
    assert_eq!(found[0].dims(), wanted[0].dims());
    for (found, wanted) in found[0].to_f64().iter().zip(wanted[0].to_f64()) {
        assert!((found - wanted).abs() < 1e-5, "{found} is not {wanted}");
    }
}

fn turn(from: &str, to: &str, perm: &[i64]) -> NodeProto {
    node("Transpose", &[from], &[to], vec![ints("perm", perm)])
}

#[test]
fn channels_may_come_last() {
    let args = [numbers(&[2, 5, 4, 6], 1), numbers(&[4, 3, 3, 2], 2), numbers(&[4], 3)];
    let attributes = || vec![ints("pads", &[1, 0, 1, 1]), ints("strides", &[2, 1]), int("group", 2)];
    let standard = |last: NodeProto| {
        vec![
            turn("a", "t", &[0, 3, 1, 2]),
            node("Conv", &["t", "b", "c"], &["u"], attributes()),
            last,
            turn("v", "y", &[0, 2, 3, 1]),
        ]
    };
    let active = || [attributes(), vec![text("activation", "Relu")]].concat();
    let fused = node("NhwcFusedConv", &["a", "b", "c"], &["y"], active());
    same(vec![fused], standard(node("Relu", &["u"], &["v"], vec![])), &args);
    let plain = node("NhwcConv", &["a", "b", "c"], &["v"], attributes());
    let sum = node("Add", &["v", "v"], &["y"], vec![]);
    let twice = node("Add", &["u", "u"], &["v"], vec![]);
    same(vec![plain, sum], standard(twice), &args);
}

#[test]
fn groups_are_normalised_with_channels_last_or_second() {
    let args = [numbers(&[2, 3, 2, 6], 1), numbers(&[6], 2), numbers(&[6], 3), numbers(&[2, 6], 4)];
    let norm = |from: &str, to: &str| {
        node(
            "GroupNormalization",
            &[from, "b", "c"],
            &[to],
            vec![int("num_groups", 3), float("epsilon", 1e-3)],
        )
    };
    let attributes = |last: i64| {
        vec![int("groups", 3), int("activation", 0), float("epsilon", 1e-3), int("channels_last", last)]
    };
    same(
        vec![node("GroupNorm", &["a", "b", "c"], &["y"], attributes(1))],
        vec![turn("a", "t", &[0, 3, 1, 2]), norm("t", "u"), turn("u", "y", &[0, 2, 3, 1])],
        &args[..3],
    );
    // What is added is of channels alone, and the bias comes after it.
    let wide = [numbers(&[2, 1, 1, 6], 4), numbers(&[6], 5)];
    let args = [args[0].clone(), args[1].clone(), args[2].clone(), wide[0].clone(), wide[1].clone()];
    same(
        vec![node("SkipGroupNorm", &["a", "b", "c", "d", "e"], &["y"], attributes(1))],
        vec![
            node("Add", &["a", "d"], &["s"], vec![]),
            node("Add", &["s", "e"], &["x"], vec![]),
            turn("x", "t", &[0, 3, 1, 2]),
            norm("t", "u"),
            turn("u", "y", &[0, 2, 3, 1]),
        ],
        &args,
    );
    let inputs = || vec![f32_input("x", &[1, 2, 2, 6]), f32_input("s", &[6])];
    let refused_with = |it: Vec<AttributeProto>, said: &str| {
        refused(of(vec![node("GroupNorm", &["x", "s", "s"], &["y"], it)], inputs(), &["y"]), said);
    };
    refused_with(vec![], "`groups` is missing or not positive");
    refused_with(vec![int("groups", 2), int("activation", 2)], "activation 2 is neither 0 nor 1");
}

#[test]
fn packed_rows_see_those_of_their_sequence() {
    let (x, w, b) = (numbers(&[5, 4], 1), numbers(&[4, 24], 2), numbers(&[24], 3));
    let lengths = |list: &[f64]| TensorData::from_f64(DType::I32, &[list.len() as u64], list.iter().copied());
    let places = TensorData::from_f64(DType::I32, &[2, 3], [0.0, 1.0, 3.0, 4.0, 5.0, 2.0]);
    let names = ["x", "w", "b", "places", "ends"];
    let args = [x.clone(), w.clone(), b.clone(), places, lengths(&[0.0, 2.0, 5.0])];
    let inputs = names.iter().zip(&args).map(|(name, it)| input_of(name, it)).collect();
    let heads = || vec![int("num_heads", 2)];
    let packed = eval(of(vec![node("PackedAttention", &names, &["y"], heads())], inputs, &["y"]), &args);
    let packed = packed.expect("a program")[0].to_f64();
    // Each sequence by itself.
    let alone = |start: usize, count: usize| {
        let rows = x.to_f64()[start * 4..(start + count) * 4].to_vec();
        let rows = TensorData::from_f64(DType::F32, &[1, count as u64, 4], rows);
        let args = [rows, w.clone(), b.clone()];
        let inputs = names.iter().zip(&args).map(|(name, it)| input_of(name, it)).collect();
        eval(of(vec![node("Attention", &names[..3], &["y"], heads())], inputs, &["y"]), &args)
    };
    let wanted: Vec<f64> = [alone(0, 2), alone(2, 3)].map(|it| it.expect("a program")[0].to_f64()).concat();
    assert_eq!(packed.len(), wanted.len());
    assert!(packed.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-6), "{packed:?}\n{wanted:?}");
}

#[test]
fn attention_that_does_not_fit_is_refused() {
    let layer = |op: &str, inputs: &[&str], attributes: Vec<AttributeProto>| {
        let given = vec![
            f32_input("x", &[2, 4, 12]),
            f32_input("w", &[12, 36]),
            value("n", data_type::INT32, &[D::N(3)]),
            value("m", data_type::INT32, &[D::N(2), D::N(1), D::N(4), D::N(4)]),
            value("l", data_type::INT32, &[D::N(2)]),
            value("t", data_type::INT32, &[]),
            value("p", data_type::INT64, &[D::N(1)]),
            f32_input("c", &[2, 2, 3, 6]),
        ];
        of(vec![node(op, inputs, &["y"], attributes)], given, &["y"])
    };
    let heads = |n: i64| vec![int("num_heads", n)];
    let with = |it: AttributeProto| vec![int("num_heads", 2), it];
    refused(layer("Attention", &["x", "w"], vec![]), "`num_heads` is missing or not positive");
    refused(layer("Attention", &["x", "w"], heads(5)), "12 elements are not those of 5 heads");
    refused(
        layer("Attention", &["x", "w"], with(ints("qkv_hidden_sizes", &[12, 12]))),
        "`qkv_hidden_sizes` has 2 numbers, not 3",
    );
    refused(
        layer("Attention", &["x", "w"], with(ints("qkv_hidden_sizes", &[12, 12, 8]))),
        "36 columns are not those of queries, keys and values",
    );
    refused(layer("Attention", &["x", "w"], with(int("do_rotary", 1))), "`do_rotary`");
    refused(
        layer("Attention", &["x", "w"], with(int("past_present_share_buffer", 1))),
        "a cache that is written in place (`past_present_share_buffer`)",
    );
    refused(
        layer("Attention", &["x", "w", "", "n"], heads(2)),
        "a mask whose length is neither the batch nor twice that",
    );
    refused(layer("Attention", &["x", "w", "", "m"], heads(2)), "a mask of 4 dimensions");
    let multi = |inputs: &[&str]| layer("MultiHeadAttention", inputs, heads(2));
    refused(multi(&["x", "", "x"]), "it has values without keys");
    refused(multi(&["x"]), "is not packed as 3 parts of heads");
    refused(multi(&["x", "x", "x", "", "", "", "c"]), "a cache of keys or of values alone");
    refused(multi(&["x", "x", "x", "", "", "", "c", "c", "l"]), "`past_sequence_length`");
    let group = |inputs: &[&str], more: Vec<AttributeProto>| {
        let usual = vec![int("num_heads", 2), int("kv_num_heads", 2)];
        layer("GroupQueryAttention", inputs, [usual, more].concat())
    };
    let plain = ["x", "x", "x", "", "", "l", "t"];
    assert!(eval(group(&plain, vec![]), &[]).is_err_and(|it| !it.contains("error[")));
    refused(group(&["x", "x", "", "", "", "l", "t"], vec![]), "keys or values alone");
    refused(group(&plain, vec![int("do_rotary", 1)]), "without cosines and sines");
    refused(group(&plain, vec![int("sliding_window_cache", 1)]), "`sliding_window_cache`");
    refused(group(&plain, vec![int("causal", 0), int("local_window_size", 2)]), "is not causal");
    refused(
        layer("GroupQueryAttention", &plain, vec![int("num_heads", 3), int("kv_num_heads", 2)]),
        "no multiple of `kv_num_heads`",
    );
    refused(
        layer("PackedAttention", &["x", "w", "w", "l", "l", "c"], heads(2)),
        "a bias of the scores (`attention_bias`)",
    );
    let rotary = |inputs: &[&str], more| layer("RotaryEmbedding", inputs, more);
    refused(rotary(&["x", "p", "w", "w"], vec![int("is_packed_batching", 1)]), "`is_packed_batching`");
    refused(rotary(&["x", "p", "w", "w"], heads(2)), "it rotates 72 of 6 elements");
}

#[test]
fn matrices_that_have_no_inverse_of_their_own_are_refused() {
    let inverse =
        |dims: &[i64]| of(vec![node("Inverse", &["x"], &["y"], vec![])], vec![f32_input("x", dims)], &["y"]);
    refused(inverse(&[4]), "its operand has 1 dimensions");
    refused(inverse(&[3, 4]), "matrices of 3 rows and 4 columns");
    refused(inverse(&[65, 65]), "matrices of more than 64");
    let x = TensorData::from_f64(DType::F32, &[2, 2], [0.0, 2.0, 4.0, 0.0]);
    let y = eval(inverse(&[2, 2]), &[x]).expect("a program");
    assert_eq!(y[0].to_f64(), [0.0, 0.25, 0.5, 0.0]);
}

#[test]
fn states_that_no_standard_operator_has_are_refused() {
    let inputs = || vec![f32_input("x", &[1, 4, 6]), f32_input("w", &[4, 1, 3])];
    let causal = |it: AttributeProto| {
        of(vec![node("CausalConvWithState", &["x", "w"], &["y", "s"], vec![it])], inputs(), &["y", "s"])
    };
    refused(causal(int("dilation", 2)), "a `dilation` other than 1 is not supported");
    refused(causal(int("channels_last", 1)), "a `channels_last` other than 0 is not supported");
    let x = [numbers(&[1, 4, 6], 1), numbers(&[4, 1, 3], 2)];
    assert_eq!(eval(causal(int("dilation", 1)), &x).expect("a program")[1].dims(), [1, 4, 2]);
}
