//! What values are in the plan: which share storage, how large they are.

use super::Lowering;
use orogen_ir::diag::Diagnostic;
use orogen_ir::flow::ValueId;
use orogen_ir::plan::{BufferRef, ObjectId, byte_size};
use orogen_ir::shape::{Dim, Overflow};
use orogen_ir::types::{Dims, TensorType};

/// What a value is in the plan.
#[derive(Clone, Debug)]
pub(super) enum Storage {
    Buffer(BufferRef),
    Object(ObjectId),
    Tuple(Vec<ValueId>),
}

impl<'a> Lowering<'a> {
    pub(super) fn tensor(&self, value: ValueId) -> Result<&'a TensorType, Diagnostic> {
        self.function[value].ty.as_tensor().ok_or_else(|| {
            Diagnostic::error(
                "M009",
                "a value of this type has no place in a call plan where a tensor is needed",
            )
            .help("functions, state, shapes and scalars have none: pass tensors, sequences or optionals")
        })
    }

    /// Bytes of a value of this type.
    pub(super) fn byte_size(&mut self, ty: &TensorType) -> Result<Dim, Diagnostic> {
        let dims = known_dims(ty)?;
        byte_size(&mut self.plan.shapes, ty.dtype, &dims).map_err(overflow)
    }

    pub(super) fn storage_of(&self, value: ValueId) -> Result<Storage, Diagnostic> {
        self.storage
            .get(value)
            .cloned()
            .ok_or_else(|| Diagnostic::error("M010", "a value is used before it has memory (law F1)"))
    }

    pub(super) fn buffer_of(&self, value: ValueId) -> Result<BufferRef, Diagnostic> {
        match self.storage_of(value)? {
            Storage::Buffer(buffer) => Ok(buffer),
            Storage::Tuple(_) | Storage::Object(_) => {
                Err(Diagnostic::error("M011", "a tuple or an object is used where a tensor is needed"))
            }
        }
    }
}

/// The dimensions of a type whose values get memory.
pub(super) fn known_dims(ty: &TensorType) -> Result<Dims, Diagnostic> {
    ty.dims().map(Into::into).ok_or_else(|| {
        Diagnostic::error("M012", "a value's shape is not known, so it cannot get memory")
            .help("the shape depends on data: bind it with a match_cast")
    })
}

/// What a size that does not fit is told as.
pub(super) fn overflow(_: Overflow) -> Diagnostic {
    Diagnostic::error("S002", "the size of a buffer overflows 64-bit integers")
}
