//! Merges kernel nodes.
//!
//! Walks the graph in order; each kernel node tries to absorb the nodes that produce its operands, latest first. A
//! producer whose result anything else uses is left alone, so nothing is computed twice.

use super::rewrite::remove_dead;
use crate::manager::{Changed, Pass, PassCx};
use crate::rules::abort::merged_source;
use crate::rules::fusion::{KernelCall, absorb};
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostics;
use orogen_ir::graph::{Edge, Graph, NodeId, NodeKind};
use orogen_ir::kernel::Kernel;

/// Merges kernels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fuse;

impl Pass<Graph> for Fuse {
    fn name(&self) -> &'static str {
        "fuse"
    }

    fn run(&self, graph: &mut Graph, _cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let mut uses = graph.uses();
        let mut changed = false;
        for id in graph.order.clone() {
            while absorb_one(graph, id, &mut uses) {
                changed = true;
            }
        }
        if changed {
            remove_dead(graph);
            let called: IndexSet<String> = graph
                .order
                .iter()
                .filter_map(|id| match &graph.nodes[*id].kind {
                    NodeKind::Kernel { kernel } => Some(kernel.clone()),
                    _ => None,
                })
                .collect();
            graph.kernels.retain(|name, _| called.contains(name));
        }
        Ok(changed.into())
    }
}

/// Merges one producer into the node `id`; the producer becomes dead.
fn absorb_one(graph: &mut Graph, id: NodeId, uses: &mut IndexMap<Edge, usize>) -> bool {
    let node = &graph.nodes[id];
    let NodeKind::Kernel { kernel } = &node.kind else { return false };
    for edge in node.inputs.iter().rev() {
        let producer = &graph.nodes[edge.node];
        let single = producer.outputs.len() == 1
            && uses.get(edge).copied().unwrap_or(0) == node.inputs.iter().filter(|it| *it == edge).count();
        let NodeKind::Kernel { kernel: first } = &producer.kind else { continue };
        if !single {
            continue;
        }
        let program = |name: &str| graph.kernels.get(name).and_then(Kernel::program);
        let (Some(first), Some(second)) = (program(first), program(kernel)) else { continue };
        let maker = KernelCall { program: first, sizes: &[], args: &producer.inputs };
        let consumer = KernelCall { program: second, sizes: &[], args: &node.inputs };
        let Some((composed, inputs)) = absorb(maker, consumer, *edge) else { continue };
        // Merging may leave one use where there were several: what read a value in turn now reads it once.
        for edge in producer.inputs.iter().chain(&node.inputs) {
            uses[edge] -= 1;
        }
        for edge in &inputs {
            uses[edge] += 1;
        }
        let source = merged_source(maker.program, &producer.source, &node.source);
        let kernel = crate::rules::kernels::intern(&mut graph.kernels, composed.program);
        let node = &mut graph.nodes[id];
        node.source = source;
        node.kind = NodeKind::Kernel { kernel };
        node.inputs = inputs.into_iter().collect();
        return true;
    }
    false
}
