//! Replaces operators by what the shared table lowers them to.

use super::rewrite::{Replacements, constant_data, edge_type, remove_dead};
use crate::manager::{Changed, Pass, PassCx};
use crate::rules::kernels::KernelInterner;
use crate::rules::legalize::{LegalizeTable, LowerStep, Lowering, Operation, Value};
use indexmap::IndexSet;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::graph::{Edge, Graph, Node, NodeId, NodeKind, StaticType};
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

    fn run(&self, graph: &mut Graph, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let mut shapes = ShapeCx::new();
        let mut interner = KernelInterner::of(&graph.kernels);
        let mut found = Diagnostics::new();
        let mut changed = false;
        // Walking backwards, what is used is known: constants that only named shapes are not operands of kernels.
        let mut live: IndexSet<NodeId> = graph.outputs.iter().map(|(_, edge)| edge.node).collect();
        let mut replaced = Replacements::default();
        let mut order = Vec::with_capacity(graph.order.len());
        for id in graph.order.clone().into_iter().rev() {
            if !live.contains(&id) {
                order.push(id);
                continue;
            }
            let node = &graph.nodes[id];
            let NodeKind::Op { op, attrs } = &node.kind else {
                live.extend(node.inputs.iter().map(|it| it.node));
                order.push(id);
                continue;
            };
            let args: Vec<Type> = node.inputs.iter().map(|it| edge_type(graph, &mut shapes, *it)).collect();
            let results: Vec<Type> = (0..node.outputs.len())
                .map(|output| edge_type(graph, &mut shapes, Edge { node: id, output: output as u32 }))
                .collect();
            let constants: Vec<Option<TensorData>> =
                node.inputs.iter().map(|it| constant_data(graph, *it).cloned()).collect();
            let operation =
                Operation { op: *op, attrs, args: &args, results: &results, constants: &constants };
            let lowering = self.table.legalize(cx.ops, &mut shapes, operation);
            match lowering.and_then(|it| run(graph, &mut interner, &shapes, id, it, &mut replaced)) {
                Ok(new) => {
                    changed = true;
                    live.extend(new.iter().flat_map(|it| &graph.nodes[*it].inputs).map(|it| it.node));
                    order.extend(new.into_iter().rev());
                }
                Err(diagnostic) => {
                    found.push(diagnostic.at(graph.nodes[id].source.clone()));
                    order.push(id);
                }
            }
        }
        order.reverse();
        graph.order = order;
        replaced.apply(graph);
        remove_dead(graph);
        found.into_result(changed.into())
    }
}

/// Runs the lowering of the operation `id`: the nodes that compute its results, in order.
fn run(
    graph: &mut Graph,
    interner: &mut KernelInterner,
    shapes: &ShapeCx,
    id: NodeId,
    lowering: Lowering,
    replaced: &mut Replacements,
) -> Result<Vec<NodeId>, Diagnostic> {
    let operation = graph.nodes[id].clone();
    let mut made: Vec<Edge> = Vec::new();
    let mut new = Vec::new();
    for step in lowering.steps {
        let outputs = step.types().iter().map(|ty| static_type(shapes, ty)).collect::<Result<_, _>>()?;
        let edge = |value: &Value| match value {
            Value::Operand(i) => operation.inputs[*i],
            Value::Made(i) => made[*i],
        };
        let (kind, inputs) = match step {
            LowerStep::Kernel { kernel, args, .. } => {
                let inputs = args.iter().map(edge).collect();
                (NodeKind::Kernel { kernel: interner.add(&mut graph.kernels, *kernel) }, inputs)
            }
            LowerStep::View { value, .. } => (NodeKind::View, smallvec![edge(&value)]),
            LowerStep::MatchCast { .. } | LowerStep::Check(_) => return Err(late()),
        };
        let node = graph.nodes.alloc(Node { kind, inputs, outputs, source: operation.source.clone() });
        made.extend((0..graph.nodes[node].outputs.len()).map(|it| Edge { node, output: it as u32 }));
        new.push(node);
    }
    for (output, value) in (0..).zip(&lowering.results) {
        let to = match value {
            Value::Made(i) => made[*i],
            Value::Operand(i) => {
                let inputs = smallvec![operation.inputs[*i]];
                let outputs = smallvec![operation.outputs[output as usize].clone()];
                let source = operation.source.clone();
                let node = graph.nodes.alloc(Node { kind: NodeKind::View, inputs, outputs, source });
                new.push(node);
                Edge { node, output: 0 }
            }
        };
        replaced.insert(Edge { node: id, output }, to);
    }
    Ok(new)
}

/// A type of the flow IR that is static.
fn static_type(shapes: &ShapeCx, ty: &Type) -> Result<StaticType, Diagnostic> {
    let tensor = ty.as_tensor().ok_or_else(late)?;
    let dims = tensor.static_dims(shapes).ok_or_else(late)?;
    Ok(StaticType { dtype: tensor.dtype, dims: dims.into_iter().collect() })
}

/// What only a run can know has no place in a static graph.
fn late() -> Diagnostic {
    Diagnostic::error("K004", "it has a size that is known only at run time")
        .help("opt in to the dataflow IR, which holds such sizes")
}
