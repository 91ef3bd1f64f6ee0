//! Merges kernel nodes.
//!
//! Walks the graph in order; each kernel node tries to absorb the nodes that produce its operands, latest first. A
//! producer whose result anything else uses is left alone, so nothing is computed twice.

use super::rewrite::remove_dead;
use crate::manager::{Changed, Pass, PassCx};
use crate::rules::abort::merged_source;
use crate::rules::fusion::{KernelCall, Merging};
use crate::rules::kernels::KernelInterner;
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostics;
use orogen_ir::graph::{Edge, Graph, NodeId, NodeKind};

/// Merges kernels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fuse;

impl Pass<Graph> for Fuse {
    fn name(&self) -> &'static str {
        "fuse"
    }

    fn run(&self, graph: &mut Graph, _cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let mut uses = graph.uses();
        let mut kernels = std::mem::take(&mut graph.kernels);
        let mut merging = Merging::of(&kernels);
        let mut changed = false;
        for id in graph.order.clone() {
            while absorb_one(graph, id, &mut uses, &mut merging) {
                changed = true;
            }
        }
        let mut merged = merging.finish();
        if changed {
            remove_dead(graph);
            let mut interner = KernelInterner::of(&kernels);
            let mut called: IndexSet<String> = IndexSet::new();
            for id in &graph.order {
                let NodeKind::Kernel { kernel } = &mut graph.nodes[*id].kind else { continue };
                if let Some(program) = merged.swap_remove(id) {
                    *kernel = interner.add(&mut kernels, program);
                }
                called.insert(kernel.clone());
            }
            kernels.retain(|name, _| called.contains(name));
        }
        graph.kernels = kernels;
        Ok(changed.into())
    }
}

/// Merges one producer into the node `id`; the producer becomes dead.
fn absorb_one(
    graph: &mut Graph,
    id: NodeId,
    uses: &mut IndexMap<Edge, usize>,
    merging: &mut Merging<'_, NodeId>,
) -> bool {
    let node = &graph.nodes[id];
    let NodeKind::Kernel { kernel } = &node.kind else { return false };
    if !merging.may_grow(id, kernel) {
        return false;
    }
    for edge in node.inputs.iter().rev() {
        let producer = &graph.nodes[edge.node];
        let NodeKind::Kernel { kernel: first } = &producer.kind else { continue };
        let single = producer.outputs.len() == 1
            && uses.get(edge).copied().unwrap_or(0) == node.inputs.iter().filter(|it| *it == edge).count();
        if !single {
            continue;
        }
        let maker = KernelCall { id: edge.node, kernel: first, sizes: &[], args: &producer.inputs };
        let consumer = KernelCall { id, kernel, sizes: &[], args: &node.inputs };
        let aborts = merging.aborts(edge.node, first);
        let Some((_, inputs)) = merging.absorb(maker, consumer, *edge) else { continue };
        // Merging may leave one use where there were several: what read a value in turn now reads it once.
        for edge in producer.inputs.iter().chain(&node.inputs) {
            uses[edge] -= 1;
        }
        for edge in &inputs {
            uses[edge] += 1;
        }
        let source = merged_source(aborts, &producer.source, &node.source);
        let node = &mut graph.nodes[id];
        node.source = source;
        node.inputs = inputs.into_iter().collect();
        return true;
    }
    false
}
