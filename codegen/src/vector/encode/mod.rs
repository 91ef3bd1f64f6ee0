//! Encoders: the same program for different machines.

pub mod clif;
pub mod x86;

use cranelift_codegen::isa::CallConv;
use cranelift_frontend::FunctionBuilderContext;
use cranelift_module::{FuncId, Linkage, Module, ModuleError};

use super::{Isa, Program};
use x86::EncodeError;

/// Machine code starts at a multiple of this.
const ALIGNMENT: u64 = 64;

/// Why a program could not be put into a module.
#[derive(Debug)]
pub enum DefineError {
    /// The x86 encoder failed.
    Encode(EncodeError),
    /// Cranelift failed.
    Module(Box<ModuleError>),
}

impl std::fmt::Display for DefineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DefineError::Encode(e) => e.fmt(f),
            DefineError::Module(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for DefineError {}

impl From<EncodeError> for DefineError {
    fn from(e: EncodeError) -> Self {
        DefineError::Encode(e)
    }
}

impl From<ModuleError> for DefineError {
    fn from(e: ModuleError) -> Self {
        DefineError::Module(Box::new(e))
    }
}

/// The calling convention of vector programs in a module: System V where x86 code can be made, else the default.
pub fn call_conv(module: &dyn Module) -> CallConv {
    match module.isa().triple().architecture {
        target_lexicon::Architecture::X86_64 => CallConv::SystemV,
        _ => module.isa().default_call_conv(),
    }
}

/// Declares a local function for a program of `params` parameters.
pub fn declare(module: &mut dyn Module, name: &str, params: usize) -> Result<FuncId, DefineError> {
    let signature = clif::signature(params, call_conv(module));
    Ok(module.declare_function(name, Linkage::Local, &signature)?)
}

/// Encodes a program for `isa` and defines a function that [`declare`] made.
pub fn define(module: &mut dyn Module, id: FuncId, program: &Program, isa: Isa) -> Result<(), DefineError> {
    if isa != Isa::Clif128 {
        let code = x86::encode(program, isa)?;
        module.define_function_bytes(id, ALIGNMENT, &code, &[])?;
        return Ok(());
    }
    super::verify::verify(program).map_err(|v| EncodeError::Invalid(v[0].to_string()))?;
    let mut context = module.make_context();
    context.func.signature = clif::signature(program.params.len(), call_conv(module));
    clif::encode(program, &mut context.func, &mut FunctionBuilderContext::new(), module.isa());
    module.define_function(id, &mut context)?;
    Ok(())
}
