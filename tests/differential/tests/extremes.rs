//! Quantised products at the ends of their types: every element the least or the largest, zero points at either end, sums beyond
//! what `f32` and `i32` hold. On both paths and every instruction set, against numbers that are computed here. And indices
//! beyond what they choose from.

mod protos;

use anyhow::{Context, Result, ensure};
use orogen::{CompileOptions, Cpu, Model, OptIn};
use orogen_differential::tensors;
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;
use protos::{model, number, plain_node, value};

const CPUS: [Cpu; 3] = [Cpu::Host, Cpu::Avx2, Cpu::Baseline];

/// The ends of a type of bytes.
fn ends(dtype: DType) -> [i64; 2] {
    if dtype.is_signed_int() { [-128, 127] } else { [0, 255] }
}

/// Elements that are the first or the last end by turns of these lengths.
fn bytes(dtype: DType, dims: [u64; 2], [first, last]: [usize; 2]) -> TensorData {
    let ends = ends(dtype);
    let count = dims[0] * dims[1];
    let which = |i: u64| if i.is_multiple_of(2) { first } else { last };
    TensorData::from_f64(dtype, &dims, (0..count).map(|i| ends[which(i)] as f64))
}

fn constant(name: &str, data: &TensorData) -> TensorProto {
    TensorProto {
        name: name.into(),
        data_type: number(data.dtype()),
        dims: data.dims().iter().map(|it| it.cast_signed()).collect(),
        raw_data: Some(data.bytes().to_vec().into()),
        ..TensorProto::default()
    }
}

/// An input of bytes whose dimensions a call gives.
fn open(name: &str, dtype: DType, dims: [&str; 2]) -> ValueInfoProto {
    let mut info = value(name, number(dtype), &[1, 1]);
    let shape = info.r#type.as_mut().and_then(|it| it.tensor_type.as_mut()?.shape.as_mut());
    for (dim, name) in shape.into_iter().flat_map(|it| &mut it.dim).zip(dims) {
        *dim = DimensionProto { dim_param: Some(name.to_owned()), ..DimensionProto::default() };
    }
    info
}

/// `Σ (a − za) · (b − zb)`.
fn sums(a: &TensorData, b: &TensorData, [za, zb]: [i64; 2]) -> Vec<i64> {
    let (rows, depth, columns) = (a.dims()[0], a.dims()[1], b.dims()[1]);
    let [a, b] = [a, b].map(|it| it.to_f64().iter().map(|it| *it as i64).collect::<Vec<_>>());
    let at = |row: u64, column: u64| {
        let term = |k: u64| (a[(row * depth + k) as usize] - za) * (b[(k * columns + column) as usize] - zb);
        (0..depth).map(term).sum()
    };
    (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))).map(|(i, j)| at(i, j)).collect()
}

/// Runs a model on each instruction set.
fn run(
    graph: GraphProto,
    opt_in: OptIn,
    inputs: &[&TensorData],
    mut check: impl FnMut(Cpu, &TensorData) -> Result<()>,
) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, model("", graph).to_bytes())?;
    let model = Model::open(&file)?;
    let inputs = inputs.iter().map(|it| tensors::to_runtime(it)).collect::<Result<Vec<_>>>()?;
    for cpu in CPUS {
        let options = CompileOptions { opt_in, cpu, ..CompileOptions::default() };
        let library = orogen::compile(&model, &options)?.load()?;
        let found = library.call("main", &inputs)?;
        check(cpu, &tensors::from_runtime(found.first().context("an output")?)?)?;
    }
    Ok(())
}

const TYPES: [[DType; 2]; 3] = [[DType::U8, DType::I8], [DType::U8, DType::U8], [DType::I8, DType::U8]];

