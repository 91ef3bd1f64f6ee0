//! Elements of types that are only moved go where numbers go, bit by bit: a graph of operators that move is computed with
//! the numbers of elements, and then with elements, by the reference and by generated code, on both paths.

mod protos;

use anyhow::{Context, Result, ensure};
use orogen::{Model, Step};
use orogen_differential::{Executor, Expected, Reference, Way};
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;
use protos::{int as attribute, ints as integers, model, number, plain_node, value};

const DIMS: [i64; 3] = [3, 4, 5];

fn with(mut node: NodeProto, attributes: impl IntoIterator<Item = AttributeProto>) -> NodeProto {
    node.attribute.extend(attributes);
    node
}

fn constant(name: &str, data: &TensorData) -> TensorProto {
    if data.dtype() == DType::Str {
        return TensorProto {
            name: name.into(),
            dims: data.dims().iter().map(|it| it.cast_signed()).collect(),
            data_type: number(data.dtype()),
            string_data: (0..data.len()).map(|i| data.text(i).to_owned().into()).collect(),
            ..TensorProto::default()
        };
    }
    TensorProto {
        name: name.into(),
        dims: data.dims().iter().map(|it| it.cast_signed()).collect(),
        data_type: number(data.dtype()),
        raw_data: Some(data.bytes().to_vec().into()),
        ..TensorProto::default()
    }
}

fn ints(name: &str, list: &[i64]) -> TensorProto {
    constant(name, &TensorData::ints(list))
}

/// The numbers of `dims` elements, from a first one on.
fn numbers(first: i64, dims: &[i64]) -> TensorData {
    let list: Vec<i64> = (first..first + dims.iter().product::<i64>()).collect();
    let dims: Vec<u64> = dims.iter().map(|it| it.unsigned_abs()).collect();
    TensorData::from_slice(DType::I64, &dims, &list)
}

/// Elements of a type by their numbers: different ones, of which 0 is the one of zero bits, others have bits that look random, those of signalling
/// NaN among them.
fn elements(dtype: DType, numbers: &TensorData) -> Result<TensorData> {
    if dtype == DType::Str {
        let text = |it: i64| if it == 0 { String::new() } else { format!("№ {}", it * 1_000_003) };
        return Ok(TensorData::strings(numbers.dims(), numbers.to_i64().into_iter().map(text))?);
    }
    let mut bytes = Vec::new();
    for number in numbers.to_i64() {
        let mut state = number.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for i in 0..dtype.size() {
            bytes.push((state >> 56) as u8 | if i % 8 == 7 && number % 3 == 1 { 0x7f } else { 0 });
            state = state.wrapping_mul(0xd134_2543_de82_ef95);
        }
    }
    Ok(TensorData::new(dtype, numbers.dims().to_vec(), bytes.into())?)
}

