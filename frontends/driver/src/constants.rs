//! Constants that travel beside the text of a program, in a file of the safetensors format.
//!
//! A text refers to a constant that is too large to stand in it by the [`Digest`] of its type and content. The constants
//! of `model.flow` are in `model.safetensors`, or in `constants.safetensors` for all texts of a folder, under their digests
//! in hexadecimal digits. Element types that the format lacks are bytes there. The type of each is in the metadata of the
//! file, so that a digest can be computed again, which is done for every constant that is read.
//!
//! # Laws
//! * **C1** What is read has the digest that it was asked for by; another process reads what one wrote, to the last bit.
//! * **C2** A file that was damaged, cut or made up is an error, and takes no memory beyond its own length.

use crate::Lowered;
use crate::files::{CANNOT_READ, write_file};
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::ops::OpRegistry;
use orogen_ir::text::{Cursor, is_inline, parse_dtype, parse_static_dims, static_dims_text};
use orogen_ir::types::{Bytes, ConstPool, DType, Digest, TensorData};
use safetensors::tensor::{Metadata, SafeTensors};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Suffix of files of constants.
const SUFFIX: &str = "safetensors";
/// The file of constants for all texts of a folder.
pub const SHARED: &str = "constants.safetensors";

/// The digest of a constant.
pub fn digest(data: &TensorData) -> Digest {
    let mut hash = Sha256::new();
    hash.update(type_text(data).as_bytes());
    hash.update(b"\n");
    hash.update(&*content(data));
    Digest(hash.finalize().into())
}

fn type_text(data: &TensorData) -> String {
    format!("{}{}", data.dtype(), static_dims_text(data.dims()))
}

/// What a file holds of a constant.
fn content(data: &TensorData) -> Cow<'_, [u8]> {
    if data.dtype() == DType::Str { data.content().into() } else { Cow::Borrowed(data.bytes()) }
}

/// Constants that texts refer to, by digest.
#[derive(Debug, Default)]
pub struct Constants {
    found: IndexMap<Digest, TensorData>,
    /// Digests of bytes that are in `found`, so that they stay where they are.
    computed: IndexMap<(usize, usize, String), Digest>,
}

impl Constants {
    /// Gives every constant of a program that is too large for its text the digest that the text refers to it by, and
    /// keeps it.
    pub fn seal(&mut self, program: &mut Lowered) {
        match program {
            Lowered::Graph(it) => self.seal_pool(&mut it.constants),
            Lowered::Flow(it) => self.seal_pool(&mut it.constants),
            Lowered::Plan(it) => {
                let Some(first) = it.functions.first_mut() else { return };
                self.seal_pool(Arc::make_mut(&mut first.constants));
                let shared = first.constants.clone();
                it.functions.iter_mut().for_each(|it| it.constants = shared.clone());
            }
        }
    }

    fn seal_pool(&mut self, pool: &mut ConstPool) {
        for id in pool.ids().collect::<Vec<_>>() {
            let data = pool.data(id);
            if is_inline(data) {
                continue;
            }
            let digest = pool.digest(id).unwrap_or_else(|| self.digest(data));
            self.found.entry(digest).or_insert_with(|| data.clone());
            pool.set_digest(id, digest);
        }
    }

    fn digest(&mut self, data: &TensorData) -> Digest {
        let bytes = data.bytes();
        let key = (bytes.as_ptr().addr(), bytes.len(), type_text(data));
        // Strings have more than their bytes.
        match self.computed.get(&key).filter(|_| data.dtype() != DType::Str) {
            Some(digest) => *digest,
            None => {
                let digest = digest(data);
                self.found.insert(digest, data.clone());
                self.computed.insert(key, digest);
                digest
            }
        }
    }

    /// Writes those constants that a text names; no file where it names none.
    ///
    /// # Errors
    /// `D002`: a file that cannot be written.
    pub fn write(&self, path: &Path, wanted: &IndexSet<Digest>) -> Result<(), Diagnostic> {
        let mut kept: Vec<(&Digest, &TensorData)> =
            self.found.iter().filter(|it| wanted.contains(it.0)).collect();
        // The widest elements first, so that all lie where readers want to map them.
        kept.sort_by_key(|(digest, data)| (Reverse(data.dtype().size()), **digest));
        if kept.is_empty() {
            return Ok(());
        }
        write_file(path, |out| write_all(out, &kept))
    }
}

