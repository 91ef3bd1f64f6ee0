//! Whether what an executor computes is near enough.

use crate::value::{Sample, unit};
use orogen_ir::types::{DType, TensorData};

/// How many times the error of one rounding, at the largest element of a tensor, and what the rounding of everything before
/// makes of an element, it may be off.
const TIMES: f64 = 32.0;

/// Compares a tensor with what it should be.
///
/// # Errors
/// How they differ.
pub fn compare(found: &TensorData, wanted: &Sample) -> Result<(), String> {
    let plain = wanted.plain.as_tensor().ok_or("what is wanted is no tensor")?;
    let shaken = wanted.shaken.as_tensor().ok_or("what is wanted is no tensor")?;
    if (found.dtype(), found.dims()) != (plain.dtype(), plain.dims()) {
        let text = |it: &TensorData| format!("{} {:?}", it.dtype(), it.dims());
        return Err(format!("it is {} instead of {}", text(found), text(plain)));
    }
    if !found.dtype().is_float() {
        return match found == plain {
            true => Ok(()),
            false => Err(first_difference(found, plain)),
        };
    }
    let unit = unit(plain.dtype());
    let (found, plain, shaken) = (found.to_f64(), plain.to_f64(), shaken.to_f64());
    let largest = plain.iter().filter(|it| it.is_finite()).fold(0f64, |most, it| most.max(it.abs()));
    let spread = |b: f64, off: f64| if off.is_finite() && b.is_finite() { (b - off).abs() } else { 0.0 };
    // Errors of an element may have cancelled out by chance; those of all have not.
    let widest = plain.iter().zip(&shaken).map(|(b, off)| spread(*b, *off)).fold(0f64, f64::max);
    for (i, ((a, b), off)) in found.iter().zip(&plain).zip(&shaken).enumerate() {
        let spread = spread(*b, *off).max(widest / 8.0);
        let same = a == b || a.is_nan() && b.is_nan();
        let near = (a - b).abs() <= TIMES * (unit * largest + spread);
        if !same && !near {
            return Err(format!("element {i} is {a} instead of {b}"));
        }
    }
    Ok(())
}

fn first_difference(found: &TensorData, wanted: &TensorData) -> String {
    if found.dtype() == DType::Str {
        let at = (0..found.len()).find(|i| found.text(*i) != wanted.text(*i)).unwrap_or(0);
        return format!("element {at} is {:?} instead of {:?}", found.text(at), wanted.text(at));
    }
    let at = (0..found.len()).find(|i| found.bits(*i) != wanted.bits(*i)).unwrap_or(0);
    match found.dtype().is_integral() {
        true => format!("element {at} is {} instead of {}", found.get_i64(at), wanted.get_i64(at)),
        false => format!("element {at} has the bits {:#x} instead of {:#x}", found.bits(at), wanted.bits(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orogen_reference::Value;

    fn sample(plain: &[f64], shaken: &[f64]) -> Sample {
        let value = |it: &[f64]| Value::Tensor(tensor(it));
        Sample { plain: value(plain), shaken: value(shaken) }
    }

    fn tensor(values: &[f64]) -> TensorData {
        TensorData::from_f64(DType::F32, &[values.len() as u64], values.iter().copied())
    }

    #[test]
    fn what_rounding_explains_is_near_and_what_it_does_not_is_not() {
        let ok = |found: &[f64], plain: &[f64], shaken: &[f64]| {
            compare(&tensor(found), &sample(plain, shaken)).is_ok()
        };
        assert!(ok(&[1.0, f64::NAN], &[1.0, f64::NAN], &[1.0, f64::NAN]));
        assert!(ok(&[1.000001], &[1.0], &[1.0]));
        assert!(!ok(&[1.001], &[1.0], &[1.0]));
        assert!(ok(&[1.001], &[1.0], &[1.0001]));
        assert!(!ok(&[f64::NAN], &[1.0], &[1.0]));
        assert!(!ok(&[f64::INFINITY], &[1.0], &[1.0]));
        assert!(!ok(&[1.0, 1.0], &[1.0], &[1.0]));
    }
}
