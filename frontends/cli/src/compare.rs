//! Comparing outputs with expected ones: the tensors of a library with those of a file.

use crate::npz;
use orogen::compare::{self, Difference, Limits};
use orogen::tensors::to_data;
use orogen_ir::types::{DType, TensorData};
use orogen_runtime::Tensor;
use serde_json::{Value, json};

/// Compares an output with the expected one. Where `.npz` lacks the type of an output, the one that stands for it there is
/// the same.
pub(crate) fn difference(got: &Tensor, expected: &Tensor, limits: &Limits) -> Difference {
    let (Some(ours), Some(theirs)) = (npz::row(got.dtype()), npz::row(expected.dtype())) else {
        return Difference::Kind(format!("type {} instead of {}", got.dtype(), expected.dtype()));
    };
    let (Some(got), Some(expected)) = (to_data(got), to_data(expected)) else {
        return Difference::Kind("elements that are not row-major".to_string());
    };
    if theirs == ours || theirs != npz::stand_in(ours) {
        return compare::difference(&got, &expected, limits);
    }
    // Of the type of the output, where that loses nothing: in units of its last place.
    let same = TensorData::from_f64(ours, expected.dims(), expected.to_f64());
    match compare::difference(&widened(&same, theirs), &expected, &Limits::exactly()).passes() {
        true => compare::difference(&got, &same, limits),
        false => compare::difference(&widened(&got, theirs), &expected, limits),
    }
}

fn widened(data: &TensorData, dtype: DType) -> TensorData {
    TensorData::from_f64(dtype, data.dims(), data.to_f64())
}

/// All measures.
pub(crate) fn json(difference: &Difference) -> Value {
    match difference {
        Difference::Kind(what) => json!({ "kind": "other", "what": what }),
        Difference::Exact(it) => json!({
            "kind": "exact", "elements": it.elements, "different": it.different,
            "first": it.first, "most": it.most,
        }),
        Difference::Floats(it) => json!({
            "kind": "floats",
            "absolute": number(it.absolute.value), "absolute_at": it.absolute.at,
            "of_largest": number(it.of_largest),
            "elementwise": number(it.elementwise.value), "elementwise_at": it.elementwise.at,
            "ulp": number(it.ulp.value), "ulp_at": it.ulp.at,
            "misplaced": it.misplaced, "first_misplaced": it.first, "beyond": it.beyond,
        }),
    }
}

/// Infinity is no JSON number.
pub(crate) fn number(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { json!("inf") }
}

/// All elements as f64, but of strings; of complex numbers both parts; 64-bit integers beyond 2^53 are rounded.
pub(crate) fn values(tensor: &Tensor) -> Option<Vec<f64>> {
    npz::row(tensor.dtype()).filter(|it| *it != DType::Str)?;
    Some(to_data(tensor)?.parts().to_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use orogen_runtime::DLDataType;

    fn by_default(got: &Tensor, expected: &Tensor) -> Difference {
        difference(got, expected, &Limits::default())
    }

    #[test]
    fn types_that_files_lack_are_compared_with_those_that_stand_for_them() {
        let floats = |it: [f32; 2]| Tensor::from_slice(&[2], &it).expect("small");
        let half = |dtype, bits: [u16; 2]| {
            let bytes: Vec<u8> = bits.iter().flat_map(|it| it.to_ne_bytes()).collect();
            Tensor::from_bytes(dtype, &[2], &bytes).expect("a small tensor")
        };
        let bf16 = half(DLDataType::BF16, [0x3f80, 0xc000]);
        assert_eq!(values(&bf16), Some(vec![1.0, -2.0]));
        assert!(by_default(&bf16, &floats([1.0, -2.0])).passes());
        let Difference::Floats(off) =
            by_default(&half(DLDataType::BF16, [0x3f82, 0xc000]), &floats([1.0, -2.0]))
        else {
            panic!("floats")
        };
        assert_eq!(off.ulp.value, 2.0);
        // An expected value between those of the type is not rounded to it.
        assert!(!by_default(&bf16, &floats([1.003, -2.0])).passes());
        // f16 they have.
        assert!(!by_default(&half(DLDataType::F16, [0x3c00, 0xc000]), &floats([1.0, -2.0])).passes());
        let ints = Tensor::from_slice(&[2], &[1_i64, -2]).expect("small");
        assert!(!by_default(&ints, &floats([1.0, -2.0])).passes());
    }
}
