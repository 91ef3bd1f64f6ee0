//! Tensors of `.npz` files and of the runtime.

use anyhow::{Context, Result};
use indexmap::IndexMap;
use orogen_abi::DLDataType;
use orogen_ir::types::{DType, TensorData};
use orogen_npz::Archive;
use orogen_runtime::Tensor;
use std::path::Path;

/// Every array of a file.
///
/// # Errors
/// Files that cannot be read, and element types that are not known.
pub fn read_npz(path: &Path) -> Result<IndexMap<String, TensorData>> {
    let mut archive = Archive::new(std::io::BufReader::new(std::fs::File::open(path)?))?;
    let mut arrays = IndexMap::new();
    for name in archive.keys().to_vec() {
        let array = archive.read(&name)?;
        let kind = array.kind.to_string();
        let dtype =
            DType::from_npy(&kind).with_context(|| format!("array `{name}` has elements of type {kind}"))?;
        arrays.insert(name, TensorData::new(dtype, array.shape, array.bytes.into())?);
    }
    Ok(arrays)
}

/// A tensor that generated code takes.
pub fn to_runtime(data: &TensorData) -> Result<Tensor> {
    let dtype =
        DLDataType::from_name(&data.dtype().to_string()).context("an element type of the interface")?;
    let dims: Vec<i64> = data.dims().iter().map(|it| i64::try_from(*it)).collect::<Result<_, _>>()?;
    if data.dtype() == DType::Str {
        let texts: Vec<&str> = (0..data.len()).map(|i| data.text(i)).collect();
        return Ok(Tensor::from_strings(&dims, &texts)?);
    }
    Ok(Tensor::from_bytes(dtype, &dims, &data.unpacked())?)
}

/// A tensor that generated code returned.
pub fn from_runtime(tensor: &Tensor) -> Result<TensorData> {
    let name = tensor.dtype().to_string();
    let dtype: DType = name.parse().map_err(|_| anyhow::anyhow!("an output of type {name}"))?;
    let dims = tensor.shape().iter().map(|it| u64::try_from(*it)).collect::<Result<_, _>>()?;
    if dtype == DType::Str {
        let dims: Vec<u64> = dims;
        return Ok(TensorData::strings(&dims, tensor.strings()?)?);
    }
    Ok(TensorData::from_unpacked(dtype, dims, tensor.as_bytes()?.to_vec().into())?)
}
