//! Tensor protos to tensor data, and where external data comes from.

use crate::mapping::map_file;
use crate::proto::{TensorProto, data_type};
use indexmap::IndexMap;
use orogen_ir::types::{Bytes, DType, TensorData};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The element type of that number in a file.
///
/// # Errors
/// Why there is none.
pub fn dtype_of(number: i32) -> Result<DType, String> {
    if number == data_type::UNDEFINED {
        return Err("the element type is missing".into());
    }
    DType::from_onnx(number).ok_or_else(|| match number {
        27 | 28 => format!("floats of 6 bits (element type number {number}) are not supported"),
        _ => format!("there is no element type number {number}"),
    })
}

/// The number of an element type that a file names, as `TensorProto.DataType` spells it.
pub(crate) fn number_of(name: &str) -> Option<i32> {
    const NAMES: [&str; 17] = [
        "UNDEFINED",
        "FLOAT",
        "UINT8",
        "INT8",
        "UINT16",
        "INT16",
        "INT32",
        "INT64",
        "STRING",
        "BOOL",
        "FLOAT16",
        "DOUBLE",
        "UINT32",
        "UINT64",
        "COMPLEX64",
        "COMPLEX128",
        "BFLOAT16",
    ];
    let place = NAMES.iter().position(|it| *it == name)?;
    i32::try_from(place).ok()
}

/// Reads tensors; keeps the mapped files of external data.
#[derive(Debug, Default)]
pub(crate) struct TensorLoader {
    directory: Option<PathBuf>,
    mapped: Mutex<IndexMap<String, prost::bytes::Bytes>>,
}

impl TensorLoader {
    /// A loader for a model whose file lies in `directory`; without one, external data is an error.
    pub(crate) fn new(directory: Option<PathBuf>) -> Self {
        TensorLoader { directory, mapped: Mutex::default() }
    }

    /// The data of a tensor, sharing the file's bytes where the file holds them as they are.
    pub(crate) fn load(&self, tensor: &TensorProto) -> Result<TensorData, String> {
        let dtype = dtype_of(tensor.data_type)?;
        let dims = sizes(&tensor.dims)?;
        if dtype == DType::Str {
            return strings(tensor, &dims);
        }
        let size = TensorData::byte_count(dtype, &dims)
            .ok_or_else(|| format!("its shape {dims:?} is larger than the address space"))?;
        let bytes = if tensor.data_location == 1 || !tensor.external_data.is_empty() {
            self.external(tensor, size)?
        } else if let Some(raw) = &tensor.raw_data
            && (!raw.is_empty() || !has_typed_data(tensor))
        {
            Bytes::new(Arc::new(raw.clone()))
        } else {
            typed_data(tensor, dtype).into()
        };
        if bytes.len() != size {
            return Err(format!(
                "it claims {dtype}{dims:?}, {size} bytes, but the file holds {}",
                bytes.len()
            ));
        }
        TensorData::new(dtype, dims, bytes).map_err(|error| error.to_string())
    }

    /// Why the file that holds the data of a tensor cannot be read, if it cannot.
    pub(crate) fn missing_file(&self, tensor: &TensorProto) -> Option<String> {
        let location = tensor.external_data.iter().find(|it| it.key == "location")?;
        self.file(&location.value).err()
    }

    fn external(&self, tensor: &TensorProto, size: usize) -> Result<Bytes, String> {
        let entry =
            |key: &str| tensor.external_data.iter().find(|it| it.key == key).map(|it| it.value.as_str());
        let number = |key: &str| {
            entry(key)
                .map(|text| {
                    text.parse::<usize>()
                        .map_err(|_| format!("`{key}` of its external data is `{text}`, not a size"))
                })
                .transpose()
        };
        let location = entry("location").ok_or("its data is external but has no location")?;
        let file = self.file(location)?;
        let offset = number("offset")?.unwrap_or(0);
        let length = number("length")?.unwrap_or(size);
        offset
            .checked_add(length)
            .and_then(|end| Bytes::new(Arc::new(file.clone())).slice(offset..end))
            .ok_or_else(|| {
                format!(
                    "its data is bytes {offset}+{length} of `{location}`, which has only {} bytes",
                    file.len()
                )
            })
    }

