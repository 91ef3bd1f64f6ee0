//! Relations between types: implication and join.

use crate::diag::Diagnostic;
use crate::shape::{Dim, ShapeCx, Sym};
use crate::types::{ShapeInfo, TensorType, Type};
use indexmap::IndexMap;

/// Calls `visit` with every dimension of a type: of shapes, elements and scalars.
pub fn visit_dims(ty: &Type, visit: &mut dyn FnMut(Dim)) {
    let mut shape_dims = |shape: &ShapeInfo| shape.known().into_iter().flatten().for_each(|it| visit(*it));
    match ty {
        Type::Tensor(it) => {
            shape_dims(&it.shape);
            it.elements.iter().flatten().for_each(|it| visit(*it));
        }
        Type::Shape(shape) => shape_dims(shape),
        Type::Scalar(_, value) => value.iter().for_each(|it| visit(*it)),
        Type::Tuple(items) => items.iter().for_each(|it| visit_dims(it, visit)),
        Type::Sequence(item) | Type::Optional(item) | Type::State(item) => visit_dims(item, visit),
        // The symbols of a function type are bound by its own parameters.
        Type::Function(_) | Type::Object => {}
    }
}

/// The type with every dimension replaced.
pub fn map_dims<E>(ty: &Type, map: &mut dyn FnMut(Dim) -> Result<Dim, E>) -> Result<Type, E> {
    let shape_dims = |shape: &ShapeInfo, map: &mut dyn FnMut(Dim) -> Result<Dim, E>| {
        Ok(match shape {
            ShapeInfo::Known(dims) => {
                ShapeInfo::Known(dims.iter().map(|it| map(*it)).collect::<Result<_, _>>()?)
            }
            other => other.clone(),
        })
    };
    Ok(match ty {
        Type::Tensor(it) => Type::Tensor(TensorType {
            dtype: it.dtype,
            shape: shape_dims(&it.shape, map)?,
            elements: match &it.elements {
                Some(list) => Some(list.iter().map(|it| map(*it)).collect::<Result<_, _>>()?),
                None => None,
            },
        }),
        Type::Shape(shape) => Type::Shape(shape_dims(shape, map)?),
        Type::Scalar(dtype, value) => Type::Scalar(*dtype, value.map(map).transpose()?),
        Type::Tuple(items) => {
            Type::Tuple(items.iter().map(|it| map_dims(it, map)).collect::<Result<_, _>>()?)
        }
        Type::Sequence(item) => Type::Sequence(Box::new(map_dims(item, map)?)),
        Type::Optional(item) => Type::Optional(Box::new(map_dims(item, map)?)),
        Type::State(item) => Type::State(Box::new(map_dims(item, map)?)),
        Type::Function(_) | Type::Object => ty.clone(),
    })
}

/// The symbols that a type binds: those that are a whole dimension, element or scalar of it.
pub fn bound_symbols(shapes: &ShapeCx, ty: &Type, out: &mut dyn FnMut(Sym)) {
    visit_dims(ty, &mut |dim| shapes.as_sym(dim).into_iter().for_each(&mut *out));
}

/// Whether every value of type `specific` is provably of type `general`.
pub fn implies(shapes: &ShapeCx, specific: &Type, general: &Type) -> bool {
    relate(specific, general, &mut |a, b| a == b || shapes.prove_eq(a, b).is_always())
}

/// Whether `actual` fits the pattern `formal`, whose symbols stand for any dimension: those not yet in `map` are
/// bound to what they meet; a dimension that is more than a symbol must be equal once all are bound.
pub fn match_type(shapes: &mut ShapeCx, formal: &Type, actual: &Type, map: &mut IndexMap<Sym, Dim>) -> bool {
    let mut pairs = Vec::new();
    let fits = relate(actual, formal, &mut |a, f| {
        pairs.push((f, a));
        true
    });
    for (formal, actual) in &pairs {
        if let Some(sym) = shapes.as_sym(*formal) {
            map.entry(sym).or_insert(*actual);
        }
    }
    fits && pairs.into_iter().all(|(formal, actual)| {
        shapes.substitute(formal, map).is_ok_and(|it| shapes.prove_eq(it, actual).is_always())
    })
}

/// Walks two types; `equal` decides dimensions (specific, general).
fn relate(specific: &Type, general: &Type, equal: &mut dyn FnMut(Dim, Dim) -> bool) -> bool {
    match (specific, general) {
        (Type::Tensor(a), Type::Tensor(b)) => {
            a.dtype == b.dtype
                && relate_shapes(&a.shape, &b.shape, equal)
                && match (&a.elements, &b.elements) {
                    (_, None) => true,
                    (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(*a, *b)),
                    (None, Some(_)) => false,
                }
        }
        (Type::Shape(a), Type::Shape(b)) => relate_shapes(a, b, equal),
        (Type::Scalar(a, _), Type::Scalar(b, None)) => a == b,
        (Type::Scalar(a, Some(x)), Type::Scalar(b, Some(y))) => a == b && equal(*x, *y),
        (Type::Tuple(a), Type::Tuple(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| relate(a, b, equal))
        }
        (Type::Sequence(a), Type::Sequence(b)) | (Type::Optional(a), Type::Optional(b)) => {
            relate(a, b, equal)
        }
        // State is written as well as read, so its content may not be generalised: both directions.
        (Type::State(a), Type::State(b)) => relate(a, b, equal) && relate(b, a, &mut |_, _| true),
        (Type::Function(a), Type::Function(b)) => a == b,
        (_, Type::Object) => true,
        _ => false,
    }
}

