//! Kernels along rows that are not elementwise, for elements of every size: running sums, strided
//! slices, elements that data choose; functions of two numbers, or of f64; places of
//! extrema; quotients of integers. The reference of the operator
//! against generated code, on both paths.

mod protos;
mod single;

use anyhow::Result;
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::attribute::{self, floats};
use protos::ints;
use single::{
    TYPES, attribute, check, check_node, check_outputs, check_within, constant, given, integers, numbers,
    text,
};

#[test]
fn running_sums_and_products() -> Result<()> {
    for dtype in TYPES {
        for axis in [0, 1, 2] {
            for (exclusive, reverse) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let x = numbers(dtype, &[3, 4, 37]);
                let axis = TensorData::from_f64(DType::I64, &[], [f64::from(axis)]);
                let attributes = [("exclusive", exclusive), ("reverse", reverse)];
                check("CumSum", &attributes, &[given(x.clone()), constant(axis.clone())])?;
                check("CumProd", &attributes, &[given(x), constant(axis)])?;
            }
        }
    }
    Ok(())
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
fn shifts_and_powers_of_integers() -> Result<()> {
    // Amounts up to and beyond the width, of numbers with all bits somewhere.
    for dtype in [DType::U8, DType::U16, DType::U32, DType::U64] {
        let bits = 8 * dtype.size() as u64;
        let x = TensorData::from_f64(dtype, &[5, 37], (0..5 * 37).map(|i| 2f64.powi((i % bits as i32) & !1)));
        let by = TensorData::from_f64(dtype, &[37], (0..37_u64).map(|i| (i * 5 % (bits + 1)) as f64));
        for direction in ["LEFT", "RIGHT"] {
            let operands = [given(x.clone()), given(by.clone())];
            check_node("BitShift", vec![text("direction", direction)], &operands, 0.0)?;
        }
    }
    // Small exponents alone, and some that are large or below 0.
    for dtype in [DType::I32, DType::I64] {
        let x = numbers(dtype, &[5, 37]);
        for most in [4, 70] {
            let y = (0..37).map(|i| f64::from(i * 11 % most - most / 8));
            let y = TensorData::from_f64(dtype, &[37], y);
            check("Pow", &[], &[given(x.clone()), given(y)])?;
        }
    }
    Ok(())
}

/// Exact, however large the quotient is; also where it is rounded to the next whole number, and of what is not finite.
#[test]
fn remainders_of_floats() -> Result<()> {
    let special = [0.0, -0.0, 1.0, -7.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e30, 3e-39, 0.1];
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        let number = |i: i32| {
            let scale = if dtype == DType::F16 { 14 } else { 120 };
            let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
            sign * (1.0 + f64::from(i * 37 % 101) / 128.0) * 2f64.powi(i * 53 % (2 * scale) - scale)
        };
        let pairs = (0..2000).map(|i| (number(i), number(i * 7 + 3)));
        let pairs = pairs.chain(special.iter().flat_map(|x| special.map(|y| (*x, y))));
        let (x, y): (Vec<f64>, Vec<f64>) = pairs.unzip();
        let dims = [x.len() as u64];
        let [x, y] = [x, y].map(|it| given(TensorData::from_f64(dtype, &dims, it)));
        check("Mod", &[("fmod", 1)], &[x, y])?;
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

#[test]
fn recurrent_networks_of_every_kind() -> Result<()> {
    let (time, batch, input, hidden) = (4, 3, 5, 6);
    let names = |list: &[&str]| attribute::texts("activations", list);
    let clip = attribute::float("clip", 0.75);
    for (dtype, allowed) in [(DType::F32, 1e-6), (DType::F64, 1e-13), (DType::F16, 3e-3), (DType::BF16, 2e-2)]
    {
        let some = |dims: &[u64]| {
            let count = dims.iter().product::<u64>();
            TensorData::from_f64(dtype, dims, (0..count).map(|i| ((i * 37 + 11) % 29) as f64 / 29.0 - 0.5))
        };
        for (op, gates, outputs) in [("LSTM", 4, 3), ("GRU", 3, 2), ("RNN", 1, 2)] {
            let lengths = TensorData::from_f64(DType::I32, &[batch], [2.0, 4.0, 0.0]);
            let mut operands = vec![
                given(some(&[time, batch, input])),
                constant(some(&[2, gates * hidden, input])),
                constant(some(&[2, gates * hidden, hidden])),
                constant(some(&[2, 2 * gates * hidden])),
                given(lengths),
                given(some(&[2, batch, hidden])),
            ];
            let (functions, alphas, betas): (&[&str], &[f32], &[f32]) = match op {
                "LSTM" => {
                    operands.push(given(some(&[2, batch, hidden])));
                    operands.push(given(some(&[2, 3 * hidden])));
                    (
                        &["HardSigmoid", "Elu", "Softsign", "Sigmoid", "LeakyRelu", "ScaledTanh"],
                        &[0.3, 0.5, 0.1, 0.8],
                        &[0.4, 1.5],
                    )
                }
                "GRU" => (&["Sigmoid", "Relu", "Affine", "Softplus"], &[0.4], &[0.3]),
                _ => (&["Relu", "ThresholdedRelu"], &[0.1], &[]),
            };
            let mut attributes = vec![
                text("direction", "bidirectional"),
                attribute("hidden_size", hidden.cast_signed()),
                names(functions),
                floats("activation_alpha", alphas),
                floats("activation_beta", betas),
                clip.clone(),
            ];
            if op == "GRU" {
                attributes.push(attribute("linear_before_reset", 1));
            }
            check_outputs(op, &["y", "y_h", "y_c"][..outputs], attributes, &operands, allowed)?;
        }
    }
    Ok(())
}

#[test]
fn places_of_the_largest() -> Result<()> {
    for dtype in [DType::F32, DType::F16, DType::I8, DType::U8] {
        for order in [0, 1] {
            let attributes = vec![
                ints("kernel_shape", &[2, 3]),
                ints("strides", &[2, 1]),
                ints("dilations", &[1, 2]),
                ints("pads", &[1, 1, 0, 2]),
                attribute("storage_order", order),
                attribute("ceil_mode", 1),
            ];
            check_outputs(
                "MaxPool",
                &["y", "places"],
                attributes,
                &[given(numbers(dtype, &[2, 3, 5, 6]))],
                0.0,
            )?;
        }
    }
    Ok(())
}
