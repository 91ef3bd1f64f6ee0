//! Short-hands for tests of operators.

use super::eval_named;
use crate::error::EvalError;
use orogen_ir::types::{Attrs, DType, TensorData};

pub(crate) fn f32s(dims: &[u64], values: &[f32]) -> TensorData {
    TensorData::from_slice(DType::F32, dims, values)
}

pub(crate) fn iota(dims: &[u64]) -> TensorData {
    let n = dims.iter().product::<u64>();
    TensorData::from_f64(DType::F32, dims, (0..n).map(|it| it as f64))
}

pub(crate) fn i64s(dims: &[u64], values: &[i64]) -> TensorData {
    TensorData::from_slice(DType::I64, dims, values)
}

pub(crate) fn none() -> Attrs {
    Attrs::none()
}

/// The only result.
pub(crate) fn eval(name: &str, attrs: Attrs, args: &[TensorData]) -> Result<TensorData, EvalError> {
    let results = eval_named(name, &attrs, args)?;
    assert_eq!(results.len(), 1);
    Ok(results[0].clone())
}

/// The only result, as dimensions and f64.
pub(crate) fn run(name: &str, attrs: Attrs, args: &[TensorData]) -> (Vec<u64>, Vec<f64>) {
    let result = eval(name, attrs, args).unwrap_or_else(|it| panic!("{it}"));
    (result.dims().to_vec(), result.to_f64())
}

pub(crate) fn assert_close(found: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len(), "{found:?}");
    for (a, b) in found.iter().zip(wanted) {
        assert!((a - b).abs() <= tolerance || a == b || (a.is_nan() && b.is_nan()), "{found:?} {wanted:?}");
    }
}
