//! Elements whose places are not linear in the row, or that several indices choose; what depends on positions; rows that
//! are updated where data say.

mod protos;
mod single;

use anyhow::Result;
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::attribute;
use protos::ints;
use single::{TYPES, check, check_node, check_within, constant, given, integers, numbers, text};

#[test]
fn rows_that_turn_or_repeat() -> Result<()> {
    for dtype in [DType::F32, DType::F64, DType::BF16, DType::I8, DType::U64] {
        // Rows that are longer and shorter than a vector, and reflections that reach through all of them.
        for (rows, columns) in [(5, 37), (4, 9)] {
            let x = numbers(dtype, &[rows, columns]);
            for mode in ["reflect", "edge"] {
                for pads in [[0, 3, 0, 3], [2, 1, 3, 8]] {
                    let operands = [given(x.clone()), constant(integers(&pads))];
                    check_node("Pad", vec![text("mode", mode)], &operands, 0.0)?;
                }
            }
            for repeats in [[1, 3], [2, 2], [1, 11]] {
                check("Tile", &[], &[given(x.clone()), constant(integers(&repeats))])?;
            }
        }
        for repeats in [[2, 3], [2, 0]] {
            check("Tile", &[], &[given(numbers(dtype, &[3, 0])), constant(integers(&repeats))])?;
        }
    }
    Ok(())
}

#[test]
fn what_depends_on_positions() -> Result<()> {
    for dtype in TYPES.into_iter().chain([DType::U64]) {
        let x = numbers(dtype, &[2, 13, 37]);
        for upper in [0, 1] {
            check("Trilu", &[("upper", upper)], &[given(x.clone())])?;
            for k in [-3.0, 5.0] {
                let k = TensorData::from_f64(DType::I64, &[], [k]);
                check("Trilu", &[("upper", upper)], &[given(x.clone()), given(k)])?;
            }
        }
        let places = TensorData::from_f64(DType::I64, &[37], (0..37).map(|i| f64::from(i * 5 % 30 - 15)));
        let values = TensorData::from_f64(dtype, &[2], [2.0, 3.0]);
        for axis in [0, 1] {
            let operands = [given(places.clone()), constant(integers(&[19])), given(values.clone())];
            check("OneHot", &[("axis", axis)], &operands)?;
        }
    }
    for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
        for axis in [0, 1, 2] {
            check("Hardmax", &[("axis", axis)], &[given(numbers(dtype, &[3, 5, 37]))])?;
        }
    }
    Ok(())
}

#[test]
fn several_indices_choose() -> Result<()> {
    for dtype in TYPES.into_iter().chain([DType::U64, DType::Bool]) {
        let x = match dtype {
            DType::Bool => {
                TensorData::from_f64(dtype, &[6, 37], (0..6 * 37).map(|i| f64::from(i * 7 % 3 % 2)))
            }
            _ => numbers(dtype, &[6, 37]),
        };
        let at = |dims: &[u64], n: u64| {
            let count = dims.iter().product::<u64>();
            TensorData::from_f64(
                DType::I64,
                dims,
                (0..count).map(|i| ((i * 7 + 3) % (2 * n)) as f64 - n as f64),
            )
        };
        check("GatherElements", &[("axis", 0)], &[given(x.clone()), given(at(&[9, 35], 6))])?;
        check("GatherND", &[], &[given(x.clone()), given(at(&[21, 2], 6))])?;
        check("GatherND", &[], &[given(x.clone()), given(at(&[3, 19, 1], 6))])?;
        let batch = [given(x), given(at(&[6, 17, 1], 37))];
        check("GatherND", &[("batch_dims", 1)], &batch)?;
    }
    Ok(())
}

#[test]
fn rows_are_combined_in_order() -> Result<()> {
    for dtype in TYPES.into_iter().chain([DType::U64]) {
        let x = numbers(dtype, &[6, 37]);
        // Some rows several times, some never.
        let rows = TensorData::from_f64(DType::I64, &[9, 1], [1.0, 4.0, 1.0, -2.0, 1.0, 0.0, 4.0, -6.0, 1.0]);
        for reduction in ["none", "add", "mul", "max", "min"] {
            let operands = [given(x.clone()), given(rows.clone()), given(numbers(dtype, &[9, 37]))];
            check_node("ScatterND", vec![text("reduction", reduction)], &operands, 0.0)?;
        }
    }
    Ok(())
}

#[test]
fn elements_are_scattered_in_order() -> Result<()> {
    for dtype in TYPES.into_iter().chain([DType::U64]) {
        let x = numbers(dtype, &[6, 37]);
        // Along the axis many have the same place.
        for (axis, dims) in [(0, [9, 35]), (1, [5, 41])] {
            let n = [6, 37][axis as usize];
            let at = (0..dims[0] * dims[1]).map(|i| ((i * 7 + 3) % (2 * n)) as f64 - n as f64);
            let places = TensorData::from_f64(DType::I64, &dims, at);
            for reduction in ["none", "add", "mul", "max", "min"] {
                let operands = [given(x.clone()), given(places.clone()), given(numbers(dtype, &dims))];
                let axis = attribute::int("axis", axis);
                check_node("ScatterElements", vec![text("reduction", reduction), axis], &operands, 0.0)?;
            }
        }
    }
    Ok(())
}

#[test]
fn windows_count_what_is_inside() -> Result<()> {
    for dtype in [DType::F32, DType::F64] {
        let x = numbers(dtype, &[1, 2, 9, 21]);
        for strides in [[1, 1], [2, 2], [1, 3]] {
            for ceil in [0, 1] {
                let attributes = vec![
                    ints("kernel_shape", &[3, 4]),
                    ints("strides", &strides),
                    ints("pads", &[1, 2, 1, 1]),
                    attribute::int("ceil_mode", ceil),
                ];
                check_node("AveragePool", attributes, &[given(x.clone())], 1e-6)?;
            }
        }
    }
    Ok(())
}

#[test]
fn images_of_another_size() -> Result<()> {
    for (dtype, allowed) in [(DType::F32, 1e-6), (DType::F64, 1e-14)] {
        let x = numbers(dtype, &[1, 2, 7, 21]);
        for mode in ["nearest", "linear", "cubic"] {
            for coordinates in ["asymmetric", "half_pixel", "align_corners"] {
                for scale in [1.5, 0.5] {
                    let none = TensorData::from_f64(DType::F32, &[0], []);
                    let scales = TensorData::from_f64(DType::F32, &[4], [1.0, 1.0, scale, scale]);
                    let operands = [given(x.clone()), constant(none), constant(scales)];
                    let attributes =
                        vec![text("mode", mode), text("coordinate_transformation_mode", coordinates)];
                    check_node("Resize", attributes, &operands, allowed)?;
                }
            }
        }
    }
    check_within(
        "Range",
        &[],
        &[0.0, 100.0, 3.0].map(|it| constant(TensorData::from_f64(DType::I64, &[], [it]))),
        0.0,
    )
}
