//! Law X1: files that are no models, broken models, and names of every kind.

mod common;

use common::*;
use orogen_ir::types::DType;
use orogen_onnx::proto::*;
use orogen_onnx::{Model, Options, import, missing_files, unsupported};
use prost::Message;

fn relu(name: &str) -> ModelProto {
    model(
        18,
        graph(vec![f32_input(name, &[2, 3])], vec![], vec![node("Relu", &[name], &["y"], vec![])], &["y"]),
    )
}

fn run(model: ModelProto) -> Result<Recorder, String> {
    let mut sink = Recorder::default();
    let model = Model::from_bytes(model.encode_to_vec()).map_err(|it| it.to_string())?;
    import(&model, &Options::default(), &mut sink).map_err(|it| it.to_string())?;
    Ok(sink)
}

fn refused(model: ModelProto, text: &str) {
    let error = run(model).map(|_| ()).expect_err("the model is refused");
    assert!(error.contains(text), "`{text}` is not in: {error}");
}

#[test]
fn files_that_are_no_models_are_named() {
    for (bytes, text) in [
        (&b""[..], "an empty file"),
        (b"PK\x03\x04rest", "a zip archive"),
        (b"\x80\x02}q\x00", "a Python pickle"),
        (b"GGUF\x03\0\0\0", "a GGUF file"),
        (b"\x1c\0\0\0TFL3", "a TensorFlow Lite model"),
        (b"{\"model\": 1}", "a text file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"\x7fELF\x02\x01\x01", "an ELF file"),
        (b"\x10\x02\0\0\0\0\0\0{\"__metadata__\":{}", "a safetensors file"),
        (b"\x08\x08", "it has no graph"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "the protobuf decoder says"),
    ] {
        let error = Model::from_bytes(bytes).unwrap_err().to_string();
        assert!(error.contains(text), "`{text}` is not in: {error}");
    }
}

#[test]
fn a_missing_file_and_a_directory_are_errors() {
    let error = Model::open("/nonexistent/model.onnx").unwrap_err().to_string();
    assert!(error.contains("X001") && error.contains("/nonexistent/model.onnx"), "{error}");
    assert!(Model::open(std::env::temp_dir()).unwrap_err().to_string().contains("directory"));
}

#[test]
fn every_truncation_and_every_flipped_byte_is_survived() {
    let mut proto = relu("x");
    let graph = proto.graph.as_mut().unwrap();
    graph.node.push(node("Add", &["y", "w"], &["z"], vec![ints("axes", &[1, 2])]));
    graph.initializer.push(f32_tensor("w", &[3], &[1.0, 2.0, 3.0]));
    graph.output.push(named("z"));
    let bytes = proto.encode_to_vec();
    let survive = |bytes: Vec<u8>| {
        if let Ok(model) = Model::from_bytes(bytes) {
            let _ = import(&model, &Options::default(), &mut Recorder::default());
        }
    };
    assert!(run(proto).is_ok());
    for end in 0..bytes.len() {
        survive(bytes[..end].to_vec());
    }
    for i in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[i] ^= flip;
            survive(bytes);
        }
    }
}

#[test]
fn random_bytes_are_survived() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..2000 {
        let bytes: Vec<u8> = (0..64)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        if let Ok(model) = Model::from_bytes(bytes) {
            let _ = import(&model, &Options::default(), &mut Recorder::default());
        }
    }
}

#[test]
fn deep_nesting_is_an_error() {
    let mut inner = graph(vec![], vec![], vec![node("Identity", &["x"], &["r"], vec![])], &["r"]);
    for _ in 0..40 {
        let branch = node(
            "If",
            &["c"],
            &["r"],
            vec![
                graph_attr("then_branch", inner.clone()),
                graph_attr(
                    "else_branch",
                    graph(vec![], vec![], vec![node("Identity", &["x"], &["r"], vec![])], &["r"]),
                ),
            ],
        );
        inner = graph(vec![], vec![], vec![branch], &["r"]);
    }
    inner.input = vec![f32_input("x", &[2]), value("c", data_type::BOOL, &[])];
    refused(model(18, inner), "recursion limit");
}

