//! Read-only file mappings.
#![allow(unsafe_code, reason = "mapping a file is the only way to read large weights without copying them")]

use memmap2::Mmap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Files up to this size in bytes are read: a mapping costs more than it saves.
const READ_LIMIT: u64 = 64 << 10;

/// The content of a file, mapped when it is large. Slices share it.
///
/// A mapped file must not be truncated while the model is in use: the operating system ends a process that
/// reads beyond the new end.
pub(crate) fn map_file(path: &Path) -> io::Result<prost::bytes::Bytes> {
    // Before opening: to open a pipe is to wait for its writer.
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut file = File::open(path)?;
    if file.metadata()?.len() <= READ_LIMIT {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        return Ok(bytes.into());
    }
    // SAFETY: the mapping is read-only and private, and bytes of it are only ever read as plain numbers, for
    // which every bit pattern is valid. Truncation by another process is the documented limit above.
    let map = unsafe { Mmap::map(&file)? };
    Ok(prost::bytes::Bytes::from_owner(map))
}
