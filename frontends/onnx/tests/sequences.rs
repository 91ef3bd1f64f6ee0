//! Sequences, maps and optionals of ONNX: imported into the dataflow IR and evaluated, and what the legacy graph holds of them.

mod common;

use common::*;
use orogen_ir::flow::FlowBuilder;
use orogen_ir::graph::GraphBuilder;
use orogen_ir::ops::OpRegistry;
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;
use orogen_onnx::{Model, Options, import};
use orogen_reference::{Value, eval_function, eval_graph};

fn floats(dims: &[u64], list: &[f64]) -> Value {
    Value::Tensor(TensorData::from_f64(DType::F32, dims, list.iter().copied()))
}

fn int(it: i64) -> Value {
    Value::Tensor(TensorData::from_slice(DType::I64, &[], &[it]))
}

fn list(items: &[&[f64]]) -> Value {
    Value::Sequence(items.iter().map(|it| floats(&[it.len() as u64], it)).collect())
}

fn truth(it: bool) -> Value {
    Value::Tensor(TensorData::from_f64(DType::Bool, &[], [f64::from(u8::from(it))]))
}

/// Imports into the dataflow IR, whose laws hold, and evaluates.
fn eval(graph: GraphProto, args: &[Value]) -> Result<Vec<Value>, String> {
    let ops = OpRegistry::standard();
    let model = Model::from_proto(model(18, graph)).map_err(|it| it.to_string())?;
    let mut sink = FlowBuilder::new(&ops, "test");
    import(&model, &Options::default(), &mut sink).map_err(|it| it.to_string())?;
    let module = sink.finish().map_err(|it| it.to_string())?;
    module.verify(&ops).unwrap_or_else(|it| panic!("{it}"));
    eval_function(&ops, &module, "main", args).map_err(|it| it.to_string())
}

/// Imports into the static graph and evaluates.
fn eval_static(graph: GraphProto, args: &[Value]) -> Result<Vec<Value>, String> {
    let ops = OpRegistry::standard();
    let model = Model::from_proto(model(18, graph)).map_err(|it| it.to_string())?;
    let mut sink = GraphBuilder::new(&ops, "test");
    import(&model, &Options::default(), &mut sink).map_err(|it| it.to_string())?;
    let graph = sink.finish().map_err(|it| it.to_string())?;
    graph.verify(&ops).unwrap_or_else(|it| panic!("{it}"));
    let args: Vec<TensorData> = args.iter().filter_map(|it| it.as_tensor().cloned()).collect();
    let results = eval_graph(&ops, &graph, &args).map_err(|it| it.to_string())?;
    Ok(results.into_iter().map(Value::Tensor).collect())
}

