//! Rewriting helpers over the legacy graph.

use indexmap::{IndexMap, IndexSet};
use orogen_ir::graph::{Edge, Graph, Node, NodeId, NodeKind, StaticType};
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{TensorData, TensorType, Type};

/// Replacements of edges by earlier edges.
#[derive(Debug, Default)]
pub(crate) struct Replacements(IndexMap<Edge, Edge>);

impl Replacements {
    pub(crate) fn insert(&mut self, from: Edge, to: Edge) {
        let to = self.get(to);
        self.0.insert(from, to);
    }

    pub(crate) fn get(&self, edge: Edge) -> Edge {
        self.0.get(&edge).copied().unwrap_or(edge)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn apply(&self, graph: &mut Graph) {
        if self.is_empty() {
            return;
        }
        for id in &graph.order {
            for input in &mut graph.nodes[*id].inputs {
                *input = self.get(*input);
            }
        }
        for (_, edge) in &mut graph.outputs {
            *edge = self.get(*edge);
        }
    }
}

/// Removes nodes that no output needs; model inputs stay. Returns whether there were any.
pub(crate) fn remove_dead(graph: &mut Graph) -> bool {
    let mut live: IndexSet<NodeId> = graph.outputs.iter().map(|(_, edge)| edge.node).collect();
    live.extend(graph.inputs.iter().copied());
    for id in graph.order.iter().rev() {
        if live.contains(id) {
            live.extend(graph.nodes[*id].inputs.iter().map(|it| it.node));
        }
    }
    let before = graph.order.len();
    graph.order.retain(|id| live.contains(id));
    before != graph.order.len()
}

/// The data of an edge that is a constant.
pub(crate) fn constant_data(graph: &Graph, edge: Edge) -> Option<&TensorData> {
    match graph.nodes[edge.node].kind {
        NodeKind::Constant(constant) => Some(graph.constants.data(constant)),
        _ => None,
    }
}

/// Allocates a constant node; the caller puts it in the order.
pub(crate) fn constant_node(graph: &mut Graph, data: TensorData, source: &str) -> NodeId {
    let ty = StaticType { dtype: data.dtype(), dims: data.dims().iter().copied().collect() };
    let constant = graph.constants.add(String::new(), data);
    graph.nodes.alloc(Node {
        kind: NodeKind::Constant(constant),
        inputs: smallvec::SmallVec::new(),
        outputs: smallvec::smallvec![ty],
        source: source.to_string(),
    })
}

/// The type of an edge for rules that are shared with the flow IR, with elements where it is a constant.
pub(crate) fn edge_type(graph: &Graph, shapes: &mut ShapeCx, edge: Edge) -> Type {
    match constant_data(graph, edge) {
        Some(data) => Type::Tensor(TensorType::of_constant(shapes, data)),
        None => {
            let ty = graph.ty(edge);
            let dims: Vec<_> = ty.dims.iter().map(|it| shapes.int(*it as i64)).collect();
            Type::tensor(ty.dtype, dims)
        }
    }
}
