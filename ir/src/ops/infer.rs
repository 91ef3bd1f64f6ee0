//! What inference functions work with.

use crate::diag::Diagnostic;
use crate::shape::{Constraint, Dim, Overflow, ShapeCx, Truth};
use crate::types::{Attrs, DType, Dims, ShapeInfo, TensorType, Type};
use smallvec::SmallVec;

/// Result types, or what is wrong.
pub type InferResult = Result<SmallVec<[Type; 1]>, Diagnostic>;

/// An equality that could not be decided at compile time and is checked before the first kernel.
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
}

impl<'a> InferCx<'a> {
    /// A call with these operands.
    pub fn new(shapes: &'a mut ShapeCx, attrs: &'a Attrs, args: &'a [Type]) -> Self {
        InferCx { shapes, attrs, args, requirements: Vec::new(), facts: Vec::new() }
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
        match self.shapes.prove_eq(a, b) {
            Truth::Always => Ok(()),
            Truth::Never => Err(Diagnostic::error(
                "S001",
                format!("{what}: {} is not {}", self.shapes.display(a), self.shapes.display(b)),
            )),
            Truth::Unknown => {
                let constraint = Constraint::Eq(a, b);
                if !self.requirements.iter().any(|it| it.constraint == constraint) {
                    self.requirements.push(Requirement { constraint, message: what.to_string() });
                }
                Ok(())
            }
        }
    }

    /// Numpy broadcasting of two dimensions. Two different symbolic dimensions are required to be equal: a
    /// dimension that is 1 only at run time is refused there rather than broadcast.
    /// `what` names the two dimensions in messages.
    pub fn broadcast_dim(&mut self, a: Dim, b: Dim, what: &str) -> Result<Dim, Diagnostic> {
        if a == b || self.shapes.as_int(b) == Some(1) {
            return Ok(a);
        }
        if self.shapes.as_int(a) == Some(1) {
            return Ok(b);
        }
        self.require_eq(a, b, what)?;
        Ok(if self.shapes.as_int(b).is_some() { b } else { a })
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
                let what = format!("dimension {} of the broadcast and operand {operand}", offset + i);
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
