//! Replaces operators by kernel nodes and views, from the shared table.

use super::rewrite::{edge_type, remove_dead};
use crate::manager::{Changed, Pass, PassCx, Step};
use crate::rules::kernels::intern;
use crate::rules::legalize::{LegalizeTable, Lowering, Operation};
use indexmap::IndexSet;
use orogen_ir::diag::Diagnostics;
use orogen_ir::graph::{Edge, Graph, NodeId, NodeKind};
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{TensorData, Type};
use smallvec::smallvec;

/// Replaces operators by kernels.
#[derive(Clone, Debug)]
pub struct Legalize {
    table: LegalizeTable,
}

impl Legalize {
    /// With this table.
    pub fn new(table: LegalizeTable) -> Self {
        Legalize { table }
    }
}

impl Pass<Graph> for Legalize {
    fn name(&self) -> &'static str {
        "legalize"
    }

    fn step(&self) -> Step {
        Step::Legalize
    }

    fn run(&self, graph: &mut Graph, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let mut shapes = ShapeCx::new();
        let mut found = Diagnostics::new();
        let mut changed = false;
        // Walking backwards, what is used is known: constants that only named shapes are not operands of kernels.
        let mut live: IndexSet<NodeId> = graph.outputs.iter().map(|(_, edge)| edge.node).collect();
        for id in graph.order.clone().into_iter().rev() {
            if !live.contains(&id) {
                continue;
            }
            let node = &graph.nodes[id];
            if let NodeKind::Op { op, attrs } = &node.kind {
                let args: Vec<Type> =
                    node.inputs.iter().map(|it| edge_type(graph, &mut shapes, *it)).collect();
                let results: Vec<Type> = (0..node.outputs.len())
                    .map(|output| edge_type(graph, &mut shapes, Edge { node: id, output: output as u32 }))
                    .collect();
                let inputs = node.inputs.clone();
                let constants: Vec<Option<TensorData>> =
                    inputs.iter().map(|it| constant(graph, *it)).collect();
                let operation =
                    Operation { op: *op, attrs, args: &args, results: &results, constants: &constants };
                match self.table.legalize(cx.ops, &mut shapes, operation) {
                    Ok(Lowering::View { operand }) => {
                        let node = &mut graph.nodes[id];
                        (node.kind, node.inputs) = (NodeKind::View, smallvec![inputs[operand]]);
                    }
                    Ok(Lowering::Kernel(kernel)) => {
                        let name = intern(&mut graph.kernels, kernel.program);
                        let node = &mut graph.nodes[id];
                        node.kind = NodeKind::Kernel { kernel: name };
                        node.inputs = kernel.operands.iter().map(|it| inputs[*it]).collect();
                    }
                    Err(diagnostic) => found.push(diagnostic.at(node.source.clone())),
                }
                changed = true;
            }
            live.extend(graph.nodes[id].inputs.iter().map(|it| it.node));
        }
        remove_dead(graph);
        found.into_result(changed.into())
    }
}

/// The data of a constant.
fn constant(graph: &Graph, edge: Edge) -> Option<TensorData> {
    match graph.nodes[edge.node].kind {
        NodeKind::Constant(id) => Some(graph.constants.data(id).clone()),
        _ => None,
    }
}
