//! From a relocatable object to a shared library.
//!
//! [`ElfLinker`] writes x86-64 ELF libraries itself, in well under a millisecond plus the time to copy the weights;
//! no tool of the system is needed.
//! [`SystemLinker`] hands the work to a callback, for every other target and for signing or cross toolchains.
//!
//! Weights are [`Blob`]s: they never pass through the object file, but go straight to the output,
//! page-aligned, in a read-only segment of their own at the end of the library.
//!
//! **How generated code refers to a blob.** Declare the symbol as imported data (`Linkage::Import`, so not
//! colocated) and take its address with `symbol_value`: the code then loads a 64-bit address from the global offset
//! table, which reaches any distance. A 32-bit relative reference to a blob works while the library is smaller than
//! 2 GiB, and beyond that is a [`LinkError::OutOfRange`] that names the symbol.
//!
//! **Weak symbols.** A function declared with `Linkage::Preemptible` and not defined is null when the process
//! does not have it. Take its address with `func_addr` and compare before the call.
//!
//! Laws:
//!
//! - **L1** The same input gives the same bytes.
//! - **L2** The output appears complete under its name or not at all.
//! - **L3** What cannot be represented is an error that names the symbol or section; nothing wraps around.

mod elf;
mod error;
mod output;
mod system;

use std::path::Path;

pub use elf::ElfLinker;
pub use error::LinkError;
pub use output::OutputFile;
pub use system::{LinkCommand, SystemLinker};

/// Makes a shared library from an object file.
pub trait Linker {
    /// Writes the library to `output`, replacing what was there.
    ///
    /// # Errors
    /// Objects that cannot be linked, and outputs that cannot be written. `output` is then as it was before.
    fn link(&self, input: &LinkInput<'_>, output: &Path) -> Result<(), LinkError>;
}

/// What goes into a library.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkInput<'a> {
    /// A relocatable object file with position-independent code.
    pub object: &'a [u8],
    /// Constants that the object refers to by symbol.
    pub blobs: &'a [Blob<'a>],
    /// Name that the library carries inside (`DT_SONAME`).
    pub soname: Option<&'a str>,
    /// Libraries that must be loaded first (`DT_NEEDED`), such as `libm.so.6`.
    ///
    /// The C library is not among them: every process that can load a library has one, and naming it would tie the
    /// library to one vendor's.
    pub needed: &'a [&'a str],
    /// Symbols that the process provides; absent allows all. Weak symbols are always allowed.
    pub imports: Option<&'a [&'a str]>,
}

/// A large constant.
#[derive(Clone, Copy, Debug)]
pub struct Blob<'a> {
    /// The symbol under which the object refers to it. It is not exported.
    pub symbol: &'a str,
    /// Its content, in memory or in a mapped file.
    pub bytes: &'a [u8],
    /// Alignment in bytes, a power of two up to a page (4096).
    pub alignment: u64,
}