/// Every way to move elements, of a type: inputs `x` and `y`, a condition, and constants.
fn graph(dtype: DType) -> Result<GraphProto> {
    let element = |first: i64, dims: &[i64]| match dtype {
        DType::I64 => Ok(numbers(first, dims)),
        _ => elements(dtype, &numbers(first, dims)),
    };
    let node = |op: &str, inputs: &[&str], output: &str| plain_node("", op, inputs, &[output]);
    let nodes = vec![
        node("Identity", &["x"], "identity"),
        node("Reshape", &["x", "flat"], "reshape"),
        with(node("Transpose", &["x"], "transpose"), [integers("perm", &[2, 0, 1])]),
        with(node("Concat", &["x", "y", "k"], "concat"), [attribute("axis", 1)]),
        with(plain_node("", "Split", &["x", "parts"], &["first", "second"]), [attribute("axis", 1)]),
        node("Slice", &["x", "last", "before", "axes", "back"], "slice"),
        with(node("Gather", &["x", "picks"], "gather"), [attribute("axis", 1)]),
        with(node("Gather", &["k", "picks"], "gather_constant"), [attribute("axis", 1)]),
        with(node("GatherElements", &["x", "places"], "gather_elements"), [attribute("axis", 2)]),
        node("GatherND", &["x", "pairs"], "gather_nd"),
        node("ScatterND", &["x", "pairs", "rows"], "scatter_nd"),
        with(node("ScatterElements", &["x", "places", "new"], "scatter_elements"), [attribute("axis", 2)]),
        node("Expand", &["one", "wide"], "expand"),
        node("Tile", &["x", "repeats"], "tile"),
        node("Pad", &["x", "pads", "one"], "pad"),
        node("Pad", &["x", "pads"], "pad_zero"),
        node("Where", &["c", "x", "y"], "where"),
        node("Where", &["c", "x", "one"], "where_one"),
        node("Unsqueeze", &["x", "axes"], "unsqueeze"),
        node("Flatten", &["x"], "flatten"),
        with(node("Trilu", &["x"], "trilu"), [attribute("upper", 0)]),
        with(node("OneHot", &["picks", "depth", "off_on"], "one_hot"), []),
        node("Resize", &["x", "", "", "sizes"], "resize"),
        node("Resize", &["x", "", "scales"], "resize_scaled"),
        node("Shape", &["x"], "shape"),
        plain_node("", "SequenceConstruct", &["x", "y"], &["sequence"]),
        with(node("ConcatFromSequence", &["sequence"], "from_sequence"), [attribute("axis", 0)]),
    ];
    let constants = vec![
        ints("flat", &[4, -1]),
        ints("parts", &[1, 3]),
        ints("last", &[4]),
        ints("before", &[-9]),
        ints("axes", &[2]),
        ints("back", &[-2]),
        ints("picks", &[3, 0, -1]),
        constant("places", &TensorData::from_slice(DType::I64, &[3, 4, 2], &[4i64, 0].repeat(12))),
        constant("pairs", &TensorData::from_slice(DType::I64, &[2, 2], &[0i64, 1, 2, 3])),
        ints("wide", &[2, 3]),
        ints("repeats", &[2, 1, 3]),
        ints("pads", &[0, 1, 2, 1, 0, 1]),
        ints("depth", &[5]),
        ints("sizes", &[5, 4, 3]),
        constant("scales", &TensorData::from_f64(DType::F32, &[3], [2.0, 0.5, 1.0])),
        constant("k", &element(200, &DIMS)?),
        constant("rows", &element(300, &[2, 5])?),
        constant("new", &element(400, &[3, 4, 2])?),
        constant("one", &element(500, &[1])?),
        constant("off_on", &element(600, &[2])?),
    ];
    let outputs = nodes.iter().flat_map(|it| it.output.clone()).filter(|it| it != "sequence");
    Ok(GraphProto {
        name: "g".into(),
        output: outputs.map(|name| ValueInfoProto { name, r#type: None }).collect(),
        node: nodes,
        initializer: constants,
        input: vec![
            value("x", number(dtype), &DIMS),
            value("y", number(dtype), &DIMS),
            value("c", number(DType::Bool), &DIMS),
        ],
        ..GraphProto::default()
    })
}

fn run(dtype: DType, executor: Executor, x: &TensorData, y: &TensorData) -> Result<Expected> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, model("", graph(dtype)?).to_bytes())?;
    let condition = TensorData::from_f64(DType::Bool, x.dims(), (0..60).map(|i| f64::from(i % 7 % 2)));
    let inputs: Expected =
        [("x".to_owned(), x.clone()), ("y".to_owned(), y.clone()), ("c".to_owned(), condition)]
            .into_iter()
            .collect();
    let reference = Reference { name: dtype.name().to_owned(), inputs, outputs: Expected::new() };
    let found = executor.run_model(&Model::open(&file)?, std::slice::from_ref(&reference));
    found.with_context(|| format!("{dtype}: {executor}"))?.pop().context("outputs")
}

