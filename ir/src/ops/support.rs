//! What the operator families share: checks of attributes and operands, and arithmetic on tracked elements.

use super::{Arity, AttrDef, InferCx, InferFn, InferResult, OpDef, Requirement};
use crate::diag::Diagnostic;
pub(super) use crate::scalar::Class;
use crate::shape::{Constraint, Dim, ShapeCx, Truth};
use crate::types::{DType, Dims, Effects, ShapeInfo, TensorType, Type};
use smallvec::{SmallVec, smallvec};

/// Constant extents or coordinates.
pub(super) type Point = SmallVec<[usize; 4]>;

/// An operator with one result whose indices are data: one out of range ends the call.
pub(super) const fn indexing(
    name: &'static str,
    arity: Arity,
    attrs: &'static [AttrDef],
    infer: InferFn,
) -> OpDef {
    OpDef { effects: Effects::ABORT, ..OpDef::pure(name, arity, attrs, infer) }
}

/// The result of an operator with one result.
pub(super) fn one(ty: TensorType) -> InferResult {
    Ok(smallvec![Type::Tensor(ty)])
}

/// A tensor type without known elements.
pub(super) fn plain(dtype: DType, shape: ShapeInfo) -> TensorType {
    TensorType { dtype, shape, elements: None }
}

/// A shape of which only the rank is known.
pub(super) fn rank_only(rank: usize) -> ShapeInfo {
    u8::try_from(rank).map_or(ShapeInfo::Unknown, ShapeInfo::Rank)
}

