//! Types of the items of sequences, and of what optionals and maps hold.

use super::{DType, Dims, ShapeInfo, TensorType, Type};
use crate::shape::{Dim, ShapeCx};

impl Type {
    /// An empty sequence of tensors of this element type.
    pub fn no_items(dtype: DType) -> Self {
        Type::Sequence(Box::new(never(dtype)))
    }

    /// An empty sequence of maps of such keys to such values.
    pub fn no_maps(keys: DType, values: DType) -> Self {
        Type::Sequence(Box::new(Type::Map(Box::new(never(keys)), Box::new(never(values)))))
    }

    /// The type as that of an item: what is known of elements is not true of all items.
    #[must_use]
    pub fn into_item(self) -> Self {
        match self {
            Type::Tensor(ty) => Type::Tensor(TensorType { elements: None, ..ty }),
            ty => ty,
        }
    }

    /// The type of one item of this type: dimensions that are not known are new symbols, which the item binds.
    #[must_use]
    pub fn instance(&self, shapes: &mut ShapeCx) -> Self {
        match self {
            Type::Tensor(TensorType { dtype, shape: ShapeInfo::Rank(rank), .. }) => {
                Type::tensor(*dtype, (0..*rank).map(|_| shapes.fresh("size")).collect::<Dims>())
            }
            Type::Tensor(TensorType { dtype, shape: ShapeInfo::Never, .. }) => {
                Type::Tensor(TensorType::unknown(*dtype))
            }
            ty => ty.clone(),
        }
    }
}

fn never(dtype: DType) -> Type {
    Type::Tensor(TensorType { dtype, shape: ShapeInfo::Never, elements: None })
}

/// The most precise type that items of two types have; dimensions that differ, or that are not `kept`, are forgotten, as
/// there is no value that binds a symbol to them. `None` when they have no common type.
pub fn join_items(
    shapes: &ShapeCx,
    a: &Type,
    b: &Type,
    kept: &dyn Fn(&ShapeCx, Dim) -> bool,
) -> Option<Type> {
    Some(match (a, b) {
        (Type::Tensor(x), Type::Tensor(y)) if x.dtype == y.dtype => {
            let shape = join_shapes(shapes, &x.shape, &y.shape, kept);
            Type::Tensor(TensorType { dtype: x.dtype, shape, elements: None })
        }
        (Type::Sequence(x), Type::Sequence(y)) => Type::Sequence(Box::new(join_items(shapes, x, y, kept)?)),
        (Type::Optional(x), Type::Optional(y)) => Type::Optional(Box::new(join_items(shapes, x, y, kept)?)),
        (Type::Map(k, x), Type::Map(l, y)) => {
            let (key, value) = (join_items(shapes, k, l, kept)?, join_items(shapes, x, y, kept)?);
            Type::Map(Box::new(key), Box::new(value))
        }
        _ if a == b => a.clone(),
        _ => return None,
    })
}

fn join_shapes(
    shapes: &ShapeCx,
    a: &ShapeInfo,
    b: &ShapeInfo,
    kept: &dyn Fn(&ShapeCx, Dim) -> bool,
) -> ShapeInfo {
    let (a, b) = match (a, b) {
        (ShapeInfo::Never, ShapeInfo::Never) => return ShapeInfo::Never,
        (ShapeInfo::Never, it) | (it, ShapeInfo::Never) => (it, it),
        both => both,
    };
    let rank = |it: &ShapeInfo| it.rank().and_then(|it| u8::try_from(it).ok());
    let same = |(x, y): (&Dim, &Dim)| (x == y || shapes.prove_eq(*x, *y).is_always()) && kept(shapes, *x);
    match (a, b) {
        (ShapeInfo::Known(x), ShapeInfo::Known(y)) if x.len() == y.len() && x.iter().zip(y).all(same) => {
            a.clone()
        }
        _ => match (rank(a), rank(b)) {
            (Some(x), Some(y)) if x == y => ShapeInfo::Rank(x),
            _ => ShapeInfo::Unknown,
        },
    }
}

/// The type without dimensions of items that are not `kept`.
pub fn forget_items(shapes: &ShapeCx, ty: &Type, kept: &dyn Fn(&ShapeCx, Dim) -> bool) -> Type {
    match ty {
        Type::Tuple(items) => Type::Tuple(items.iter().map(|it| forget_items(shapes, it, kept)).collect()),
        // Of a type and itself there is always a join.
        Type::Sequence(_) | Type::Optional(_) | Type::Map(..) => {
            join_items(shapes, ty, ty, kept).unwrap_or_else(|| ty.clone())
        }
        ty => ty.clone(),
    }
}
