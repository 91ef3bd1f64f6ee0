//! What inference functions work with.

use crate::diag::Diagnostic;
use crate::scalar::ScalarFn;
use crate::shape::{Constraint, Dim, Overflow, ShapeCx, Truth};
use crate::types::{Attrs, DType, Dims, ShapeInfo, TensorType, Type};
use smallvec::SmallVec;

/// Result types, or what is wrong.
pub type InferResult = Result<SmallVec<[Type; 1]>, Diagnostic>;

/// What could not be decided about sizes at compile time and is checked before the first kernel that needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// What must hold.
    pub constraint: Constraint,
    /// What it means, for the error message: one clause without a full stop.
    pub message: String,
}

/// One call of an inference function.
#[derive(Debug)]
pub struct InferCx<'a> {
    /// Where dimensions live.
    pub shapes: &'a mut ShapeCx,
    /// Attributes of the operation, already checked against its schema.
    pub attrs: &'a Attrs,
    /// Operand types.
    pub args: &'a [Type],
    /// Requirements found so far; the caller turns them into run-time checks.
    pub requirements: Vec<Requirement>,
    /// What holds of fresh sizes by what the operator means.
    pub facts: Vec<Constraint>,
    /// The function that the operator applies to each element.
    pub(super) function: Option<ScalarFn>,
}

impl<'a> InferCx<'a> {
    /// A call with these operands.
    pub fn new(shapes: &'a mut ShapeCx, attrs: &'a Attrs, args: &'a [Type]) -> Self {
        InferCx { shapes, attrs, args, requirements: Vec::new(), facts: Vec::new(), function: None }
    }

