//! Objects: what a plan holds by reference. They are counted objects of the ABI, so they pass in and out of compiled code,
//! and between functions, without conversion.

use crate::shape::{Dim, Sym};
use crate::types::{TensorType, Type};
use smallvec::SmallVec;

/// An object place of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(pub u32);

/// A place for an object. The call holds a reference to what is in it until the call ends or something else is put there.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// A tensor, whose dimensions are over symbols that are bound when it is put there; a sequence, an optional, a string,
    /// a map, or anything.
    pub ty: Type,
}

impl Object {
    /// The tensor, if it is one.
    pub fn tensor(&self) -> Option<&TensorType> {
        self.ty.as_tensor()
    }

    /// The dimensions of a tensor.
    pub fn dims(&self) -> Option<&[Dim]> {
        self.tensor()?.dims()
    }
}

/// `symbol = dimension `axis`` of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AxisBinding {
    /// The symbol.
    pub symbol: Sym,
    /// Which dimension.
    pub axis: u32,
}

/// What a step does with objects. References are shared: no element of a tensor is copied.
///
/// A position that is negative counts from the end; one that is out of range ends the call with an error.
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectOp {
    /// Makes a tensor of the type of the place; nothing is in it yet.
    Tensor(ObjectId),
    /// A sequence of these, in order; of a vector of keys and one of values a map, which is held as that.
    Sequence {
        /// The sequence.
        to: ObjectId,
        /// Its elements.
        items: Vec<ObjectId>,
    },
    /// `symbol` is the number of elements of a sequence.
    Length {
        /// The symbol.
        symbol: Sym,
        /// The sequence.
        of: ObjectId,
    },
    /// An element of a sequence, checked against the type of the place.
    Item {
        /// Where it is put.
        to: ObjectId,
        /// The sequence, or a map.
        of: ObjectId,
        /// Position, from `-n` to `n - 1`.
        at: Dim,
        /// Symbols that dimensions of the element bind. All other dimensions are checked.
        bindings: Vec<AxisBinding>,
    },
    /// A sequence with one more element. Where it is put in the place of the old one and nobody else holds that, it is
    /// changed there, in constant time at the end.
    Insert {
        /// The new sequence.
        to: ObjectId,
        /// The old one.
        of: ObjectId,
        /// Before which position, from `-n` to `n`; none is the end.
        at: Option<Dim>,
        /// The new element.
        item: ObjectId,
    },
    /// A sequence without one of its elements; in place like [`ObjectOp::Insert`].
    Erase {
        /// The new sequence.
        to: ObjectId,
        /// The old one.
        of: ObjectId,
        /// Which one, from `-n` to `n - 1`; none is the last.
        at: Option<Dim>,
    },
    /// An optional without a value.
    None {
        /// The place.
        to: ObjectId,
    },
    /// `symbol` is 1 if an optional has a value, otherwise 0.
    IsSome {
        /// The symbol.
        symbol: Sym,
        /// The optional.
        of: ObjectId,
    },
    /// `symbol` is the number of dimensions of the tensor that an optional has; an error where there is none.
    Rank {
        /// The symbol.
        symbol: Sym,
        /// The optional.
        of: ObjectId,
    },
    /// The same object in another place, checked against the type of that: the value of an optional, an error where
    /// there is none; an optional that has this value.
    Share {
        /// The new place.
        to: ObjectId,
        /// The old one.
        from: ObjectId,
        /// As for [`ObjectOp::Item`].
        bindings: Vec<AxisBinding>,
    },
    /// Nothing is in the place any more.
    Drop(ObjectId),
}

impl ObjectOp {
    /// What is put into a place, if any is.
    pub fn result(&self) -> Option<ObjectId> {
        match self {
            ObjectOp::Tensor(to)
            | ObjectOp::Sequence { to, .. }
            | ObjectOp::Item { to, .. }
            | ObjectOp::Insert { to, .. }
            | ObjectOp::Erase { to, .. }
            | ObjectOp::None { to }
            | ObjectOp::Share { to, .. } => Some(*to),
            ObjectOp::Length { .. } | ObjectOp::IsSome { .. } | ObjectOp::Rank { .. } | ObjectOp::Drop(_) => {
                None
            }
        }
    }

    /// What is read.
    pub fn operands(&self) -> SmallVec<[ObjectId; 2]> {
        match self {
            ObjectOp::Tensor(_) | ObjectOp::None { .. } | ObjectOp::Drop(_) => SmallVec::new(),
            ObjectOp::Sequence { items, .. } => items.iter().copied().collect(),
            ObjectOp::Length { of, .. }
            | ObjectOp::Item { of, .. }
            | ObjectOp::Erase { of, .. }
            | ObjectOp::IsSome { of, .. }
            | ObjectOp::Rank { of, .. }
            | ObjectOp::Share { from: of, .. } => [*of].into_iter().collect(),
            ObjectOp::Insert { of, item, .. } => [*of, *item].into_iter().collect(),
        }
    }

    /// Sizes that must be known.
    pub fn sizes(&self) -> Option<Dim> {
        match self {
            ObjectOp::Item { at, .. } => Some(*at),
            ObjectOp::Insert { at, .. } | ObjectOp::Erase { at, .. } => *at,
            _ => None,
        }
    }

    /// Symbols that get a value.
    pub fn defines(&self) -> SmallVec<[Sym; 2]> {
        match self {
            ObjectOp::Length { symbol, .. }
            | ObjectOp::IsSome { symbol, .. }
            | ObjectOp::Rank { symbol, .. } => [*symbol].into_iter().collect(),
            ObjectOp::Item { bindings, .. } | ObjectOp::Share { bindings, .. } => {
                bindings.iter().map(|it| it.symbol).collect()
            }
            _ => SmallVec::new(),
        }
    }
}