/// The file, by the format's definition. The crate that reads it would write the metadata in the order of a hash map.
fn write_all(out: &mut dyn Write, kept: &[(&Digest, &TensorData)]) -> std::io::Result<()> {
    let contents: Vec<Cow<'_, [u8]>> = kept.iter().map(|it| content(it.1)).collect();
    let mut header = serde_json::Map::new();
    let types = kept.iter().map(|(digest, data)| (digest.to_string(), type_text(data).into()));
    header.insert("__metadata__".to_owned(), types.collect::<serde_json::Map<_, _>>().into());
    let mut at = 0;
    for ((digest, data), content) in kept.iter().zip(&contents) {
        let (dtype, shape) = stored(data, content.len());
        let end = at + content.len();
        let entry = serde_json::json!({ "dtype": dtype, "shape": shape, "data_offsets": [at, end] });
        header.insert(digest.to_string(), entry);
        at = end;
    }
    let mut header = serde_json::Value::from(header).to_string();
    // The data begin at a multiple of 8.
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    contents.iter().try_for_each(|it| out.write_all(it))
}

/// How the format stores a constant: as what it is, or as bytes.
fn stored(data: &TensorData, length: usize) -> (&'static str, Vec<u64>) {
    let dtype = match data.dtype() {
        DType::Bool => "BOOL",
        DType::U8 => "U8",
        DType::I8 => "I8",
        DType::U16 => "U16",
        DType::I16 => "I16",
        DType::U32 => "U32",
        DType::I32 => "I32",
        DType::U64 => "U64",
        DType::I64 => "I64",
        DType::F16 => "F16",
        DType::BF16 => "BF16",
        DType::F32 => "F32",
        DType::F64 => "F64",
        _ => return ("U8", vec![length as u64]),
    };
    (dtype, data.dims().to_vec())
}

/// The digests that a text names. What only looks like one in a string is asked for and not missed.
pub fn named_in(text: &str) -> IndexSet<Digest> {
    let behind = text.split("sha256 \"").skip(1);
    behind.filter_map(|it| it.get(..64)?.parse().ok()).collect()
}

/// The file of constants of a text that is written to `path`.
pub fn file_of(path: &Path) -> PathBuf {
    path.with_extension(SUFFIX)
}

/// The constants that the text of a file names.
///
/// # Errors
/// `D004`: a file that cannot be read. `D030`: one that is damaged. A constant that is in no file is an error of whoever
/// reads the text.
pub(crate) fn beside(path: &Path, text: &str) -> Result<ConstPool, Diagnostics> {
    let mut wanted = named_in(text);
    let mut pool = ConstPool::default();
    for file in [file_of(path), path.with_file_name(SHARED)] {
        if wanted.is_empty() {
            break;
        }
        match file.metadata() {
            Ok(found) if found.is_file() => read(&file, &mut wanted, &mut pool)?,
            _ => {}
        }
    }
    Ok(pool)
}

/// Reads those constants that are still wanted.
fn read(path: &Path, wanted: &mut IndexSet<Digest>, pool: &mut ConstPool) -> Result<(), Diagnostic> {
    let place = format!("file `{}`", path.display());
    let bytes = std::fs::read(path).map_err(|error| {
        Diagnostic::error(CANNOT_READ, format!("cannot read the constants: {error}")).at(place.clone())
    })?;
    decode(bytes, wanted, pool).map_err(|it| it.at(place))
}

/// Takes those constants out of a file that are wanted, and no longer wants them.
fn decode(bytes: Vec<u8>, wanted: &mut IndexSet<Digest>, pool: &mut ConstPool) -> Result<(), Diagnostic> {
    let damaged = |what: String| {
        Diagnostic::error("D030", format!("the file of constants is damaged: {what}"))
            .help("write the text and its constants again")
    };
    let (length, header) = SafeTensors::read_metadata(&bytes).map_err(|it| damaged(it.to_string()))?;
    // Behind the length of the header, which has 8 bytes, and the header.
    let start = length + 8;
    let whole = Bytes::from(bytes);
    let mut found = Vec::new();
    for digest in wanted.iter() {
        let name = digest.to_string();
        let Some(info) = header.info(&name) else { continue };
        let (from, to) = info.data_offsets;
        let part = start.checked_add(from).zip(start.checked_add(to)).and_then(|(a, b)| whole.slice(a..b));
        let part = part.ok_or_else(|| damaged(format!("`{name}` lies outside of it")))?;
        let data = typed(&header, &name, part)
            .ok_or_else(|| damaged(format!("`{name}` is no tensor of its type")))?;
        if self::digest(&data) != *digest {
            return Err(damaged(format!("`{name}` has another digest")));
        }
        found.push((*digest, data));
    }
    for (digest, data) in found {
        let id = pool.add("", data);
        pool.set_digest(id, digest);
        wanted.shift_remove(&digest);
    }
    Ok(())
}

