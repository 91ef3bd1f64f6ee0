//! Tensors in `.npz` files.

use crate::failure::Failure;
use indexmap::IndexMap;
use npyz::npz::{NpzArchive, NpzWriter};
use npyz::{DType, NpyFile, WriterBuilder};
use orogen_runtime::Tensor;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

/// Reads all arrays of a file, in name order.
pub(crate) fn read(path: &Path) -> Result<IndexMap<String, Tensor>, Failure> {
    let file = File::open(path).map_err(|error| Failure::file(path, "open", error))?;
    let mut archive =
        NpzArchive::new(BufReader::new(file)).map_err(|error| Failure::file(path, "read", error))?;
    let mut names: Vec<String> = archive.array_names().map(str::to_string).collect();
    names.sort();
    let mut tensors = IndexMap::new();
    for name in names {
        let array = archive.by_name(&name).map_err(|error| Failure::file(path, "read", error))?;
        let array = array.ok_or_else(|| Failure::file(path, "read", format!("no array `{name}`")))?;
        let tensor =
            tensor(array).map_err(|error| Failure::file(path, "read", format!("array `{name}`: {error}")))?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

fn tensor<R: Read>(array: NpyFile<R>) -> Result<Tensor, String> {
    let shape: Vec<i64> = array
        .shape()
        .iter()
        .map(|it| i64::try_from(*it))
        .collect::<Result<_, _>>()
        .map_err(|it| it.to_string())?;
    if array.order() != npyz::Order::C && shape.iter().filter(|it| **it > 1).count() > 1 {
        return Err("it is in Fortran order: save it with numpy.ascontiguousarray".to_string());
    }
    let DType::Plain(kind) = array.dtype() else { return Err("it has fields".to_string()) };
    let kind = kind.to_string();
    macro_rules! of {
        ($($name:literal => $ty:ty),*) => {
            match kind.trim_start_matches(['<', '|', '>', '=']) {
                $($name => {
                    let values: Vec<$ty> = array.into_vec().map_err(|it| it.to_string())?;
                    Tensor::from_slice(&shape, &values).map_err(|it| it.to_string())
                })*
                _ => Err(format!("elements of type `{kind}` are not supported")),
            }
        };
    }
    of!("f4" => f32, "f8" => f64, "i1" => i8, "i2" => i16, "i4" => i32, "i8" => i64,
        "u1" => u8, "u2" => u16, "u4" => u32, "u8" => u64, "b1" => bool)
}

/// Writes tensors under their names; the file appears complete or not at all.
pub(crate) fn write(path: &Path, tensors: &[(String, &Tensor)]) -> Result<(), Failure> {
    let fail = |error: String| Failure::file(path, "write", error);
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut staged = tempfile::NamedTempFile::new_in(folder).map_err(|it| fail(it.to_string()))?;
    {
        let mut archive = NpzWriter::new(BufWriter::new(staged.as_file_mut()));
        for (name, tensor) in tensors {
            array(&mut archive, name, tensor).map_err(fail)?;
        }
        let mut inner = archive.zip_writer().finish().map_err(|it| fail(it.to_string()))?;
        inner.flush().map_err(|it| fail(it.to_string()))?;
    }
    staged.persist(path).map_err(|it| fail(it.to_string()))?;
    Ok(())
}

fn array<W: Write + std::io::Seek>(
    archive: &mut NpzWriter<W>,
    name: &str,
    tensor: &Tensor,
) -> Result<(), String> {
    let shape: Vec<u64> = tensor
        .shape()
        .iter()
        .map(|it| u64::try_from(*it))
        .collect::<Result<_, _>>()
        .map_err(|it| it.to_string())?;
    macro_rules! of {
        ($($ty:ty),*) => {
            $(if let Ok(values) = tensor.as_slice::<$ty>() {
                let options = npyz::zip::write::FileOptions::default();
                let writer = archive.array(name, options).map_err(|it| it.to_string())?;
                let mut writer = writer.default_dtype().shape(&shape).begin_nd().map_err(|it| it.to_string())?;
                writer.extend(values.iter().copied()).map_err(|it| it.to_string())?;
                return writer.finish().map_err(|it| it.to_string());
            })*
        };
    }
    of!(f32, f64, i8, i16, i32, i64, u8, u16, u32, u64, bool);
    Err(format!("output `{name}` has a type that .npz cannot hold"))
}
