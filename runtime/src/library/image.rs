//! Where the symbols of a library come from: a file, the memory of a JIT, or the running program.

use std::any::Any;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_void};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::error::RuntimeError;

/// Keeps the code of a library in memory.
pub(super) enum Image {
    File(libloading::Library),
    Owner { _owner: Box<dyn Any + Send + Sync> },
    System,
}

impl Image {
    /// Maps a shared library; all its symbols are bound at once, and stay private to it.
    pub(super) fn open(path: &Path) -> Result<Image, RuntimeError> {
        let fail = |reason: String| RuntimeError::Open { path: path.to_owned(), reason };
        // Before opening: to open a pipe is to wait for its writer.
        let found = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?;
        if !found.is_file() {
            return Err(fail("it is not a regular file".to_owned()));
        }
        let mut file = File::open(path).map_err(|error| fail(error.to_string()))?;
        if cfg!(target_os = "linux") {
            check_elf(&mut file).map_err(|reason| fail(reason.to_owned()))?;
        }
        drop(file);
        // A bare file name would be searched for on the system's library path.
        let full = std::path::absolute(path).map_err(|error| fail(error.to_string()))?;
        // SAFETY: loading runs the initialisers of the library: the caller of `Library::open` vouches for the file.
        #[cfg(unix)]
        let library = unsafe {
            use libloading::os::unix;
            unix::Library::open(Some(&full), unix::RTLD_NOW | unix::RTLD_LOCAL).map(Into::into)
        };
        #[cfg(not(unix))]
        // SAFETY: as above.
        let library = unsafe { libloading::Library::new(&full) };
        library.map(Image::File).map_err(|error| fail(error.to_string()))
    }

    /// Address of a symbol in a file.
    pub(super) fn symbol(&self, name: &str) -> Option<*const u8> {
        match self {
            // SAFETY: the address is not used here; whoever uses it keeps the library loaded.
            Image::File(library) => unsafe { library.get::<*const u8>(name) }.ok().map(|it| *it),
            Image::Owner { .. } => None,
            Image::System => system_symbol(name),
        }
    }
}

/// Refuses files that the system's loader would crash on: a cut-off library faults at its first missing page.
fn check_elf(file: &mut File) -> Result<(), &'static str> {
    const TRUNCATED: &str = "the file is cut off";
    let length = file.metadata().map_err(|_| "the length of the file cannot be read")?.len();
    let mut head = [0u8; 64];
    file.read_exact(&mut head).map_err(|_| "the file is too short for a library")?;
    if !head.starts_with(b"\x7fELF") {
        return Err("the file is no shared library (no ELF header)");
    }
    // 64-bit, little endian, shared object; anything else is left to the loader to explain.
    if head[4] != 2 || head[5] != 1 || head[16] != 3 {
        return Ok(());
    }
    let u64_at = |bytes: &[u8], at: usize| {
        bytes[at..at + 8].iter().rev().fold(0u64, |sum, &b| sum << 8 | u64::from(b))
    };
    let (table, size) = (u64_at(&head, 32), usize::from(head[54]));
    let count = usize::from(head[56]) | usize::from(head[57]) << 8;
    if size != 56 {
        return Ok(());
    }
    let mut headers = vec![0u8; count * size];
    std::io::Seek::seek(file, std::io::SeekFrom::Start(table)).map_err(|_| TRUNCATED)?;
    file.read_exact(&mut headers).map_err(|_| TRUNCATED)?;
    for header in headers.chunks_exact(size) {
        let end = u64_at(header, 8).checked_add(u64_at(header, 32));
        if end.is_none_or(|end| end > length) {
            return Err(TRUNCATED);
        }
    }
    Ok(())
}

struct Address(*const c_void);

// SAFETY: an address of the program itself, which is valid on every thread for as long as the program runs.
unsafe impl Send for Address {}

static SYSTEM: Mutex<BTreeMap<String, Address>> = Mutex::new(BTreeMap::new());

/// Registers a symbol of a model that is linked into the program itself; later registrations replace earlier ones.
///
/// Compiled models call this from their initialisers. Names carry the prefix of their model,
/// see [`orogen_abi::symbol::with_prefix`].
///
/// # Safety
/// `name` is NUL-terminated, and `address` is that of the symbol for as long as the program runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orogen_register_symbol(name: *const c_char, address: *const c_void) {
    if name.is_null() || address.is_null() {
        return;
    }
    // SAFETY: NUL-terminated by contract.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
    SYSTEM.lock().unwrap_or_else(PoisonError::into_inner).insert(name, Address(address));
}

fn system_symbol(name: &str) -> Option<*const u8> {
    let symbols = SYSTEM.lock().unwrap_or_else(PoisonError::into_inner);
    symbols.get(name).map(|it| it.0.cast())
}
