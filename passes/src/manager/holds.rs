//! Whether facts hold of a program.

use super::IrRef;
use crate::dataflow::holds as flow;
use indexmap::IndexSet;
use orogen_ir::graph::{Edge, Graph, NodeId, NodeKind};
use orogen_ir::ops::{OpId, OpRegistry};
use orogen_ir::types::{Attrs, ConstId, Source};

/// Where something is, as a clause.
fn place(source: &Source) -> String {
    match source.to_string() {
        text if text.is_empty() => String::new(),
        text => format!(" of {text}"),
    }
}

/// Whether nothing is dead.
pub(super) fn live(ir: IrRef<'_>, ops: &OpRegistry) -> Result<(), String> {
    match ir {
        IrRef::Graph(graph) => {
            let mut needed: IndexSet<NodeId> = graph.inputs().iter().copied().collect();
            needed.extend(graph.outputs().iter().map(|(_, edge)| edge.node));
            // A node stands before what uses it, so that those who use it have been seen.
            for id in graph.order().iter().rev() {
                if !needed.contains(id) {
                    return Err(format!("nothing needs a node{}", place(&graph[*id].source)));
                }
                needed.extend(graph[*id].inputs.iter().map(|it| it.node));
            }
            Ok(())
        }
        IrRef::Flow(module) => flow::live(module, ops),
    }
}

/// What makes two operations the same.
#[derive(PartialEq, Eq, Hash)]
pub(crate) enum Key<V> {
    Op(OpId, Attrs, Vec<V>),
    Constant(ConstId),
}

/// Whether no operation is there twice.
pub(super) fn no_duplicates(ir: IrRef<'_>, ops: &OpRegistry) -> Result<(), String> {
    match ir {
        IrRef::Graph(graph) => in_graph(graph, ops),
        IrRef::Flow(module) => flow::no_duplicates(module, ops),
    }
}

pub(crate) fn twice<V>(key: &Key<V>, ops: &OpRegistry, source: &Source) -> String {
    match key {
        Key::Op(op, ..) => format!("`{}`{} is there twice", ops.def(*op).name, place(source)),
        Key::Constant(_) => format!("a constant{} is there twice", place(source)),
    }
}

fn in_graph(graph: &Graph, ops: &OpRegistry) -> Result<(), String> {
    let mut seen: IndexSet<Key<Edge>> = IndexSet::new();
    for id in graph.order() {
        let node = &graph[*id];
        let key = match &node.kind {
            NodeKind::Op { op, attrs } => Key::Op(*op, attrs.clone(), node.inputs.to_vec()),
            NodeKind::Constant(constant) => Key::Constant(*constant),
            NodeKind::Input { .. } | NodeKind::View | NodeKind::Kernel { .. } => continue,
        };
        if seen.contains(&key) {
            return Err(twice(&key, ops, &node.source));
        }
        seen.insert(key);
    }
    Ok(())
}

pub(crate) fn operator(op: OpId, source: &Source, ops: &OpRegistry) -> String {
    format!("`{}`{} is an operator", ops.def(op).name, place(source))
}

/// Whether no operator is left but those of structure.
pub(super) fn legalized(ir: IrRef<'_>, ops: &OpRegistry) -> Result<(), String> {
    match ir {
        IrRef::Graph(graph) => {
            for id in graph.order() {
                if let NodeKind::Op { op, .. } = &graph[*id].kind {
                    return Err(operator(*op, &graph[*id].source, ops));
                }
            }
        }
        IrRef::Flow(module) => return flow::legalized(module, ops),
    }
    Ok(())
}
