//! Evaluates operators whose operands are constants.

use super::rewrite::{Replacements, constant_data, constant_node, remove_dead};
use crate::manager::{Changed, Pass, PassCx};
use crate::rules::fold::fold;
use orogen_ir::diag::Diagnostics;
use orogen_ir::graph::{Edge, Graph, NodeKind};
use orogen_ir::types::TensorData;

/// Evaluates operators on constants.
#[derive(Clone, Copy, Debug, Default)]
pub struct FoldConstants;

impl Pass<Graph> for FoldConstants {
    fn name(&self) -> &'static str {
        "fold-constants"
    }

    fn run(&self, graph: &mut Graph, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
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
                    let bytes: Option<usize> =
                        node.outputs.iter().map(|it| TensorData::byte_count(it.dtype, &it.dims)).sum();
                    match (data, bytes) {
                        (Some(data), Some(bytes)) => fold(cx, *op, attrs, &data, bytes),
                        _ => None,
                    }
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
