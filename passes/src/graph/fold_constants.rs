//! Evaluates operators whose operands are constants.

use crate::manager::{Changed, Facts, Pass, PassCx};
use crate::rules::fold::{FoldConstants, Operation, Room, wanted};
use orogen_ir::diag::Diagnostics;
use orogen_ir::graph::{Edge, Graph, GraphEditor, NodeId, NodeKind};
use orogen_ir::ops::{OnConstants, Outline};
use orogen_ir::types::TensorData;

impl Pass<Graph> for FoldConstants {
    fn name(&self) -> &'static str {
        self.pass_name()
    }

    fn facts(&self) -> Facts {
        Facts::OVER_OPERATORS
    }

    fn run(&self, graph: &mut Graph, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let changed = graph.edit(cx.ops, |editor| -> Result<bool, Diagnostics> {
            let mut changed = false;
            let wanted = wanted(cx.ops, &operations(editor));
            let mut room = Room::beside(constants(editor));
            for id in editor.order() {
                let node = editor.node(id);
                let NodeKind::Op { op, attrs } = &node.kind else { continue };
                let data = node.inputs.iter().map(|it| editor.constant_data(*it).cloned());
                let Some(data) = data.collect::<Option<Vec<TensorData>>>() else { continue };
                let outlines = node.outputs.iter();
                let results: Vec<Outline> =
                    outlines.map(|it| Outline { dtype: it.dtype, dims: Some(it.dims.clone()) }).collect();
                let wanted = editor.edges(id).any(|it| wanted.contains(&it));
                let call = OnConstants { op: *op, attrs, args: &data, results: &results };
                let Some(folded) = self.fold(cx, &call, wanted, &mut room, &node.source) else {
                    continue;
                };
                editor.before(id);
                for (result, data) in editor.edges(id).zip(folded) {
                    let constant = editor.constant("", data);
                    editor.replace(result, constant);
                }
                editor.remove(id);
                changed = true;
            }
            Ok(changed)
        })?;
        if changed {
            graph.prune();
        }
        Ok(changed.into())
    }
}

fn constants<'a>(editor: &'a GraphEditor<'_>) -> impl Iterator<Item = &'a TensorData> {
    let edges = editor.order().into_iter().filter_map(|it| editor.edges(it).next());
    edges.filter_map(|it| editor.constant_data(it))
}

fn operations(editor: &GraphEditor<'_>) -> Vec<Operation<Edge>> {
    let operation = |id: NodeId| {
        let node = editor.node(id);
        let op = match node.kind {
            NodeKind::Op { op, .. } => Some(op),
            NodeKind::Constant(_) => None,
            _ => return None,
        };
        let args = node.inputs.iter().copied().collect();
        Some(Operation { op, args, results: editor.edges(id).collect() })
    };
    editor.order().into_iter().filter_map(operation).collect()
}
