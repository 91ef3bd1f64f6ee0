//! What lanes hold of an element type, and what stages do with elements.

use orogen_ir::loops::{Expr, Stage, TensorProgram};
use orogen_ir::types::DType;

use crate::kernels::element::Element;

/// What lanes hold of an element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// An `f32`.
    Float,
    /// An `i32`.
    Int,
    /// All bits of a lane, or none.
    Mask,
}

impl Class {
    /// The class of a type; `None` if lanes do not hold it.
    pub(crate) fn of(dtype: DType) -> Option<Class> {
        match dtype {
            DType::F32 | DType::F16 | DType::BF16 => Some(Class::Float),
            DType::I32 | DType::I16 | DType::I8 | DType::U16 | DType::U8 => Some(Class::Int),
            DType::Bool => Some(Class::Mask),
            _ => None,
        }
    }
}

/// Whether a stage only moves elements: even a NaN keeps its bits then.
pub(crate) fn moves(program: &TensorProgram, stage: &Stage) -> bool {
    stage.combine.is_none() && matches!(program.exprs[stage.value], Expr::Load { .. })
}

/// The elements of a type in a stage.
pub(crate) fn elements_in(program: &TensorProgram, stage: &Stage, dtype: DType) -> Option<Element> {
    if moves(program, stage) { Element::moved(dtype) } else { Element::of(dtype) }
}
