//! One form for one meaning: duplicates are merged, identities and dead nodes removed.

use super::rewrite::edge_type;
use crate::manager::{Changed, Fact, Facts, Pass, PassCx};
use crate::rules::identity::identity;
use indexmap::IndexMap;
use orogen_ir::diag::Diagnostics;
use orogen_ir::graph::{Edge, Graph, GraphEditor, NodeId, NodeKind};
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

    fn facts(&self) -> Facts {
        Facts { establishes: &[Fact::Live, Fact::NoDuplicates], ..Facts::KEEPS_ALL }
    }

    fn run(&self, graph: &mut Graph, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let changed = graph.edit(cx.ops, |editor| -> Result<bool, Diagnostics> { Ok(merge(editor)) })?;
        let removed = graph.prune();
        Ok((removed > 0 || changed).into())
    }
}

/// Replaces duplicates and identities; whether there was any.
fn merge(editor: &mut GraphEditor<'_>) -> bool {
    let mut shapes = ShapeCx::new();
    let mut seen: IndexMap<Key, NodeId> = IndexMap::new();
    let mut changed = false;
    for id in editor.order() {
        let node = editor.node(id);
        let key = match &node.kind {
            NodeKind::Op { op, attrs } => {
                let types: IndexMap<Edge, Type> =
                    node.inputs.iter().map(|it| (*it, edge_type(editor, &mut shapes, *it))).collect();
                if let Some(edge) = identity(editor.ops(), *op, attrs, &node.inputs, |it| &types[&it]) {
                    editor.replace(Edge { node: id, output: 0 }, edge);
                    changed = true;
                    continue;
                }
                Key::Op(*op, attrs.clone(), node.inputs.to_vec())
            }
            NodeKind::Constant(constant) => Key::Constant(*constant),
            NodeKind::Input { .. } | NodeKind::View | NodeKind::Kernel { .. } => continue,
        };
        match seen.get(&key) {
            Some(earlier) => {
                for (from, to) in editor.edges(id).zip(editor.edges(*earlier)) {
                    editor.replace(from, to);
                }
                editor.add_source(*earlier, id);
                changed = true;
            }
            None => {
                seen.insert(key, id);
            }
        }
    }
    changed
}