    /// The tensor type of operand `i`.
    pub fn tensor(&self, i: usize) -> Result<&'a TensorType, Diagnostic> {
        match self.args.get(i) {
            Some(Type::Tensor(it)) => Ok(it),
            Some(_) => Err(Diagnostic::error("O010", format!("operand {i} is not a tensor"))),
            None => Err(Diagnostic::error("O011", format!("operand {i} is missing"))),
        }
    }

    /// The known dimensions of operand `i`, or `None`.
    pub fn dims(&self, i: usize) -> Result<Option<&'a [Dim]>, Diagnostic> {
        Ok(self.tensor(i)?.dims())
    }

    /// The known elements of operand `i`, or `None` when it is absent or its elements are not known.
    pub fn elements(&self, i: usize) -> Option<&'a [Dim]> {
        self.args.get(i)?.as_tensor()?.elements.as_deref()
    }

    /// The known constant elements of operand `i`.
    pub fn int_elements(&self, i: usize) -> Option<SmallVec<[i64; 4]>> {
        self.elements(i)?.iter().map(|it| self.shapes.as_int(*it)).collect()
    }

    /// A new symbol for the size of a result that only the operands' data decide, at most `limit`. The operation binds
    /// it, and the operator's lowering computes it.
    pub fn fresh_size(&mut self, name: &str, limit: Dim) -> Result<Dim, Diagnostic> {
        let size = self.shapes.fresh(name);
        let room = self.shapes.sub(limit, size);
        self.facts.push(Constraint::AtLeast(self.no_overflow(room)?, 0));
        Ok(size)
    }

    /// Requires `a = b`: proved, refuted as an error, or noted as a run-time check.
    pub fn require_eq(&mut self, a: Dim, b: Dim, what: &str) -> Result<(), Diagnostic> {
        self.require(Constraint::Eq(a, b), what, |shapes| {
            format!("{} is not {}", shapes.display(a), shapes.display(b))
        })
    }

    /// Requires a fact: proved, refuted as an error, or noted as a run-time check.
    fn require(
        &mut self,
        constraint: Constraint,
        what: &str,
        why_not: impl FnOnce(&ShapeCx) -> String,
    ) -> Result<(), Diagnostic> {
        match self.shapes.prove(constraint) {
            Truth::Always => {}
            Truth::Never => {
                return Err(Diagnostic::error("S001", format!("{what}: {}", why_not(self.shapes))));
            }
            Truth::Unknown if self.requirements.iter().any(|it| it.constraint == constraint) => {}
            Truth::Unknown => self.requirements.push(Requirement { constraint, message: what.to_string() }),
        }
        Ok(())
    }

    /// Numpy broadcasting of two dimensions: they are equal, or one of them is 1, perhaps only in some calls.
    /// `what` names the two dimensions in messages.
    ///
    /// The result is one of the two where it can be told which, so that later dimensions stay simple: `b` is `a` or 1
    /// if `b` is 1 wherever `a` is.
    pub fn broadcast_dim(&mut self, a: Dim, b: Dim, what: &str) -> Result<Dim, Diagnostic> {
        let vanishes = |it: Dim, beside: Dim| {
            it == beside || self.shapes.as_int(it) == Some(1) || self.shapes.is_broadcast_part(it, beside)
        };
        if vanishes(b, a) {
            return Ok(a);
        }
        if vanishes(a, b) {
            return Ok(b);
        }
        let (gives_a, gives_b) = (self.shapes.gives_broadcast(a, b), self.shapes.gives_broadcast(b, a));
        if !self.shapes.prove(Constraint::Broadcast(a, b)).is_always() {
            // Where one extent is 1 only if the other is, they are equal, which says more.
            if gives_a && gives_b {
                self.require_eq(a, b, what)?;
            } else {
                self.require(Constraint::Broadcast(a, b), what, |shapes| {
                    format!("{} and {} are neither equal nor 1", shapes.display(a), shapes.display(b))
                })?;
            }
        }
        match (gives_a, gives_b) {
            (true, true) if self.shapes.as_int(b).is_some() => Ok(b),
            (true, _) => Ok(a),
            (_, true) => Ok(b),
            _ => {
                let both = self.shapes.broadcast(&[a, b]);
                self.no_overflow(both)
            }
        }
    }

    /// Numpy broadcasting of several shapes.
    pub fn broadcast(&mut self, shapes: &[&ShapeInfo]) -> Result<ShapeInfo, Diagnostic> {
        let Some(rank) = shapes.iter().map(|it| it.rank()).collect::<Option<Vec<_>>>() else {
            return Ok(ShapeInfo::Unknown);
        };
        let rank = rank.into_iter().max().unwrap_or(0);
        let Some(known) = shapes.iter().map(|it| it.known()).collect::<Option<Vec<_>>>() else {
            return Ok(ShapeInfo::Rank(u8::try_from(rank).unwrap_or(u8::MAX)));
        };
        let one = self.shapes.int(1);
        let mut dims: Dims = SmallVec::from_elem(one, rank);
        for (operand, shape) in known.iter().enumerate() {
            let offset = rank - shape.len();
            for (i, dim) in shape.iter().enumerate() {
                let what = format!("operand {operand}, broadcast along dimension {}", offset + i);
                dims[offset + i] = self.broadcast_dim(dims[offset + i], *dim, &what)?;
            }
        }
        Ok(ShapeInfo::Known(dims))
    }

    /// Requires that two operands have one element type and returns it.
    pub fn same_dtype(&self, i: usize, j: usize) -> Result<DType, Diagnostic> {
        let (a, b) = (self.tensor(i)?.dtype, self.tensor(j)?.dtype);
        if a == b {
            return Ok(a);
        }
        Err(Diagnostic::error("O012", format!("operand {i} is {a} but operand {j} is {b}"))
            .help("insert a `cast`"))
    }

    /// Turns arithmetic overflow into a diagnostic.
    pub fn no_overflow<T>(&self, result: Result<T, Overflow>) -> Result<T, Diagnostic> {
        result.map_err(|_| Diagnostic::error("S002", "the size of a dimension overflows 64-bit integers"))
    }
}
