//! Editing graphs: nodes are added and left behind; the order says what the program is.

use super::{Edge, Graph, Node, NodeId, NodeKind, StaticType};
use crate::diag::Diagnostic;
use crate::kernel::Kernel;
use crate::ops::OpRegistry;
use crate::order::Sequences;
use crate::types::{ConstId, ConstPool, Effects, Source, TensorData};
use indexmap::{IndexMap, IndexSet};
use la_arena::{Arena, ArenaMap};
use smallvec::SmallVec;

/// Edits a graph; see [`Graph::edit`].
///
/// New nodes go in front of a node, see [`before`](Self::before), and have its source; without one to the end. What
/// replaces an edge is read in its place everywhere at once, uses are counted exactly, and an edit takes as long as what it
/// changes. Nothing with effects but the possibility to abort gets in (law G3).
pub struct GraphEditor<'g> {
    ops: &'g OpRegistry,
    graph: &'g mut Graph,
    /// The order, which the graph has not meanwhile.
    order: Sequences<Node>,
    /// Uses of each edge, and some that are none any more.
    users: IndexMap<Edge, Vec<Use>>,
    /// How many uses there are.
    counts: IndexMap<Edge, usize>,
    point: Option<NodeId>,
    source: Source,
}

/// An operand of a node, or an output of the graph.
#[derive(Clone, Copy, Debug)]
enum Use {
    Operand(NodeId, usize),
    Output(usize),
}

impl<'g> GraphEditor<'g> {
    fn new(ops: &'g OpRegistry, graph: &'g mut Graph) -> Self {
        let mut editor = GraphEditor {
            ops,
            order: Sequences::new(1),
            users: IndexMap::new(),
            counts: IndexMap::new(),
            point: None,
            source: Source::default(),
            graph,
        };
        for id in std::mem::take(&mut editor.graph.order) {
            editor.order.insert(id, None, 0);
            editor.add_uses(id);
        }
        for i in 0..editor.graph.outputs.len() {
            editor.add_use(editor.graph.outputs[i].1, Use::Output(i));
        }
        editor
    }

