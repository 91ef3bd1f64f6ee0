//! Tensors of the compiler as tensors of the runtime, and back.

use orogen_ir::types::{DType, TensorData};
use orogen_runtime::{DLDataType, RuntimeError, Tensor};

/// A tensor that a library takes.
///
/// # Errors
/// Memory that cannot be had.
pub fn to_tensor(data: &TensorData) -> Result<Tensor, RuntimeError> {
    let dims: Vec<i64> = data.dims().iter().map(|it| it.cast_signed()).collect();
    if data.dtype() == DType::Str {
        let texts: Vec<&str> = (0..data.len()).map(|i| data.text(i)).collect();
        return Tensor::from_strings(&dims, &texts);
    }
    let (code, bits) = data.dtype().row().dlpack;
    Tensor::from_bytes(DLDataType::new(code, bits), &dims, &data.unpacked())
}

/// A tensor of a library; `None` for an element type that the compiler lacks, and for elements that are not row-major.
pub fn to_data(tensor: &Tensor) -> Option<TensorData> {
    let dims: Vec<u64> = tensor.shape().iter().map(|it| u64::try_from(*it).ok()).collect::<Option<_>>()?;
    if let Ok(texts) = tensor.strings() {
        return TensorData::strings(&dims, texts).ok();
    }
    let dtype = tensor.dtype();
    let dtype = DType::ALL.into_iter().find(|it| it.row().dlpack == (dtype.code, dtype.bits))?;
    TensorData::from_unpacked(dtype, dims, tensor.as_bytes().ok()?.to_vec().into()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_goes_there_and_back() {
        for dtype in DType::ALL {
            let data = TensorData::from_f64(dtype, &[3, 1], [0.0, 1.0, 1.0]);
            let tensor = to_tensor(&data).expect("a small tensor");
            assert_eq!(to_data(&tensor).as_ref(), Some(&data), "{dtype}");
        }
    }
}
