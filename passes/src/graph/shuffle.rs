//! Brings nodes into another order that is legal.

use crate::manager::{Changed, Facts, Pass, PassCx};
use crate::rules::order::{Shuffle, reordered};
use indexmap::IndexMap;
use orogen_ir::diag::Diagnostics;
use orogen_ir::graph::{Graph, NodeId, NodeKind};

impl Pass<Graph> for Shuffle {
    fn name(&self) -> &'static str {
        self.pass_name()
    }

    fn facts(&self) -> Facts {
        Facts::KEEPS_ALL
    }

    fn run(&self, graph: &mut Graph, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let PassCx { ops, choices, .. } = cx;
        let changed = graph.edit(ops, |editor| -> Result<bool, Diagnostics> {
            let is_free = |id: &NodeId| {
                !matches!(editor.node(*id).kind, NodeKind::Input { .. } | NodeKind::Constant(_))
            };
            let nodes: Vec<NodeId> = editor.order().into_iter().filter(is_free).collect();
            let places: IndexMap<NodeId, usize> = nodes.iter().copied().zip(0..).collect();
            let needs = |id: &NodeId| {
                editor.node(*id).inputs.iter().filter_map(|it| places.get(&it.node).copied()).collect()
            };
            let needs: Vec<Vec<usize>> = nodes.iter().map(needs).collect();
            let order = reordered(&needs, choices, |i| editor.node(nodes[i]).source.to_string());
            // Constants stay where they are: none of them reads anything, and those who read them come from behind.
            let (Some(first), changed) =
                (nodes.first().copied(), order.iter().zip(0..).any(|it| *it.0 != it.1))
            else {
                return Ok(false);
            };
            let constants = editor
                .order()
                .into_iter()
                .filter(|it| matches!(editor.node(*it).kind, NodeKind::Constant(_)));
            for id in constants.collect::<Vec<_>>() {
                editor.move_before(id, first);
            }
            let mut next = None;
            for id in order.iter().rev().map(|it| nodes[*it]) {
                if let Some(next) = next {
                    editor.move_before(id, next);
                } else {
                    editor.move_last(id);
                }
                next = Some(id);
            }
            Ok(changed)
        })?;
        Ok(changed.into())
    }
}
