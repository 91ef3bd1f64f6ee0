//! Editing graphs: nodes are added and left behind; the order says what the program is.

use super::{Edge, Graph, Node, NodeId, NodeKind};
use crate::types::{ConstId, ConstPool};
use indexmap::{IndexMap, IndexSet};
use la_arena::{Arena, ArenaMap};

impl Graph {
    /// Adds a node at the end of the order.
    pub fn push(&mut self, node: Node) -> NodeId {
        let id = self.nodes.alloc(node);
        self.order.push(id);
        id
    }

    /// Adds a node before another one in the order; at the end when that one is not in it.
    pub fn insert_before(&mut self, before: NodeId, node: Node) -> NodeId {
        let id = self.nodes.alloc(node);
        let at = self.order.iter().position(|it| *it == before).unwrap_or(self.order.len());
        self.order.insert(at, id);
        id
    }

    /// The users of each node's outputs, ordered nodes only: a side table that is out of date after the next edit.
    pub fn users(&self) -> ArenaMap<NodeId, Vec<NodeId>> {
        let mut users: ArenaMap<NodeId, Vec<NodeId>> = ArenaMap::default();
        for id in &self.order {
            for input in &self.nodes[*id].inputs {
                match users.get_mut(input.node) {
                    Some(list) => list.push(*id),
                    None => {
                        users.insert(input.node, vec![*id]);
                    }
                }
            }
        }
        users
    }

    /// Makes everything that used `from` use `to`, outputs of the graph included; returns how many uses changed.
    pub fn replace_uses(&mut self, from: Edge, to: Edge) -> usize {
        let mut changed = 0;
        let mut replace = |edge: &mut Edge| {
            if *edge == from {
                *edge = to;
                changed += 1;
            }
        };
        for id in &self.order {
            // What computes the replacement may itself use what is replaced.
            if *id != to.node {
                self.nodes[*id].inputs.iter_mut().for_each(&mut replace);
            }
        }
        self.outputs.iter_mut().for_each(|(_, edge)| replace(edge));
        changed
    }

    /// Removes from the order the nodes that no output needs, and kernels that no node names; inputs stay. Returns how
    /// many nodes went.
    pub fn prune(&mut self) -> usize {
        let mut live: IndexSet<NodeId> = self.inputs.iter().copied().collect();
        let mut stack: Vec<NodeId> = self.outputs.iter().map(|(_, edge)| edge.node).collect();
        while let Some(id) = stack.pop() {
            if live.insert(id) {
                stack.extend(self.nodes[id].inputs.iter().map(|it| it.node));
            }
        }
        let before = self.order.len();
        self.order.retain(|it| live.contains(it));
        let nodes = &self.nodes;
        let used: IndexSet<&str> = self
            .order
            .iter()
            .filter_map(|it| match &nodes[*it].kind {
                NodeKind::Kernel { kernel } => Some(kernel.as_str()),
                _ => None,
            })
            .collect();
        self.kernels.retain(|name, _| used.contains(name.as_str()));
        before - self.order.len()
    }

    /// Drops nodes that are not in the order and constants that no node names; renumbers the rest in order. Edges from
    /// before mean nothing afterwards.
    pub fn compact(&mut self) {
        let mut old = std::mem::take(&mut self.nodes);
        let mut constants = ConstPool::default();
        let mut ids: IndexMap<ConstId, ConstId> = IndexMap::new();
        let mut map: ArenaMap<NodeId, NodeId> = ArenaMap::default();
        let mut nodes = Arena::new();
        for id in &self.order {
            let placeholder = Node {
                kind: NodeKind::View,
                inputs: Default::default(),
                outputs: Default::default(),
                source: String::new(),
            };
            let mut node = std::mem::replace(&mut old[*id], placeholder);
            if let NodeKind::Constant(constant) = &mut node.kind {
                let pool = &self.constants;
                *constant = *ids
                    .entry(*constant)
                    .or_insert_with(|| constants.add(pool.name(*constant), pool.data(*constant).clone()));
            }
            let new = nodes.alloc(node);
            map.insert(*id, new);
        }
        let renumber = |edge: &mut Edge| edge.node = map[edge.node];
        for (_, node) in nodes.iter_mut() {
            node.inputs.iter_mut().for_each(renumber);
        }
        self.nodes = nodes;
        self.constants = constants;
        self.outputs.iter_mut().for_each(|(_, edge)| renumber(edge));
        self.order.iter_mut().for_each(|it| *it = map[*it]);
        self.inputs.iter_mut().for_each(|it| *it = map[*it]);
    }
}
