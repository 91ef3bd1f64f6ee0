//! Random numbers and determinants: generated code on both paths against the reference of what they are made of.

mod protos;
mod single;

use anyhow::Result;
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::{AttributeProto, attribute};
use single::{attribute, check_node, given, numbers};

fn seed(value: f32) -> AttributeProto {
    attribute::float("seed", value)
}

#[test]
fn the_same_numbers_everywhere() -> Result<()> {
    let unseeded = numbers(DType::F16, &[700]);
    check_node("RandomUniformLike", Vec::new(), &[given(unseeded.clone())], 0.0)?;
    check_node("RandomNormalLike", Vec::new(), &[given(unseeded)], 2e-3)?;
    let odds = |dtype, n: u32| {
        TensorData::from_f64(dtype, &[n.into()], (0..n).map(|i| f64::from(i) / f64::from(n - 1)))
    };
    check_node("Bernoulli", Vec::new(), &[given(odds(DType::F16, 700))], 0.0)?;
    for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
        let x = || [given(numbers(dtype, &[3, 50]))];
        check_node("RandomUniformLike", vec![seed(3.0)], &x(), 0.0)?;
        let allowed = if dtype == DType::BF16 { 2e-2 } else { 2e-3 };
        check_node("RandomNormalLike", vec![seed(3.0)], &x(), allowed)?;
        let of_type = vec![seed(1.0), attribute("dtype", 9)];
        check_node("Bernoulli", of_type, &[given(odds(dtype, 40))], 0.0)?;
    }
    check_node("RandomUniformLike", Vec::new(), &[given(numbers(DType::F32, &[0, 4]))], 0.0)?;
    check_node("RandomUniformLike", Vec::new(), &[given(numbers(DType::F32, &[]))], 0.0)?;
    let odds = TensorData::from_f64(DType::F32, &[2, 3], [0.0, -200.0, 1.0, -200.0, 0.5, -200.0]);
    check_node("Multinomial", vec![seed(2.0), attribute("sample_size", 40)], &[given(odds)], 0.0)
}

#[test]
fn determinants_of_matrices() -> Result<()> {
    for dtype in [DType::F32, DType::F64] {
        for dims in [&[1, 1][..], &[2, 2], &[2, 3, 4, 4], &[7, 7], &[0, 3, 3], &[2, 0, 0]] {
            check_node("Det", Vec::new(), &[given(numbers(dtype, dims))], 1e-4)?;
        }
    }
    check_node("Det", Vec::new(), &[given(TensorData::from_f64(DType::F32, &[3, 3], [0.0; 9]))], 0.0)
}
