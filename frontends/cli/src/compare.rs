//! Comparing outputs with expected ones.

use crate::npz;
use orogen_ir::types::{DType, TensorData};
use orogen_runtime::Tensor;

/// How far an output is from the expected one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    /// Largest absolute difference, divided by the largest magnitude of the expected tensor; infinite when shapes
    /// differ, or a NaN or infinity stands where the other has none.
    pub(crate) relative: f64,
    /// What is wrong beside the numbers.
    pub(crate) note: Option<String>,
}

/// Compares an output with the expected one.
pub(crate) fn difference(got: &Tensor, expected: &Tensor) -> Difference {
    if got.shape() != expected.shape() {
        let note = format!("shape {:?} instead of {:?}", got.shape(), expected.shape());
        return Difference { relative: f64::INFINITY, note: Some(note) };
    }
    if let (Ok(got), Ok(expected)) = (got.strings(), expected.strings()) {
        let differs = got.iter().zip(&expected).enumerate().find(|it| it.1.0 != it.1.1);
        return match differs {
            Some((i, (a, b))) => {
                let note = format!("element {i} is {a:?} instead of {b:?}");
                Difference { relative: f64::INFINITY, note: Some(note) }
            }
            None => Difference { relative: 0.0, note: None },
        };
    }
    let (Some(got), Some(expected)) = (values(got), values(expected)) else {
        let note = format!("type {} instead of {}", got.dtype(), expected.dtype());
        return Difference { relative: f64::INFINITY, note: Some(note) };
    };
    if got.len() != expected.len() {
        // Complex numbers have two parts.
        let note = "complex numbers stand for others, or others for them".to_string();
        return Difference { relative: f64::INFINITY, note: Some(note) };
    }
    let mut worst = 0.0f64;
    let mut magnitude = 0.0f64;
    for (i, (a, b)) in got.iter().zip(&expected).enumerate() {
        if a == b || (a.is_nan() && b.is_nan()) {
            magnitude = if b.is_finite() { magnitude.max(b.abs()) } else { magnitude };
            continue;
        }
        if !a.is_finite() || !b.is_finite() {
            let note = format!("element {i} is {a} instead of {b}");
            return Difference { relative: f64::INFINITY, note: Some(note) };
        }
        worst = worst.max((a - b).abs());
        magnitude = magnitude.max(b.abs());
    }
    let relative = if worst == 0.0 { 0.0 } else { worst / magnitude.max(f64::MIN_POSITIVE) };
    Difference { relative, note: None }
}

/// All elements as f64, but of strings; of complex numbers both parts; 64-bit integers beyond 2^53 are rounded.
pub(crate) fn values(tensor: &Tensor) -> Option<Vec<f64>> {
    macro_rules! of {
        ($($ty:ty => $convert:expr),*) => {
            $(if let Ok(values) = tensor.as_slice::<$ty>() {
                return Some(values.iter().map(|it| $convert(*it)).collect());
            })*
        };
    }
    of!(f32 => f64::from, f64 => f64::from, i8 => f64::from, i16 => f64::from, i32 => f64::from,
        i64 => |it| it as f64, u8 => f64::from, u16 => f64::from, u32 => f64::from, u64 => |it| it as f64,
        bool => |it| f64::from(u8::from(it)));
    let dtype = npz::row(tensor.dtype()).filter(|it| *it != DType::Str)?;
    let bytes = tensor.as_bytes().ok()?;
    let count = bytes.len() / dtype.size();
    let data = TensorData::from_unpacked(dtype, vec![count as u64], bytes.to_vec().into()).ok()?;
    Some(data.parts().to_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use orogen_runtime::DLDataType;

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::from_slice(&[values.len() as i64], values).expect("a small tensor")
    }

    #[test]
    fn errors_are_relative_to_the_largest_magnitude() {
        let found = difference(&tensor(&[1.0, 10.5]), &tensor(&[1.0, 10.0]));
        assert_eq!(found.relative, 0.05);
        assert_eq!(difference(&tensor(&[0.0]), &tensor(&[0.0])).relative, 0.0);
    }

    #[test]
    fn half_precision_is_compared() {
        let half = |bits: [u16; 2]| {
            let bytes: Vec<u8> = bits.iter().flat_map(|it| it.to_ne_bytes()).collect();
            Tensor::from_bytes(DLDataType::F16, &[2], &bytes).expect("a small tensor")
        };
        assert_eq!(values(&half([0x3c00, 0xc000])), Some(vec![1.0, -2.0]));
        assert_eq!(difference(&half([0x3c00, 0xc000]), &tensor(&[1.0, -4.0])).relative, 0.5);
    }

    #[test]
    fn strings_are_equal_or_not() {
        let strings = |it: [&str; 2]| Tensor::from_strings(&[2], &it).expect("strings");
        assert_eq!(difference(&strings(["a", ""]), &strings(["a", ""])).relative, 0.0);
        let other = difference(&strings(["a", "b"]), &strings(["a", ""]));
        assert_eq!(other.note.as_deref(), Some("element 1 is \"b\" instead of \"\""));
        assert_eq!(difference(&strings(["1", "2"]), &tensor(&[1.0, 2.0])).relative, f64::INFINITY);
    }

    #[test]
    fn nan_equals_only_nan_and_shapes_must_agree() {
        assert_eq!(difference(&tensor(&[f32::NAN]), &tensor(&[f32::NAN])).relative, 0.0);
        assert_eq!(difference(&tensor(&[f32::NAN]), &tensor(&[1.0])).relative, f64::INFINITY);
        assert_eq!(difference(&tensor(&[1.0]), &tensor(&[f32::INFINITY])).relative, f64::INFINITY);
        assert_eq!(difference(&tensor(&[1.0]), &tensor(&[1.0, 2.0])).relative, f64::INFINITY);
    }
}
