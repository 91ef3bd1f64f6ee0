//! Kernels along rows that are not elementwise, for elements of every size: running sums, strided
//! slices, elements that data choose; functions of two numbers, or of f64; places of
//! extrema; quotients of integers. The reference of the operator
//! against generated code, on both paths.

mod protos;

use anyhow::{Context, Result, ensure};
use orogen::{Model, Step};
use orogen_differential::{Executor, Expected, Reference, Way, compare};
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;
use protos::{model, plain_node, value};

const TYPES: [DType; 9] = [
    DType::F32,
    DType::F64,
    DType::F16,
    DType::BF16,
    DType::I64,
    DType::I32,
    DType::I16,
    DType::I8,
    DType::U8,
];

fn attribute(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i, kind: attribute_type::INT, ..AttributeProto::default() }
}

/// Small whole numbers of both signs, as far as the type has them, so that sums are exact in every order.
fn numbers(dtype: DType, dims: &[u64]) -> TensorData {
    let least = if dtype.is_signed_int() || dtype.is_float() { -3.0 } else { 0.0 };
    let count = dims.iter().product::<u64>();
    TensorData::from_f64(dtype, dims, (0..count).map(|i| ((i * 37 + 11) % 7) as f64 + least))
}

/// An operand; a constant is part of the model.
struct Operand {
    data: TensorData,
    constant: bool,
}

fn given(data: TensorData) -> Operand {
    Operand { data, constant: false }
}

fn constant(data: TensorData) -> Operand {
    Operand { data, constant: true }
}

/// `y = op(operands)`: generated code gives what the reference of the operator gives.
fn check(op: &str, attributes: &[(&str, i64)], operands: &[Operand]) -> Result<()> {
    check_within(op, attributes, operands, 0.0)
}

