//! Tensors in `.npz` files.
//!
//! Of a type that the format lacks, arrays of the narrowest one that it has and that holds every value stand for it: f32 for
//! bf16 and floats of 8 and 4 bits, i8 and u8 for integers narrower than a byte. As inputs, such arrays are taken for
//! them, rounded or saturated to the nearest value. Strings are arrays of fixed-width text, which NumPy calls `<U`.

use crate::failure::Failure;
use crate::files;
use orogen::OutputFile;
use orogen_abi::signature::Parameter;
use orogen_ir::types::{DType, TensorData};
use orogen_npz::{Array, Kind, Writer};
use orogen_runtime::{DLDataType, Tensor};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

/// The row of a type of a library.
pub(crate) fn row(dtype: DLDataType) -> Option<DType> {
    DType::from_dlpack(dtype.code, dtype.bits).filter(|_| dtype.lanes == 1)
}

/// What a file calls a type; `None` if the format lacks it.
fn kind(dtype: DType) -> Option<Kind> {
    dtype.row().npy?.parse().ok()
}

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

    /// Refuses what is expected of an output that is none.
    pub(crate) fn check_outputs(&self, names: &[&str]) -> Result<(), Failure> {
        let unknown = |it: &&String| it.strip_prefix("out:").is_some_and(|name| !names.contains(&name));
        let Some(unknown) = self.keys().iter().find(unknown) else { return Ok(()) };
        let message = format!("`{unknown}` is no output of the model; its outputs are: {}", names.join(", "));
        Err(Failure::file(self.path, "use", message))
    }

    /// The array of a key.
    pub(crate) fn read(&mut self, key: &str) -> Result<Tensor, Failure> {
        let fail = |error: String| Failure::file(self.path, "read", error);
        let array = self.archive.read(key).map_err(|error| fail(error.to_string()))?;
        tensor(&array).map_err(|error| fail(format!("array `{key}`: {error}")))
    }
}

/// The names of all values of a file that are not inputs, in order.
pub(crate) fn expected_names(path: &Path) -> Result<Vec<String>, Failure> {
    let archive = Archive::open(path)?;
    let keys = archive.keys().iter().filter(|it| !it.starts_with("in:"));
    Ok(keys.map(|it| it.strip_prefix("out:").unwrap_or(it).to_owned()).collect())
}

fn tensor(array: &Array) -> Result<Tensor, String> {
    let shape: Vec<i64> = array
        .shape
        .iter()
        .map(|it| i64::try_from(*it))
        .collect::<Result<_, _>>()
        .map_err(|it| it.to_string())?;
    if let Kind::Text(characters) = array.kind {
        let texts = texts(&array.bytes, characters as usize)?;
        return Tensor::from_strings(&shape, &texts).map_err(|it| it.to_string());
    }
    let kind = array.kind.to_string();
    let dtype = DType::from_npy(&kind);
    let (code, bits) =
        dtype.ok_or_else(|| format!("elements of type `{kind}` are not supported"))?.row().dlpack;
    Tensor::from_bytes(DLDataType::new(code, bits), &shape, &array.bytes).map_err(|it| it.to_string())
}

/// Strings of so many characters at most; zeros at the end are none of them, as in NumPy.
fn texts(bytes: &[u8], characters: usize) -> Result<Vec<String>, String> {
    let character = |it: &[u8]| {
        let code = it.iter().rev().fold(0, |code, byte| code << 8 | u32::from(*byte));
        char::from_u32(code).ok_or_else(|| format!("{code:#x} is no character"))
    };
    let text = |it: &[u8]| {
        let text: String = it.chunks_exact(4).map(character).collect::<Result<_, _>>()?;
        Ok(text.trim_end_matches('\0').to_owned())
    };
    // Text of no characters has no bytes to count it by: there is none.
    bytes.chunks_exact(4 * characters.max(1)).map(text).collect()
}

/// An array of strings, of as many characters as the longest has.
fn text_array(tensor: &Tensor, shape: Vec<u64>) -> Result<Array, String> {
    let texts = tensor.strings().map_err(|it| it.to_string())?;
    let characters = texts.iter().map(|it| it.chars().count()).max().unwrap_or(0).max(1);
    let mut bytes = Vec::new();
    for (i, text) in (1..).zip(&texts) {
        bytes.extend(text.chars().flat_map(|it| u32::from(it).to_le_bytes()));
        bytes.resize(i * 4 * characters, 0);
    }
    let characters = u32::try_from(characters).map_err(|it| it.to_string())?;
    Ok(Array { kind: Kind::Text(characters), shape, bytes })
}

