//! Tensors in `.npz` files.
//!
//! The format has no bf16: such outputs are written as f32, which holds every value, and f32 arrays are taken for
//! bf16 inputs, rounded to the nearest value.

use crate::failure::Failure;
use crate::files;
use half::bf16;
use orogen::OutputFile;
use orogen_abi::signature::Parameter;
use orogen_npz::{Array, Kind, Writer};
use orogen_runtime::{DLDataType, Tensor};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

/// Element types that both sides have.
const TYPES: &[(Kind, DLDataType)] = &[
    (Kind::F32, DLDataType::F32),
    (Kind::F64, DLDataType::F64),
    (Kind::F16, DLDataType::F16),
    (Kind::I8, DLDataType::I8),
    (Kind::I16, DLDataType::I16),
    (Kind::I32, DLDataType::I32),
    (Kind::I64, DLDataType::I64),
    (Kind::U8, DLDataType::U8),
    (Kind::U16, DLDataType::U16),
    (Kind::U32, DLDataType::U32),
    (Kind::U64, DLDataType::U64),
    (Kind::Bool, DLDataType::BOOL),
];

/// A file of arrays, read one by one.
pub(crate) struct Archive<'a> {
    path: &'a Path,
    archive: orogen_npz::Archive<BufReader<File>>,
}

impl<'a> Archive<'a> {
    pub(crate) fn open(path: &'a Path) -> Result<Self, Failure> {
        let file = BufReader::new(files::open(path)?);
        let archive =
            orogen_npz::Archive::new(file).map_err(|error| Failure::file(path, "use", error.to_string()))?;
        Ok(Archive { path, archive })
    }

    /// The file.
    pub(crate) fn path(&self) -> &'a Path {
        self.path
    }

    /// All keys, in order.
    pub(crate) fn keys(&self) -> &[String] {
        self.archive.keys()
    }

    /// The key of a named value, which may have a prefix such as `in:`.
    pub(crate) fn key(&self, prefix: &str, name: &str) -> Result<Option<String>, Failure> {
        let prefixed = format!("{prefix}{name}");
        let has = |key: &str| self.keys().iter().any(|it| it == key);
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
        let fail = |error: String| Failure::file(self.path, "read", error);
        let array = self.archive.read(key).map_err(|error| fail(error.to_string()))?;
        tensor(&array).map_err(|error| fail(format!("array `{key}`: {error}")))
    }
}

fn tensor(array: &Array) -> Result<Tensor, String> {
    let shape: Vec<i64> = array
        .shape
        .iter()
        .map(|it| i64::try_from(*it))
        .collect::<Result<_, _>>()
        .map_err(|it| it.to_string())?;
    let (_, dtype) = TYPES.iter().find(|it| it.0 == array.kind).ok_or("elements without a type here")?;
    Tensor::from_bytes(*dtype, &shape, &array.bytes).map_err(|it| it.to_string())
}

/// An array as an input: `.npz` files cannot hold bf16, so f32 stands for it.
pub(crate) fn for_input(input: &Parameter, tensor: Tensor) -> Tensor {
    match tensor.as_slice::<f32>() {
        Ok(values) if input.dtype == DLDataType::BF16 => {
            let bytes: Vec<u8> = values.iter().flat_map(|it| bf16::from_f32(*it).to_ne_bytes()).collect();
            Tensor::from_bytes(input.dtype, tensor.shape(), &bytes).unwrap_or(tensor)
        }
        _ => tensor,
    }
}

/// Writes tensors under their names; the file appears complete or not at all.
pub(crate) fn write(path: &Path, tensors: &[(String, &Tensor)]) -> Result<(), Failure> {
    let fail = |error: String| Failure::file(path, "write", error);
    let file = OutputFile::create(path, false).map_err(|it| fail(it.to_string()))?;
    let mut writer = Writer::new();
    for (name, tensor) in tensors {
        let array = array(tensor).map_err(|it| fail(format!("output `{name}`: {it}")))?;
        writer.add(name, &array).map_err(|it| fail(it.to_string()))?;
    }
    let bytes = writer.finish().map_err(|it| fail(it.to_string()))?;
    let mut out = BufWriter::new(file.file());
    out.write_all(&bytes).and_then(|()| out.flush()).map_err(|it| fail(it.to_string()))?;
    drop(out);
    file.commit().map_err(|it| fail(it.to_string()))
}

fn array(tensor: &Tensor) -> Result<Array, String> {
    let shape: Vec<u64> = tensor
        .shape()
        .iter()
        .map(|it| u64::try_from(*it))
        .collect::<Result<_, _>>()
        .map_err(|it| it.to_string())?;
    let bytes = tensor.as_bytes().map_err(|it| it.to_string())?;
    if tensor.dtype() == DLDataType::BF16 {
        let halves = bytes.chunks_exact(2).map(|it| bf16::from_le_bytes([it[0], it[1]]));
        let bytes = halves.flat_map(|it| it.to_f32().to_le_bytes()).collect();
        return Ok(Array { kind: Kind::F32, shape, bytes });
    }
    match TYPES.iter().find(|it| it.1 == tensor.dtype()) {
        Some((kind, _)) => Ok(Array { kind: *kind, shape, bytes: bytes.to_vec() }),
        None => Err(format!("it has type {}, which .npz cannot hold", tensor.dtype())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.npz");
        for (i, (_, dtype)) in TYPES.iter().enumerate() {
            let bytes: Vec<u8> = (0..2 * dtype.byte_size()).map(|it| u8::from(it % 2 == 0)).collect();
            let tensor = Tensor::from_bytes(*dtype, &[1, 2], &bytes).expect("a small tensor");
            let name = format!("a/{i} ü");
            write(&path, &[(name.clone(), &tensor)]).expect("it can be written");
            let back = Archive::open(&path).and_then(|mut it| it.read(&name)).expect("it is there");
            assert_eq!((back.dtype(), back.shape()), (tensor.dtype(), tensor.shape()));
            assert_eq!(back.as_bytes().ok(), tensor.as_bytes().ok());
        }
        let bits: Vec<u8> = [0x3f80u16, 0xff80].iter().flat_map(|it| it.to_le_bytes()).collect();
        let bf16 = Tensor::from_bytes(DLDataType::BF16, &[2], &bits).expect("a small tensor");
        write(&path, &[("b".to_string(), &bf16)]).expect("it can be written");
        let back = Archive::open(&path).and_then(|mut it| it.read("b")).expect("it is there");
        assert_eq!(back.as_slice::<f32>().ok(), Some(&[1.0, f32::NEG_INFINITY][..]));
    }
}
