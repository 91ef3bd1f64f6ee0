//! Files that appear complete or not at all (law L2).

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::LinkError;

/// Large enough that small sections make few system calls; blobs bypass it.
const BUFFER: usize = 256 << 10;

/// A file beside the output that takes its name at the end; removed when dropped before that.
pub(crate) struct Staged {
    temporary: PathBuf,
    target: PathBuf,
    done: bool,
}

impl Staged {
    /// Picks a name in the directory of `target`, so that the final renaming stays on one file system.
    pub(crate) fn new(target: &Path) -> Result<Staged, LinkError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let name = target.file_name().ok_or_else(|| failure(target, "it names no file"))?;
        // Renaming onto a directory or a device would fail late, or destroy it.
        if fs::metadata(target).is_ok_and(|it| !it.is_file()) {
            return Err(failure(target, "it exists and is not a regular file"));
        }
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.{count}.tmp", std::process::id()));
        let temporary = target.with_file_name(temporary);
        Ok(Staged { temporary, target: target.to_owned(), done: false })
    }

    /// Where to write.
    pub(crate) fn path(&self) -> &Path {
        &self.temporary
    }

    /// Gives the file its name.
    pub(crate) fn commit(mut self) -> Result<(), LinkError> {
        fs::rename(&self.temporary, &self.target).map_err(|error| failure(&self.target, error))?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.done {
            // The error that brought us here matters more than one from cleaning up.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

pub(crate) fn failure(path: &Path, reason: impl ToString) -> LinkError {
    LinkError::Write { path: path.to_owned(), reason: reason.to_string() }
}

/// Creates an executable file at `path`, which must not exist.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o777); // less the umask, as linkers do
    options.open(path)
}

/// A sequential writer that knows its position.
pub(crate) struct Positioned<'a> {
    out: BufWriter<&'a File>,
    position: u64,
}

impl<'a> Positioned<'a> {
    pub(crate) fn new(file: &'a File) -> Self {
        Positioned { out: BufWriter::with_capacity(BUFFER, file), position: 0 }
    }

    /// Fills with zeros up to `position`, which is not behind the current one.
    pub(crate) fn pad_to(&mut self, position: u64) -> io::Result<()> {
        let zeros = [0u8; 4096];
        while self.position < position {
            let count = (position - self.position).min(zeros.len() as u64) as usize; // at most 4096
            self.write_all(&zeros[..count])?;
        }
        debug_assert_eq!(self.position, position, "sections are written in file order");
        Ok(())
    }
}

impl Write for Positioned<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.position += written as u64; // widening
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