fn of_items(name: &str, item: ValueInfoProto) -> ValueInfoProto {
    let elem_type = item.r#type.map(Box::new);
    let ty = TypeProto { sequence_type: Some(ItemTypeProto { elem_type }), ..TypeProto::default() };
    ValueInfoProto { name: name.into(), r#type: Some(ty) }
}

fn optional(name: &str, content: ValueInfoProto) -> ValueInfoProto {
    let elem_type = content.r#type.map(Box::new);
    let ty = TypeProto { optional_type: Some(ItemTypeProto { elem_type }), ..TypeProto::default() };
    ValueInfoProto { name: name.into(), r#type: Some(ty) }
}

fn vectors(name: &str) -> ValueInfoProto {
    of_items(name, value("", data_type::FLOAT, &[D::S("N")]))
}

fn scalar(name: &str) -> ValueInfoProto {
    value(name, data_type::INT64, &[])
}

#[test]
fn items_are_put_in_and_taken_out() {
    let nodes = vec![
        node("SequenceInsert", &["s", "x", "i"], &["more"], vec![]),
        node("SequenceErase", &["more"], &["less"], vec![]),
        node("SequenceAt", &["more", "i"], &["item"], vec![]),
        node("SequenceLength", &["less"], &["count"], vec![]),
        node("Neg", &["item"], &["y"], vec![]),
    ];
    let inputs = vec![vectors("s"), value("x", data_type::FLOAT, &[D::S("M")]), scalar("i")];
    let graph = graph(inputs, vec![], nodes, &["y", "less", "count"]);
    let x = floats(&[2], &[1.0, 2.0]);
    let found = eval(graph.clone(), &[list(&[&[5.0], &[6.0]]), x.clone(), int(1)]).unwrap();
    assert_eq!(found, [floats(&[2], &[-1.0, -2.0]), list(&[&[5.0], &[1.0, 2.0]]), int(2)]);
    assert!(eval(graph.clone(), &[list(&[]), x.clone(), int(1)]).unwrap_err().contains("position 1"));
    let refused = eval_static(graph, &[]).unwrap_err();
    assert!(refused.contains("G008") && refused.contains("--opt-in dataflow-ir"), "{refused}");
}

#[test]
fn what_is_known_of_a_sequence_costs_nothing_and_is_static() {
    let nodes = vec![
        node("SequenceEmpty", &[], &["none"], vec![]),
        node("SequenceInsert", &["none", "x"], &["one"], vec![]),
        node("SequenceInsert", &["one", "y", "zero"], &["two"], vec![]),
        node("SequenceConstruct", &["x", "y", "x"], &["three"], vec![]),
        node("SequenceErase", &["three", "zero"], &["rest"], vec![]),
        node("SequenceAt", &["two", "zero"], &["a"], vec![]),
        node("SequenceAt", &["rest", "last"], &["b"], vec![]),
        node("ConcatFromSequence", &["two"], &["c"], vec![int_attr("axis", 0)]),
        node("ConcatFromSequence", &["rest"], &["d"], vec![int_attr("axis", -1), int_attr("new_axis", 1)]),
        node("SequenceLength", &["rest"], &["n"], vec![]),
        node("Optional", &["x"], &["o"], vec![]),
        node("OptionalHasElement", &["o"], &["has"], vec![]),
        node("OptionalGetElement", &["o"], &["held"], vec![]),
    ];
    let constants = vec![i64_tensor("zero", &[], &[0]), i64_tensor("last", &[], &[-1])];
    let outputs = ["a", "b", "c", "d", "n", "has", "held"];
    let graph = graph(vec![f32_input("x", &[2]), f32_input("y", &[2])], constants, nodes, &outputs);
    let (x, y) = (floats(&[2], &[1.0, 2.0]), floats(&[2], &[3.0, 4.0]));
    let expected = vec![
        y.clone(),
        x.clone(),
        floats(&[4], &[3.0, 4.0, 1.0, 2.0]),
        floats(&[2, 2], &[3.0, 1.0, 4.0, 2.0]),
        int(2),
        truth(true),
        x.clone(),
    ];
    assert_eq!(eval(graph.clone(), &[x.clone(), y.clone()]).unwrap(), expected);
    assert_eq!(eval_static(graph, &[x, y]).unwrap(), expected);
}

fn int_attr(name: &str, it: i64) -> AttributeProto {
    common::int(name, it)
}

/// Splits `x` and joins the parts again.
fn split(inputs: Vec<ValueInfoProto>, operands: &[&str], attrs: Vec<AttributeProto>) -> GraphProto {
    let nodes = vec![
        node("SplitToSequence", operands, &["s"], attrs),
        node("SequenceLength", &["s"], &["n"], vec![]),
        node("ConcatFromSequence", &["s"], &["y"], vec![int_attr("axis", 0)]),
    ];
    graph(inputs, vec![], nodes, &["s", "n", "y"])
}

#[test]
fn tensors_are_split_and_joined() {
    let x = floats(&[5], &[1.0, 2.0, 3.0, 4.0, 5.0]);
    for dim in [D::N(5), D::S("N")] {
        let x_input = || value("x", data_type::FLOAT, &[dim]);
        // Single slices.
        let found = eval(split(vec![x_input()], &["x"], vec![]), std::slice::from_ref(&x)).unwrap();
        assert_eq!(found[..], [list(&[&[1.0], &[2.0], &[3.0], &[4.0], &[5.0]]), int(5), x.clone()]);
        // Parts of one size, the last one shorter.
        let inputs = vec![x_input(), scalar("k")];
        let even = split(inputs, &["x", "k"], vec![]);
        let found = eval(even.clone(), &[x.clone(), int(2)]).unwrap();
        assert_eq!(found[..], [list(&[&[1.0, 2.0], &[3.0, 4.0], &[5.0]]), int(3), x.clone()]);
        assert!(eval(even, &[x.clone(), int(0)]).unwrap_err().contains("the size of its parts"));
        // Parts of sizes that are data, as many as the data say.
        let inputs = vec![x_input(), value("k", data_type::INT64, &[D::S("parts")])];
        let sizes = |list: &[i64]| Value::Tensor(TensorData::ints(list));
        let by_sizes = split(inputs, &["x", "k"], vec![]);
        let found = eval(by_sizes.clone(), &[x.clone(), sizes(&[1, 4, 0])]).unwrap();
        assert_eq!(found[..], [list(&[&[1.0], &[2.0, 3.0, 4.0, 5.0], &[]]), int(3), x.clone()]);
        assert!(eval(by_sizes, &[x.clone(), sizes(&[1, 3])]).is_err());
    }
    // Without the dimension.
    let nodes =
        vec![node("SplitToSequence", &["x"], &["s"], vec![int_attr("keepdims", 0), int_attr("axis", 1)])];
    let whole = floats(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    for dims in [[D::N(2), D::N(2)], [D::N(2), D::S("N")]] {
        let inputs = vec![value("x", data_type::FLOAT, &dims)];
        let found = eval(graph(inputs, vec![], nodes.clone(), &["s"]), std::slice::from_ref(&whole)).unwrap();
        assert_eq!(found, [list(&[&[1.0, 3.0], &[2.0, 4.0]])]);
    }
}

#[test]
fn loops_carry_sequences() {
    let body = graph(
        vec![scalar("i"), value("c", data_type::BOOL, &[]), named("s")],
        vec![i64_tensor("one", &[1], &[1])],
        vec![
            node("Identity", &["c"], &["go"], vec![]),
            node("Unsqueeze", &["i", "zero"], &["at"], vec![]),
            node("Add", &["at", "one"], &["end"], vec![]),
            node("Slice", &["x", "zero", "end"], &["part"], vec![]),
            node("SequenceInsert", &["s", "part"], &["more"], vec![]),
        ],
        &["go", "more"],
    );
    let nodes = vec![
        node("SequenceEmpty", &[], &["none"], vec![]),
        node("Loop", &["turns", "", "none"], &["all"], vec![graph_attr("body", body)]),
        node("SequenceAt", &["all", "last"], &["y"], vec![]),
    ];
    let constants = vec![i64_tensor("zero", &[1], &[0]), i64_tensor("last", &[], &[-1])];
    let inputs = vec![scalar("turns"), f32_input("x", &[3])];
    let graph = graph(inputs, constants, nodes, &["all", "y"]);
    let x = floats(&[3], &[1.0, 2.0, 3.0]);
    let found = eval(graph.clone(), &[int(2), x.clone()]).unwrap();
    assert_eq!(found, [list(&[&[1.0], &[1.0, 2.0]]), floats(&[2], &[1.0, 2.0])]);
    assert!(eval(graph, &[int(0), x]).unwrap_err().contains("position -1"));
}

#[test]
fn sequence_map_is_a_loop() {
    let body = graph(
        vec![named("a"), named("b")],
        vec![],
        vec![node("Mul", &["a", "b"], &["p"], vec![]), node("Shape", &["a"], &["d"], vec![])],
        &["p", "d"],
    );
    let nodes = vec![node("SequenceMap", &["s", "t"], &["p", "d"], vec![graph_attr("body", body)])];
    let both = graph(vec![vectors("s"), vectors("t")], vec![], nodes.clone(), &["p", "d"]);
    let (s, t) = (list(&[&[1.0], &[2.0, 3.0]]), list(&[&[5.0], &[6.0, 7.0]]));
    let dims =
        Value::Sequence(vec![Value::Tensor(TensorData::ints(&[1])), Value::Tensor(TensorData::ints(&[2]))]);
    let found = eval(both.clone(), &[s.clone(), t]).unwrap();
    assert_eq!(found, [list(&[&[5.0], &[12.0, 21.0]]), dims]);
    let error = eval(both, &[s.clone(), list(&[&[1.0]])]).unwrap_err();
    assert!(error.contains("the numbers of items"), "{error}");
    // A tensor is the same for every item.
    let one = graph(vec![vectors("s"), f32_input("t", &[1])], vec![], nodes, &["p"]);
    let found = eval(one, &[s, floats(&[1], &[10.0])]).unwrap();
    assert_eq!(found, [list(&[&[10.0], &[20.0, 30.0]])]);
}

#[test]
fn optionals_pass_through_branches_and_loops() {
    let branch =
        |op: &str, inputs: &[&str]| graph(vec![], vec![], vec![node(op, inputs, &["r"], vec![])], &["r"]);
    let nodes = vec![
        node("OptionalHasElement", &["o"], &["has"], vec![]),
        node(
            "If",
            &["has"],
            &["y"],
            vec![
                graph_attr("then_branch", branch("OptionalGetElement", &["o"])),
                graph_attr("else_branch", branch("Identity", &["x"])),
            ],
        ),
    ];
    let content = value("", data_type::FLOAT, &[D::S("N")]);
    let inputs = vec![optional("o", content.clone()), f32_input("x", &[1])];
    let graph_or = graph(inputs, vec![], nodes, &["has", "y"]);
    let x = floats(&[1], &[9.0]);
    let held = floats(&[2], &[1.0, 2.0]);
    assert_eq!(eval(graph_or.clone(), &[held.clone(), x.clone()]).unwrap(), [truth(true), held]);
    assert_eq!(eval(graph_or, &[Value::None, x.clone()]).unwrap(), [truth(false), x.clone()]);

    // A loop begins with an optional sequence and goes on with a sequence.
    let first = branch("SequenceConstruct", &["x"]);
    let body = graph(
        vec![scalar("i"), value("c", data_type::BOOL, &[]), named("o")],
        vec![],
        vec![
            node("Identity", &["c"], &["go"], vec![]),
            node("OptionalHasElement", &["o"], &["has"], vec![]),
            node(
                "If",
                &["has"],
                &["s"],
                vec![
                    graph_attr("then_branch", branch("OptionalGetElement", &["o"])),
                    graph_attr("else_branch", first),
                ],
            ),
            node("SequenceInsert", &["s", "x"], &["more"], vec![]),
        ],
        &["go", "more"],
    );
    let nodes = vec![node("Loop", &["turns", "", "o"], &["s"], vec![graph_attr("body", body)])];
    let inputs = vec![scalar("turns"), optional("o", of_items("", content)), f32_input("x", &[1])];
    let graph_loop = graph(inputs, vec![], nodes, &["s"]);
    let found = eval(graph_loop.clone(), &[int(2), Value::None, x.clone()]).unwrap();
    assert_eq!(found, [list(&[&[9.0], &[9.0], &[9.0]])]);
    let found = eval(graph_loop, &[int(1), list(&[&[1.0, 2.0]]), x]).unwrap();
    assert_eq!(found, [list(&[&[1.0, 2.0], &[9.0]])]);
}

#[test]
fn optionals_without_a_value_say_what_they_would_hold() {
    let ty = of_items("", value("", data_type::INT64, &[])).r#type;
    let attribute = AttributeProto {
        name: "type".into(),
        tp: ty,
        kind: attribute_type::TYPE,
        ..AttributeProto::default()
    };
    let nodes = |attrs| {
        vec![node("Optional", &[], &["o"], attrs), node("OptionalHasElement", &["o"], &["h"], vec![])]
    };
    let found = eval(graph(vec![], vec![], nodes(vec![attribute]), &["o", "h"]), &[]).unwrap();
    assert_eq!(found, [Value::None, truth(false)]);
    let error = eval(graph(vec![], vec![], nodes(vec![]), &["o", "h"]), &[]).unwrap_err();
    assert!(error.contains("neither an operand nor a type"), "{error}");
}

#[test]
fn items_may_have_any_rank() {
    let unknown = ValueInfoProto {
        name: String::new(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto { elem_type: data_type::FLOAT, shape: None }),
            ..TypeProto::default()
        }),
    };
    let nodes = vec![node("SequenceAt", &["s", "i"], &["y"], vec![])];
    let inputs = vec![of_items("s", unknown.clone()), scalar("i")];
    let found = eval(graph(inputs, vec![], nodes, &["y"]), &[list(&[&[1.0], &[2.0, 3.0]]), int(1)]).unwrap();
    assert_eq!(found, [floats(&[2], &[2.0, 3.0])]);
    // Who asks for no item needs no rank.
    let nodes = vec![node("SequenceErase", &["s"], &["y"], vec![])];
    let found = eval(graph(vec![of_items("s", unknown)], vec![], nodes, &["y"]), &[list(&[&[1.0], &[2.0]])]);
    assert_eq!(found.unwrap(), [list(&[&[1.0]])]);
    let texts = of_items("s", value("", data_type::STRING, &[]));
    let nodes = vec![node("SequenceLength", &["s"], &["y"], vec![])];
    let word = |text: &str| Value::Tensor(TensorData::strings(&[], [text]).expect("one string"));
    let words = Value::Sequence(vec![word("a"), word(""), word("a")]);
    assert_eq!(eval(graph(vec![texts], vec![], nodes, &["y"]), &[words]).unwrap(), [int(3)]);
    let wrong = vec![node("SequenceConstruct", &["x", "n"], &["s"], vec![])];
    let error = eval(graph(vec![f32_input("x", &[1]), scalar("n")], vec![], wrong, &["s"]), &[]).unwrap_err();
    assert!(error.contains("O017") && error.contains("SequenceConstruct"), "{error}");
}

fn map_of(name: &str, keys: i32, values: i32) -> ValueInfoProto {
    let value_type = value("", values, &[]).r#type.map(Box::new);
    let map_type = Some(MapTypeProto { key_type: keys, value_type });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { map_type, ..TypeProto::default() }) }
}

