//! Opening files that a user names.

use crate::failure::Failure;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// Longest text that is read, in bytes: labels and configuration are far shorter.
const LONGEST_TEXT: u64 = 64 << 20;

/// Opens a file, and nothing else: opening a pipe waits for a writer, and a device may have no end.
pub(crate) fn open(path: &Path) -> Result<File, Failure> {
    let found = fs::metadata(path).map_err(|error| Failure::file(path, "open", error))?;
    if found.is_dir() {
        return Err(Failure::file(path, "read", "it is a directory"));
    }
    if !found.is_file() {
        return Err(Failure::file(path, "read", "it is not a regular file"));
    }
    File::open(path).map_err(|error| Failure::file(path, "open", error))
}

/// Reads a text file.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = open(path)?.take(LONGEST_TEXT + 1).read_to_string(&mut text);
    match read.map_err(|error| Failure::file(path, "read", error))? as u64 {
        0..=LONGEST_TEXT => Ok(text),
        _ => Err(Failure::file(path, "read", format!("it is longer than {LONGEST_TEXT} bytes"))),
    }
}