    fn file(&self, location: &str) -> Result<prost::bytes::Bytes, String> {
        let directory = self
            .directory
            .as_deref()
            .ok_or_else(|| format!("its data is in `{location}`, but the model was not read from a file"))?;
        if !stays_inside(location) {
            return Err(format!("its data is in `{location}`, which leaves the model's directory"));
        }
        let mut mapped = self.mapped.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(bytes) = mapped.get(location) {
            return Ok(bytes.clone());
        }
        let path = directory.join(location);
        let bytes = map_file(&path)
            .map_err(|error| format!("its data file `{}` cannot be read: {error}", path.display()))?;
        mapped.insert(location.to_string(), bytes.clone());
        Ok(bytes)
    }
}

/// Strings have a field of their own and no other form.
fn strings(tensor: &TensorProto, dims: &[u64]) -> Result<TensorData, String> {
    if tensor.raw_data.as_ref().is_some_and(|it| !it.is_empty()) || !tensor.external_data.is_empty() {
        return Err("its strings are not in the field for them".into());
    }
    let text = |(i, it): (usize, &prost::bytes::Bytes)| match std::str::from_utf8(it) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("its string {i} is no UTF-8")),
    };
    tensor.string_data.iter().enumerate().try_for_each(text)?;
    let count = tensor.string_data.len();
    let texts = tensor.string_data.iter().map(|it| std::str::from_utf8(it).unwrap_or_default());
    TensorData::strings(dims, texts)
        .map_err(|_| format!("it claims {}{dims:?}, but the file holds {count} strings", DType::Str))
}

/// Dimensions as sizes.
pub(crate) fn sizes(dims: &[i64]) -> Result<Vec<u64>, String> {
    dims.iter().map(|it| u64::try_from(*it).map_err(|_| format!("dimension {it} is negative"))).collect()
}

/// Whether a relative path names something below its base, judged by its text.
fn stays_inside(location: &str) -> bool {
    !location.is_empty()
        && !location.contains('\0')
        && Path::new(location).components().all(|it| matches!(it, Component::Normal(_) | Component::CurDir))
}

fn has_typed_data(tensor: &TensorProto) -> bool {
    !(tensor.float_data.is_empty()
        && tensor.int32_data.is_empty()
        && tensor.int64_data.is_empty()
        && tensor.double_data.is_empty()
        && tensor.uint64_data.is_empty())
}

/// Little-endian bytes of the field that holds elements of `dtype`: types of 32 and 64 bits have fields of their own, all
/// others are the low bits of 32-bit integers.
fn typed_data(tensor: &TensorProto, dtype: DType) -> Vec<u8> {
    let size = dtype.size();
    // Complex numbers lie in the field of their parts.
    match dtype.component().unwrap_or(dtype) {
        DType::F32 => tensor.float_data.iter().flat_map(|it| it.to_le_bytes()).collect(),
        DType::F64 => tensor.double_data.iter().flat_map(|it| it.to_le_bytes()).collect(),
        DType::I64 => tensor.int64_data.iter().flat_map(|it| it.to_le_bytes()).collect(),
        dtype if dtype.is_int_of(&[32, 64]) && !dtype.is_signed_int() => {
            tensor.uint64_data.iter().flat_map(|it| it.to_le_bytes().into_iter().take(size)).collect()
        }
        DType::Bool => tensor.int32_data.iter().map(|it| u8::from(*it != 0)).collect(),
        _ => tensor.int32_data.iter().flat_map(|it| it.to_le_bytes().into_iter().take(size)).collect(),
    }
}
