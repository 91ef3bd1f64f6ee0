//! What single-node cases do not show: control flow, dynamic shapes, versions of one operator, custom operators.

mod common;

use common::*;
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;
use orogen_onnx::{Model, Options, import};

fn f32s(dims: &[u64], list: &[f64]) -> TensorData {
    TensorData::from_f64(DType::F32, dims, list.iter().copied())
}

fn i64s(dims: &[u64], list: &[i64]) -> TensorData {
    TensorData::from_f64(DType::I64, dims, list.iter().map(|it| *it as f64))
}

fn one(proto: ModelProto, args: &[TensorData]) -> TensorData {
    eval(proto, args).unwrap().remove(0)
}

fn int64(name: &str, dims: &[D]) -> ValueInfoProto {
    value(name, data_type::INT64, dims)
}

fn float32(name: &str, dims: &[D]) -> ValueInfoProto {
    value(name, data_type::FLOAT, dims)
}

#[test]
fn branches_capture_outer_values() {
    let branch = |op: &str| graph(vec![], vec![], vec![node(op, &["x", "w"], &["r"], vec![])], &["r"]);
    let nodes = vec![node(
        "If",
        &["c"],
        &["y"],
        vec![graph_attr("then_branch", branch("Add")), graph_attr("else_branch", branch("Mul"))],
    )];
    let inputs = vec![f32_input("x", &[2]), value("c", data_type::BOOL, &[D::N(1)])];
    let proto = model(18, graph(inputs, vec![f32_tensor("w", &[1], &[3.0])], nodes, &["y"]));
    let x = f32s(&[2], &[1.0, 5.0]);
    for (c, expected) in [(1.0, [4.0, 8.0]), (0.0, [3.0, 15.0])] {
        let c = TensorData::from_f64(DType::Bool, &[1], [c]);
        assert_eq!(one(proto.clone(), &[x.clone(), c]).to_f64(), expected);
    }
}

/// "Squeeze when the last dimension is 1": only that fits the rest, so it becomes a check.
#[test]
fn a_branch_that_cannot_fit_becomes_a_check() {
    let squeeze = graph(vec![], vec![], vec![node("Squeeze", &["x", "axis"], &["r"], vec![])], &["r"]);
    let keep = graph(vec![], vec![], vec![node("Identity", &["x"], &["r"], vec![])], &["r"]);
    let nodes = vec![
        node("Shape", &["x"], &["s"], vec![]),
        node("Gather", &["s", "axis"], &["last"], vec![]),
        node("Equal", &["last", "one"], &["c"], vec![]),
        node("If", &["c"], &["v"], vec![graph_attr("then_branch", squeeze), graph_attr("else_branch", keep)]),
        node("Transpose", &["v"], &["y"], vec![ints("perm", &[1, 0])]),
    ];
    let inits = vec![i64_tensor("axis", &[1], &[-1]), i64_tensor("one", &[1], &[1])];
    let inputs = vec![float32("x", &[D::N(1), D::N(2), D::S("n")])];
    let proto = model(18, graph(inputs, inits, nodes, &["y"]));
    let (report, results) =
        eval_with(proto.clone(), &Options::default(), &[f32s(&[1, 2, 1], &[1.0, 2.0])]).unwrap();
    assert_eq!((results[0].dims(), results[0].to_f64()), (&[2, 1][..], vec![1.0, 2.0]));
    assert_eq!(report.assumptions.len(), 1, "{:?}", report.assumptions);
    eval(proto.clone(), &[f32s(&[1, 2, 2], &[0.0; 4])]).unwrap_err();
    // Bound, the condition is known and nothing is assumed.
    let options = Options::default().with_dim("n", 1);
    let (report, _) = eval_with(proto, &options, &[f32s(&[1, 2, 1], &[1.0, 2.0])]).unwrap();
    assert!(report.assumptions.is_empty());
}

