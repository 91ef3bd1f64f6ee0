//! How far outputs are from expected ones.

use crate::Expected;
use anyhow::{Result, bail, ensure};
use orogen_ir::types::TensorData;

/// The largest error of all outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Worst {
    /// Largest absolute difference over the largest magnitude of the expected output.
    pub error: f64,
    /// The output.
    pub output: String,
}

/// Compares outputs with the expected ones; every expected output must be there.
///
/// # Errors
/// Missing outputs, other shapes, a NaN or infinity where the other has none.
pub fn compare(outputs: &Expected, expected: &Expected) -> Result<Worst> {
    let mut worst = Worst { error: 0.0, output: String::new() };
    for (name, wanted) in expected {
        let Some(got) = outputs.get(name) else { bail!("there is no output `{name}`") };
        let error = difference(name, got, wanted)?;
        if error >= worst.error {
            worst = Worst { error, output: name.clone() };
        }
    }
    Ok(worst)
}

fn difference(name: &str, got: &TensorData, wanted: &TensorData) -> Result<f64> {
    ensure!(got.dims() == wanted.dims(), "`{name}` is {:?}, not {:?}", got.dims(), wanted.dims());
    let (mut largest, mut magnitude) = (0.0f64, 0.0f64);
    for (i, (a, b)) in got.to_f64().into_iter().zip(wanted.to_f64()).enumerate() {
        let same = a == b || (a.is_nan() && b.is_nan());
        ensure!(same || (a.is_finite() && b.is_finite()), "element {i} of `{name}` is {a}, not {b}");
        if b.is_finite() {
            magnitude = magnitude.max(b.abs());
        }
        if !same {
            largest = largest.max((a - b).abs());
        }
    }
    Ok(if largest == 0.0 { 0.0 } else { largest / magnitude.max(f64::MIN_POSITIVE) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use orogen_ir::types::DType;

    fn one(values: &[f32]) -> Expected {
        let data = TensorData::from_slice(DType::F32, &[values.len() as u64], values);
        [("y".to_string(), data)].into_iter().collect()
    }

    #[test]
    fn errors_are_relative_and_nan_equals_nan_alone() {
        let error = |a: &[f32], b: &[f32]| compare(&one(a), &one(b)).map(|it| it.error);
        assert_eq!(error(&[1.0, 8.5], &[1.0, 8.0]).expect("comparable"), 0.0625);
        assert_eq!(error(&[f32::NAN], &[f32::NAN]).expect("comparable"), 0.0);
        assert!(error(&[f32::NAN], &[0.0]).is_err());
        assert!(error(&[0.0], &[f32::INFINITY]).is_err());
        assert!(error(&[0.0], &[0.0, 0.0]).is_err());
        assert!(compare(&Expected::new(), &one(&[0.0])).is_err());
    }
}
