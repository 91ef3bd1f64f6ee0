//! Generated code in the memory of this process.
#![allow(unsafe_code, reason = "this is the loader of generated code")]

use orogen_codegen::Compiled;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_runtime::Library;
use std::sync::Arc;

pub(crate) fn load(name: &str, compiled: &Compiled) -> Result<Library, Diagnostics> {
    let loaded = Arc::new(compiled.jit()?);
    let symbols = Arc::clone(&loaded);
    // SAFETY: the code generator defines the symbols as `orogen_abi` describes them, and the library keeps the
    // memory they lie in.
    let library = unsafe { Library::from_jit(name, Box::new(loaded), &mut |symbol| symbols.symbol(symbol)) };
    library.map_err(|error| Diagnostic::error("D003", error.to_string()).into())
}