/// Products between `DequantizeLinear` whose terms a call counts: exact in parts that are added as floats, so that no sum
/// wraps, however long it is.
#[test]
fn sums_whose_length_a_call_says_do_not_wrap() -> Result<()> {
    for [of_a, of_b] in TYPES {
        for zeros in [[0, 1], [1, 0], [1, 1]] {
            let points = [ends(of_a)[zeros[0]], ends(of_b)[zeros[1]]];
            let scalar = |dtype: DType, it: f64| TensorData::from_f64(dtype, &[], [it]);
            let constants = [
                constant("s", &scalar(DType::F32, 0.5)),
                constant("za", &scalar(of_a, points[0] as f64)),
                constant("zb", &scalar(of_b, points[1] as f64)),
            ];
            let graph = GraphProto {
                node: vec![
                    plain_node("", "DequantizeLinear", &["a", "s", "za"], &["x"]),
                    plain_node("", "DequantizeLinear", &["b", "s", "zb"], &["w"]),
                    plain_node("", "MatMul", &["x", "w"], &["y"]),
                ],
                name: "g".into(),
                initializer: constants.to_vec(),
                input: vec![open("a", of_a, ["m", "k"]), open("b", of_b, ["k", "n"])],
                output: vec![ValueInfoProto { name: "y".into(), r#type: None }],
                ..GraphProto::default()
            };
            for (dims, patterns) in [([1, 33_027, 2], [[0, 0], [1, 1]]), ([3, 70_001, 17], [[1, 1], [0, 0]])]
            {
                let [m, k, n] = dims;
                let (a, b) = (bytes(of_a, [m, k], patterns[0]), bytes(of_b, [k, n], patterns[1]));
                let expected = sums(&a, &b, points);
                let most = 255.0 * 255.0 * 0.25 * k as f64;
                run(graph.clone(), OptIn::DataflowIr, &[&a, &b], |cpu, y| {
                    ensure!(y.dims() == [m, n], "{:?}", y.dims());
                    for (found, sum) in y.to_f64().into_iter().zip(&expected) {
                        let wanted = *sum as f64 * 0.25;
                        let near = (found - wanted).abs() <= most * 1e-6;
                        ensure!(near, "{of_a}·{of_b} {points:?} {dims:?} {cpu:?}: {found} for {wanted}");
                    }
                    Ok(())
                })?;
            }
        }
    }
    Ok(())
}

/// Products of integers are exact in `i32` up to its ends, and wrap beyond them as the type does.
#[test]
fn products_are_exact_to_the_ends_of_the_sum() -> Result<()> {
    for [of_a, of_b] in TYPES {
        for (zeros, patterns, dims) in [
            ([0, 1], [[1, 1], [0, 0]], [2, 33_025, 3]),
            ([1, 1], [[0, 0], [0, 0]], [2, 33_026, 3]),
            ([0, 0], [[0, 1], [1, 1]], [5, 301, 19]),
            ([1, 0], [[0, 1], [1, 0]], [17, 260, 33]),
        ] {
            let points = [ends(of_a)[zeros[0]], ends(of_b)[zeros[1]]];
            let (a, b) =
                (bytes(of_a, [dims[0], dims[1]], patterns[0]), bytes(of_b, [dims[1], dims[2]], patterns[1]));
            let expected: Vec<i32> = sums(&a, &b, points).iter().map(|it| *it as i32).collect();
            for is_constant in [true, false] {
                let point = |dtype: DType, it: i64| TensorData::from_f64(dtype, &[], [it as f64]);
                let mut graph = GraphProto {
                    node: vec![plain_node("", "MatMulInteger", &["a", "b", "za", "zb"], &["y"])],
                    name: "g".into(),
                    initializer: vec![
                        constant("za", &point(of_a, points[0])),
                        constant("zb", &point(of_b, points[1])),
                    ],
                    input: vec![value("a", number(of_a), &[dims[0].cast_signed(), dims[1].cast_signed()])],
                    output: vec![ValueInfoProto { name: "y".into(), r#type: None }],
                    ..GraphProto::default()
                };
                let mut inputs = vec![&a];
                if is_constant {
                    graph.initializer.push(constant("b", &b));
                } else {
                    graph.input.push(value(
                        "b",
                        number(of_b),
                        &[dims[1].cast_signed(), dims[2].cast_signed()],
                    ));
                    inputs.push(&b);
                }
                for opt_in in [OptIn::Legacy, OptIn::DataflowIr] {
                    run(graph.clone(), opt_in, &inputs, |cpu, y| {
                        ensure!(y.dims() == [dims[0], dims[2]], "{:?}", y.dims());
                        for (found, wanted) in y.to_f64().into_iter().zip(&expected) {
                            let equal = found == f64::from(*wanted);
                            ensure!(equal, "{of_a}·{of_b} {points:?} {dims:?} {cpu:?}: {found} for {wanted}");
                        }
                        Ok(())
                    })?;
                }
            }
        }
    }
    Ok(())
}

/// An index out of range is told of by what the model calls the operand.
#[test]
fn errors_name_what_the_model_names() -> Result<()> {
    let table = TensorData::from_f64(DType::F32, &[5, 3], [1.0; 15]);
    let rows = TensorData::from_slice(DType::I64, &[2], &[1i64, 7]);
    for (node, name) in [("Identity", "`table`"), ("Softmax", "an inner value")] {
        let graph = GraphProto {
            node: vec![
                plain_node("", node, &["table"], &["t"]),
                plain_node("", "Gather", &["t", "rows"], &["y"]),
            ],
            name: "g".into(),
            input: vec![value("table", number(DType::F32), &[5, 3]), value("rows", number(DType::I64), &[2])],
            output: vec![ValueInfoProto { name: "y".into(), r#type: None }],
            ..GraphProto::default()
        };
        for opt_in in [OptIn::Legacy, OptIn::DataflowIr] {
            let found = run(graph.clone(), opt_in, &[&table, &rows], |_, _| Ok(()));
            let error = format!("{:?}", found.err().context("an error")?);
            let wanted = format!("index 7 is out of range for dimension 0 of {name}, which has 5");
            ensure!(error.contains(&wanted), "{error}");
        }
    }
    Ok(())
}
