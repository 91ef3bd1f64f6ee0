//! Functions of the host that compiled models with texts and images call, and the operators that become such calls.
//!
//! Generated code moves strings and compares them; it makes none, and knows no alphabet, no regular expression and no image
//! format. What a model needs of these is computed by functions here, which a library finds by name. The runtime itself
//! holds none of them: a host that runs such libraries calls [`register`] once.
//!
//! ```
//! orogen_hosted::register();
//! assert!(orogen_runtime::extern_function("orogen.text.concat").is_ok());
//! ```
//!
//! With the feature `compiler`, `add_to` gives a compiler the operators of ONNX that are computed so.
//!
//! # Laws
//! * **H1** What a function computes depends on its operands and attributes alone: no locale of the process, no clock.
//! * **H2** No operand makes a function panic, or take memory beyond a multiple of its operands and results; an image whose
//!   pixels would take more than [`MAX_IMAGE`] bytes is an error.
//!
//! Modules in reading order: `array`, `functions`, `text`, `numbers`, `labels`, `grams`, `pattern`, `tokens`, `image`, `compiler`.

#![forbid(unsafe_code)]

mod array;
#[cfg(feature = "compiler")]
mod compiler;
mod functions;
mod grams;
#[cfg(feature = "images")]
mod image;
mod labels;
mod numbers;
#[cfg(feature = "regex")]
mod pattern;
mod text;
#[cfg(feature = "regex")]
mod tokens;

#[cfg(feature = "compiler")]
pub use compiler::add_to;
pub use functions::{names, register};

/// The most bytes that the pixels of an image may take: 256 MiB.
pub const MAX_IMAGE: usize = 1 << 28;