impl<'a> InferCx<'a> {
    /// Operand `i`, whose element type must be of a class.
    pub(super) fn tensor_of(&self, i: usize, class: Class) -> Result<&'a TensorType, Diagnostic> {
        let ty = self.tensor(i)?;
        if class.admits(ty.dtype) {
            return Ok(ty);
        }
        let error =
            Diagnostic::error("O013", format!("operand {i} is {} but must be {}", ty.dtype, class.noun()));
        Err(match ty.dtype {
            it if it.is_only_stored() => {
                error.help(format!("{it} is only stored and converted: insert a `cast`"))
            }
            it if it.is_only_moved() => error.note(format!("{it} is only moved: nothing computes with it")),
            _ => error,
        })
    }

    /// Whether operand `i` is given.
    pub(super) fn has(&self, i: usize) -> bool {
        i < self.args.len()
    }

    /// Requires that the operands `i…` have the element type of the first of them.
    pub(super) fn all_same_dtype(
        &self,
        operands: impl IntoIterator<Item = usize>,
    ) -> Result<DType, Diagnostic> {
        let mut operands = operands.into_iter();
        let first = operands.next().unwrap_or(0);
        let dtype = self.tensor(first)?.dtype;
        for i in operands {
            self.same_dtype(first, i)?;
        }
        Ok(dtype)
    }

    /// Requires that operand `i`, when its rank is known, has rank `rank`.
    pub(super) fn expect_rank(&self, i: usize, rank: usize) -> Result<(), Diagnostic> {
        match self.tensor(i)?.shape.rank() {
            Some(found) if found != rank => Err(Diagnostic::error(
                "S003",
                format!("operand {i} has rank {found} but must have rank {rank}"),
            )),
            _ => Ok(()),
        }
    }

    /// Requires that operand `i`, when its rank is known, has at least rank `rank`.
    pub(super) fn expect_rank_at_least(&self, i: usize, rank: usize) -> Result<(), Diagnostic> {
        match self.tensor(i)?.shape.rank() {
            Some(found) if found < rank => Err(Diagnostic::error(
                "S003",
                format!("operand {i} has rank {found} but must have rank {rank} or more"),
            )),
            _ => Ok(()),
        }
    }

    /// Requires that operand `i` has one element: a scalar or a tensor of extents 1.
    pub(super) fn expect_single(&mut self, i: usize) -> Result<(), Diagnostic> {
        let Some(dims) = self.dims(i)? else { return Ok(()) };
        let one = self.shapes.int(1);
        for (axis, dim) in dims.iter().enumerate() {
            self.require_eq(*dim, one, &format!("operand {i} must have one element, dimension {axis}"))?;
        }
        Ok(())
    }

    /// The single constant element of operand `i`.
    pub(super) fn single_int(&self, i: usize) -> Option<i64> {
        match self.int_elements(i)?[..] {
            [it] => Some(it),
            _ => None,
        }
    }

    /// Attribute `name`, an axis below `rank`.
    pub(super) fn axis(&self, name: &str, rank: usize) -> Result<usize, Diagnostic> {
        let axis = self.attrs.int(name).unwrap_or(0);
        check_axis(name, axis, rank)
    }

    /// Attribute `name`, distinct axes below `rank`.
    pub(super) fn axes(&self, name: &str, rank: usize) -> Result<Point, Diagnostic> {
        let mut axes = Point::new();
        for axis in self.attrs.ints(name).unwrap_or_default() {
            let axis = check_axis(name, *axis, rank)?;
            if axes.contains(&axis) {
                return Err(Diagnostic::error("O021", format!("attribute `{name}` lists axis {axis} twice")));
            }
            axes.push(axis);
        }
        Ok(axes)
    }

    /// A boolean attribute, false when left out.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.attrs.bool(name).unwrap_or(false)
    }

    /// An attribute of `n` integers, each at least `least`; `default` repeated when left out.
    pub(super) fn ints(
        &self,
        name: &str,
        n: usize,
        default: i64,
        least: i64,
    ) -> Result<SmallVec<[i64; 4]>, Diagnostic> {
        let Some(list) = self.attrs.ints(name) else { return Ok(SmallVec::from_elem(default, n)) };
        if list.len() != n {
            return Err(Diagnostic::error(
                "O022",
                format!("attribute `{name}` has {} integers but must have {n}", list.len()),
            ));
        }
        match list.iter().find(|it| **it < least) {
            Some(bad) => Err(Diagnostic::error(
                "O023",
                format!("attribute `{name}` holds {bad} but must be at least {least}"),
            )),
            None => Ok(list.into()),
        }
    }

    /// A text attribute that must be one of `choices`; the first of them when left out.
    pub(super) fn choice(&self, name: &str, choices: &[&'static str]) -> Result<&'static str, Diagnostic> {
        let given = self.attrs.str(name).unwrap_or(choices[0]);
        match choices.iter().find(|it| **it == given) {
            Some(found) => Ok(found),
            None => Err(Diagnostic::error("O024", format!("attribute `{name}` cannot be `{given}`"))
                .help(format!("it is one of: {}", choices.join(", ")))),
        }
    }

    /// Requires `dim ≥ least`: proved, refuted as an error, or noted as a run-time check.
    pub(super) fn require_at_least(&mut self, dim: Dim, least: i64, what: &str) -> Result<(), Diagnostic> {
        let bound = self.shapes.int(least);
        match self.shapes.prove_ge(dim, bound) {
            Truth::Always => Ok(()),
            Truth::Never => Err(Diagnostic::error(
                "S004",
                format!("{what}: {} is less than {least}", self.shapes.display(dim)),
            )),
            Truth::Unknown => {
                let constraint = Constraint::AtLeast(dim, least);
                if !self.requirements.iter().any(|it| it.constraint == constraint) {
                    self.requirements.push(Requirement { constraint, message: what.to_string() });
                }
                Ok(())
            }
        }
    }

    /// `a + b` as a dimension.
    pub(super) fn add(&mut self, a: Dim, b: Dim) -> Result<Dim, Diagnostic> {
        let sum = self.shapes.add(a, b);
        self.no_overflow(sum)
    }

    /// The product of dimensions.
    pub(super) fn product(&mut self, dims: &[Dim]) -> Result<Dim, Diagnostic> {
        let product = self.shapes.product(dims);
        self.no_overflow(product)
    }

    /// A tensor with known dimensions; when they are constant and few, `element` is asked for each element, and the
    /// type carries them if all are known.
    pub(super) fn tensor_with(
        &mut self,
        dtype: DType,
        dims: Dims,
        mut element: impl FnMut(&mut ShapeCx, &[usize]) -> Option<Dim>,
    ) -> TensorType {
        let mut ty = plain(dtype, ShapeInfo::Known(dims));
        if !dtype.is_integral() {
            return ty;
        }
        let Some(extents) = ty.dims().and_then(|it| const_dims(self.shapes, it)) else { return ty };
        if count(&extents).is_none_or(|n| n > TensorType::MAX_ELEMENTS) {
            return ty;
        }
        ty.elements = points(&extents).into_iter().map(|at| element(self.shapes, &at)).collect();
        ty
    }

    /// The constant extents and the elements of operand `i`, when both are known.
    pub(super) fn known(&self, i: usize) -> Option<KnownElements<'a>> {
        let ty = self.args.get(i)?.as_tensor()?;
        let dims = const_dims(self.shapes, ty.dims()?)?;
        let elements = ty.elements.as_deref()?;
        (count(&dims) == Some(elements.len())).then_some(KnownElements { dims, elements })
    }

    /// The constant extent of a 1-D operand: how many entries a shape-like operand has.
    pub(super) fn list_len(&self, i: usize) -> Result<Option<usize>, Diagnostic> {
        let ty = self.tensor_of(i, Class::Int)?;
        self.expect_rank(i, 1)?;
        if let Some(elements) = &ty.elements {
            return Ok(Some(elements.len()));
        }
        Ok(ty.dims().and_then(|it| self.shapes.as_int(it[0])).and_then(|it| usize::try_from(it).ok()))
    }
}

