//! Files that appear complete or not at all (law L2).

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::LinkError;

/// Large enough that small sections make few system calls; blobs bypass it.
const BUFFER: usize = 256 << 10;

/// A file that takes its name only when it is complete; until then whatever had the name stays as it was.
///
/// On Linux it has no name at all before that, so that nothing is left behind however the process ends (but for the
/// instant between naming and renaming). Elsewhere, and on file systems that cannot do this, it is a hidden file
/// beside the target, which goes when this value is dropped, but not when a signal ends the process.
#[derive(Debug)]
pub struct OutputFile {
    file: File,
    /// Present while the file has a name of its own.
    temporary: Option<PathBuf>,
    target: PathBuf,
}

impl OutputFile {
    /// Starts a file that will be called `target`.
    ///
    /// # Errors
    /// Folders that cannot be written, and targets that exist and are no regular file: replacing a directory would
    /// fail late, and replacing a device would destroy it.
    pub fn create(target: &Path, executable: bool) -> io::Result<Self> {
        check_target(target)?;
        let mode = if executable { 0o777 } else { 0o666 }; // less the umask, as other tools do
        if let Some(file) = nameless::create(folder(target), mode) {
            return Ok(OutputFile { file, temporary: None, target: target.to_owned() });
        }
        let (file, temporary) = with_temporary_name(target, |path| create(path, mode))?;
        Ok(OutputFile { file, temporary: Some(temporary), target: target.to_owned() })
    }

    /// The file, to write to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name, in place of what had it.
    ///
    /// # Errors
    /// A folder that has gone or may no longer be written.
    pub fn commit(mut self) -> io::Result<()> {
        check_target(&self.target)?;
        if self.temporary.is_none() {
            // Where nothing has the name, one step is enough.
            match nameless::name(&self.file, &self.target) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                done => return done,
            }
            let ((), path) = with_temporary_name(&self.target, |path| nameless::name(&self.file, path))?;
            self.temporary = Some(path);
        }
        if let Some(path) = &self.temporary {
            fs::rename(path, &self.target)?;
            self.temporary = None;
        }
        Ok(())
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if let Some(path) = &self.temporary {
            // The error that brought us here matters more than one from cleaning up.
            let _ = fs::remove_file(path);
        }
    }
}

/// A name beside the output for a file that another program writes; removed when dropped before its end.
pub(crate) struct Staged {
    temporary: PathBuf,
    target: PathBuf,
    done: bool,
}

impl Staged {
    /// Picks a name in the directory of `target`, so that the final renaming stays on one file system.
    pub(crate) fn new(target: &Path) -> Result<Staged, LinkError> {
        check_target(target).map_err(|error| failure(target, error))?;
        Ok(Staged { temporary: temporary_name(target), target: target.to_owned(), done: false })
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

fn check_target(target: &Path) -> io::Result<()> {
    let refuse = |reason: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    if target.file_name().is_none() {
        return refuse("it names no file");
    }
    match fs::metadata(target) {
        Ok(found) if !found.is_file() => refuse("it exists and is not a regular file"),
        _ => Ok(()),
    }
}

fn folder(target: &Path) -> &Path {
    target.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A hidden name beside `target` that no other thread or process of this machine picks.
fn temporary_name(target: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    // Not made from the target's name, which may be as long as names can be.
    target.with_file_name(format!(".orogen.{}.{count}.tmp", std::process::id()))
}

/// Tries names until one is free: a process of the same number may have left some, on another machine or before.
fn with_temporary_name<T>(
    target: &Path,
    mut make: impl FnMut(&Path) -> io::Result<T>,
) -> io::Result<(T, PathBuf)> {
    const TRIES: usize = 1000;
    let mut last = None;
    for _ in 0..TRIES {
        let path = temporary_name(target);
        match make(&path) {
            Ok(made) => return Ok((made, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AlreadyExists.into()))
}

/// Creates a file at `path`, which must not exist.
pub(crate) fn create(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path)
}

/// Files without a name, which the system forgets when the process ends.
#[cfg(target_os = "linux")]
mod nameless {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::path::Path;

    use rustix::fs::{AtFlags, CWD, Mode, OFlags};

    /// `None` where the file system has no such files.
    pub(super) fn create(folder: &Path, mode: u32) -> Option<File> {
        // They get their name through this folder.
        if !Path::new("/proc/self/fd").exists() {
            return None;
        }
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        // Other errors come again from the ordinary way, which words them.
        rustix::fs::openat(CWD, folder, flags, Mode::from_raw_mode(mode)).ok().map(File::from)
    }

    pub(super) fn name(file: &File, path: &Path) -> io::Result<()> {
        let number = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(rustix::fs::linkat(CWD, number, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    }
}

#[cfg(not(target_os = "linux"))]
mod nameless {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub(super) fn create(_: &Path, _: u32) -> Option<File> {
        None
    }

    pub(super) fn name(_: &File, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("the folder can be read");
        let mut names: Vec<String> = entries
            .map(|it| it.expect("the folder can be read").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_when_it_is_complete_and_replaces_what_was_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("out");
        for text in ["first", "second"] {
            let output = OutputFile::create(&target, false).expect("the folder can be written");
            output.file().write_all(text.as_bytes()).expect("it can be written");
            assert_ne!(fs::read_to_string(&target).unwrap_or_default(), text);
            output.commit().expect("it gets its name");
            assert_eq!(fs::read_to_string(&target).expect("it is there"), text);
        }
        assert_eq!(names(folder.path()), ["out"]);
    }

    #[test]
    fn both_ways_of_writing_clean_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("out");
        drop(OutputFile::create(&target, true).expect("the folder can be written"));
        // As on a file system without nameless files.
        let (file, path) = with_temporary_name(&target, |it| create(it, 0o666)).expect("a name is free");
        let output = || OutputFile {
            file: file.try_clone().expect("a handle"),
            temporary: Some(path.clone()),
            target: target.clone(),
        };
        assert_eq!(names(folder.path()).len(), 1);
        output().commit().expect("it gets its name");
        assert_eq!(names(folder.path()), ["out"]);
        fs::rename(&target, &path).expect("it can be renamed");
        drop(output());
        assert!(names(folder.path()).is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_unfinished_file_has_no_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let output = OutputFile::create(&folder.path().join("out"), true).expect("the folder can be written");
        // File systems without nameless files (some network ones) show a hidden one.
        if output.temporary.is_none() {
            assert!(names(folder.path()).is_empty());
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_never_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let refused = |target: &Path| OutputFile::create(target, false).expect_err("refused").to_string();
        assert_eq!(refused(folder.path()), "it exists and is not a regular file");
        assert_eq!(refused(Path::new("/dev/null")), "it exists and is not a regular file");
        assert_eq!(refused(Path::new("/")), "it names no file");
        // One that became a folder in between.
        let target = folder.path().join("out");
        let output = OutputFile::create(&target, false).expect("the folder can be written");
        fs::create_dir(&target).expect("a folder");
        assert!(output.commit().is_err());
        assert_eq!(names(folder.path()), ["out"]);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_those_of_other_tools() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let plain = folder.path().join("plain");
        fs::write(&plain, "").expect("it can be written");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        let target = folder.path().join("out");
        OutputFile::create(&target, false).and_then(OutputFile::commit).expect("it can be written");
        assert_eq!(mode(&target), mode(&plain));
        OutputFile::create(&target, true).and_then(OutputFile::commit).expect("it can be written");
        assert_eq!(mode(&target) & 0o700, 0o700);
    }
}