#[test]
fn elements_go_where_numbers_go() -> Result<()> {
    let (x, y) = (numbers(1, &DIMS), numbers(100, &DIMS));
    let expected = run(DType::I64, Executor::Reference(Way::Native, Step::Import), &x, &y)?;
    ensure!(expected.len() == 27, "{} outputs", expected.len());
    for dtype in DType::ALL.into_iter().filter(|it| it.is_only_moved()) {
        let [x, y] = [elements(dtype, &x)?, elements(dtype, &y)?];
        for executor in [
            Executor::Reference(Way::Legacy, Step::Import),
            Executor::Reference(Way::Native, Step::Import),
            Executor::Reference(Way::Native, Step::PlanMemory),
            Executor::Jit(Way::Legacy),
            Executor::Jit(Way::Native),
            Executor::Library(Way::Native),
        ] {
            for (name, found) in run(dtype, executor, &x, &y)? {
                let numbers = &expected[name.as_str()];
                let wanted = if name == "shape" { numbers.clone() } else { elements(dtype, numbers)? };
                ensure!(found == wanted, "{dtype}: {executor}: `{name}` differs");
            }
        }
    }
    Ok(())
}

/// Where the size of the result depends on which elements are 0; a negative zero is one.
#[test]
fn complex_numbers_are_not_zero_where_a_part_is_not() -> Result<()> {
    for dtype in [DType::C64, DType::C128] {
        let part = dtype.component().context("a complex type")?;
        let parts = [0.0, 0.0, -0.0, 0.0, 1.0, 0.0, 0.0, -2.0, f64::NAN, 0.0, 0.0, -0.0];
        let bytes = TensorData::from_f64(part, &[12], parts).bytes().clone();
        let x = TensorData::new(dtype, vec![6], bytes)?;
        let graph = GraphProto {
            name: "g".into(),
            node: vec![plain_node("", "NonZero", &["x"], &["y"])],
            input: vec![value("x", number(dtype), &[6])],
            output: vec![ValueInfoProto { name: "y".into(), r#type: None }],
            ..GraphProto::default()
        };
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("model.onnx");
        std::fs::write(&file, model("", graph).to_bytes())?;
        let inputs: Expected = [("x".to_owned(), x)].into_iter().collect();
        let reference = Reference { name: dtype.name().to_owned(), inputs, outputs: Expected::new() };
        for executor in [
            Executor::Reference(Way::Native, Step::Import),
            Executor::Reference(Way::Native, Step::PlanMemory),
            Executor::Jit(Way::Native),
        ] {
            let found = executor.run_model(&Model::open(&file)?, std::slice::from_ref(&reference));
            let found = found.with_context(|| format!("{dtype}: {executor}"))?;
            ensure!(found[0]["y"].to_i64() == [2, 3, 4], "{dtype}: {executor}: {:?}", found[0]["y"]);
        }
    }
    Ok(())
}

#[test]
fn strings_are_equal_by_content() -> Result<()> {
    let x = TensorData::strings(&[2, 2], ["a", "", "bc", "bc"])?;
    let y = TensorData::strings(&[2], ["a", "bc"])?;
    let graph = GraphProto {
        name: "g".into(),
        node: vec![
            plain_node("", "Equal", &["x", "k"], &["equal"]),
            plain_node("", "NonZero", &["x"], &["given"]),
        ],
        input: vec![value("x", number(DType::Str), &[2, 2])],
        initializer: vec![constant("k", &y)],
        output: ["equal", "given"].map(|it| ValueInfoProto { name: it.into(), r#type: None }).to_vec(),
        ..GraphProto::default()
    };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, model("", graph).to_bytes())?;
    let inputs: Expected = [("x".to_owned(), x)].into_iter().collect();
    let reference = Reference { name: "strings".to_owned(), inputs, outputs: Expected::new() };
    for executor in [
        Executor::Reference(Way::Native, Step::Import),
        Executor::Reference(Way::Native, Step::PlanMemory),
        Executor::Jit(Way::Native),
        Executor::Library(Way::Native),
    ] {
        let found = executor.run_model(&Model::open(&file)?, std::slice::from_ref(&reference))?;
        ensure!(found[0]["equal"].to_i64() == [1, 0, 0, 1], "{executor}: {:?}", found[0]["equal"]);
        ensure!(found[0]["given"].to_i64() == [0, 1, 1, 0, 0, 1], "{executor}: {:?}", found[0]["given"]);
    }
    Ok(())
}