/// The same, but for an error relative to the largest result.
fn check_within(op: &str, attributes: &[(&str, i64)], operands: &[Operand], allowed: f64) -> Result<()> {
    let names: Vec<String> = (0..operands.len()).map(|i| format!("x{i}")).collect();
    let mut node = plain_node("", op, &names.iter().map(String::as_str).collect::<Vec<_>>(), &["y"]);
    node.attribute.extend(attributes.iter().map(|(name, i)| attribute(name, *i)));
    let dims = |it: &TensorData| it.dims().iter().map(|it| it.cast_signed()).collect::<Vec<i64>>();
    let mut graph = GraphProto {
        node: vec![node],
        name: "g".into(),
        output: vec![ValueInfoProto { name: "y".into(), r#type: None }],
        ..GraphProto::default()
    };
    let mut inputs = Expected::new();
    for (name, Operand { data, constant }) in names.iter().zip(operands) {
        if *constant {
            graph.initializer.push(TensorProto {
                name: name.clone(),
                data_type: data.dtype().row().onnx,
                dims: dims(data),
                raw_data: Some(data.bytes().to_vec().into()),
                ..TensorProto::default()
            });
        } else {
            graph.input.push(value(name, data.dtype().row().onnx, &dims(data)));
            inputs.insert(name.clone(), data.clone());
        }
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, model("", graph).to_bytes())?;
    let model = Model::open(&file)?;
    let what = format!("{op} {attributes:?} of {}", operands[0].data.dtype());
    let reference = Reference { name: what.clone(), inputs, outputs: Expected::new() };
    let run = |executor: Executor| -> Result<Expected> {
        let found = executor.run_model(&model, std::slice::from_ref(&reference));
        found.with_context(|| format!("{what}: {executor}"))?.pop().context("an output")
    };
    let expected = run(Executor::Reference(Way::Native, Step::Import))?;
    for executor in [Executor::Jit(Way::Legacy), Executor::Jit(Way::Native)] {
        let worst = compare(&run(executor)?, &expected).with_context(|| format!("{what}: {executor}"))?;
        ensure!(worst.error <= allowed, "{what}: {executor}: error {}", worst.error);
    }
    Ok(())
}

#[test]
fn running_sums() -> Result<()> {
    for dtype in TYPES {
        for axis in [0, 1, 2] {
            for (exclusive, reverse) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let x = numbers(dtype, &[3, 4, 37]);
                let axis = TensorData::from_f64(DType::I64, &[], [f64::from(axis)]);
                let attributes = [("exclusive", exclusive), ("reverse", reverse)];
                check("CumSum", &attributes, &[given(x), constant(axis)])?;
            }
        }
    }
    Ok(())
}

fn integers(values: &[i64]) -> TensorData {
    TensorData::from_slice(DType::I64, &[values.len() as u64], values)
}

#[test]
fn strided_slices() -> Result<()> {
    for dtype in TYPES.into_iter().chain([DType::Bool]) {
        let x = match dtype {
            DType::Bool => TensorData::from_f64(dtype, &[3, 150], (0..450).map(|i| f64::from(i * 7 % 3 % 2))),
            _ => numbers(dtype, &[3, 150]),
        };
        for (start, end, step) in [(1, 150, 2), (0, 149, 3), (2, 6, 4), (0, 150, 4), (5, 150, 8), (0, 17, 8)]
            .into_iter()
            .chain([(-1, i64::MIN, -1), (148, 3, -2), (149, i64::MIN, -5)])
        {
            let [starts, ends, steps] = [start, end, step].map(|it| constant(integers(&[it])));
            let axes = constant(integers(&[1]));
            check("Slice", &[], &[given(x.clone()), starts, ends, axes, steps])?;
        }
    }
    Ok(())
}

#[test]
fn elements_that_data_choose() -> Result<()> {
    for dtype in TYPES.into_iter().chain([DType::U32, DType::U64]) {
        let x = numbers(dtype, &[4, 11]);
        for indices in [DType::I64, DType::I32] {
            let at = |count: u64| (0..count).map(|i| ((i * 7 + 3) % 22) as f64 - 11.0);
            let plane = TensorData::from_f64(indices, &[4, 37], at(4 * 37));
            check("GatherElements", &[("axis", 1)], &[given(x.clone()), given(plane)])?;
            let row = TensorData::from_f64(indices, &[2, 19], at(38));
            check("Gather", &[("axis", 1)], &[given(x.clone()), given(row)])?;
        }
    }
    Ok(())
}

#[test]
fn powers_and_angles() -> Result<()> {
    for (dtype, allowed) in [(DType::F32, 1e-6), (DType::F64, 1e-14), (DType::F16, 1e-3), (DType::BF16, 1e-2)]
    {
        let x = TensorData::from_f64(dtype, &[37], (0..37).map(|i| f64::from(i) / 8.0 - 1.0));
        let y = TensorData::from_f64(
            dtype,
            &[37],
            (0..37).map(|i| f64::from(i % 7) - 2.5 + f64::from(i % 2) / 2.0),
        );
        check_within("Pow", &[], &[given(x), given(y)], allowed)?;
    }
    let angles = (0..37).map(|i| f64::from(i - 18).powi(3) * 10f64.powi(i * 8));
    let angles = TensorData::from_f64(DType::F64, &[37], angles);
    for op in ["Sin", "Cos", "Tan"] {
        check_within(op, &[], &[given(angles.clone())], 1e-14)?;
    }
    Ok(())
}

#[test]
fn places_of_extrema_and_quotients() -> Result<()> {
    for dtype in TYPES {
        for axis in [0, 1, 2] {
            for last in [0, 1] {
                for op in ["ArgMax", "ArgMin"] {
                    let attributes = [("axis", axis), ("select_last_index", last)];
                    check(op, &attributes, &[given(numbers(dtype, &[3, 4, 37]))])?;
                }
            }
        }
    }
    for dtype in TYPES.into_iter().filter(|it| it.is_int()) {
        for op in ["Div", "Mod"] {
            check(op, &[], &[given(numbers(dtype, &[5, 37])), given(numbers(dtype, &[37]))])?;
        }
    }
    Ok(())
}

#[test]
fn reductions_of_axes_apart() -> Result<()> {
    let dims = [4, 3, 5, 9];
    for dtype in TYPES {
        for axes in [[0, 2, 3].as_slice(), &[1, 3], &[0, 1, 3], &[0, 3]] {
            for keep in [0, 1] {
                for op in ["ReduceSum", "ReduceMax", "ReduceMin"] {
                    let operands = [given(numbers(dtype, &dims)), constant(integers(axes))];
                    check(op, &[("keepdims", keep)], &operands)?;
                }
            }
        }
    }
    // Empty rows, and no rows at all.
    for dims in [[4, 3, 5, 0], [0, 3, 5, 9]] {
        let operands = [given(numbers(DType::F32, &dims)), constant(integers(&[0, 3]))];
        check("ReduceSum", &[("keepdims", 0)], &operands)?;
    }
    let operands = [given(numbers(DType::F32, &dims)), constant(integers(&[0, 2, 3]))];
    check_within("ReduceMean", &[("keepdims", 1)], &operands, 1e-6)
}
