//! Archives of arrays.

use crate::header::Header;
use crate::{Array, Error};
use std::io::{Cursor, Read, Seek, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// An archive whose arrays are read one by one.
#[derive(Debug)]
pub struct Archive<R> {
    zip: ZipArchive<R>,
    keys: Vec<String>,
}

impl<R: Read + Seek> Archive<R> {
    /// The archive in a file.
    ///
    /// # Errors
    /// Files that are no archives; a single array, which has no name, is told apart.
    pub fn new(mut file: R) -> Result<Self, Error> {
        let mut head = [0; 6];
        let single = file.read(&mut head).map_err(Error::new)? == head.len() && head == *crate::header::MAGIC;
        if single {
            return Err(Error::new(
                "it is a single array without a name; write `numpy.savez(FILE, NAME=array)`",
            ));
        }
        file.rewind().map_err(Error::new)?;
        let zip = ZipArchive::new(file).map_err(Error::new)?;
        let mut keys: Vec<String> =
            zip.file_names().filter_map(|it| it.ok()?.strip_suffix(".npy").map(str::to_string)).collect();
        keys.sort();
        Ok(Archive { zip, keys })
    }

    /// The names of all arrays, in order.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The array of a name.
    ///
    /// # Errors
    /// Names that are not there, arrays that are damaged or have elements that [`Kind`](crate::Kind) has no row for.
    pub fn read(&mut self, key: &str) -> Result<Array, Error> {
        let fail = |error: String| Error::new(format!("array `{key}`: {error}"));
        let entry = self.zip.by_name(&format!("{key}.npy")).map_err(|error| fail(error.to_string()))?;
        Array::read(entry).map_err(|error| fail(error.to_string()))
    }
}

/// Puts an archive together, in memory.
#[derive(Debug)]
pub struct Writer {
    zip: ZipWriter<Cursor<Vec<u8>>>,
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// An archive without arrays.
    pub fn new() -> Self {
        // In memory, because the archive writer prints to standard error when it is dropped over a full disk.
        Writer { zip: ZipWriter::new(Cursor::new(Vec::new())) }
    }

    /// Adds an array, not compressed, as `numpy.savez` does.
    ///
    /// # Errors
    /// Arrays whose bytes are not those of their shape; names that are there already.
    pub fn add(&mut self, name: &str, array: &Array) -> Result<(), Error> {
        let Array { kind, shape, bytes } = array;
        if Array::byte_length(*kind, shape) != Some(bytes.len()) {
            let message = format!("array `{name}` of {kind} {shape:?} has {} bytes", bytes.len());
            return Err(Error::new(message));
        }
        let header = Header { kind: *kind, big_endian: false, columns_first: false, shape: shape.clone() };
        let header =
            header.to_bytes().ok_or_else(|| Error::new(format!("array `{name}` has too many axes")))?;
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(u32::try_from(bytes.len() + header.len()).is_err());
        self.zip.start_file(format!("{name}.npy"), options).map_err(Error::new)?;
        self.zip.write_all(&header).and_then(|()| self.zip.write_all(bytes)).map_err(Error::new)
    }

    /// The bytes of the whole file.
    ///
    /// # Errors
    /// Archives with more than the format holds.
    pub fn finish(self) -> Result<Vec<u8>, Error> {
        Ok(self.zip.finish().map_err(Error::new)?.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    /// Law N2.
    #[test]
    fn every_array_survives_a_file() {
        let arrays = [
            Array { kind: Kind::Float(4), shape: vec![2], bytes: vec![1, 2, 3, 4, 0, 0, 192, 127] },
            Array { kind: Kind::Signed(8), shape: vec![1, 1], bytes: i64::MIN.to_le_bytes().to_vec() },
            Array { kind: Kind::Bool, shape: vec![], bytes: vec![1] },
            Array { kind: Kind::Float(2), shape: vec![0, 3], bytes: vec![] },
        ];
        let mut writer = Writer::new();
        for (i, array) in arrays.iter().enumerate() {
            writer.add(&format!("a/{i} ü"), array).expect("it can be written");
        }
        let mut archive = Archive::new(Cursor::new(writer.finish().expect("a file"))).expect("an archive");
        for (i, array) in arrays.iter().enumerate() {
            let key = archive.keys()[i].clone();
            assert_eq!(key, format!("a/{i} ü"));
            assert_eq!(archive.read(&key).as_ref(), Ok(array));
        }
        archive.read("b").expect_err("it is not there");
    }

    #[test]
    fn what_is_no_archive_is_told() {
        let single = [crate::header::MAGIC, &[1, 0]].concat();
        let error = Archive::new(Cursor::new(single)).expect_err("a single array");
        assert!(error.to_string().contains("numpy.savez"), "{error}");
        Archive::new(Cursor::new(b"text".to_vec())).expect_err("text");
        let wrong = Array { kind: Kind::Float(4), shape: vec![2], bytes: vec![0; 4] };
        Writer::new().add("x", &wrong).expect_err("four bytes are not two floats");
    }
}
