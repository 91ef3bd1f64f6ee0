//! Evaluates operators whose operands are constants.

use super::rewrite::{Replacements, constant_data, constant_node, remove_dead};
use crate::manager::{Changed, Pass, PassCx};
use crate::rules::fold::{Operation, fold, wanted};
use orogen_ir::diag::Diagnostics;
use orogen_ir::graph::{Edge, Graph, NodeId, NodeKind};
use orogen_ir::ops::{OnConstants, Outline};
use orogen_ir::types::TensorData;

/// Evaluates operators on constants.
#[derive(Clone, Copy, Debug, Default)]
pub struct FoldConstants;

impl Pass<Graph> for FoldConstants {
    fn name(&self) -> &'static str {
        "fold-constants"
    }

    fn run(&self, graph: &mut Graph, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let wanted = wanted(cx.ops, &operations(graph));
        let mut replaced = Replacements::default();
        let mut order = Vec::with_capacity(graph.order.len());
        for id in graph.order.clone() {
            let node = &graph.nodes[id];
            let folded = match &node.kind {
                NodeKind::Op { op, attrs } => {
                    let data: Option<Vec<TensorData>> = node
                        .inputs
                        .iter()
                        .map(|it| constant_data(graph, replaced.get(*it)).cloned())
                        .collect();
                    data.and_then(|data| {
                        let results: Vec<Outline> = node
                            .outputs
                            .iter()
                            .map(|it| Outline { dtype: it.dtype, dims: Some(it.dims.clone()) })
                            .collect();
                        let wanted = edges(id, results.len()).any(|it| wanted.contains(&it));
                        fold(
                            cx,
                            &OnConstants { op: *op, attrs, args: &data, results: &results },
                            wanted,
                            &node.source,
                        )
                    })
                }
                _ => None,
            };
            let Some(folded) = folded else {
                order.push(id);
                continue;
            };
            let source = node.source.clone();
            for (output, data) in folded.into_iter().enumerate() {
                let constant = constant_node(graph, data, &source);
                order.push(constant);
                replaced.insert(Edge { node: id, output: output as u32 }, Edge { node: constant, output: 0 });
            }
        }
        graph.order = order;
        replaced.apply(graph);
        if !replaced.is_empty() {
            remove_dead(graph);
        }
        Ok((!replaced.is_empty()).into())
    }
}

fn edges(node: NodeId, outputs: usize) -> impl Iterator<Item = Edge> {
    (0..outputs as u32).map(move |output| Edge { node, output })
}

fn operations(graph: &Graph) -> Vec<Operation<Edge>> {
    let operation = |id: &NodeId| {
        let node = &graph.nodes[*id];
        let op = match node.kind {
            NodeKind::Op { op, .. } => Some(op),
            NodeKind::Constant(_) => None,
            _ => return None,
        };
        Some(Operation {
            op,
            args: node.inputs.iter().copied().collect(),
            results: edges(*id, node.outputs.len()).collect(),
        })
    };
    graph.order.iter().filter_map(operation).collect()
}
