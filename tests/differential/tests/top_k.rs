//! The largest and smallest elements along an axis, against the reference, which sorts.

mod protos;
mod single;

use anyhow::Result;
use orogen_ir::types::{DType, TensorData};
use single::{attribute, check_outputs, constant, given, integers};

const OUTPUTS: &[&str] = &["values", "places"];

fn check(x: &TensorData, wanted: i64, axis: i64, largest: i64) -> Result<()> {
    let attributes = vec![attribute("axis", axis), attribute("largest", largest)];
    let operands = [given(x.clone()), constant(integers(&[wanted]))];
    check_outputs("TopK", OUTPUTS, attributes, &operands, 0.0)
}

/// Elements of which many are equal, and some not in order with others.
fn mixed(dtype: DType, dims: &[u64]) -> TensorData {
    let count = dims.iter().product::<u64>();
    let value = |i: u64| match ((i * 2_654_435_761) >> 7) % 11 {
        0 if dtype.is_float() => f64::NAN,
        1 if dtype.is_float() => -0.0,
        2 if dtype.is_float() => f64::NEG_INFINITY,
        it => it as f64 - if dtype.is_float() || dtype.is_signed_int() { 5.0 } else { 0.0 },
    };
    TensorData::from_f64(dtype, dims, (0..count).map(value))
}

#[test]
fn every_type_and_axis() -> Result<()> {
    let named = DType::ALL.into_iter().filter(|it| it.row().onnx.is_some());
    for dtype in named.filter(|it| orogen_ir::scalar::Class::Number.admits(*it)) {
        for (dims, axis, wanted) in [(&[7, 5][..], 1, 3), (&[9, 2, 3], 0, 9), (&[3, 300], -1, 2)] {
            for largest in [0, 1] {
                check(&mixed(dtype, dims), wanted, axis, largest)?;
            }
        }
    }
    Ok(())
}

#[test]
fn ends_of_types_and_sizes() -> Result<()> {
    for (dtype, ends) in [
        (DType::I64, vec![i64::MIN, -1, 0, 1, i64::MAX, i64::MAX, i64::MIN]),
        (DType::U64, vec![-1, 0, i64::MIN, i64::MAX, 1, -1]),
        (DType::I8, vec![-128, 127, 0, -1, 127]),
    ] {
        let x = TensorData::from_slice(DType::I64, &[ends.len() as u64], &ends);
        let x = match dtype.size() {
            8 => TensorData::new(dtype, x.dims().to_vec(), x.bytes().clone())?,
            _ => TensorData::from_f64(dtype, x.dims(), x.to_f64()),
        };
        for wanted in 0..=ends.len() as i64 {
            check(&x, wanted, 0, 1)?;
            check(&x, wanted, 0, 0)?;
        }
    }
    // Many more than are collected at once; rising and falling ones; as many as there are.
    let n = 3000u64;
    for rising in [1.0, -1.0, 0.0] {
        let x = TensorData::from_f64(DType::F32, &[n], (0..n).map(|it| rising * it as f64));
        for wanted in [1, 70, 1500, 3000] {
            check(&x, wanted, 0, 1)?;
        }
    }
    for dims in [&[0, 4][..], &[4, 0], &[0]] {
        check(&mixed(DType::F32, dims), 0, -1, 1)?;
    }
    check(&mixed(DType::F32, &[0, 4]), 4, 1, 0)
}