/// `n` branches one after the other that differ in rank; what follows each is `end`, of an operator and its attributes.
fn undecided_branches(n: usize, end: &dyn Fn(&str, &str) -> NodeProto) -> ModelProto {
    let mut nodes = Vec::new();
    let mut at = "x".to_owned();
    for i in 0..n {
        let [wide, same, either, next] = ["a", "b", "c", "d"].map(|it| format!("{it}{i}"));
        let wider = node("Unsqueeze", &[&at, "axes"], &[&wide], vec![]);
        let kept = node("Identity", &[&at], &[&same], vec![]);
        let sides = vec![
            graph_attr("then_branch", graph(vec![], vec![], vec![wider], &[&wide])),
            graph_attr("else_branch", graph(vec![], vec![], vec![kept], &[&same])),
        ];
        nodes.push(node("If", &["on"], &[&either], sides));
        nodes.push(end(&either, &next));
        at = next;
    }
    let inputs = vec![f32_input("x", &[4, 4]), value("on", data_type::BOOL, &[])];
    let constants = vec![i64_tensor("axes", &[1], &[0]), f32_tensor("w", &[4, 4], &[0.5; 16])];
    model(18, graph(inputs, constants, nodes, &[&at]))
}

#[test]
fn undecided_branches_may_follow_each_other_without_end() {
    // One side of each fits what comes next.
    let gemm = |from: &str, to: &str| node("Gemm", &[from, "w"], &[to], vec![]);
    let sink = run(undecided_branches(5000, &gemm)).expect("a model");
    assert_eq!(sink.names().iter().filter(|it| **it == "matmul").count(), 5000);
    // Both sides do, so the node behind each is built for both ranks. On the stack of a test this must not nest.
    let shape = |from: &str, to: &str| node("Reshape", &[from, "axes_of_w"], &[to], vec![]);
    let mut model = undecided_branches(300, &shape);
    let square = i64_tensor("axes_of_w", &[2], &[4, 4]);
    model.graph.as_mut().expect("a graph").initializer.push(square);
    let sink = run(model).expect("a model");
    assert!(sink.names().iter().filter(|it| **it == "reshape").count() >= 300);
}

#[test]
fn tensors_that_claim_more_than_they_hold_are_refused() {
    let with = |tensor: TensorProto| {
        let mut proto = relu("x");
        let graph = proto.graph.as_mut().unwrap();
        graph.initializer.push(tensor);
        graph.node.push(node("Add", &["y", "w"], &["z"], vec![]));
        graph.output = vec![named("z")];
        proto
    };
    let tensor = |dims: &[i64]| TensorProto {
        name: "w".into(),
        dims: dims.to_vec(),
        data_type: data_type::FLOAT,
        raw_data: Some(vec![0; 12].into()),
        ..TensorProto::default()
    };
    refused(with(tensor(&[1024, 1024, 768])), "3221225472 bytes, but the file holds 12");
    refused(with(tensor(&[-3])), "dimension -3 is negative");
    refused(with(tensor(&[i64::MAX, i64::MAX])), "larger than the address space");
    refused(with(tensor(&[2])), "8 bytes, but the file holds 12");
    refused(with(TensorProto { data_type: 8, ..tensor(&[3]) }), "its strings are not in the field for them");
    let strings = |list: &[&'static [u8]]| TensorProto {
        data_type: 8,
        raw_data: None,
        string_data: list.iter().map(|it| prost::bytes::Bytes::from_static(it)).collect(),
        ..tensor(&[3])
    };
    refused(with(strings(&[b"a", b"b"])), "it claims string[3], but the file holds 2 strings");
    refused(with(strings(&[b"a", b"\xff", b"c"])), "its string 1 is no UTF-8");
    refused(with(strings(&[b"a", b"b", b"c"])), "operand 1 is string");
    refused(with(TensorProto { data_type: 99, ..tensor(&[3]) }), "no element type number 99");
    let outside = |location: &str| TensorProto {
        raw_data: None,
        data_location: 1,
        external_data: vec![StringStringEntryProto { key: "location".into(), value: location.into() }],
        ..tensor(&[3])
    };
    refused(with(outside("w.bin")), "not read from a file");
    assert!(run(with(tensor(&[3]))).is_ok());
}

