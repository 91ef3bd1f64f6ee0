//! Vector routines that kernels call.

use cranelift_module::{FuncId, Module};

use crate::kernels::conv::{Convolution, Depthwise, SlidingWindow};
use crate::kernels::gemm::Gemm;
use crate::vector::encode::{self, DefineError};
use crate::vector::{Isa, Program};

/// A routine; all parameters are 64-bit, there is no result.
#[derive(Clone, Debug)]
pub(crate) enum Routine {
    /// A vector program.
    Program(Box<Program>, Isa),
    /// A matrix multiplication.
    Gemm(Box<Gemm>),
    /// A convolution.
    Convolution(Box<Convolution>),
    /// A depthwise convolution.
    Depthwise(Box<Depthwise>),
    /// A pooling.
    Window(Box<SlidingWindow>),
}

impl Routine {
    /// Defines the routine, and what it calls, as local functions; their names start with `name`.
    pub(crate) fn emit(&self, module: &mut dyn Module, name: &str) -> Result<FuncId, DefineError> {
        match self {
            Routine::Program(program, isa) => {
                let id = encode::declare(module, name, program.params.len())?;
                encode::define(module, id, program, *isa)?;
                Ok(id)
            }
            Routine::Gemm(it) => it.emit(module, name),
            Routine::Convolution(it) => it.emit(module, name),
            Routine::Depthwise(it) => it.emit(module, name),
            Routine::Window(it) => it.emit(module, name),
        }
    }
}

/// The symbol of a routine: equal descriptions are one routine.
///
/// `key` says everything that decides the code. Routines of one library whose keys differ only by a collision of
/// 64-bit hashes would be confused; with a few thousand routines the odds are below 10⁻¹².
pub(crate) fn symbol(kind: &str, key: &str) -> String {
    // FNV-1a
    let hash = key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("orogen.{kind}.{hash:016x}")
}
