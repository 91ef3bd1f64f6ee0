//! The join of two types: what both branches of an `If` return, and what a loop carries. Builders and those that predict
//! what a builder makes share it.

use crate::diag::Diagnostic;
use crate::shape::{Dim, ShapeCx, Sym};
use crate::text::type_text;
use crate::types::{ShapeInfo, TensorType, Type, join_items};

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

/// What loops forgot until the types of their carried values settled.
///
/// A loop inside another one is built again with every attempt of the outer one. It then begins with what it ended
/// with the last time; otherwise the attempts of a nest would multiply.
#[derive(Clone, Debug, Default)]
pub struct SettledLoops {
    /// For each loop, in the order in which they begin, the carried values whose elements changed.
    forgotten: Vec<Vec<bool>>,
    next: usize,
}

impl SettledLoops {
    /// A loop begins, with carried values of these types. The result stands for it in the other methods.
    pub fn begin(&mut self, types: &mut [Type]) -> usize {
        let number = self.next;
        self.next += 1;
        for (ty, forgotten) in types.iter_mut().zip(self.forgotten.get(number).into_iter().flatten()) {
            if let (Type::Tensor(ty), true) = (ty, forgotten) {
                ty.elements = None;
            }
        }
        number
    }

    /// The loop is tried once more: loops inside of it are the same as before.
    pub fn attempt(&mut self, number: usize) {
        self.next = number + 1;
    }

    /// The carried types of the loop settled.
    pub fn settle(&mut self, number: usize, types: &[Type]) {
        if self.forgotten.len() <= number {
            self.forgotten.resize(number + 1, Vec::new());
        }
        let unknown = |ty: &Type| ty.as_tensor().is_some_and(|it| it.elements.is_none());
        self.forgotten[number] = types.iter().map(unknown).collect();
    }
}

impl Join<'_> {
    /// The most precise type that both imply, with fresh symbols for dimensions that differ.
    ///
    /// Tensors of different rank join to an unknown shape, items of different dimensions to their rank. Types of different kind or element type have no join.
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
            _ => {
                // A symbol in the type of items is one that is bound outside.
                let kept =
                    |shapes: &ShapeCx, dim| shapes.free_symbols(dim).iter().all(|it| (self.bound)(*it));
                if let Some(ty) = join_items(self.shapes, a, b, &kept) {
                    return Ok(ty);
                }
                let (a, b) = (type_text(self.shapes, a), type_text(self.shapes, b));
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
        if self.elements == JoinElements::Forget && self.shapes.as_sym(a).is_some_and(|it| !(self.bound)(it))
        {
            // A symbol that the loop binds stands for another size in each turn.
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