/// A tensor whose elements are tracked.
pub(super) struct KnownElements<'a> {
    pub(super) dims: Point,
    pub(super) elements: &'a [Dim],
}

impl KnownElements<'_> {
    /// The element at a point.
    pub(super) fn at(&self, point: &[usize]) -> Dim {
        self.elements[flat(&self.dims, point)]
    }

    /// The element that numpy broadcasting reads for a point of a shape of equal or higher rank.
    pub(super) fn broadcast_at(&self, point: &[usize]) -> Dim {
        let tail = &point[point.len() - self.dims.len()..];
        let at: Point = tail.iter().zip(&self.dims).map(|(i, n)| if *n == 1 { 0 } else { *i }).collect();
        self.at(&at)
    }
}

fn check_axis(name: &str, axis: i64, rank: usize) -> Result<usize, Diagnostic> {
    match usize::try_from(axis) {
        Ok(it) if it < rank => Ok(it),
        _ => Err(Diagnostic::error(
            "O020",
            format!("attribute `{name}` is axis {axis} but the tensor has rank {rank}"),
        )
        .help("axes count from 0; negative axes are normalised by the importer")),
    }
}

/// The dimensions as constants.
pub(super) fn const_dims(shapes: &ShapeCx, dims: &[Dim]) -> Option<Point> {
    dims.iter().map(|it| shapes.as_int(*it).and_then(|it| usize::try_from(it).ok())).collect()
}

/// Number of points of a box, `None` on overflow.
pub(super) fn count(extents: &[usize]) -> Option<usize> {
    extents.iter().try_fold(1usize, |n, it| n.checked_mul(*it))
}

/// All points of a box in row-major order; callers bound its size first.
pub(super) fn points(extents: &[usize]) -> Vec<Point> {
    let n = count(extents).unwrap_or(0);
    (0..n)
        .map(|mut i| {
            let mut at: Point = smallvec![0; extents.len()];
            for (slot, extent) in at.iter_mut().zip(extents).rev() {
                *slot = i % extent;
                i /= extent;
            }
            at
        })
        .collect()
}

/// Row-major position of a point.
pub(super) fn flat(extents: &[usize], at: &[usize]) -> usize {
    extents.iter().zip(at).fold(0, |n, (extent, i)| n * extent + i)
}

/// `value` as an element of `dtype`: a constant must be in range; a symbolic one is tracked only where sizes live
/// (i32 and i64, where it is taken to be in range, and unsigned 64-bit when it is proved not negative).
pub(super) fn fit(shapes: &mut ShapeCx, dtype: DType, value: Dim) -> Option<Dim> {
    let (low, high) = dtype.int_range()?;
    match (shapes.as_int(value), dtype) {
        (Some(it), _) => (low..=high).contains(&i128::from(it)).then_some(value),
        (None, it) if it.is_signed_int() && it.bits() >= 32 => Some(value),
        (None, DType::U64) => {
            let zero = shapes.int(0);
            shapes.prove_ge(value, zero).is_always().then_some(value)
        }
        (None, _) => None,
    }
}

/// A decided answer as a boolean element.
pub(super) fn decided(shapes: &mut ShapeCx, truth: Truth) -> Option<Dim> {
    match truth {
        Truth::Always => Some(shapes.int(1)),
        Truth::Never => Some(shapes.int(0)),
        Truth::Unknown => None,
    }
}

/// The smaller of two, decided by facts where they suffice.
pub(super) fn smaller(shapes: &mut ShapeCx, a: Dim, b: Dim) -> Option<Dim> {
    if shapes.prove_le(a, b).is_always() {
        return Some(a);
    }
    if shapes.prove_le(b, a).is_always() {
        return Some(b);
    }
    shapes.min(&[a, b]).ok()
}

/// The larger of two, decided by facts where they suffice.
pub(super) fn larger(shapes: &mut ShapeCx, a: Dim, b: Dim) -> Option<Dim> {
    if shapes.prove_ge(a, b).is_always() {
        return Some(a);
    }
    if shapes.prove_ge(b, a).is_always() {
        return Some(b);
    }
    shapes.max(&[a, b]).ok()
}
