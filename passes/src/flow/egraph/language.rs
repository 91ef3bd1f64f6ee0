//! What e-graphs are made of: operations over classes, and leaves.

use egg::{Id, Language};
use orogen_ir::ops::OpId;
use orogen_ir::types::Attrs;
use smallvec::SmallVec;

/// One way to compute a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Node {
    /// A value that nothing here looks into, by its place in [`Typed::leaves`](super::analysis::Typed::leaves).
    Leaf(u32),
    /// A constant, by its place in [`Typed::constants`](super::analysis::Typed::constants).
    Constant(u32),
    /// An operation of one result.
    Op {
        /// Its operator.
        op: OpId,
        /// Attributes.
        attrs: Attrs,
        /// Classes of its operands.
        args: SmallVec<[Id; 3]>,
    },
}

/// What two nodes that may match have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Leaf(u32),
    Constant(u32),
    Op(OpId),
}

impl Language for Node {
    type Discriminant = Kind;

    fn discriminant(&self) -> Kind {
        match self {
            Node::Leaf(it) => Kind::Leaf(*it),
            Node::Constant(it) => Kind::Constant(*it),
            Node::Op { op, .. } => Kind::Op(*op),
        }
    }

    fn matches(&self, other: &Self) -> bool {
        match (self, other) {
            (Node::Op { op, attrs, args }, Node::Op { op: other, attrs: others, args: of }) => {
                op == other && attrs == others && args.len() == of.len()
            }
            _ => self == other,
        }
    }

    fn children(&self) -> &[Id] {
        match self {
            Node::Op { args, .. } => args,
            _ => &[],
        }
    }

    fn children_mut(&mut self) -> &mut [Id] {
        match self {
            Node::Op { args, .. } => args,
            _ => &mut [],
        }
    }
}
