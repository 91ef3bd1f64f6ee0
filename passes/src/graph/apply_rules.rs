//! Applies shared rules to a legacy graph.

use super::rewrite::edge_type;
use crate::manager::{Changed, Facts, Pass, PassCx};
use crate::rewrite::{OpCall, Rewriter, RuleSet, Value, changes_type};
use crate::rules::apply::ApplyRules;
use la_arena::RawIdx;
use orogen_ir::diag::Diagnostics;
use orogen_ir::graph::{Edge, Graph, GraphEditor, NodeId, NodeKind, StaticType};
use orogen_ir::ops::{InferCx, OpRegistry};
use orogen_ir::shape::ShapeCx;
use orogen_ir::text::type_text;
use orogen_ir::types::{Attrs, TensorData, Type};
use smallvec::smallvec;

impl Pass<Graph> for ApplyRules {
    fn name(&self) -> &'static str {
        self.pass_name()
    }

    fn facts(&self) -> Facts {
        Facts::OVER_OPERATORS
    }

    fn run(&self, ir: &mut Graph, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        self.rounds(|| walk(self.rules(), ir, cx))
    }
}

/// One walk over the program; whether any rule applied.
fn walk(rules: &RuleSet, graph: &mut Graph, cx: &PassCx<'_>) -> Result<bool, Diagnostics> {
    let [changed, emitted] = graph.edit(cx.ops, |editor| -> Result<[bool; 2], Diagnostics> {
        let mut changed = false;
        let mut rewriter = GraphRewriter { editor, shapes: ShapeCx::new(), emitted: false };
        for id in rewriter.editor.order() {
            let Some(call) = rewriter.call(id) else { continue };
            // What replaces an operation comes from where it came from.
            rewriter.editor.before(id);
            let Some((new, rule)) = rules.apply(cx.accuracy, &mut rewriter, &call) else { continue };
            let (old, new) = (Edge { node: id, output: 0 }, edge(new));
            if rewriter.editor.ty(old) != rewriter.editor.ty(new) {
                let mut text = |edge| {
                    let ty = edge_type(rewriter.editor, &mut rewriter.shapes, edge);
                    type_text(&rewriter.shapes, &ty)
                };
                return Err(changes_type(rule, &text(old), &text(new)).into());
            }
            rewriter.editor.replace(old, new);
            rewriter.editor.remove(id);
            changed = true;
        }
        Ok([changed, rewriter.emitted])
    })?;
    if changed || emitted {
        graph.prune();
    }
    Ok(changed)
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

struct GraphRewriter<'a, 'g> {
    editor: &'a mut GraphEditor<'g>,
    shapes: ShapeCx,
    /// Whether something was added, perhaps for a rule that then did not apply.
    emitted: bool,
}

impl GraphRewriter<'_, '_> {
    /// The operation of a node, when it is one of one result.
    fn call(&self, id: NodeId) -> Option<OpCall> {
        let node = self.editor.node(id);
        match &node.kind {
            NodeKind::Op { op, attrs } if node.outputs.len() == 1 => {
                let args = node.inputs.iter().copied().map(value).collect();
                let result = value(Edge { node: id, output: 0 });
                Some(OpCall { op: *op, attrs: attrs.clone(), args, result })
            }
            _ => None,
        }
    }
}

impl Rewriter for GraphRewriter<'_, '_> {
    fn ops(&self) -> &OpRegistry {
        self.editor.ops()
    }

    fn definition(&self, value: Value) -> Option<OpCall> {
        self.call(edge(value).node)
    }

    fn is_local(&self, _: Value) -> bool {
        true
    }

    fn constant(&self, value: Value) -> Option<TensorData> {
        self.editor.constant_data(edge(value)).cloned()
    }

    fn ty(&mut self, value: Value) -> Type {
        edge_type(self.editor, &mut self.shapes, edge(value))
    }

    fn shapes(&self) -> &ShapeCx {
        &self.shapes
    }

    fn shapes_mut(&mut self) -> &mut ShapeCx {
        &mut self.shapes
    }

    fn uses(&self, value: Value) -> usize {
        self.editor.uses(edge(value))
    }

    fn emit(&mut self, op: &str, attrs: Attrs, args: &[Value]) -> Option<Value> {
        let op = self.editor.ops().find(op)?;
        let types: Vec<Type> = args.iter().map(|it| self.ty(*it)).collect();
        let mut cx = InferCx::new(&mut self.shapes, &attrs, &types);
        let results = self.editor.ops().infer(op, &mut cx).ok()?;
        let [Type::Tensor(tensor)] = results.as_slice() else { return None };
        let ty = StaticType { dtype: tensor.dtype, dims: tensor.static_dims(&self.shapes)? };
        let inputs = args.iter().copied().map(edge).collect();
        self.emitted = true;
        let node = self.editor.emit(NodeKind::Op { op, attrs }, inputs, smallvec![ty]).ok()?;
        Some(value(Edge { node, output: 0 }))
    }

    fn emit_constant(&mut self, data: TensorData) -> Value {
        self.emitted = true;
        value(self.editor.constant("", data))
    }
}
