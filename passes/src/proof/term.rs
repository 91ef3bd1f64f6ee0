//! Scalar expressions over symbolic indices: what composition makes and the normal form reads.

use indexmap::IndexSet;
use orogen_ir::loops::{BinaryOp, Combine, CompareOp, UnaryOp};
use orogen_ir::shape::{Dim, Sym};
use orogen_ir::types::DType;

/// Handle of a [`Term`]; equal terms have equal handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TermId(u32);

/// Where an element comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// A parameter of both functions, by its place.
    Param(u32),
    /// A constant, by its number among those with different data.
    Constant(u32),
}

/// One dimension of the place of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum At {
    /// A symbolic index.
    Dim(Dim),
    /// An integer from data: clamped into the dimension, or checked against it.
    Data {
        /// The integer.
        value: TermId,
        /// Whether it is checked, negative ones counting from the end.
        checked: bool,
    },
}

/// An axis of a reduction: its index symbol, and how many iterations there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bound {
    pub(super) var: Sym,
    pub(super) extent: Dim,
}

/// A scalar expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Term {
    /// A float by its bits, a value of the type.
    Float(u64, DType),
    /// An integer or bool, as the type holds it.
    Int(i64, DType),
    /// An index expression as a value of an integer type.
    Index(Dim, DType),
    /// An element of a parameter or constant. `otherwise` is the value where an index from data is out of range.
    Load { source: Source, dtype: DType, at: Vec<At>, otherwise: Option<TermId> },
    /// One operand.
    Unary(UnaryOp, TermId),
    /// Two operands of one type.
    Binary(BinaryOp, TermId, TermId),
    /// A comparison.
    Compare(CompareOp, TermId, TermId),
    /// A choice by data.
    Select(TermId, TermId, TermId),
    /// A conversion.
    Cast(DType, TermId),
    /// A choice by indices: the first where all conditions are at least 0, else the second.
    Case(Vec<Dim>, TermId, TermId),
    /// A reduction over bound indices.
    Reduce(Combine, Vec<Bound>, TermId),
    /// No stage wrote it. It is equal to nothing.
    Undefined(DType),
}

/// All terms of a proof.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms(IndexSet<Term>);

impl Terms {
    pub(super) fn add(&mut self, term: Term) -> TermId {
        let (at, _) = self.0.insert_full(term);
        TermId(u32::try_from(at).expect("fewer than 2^32 terms"))
    }

    pub(super) fn get(&self, id: TermId) -> &Term {
        self.0.get_index(id.0 as usize).expect("a term of this arena")
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The element type of a value.
    pub(super) fn dtype(&self, mut id: TermId) -> DType {
        loop {
            id = match self.get(id) {
                Term::Float(_, dtype)
                | Term::Int(_, dtype)
                | Term::Index(_, dtype)
                | Term::Cast(dtype, _)
                | Term::Undefined(dtype)
                | Term::Load { dtype, .. } => return *dtype,
                Term::Compare(..) => return DType::Bool,
                Term::Unary(op, _) if op.is_test() => return DType::Bool,
                Term::Unary(_, a)
                | Term::Binary(_, a, _)
                | Term::Select(_, a, _)
                | Term::Case(_, a, _)
                | Term::Reduce(_, _, a) => *a,
            };
        }
    }
}