/// The bytes as what the metadata say they are.
fn typed(header: &Metadata, name: &str, bytes: Bytes) -> Option<TensorData> {
    let text = header.metadata().as_ref()?.get(name)?;
    let mut cursor = Cursor::new(text);
    let dtype = parse_dtype(&mut cursor).ok()?;
    let dims = parse_static_dims(&mut cursor).ok()?;
    if !cursor.at_end() {
        return None;
    }
    if dtype == DType::Str {
        return TensorData::from_content(&dims, &bytes);
    }
    TensorData::new(dtype, dims.to_vec(), bytes).ok()
}

impl Lowered {
    /// The text form, and the constants that it names by digest.
    pub fn print_sealed(&self, ops: &OpRegistry, constants: &mut Constants) -> String {
        let mut sealed = self.clone();
        constants.seal(&mut sealed);
        sealed.print(ops)
    }

    /// Writes the text form to a file, and what it refers to to a file beside it, so that any process reads it back.
    ///
    /// # Errors
    /// `D002`: files that cannot be written. `D031`: a name whose suffix is that of another IR, which would not be read
    /// back.
    pub fn write_text(&self, ops: &OpRegistry, path: &Path) -> Result<(), Diagnostic> {
        let suffix = self.suffix();
        if path.extension().is_none_or(|it| it != suffix) {
            let message = format!("`{}` is no name for a text of this IR", path.display());
            return Err(Diagnostic::error("D031", message).help(format!("let it end in `.{suffix}`")));
        }
        let mut constants = Constants::default();
        let text = self.print_sealed(ops, &mut constants);
        constants.write(&file_of(path), &named_in(&text))?;
        write_file(path, |out| out.write_all(text.as_bytes()))
    }

    /// The suffix of files of its text.
    pub fn suffix(&self) -> &'static str {
        match self {
            Lowered::Graph(_) => "graph",
            Lowered::Flow(_) => "flow",
            Lowered::Plan(_) => "plan",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A constant of each element type, none of them small.
    fn every_type() -> Vec<TensorData> {
        let numbers = |dtype| TensorData::from_f64(dtype, &[13, 9], (0..117).map(|it| f64::from(it % 3)));
        let mut all: Vec<TensorData> =
            DType::ALL.into_iter().filter(|it| *it != DType::Str).map(numbers).collect();
        let texts = (0..70).map(|it| ["", "a", "日本", "a\0b"][it % 4]);
        all.push(TensorData::strings(&[70], texts).expect("as many"));
        all
    }

    fn written(constants: &[TensorData]) -> (tempfile::TempDir, PathBuf, IndexSet<Digest>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(SHARED);
        let mut pool = ConstPool::default();
        for data in constants {
            pool.add("", data.clone());
        }
        let mut kept = Constants::default();
        kept.seal_pool(&mut pool);
        let wanted: IndexSet<Digest> = constants.iter().map(digest).collect();
        kept.write(&path, &wanted).expect("written");
        (folder, path, wanted)
    }

    #[test]
    fn c1_every_element_type_reads_back() {
        let all = every_type();
        let (_folder, path, mut wanted) = written(&all);
        let mut pool = ConstPool::default();
        read(&path, &mut wanted, &mut pool).unwrap_or_else(|it| panic!("{it}"));
        assert!(wanted.is_empty());
        for (id, data) in pool.ids().zip(&all) {
            assert_eq!((pool.data(id), pool.digest(id)), (data, Some(digest(data))));
        }
    }

    #[test]
    fn c2_a_damaged_file_is_an_error_or_what_was_written() {
        let all = every_type();
        let (_folder, path, wanted) = written(&all[..4]);
        let bytes = std::fs::read(&path).expect("written");
        let tried = |bytes: Vec<u8>| {
            let (mut wanted, mut pool) = (wanted.clone(), ConstPool::default());
            decode(bytes, &mut wanted, &mut pool).map(|()| pool)
        };
        let mut refused = 0;
        for i in 0..bytes.len() {
            let mut other = bytes.clone();
            other[i] ^= 1 << (i % 8);
            match tried(other) {
                Err(found) => refused += usize::from(found.code == "D030"),
                // A constant under another name is not there; what is there is right.
                Ok(pool) => assert!(pool.ids().all(|it| wanted.contains(&digest(pool.data(it))))),
            }
            assert!(i % 64 > 0 || tried(bytes[..i].to_vec()).is_err());
        }
        assert!(refused * 10 > bytes.len() * 7, "{refused} of {}", bytes.len());
        let mut huge = bytes.clone();
        huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(tried(huge).is_err());
    }
}
