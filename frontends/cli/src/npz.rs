//! Tensors in `.npz` files.
//!
//! The format has no bf16: such outputs are written as f32, which holds every value, and f32 arrays are taken for
//! bf16 inputs, rounded to the nearest value.

use crate::failure::Failure;
use crate::files;
use half::f16;
use npyz::{DType, NpyFile, WriteOptions, WriterBuilder};
use orogen::OutputFile;
use orogen_runtime::{DLDataType, Tensor};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// A file of arrays, read one by one.
pub(crate) struct Archive<'a> {
    path: &'a Path,
    archive: ZipArchive<BufReader<File>>,
    /// All keys, in order.
    pub(crate) keys: Vec<String>,
}

impl<'a> Archive<'a> {
    pub(crate) fn open(path: &'a Path) -> Result<Self, Failure> {
        let mut file = files::open(path)?;
        let mut head = [0; 6];
        if file.read(&mut head).is_ok_and(|read| head[..read].starts_with(b"\x93NUMPY")) {
            let message = "it is a single array without a name; write `numpy.savez(FILE, NAME=array)`";
            return Err(Failure::file(path, "use", message));
        }
        let archive =
            ZipArchive::new(BufReader::new(file)).map_err(|error| Failure::file(path, "read", error))?;
        let mut keys: Vec<String> =
            archive.file_names().filter_map(|it| it.ok()?.strip_suffix(".npy").map(str::to_string)).collect();
        keys.sort();
        Ok(Archive { path, archive, keys })
    }

    /// The key of a named value, which may have a prefix such as `in:`.
    pub(crate) fn key(&self, prefix: &str, name: &str) -> Result<Option<String>, Failure> {
        let prefixed = format!("{prefix}{name}");
        let has = |key: &str| self.keys.iter().any(|it| it == key);
        match (has(&prefixed), has(name)) {
            (true, true) => {
                Err(Failure::file(self.path, "use", format!("it holds both `{prefixed}` and `{name}`")))
            }
            (true, false) => Ok(Some(prefixed)),
            (false, true) => Ok(Some(name.to_string())),
            (false, false) => Ok(None),
        }
    }

    /// The array of a key.
    pub(crate) fn read(&mut self, key: &str) -> Result<Tensor, Failure> {
        let fail = |error: String| Failure::file(self.path, "read", format!("array `{key}`: {error}"));
        let entry = self.archive.by_name(&format!("{key}.npy")).map_err(|error| fail(error.to_string()))?;
        tensor(NpyFile::new(entry).map_err(|error| fail(error.to_string()))?).map_err(fail)
    }
}

fn tensor<R: Read>(array: NpyFile<R>) -> Result<Tensor, String> {
    let shape: Vec<i64> = array
        .shape()
        .iter()
        .map(|it| i64::try_from(*it))
        .collect::<Result<_, _>>()
        .map_err(|it| it.to_string())?;
    let columns_first = array.order() == npyz::Order::Fortran;
    let DType::Plain(kind) = array.dtype() else { return Err("it has fields".to_string()) };
    let kind = kind.to_string();
    macro_rules! of {
        ($($name:literal => $ty:ty),*) => {
            match kind.trim_start_matches(['<', '|', '>', '=']) {
                $($name => {
                    let mut values: Vec<$ty> = array.into_vec().map_err(|it| it.to_string())?;
                    if columns_first {
                        values = rows_first(&shape, &values);
                    }
                    Tensor::from_slice(&shape, &values).map_err(|it| it.to_string())
                })*
                "f2" => {
                    let mut values: Vec<f16> = array.into_vec().map_err(|it| it.to_string())?;
                    if columns_first {
                        values = rows_first(&shape, &values);
                    }
                    let bytes: Vec<u8> = values.iter().flat_map(|it| it.to_ne_bytes()).collect();
                    Tensor::from_bytes(DLDataType::F16, &shape, &bytes).map_err(|it| it.to_string())
                }
                _ => Err(format!("elements of type `{kind}` are not supported")),
            }
        };
    }
    of!("f4" => f32, "f8" => f64, "i1" => i8, "i2" => i16, "i4" => i32, "i8" => i64,
        "u1" => u8, "u2" => u16, "u4" => u32, "u8" => u64, "b1" => bool)
}