/// `while i < n && s < 20: s = s + i`, with and without a limit on the turns.
#[test]
fn loops_count_and_stop() {
    let body = || {
        let nodes =
            vec![node("Add", &["s", "i"], &["t"], vec![]), node("Less", &["t", "limit"], &["more"], vec![])];
        let inputs = vec![int64("i", &[]), value("go", data_type::BOOL, &[]), int64("s", &[])];
        graph(inputs, vec![], nodes, &["more", "t"])
    };
    let build = |trips: &str| {
        let nodes = vec![node("Loop", &[trips, "", "s0"], &["y"], vec![graph_attr("body", body())])];
        let inits = vec![i64_tensor("limit", &[], &[20])];
        model(18, graph(vec![int64("n", &[]), int64("s0", &[])], inits, nodes, &["y"]))
    };
    for (trips, n, expected) in [("n", 3, 3), ("n", 0, 0), ("n", 100, 21), ("", 3, 21)] {
        assert_eq!(one(build(trips), &[i64s(&[], &[n]), i64s(&[], &[0])]).to_i64(), [expected]);
    }
}

/// Weights that exporters pass through a loop are read where they are: the loop carries its turn, its condition and the sum.
#[test]
fn loops_do_not_carry_what_stays_as_it_is() {
    let body = graph(
        vec![
            int64("i", &[]),
            value("go", data_type::BOOL, &[]),
            int64("s", &[]),
            int64("w", &[]),
            int64("v", &[]),
        ],
        vec![],
        vec![
            node("Mul", &["w", "v"], &["wv"], vec![]),
            node("Add", &["s", "wv"], &["t"], vec![]),
            node("Identity", &["w"], &["same"], vec![]),
            node("Identity", &["same"], &["w_out"], vec![]),
        ],
        &["go", "t", "w_out", "v"],
    );
    let inputs = ["n", "s0", "w0", "v0"].map(|it| int64(it, &[])).into();
    let nodes =
        vec![node("Loop", &["n", "", "s0", "w0", "v0"], &["s", "w", "v"], vec![graph_attr("body", body)])];
    let proto = model(18, graph(inputs, vec![], nodes, &["s", "w", "v"]));
    for n in [0, 3] {
        let given = [n, 1, 7, 2].map(|it| i64s(&[], &[it]));
        let results: Vec<Vec<i64>> =
            eval(proto.clone(), &given).unwrap().iter().map(|it| it.to_i64()).collect();
        assert_eq!(results, [[1 + 14 * n], [7], [2]]);
    }
    let mut sink = Recorder::default();
    import(&Model::from_proto(proto).unwrap(), &Options::default(), &mut sink).unwrap();
    let carried = sink.log.iter().find(|it| it.0 == "while").map(|it| it.2.len());
    assert_eq!(carried, Some(3));
}

#[test]
fn loops_collect_a_value_of_every_turn() {
    let body = graph(
        vec![int64("i", &[]), value("go", data_type::BOOL, &[]), int64("s", &[])],
        vec![],
        vec![
            node("Identity", &["go"], &["more"], vec![]),
            node("Add", &["s", "i"], &["t"], vec![]),
            node("Identity", &["t"], &["each"], vec![]),
        ],
        &["more", "t", "each"],
    );
    let build = |trips: &str| {
        let nodes =
            vec![node("Loop", &[trips, "", "s0"], &["last", "all"], vec![graph_attr("body", body.clone())])];
        let inputs = vec![int64("n", &[]), int64("s0", &[])];
        model(18, graph(inputs, vec![i64_tensor("four", &[], &[4])], nodes, &["last", "all"]))
    };
    let results = eval(build("four"), &[i64s(&[], &[9]), i64s(&[], &[1])]).unwrap();
    assert_eq!((results[0].to_i64(), results[1].to_i64()), (vec![7], vec![1, 2, 4, 7]));
    let expected = [1, 2, 4, 7, 11, 16, 22, 29, 37];
    for n in [0, 1, 9] {
        let results = eval(build("n"), &[i64s(&[], &[n]), i64s(&[], &[1])]).unwrap();
        assert_eq!(results[1].to_i64(), expected[..n as usize]);
        assert_eq!(results[0].to_i64(), [*expected[..n as usize].last().unwrap_or(&1)]);
    }
}