fn relate_shapes(specific: &ShapeInfo, general: &ShapeInfo, equal: &mut dyn FnMut(Dim, Dim) -> bool) -> bool {
    match (specific, general) {
        (_, ShapeInfo::Unknown) => true,
        (_, ShapeInfo::Rank(rank)) => specific.rank() == Some(usize::from(*rank)),
        (ShapeInfo::Known(a), ShapeInfo::Known(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(*a, *b))
        }
        _ => false,
    }
}

/// What a join does with elements that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinElements {
    /// Fresh symbols stand for those that are sizes on both sides; otherwise they are forgotten.
    Fresh,
    /// They are forgotten: what changes from iteration to iteration is no symbol.
    Forget,
}

/// How two types are joined.
pub struct Join<'a> {
    /// Where dimensions live.
    pub shapes: &'a mut ShapeCx,
    /// Whether a symbol means the same outside; an expression over others is replaced even when both sides agree.
    pub bound: &'a dyn Fn(Sym) -> bool,
    /// Base name of fresh symbols.
    pub hint: &'a str,
    /// What to do with elements that differ.
    pub elements: JoinElements,
}

impl Join<'_> {
    /// The most precise type that both imply, with fresh symbols for dimensions that differ.
    ///
    /// Tensors of different rank join to an unknown shape. Types of different kind or element type have no join.
    pub fn types(&mut self, a: &Type, b: &Type) -> Result<Type, Diagnostic> {
        match (a, b) {
            (Type::Tensor(x), Type::Tensor(y)) if x.dtype == y.dtype => {
                let shape = self.shape(&x.shape, &y.shape);
                let elements = match (&x.elements, &y.elements) {
                    (Some(p), Some(q)) if p.len() == q.len() && shape.known().is_some() => {
                        p.iter().zip(q).map(|(p, q)| self.element(*p, *q)).collect()
                    }
                    _ => None,
                };
                // Elements are tracked for constant shapes only.
                let constant =
                    shape.known().is_some_and(|it| it.iter().all(|d| self.shapes.as_int(*d).is_some()));
                Ok(Type::Tensor(TensorType {
                    dtype: x.dtype,
                    shape,
                    elements: elements.filter(|_| constant),
                }))
            }
            (Type::Shape(x), Type::Shape(y)) => Ok(Type::Shape(self.shape(x, y))),
            (Type::Scalar(x, p), Type::Scalar(y, q)) if x == y => Ok(Type::Scalar(
                *x,
                match (p, q) {
                    (Some(p), Some(q)) => self.element(*p, *q),
                    _ => None,
                },
            )),
            (Type::Tuple(x), Type::Tuple(y)) if x.len() == y.len() => {
                Ok(Type::Tuple(x.iter().zip(y).map(|(x, y)| self.types(x, y)).collect::<Result<_, _>>()?))
            }
            (Type::Sequence(x), Type::Sequence(y)) => Ok(Type::Sequence(Box::new(self.types(x, y)?))),
            (Type::Optional(x), Type::Optional(y)) => Ok(Type::Optional(Box::new(self.types(x, y)?))),
            _ if a == b => Ok(a.clone()),
            _ => {
                let (a, b) = (crate::text::type_text(self.shapes, a), crate::text::type_text(self.shapes, b));
                Err(Diagnostic::error("B010", format!("`{a}` and `{b}` have no common type")))
            }
        }
    }

    fn known_outside(&self, dim: Dim) -> bool {
        self.shapes.free_symbols(dim).iter().all(|it| (self.bound)(*it))
    }

    fn shape(&mut self, a: &ShapeInfo, b: &ShapeInfo) -> ShapeInfo {
        match (a, b) {
            (ShapeInfo::Known(x), ShapeInfo::Known(y)) if x.len() == y.len() => {
                ShapeInfo::Known(x.iter().zip(y).map(|(x, y)| self.dim(*x, *y)).collect())
            }
            _ => match (a.rank(), b.rank()) {
                (Some(x), Some(y)) if x == y => u8::try_from(x).map_or(ShapeInfo::Unknown, ShapeInfo::Rank),
                _ => ShapeInfo::Unknown,
            },
        }
    }

    fn dim(&mut self, a: Dim, b: Dim) -> Dim {
        if (a == b || self.shapes.prove_eq(a, b).is_always()) && self.known_outside(a) {
            return a;
        }
        if a == b && self.shapes.as_sym(a).is_some() {
            // Bound on both sides under one name: the join binds it again.
            return a;
        }
        self.shapes.fresh(self.hint)
    }

    fn element(&mut self, a: Dim, b: Dim) -> Option<Dim> {
        if (a == b || self.shapes.prove_eq(a, b).is_always()) && self.known_outside(a) {
            return Some(a);
        }
        let size = |dim| self.shapes.bounds(dim).lo.is_some_and(|lo| lo >= 0);
        (self.elements == JoinElements::Fresh && size(a) && size(b)).then(|| self.shapes.fresh(self.hint))
    }
}
