//! Walking types, and relations between them.

use super::{ShapeInfo, TensorType, Type};
use crate::shape::{Dim, ShapeCx, Sym};
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
        Type::Map(key, value) => {
            visit_dims(key, visit);
            visit_dims(value, visit);
        }
        // The symbols of a function type are bound by its own parameters.
        Type::Function(_) | Type::String | Type::Object => {}
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
        Type::Map(key, value) => Type::Map(Box::new(map_dims(key, map)?), Box::new(map_dims(value, map)?)),
        Type::State(item) => Type::State(Box::new(map_dims(item, map)?)),
        Type::Function(_) | Type::String | Type::Object => ty.clone(),
    })
}

/// The symbols that a type binds: those that are a whole dimension, element or scalar of it, but not of items.
pub fn bound_symbols(shapes: &ShapeCx, ty: &Type, out: &mut dyn FnMut(Sym)) {
    match ty {
        Type::Tuple(items) => items.iter().for_each(|it| bound_symbols(shapes, it, out)),
        Type::Sequence(_) | Type::Optional(_) | Type::Map(..) => {}
        ty => visit_dims(ty, &mut |dim| shapes.as_sym(dim).into_iter().for_each(&mut *out)),
    }
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
        (Type::Map(a, x), Type::Map(b, y)) => relate(a, b, equal) && relate(x, y, equal),
        (Type::String, Type::String) => true,
        // State is written as well as read, so its content may not be generalised: both directions.
        (Type::State(a), Type::State(b)) => relate(a, b, equal) && relate(b, a, &mut |_, _| true),
        (Type::Function(a), Type::Function(b)) => a == b,
        (_, Type::Object) => true,
        _ => false,
    }
}

fn relate_shapes(specific: &ShapeInfo, general: &ShapeInfo, equal: &mut dyn FnMut(Dim, Dim) -> bool) -> bool {
    match (specific, general) {
        (_, ShapeInfo::Unknown) | (ShapeInfo::Never, _) => true,
        (_, ShapeInfo::Rank(rank)) => specific.rank() == Some(usize::from(*rank)),
        (ShapeInfo::Known(a), ShapeInfo::Known(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(*a, *b))
        }
        _ => false,
    }
}

/// Whether a value of type `from` can be a `to`, as far as kinds, element types and ranks go; collects the
/// dimensions that are known on both sides.
pub fn pair_dims(from: &Type, to: &Type, pairs: &mut Vec<(Dim, Dim)>) -> bool {
    match (from, to) {
        (Type::Tensor(a), Type::Tensor(b)) => {
            if let (Some(a), Some(b)) = (&a.elements, &b.elements) {
                if a.len() != b.len() {
                    return false;
                }
                pairs.extend(a.iter().copied().zip(b.iter().copied()));
            }
            a.dtype == b.dtype && pair_shapes(&a.shape, &b.shape, pairs)
        }
        (Type::Shape(a), Type::Shape(b)) => pair_shapes(a, b, pairs),
        (Type::Scalar(a, x), Type::Scalar(b, y)) => {
            pairs.extend(x.iter().copied().zip(y.iter().copied()));
            a == b
        }
        (Type::Tuple(a), Type::Tuple(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| pair_dims(a, b, pairs))
        }
        (Type::Sequence(a), Type::Sequence(b))
        | (Type::Optional(a), Type::Optional(b))
        | (Type::State(a), Type::State(b)) => pair_dims(a, b, pairs),
        (Type::Map(a, x), Type::Map(b, y)) => pair_dims(a, b, pairs) && pair_dims(x, y, pairs),
        (Type::Object, _) => true,
        _ => from == to,
    }
}

fn pair_shapes(from: &ShapeInfo, to: &ShapeInfo, pairs: &mut Vec<(Dim, Dim)>) -> bool {
    if let (Some(a), Some(b)) = (from.known(), to.known())
        && a.len() == b.len()
    {
        pairs.extend(a.iter().copied().zip(b.iter().copied()));
    }
    match (from.rank(), to.rank()) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}