fn ml(op: &str, inputs: &[&str], output: &str, attributes: Vec<AttributeProto>) -> NodeProto {
    NodeProto { domain: "ai.onnx.ml".into(), ..node(op, inputs, &[output], attributes) }
}

fn ints(list: &[i64]) -> Value {
    Value::Tensor(TensorData::from_slice(DType::I64, &[list.len() as u64], list))
}

fn words(dims: &[u64], list: &[&str]) -> Value {
    Value::Tensor(TensorData::strings(dims, list).expect("words"))
}

fn map(keys: Value, values: Value) -> Value {
    Value::Sequence(vec![keys, values])
}

#[test]
fn rows_become_maps_whose_keys_rise() {
    let zip = |attributes: Vec<AttributeProto>, dims: &[D]| {
        let nodes = vec![ml("ZipMap", &["x"], "y", attributes)];
        graph(vec![value("x", data_type::FLOAT, dims)], vec![], nodes, &["y"])
    };
    let numbers = common::ints("classlabels_int64s", &[7, -2, 5]);
    let matrix = [D::S("n"), D::N(3)];
    let sorted = |row: &[f64]| map(ints(&[-2, 5, 7]), floats(&[3], &[row[1], row[2], row[0]]));
    let (first, second) = ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]);
    let both = floats(&[2, 3], &[first, second].concat());
    let found = eval(zip(vec![numbers.clone()], &matrix), std::slice::from_ref(&both)).unwrap();
    assert_eq!(found, [Value::Sequence(vec![sorted(&first), sorted(&second)])]);
    let none = eval(zip(vec![numbers.clone()], &matrix), &[floats(&[0, 3], &[])]).unwrap();
    assert_eq!(none, [Value::Sequence(vec![])]);
    // A vector is one row, and so is a matrix of one.
    for dims in [&[D::N(3)][..], &[D::N(1), D::N(3)]] {
        let sizes: &[u64] = if dims.len() == 1 { &[3] } else { &[1, 3] };
        let found = eval(zip(vec![numbers.clone()], dims), &[floats(sizes, &first)]).unwrap();
        assert_eq!(found, [Value::Sequence(vec![sorted(&first)])]);
    }
    // Of equal labels the last counts; the number of columns may be known only when it runs.
    let names = texts("classlabels_strings", &["b", "a", "b"]);
    let found = eval(zip(vec![names.clone()], &[D::S("n"), D::S("c")]), &[both]).unwrap();
    let expected = |row: &[f64]| map(words(&[2], &["a", "b"]), floats(&[2], &row[1..]));
    assert_eq!(found, [Value::Sequence(vec![expected(&first), expected(&second)])]);

    let other = eval(zip(vec![names.clone()], &[D::S("n"), D::S("c")]), &[floats(&[1, 2], &[1.0, 2.0])]);
    assert!(other.unwrap_err().contains("the columns, of which each has a label"));
    let error = eval(zip(vec![names], &[D::S("n"), D::N(2)]), &[]).unwrap_err();
    assert!(error.contains("X010") && error.contains("there are 3 labels for 2 columns"), "{error}");
    let error = eval(zip(vec![], &matrix), &[]).unwrap_err();
    assert!(error.contains("neither `classlabels_strings` nor `classlabels_int64s` has a label"), "{error}");
    let error = eval(zip(vec![numbers.clone()], &[D::N(2), D::N(2), D::N(3)]), &[]).unwrap_err();
    assert!(error.contains("3 dimensions"), "{error}");
    let refused = eval_static(zip(vec![numbers], &[D::N(2), D::N(3)]), &[]).unwrap_err();
    assert!(refused.contains("G008") && refused.contains("--opt-in dataflow-ir"), "{refused}");
}

