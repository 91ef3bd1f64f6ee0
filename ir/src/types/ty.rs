//! The one annotation of a value.

use super::{DType, Effects, TensorData};
use crate::shape::{Dim, ShapeCx};
use smallvec::SmallVec;

/// Dimensions of a tensor, outermost first.
pub type Dims = SmallVec<[Dim; 4]>;

/// What is known of a shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ShapeInfo {
    /// Every dimension is known, possibly symbolically.
    Known(Dims),
    /// Only the number of dimensions is known.
    Rank(u8),
    /// Nothing is known.
    Unknown,
    /// There is no tensor that has it: what is known of the items of a sequence that has none.
    Never,
}

impl ShapeInfo {
    /// Number of dimensions, when known.
    pub fn rank(&self) -> Option<usize> {
        match self {
            ShapeInfo::Known(dims) => Some(dims.len()),
            ShapeInfo::Rank(rank) => Some(usize::from(*rank)),
            ShapeInfo::Unknown | ShapeInfo::Never => None,
        }
    }

    /// The dimensions, when known.
    pub fn known(&self) -> Option<&[Dim]> {
        match self {
            ShapeInfo::Known(dims) => Some(dims),
            _ => None,
        }
    }
}

/// A tensor: element type, shape, and, for small integer or boolean tensors, possibly the elements.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// What is known of the shape.
    pub shape: ShapeInfo,
    /// The elements in row-major order when they are known symbolically; only for integer and boolean tensors
    /// of at most [`TensorType::MAX_ELEMENTS`] elements and a fully constant shape.
    pub elements: Option<SmallVec<[Dim; 4]>>,
}

impl TensorType {
    /// Tensors with more elements than this do not track them.
    pub const MAX_ELEMENTS: usize = 64;

    /// A tensor with known dimensions and unknown elements.
    pub fn new(dtype: DType, dims: impl IntoIterator<Item = Dim>) -> Self {
        TensorType { dtype, shape: ShapeInfo::Known(dims.into_iter().collect()), elements: None }
    }

    /// The type of a constant, with its elements when it is small and of integers or booleans.
    pub fn of_constant(shapes: &mut ShapeCx, data: &TensorData) -> Self {
        let dims: Dims = data.dims().iter().map(|it| shapes.int(*it as i64)).collect();
        let ty = TensorType::new(data.dtype(), dims);
        // A u64 beyond i64 is not a symbolic integer.
        let exact = |i: usize| data.dtype() != DType::U64 || data.get_i64(i) >= 0;
        if !data.dtype().is_integral() || data.len() > Self::MAX_ELEMENTS || !(0..data.len()).all(exact) {
            return ty;
        }
        let elements: Dims = data.to_i64().into_iter().map(|it| shapes.int(it)).collect();
        ty.with_elements(elements)
    }

    /// The data of a tensor whose elements are all known constants.
    pub fn constant_data(&self, shapes: &ShapeCx) -> Option<TensorData> {
        let elements = self.elements.as_deref()?;
        let dims = self.static_dims(shapes)?;
        let mut bytes = Vec::with_capacity(elements.len() * self.dtype.size());
        for element in elements {
            let value = shapes.as_int(*element)?;
            bytes.extend_from_slice(&value.to_le_bytes()[..self.dtype.size()]);
        }
        TensorData::from_unpacked(self.dtype, dims.to_vec(), bytes.into()).ok()
    }

    /// A tensor of unknown shape.
    pub fn unknown(dtype: DType) -> Self {
        TensorType { dtype, shape: ShapeInfo::Unknown, elements: None }
    }

    /// The same tensor with known elements.
    #[must_use]
    pub fn with_elements(mut self, elements: impl IntoIterator<Item = Dim>) -> Self {
        let elements: SmallVec<[Dim; 4]> = elements.into_iter().collect();
        self.elements =
            (elements.len() <= Self::MAX_ELEMENTS && self.dtype.is_integral()).then_some(elements);
        self
    }

    /// The dimensions, when known.
    pub fn dims(&self) -> Option<&[Dim]> {
        self.shape.known()
    }

    /// The dimensions as integers, when all are known constants.
    pub fn static_dims(&self, shapes: &ShapeCx) -> Option<SmallVec<[u64; 4]>> {
        self.dims()?.iter().map(|dim| shapes.as_int(*dim).and_then(|it| u64::try_from(it).ok())).collect()
    }
}

/// The type of a function.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FunctionType {
    /// Parameter types.
    pub params: Vec<Type>,
    /// Result types.
    pub results: Vec<Type>,
    /// What a call may do.
    pub effects: Effects,
}

/// The one annotation a value carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// A tensor.
    Tensor(TensorType),
    /// A shape value.
    Shape(ShapeInfo),
    /// A scalar, with its value when it is a known integer.
    Scalar(DType, Option<Dim>),
    /// Several values.
    Tuple(Vec<Type>),
    /// Any number of values of one type. Symbols in the type of items are used there and never bound, here and in the two
    /// that follow: where there is no item there is no size.
    Sequence(Box<Type>),
    /// A value or nothing.
    Optional(Box<Type>),
    /// Values by keys: the type of the vector of all keys, and of the vector of their values, in the same order.
    Map(Box<Type>, Box<Type>),
    /// Text.
    String,
    /// A function.
    Function(Box<FunctionType>),
    /// State of the given content, read and written by operations with effects.
    State(Box<Type>),
    /// Something opaque.
    Object,
}

impl Type {
    /// A tensor with known dimensions.
    pub fn tensor(dtype: DType, dims: impl IntoIterator<Item = Dim>) -> Self {
        Type::Tensor(TensorType::new(dtype, dims))
    }

    /// The type of the items, when it is a sequence.
    pub fn as_sequence(&self) -> Option<&Type> {
        match self {
            Type::Sequence(item) => Some(item),
            _ => None,
        }
    }

    /// Whether values are held by reference. A tensor may be, where it is an item.
    pub fn is_object(&self) -> bool {
        matches!(self, Type::Sequence(_) | Type::Optional(_) | Type::Map(..) | Type::String | Type::Object)
    }

    /// The tensor type, when it is one.
    pub fn as_tensor(&self) -> Option<&TensorType> {
        match self {
            Type::Tensor(it) => Some(it),
            _ => None,
        }
    }
}