#[test]
fn collected_values_may_get_their_size_in_the_body() {
    // Turn i collects x[i:i + 1], and the first i of the turns before decide nothing.
    let body = graph(
        vec![int64("i", &[]), value("go", data_type::BOOL, &[])],
        vec![i64_tensor("one", &[1], &[1]), i64_tensor("first", &[1], &[0])],
        vec![
            node("Identity", &["go"], &["more"], vec![]),
            node("Unsqueeze", &["i", "first"], &["from"], vec![]),
            node("Add", &["from", "one"], &["to"], vec![]),
            node("Slice", &["x", "from", "to"], &["each"], vec![]),
        ],
        &["more", "each"],
    );
    let nodes = vec![node("Loop", &["n", ""], &["all"], vec![graph_attr("body", body)])];
    let inputs = vec![int64("n", &[]), float32("x", &[D::S("k")])];
    let proto = model(18, graph(inputs, vec![], nodes, &["all"]));
    let x = f32s(&[4], &[1.0, 2.0, 3.0, 4.0]);
    let all = one(proto.clone(), &[i64s(&[], &[3]), x.clone()]);
    assert_eq!((all.dims(), all.to_f64()), (&[3, 1][..], vec![1.0, 2.0, 3.0]));
    assert_eq!(one(proto.clone(), &[i64s(&[], &[0]), x.clone()]).dims(), [0, 0]);
    // The fifth slice is empty: values of a list have one size.
    eval(proto, &[i64s(&[], &[5]), x]).unwrap_err();
}

