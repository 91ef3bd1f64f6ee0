//! Names of nodes in print order.

use crate::graph::{Edge, Graph, NodeId, NodeKind};
use crate::text::{NameAllocator, Numbering, exists};
use la_arena::ArenaMap;

/// Names of nodes, without the sigil.
pub(super) struct NodeNames(ArenaMap<NodeId, String>);

impl NodeNames {
    pub(super) fn of(graph: &Graph, numbering: Numbering) -> Self {
        let mut names = ArenaMap::default();
        let mut allocator = NameAllocator::new();
        for id in graph.inputs.iter().chain(&graph.order) {
            let Some(node) = exists(&graph.nodes, *id).filter(|_| !names.contains_idx(*id)) else { continue };
            let wish = match &node.kind {
                NodeKind::Input { name, .. } => Some(name.as_str()),
                NodeKind::Constant(id) if graph.constants.contains(*id) => Some(graph.constants.name(*id)),
                _ => None,
            };
            names.insert(*id, numbering.name(&mut allocator, wish, id.into_raw().into_u32()));
        }
        NodeNames(names)
    }

    /// `%name` or, for an output but the first, `%name.1`; node names that contain dots have one output.
    pub(super) fn edge(&self, edge: Edge) -> String {
        match edge.output {
            0 => self.node(edge.node),
            output => format!("{}.{output}", self.node(edge.node)),
        }
    }

    pub(super) fn node(&self, node: NodeId) -> String {
        match self.0.get(node) {
            Some(name) => format!("%{name}"),
            None => format!("%undefined.{}", node.into_raw().into_u32()),
        }
    }
}
