//! Arrays in `.npz` files, as NumPy writes them: a zip archive with one `.npy` file for each array.
//!
//! The format is [NEP 1](https://numpy.org/neps/nep-0001-npy-format.html): a short header in the syntax of a Python
//! dictionary, then the elements. An [`Array`] is its elements as bytes, row-major and little-endian, whatever
//! the file held; callers give them a type.
//!
//! ```
//! use orogen_npz::{Archive, Array, Kind, Writer};
//!
//! let mut writer = Writer::new();
//! writer.add("x", &Array { kind: Kind::Float(4), shape: vec![2], bytes: [1f32, 2.0].map(f32::to_le_bytes).concat() })?;
//! let file = std::io::Cursor::new(writer.finish()?);
//! let mut archive = Archive::new(file)?;
//! assert_eq!(archive.keys(), ["x"]);
//! assert_eq!(archive.read("x")?.shape, [2]);
//! # Ok::<(), orogen_npz::Error>(())
//! ```
//!
//! Laws: N1, no more memory is taken than the file has elements, whatever its header claims; N2, what is written is
//! read back, bit for bit.
//!
//! Modules in reading order: `header`, `array`, `archive`.

mod archive;
mod array;
mod header;

pub use archive::{Archive, Writer};
pub use array::{Array, Kind};

use std::fmt;

/// Why a file or an array cannot be read or written, as a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub(crate) String);

impl Error {
    pub(crate) fn new(text: impl fmt::Display) -> Self {
        Error(text.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
