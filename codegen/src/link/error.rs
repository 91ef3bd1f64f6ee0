//! Why a library could not be made.

use std::fmt;
use std::path::PathBuf;

/// Why a library could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkError {
    /// The object file is damaged.
    Object {
        /// What is wrong with it.
        reason: String,
    },
    /// The object needs something that this linker does not do.
    Unsupported {
        /// What it needs.
        what: String,
    },
    /// Symbols that nothing defines.
    Undefined {
        /// All of them.
        symbols: Vec<String>,
    },
    /// A symbol has two definitions.
    Duplicate {
        /// The symbol.
        symbol: String,
    },
    /// A reference does not reach its target.
    OutOfRange {
        /// The target.
        symbol: String,
        /// Section and offset of the reference.
        place: String,
        /// Bits that the reference has.
        bits: u32,
    },
    /// An address in memory that is not writable at load.
    TextRelocation {
        /// The target.
        symbol: String,
        /// Section and offset of the reference.
        place: String,
    },
    /// A blob is not what it claims to be.
    Blob {
        /// Its symbol.
        symbol: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The library cannot be written.
    Write {
        /// The library.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The link callback failed.
    Tool {
        /// What it says.
        reason: String,
    },
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Object { reason } => write!(f, "the object file is damaged: {reason}"),
            LinkError::Unsupported { what } => {
                write!(f, "the built-in linker does not do {what}\nhelp: link with a system linker instead")
            }
            LinkError::Undefined { symbols } => {
                let names: Vec<String> = symbols.iter().map(|it| format!("`{it}`")).collect();
                write!(f, "nothing defines {}", names.join(", "))
            }
            LinkError::Duplicate { symbol } => write!(f, "`{symbol}` is defined twice"),
            LinkError::OutOfRange { symbol, place, bits } => write!(
                f,
                "`{symbol}` is too far away for the {bits}-bit reference at {place}\n\
                 help: refer to large constants through the global offset table"
            ),
            LinkError::TextRelocation { symbol, place } => write!(
                f,
                "the address of `{symbol}` is stored at {place}, which is read-only when the library loads"
            ),
            LinkError::Blob { symbol, reason } => write!(f, "constant `{symbol}`: {reason}"),
            LinkError::Write { path, reason } => write!(f, "cannot write `{}`: {reason}", path.display()),
            LinkError::Tool { reason } => write!(f, "the system linker failed: {reason}"),
        }
    }
}

impl std::error::Error for LinkError {}
