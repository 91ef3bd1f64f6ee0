//! Applies shared rules to a legacy graph.

use super::rewrite::{Replacements, constant_data, constant_node, edge_type, remove_dead};
use crate::manager::{Changed, Pass, PassCx, Step};
use crate::rules::apply::ApplyRules;
use crate::rules::simplify::Rewriter;
use indexmap::IndexMap;
use orogen_ir::diag::Diagnostics;
use orogen_ir::graph::{Edge, Graph, Node, NodeId, NodeKind, StaticType};
use orogen_ir::ops::{InferCx, OpId, OpRegistry};
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{Attrs, TensorData, Type};
use smallvec::smallvec;

impl Pass<Graph> for ApplyRules {
    fn name(&self) -> &'static str {
        self.of_step().name()
    }

    fn step(&self) -> Step {
        self.of_step()
    }

    fn run(&self, ir: &mut Graph, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        Ok(self.rounds(|| walk(*self, ir, cx)))
    }
}

/// One walk over the program; whether any rule applied.
fn walk(rules: ApplyRules, graph: &mut Graph, cx: &PassCx<'_>) -> bool {
    let uses = graph.uses();
    let mut replaced = Replacements::default();
    let order = std::mem::take(&mut graph.order);
    let mut rewriter =
        GraphRewriter { ops: cx.ops, graph, shapes: ShapeCx::new(), uses: &uses, order: Vec::new() };
    for id in order {
        for input in &mut rewriter.graph.nodes[id].inputs {
            *input = replaced.get(*input);
        }
        if let NodeKind::Op { op, attrs } = rewriter.graph.nodes[id].kind.clone() {
            let args = rewriter.graph.nodes[id].inputs.clone();
            if let Some(edge) = rules.apply(&mut rewriter, op, &attrs, &args) {
                replaced.insert(Edge { node: id, output: 0 }, edge);
                continue;
            }
        }
        rewriter.order.push(id);
    }
    graph.order = rewriter.order;
    replaced.apply(graph);
    if !replaced.is_empty() {
        remove_dead(graph);
    }
    !replaced.is_empty()
}

struct GraphRewriter<'a> {
    ops: &'a OpRegistry,
    graph: &'a mut Graph,
    shapes: ShapeCx,
    uses: &'a IndexMap<Edge, usize>,
    order: Vec<NodeId>,
}

impl Rewriter for GraphRewriter<'_> {
    type Value = Edge;

    fn ops(&self) -> &OpRegistry {
        self.ops
    }

    fn definition(&self, value: Edge) -> Option<(OpId, Attrs, Vec<Edge>)> {
        let node = &self.graph.nodes[value.node];
        match &node.kind {
            NodeKind::Op { op, attrs } if node.outputs.len() == 1 => {
                Some((*op, attrs.clone(), node.inputs.to_vec()))
            }
            _ => None,
        }
    }

    fn constant(&self, value: Edge) -> Option<TensorData> {
        constant_data(self.graph, value).cloned()
    }

    fn ty(&self, value: Edge) -> Type {
        // The dimensions of this type are read by rank and dtype alone, so a context of its own is enough.
        edge_type(self.graph, &mut ShapeCx::new(), value)
    }

    fn uses(&self, value: Edge) -> usize {
        self.uses.get(&value).copied().unwrap_or(0)
    }

    fn emit(&mut self, op: &str, attrs: Attrs, args: &[Edge]) -> Option<Edge> {
        let op = self.ops.find(op)?;
        let types: Vec<Type> = args.iter().map(|it| edge_type(self.graph, &mut self.shapes, *it)).collect();
        let mut cx = InferCx::new(&mut self.shapes, &attrs, &types);
        let ty = self.ops.infer(op, &mut cx).ok()?.into_iter().next()?;
        let tensor = ty.as_tensor()?;
        let ty = StaticType { dtype: tensor.dtype, dims: tensor.static_dims(&self.shapes)? };
        let node = self.graph.nodes.alloc(Node {
            kind: NodeKind::Op { op, attrs },
            inputs: args.iter().copied().collect(),
            outputs: smallvec![ty],
            source: String::new(),
        });
        self.order.push(node);
        Some(Edge { node, output: 0 })
    }

    fn emit_constant(&mut self, data: TensorData) -> Edge {
        let node = constant_node(self.graph, data, "");
        self.order.push(node);
        Edge { node, output: 0 }
    }
}
