//! Finished code in a module: an object file or the memory of this process.
//!
//! Functions are compiled in parallel and added in a fixed order, so that equal input gives equal bytes.

mod code;
mod fill;
mod loader;
mod record;

use cranelift_module::default_libcall_names;
use cranelift_object::{ObjectBuilder, ObjectModule};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::types::Bytes;

use crate::compile::Compiled;
use crate::link;

pub use loader::Loaded;
pub(crate) use loader::load;

/// A constant that the code refers to by symbol.
#[derive(Clone, Debug)]
pub struct Blob {
    /// The symbol; it is not exported.
    pub symbol: String,
    /// The content.
    pub bytes: Bytes,
    /// Alignment in bytes, a power of two.
    pub alignment: u64,
}

impl Blob {
    /// The form that the linker takes.
    pub fn for_link(&self) -> link::Blob<'_> {
        link::Blob {
            symbol: &self.symbol,
            source: link::BlobSource::Bytes(&self.bytes),
            alignment: self.alignment,
        }
    }
}

/// An object file and what it refers to.
#[derive(Clone, Debug)]
pub struct ObjectOutput {
    /// The file.
    pub bytes: Vec<u8>,
    /// Constants that it imports.
    pub blobs: Vec<Blob>,
}

/// The code as an object file.
pub(crate) fn emit(compiled: &Compiled) -> Result<ObjectOutput, Diagnostics> {
    let isa = compiled.isa(true)?;
    let fail = |message: String| Diagnostic::error("C003", format!("cannot write an object file: {message}"));
    let builder = ObjectBuilder::new(isa.clone(), "orogen", default_libcall_names())
        .map_err(|error| fail(error.to_string()))?;
    let mut module = ObjectModule::new(builder);
    let finished = code::compile(&*isa, &compiled.units, &compiled.routines)?;
    fill::fill(&mut module, compiled, &finished)?;
    let bytes = module.finish().emit().map_err(|error| fail(error.to_string()))?;
    Ok(ObjectOutput { bytes, blobs: compiled.blobs.clone() })
}
