//! Finished code in a module: an object file or the memory of this process.
//!
//! Functions are compiled in parallel and added in a fixed order, so that equal input gives equal bytes.

mod code;
mod common;
mod fill;
mod listing;
mod loader;
mod record;
mod share;
mod unit;

use cranelift_module::default_libcall_names;
use cranelift_object::{ObjectBuilder, ObjectModule};
use orogen_ir::diag::{Diagnostic, Diagnostics};

use crate::library::{Blob, Compiled, LibraryCode};

pub use listing::View;
pub use loader::Loaded;
use loader::load;

/// An object file and what it refers to.
#[derive(Clone, Debug)]
pub struct ObjectOutput {
    /// The file.
    pub bytes: Vec<u8>,
    /// Constants that it imports.
    pub blobs: Vec<Blob>,
}

impl Compiled {
    /// An object file and the constants that it refers to.
    ///
    /// # Errors
    /// Code that the target cannot express.
    pub fn object(&self) -> Result<ObjectOutput, Diagnostics> {
        emit(self)
    }

    /// How much machine code each kernel is, and all of it.
    ///
    /// # Errors
    /// Code that the target cannot express.
    pub fn code(&self) -> Result<LibraryCode, Diagnostics> {
        let isa = self.isa(true)?;
        let code = code::compile(self, &*isa)?;
        Ok(code::sizes(&code, &self.kernels))
    }

    /// The code in the memory of this process.
    ///
    /// # Errors
    /// Targets other than the host, and no memory for code.
    pub fn jit(&self) -> Result<Loaded, Diagnostics> {
        load(self)
    }
}

/// The code as an object file.
fn emit(compiled: &Compiled) -> Result<ObjectOutput, Diagnostics> {
    let isa = compiled.isa(true)?;
    let fail = |message: String| Diagnostic::error("C003", format!("cannot write an object file: {message}"));
    let builder = ObjectBuilder::new(isa.clone(), "orogen", default_libcall_names())
        .map_err(|error| fail(error.to_string()))?;
    let mut module = ObjectModule::new(builder);
    let finished = code::compile(compiled, &*isa)?;
    fill::fill(&mut module, compiled, &finished)?;
    let bytes = module.finish().emit().map_err(|error| fail(error.to_string()))?;
    Ok(ObjectOutput { bytes, blobs: compiled.blobs.clone() })
}
