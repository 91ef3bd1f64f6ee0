//! Tensors of `.npz` files and of the runtime.

use anyhow::{Context, Result, bail};
use indexmap::IndexMap;
use npyz::NpyFile;
use orogen_abi::DLDataType;
use orogen_ir::types::{DType, TensorData};
use orogen_runtime::Tensor;
use std::path::Path;

/// Every array of a file.
pub(crate) fn read_npz(path: &Path) -> Result<IndexMap<String, TensorData>> {
    let mut archive = zip::ZipArchive::new(std::io::BufReader::new(std::fs::File::open(path)?))?;
    let mut names: Vec<String> =
        archive.file_names().filter_map(|it| it.ok()?.strip_suffix(".npy").map(str::to_string)).collect();
    names.sort();
    let mut arrays = IndexMap::new();
    for name in names {
        let array = NpyFile::new(archive.by_name(&format!("{name}.npy"))?)?;
        let dims = array.shape().to_vec();
        let kind = array.dtype().descr();
        macro_rules! of {
            ($($text:literal => $ty:ty, $dtype:expr);*) => {
                match kind.trim_matches(['\'', '<', '|', '=']) {
                    $($text => TensorData::from_slice($dtype, &dims, &array.into_vec::<$ty>()?),)*
                    other => bail!("array `{name}` has elements of type {other}"),
                }
            };
        }
        let data = of!("f4" => f32, DType::F32; "f8" => f64, DType::F64; "i4" => i32, DType::I32;
                       "i8" => i64, DType::I64; "u1" => u8, DType::U8);
        arrays.insert(name, data);
    }
    Ok(arrays)
}

/// A tensor that generated code takes.
pub(crate) fn to_runtime(data: &TensorData) -> Result<Tensor> {
    let dtype =
        DLDataType::from_name(&data.dtype().to_string()).context("an element type of the interface")?;
    let dims: Vec<i64> = data.dims().iter().map(|it| i64::try_from(*it)).collect::<Result<_, _>>()?;
    Ok(Tensor::from_bytes(dtype, &dims, data.bytes())?)
}

/// A tensor that generated code returned.
pub(crate) fn from_runtime(tensor: &Tensor) -> Result<TensorData> {
    let name = tensor.dtype().to_string();
    let dtype: DType = name.parse().map_err(|_| anyhow::anyhow!("an output of type {name}"))?;
    let dims = tensor.shape().iter().map(|it| u64::try_from(*it)).collect::<Result<_, _>>()?;
    Ok(TensorData::new(dtype, dims, tensor.as_bytes()?.to_vec().into())?)
}