#[test]
fn maps_become_rows() {
    let cast = |values: i32, attributes: Vec<AttributeProto>| {
        let nodes = vec![ml("CastMap", &["m"], "y", attributes)];
        graph(vec![map_of("m", data_type::INT64, values)], vec![], nodes, &["y"])
    };
    let held = map(ints(&[4, -1, 2]), floats(&[3], &[1.5, -2.7, 0.5]));
    let row = |list: &[f64]| floats(&[1, list.len() as u64], list);
    let integers =
        |list: &[i64]| Value::Tensor(TensorData::from_slice(DType::I64, &[1, list.len() as u64], list));
    let float = data_type::FLOAT;
    assert_eq!(eval(cast(float, vec![]), std::slice::from_ref(&held)).unwrap(), [row(&[-2.7, 0.5, 1.5])]);
    let whole = vec![text("cast_to", "TO_INT64")];
    assert_eq!(
        eval(cast(float, whole.clone()), std::slice::from_ref(&held)).unwrap(),
        [integers(&[-2, 0, 1])]
    );
    let nothing = map(ints(&[]), floats(&[0], &[]));
    assert_eq!(eval(cast(float, whole), std::slice::from_ref(&nothing)).unwrap(), [integers(&[])]);
    let sparse = |count| vec![text("map_form", "SPARSE"), common::int("max_map", count)];
    assert_eq!(
        eval(cast(float, sparse(4)), std::slice::from_ref(&held)).unwrap(),
        [row(&[0.0, 0.0, 0.5, 0.0])]
    );
    assert_eq!(eval(cast(float, sparse(2)), &[nothing]).unwrap(), [row(&[0.0, 0.0])]);
    let texts = map(ints(&[1, 0]), words(&[2], &["one", "zero"]));
    let as_text = [sparse(3), vec![text("cast_to", "TO_STRING")]].concat();
    let found = eval(cast(data_type::STRING, as_text), &[texts]).unwrap();
    assert_eq!(found, [words(&[1, 3], &["zero", "one", "0.f"])]);

    let uneven = map(ints(&[1, 2]), floats(&[1], &[0.5]));
    assert!(eval(cast(float, vec![]), &[uneven]).unwrap_err().contains("the keys and values of a map"));
    for (attributes, reason) in [
        (vec![text("cast_to", "TO_TEXT")], "`cast_to` is no `TO_TEXT`"),
        (vec![text("map_form", "THIN")], "`map_form` is no `THIN`"),
        (sparse(-1), "`max_map` is -1"),
        (sparse(i64::MAX), "which is no number of places"),
    ] {
        let error = eval(cast(float, attributes), &[]).unwrap_err();
        assert!(error.contains("X009") && error.contains(reason), "{error}");
    }
    let nodes = vec![ml("CastMap", &["m"], "y", vec![])];
    let of_words = graph(vec![map_of("m", data_type::STRING, float)], vec![], nodes.clone(), &["y"]);
    assert!(eval(of_words, &[]).unwrap_err().contains("the keys of its map are strings"));
    let error = eval(graph(vec![f32_input("m", &[2])], vec![], nodes, &["y"]), &[]).unwrap_err();
    assert!(error.contains("O025") && error.contains("CastMap"), "{error}");
}