/// Reorders elements from Fortran order, where the first index runs fastest, to C order.
fn rows_first<T: Copy>(shape: &[i64], values: &[T]) -> Vec<T> {
    // The reader gave as many elements as the shape has, so every extent and stride is one of memory.
    let shape: Vec<usize> = shape.iter().map(|it| usize::try_from(*it).unwrap_or(0)).collect();
    let strides: Vec<usize> = shape
        .iter()
        .scan(1, |stride, extent| {
            let this = *stride;
            *stride *= extent;
            Some(this)
        })
        .collect();
    let mut index = vec![0; shape.len()];
    let mut from = 0;
    let mut ordered = Vec::with_capacity(values.len());
    while ordered.len() < values.len() {
        ordered.push(values[from]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            from += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            from -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    ordered
}

/// Writes tensors under their names; the file appears complete or not at all.
pub(crate) fn write(path: &Path, tensors: &[(String, &Tensor)]) -> Result<(), Failure> {
    let fail = |error: String| Failure::file(path, "write", error);
    let file = OutputFile::create(path, false).map_err(|it| fail(it.to_string()))?;
    // In memory first: the archive writer prints to standard error when it is dropped over a full disk.
    let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, tensor) in tensors {
        array(&mut archive, name, tensor).map_err(fail)?;
    }
    let bytes = archive.finish().map_err(|it| fail(it.to_string()))?.into_inner();
    let mut out = BufWriter::new(file.file());
    out.write_all(&bytes).and_then(|()| out.flush()).map_err(|it| fail(it.to_string()))?;
    drop(out);
    file.commit().map_err(|it| fail(it.to_string()))
}

fn array<W: Write + std::io::Seek>(
    archive: &mut ZipWriter<W>,
    name: &str,
    tensor: &Tensor,
) -> Result<(), String> {
    let shape: Vec<u64> = tensor
        .shape()
        .iter()
        .map(|it| u64::try_from(*it))
        .collect::<Result<_, _>>()
        .map_err(|it| it.to_string())?;
    // As `numpy.savez` does: not compressed.
    let bytes = tensor.as_bytes().map_err(|it| it.to_string())?;
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(u32::try_from(bytes.len() + 1024).is_err());
    archive.start_file(format!("{name}.npy"), options).map_err(|it| it.to_string())?;
    macro_rules! write {
        ($values:expr) => {{
            let options = WriteOptions::new().default_dtype().shape(&shape).writer(&mut *archive);
            let mut writer = options.begin_nd().map_err(|it| it.to_string())?;
            writer.extend($values).map_err(|it| it.to_string())?;
            return writer.finish().map_err(|it| it.to_string());
        }};
    }
    macro_rules! of {
        ($($ty:ty),*) => {
            $(if let Ok(values) = tensor.as_slice::<$ty>() {
                write!(values.iter().copied())
            })*
        };
    }
    of!(f32, f64, i8, i16, i32, i64, u8, u16, u32, u64, bool);
    let bits = bytes.chunks_exact(2).map(|it| u16::from_ne_bytes([it[0], it[1]]));
    match tensor.dtype() {
        DLDataType::F16 => write!(bits.map(f16::from_bits)),
        DLDataType::BF16 => write!(bits.map(|it| half::bf16::from_bits(it).to_f32())),
        dtype => Err(format!("output `{name}` has type {dtype}, which .npz cannot hold")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fortran_order_becomes_c_order() {
        // Element [i, j, k] has the value 100 i + 10 j + k.
        let fortran: Vec<i32> = (0..4)
            .flat_map(|k| (0..3).flat_map(move |j| (0..2).map(move |i| 100 * i + 10 * j + k)))
            .collect();
        let c: Vec<i32> = (0..2)
            .flat_map(|i| (0..3).flat_map(move |j| (0..4).map(move |k| 100 * i + 10 * j + k)))
            .collect();
        assert_eq!(rows_first(&[2, 3, 4], &fortran), c);
        assert_eq!(rows_first(&[5], &[1, 2, 3, 4, 5]), [1, 2, 3, 4, 5]);
        assert_eq!(rows_first(&[], &[7]), [7]);
        assert_eq!(rows_first::<i32>(&[2, 0], &[]), [0; 0]);
    }

    #[test]
    fn every_type_survives_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.npz");
        let half = |dtype, bits: &[u16]| {
            let bytes: Vec<u8> = bits.iter().flat_map(|it| it.to_ne_bytes()).collect();
            Tensor::from_bytes(dtype, &[bits.len() as i64], &bytes).expect("a small tensor")
        };
        let tensors = [
            Tensor::from_slice(&[2], &[1.5f32, f32::NAN]).expect("a small tensor"),
            Tensor::from_slice(&[1, 1], &[i64::MIN]).expect("a small tensor"),
            Tensor::from_slice(&[], &[true]).expect("a small tensor"),
            half(DLDataType::F16, &[0x3c00, 0xfc00, 0x0001]),
        ];
        let names: Vec<String> = (0..tensors.len()).map(|i| format!("a/{i} ü")).collect();
        let named: Vec<(String, &Tensor)> = names.iter().cloned().zip(&tensors).collect();
        write(&path, &named).expect("it can be written");
        let mut archive = Archive::open(&path).expect("it can be read");
        assert_eq!(archive.keys, names);
        for (name, tensor) in named {
            let back = archive.read(&name).expect("it is there");
            assert_eq!((back.dtype(), back.shape()), (tensor.dtype(), tensor.shape()));
            assert_eq!(back.as_bytes().ok(), tensor.as_bytes().ok());
        }
        let bf16 = half(DLDataType::BF16, &[0x3f80, 0xff80]);
        write(&path, &[("b".to_string(), &bf16)]).expect("it can be written");
        let back = Archive::open(&path).and_then(|mut it| it.read("b")).expect("it is there");
        assert_eq!(back.as_slice::<f32>().ok(), Some(&[1.0, f32::NEG_INFINITY][..]));
    }
}
