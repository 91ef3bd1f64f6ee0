//! Applies shared rules to a legacy graph.

use super::rewrite::{Replacements, constant_data, constant_node, edge_type, remove_dead};
use crate::manager::{Changed, Pass, PassCx};
use crate::rules::apply::ApplyRules;
use crate::rules::rewrite::{OpCall, Rewriter, RuleSet, Value, changes_type};
use indexmap::IndexMap;
use la_arena::RawIdx;
use orogen_ir::diag::Diagnostics;
use orogen_ir::graph::{Edge, Graph, Node, NodeId, NodeKind, StaticType};
use orogen_ir::ops::{InferCx, OpRegistry};
use orogen_ir::shape::ShapeCx;
use orogen_ir::text::type_text;
use orogen_ir::types::{Attrs, TensorData, Type};
use smallvec::smallvec;

impl Pass<Graph> for ApplyRules {
    fn name(&self) -> &'static str {
        self.pass_name()
    }

    fn run(&self, ir: &mut Graph, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        self.rounds(|| walk(self.rules(), ir, cx))
    }
}

/// One walk over the program; whether any rule applied.
fn walk(rules: &RuleSet, graph: &mut Graph, cx: &PassCx<'_>) -> Result<bool, Diagnostics> {
    let uses = graph.uses();
    let mut replaced = Replacements::default();
    let order = std::mem::take(&mut graph.order);
    let mut rewriter = GraphRewriter {
        ops: cx.ops,
        graph,
        shapes: ShapeCx::new(),
        uses: &uses,
        order: Vec::new(),
        source: String::new(),
    };
    for id in order {
        for input in &mut rewriter.graph.nodes[id].inputs {
            *input = replaced.get(*input);
        }
        let node = &rewriter.graph.nodes[id];
        if let (NodeKind::Op { op, attrs }, 1) = (&node.kind, node.outputs.len()) {
            let args = node.inputs.iter().copied().map(value).collect();
            let call = OpCall { op: *op, attrs: attrs.clone(), args };
            rewriter.source.clone_from(&rewriter.graph.nodes[id].source);
            if let Some((new, rule)) = rules.apply(&mut rewriter, &call) {
                let (old, new) = (Edge { node: id, output: 0 }, edge(new));
                if rewriter.graph.ty(old) != rewriter.graph.ty(new) {
                    let mut text = |edge| {
                        let ty = edge_type(rewriter.graph, &mut rewriter.shapes, edge);
                        type_text(&rewriter.shapes, &ty)
                    };
                    return Err(changes_type(rule, &text(old), &text(new)).into());
                }
                replaced.insert(old, new);
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
    Ok(!replaced.is_empty())
}

/// An edge as rules see it.
fn value(edge: Edge) -> Value {
    Value::from_bits(u64::from(edge.node.into_raw().into_u32()) << 32 | u64::from(edge.output))
}

/// The edge that rules see as that value.
fn edge(value: Value) -> Edge {
    let node = NodeId::from_raw(RawIdx::from_u32((value.bits() >> 32) as u32));
    Edge { node, output: value.bits() as u32 }
}

struct GraphRewriter<'a> {
    ops: &'a OpRegistry,
    graph: &'a mut Graph,
    shapes: ShapeCx,
    uses: &'a IndexMap<Edge, usize>,
    order: Vec<NodeId>,
    /// Where the operation that is rewritten came from: what replaces it comes from there too.
    source: String,
}

impl Rewriter for GraphRewriter<'_> {
    fn ops(&self) -> &OpRegistry {
        self.ops
    }

    fn definition(&self, value: Value) -> Option<OpCall> {
        let node = &self.graph.nodes[edge(value).node];
        match &node.kind {
            NodeKind::Op { op, attrs } if node.outputs.len() == 1 => {
                let args = node.inputs.iter().copied().map(self::value).collect();
                Some(OpCall { op: *op, attrs: attrs.clone(), args })
            }
            _ => None,
        }
    }

    fn constant(&self, value: Value) -> Option<TensorData> {
        constant_data(self.graph, edge(value)).cloned()
    }

    fn ty(&mut self, value: Value) -> Type {
        edge_type(self.graph, &mut self.shapes, edge(value))
    }

    fn shapes(&self) -> &ShapeCx {
        &self.shapes
    }

    fn uses(&self, value: Value) -> usize {
        self.uses.get(&edge(value)).copied().unwrap_or(0)
    }

    fn emit(&mut self, op: &str, attrs: Attrs, args: &[Value]) -> Option<Value> {
        let op = self.ops.find(op)?;
        let types: Vec<Type> = args.iter().map(|it| self.ty(*it)).collect();
        let mut cx = InferCx::new(&mut self.shapes, &attrs, &types);
        let results = self.ops.infer(op, &mut cx).ok()?;
        let [Type::Tensor(tensor)] = results.as_slice() else { return None };
        let ty = StaticType { dtype: tensor.dtype, dims: tensor.static_dims(&self.shapes)? };
        let node = self.graph.nodes.alloc(Node {
            kind: NodeKind::Op { op, attrs },
            inputs: args.iter().copied().map(edge).collect(),
            outputs: smallvec![ty],
            source: self.source.clone(),
        });
        self.order.push(node);
        Some(value(Edge { node, output: 0 }))
    }

    fn emit_constant(&mut self, data: TensorData) -> Value {
        let node = constant_node(self.graph, data, &self.source);
        self.order.push(node);
        value(Edge { node, output: 0 })
    }
}