#[test]
fn maps_pass_in_and_out_and_lie_in_sequences() {
    let maps = of_items("s", map_of("", data_type::STRING, data_type::FLOAT));
    let nodes = vec![node("SequenceAt", &["s", "i"], &["y"], vec![])];
    let pass = graph(vec![maps, scalar("i")], vec![], nodes, &["y", "s"]);
    let one = map(words(&[1], &["a"]), floats(&[1], &[0.5]));
    let s = Value::Sequence(vec![one.clone(), map(words(&[0], &[]), floats(&[0], &[]))]);
    assert_eq!(eval(pass, &[s.clone(), int(0)]).unwrap(), [one, s]);
    for (keys, dims, reason) in [
        (data_type::FLOAT, &[][..], "the keys of its map are f32"),
        (99, &[], "99"),
        (data_type::INT64, &[D::N(2)], "no single numbers or strings"),
    ] {
        let value_type = value("", data_type::FLOAT, dims).r#type.map(Box::new);
        let map_type = Some(MapTypeProto { key_type: keys, value_type });
        let ty = Some(TypeProto { map_type, ..TypeProto::default() });
        let input = ValueInfoProto { name: "m".into(), r#type: ty };
        let error = eval(graph(vec![input], vec![], vec![], &["m"]), &[]).unwrap_err();
        assert!(error.contains("X009") && error.contains("input `m`") && error.contains(reason), "{error}");
    }
}
