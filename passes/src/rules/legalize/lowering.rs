//! What an operation becomes: a small program over values of the caller.
//!
//! A row writes one with the methods of [`Legalizer`](super::Legalizer); the drivers of both graph IRs run it. One
//! kernel is the usual case. An operation whose result has a size that only data knows runs a kernel that counts,
//! binds the count to a symbol, and goes on with kernels of that size.

use orogen_ir::kernel::Kernel;
use orogen_ir::loops::TensorProgram;
use orogen_ir::ops::Requirement;
use orogen_ir::shape::Dim;
use orogen_ir::types::Type;

/// A value of a lowering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// An operand of the operation.
    Operand(usize),
    /// What an earlier step made; steps number the values that they make one after the other.
    Made(usize),
}

/// One step. Dimensions and types are those of the caller.
#[derive(Clone, Debug)]
pub enum LowerStep {
    /// Calls a kernel; makes a value for each of its outputs.
    Kernel {
        /// The kernel.
        kernel: Box<Kernel>,
        /// What it reads.
        args: Vec<Value>,
        /// Its size arguments.
        sizes: Vec<Dim>,
        /// Types of the values that it makes.
        types: Vec<Type>,
    },
    /// Makes a value of the same bytes under another shape.
    View {
        /// Of which value.
        value: Value,
        /// The type of the new value.
        ty: Type,
    },
    /// Makes a value of a more precise type, which is asserted at run time. Its symbols that are not bound yet are
    /// bound, from dimensions and from elements.
    MatchCast {
        /// Of which value.
        value: Value,
        /// The type of the new value.
        ty: Type,
    },
    /// Ends the call with an error when a relation does not hold; makes nothing.
    Check(Requirement),
}

impl LowerStep {
    /// The types of the values that it makes.
    pub fn types(&self) -> &[Type] {
        match self {
            LowerStep::Kernel { types, .. } => types,
            LowerStep::View { ty, .. } | LowerStep::MatchCast { ty, .. } => std::slice::from_ref(ty),
            LowerStep::Check(_) => &[],
        }
    }
}

/// The lowering of an operation.
#[derive(Clone, Debug)]
pub struct Lowering {
    /// What runs, in order.
    pub steps: Vec<LowerStep>,
    /// The results of the operation.
    pub results: Vec<Value>,
}

impl Lowering {
    /// The program, when the operation is one kernel and nothing else.
    pub fn single_kernel(&self) -> Option<&TensorProgram> {
        match &self.steps[..] {
            [LowerStep::Kernel { kernel, .. }] => kernel.program(),
            _ => None,
        }
    }
}