/// The type whose arrays stand for those of a type that the format lacks: the narrowest that it has and that holds every
/// value.
pub(crate) fn stand_in(dtype: DType) -> DType {
    if kind(dtype).is_some() { dtype } else { dtype.compute() }
}

/// Elements of a type as elements of another one.
fn converted(from: DType, to: DType, bytes: &[u8]) -> Option<Vec<u8>> {
    let count = bytes.len() / from.size();
    let data = TensorData::from_unpacked(from, vec![count as u64], bytes.to_vec().into()).ok()?;
    Some(TensorData::from_f64(to, &[count as u64], data.to_f64()).unpacked().to_vec())
}

/// An array as an input: of types that the format lacks, another one stands for them.
pub(crate) fn for_input(input: &Parameter, tensor: Tensor) -> Tensor {
    let (Some(wanted), Some(found)) = (row(input.dtype), row(tensor.dtype())) else { return tensor };
    if wanted == found || stand_in(wanted) != found {
        return tensor;
    }
    let bytes = tensor.as_bytes().ok().and_then(|it| converted(found, wanted, it));
    let made = bytes.and_then(|it| Tensor::from_bytes(input.dtype, tensor.shape(), &it).ok());
    made.unwrap_or(tensor)
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
    if row(tensor.dtype()) == Some(DType::Str) {
        return text_array(tensor, shape);
    }
    let bytes = tensor.as_bytes().map_err(|it| it.to_string())?;
    let none = || format!("it has type {}, which .npz cannot hold", tensor.dtype());
    let dtype = row(tensor.dtype()).ok_or_else(none)?;
    let other = stand_in(dtype);
    let kind = kind(other).ok_or_else(none)?;
    let bytes = if other == dtype { Some(bytes.to_vec()) } else { converted(dtype, other, bytes) };
    Ok(Array { kind, shape, bytes: bytes.ok_or_else(none)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.npz");
        for words in [&["a", "", "日本 ü", "a\0b"][..], &["", ""], &[]] {
            let tensor = Tensor::from_strings(&[words.len() as i64, 1], words).expect("strings");
            write(&path, &[("s".to_string(), &tensor)]).expect("it can be written");
            let back = Archive::open(&path).and_then(|mut it| it.read("s")).expect("it is there");
            assert_eq!(back.shape(), tensor.shape());
            assert_eq!(back.strings().expect("strings"), words);
        }
        assert!(texts(&[0, 0, 0x11, 0], 1).is_err());
        for (i, it) in DType::ALL.iter().filter(|it| kind(**it).is_some()).enumerate() {
            let (code, bits) = it.row().dlpack;
            let dtype = DLDataType::new(code, bits);
            let bytes: Vec<u8> = (0..2 * dtype.byte_size()).map(|it| u8::from(it % 2 == 0)).collect();
            let tensor = Tensor::from_bytes(dtype, &[1, 2], &bytes).expect("a small tensor");
            let name = format!("a/{i} ü");
            write(&path, &[(name.clone(), &tensor)]).expect("it can be written");
            let back = Archive::open(&path).and_then(|mut it| it.read(&name)).expect("it is there");
            assert_eq!((back.dtype(), back.shape()), (tensor.dtype(), tensor.shape()));
            assert_eq!(back.as_bytes().ok(), tensor.as_bytes().ok());
        }
        for dtype in DType::ALL.into_iter().filter(|it| kind(*it).is_none() && *it != DType::Str) {
            let (code, bits) = dtype.row().dlpack;
            let data = TensorData::from_f64(dtype, &[3], [1.0, -2.0, 0.5]);
            let tensor = Tensor::from_bytes(DLDataType::new(code, bits), &[3], &data.unpacked())
                .expect("a small tensor");
            write(&path, &[("b".to_string(), &tensor)]).expect("it can be written");
            let back = Archive::open(&path).and_then(|mut it| it.read("b")).expect("it is there");
            let found = row(back.dtype()).expect("a type of files");
            let found = TensorData::from_unpacked(
                found,
                vec![3],
                back.as_bytes().expect("row-major").to_vec().into(),
            );
            assert_eq!(found.map(|it| it.to_f64()), Ok(data.to_f64()), "{dtype}");
            let input = Parameter::new("b", tensor.dtype());
            assert_eq!(for_input(&input, back).as_bytes().ok(), Some(&data.unpacked()[..]), "{dtype}");
        }
    }
}