#[test]
fn external_data_is_found_beside_the_model_and_nowhere_else() {
    let folder = std::env::temp_dir().join(format!("orogen-onnx-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("w.bin"), [0u8, 0, 0, 0, 0, 0, 128, 63]).unwrap();
    let open = |entries: &[(&str, &str)]| {
        let mut proto = relu("x");
        let graph = proto.graph.as_mut().unwrap();
        graph.initializer.push(TensorProto {
            name: "w".into(),
            dims: vec![1],
            data_type: data_type::FLOAT,
            data_location: 1,
            external_data: entries
                .iter()
                .map(|(key, value)| StringStringEntryProto { key: key.to_string(), value: value.to_string() })
                .collect(),
            ..TensorProto::default()
        });
        graph.node.push(node("Add", &["y", "w"], &["z"], vec![]));
        graph.output = vec![named("z")];
        std::fs::write(folder.join("m.onnx"), proto.encode_to_vec()).unwrap();
        let mut sink = Recorder::default();
        let model = Model::open(folder.join("m.onnx")).unwrap();
        import(&model, &Options::default(), &mut sink)
            .map(|_| sink.values.iter().find_map(|it| it.data.clone()).unwrap().to_f64())
            .map_err(|it| it.to_string())
    };
    assert_eq!(open(&[("location", "w.bin"), ("offset", "4"), ("length", "4")]), Ok(vec![1.0]));
    assert_eq!(open(&[("location", "./w.bin"), ("offset", "4")]), Ok(vec![1.0]));
    for (entries, text) in [
        (&[("location", "w.bin"), ("offset", "6")][..], "has only 8 bytes"),
        (&[("location", "w.bin"), ("offset", "18446744073709551615")], "has only 8 bytes"),
        (&[("location", "w.bin"), ("length", "8")], "4 bytes, but the file holds 8"),
        (&[("location", "w.bin"), ("offset", "-1")], "not a size"),
        (&[("location", "../w.bin")], "leaves the model's directory"),
        (&[("location", "/etc/passwd")], "leaves the model's directory"),
        (&[("location", "missing.bin")], "cannot be read"),
        (&[("offset", "0")], "no location"),
    ] {
        let error = open(entries).unwrap_err();
        assert!(error.contains(text), "`{text}` is not in: {error}");
        let model = Model::open(folder.join("m.onnx")).unwrap();
        let absent = entries[0].1 == "missing.bin" || text.contains("leaves");
        assert_eq!(missing_files(&model).len(), usize::from(absent), "{text}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn names_may_be_anything() {
    for name in ["a:0", "x.y", "{\"json\": [1]}", "387", "a b", "ü\n\t", "%1", "size"] {
        let sink = run(relu(name)).unwrap();
        assert_eq!(sink.output("y"), "f32[2, 3]");
        let mut dynamic = relu(name);
        dynamic.graph.as_mut().unwrap().input = vec![value(name, data_type::FLOAT, &[D::Unknown, D::N(3)])];
        run(dynamic).unwrap();
    }
    refused(relu(""), "the input has no name");
}

#[test]
fn broken_graphs_are_refused() {
    let x = || vec![f32_input("x", &[2])];
    let cycle = vec![
        node("Add", &["x", "c"], &["a"], vec![]),
        node("Relu", &["a"], &["b"], vec![]),
        node("Neg", &["b"], &["c"], vec![]),
    ];
    refused(model(18, graph(x(), vec![], cycle, &["c"])), "the graph has a cycle");
    let missing = vec![node("Add", &["x", "nowhere"], &["y"], vec![])];
    refused(model(18, graph(x(), vec![], missing, &["y"])), "nothing defines `nowhere`");
    refused(model(18, graph(x(), vec![], vec![], &["y"])), "nothing defines the output `y`");
    let twice = || vec![node("Relu", &["x"], &["y"], vec![]), node("Neg", &["x"], &["y"], vec![])];
    refused(model(18, graph(x(), vec![], twice(), &["y"])), "defined twice");
    let twice = vec![f32_input("x", &[2]), f32_input("x", &[2])];
    refused(model(18, graph(twice, vec![], vec![], &["x"])), "two inputs `x`");
    refused(model(18, graph(x(), vec![], vec![], &["x", "x"])), "two outputs `x`");
    refused(model(18, graph(x(), vec![], vec![], &[])), "no outputs");
    refused(
        model(18, graph(x(), vec![], vec![node("Add", &["x"], &["y"], vec![])], &["y"])),
        "operand 1 is missing",
    );
    refused(model(18, graph(vec![named("x")], vec![], vec![], &["x"])), "the input has no type");
}

#[test]
fn nodes_may_come_in_any_order_and_dead_ones_do_not_count() {
    let nodes = vec![
        node("Neg", &["b"], &["y"], vec![]),
        node("Det", &["x"], &["dead"], vec![]),
        node("Abs", &["a"], &["b"], vec![]),
        node("Relu", &["x"], &["a"], vec![]),
    ];
    let sink = run(model(18, graph(vec![f32_input("x", &[2])], vec![], nodes, &["y"]))).unwrap();
    assert_eq!(sink.names(), ["input x", "relu", "abs", "neg"]);
}

#[test]
fn operator_set_versions_are_checked() {
    let versions = |list: &[(&str, i64)]| {
        let mut proto = relu("x");
        proto.opset_import = list
            .iter()
            .map(|(domain, version)| OperatorSetIdProto { domain: domain.to_string(), version: *version })
            .collect();
        proto
    };
    refused(versions(&[("", 0)]), "operator set 0 is older");
    refused(versions(&[("", 99)]), "operator set 99 is newer");
    refused(versions(&[]), "does not say which version");
    assert!(run(versions(&[("ai.onnx", 13)])).is_ok());
    assert!(run(versions(&[("", 13), ("com.undefined", 5)])).is_ok());
}

#[test]
fn everything_unsupported_is_listed_at_once() {
    let mut custom = node("Frobnicate", &["x"], &["b"], vec![]);
    custom.domain = "com.example".into();
    custom.name = "frob".into();
    let branch = |op: &str| graph(vec![], vec![], vec![node(op, &["x"], &["r"], vec![])], &["r"]);
    let nodes = vec![
        node("Frobnicate", &["x"], &["a"], vec![]),
        custom,
        node(
            "If",
            &["c"],
            &["d"],
            vec![
                graph_attr("then_branch", branch("Relu")),
                graph_attr("else_branch", branch("ImageDecoder")),
            ],
        ),
        node("Cast", &["x"], &["e"], vec![int("to", 14)]),
    ];
    let inputs =
        vec![f32_input("x", &[2]), value("c", data_type::BOOL, &[]), value("s", data_type::STRING, &[])];
    let proto = model(18, graph(inputs, vec![], nodes, &["a", "b", "d", "e"]));
    let model = Model::from_proto(proto).unwrap();
    let options = Options::default();
    let found = unsupported(&model, &options.ops).unwrap();
    let list: Vec<String> = found.iter().map(|it| it.to_string()).collect();
    for text in [
        "the node of `a` (Frobnicate) of `x`, ai.onnx version 18: this operator is not known",
        "node `frob` (com.example.Frobnicate) of `x`, com.example version 1: no operator of the domain `com.example` is known",
        "the node of `r` (ImageDecoder) of `x`, ai.onnx version 18: functions of the host compute it, and the compiler was built without them (`orogen_hosted::add_to`)",
        "the node of `e` (Cast) of `x`, ai.onnx version 18: nothing is converted to c64, which is only moved",
    ] {
        assert!(list.iter().any(|it| it == text), "`{text}` is not in {list:#?}");
    }
    let mut sink = Recorder::default();
    let error = import(&model, &options, &mut sink).unwrap_err();
    assert!(sink.log.is_empty(), "law X2");
    assert_eq!(error.0[0].notes.len(), found.len());
}

#[test]
fn dimensions_are_bound_by_name() {
    let inputs = vec![
        value("x", data_type::FLOAT, &[D::S("batch"), D::Unknown, D::N(-1), D::N(0), D::N(4)]),
        value("z", data_type::FLOAT, &[D::S("batch")]),
    ];
    let proto = model(18, graph(inputs, vec![], vec![node("Relu", &["x"], &["y"], vec![])], &["y", "z"]));
    let model = Model::from_proto(proto).unwrap();
    let mut sink = Recorder::default();
    let report = import(&model, &Options::default(), &mut sink).unwrap();
    assert_eq!(report.dims, ["batch", "x_dim1", "x_dim2"], "0 is a size");
    assert_eq!(sink.output("y"), "f32[batch, x_dim1, x_dim2, 0, 4]");
    let mut sink = Recorder::default();
    let options = Options::default().with_dim("batch", 2).with_dim("x_dim1", 7);
    let report = import(&model, &options, &mut sink).unwrap();
    assert_eq!(report.dims, ["x_dim2"]);
    assert_eq!(sink.output("y"), "f32[2, 7, x_dim2, 0, 4]");
    assert_eq!(sink.output("z"), "f32[2]");
    let mut sink = Recorder::default();
    import(&model, &Options::default().with_dim("x_dim3", 5), &mut sink).unwrap();
    assert_eq!(sink.output("y"), "f32[batch, x_dim1, x_dim2, 5, 4]", "unless the caller knows better");
    let error =
        import(&model, &Options::default().with_dim("bach", 1), &mut Recorder::default()).unwrap_err();
    assert!(error.to_string().contains("batch, x_dim1, x_dim2, x_dim3"), "{error}");
}

#[test]
fn typed_data_of_every_element_type_is_read() {
    let mut protos = vec![];
    for (data_type, dtype) in [
        (data_type::UINT8, DType::U8),
        (data_type::INT8, DType::I8),
        (data_type::UINT16, DType::U16),
        (data_type::INT16, DType::I16),
        (data_type::INT32, DType::I32),
        (data_type::BOOL, DType::Bool),
    ] {
        let tensor =
            TensorProto { data_type, int32_data: vec![1, 0, 1], dims: vec![3], ..TensorProto::default() };
        protos.push((tensor, dtype, [1.0, 0.0, 1.0]));
    }
    let bits = |data_type, one: i32| TensorProto {
        data_type,
        int32_data: vec![one, 0, one | 0x8000],
        dims: vec![3],
        ..TensorProto::default()
    };
    protos.push((bits(data_type::FLOAT16, 0x3c00), DType::F16, [1.0, 0.0, -1.0]));
    protos.push((bits(data_type::BFLOAT16, 0x3f80), DType::BF16, [1.0, 0.0, -1.0]));
    let wide = |data_type| TensorProto {
        data_type,
        uint64_data: vec![5, 0, 7],
        dims: vec![3],
        ..TensorProto::default()
    };
    protos.push((wide(data_type::UINT32), DType::U32, [5.0, 0.0, 7.0]));
    protos.push((wide(data_type::UINT64), DType::U64, [5.0, 0.0, 7.0]));
    let double = TensorProto {
        data_type: data_type::DOUBLE,
        double_data: vec![0.5, -2.0, 1e300],
        dims: vec![3],
        ..TensorProto::default()
    };
    protos.push((double, DType::F64, [0.5, -2.0, 1e300]));
    let complex = |dtype: DType| TensorProto {
        data_type: dtype.row().onnx.expect("a type of ONNX"),
        dims: vec![3],
        float_data: [0.5, 1.0, -2.0, 0.0, 3.0, 4.0][..if dtype == DType::C64 { 6 } else { 0 }].to_vec(),
        double_data: [0.5, 1.0, -2.0, 0.0, 3.0, 4.0][..if dtype == DType::C64 { 0 } else { 6 }].to_vec(),
        ..TensorProto::default()
    };
    protos.extend([DType::C64, DType::C128].map(|it| (complex(it), it, [0.5, -2.0, 3.0])));
    for (mut tensor, dtype, expected) in protos {
        tensor.name = "w".into();
        let sink = run(model(18, graph(vec![], vec![tensor], vec![], &["w"]))).unwrap();
        let data = sink.values[0].data.as_ref().unwrap();
        assert_eq!((data.dtype(), data.to_f64()), (dtype, expected.to_vec()));
        if dtype.component().is_some() {
            assert_eq!(data.parts().to_f64(), [0.5, 1.0, -2.0, 0.0, 3.0, 4.0]);
        }
    }
}

#[test]
fn functions_are_expanded_with_their_attributes() {
    let mut reference = float("alpha", 0.0);
    reference.ref_attr_name = "slope".into();
    let function = FunctionProto {
        name: "Leak".into(),
        domain: "local".into(),
        input: vec!["a".into()],
        output: vec!["b".into()],
        node: vec![node("LeakyRelu", &["a"], &["t"], vec![reference]), node("Neg", &["t"], &["b"], vec![])],
        attribute_proto: vec![float("slope", 0.5)],
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 18 }],
        ..FunctionProto::default()
    };
    let call = |attribute| NodeProto { domain: "local".into(), ..node("Leak", &["x"], &["y"], attribute) };
    for (attribute, slope) in [(vec![], 0.5), (vec![float("slope", 0.25)], 0.25)] {
        let mut proto = model(18, graph(vec![f32_input("x", &[2])], vec![], vec![call(attribute)], &["y"]));
        proto.functions = vec![function.clone()];
        let sink = run(proto).unwrap();
        assert_eq!(sink.names(), ["input x", "less", "mul", "where", "neg"]);
        assert!(sink.values.iter().filter_map(|it| it.data.as_ref()).any(|it| it.to_f64() == [slope]));
    }
}

#[test]
fn functions_that_call_themselves_or_explode_are_refused() {
    let function = |name: String, callee: &str| FunctionProto {
        name,
        domain: "local".into(),
        input: vec!["a".into()],
        output: vec!["b".into()],
        node: vec![
            NodeProto { domain: "local".into(), ..node(callee, &["a"], &["t"], vec![]) },
            NodeProto { domain: "local".into(), ..node(callee, &["t"], &["b"], vec![]) },
        ],
        ..FunctionProto::default()
    };
    let mut proto = model(
        18,
        graph(
            vec![f32_input("x", &[2])],
            vec![],
            vec![NodeProto { domain: "local".into(), ..node("F0", &["x"], &["y"], vec![]) }],
            &["y"],
        ),
    );
    proto.functions = vec![function("F0".into(), "F0")];
    refused(proto.clone(), "nest deeper");
    proto.functions = (0..30).map(|i| function(format!("F{i}"), &format!("F{}", i + 1))).collect();
    let last =
        FunctionProto { node: vec![node("Relu", &["a"], &["b"], vec![])], ..function("F30".into(), "") };
    proto.functions.push(last);
    refused(proto, "nodes");
}

#[test]
fn zero_points_of_another_type_are_refused() {
    use data_type::{FLOAT, INT8 as I8, UINT8 as U8};
    let inputs = || {
        vec![value("a", I8, &[D::N(4)]), value("s", FLOAT, &[]), value("z", U8, &[]), value("own", I8, &[])]
    };
    let proto = |node: NodeProto| model(21, graph(inputs(), vec![], vec![node], &["y"]));
    let dequantize = |zero| proto(node("DequantizeLinear", &["a", "s", zero], &["y"], vec![]));
    refused(dequantize("z"), "its zero point is u8, but its integers are i8");
    run(dequantize("own")).expect("the zero point is of the type of the integers");
    let numbers = |name: &str, inputs: &[&str]| {
        let mut sum = proto(node(name, inputs, &["y"], vec![]));
        sum.opset_import.push(OperatorSetIdProto { domain: "com.microsoft".into(), version: 1 });
        sum.graph.as_mut().unwrap().node[0].domain = "com.microsoft".into();
        sum
    };
    refused(
        numbers("QLinearSigmoid", &["a", "s", "own", "s", "z"]),
        "its zero point is u8, but its integers are i8",
    );
    run(numbers("QLinearSigmoid", &["a", "s", "own", "s", "own"])).expect("both zero points are");
}

#[test]
fn transforms_of_what_is_no_signal_are_refused() {
    use data_type::{FLOAT, INT32};
    let transform = |dims: &[D], ty, attributes: Vec<AttributeProto>| {
        let inputs = vec![value("x", ty, dims)];
        model(17, graph(inputs, vec![], vec![node("DFT", &["x"], &["y"], attributes)], &["y"]))
    };
    let signal = [D::N(1), D::N(8), D::N(1)];
    run(transform(&signal, FLOAT, vec![])).expect("a real signal");
    refused(transform(&signal, INT32, vec![]), "its signal has elements of type i32");
    refused(transform(&[D::N(1), D::N(8), D::N(3)], FLOAT, vec![]), "have 3 parts, which is neither 1 nor 2");
    refused(
        transform(&signal, FLOAT, vec![int("axis", 2)]),
        "its axis is the one of real and imaginary parts",
    );
    refused(transform(&signal, FLOAT, vec![int("axis", 7)]), "axis 7 is out of range");
    refused(transform(&[D::N(1), D::N(0), D::N(1)], FLOAT, vec![]), "a signal of length 0");
    refused(
        transform(&signal, FLOAT, vec![int("onesided", 1), int("inverse", 1)]),
        "one side is for real signals and for spectra of them",
    );
    // A prime, which has no parts.
    let long = [D::N(1), D::N((1 << 20) - 3), D::N(1)];
    refused(transform(&long, FLOAT, vec![]), "is larger than matrices of 8388608 elements allow");
}

#[test]
fn weights_in_blocks_that_do_not_fit_are_refused() {
    // 32 by 2 weights of 4 bits in blocks of 32: 16 bytes and a scale for each column.
    let product = |attributes: &[(&str, i64)], bytes: usize, operands: &[&str]| {
        let all = [("K", 32), ("N", 2), ("block_size", 32), ("bits", 4)];
        let own = |name: &str| attributes.iter().any(|it| it.0 == name);
        let rest = all.iter().filter(|it| !own(it.0));
        let list = attributes.iter().chain(rest).map(|it| int(it.0, it.1)).collect();
        let weights = TensorProto {
            name: "w".into(),
            dims: vec![2, 1, bytes as i64 / 2],
            data_type: data_type::UINT8,
            raw_data: Some(vec![0x88; bytes].into()),
            ..TensorProto::default()
        };
        let constants =
            vec![weights, f32_tensor("scales", &[2], &[1.0, 0.5]), i64_tensor("order", &[32], &[0; 32])];
        let inputs = vec![value("x", data_type::FLOAT, &[D::S("n"), D::N(32)])];
        let mut proto =
            model(21, graph(inputs, constants, vec![node("MatMulNBits", operands, &["y"], list)], &["y"]));
        proto.opset_import.push(OperatorSetIdProto { domain: "com.microsoft".into(), version: 1 });
        proto.graph.as_mut().unwrap().node[0].domain = "com.microsoft".into();
        proto
    };
    let plain = ["x", "w", "scales"];
    run(product(&[], 32, &plain)).expect("a product");
    run(product(&[], 32, &["x", "w", "scales", "", "order"])).expect("blocks that a list says");
    refused(product(&[("weight_prepacked", 1)], 32, &plain), "`weight_prepacked`");
    refused(product(&[("K", 0)], 32, &plain), "its `K` is missing or out of range");
    refused(product(&[("N", i64::MAX)], 32, &plain), "its `N` is missing or out of range");
    refused(product(&[("block_size", 24)], 32, &plain), "must be a power of two from 16 on");
    refused(product(&[("bits", 3)], 32, &plain), "weights of 3 bits are not supported");
    refused(product(&[], 30, &plain), "the tensor needs 32 bytes but has 30");
    refused(product(&[("K", (1 << 31) - 1), ("N", (1 << 31) - 1)], 32, &plain), "the tensor");
}

#[test]
fn recurrent_layers_that_do_not_fit_are_refused() {
    let layer = |attributes: Vec<AttributeProto>, lengths: &[i32]| {
        let inputs = vec![f32_input("x", &[4, 2, 3]), f32_input("w", &[1, 5, 3]), f32_input("r", &[1, 5, 5])];
        let lengths = TensorProto {
            name: "l".into(),
            dims: vec![lengths.len() as i64],
            data_type: data_type::INT32,
            int32_data: lengths.to_vec(),
            ..TensorProto::default()
        };
        let layer = node("RNN", &["x", "w", "r", "", "l"], &["y"], attributes);
        model(22, graph(inputs, vec![lengths], vec![layer], &["y"]))
    };
    let names = |list: &[&str]| texts("activations", list);
    assert!(run(layer(vec![names(&["LeakyRelu"])], &[4, 0])).is_ok());
    refused(layer(vec![names(&["Swish"])], &[4, 4]), "the activation `Swish` is not known");
    refused(layer(vec![names(&["Tanh", "Relu", "Tanh"])], &[4, 4]), "there are 3 activations, not 1");
    refused(layer(vec![float("clip", -1.0)], &[4, 4]), "`clip` is -1");
    refused(layer(vec![int("layout", 2)], &[4, 4]), "`layout` is neither 0 nor 1");
    refused(layer(vec![int("hidden_size", 6)], &[4, 4]), "`hidden_size` is 6 but its weights are of 5");
    refused(layer(vec![], &[5, 4]), "a sequence length is 5, which is not from 0 to 4");
    refused(layer(vec![], &[4, -1]), "a sequence length is -1, which");
    refused(layer(vec![], &[4, 4, 3]), "dimension 0 of operand 5");
}

#[test]
fn scans_that_do_not_fit_are_refused() {
    let scan = |opset: i64, attributes: Vec<AttributeProto>, rows: i64| {
        let body = graph(
            vec![f32_input("s", &[3]), f32_input("a", &[3]), f32_input("b", &[3])],
            vec![],
            vec![node("Add", &["s", "a"], &["t"], vec![]), node("Mul", &["t", "b"], &["o"], vec![])],
            &["t", "o"],
        );
        let inputs = vec![f32_input("x", &[3]), f32_input("y", &[4, 3]), f32_input("z", &[rows, 3])];
        let attributes = [attributes, vec![graph_attr("body", body)]].concat();
        let scan = node("Scan", &["x", "y", "z"], &["last", "all"], attributes);
        model(opset, graph(inputs, vec![], vec![scan], &["last", "all"]))
    };
    let two = || int("num_scan_inputs", 2);
    assert!(run(scan(21, vec![two()], 4)).is_ok());
    refused(scan(21, vec![], 4), "`num_scan_inputs` does not fit its operands");
    refused(scan(21, vec![int("num_scan_inputs", 4)], 4), "`num_scan_inputs` does not fit its operands");
    refused(scan(21, vec![two()], 5), "differ in length");
    refused(scan(21, vec![two(), ints("scan_input_axes", &[0, 2])], 4), "axis 2 is out of range");
    refused(scan(21, vec![two(), ints("scan_input_axes", &[0])], 4), "has 1 numbers, not 2");
    refused(scan(21, vec![two(), ints("scan_output_directions", &[2])], 4), "neither 0 nor 1");
    refused(scan(8, vec![two()], 4), "its body takes or returns other numbers of values");
}

/// What a node is written out into grows with its attributes, with sizes of weights that hold no data, and with its rank.
#[test]
fn windows_and_blends_that_are_too_many_are_refused() {
    let one = |op: &str, inputs: &[(&str, Vec<i64>)], attributes: Vec<AttributeProto>, constants| {
        let names = if op == "GridSample" { &["x", "a"][..] } else { &["x", "a", "b"] };
        let inputs = inputs.iter().map(|(name, dims)| f32_input(name, dims)).collect();
        model(22, graph(inputs, constants, vec![node(op, names, &["y"], attributes)], &["y"]))
    };
    let size = 1 << 20;
    let deformed = [("x", vec![1, 1, 4, 4]), ("a", vec![1, 1, size, size]), ("b", vec![1, -1, 4, 4])];
    refused(one("DeformConv", &deformed, vec![], vec![]), "a deformed convolution of so many taps");
    for (rank, mode) in [(36, "linear"), (20, "cubic"), (70, "linear")] {
        let grid = [vec![1; rank - 1], vec![rank as i64 - 2]].concat();
        let sampled = [("x", vec![1; rank]), ("a", grid)];
        refused(one("GridSample", &sampled, vec![text("mode", mode)], vec![]), "a blend along so many axes");
    }
    // A stride past the image is taken, and not written out.
    let lists = vec![i64_tensor("a", &[1], &[4]), i64_tensor("b", &[1], &[2])];
    let columns = one("Col2Im", &[("x", vec![1, 2, 1])], vec![ints("strides", &[1 << 31])], lists);
    run(columns).expect("one block");
}

#[test]
fn attention_that_does_not_fit_is_refused() {
    let attention = |op: &str, inputs: &[&str], attributes: Vec<AttributeProto>| {
        let given = ["q", "k", "v"].map(|it| f32_input(it, &[2, 4, 6]));
        let given = given.into_iter().chain([f32_input("d", &[2, 4, 5])]).collect();
        let layer = node(op, inputs, &["y"], attributes);
        model(27, graph(given, vec![], vec![layer], &["y"]))
    };
    let heads = || vec![int("q_num_heads", 2), int("kv_num_heads", 2)];
    let with = |it: AttributeProto| [heads(), vec![it]].concat();
    let plain = ["q", "k", "v"];
    refused(
        attention("Attention", &plain, with(int("left_window_size", -2))),
        "`left_window_size` is below -1",
    );
    refused(attention("Attention", &plain, with(int("qk_matmul_output_mode", 4))), "4 is not known");
    refused(attention("Attention", &["q", "k", "v", "", "k"], heads()), "a cache of keys or of values alone");
    refused(attention("LinearAttention", &plain, heads()), "the update rule `gated_delta` needs `decay`");
    let gated = || with(text("update_rule", "gated"));
    assert!(run(attention("LinearAttention", &plain, with(text("update_rule", "linear")))).is_ok());
    refused(
        attention("LinearAttention", &["q", "k", "v", "", "d"], gated()),
        "5 elements are not those of 2 heads",
    );
    refused(
        attention(
            "LinearAttention",
            &plain,
            vec![int("q_num_heads", 3), int("kv_num_heads", 2), text("update_rule", "linear")],
        ),
        "no multiple",
    );
}