    /// The operator table.
    pub fn ops(&self) -> &'g OpRegistry {
        self.ops
    }

    /// The kernels.
    pub fn kernels(&self) -> &IndexMap<String, Kernel> {
        &self.graph.kernels
    }

    /// The nodes in order, as they are now.
    pub fn order(&self) -> Vec<NodeId> {
        self.order.iter(0).collect()
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.graph.nodes[id]
    }

    /// The edges that a node defines.
    pub fn edges(&self, node: NodeId) -> impl Iterator<Item = Edge> + use<> {
        (0..self.node(node).outputs.len() as u32).map(move |output| Edge { node, output })
    }

    /// The type of an edge.
    pub fn ty(&self, edge: Edge) -> &StaticType {
        self.graph.ty(edge)
    }

    /// The data of an edge that is a constant.
    pub fn constant_data(&self, edge: Edge) -> Option<&TensorData> {
        self.graph.constant_data(edge)
    }

    /// How often an edge is read, outputs of the graph included.
    pub fn uses(&self, edge: Edge) -> usize {
        self.counts.get(&edge).copied().unwrap_or(0)
    }

    /// New nodes go in front of this one, and have its source.
    pub fn before(&mut self, id: NodeId) {
        self.source.clone_from(&self.graph.nodes[id].source);
        self.point = self.order.of(id).map(|_| id);
    }

    /// Adds a node with outputs of these types.
    ///
    /// # Errors
    /// `G013`: an operator or a kernel with effects (law G3).
    pub fn emit(
        &mut self,
        kind: NodeKind,
        inputs: SmallVec<[Edge; 3]>,
        outputs: SmallVec<[StaticType; 1]>,
    ) -> Result<NodeId, Diagnostic> {
        let (name, effects) = match &kind {
            NodeKind::Op { op, .. } => (self.ops.def(*op).name, self.ops.def(*op).effects),
            NodeKind::Kernel { kernel } => {
                (kernel.as_str(), self.graph.kernels.get(kernel).map_or(Effects::PURE, Kernel::effects))
            }
            NodeKind::Input { .. } | NodeKind::Constant(_) | NodeKind::View => ("", Effects::PURE),
        };
        if !effects.allowed_in_dataflow() {
            return Err(Diagnostic::error("G013", format!("`{name}` has effects: {effects}")));
        }
        Ok(self.insert(kind, inputs, outputs))
    }

    /// Adds a constant.
    pub fn constant(&mut self, name: &str, data: TensorData) -> Edge {
        let ty = StaticType { dtype: data.dtype(), dims: data.dims().iter().copied().collect() };
        let constant = self.graph.constants.add(name, data);
        let node = self.insert(NodeKind::Constant(constant), SmallVec::new(), [ty].into_iter().collect());
        Edge { node, output: 0 }
    }

    /// Adds a kernel that nodes may name.
    ///
    /// # Errors
    /// `G015`: a name that is taken.
    pub fn define(&mut self, kernel: Kernel) -> Result<(), Diagnostic> {
        if self.graph.kernels.contains_key(kernel.name()) {
            return Err(Diagnostic::error("G015", format!("the graph has two kernels `{}`", kernel.name())));
        }
        self.graph.kernels.insert(kernel.name().to_owned(), kernel);
        Ok(())
    }

    /// Makes a node call a kernel on these operands; its results stay what they are.
    pub fn set_kernel(&mut self, id: NodeId, kernel: String, inputs: SmallVec<[Edge; 3]>) {
        self.drop_uses(id);
        self.graph.nodes[id].kind = NodeKind::Kernel { kernel };
        self.graph.nodes[id].inputs = inputs;
        self.add_uses(id);
    }

    /// Says where a node came from.
    pub fn set_source(&mut self, id: NodeId, source: Source) {
        self.graph.nodes[id].source = source;
    }

    /// Says that a node stands for another one too.
    pub fn add_source(&mut self, id: NodeId, of: NodeId) {
        let source = self.graph.nodes[of].source.clone();
        self.graph.nodes[id].source.add(&source);
    }

    /// Makes everything that reads `from` read `to`, outputs of the graph included, but for the node that defines `to`.
    pub fn replace(&mut self, from: Edge, to: Edge) {
        if from == to {
            return;
        }
        let mut own = Vec::new();
        for it in self.users.swap_remove(&from).unwrap_or_default() {
            let edge = match it {
                Use::Operand(node, _) if self.order.of(node).is_none() => continue,
                Use::Operand(node, place) => self.graph.nodes[node].inputs.get_mut(place),
                Use::Output(i) => self.graph.outputs.get_mut(i).map(|(_, edge)| edge),
            };
            let Some(edge) = edge.filter(|it| **it == from) else { continue };
            if matches!(it, Use::Operand(node, _) if node == to.node) {
                own.push(it);
                continue;
            }
            *edge = to;
            self.count(from, -1);
            self.add_use(to, it);
        }
        self.users.insert(from, own);
    }

    /// Moves a node in front of another one. What it reads must stand before, and what reads it after (law G2).
    pub fn move_before(&mut self, id: NodeId, next: NodeId) {
        if id != next && self.order.remove(id) {
            self.order.insert(id, Some(next), 0);
        }
    }

    /// Moves a node to the end.
    pub fn move_last(&mut self, id: NodeId) {
        if self.order.remove(id) {
            self.order.insert(id, None, 0);
        }
    }

    /// Takes a node out of the program. Nothing must read it any more (law G2).
    pub fn remove(&mut self, id: NodeId) {
        if self.point == Some(id) {
            self.point = self.order.after(id);
        }
        self.drop_uses(id);
        self.order.remove(id);
    }

    fn insert(
        &mut self,
        kind: NodeKind,
        inputs: SmallVec<[Edge; 3]>,
        outputs: SmallVec<[StaticType; 1]>,
    ) -> NodeId {
        let id = self.graph.nodes.alloc(Node { kind, inputs, outputs, source: self.source.clone() });
        self.order.insert(id, self.point, 0);
        self.add_uses(id);
        id
    }

    fn count(&mut self, edge: Edge, change: isize) {
        let count = self.counts.entry(edge).or_insert(0);
        *count = count.saturating_add_signed(change);
    }

    fn add_use(&mut self, edge: Edge, it: Use) {
        self.count(edge, 1);
        self.users.entry(edge).or_default().push(it);
    }

    fn add_uses(&mut self, id: NodeId) {
        for (place, edge) in self.graph.nodes[id].inputs.clone().into_iter().enumerate() {
            self.add_use(edge, Use::Operand(id, place));
        }
    }

    fn drop_uses(&mut self, id: NodeId) {
        if self.order.of(id).is_some() {
            for edge in self.graph.nodes[id].inputs.clone() {
                self.count(edge, -1);
            }
        }
    }
}

impl Graph {
    /// Edits the graph.
    ///
    /// # Errors
    /// What `edit` returns; the graph is whole then, but partly edited.
    pub fn edit<T, E>(
        &mut self,
        ops: &OpRegistry,
        edit: impl FnOnce(&mut GraphEditor<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut editor = GraphEditor::new(ops, self);
        let result = edit(&mut editor);
        editor.graph.order = editor.order.iter(0).collect();
        result
    }

    /// The data of an edge that is a constant.
    pub fn constant_data(&self, edge: Edge) -> Option<&TensorData> {
        match self.nodes[edge.node].kind {
            NodeKind::Constant(constant) => Some(self.constants.data(constant)),
            _ => None,
        }
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
                source: Source::default(),
            };
            let mut node = std::mem::replace(&mut old[*id], placeholder);
            let named = match &mut node.kind {
                NodeKind::Constant(constant) => Some(constant),
                NodeKind::Input { default, .. } => default.as_mut(),
                _ => None,
            };
            if let Some(constant) = named {
                *constant =
                    *ids.entry(*constant).or_insert_with(|| constants.adopt(&self.constants, *constant));
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
