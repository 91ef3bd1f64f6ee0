//! Sums of products, and what they multiply.

use orogen_ir::loops::{BinaryOp, Combine, Expr, ExprId, Stage, TensorProgram};
use orogen_ir::types::DType;

use crate::kernels::element::Element;
use crate::kernels::gemm::Arithmetic;
use crate::vector::Width;

/// A factor of a product: a load, converted, less its zero point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term {
    /// The load.
    pub(crate) load: ExprId,
    /// How its elements lie in memory.
    pub(crate) element: Element,
    /// The load of the zero point: an element of the same kind, but for what is scaled, where it may be a number.
    pub(crate) zero: Option<ExprId>,
    /// The load of the scale, or a number, in products of floats.
    pub(crate) scale: Option<ExprId>,
}

/// A sum of products.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Products {
    /// How they are computed.
    pub(crate) arithmetic: Arithmetic,
    /// Whether products of integers are added as floats.
    pub(crate) floats: bool,
    /// The two factors.
    pub(crate) terms: [Term; 2],
}

/// A stage that sums products of two loads, in `f32`, `f64`, or integers of 32 or 64 bits.
pub(crate) fn products(program: &TensorProgram, stage: &Stage) -> Option<Products> {
    if stage.combine != Some(Combine::Sum) {
        return None;
    }
    let dtype = program.buffers[stage.buffer].dtype;
    if let Expr::Cast(DType::F32, value) = program.exprs[stage.value] {
        let Expr::Binary(BinaryOp::Mul, x, y) = program.exprs[value] else { return None };
        // Bytes at most, so that no part of a sum wraps: two products of 16 bits may be too large for 32.
        let factor =
            |id| integer(program, id, DType::I32, Width::W32).filter(|it| it.element.is_paired(true));
        let terms = [factor(x)?, factor(y)?];
        let exact = dtype == DType::F32 && program.dtype_of(value) == DType::I32;
        return exact.then_some(Products { arithmetic: Arithmetic::Pairs, floats: true, terms });
    }
    let Expr::Binary(BinaryOp::Mul, x, y) = &program.exprs[stage.value] else { return None };
    let (arithmetic, terms) = match (dtype.is_float(), dtype.is_int(), dtype.bits()) {
        (true, _, 32) => (Arithmetic::Float, [float(program, *x)?, float(program, *y)?]),
        (true, _, 64) => (Arithmetic::Double, [double(program, *x)?, double(program, *y)?]),
        (_, true, 32) => {
            let factor = |id| integer(program, id, dtype, Width::W32);
            let terms = [factor(*x)?, factor(*y)?];
            let pairs = terms.iter().all(|it| it.element.is_paired(it.zero.is_some()));
            (if pairs { Arithmetic::Pairs } else { Arithmetic::Int }, terms)
        }
        (_, true, 64) => {
            let factor = |id| integer(program, id, dtype, Width::W64).filter(is_wide);
            (Arithmetic::Long, [factor(*x)?, factor(*y)?])
        }
        _ => return None,
    };
    Some(Products { arithmetic, floats: false, terms })
}

/// The load under casts to a type, and the type that it is of.
fn load(program: &TensorProgram, mut id: ExprId, to: DType) -> Option<(ExprId, DType)> {
    while let Expr::Cast(dtype, inner) = &program.exprs[id] {
        if *dtype != to {
            return None;
        }
        id = *inner;
    }
    matches!(program.exprs[id], Expr::Load { .. }).then(|| (id, program.dtype_of(id)))
}

/// A load under casts to `f32`, or a number, and its type.
fn load_or_number(program: &TensorProgram, id: ExprId) -> Option<(ExprId, DType)> {
    match program.exprs[id] {
        Expr::Float(_, dtype) => (dtype == DType::F32).then_some((id, dtype)),
        _ => load(program, id, DType::F32),
    }
}

/// A float, or an integer less its zero point that `f32` holds exactly; scaled, perhaps.
fn float(program: &TensorProgram, id: ExprId) -> Option<Term> {
    if let Expr::Binary(BinaryOp::Mul, value, scale) = &program.exprs[id] {
        let (scale, of_scale) = load_or_number(program, *scale)?;
        let (value, zero) = match &program.exprs[*value] {
            Expr::Binary(BinaryOp::Sub, value, zero) => (*value, Some(load_or_number(program, *zero)?)),
            _ => (*value, None),
        };
        let (load, dtype) = load(program, value, DType::F32)?;
        let element = Element::in_lanes(dtype, Width::W32)?;
        let is_number = |dtype: DType| {
            let element = Element::in_lanes(dtype, Width::W32);
            dtype.is_float() || element.is_some_and(Element::is_narrow_int) && dtype != DType::Bool
        };
        let fits = is_number(dtype) && of_scale.is_float() && zero.is_none_or(|it| is_number(it.1));
        return fits.then_some(Term { load, element, zero: zero.map(|it| it.0), scale: Some(scale) });
    }
    let (value, zero) = match &program.exprs[id] {
        Expr::Binary(BinaryOp::Sub, value, zero) => (*value, Some(load(program, *zero, DType::F32)?)),
        _ => (id, None),
    };
    let (load, dtype) = load(program, value, DType::F32)?;
    let element = Element::in_lanes(dtype, Width::W32)?;
    let fits = match zero {
        Some((_, of)) => element.is_narrow_int() && of == dtype,
        None => element.is_narrow_int() && dtype != DType::Bool || dtype.is_float(),
    };
    fits.then_some(Term { load, element, zero: zero.map(|it| it.0), scale: None })
}

fn double(program: &TensorProgram, id: ExprId) -> Option<Term> {
    let (load, dtype) = load(program, id, DType::F64)?;
    let element = Element::in_lanes(dtype, Width::W64).filter(|_| dtype.is_float())?;
    Some(Term { load, element, zero: None, scale: None }).filter(is_wide)
}

/// Lanes of 64 bits are multiplied as they lie in memory.
fn is_wide(term: &Term) -> bool {
    term.element == Element::lane(Width::W64)
}

/// A factor in the integers of a type, which lanes of a width hold.
fn integer(program: &TensorProgram, id: ExprId, to: DType, width: Width) -> Option<Term> {
    let (value, zero) = match &program.exprs[id] {
        Expr::Binary(BinaryOp::Sub, value, zero) => (*value, Some(load(program, *zero, to)?)),
        _ => (id, None),
    };
    let (load, dtype) = load(program, value, to)?;
    let element = Element::in_lanes(dtype, width).filter(|_| dtype.is_int())?;
    let same = zero.is_none_or(|(_, of)| of == dtype);
    same.then(|| Term { load, element, zero: zero.map(|it| it.0), scale: None })
}
