//! One form for one meaning: duplicates are merged, identities and dead nodes removed.

use super::rewrite::{Replacements, edge_type, remove_dead};
use crate::manager::{Changed, Pass, PassCx};
use crate::rules::identity::identity;
use indexmap::IndexMap;
use orogen_ir::diag::Diagnostics;
use orogen_ir::graph::{Edge, Graph, NodeId, NodeKind};
use orogen_ir::ops::OpId;
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{Attrs, ConstId, Type};

/// Merges duplicates and removes identities and dead nodes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Canonicalize;

#[derive(PartialEq, Eq, Hash)]
enum Key {
    Op(OpId, Attrs, Vec<Edge>),
    Constant(ConstId),
}

impl Pass<Graph> for Canonicalize {
    fn name(&self) -> &'static str {
        "canonicalize"
    }

    fn run(&self, graph: &mut Graph, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let mut shapes = ShapeCx::new();
        let mut replaced = Replacements::default();
        let mut seen: IndexMap<Key, NodeId> = IndexMap::new();
        for id in graph.order.clone() {
            let node = &graph.nodes[id];
            let inputs: Vec<Edge> = node.inputs.iter().map(|it| replaced.get(*it)).collect();
            let key = match &node.kind {
                NodeKind::Op { op, attrs } => {
                    let types: IndexMap<Edge, Type> =
                        inputs.iter().map(|it| (*it, edge_type(graph, &mut shapes, *it))).collect();
                    if let Some(edge) = identity(cx.ops, *op, attrs, &inputs, |it| &types[&it]) {
                        replaced.insert(Edge { node: id, output: 0 }, edge);
                        continue;
                    }
                    Key::Op(*op, attrs.clone(), inputs)
                }
                NodeKind::Constant(constant) => Key::Constant(*constant),
                NodeKind::Input { .. } | NodeKind::View | NodeKind::Kernel { .. } => continue,
            };
            match seen.get(&key) {
                Some(earlier) => {
                    for output in 0..graph.nodes[id].outputs.len() as u32 {
                        replaced.insert(Edge { node: id, output }, Edge { node: *earlier, output });
                    }
                }
                None => {
                    seen.insert(key, id);
                }
            }
        }
        replaced.apply(graph);
        let removed = remove_dead(graph);
        Ok((removed || !replaced.is_empty()).into())
    }
}
