//! What lanes hold of an element type, and what stages do with elements.

use orogen_ir::loops::{Combine, Expr, ExprId, Stage, TensorProgram};
use orogen_ir::types::DType;

use crate::kernels::element::Element;
use crate::vector::Width;

/// What lanes hold of an element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A float of the width of lanes.
    Float,
    /// An integer of the width of lanes.
    Int,
    /// All bits of a lane, or none.
    Mask,
    /// A float of 16 bits by its bits, in lanes that hold no floats ([`super::halves`]).
    Half,
}

impl Class {
    /// The class of a type; `None` if lanes of a width do not hold it.
    pub(crate) fn of(dtype: DType, width: Width) -> Option<Class> {
        Element::in_lanes(dtype, width)?;
        Some(match dtype {
            DType::Bool => Class::Mask,
            _ if dtype.is_float() && !width.has_floats() => Class::Half,
            _ if dtype.is_float() => Class::Float,
            _ => Class::Int,
        })
    }
}

/// Whether a stage only moves elements: even a NaN keeps its bits then.
pub(crate) fn moves(program: &TensorProgram, stage: &Stage) -> bool {
    stage.combine.is_none() && matches!(program.exprs[stage.value], Expr::Load { .. })
}

/// The elements of a type in a stage.
pub(crate) fn elements_in(
    program: &TensorProgram,
    stage: &Stage,
    dtype: DType,
    width: Width,
) -> Option<Element> {
    if moves(program, stage) { Element::moved(dtype, width) } else { Element::in_lanes(dtype, width) }
}

/// The lane of a number; booleans are masks. `None` if lanes do not hold the type, or by its bits not the number.
pub(crate) fn lane_of(dtype: DType, width: Width, value: f64) -> Option<u64> {
    Some(match Class::of(dtype, width)? {
        Class::Float if dtype == DType::F64 => width.float(value),
        Class::Float => width.float(f64::from(value as f32)),
        Class::Int => width.int(dtype.saturate(value)),
        Class::Half => {
            let bits = dtype.float_bits(value);
            return (dtype.float_value(bits) == value).then_some(bits);
        }
        Class::Mask if value == 0.0 => 0,
        Class::Mask => width.ones(),
    })
}

/// The value of an empty reduction, as a lane; booleans are 0 or 1.
pub(crate) fn identity(combine: Combine, dtype: DType, width: Width) -> Option<u64> {
    let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
    let value = match combine {
        Combine::Sum => 0.0,
        Combine::Product => 1.0,
        Combine::Max => low,
        Combine::Min => high,
    };
    match Class::of(dtype, width)? {
        Class::Mask => Some(u64::from(value > 0.0)),
        _ => lane_of(dtype, width, value),
    }
}

/// The f32 under casts to integers that only widen after the first, and the type of the first.
pub(crate) fn integer_source(program: &TensorProgram, id: ExprId) -> Option<(ExprId, DType)> {
    let Expr::Cast(to, inner) = &program.exprs[id] else { return None };
    let from = program.dtype_of(*inner);
    if !to.is_int() {
        return None;
    }
    if from == DType::F32 {
        return Some((*inner, *to));
    }
    let widens = from.is_int()
        && (from.size() < to.size() || from == *to)
        && (to.is_signed_int() || !from.is_signed_int());
    if widens { integer_source(program, *inner) } else { None }
}
