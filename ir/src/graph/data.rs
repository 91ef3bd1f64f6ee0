//! The data of the legacy graph.

use crate::kernel::Kernel;
use crate::ops::OpId;
use crate::types::{Attrs, ConstId, ConstPool, DType, Source};
use indexmap::IndexMap;
use la_arena::{Arena, Idx};
use smallvec::SmallVec;
use std::ops::Index;

/// A node, printed `%7` (its first output) or `%7.1`.
pub type NodeId = Idx<Node>;

/// A tensor type with constant dimensions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StaticType {
    /// Element type.
    pub dtype: DType,
    /// Dimensions, outermost first.
    pub dims: SmallVec<[u64; 4]>,
}

/// One output of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Edge {
    /// The node.
    pub node: NodeId,
    /// Which of its outputs.
    pub output: u32,
}

/// What a node does.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeKind {
    /// A model input.
    Input {
        /// Name the user sees.
        name: String,
        /// What it is when a caller leaves it out.
        default: Option<ConstId>,
    },
    /// A constant of the graph's pool.
    Constant(ConstId),
    /// An operator.
    Op {
        /// Operator.
        op: OpId,
        /// Attributes.
        attrs: Attrs,
    },
    /// The bytes of its one operand under another shape of the same size: what legalisation leaves of `reshape`
    /// and its kin.
    View,
    /// A kernel of the graph; outputs are its output buffers.
    Kernel {
        /// Name in [`Graph::kernels`].
        kernel: String,
    },
}

/// A node: existence. Its place in the program is [`Graph::order`].
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it does.
    pub kind: NodeKind,
    /// Operands.
    pub inputs: SmallVec<[Edge; 3]>,
    /// Output types.
    pub outputs: SmallVec<[StaticType; 1]>,
    /// Where it comes from.
    pub source: Source,
}

/// A static, pure graph.
///
/// A builder, the parser or a [`GraphEditor`](super::GraphEditor) writes one; everybody else reads: `graph[id]` is a node.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Name.
    pub name: String,
    /// All nodes, also dead ones.
    pub(super) nodes: Arena<Node>,
    /// The program. A node that is not in it is dead.
    pub(super) order: Vec<NodeId>,
    /// Model inputs in order; each is a node of kind `Input`.
    pub(super) inputs: Vec<NodeId>,
    /// Model outputs in order.
    pub(super) outputs: Vec<(String, Edge)>,
    /// Constants.
    pub constants: ConstPool,
    /// Kernels by name, once operators are legalised.
    pub(super) kernels: IndexMap<String, Kernel>,
}

impl Index<NodeId> for Graph {
    type Output = Node;

    fn index(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }
}

impl Graph {
    /// The program. A node that is not in it is dead.
    pub fn order(&self) -> &[NodeId] {
        &self.order
    }

    /// Model inputs in order; each is a node of kind `Input`.
    pub fn inputs(&self) -> &[NodeId] {
        &self.inputs
    }

    /// Model outputs in order.
    pub fn outputs(&self) -> &[(String, Edge)] {
        &self.outputs
    }

    /// Kernels by name, once operators are legalised.
    pub fn kernels(&self) -> &IndexMap<String, Kernel> {
        &self.kernels
    }

    /// The type of an edge.
    pub fn ty(&self, edge: Edge) -> &StaticType {
        &self.nodes[edge.node].outputs[edge.output as usize]
    }

    /// How often live nodes and the outputs of the graph read each edge that anything reads.
    pub fn uses(&self) -> IndexMap<Edge, usize> {
        let mut uses = IndexMap::new();
        let operands = self.order.iter().flat_map(|id| self.nodes[*id].inputs.iter());
        for edge in operands.chain(self.outputs.iter().map(|(_, edge)| edge)) {
            *uses.entry(*edge).or_insert(0) += 1;
        }
        uses
    }
}