#[test]
fn shapes_computed_at_run_time() {
    let reshape = |inits, extra: Vec<NodeProto>, shape: &str, len| {
        let mut nodes = extra;
        nodes.push(node("Reshape", &["x", shape], &["y"], vec![]));
        let inputs = vec![float32("x", &[D::S("n"), D::N(2)]), int64("s", &[D::N(len)])];
        model(18, graph(inputs, inits, nodes, &["y"]))
    };
    let x = f32s(&[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    for (shape, expected) in
        [(&[2, 3][..], [2, 3]), (&[-1, 3], [2, 3]), (&[0, -1], [3, 2]), (&[1, 6], [1, 6])]
    {
        let result = one(reshape(vec![], vec![], "s", 2), &[x.clone(), i64s(&[2], shape)]);
        assert_eq!(result.dims(), expected);
    }
    // A known -1 beside a size that is read at run time.
    let joined = vec![node("Concat", &["s", "rest"], &["t"], vec![int("axis", 0)])];
    let proto = reshape(vec![i64_tensor("rest", &[1], &[-1])], joined, "t", 1);
    assert_eq!(one(proto.clone(), &[x.clone(), i64s(&[1], &[2])]).dims(), [2, 3]);
    eval(proto, &[x.clone(), i64s(&[1], &[4])]).unwrap_err();
    // Slices between bounds that count from either end and reach beyond it.
    let slice = |n| {
        let nodes = vec![node("Slice", &["x", "a", "b"], &["y"], vec![])];
        let inputs = vec![float32("x", &[D::N(n)]), int64("a", &[D::N(1)]), int64("b", &[D::N(1)])];
        model(18, graph(inputs, vec![], nodes, &["y"]))
    };
    let list = f32s(&[6], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    for (a, b, expected) in [
        (1, 4, &[1.0, 2.0, 3.0][..]),
        (-2, 9, &[4.0, 5.0]),
        (0, -4, &[0.0, 1.0]),
        (-99, 1, &[0.0]),
        (4, 2, &[]),
    ] {
        let args = [list.clone(), i64s(&[1], &[a]), i64s(&[1], &[b])];
        assert_eq!(one(slice(6), &args).to_f64(), expected, "{a}..{b}");
    }
    // Ranges of integers and floats whose length is read at run time.
    for (kind, args, expected) in [
        (data_type::INT64, [2.0, 9.0, 3.0], &[2.0, 5.0, 8.0][..]),
        (data_type::INT64, [5.0, -1.0, -2.0], &[5.0, 3.0, 1.0]),
        (data_type::INT64, [5.0, 1.0, 1.0], &[]),
        (data_type::FLOAT, [0.5, 2.0, 0.5], &[0.5, 1.0, 1.5]),
    ] {
        let inputs = ["a", "b", "d"].map(|it| value(it, kind, &[])).to_vec();
        let nodes = vec![node("Range", &["a", "b", "d"], &["y"], vec![])];
        let dtype = if kind == data_type::FLOAT { DType::F32 } else { DType::I64 };
        let args = args.map(|it| TensorData::from_f64(dtype, &[], [it]));
        assert_eq!(one(model(18, graph(inputs, vec![], nodes, &["y"])), &args).to_f64(), expected);
    }
}

#[test]
fn expand_keeps_a_dimension_where_the_shape_says_one() {
    let nodes = vec![node("Expand", &["x", "s"], &["y"], vec![])];
    let inputs = vec![float32("x", &[D::N(3), D::N(1)]), int64("s", &[D::N(3)])];
    let proto = model(18, graph(inputs, vec![], nodes, &["y"]));
    let x = f32s(&[3, 1], &[1.0, 2.0, 3.0]);
    let result = one(proto, &[x, i64s(&[3], &[2, 1, 2])]);
    assert_eq!((result.dims(), result.to_f64()[..4].to_vec()), (&[2, 3, 2][..], vec![1.0, 1.0, 2.0, 2.0]));
}

/// The same operation in the spelling of old and new operator sets.
#[test]
fn attributes_of_old_versions_are_operands_of_new_ones() {
    let x = f32s(&[1, 2, 3], &[1.0, -2.0, 3.0, -4.0, 5.0, -6.0]);
    let input = || vec![f32_input("x", &[1, 2, 3])];
    let axes = |list: &[i64]| i64_tensor("a", &[list.len() as i64], list);
    let old_new = |old: (i64, NodeProto), new: (i64, NodeProto, Vec<TensorProto>)| {
        let old = one(model(old.0, graph(input(), vec![], vec![old.1], &["y"])), std::slice::from_ref(&x));
        let new = one(model(new.0, graph(input(), new.2, vec![new.1], &["y"])), std::slice::from_ref(&x));
        assert_eq!(old, new);
        old
    };
    let squeezed = old_new(
        (11, node("Squeeze", &["x"], &["y"], vec![ints("axes", &[0])])),
        (13, node("Squeeze", &["x", "a"], &["y"], vec![]), vec![axes(&[-3])]),
    );
    assert_eq!(squeezed.dims(), [2, 3]);
    let unsqueezed = old_new(
        (11, node("Unsqueeze", &["x"], &["y"], vec![ints("axes", &[0, 4])])),
        (13, node("Unsqueeze", &["x", "a"], &["y"], vec![]), vec![axes(&[0, -1])]),
    );
    assert_eq!(unsqueezed.dims(), [1, 1, 2, 3, 1]);
    let sum = old_new(
        (11, node("ReduceSum", &["x"], &["y"], vec![ints("axes", &[2]), int("keepdims", 0)])),
        (13, node("ReduceSum", &["x", "a"], &["y"], vec![int("keepdims", 0)]), vec![axes(&[2])]),
    );
    assert_eq!(sum.to_f64(), [2.0, -5.0]);
    let largest = old_new(
        (13, node("ReduceMax", &["x"], &["y"], vec![ints("axes", &[-1])])),
        (18, node("ReduceMax", &["x", "a"], &["y"], vec![]), vec![axes(&[-1])]),
    );
    assert_eq!((largest.dims(), largest.to_f64()), (&[1, 2, 1][..], vec![3.0, 5.0]));
    let clipped = old_new(
        (6 + 1, node("Clip", &["x"], &["y"], vec![float("min", 0.0), float("max", 4.0)])),
        (
            11,
            node("Clip", &["x", "lo", "hi"], &["y"], vec![]),
            vec![f32_tensor("lo", &[], &[0.0]), f32_tensor("hi", &[], &[4.0])],
        ),
    );
    assert_eq!(clipped.to_f64(), [1.0, 0.0, 3.0, 0.0, 4.0, 0.0]);
    let part = old_new(
        (
            9,
            node("Slice", &["x"], &["y"], vec![ints("starts", &[1]), ints("ends", &[9]), ints("axes", &[2])]),
        ),
        (
            10,
            node("Slice", &["x", "s", "e", "a"], &["y"], vec![]),
            vec![i64_tensor("s", &[1], &[-2]), i64_tensor("e", &[1], &[i64::MAX]), axes(&[-1])],
        ),
    );
    assert_eq!(part.dims(), [1, 2, 2]);
    let padded = old_new(
        (10, node("Pad", &["x"], &["y"], vec![ints("pads", &[0, 0, 1, 0, 0, 0]), float("value", 7.0)])),
        (
            18,
            node("Pad", &["x", "p", "v", "a"], &["y"], vec![]),
            vec![i64_tensor("p", &[2], &[1, 0]), f32_tensor("v", &[], &[7.0]), axes(&[-1])],
        ),
    );
    assert_eq!(padded.to_f64(), [7.0, 1.0, -2.0, 3.0, 7.0, -4.0, 5.0, -6.0]);
    let upsampled = old_new(
        (8, {
            let scales = floats("scales", &[1.0, 1.0, 2.0]);
            node("Upsample", &["x"], &["y"], vec![scales])
        }),
        (10, node("Resize", &["x", "s"], &["y"], vec![]), vec![f32_tensor("s", &[3], &[1.0, 1.0, 2.0])]),
    );
    assert_eq!(upsampled.to_f64()[..6], [1.0, 1.0, -2.0, -2.0, 3.0, 3.0]);
}

/// Before operator set 13 softmax ran over all dimensions from its axis on.
#[test]
fn softmax_changed_its_meaning() {
    let x = f32s(&[1, 2, 2], &[0.0; 4]);
    let run = |opset| {
        let nodes = vec![node("Softmax", &["x"], &["y"], vec![int("axis", 1)])];
        one(
            model(opset, graph(vec![f32_input("x", &[1, 2, 2])], vec![], nodes, &["y"])),
            std::slice::from_ref(&x),
        )
    };
    assert_eq!(run(12).to_f64(), [0.25; 4]);
    assert_eq!(run(13).to_f64(), [0.5; 4]);
    assert_eq!(run(12).dims(), [1, 2, 2]);
}

#[test]
fn splits_may_be_uneven_and_dynamic() {
    let split = |dim, sizes: Option<&[i64]>, attribute| {
        let mut inputs = vec!["x"];
        let inits: Vec<TensorProto> =
            sizes.iter().map(|it| i64_tensor("s", &[it.len() as i64], it)).collect();
        inputs.extend(sizes.map(|_| "s"));
        let nodes = vec![node("Split", &inputs, &["a", "b", "c"], attribute)];
        model(18, graph(vec![float32("x", &[dim])], inits, nodes, &["a", "b", "c"]))
    };
    let x = f32s(&[7], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    for dim in [D::N(7), D::S("n")] {
        let thirds = eval(split(dim, None, vec![int("num_outputs", 3)]), std::slice::from_ref(&x)).unwrap();
        let sizes: Vec<u64> = thirds.iter().map(|it| it.dims()[0]).collect();
        assert_eq!(sizes, [3, 3, 1]);
        assert_eq!(thirds[2].to_f64(), [6.0]);
        let given = eval(split(dim, Some(&[1, 4, 2]), vec![]), std::slice::from_ref(&x)).unwrap();
        assert_eq!(given[1].to_f64(), [1.0, 2.0, 3.0, 4.0]);
    }
}

/// `SAME` padding of a dynamic image is computed at run time; of a static one, at import.
#[test]
fn automatic_padding_fits_every_size() {
    let pool = |dim| {
        let attribute =
            vec![ints("kernel_shape", &[3]), ints("strides", &[2]), text("auto_pad", "SAME_UPPER")];
        let nodes = vec![node("MaxPool", &["x"], &["y"], attribute)];
        model(18, graph(vec![float32("x", &[D::N(1), D::N(1), dim])], vec![], nodes, &["y"]))
    };
    for n in 1..7u64 {
        let list: Vec<f64> = (0..n).map(|it| -(it as f64)).collect();
        let x = f32s(&[1, 1, n], &list);
        let fixed = one(pool(D::N(n as i64)), std::slice::from_ref(&x));
        let dynamic = one(pool(D::S("n")), &[x]);
        assert_eq!(fixed.dims()[2], n.div_ceil(2));
        assert_eq!(fixed, dynamic, "size {n}");
    }
}

#[test]
fn einsum_contracts_broadcasts_and_takes_diagonals() {
    let run = |equation: &str, args: &[TensorData]| {
        let names = ["a", "b", "c"];
        let inputs = args
            .iter()
            .zip(names)
            .map(|(arg, name)| f32_input(name, &arg.dims().iter().map(|it| *it as i64).collect::<Vec<_>>()))
            .collect();
        let nodes = vec![node("Einsum", &names[..args.len()], &["y"], vec![text("equation", equation)])];
        one(model(12, graph(inputs, vec![], nodes, &["y"])), args)
    };
    let m = f32s(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(run("ij->ji", std::slice::from_ref(&m)).to_f64(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert_eq!(run("ij->", std::slice::from_ref(&m)).to_f64(), [21.0]);
    assert_eq!(run("ij,ij->i", &[m.clone(), m.clone()]).to_f64(), [14.0, 77.0]);
    assert_eq!(run("ij,kj", &[m.clone(), m.clone()]).to_f64(), [14.0, 32.0, 32.0, 77.0]);
    let v = f32s(&[2], &[1.0, 10.0]);
    assert_eq!(run("i,j->ij", &[v.clone(), v.clone()]).to_f64(), [1.0, 10.0, 10.0, 100.0]);
    let square = f32s(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    assert_eq!(run("ii->i", std::slice::from_ref(&square)).to_f64(), [1.0, 4.0]);
    assert_eq!(run("ii", std::slice::from_ref(&square)).to_f64(), [5.0]);
    let batch = f32s(&[2, 1, 2], &[1.0, 2.0, 3.0, 4.0]);
    assert_eq!(run("...ij,jk->...ik", &[batch.clone(), square.clone()]).to_f64(), [7.0, 10.0, 15.0, 22.0]);
    assert_eq!(run("bij,jk,k->b", &[batch, square, v]).to_f64(), [107.0, 235.0]);
}

#[test]
fn custom_operators_are_registered_by_domain_name_and_version() {
    let mut options = Options::default();
    options.ops.register("com.example", "Scale", 2..=3, |cx| {
        let (x, factor) = (cx.input(0)?, cx.float("factor").unwrap_or(1.0));
        Ok(vec![cx.with_number("mul", x, factor)?])
    });
    let build = |version| {
        let scale = node("Scale", &["x"], &["y"], vec![float("factor", 2.5)]);
        let mut proto = model(
            18,
            graph(
                vec![f32_input("x", &[2])],
                vec![],
                vec![NodeProto { domain: "com.example".into(), ..scale }],
                &["y"],
            ),
        );
        proto.opset_import.push(OperatorSetIdProto { domain: "com.example".into(), version });
        proto
    };
    let x = f32s(&[2], &[2.0, 4.0]);
    let (report, results) = eval_with(build(2), &options, std::slice::from_ref(&x)).unwrap();
    assert_eq!(results[0].to_f64(), [5.0, 10.0]);
    assert_eq!(report.operators.get("com.example.Scale"), Some(&1));
    let error = eval_with(build(4), &options, &[x]).unwrap_err();
    assert!(error.contains("known only in operator set 2 to 3"), "{error}");
}

/// Only in the training domain does `Gradient` read what an attribute names.
#[test]
fn a_custom_operator_may_have_the_name_of_one_that_reads_names() {
    let mut options = Options::default();
    options.ops.register("com.example", "Gradient", 1.., |cx| Ok(vec![cx.unary("neg", cx.input(0)?)?]));
    let custom = node("Gradient", &["x"], &["z"], vec![text("y", "nothing of the graph")]);
    let custom = NodeProto { domain: "com.example".into(), ..custom };
    let mut proto = model(18, graph(vec![f32_input("x", &[1])], vec![], vec![custom], &["z"]));
    proto.opset_import.push(OperatorSetIdProto { domain: "com.example".into(), version: 1 });
    let (_, results) = eval_with(proto, &options, &[f32s(&[1], &[2.0])]).unwrap();
    assert_eq!(results[0].to_f64(), [-2.0]);
}

/// Where the type of a result does not hold what leads to it, `f64` does; what an integer does not hold is cut off.
#[test]
fn integers_are_exact_and_cut_off() {
    let i32s = |dims: &[u64], list: &[f64]| TensorData::from_f64(DType::I32, dims, list.iter().copied());
    let int32 = |name: &str, dims: &[D]| value(name, data_type::INT32, dims);
    let two = [D::N(2)];
    let of = |op: &str, given: Vec<ValueInfoProto>, attributes: Vec<AttributeProto>| {
        let names: Vec<&str> = ["a", "b"].into_iter().take(given.len()).collect();
        model(13, graph(given, vec![], vec![node(op, &names, &["y"], attributes)], &["y"]))
    };
    let power = of("Pow", vec![int32("a", &two), float32("b", &two)], vec![]);
    let y = one(power, &[i32s(&[2], &[7.0, -2.0]), f32s(&[2], &[9.0, -1.0])]);
    assert_eq!((y.dtype(), y.to_f64()), (DType::I32, vec![40_353_607.0, 0.0]));
    let power = of("Pow", vec![float32("a", &two), int32("b", &two)], vec![]);
    let y = one(power, &[f32s(&[2], &[-1.0, -1.0]), i32s(&[2], &[16_777_217.0, 16_777_216.0])]);
    assert_eq!((y.dtype(), y.to_f64()), (DType::F32, vec![-1.0, 1.0]));
    let square = [D::N(2), D::N(2)];
    let gemm = of("Gemm", vec![int32("a", &square), int32("b", &square)], vec![float("alpha", 0.5)]);
    let y = one(gemm, &[i32s(&[2, 2], &[1.0, 0.0, 0.0, 1.0]), i32s(&[2, 2], &[5.0, -5.0, 4.0, 1.0])]);
    assert_eq!((y.dtype(), y.to_f64()), (DType::I32, vec![2.0, -2.0, 2.0, 0.0]));
    for (op, expected) in [("ReduceLogSum", 4.0), ("ReduceLogSumExp", 40.0)] {
        let y = one(of(op, vec![int32("a", &two)], vec![]), &[i32s(&[2], &[40.0, 30.0])]);
        assert_eq!((y.dtype(), y.to_f64()), (DType::I32, vec![expected]), "{op}");
    }
}

/// A vector is of one channel.
#[test]
fn vectors_are_normalised() {
    let given = ["x", "s", "b", "m", "v"].iter().zip([3, 1, 1, 1, 1]);
    let given = given.map(|(name, size)| f32_input(name, &[size])).collect();
    let norm = node("BatchNormalization", &["x", "s", "b", "m", "v"], &["y"], vec![float("epsilon", 0.0)]);
    let proto = model(15, graph(given, vec![], vec![norm], &["y"]));
    let of = |it: f64| f32s(&[1], &[it]);
    let y = one(proto, &[f32s(&[3], &[1.0, 3.0, 5.0]), of(2.0), of(1.0), of(3.0), of(4.0)]);
    assert_eq!((y.dims(), y.to_f64()), (&[3][..], vec![-1.0, 1.0, 3.0]));
}

/// Initializers that are also inputs, as before IR version 4, are constants; declared output shapes are not believed.
#[test]
fn old_files_and_wrong_declarations() {
    let mut proto = model(
        9,
        graph(
            vec![f32_input("x", &[2]), f32_input("w", &[2])],
            vec![f32_tensor("w", &[2], &[10.0, 20.0])],
            vec![node("Add", &["x", "w"], &["y"], vec![])],
            &["y"],
        ),
    );
    proto.ir_version = 3;
    proto.graph.as_mut().unwrap().output = vec![f32_input("y", &[7, 7, 7])];
    let (report, results) = eval_with(proto, &Options::default(), &[f32s(&[2], &[1.0, 2.0])]).unwrap();
    assert_eq!(report.inputs.len(), 1);
    assert_eq!(results[0].to_f64(), [11.0, 22.0]);
}
