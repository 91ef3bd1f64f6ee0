//! Merges kernel nodes.
//!
//! Walks the graph in order; each kernel node tries to absorb the nodes that produce its operands, latest first. A
//! producer whose result anything else uses is left alone, so nothing is computed twice.

use crate::manager::{Changed, Fact, Facts, Pass, PassCx};
use crate::rules::fusion::{KernelCall, Merging};
use crate::rules::kernels::KernelInterner;
use orogen_ir::diag::Diagnostics;
use orogen_ir::graph::{Graph, GraphEditor, NodeId, NodeKind};
use orogen_ir::types::Source;

/// Merges kernels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fuse;

impl Pass<Graph> for Fuse {
    fn name(&self) -> &'static str {
        "fuse"
    }

    /// What nobody needs would keep what it reads from being merged into what is needed.
    fn facts(&self) -> Facts {
        Facts { requires: &[Fact::Legalized, Fact::Live], ..Facts::KEEPS_ALL }
    }

    fn run(&self, graph: &mut Graph, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let PassCx { ops, choices, .. } = cx;
        let changed = graph.edit(ops, |editor| -> Result<bool, Diagnostics> {
            let mut merging = Merging::new(choices);
            let mut changed = false;
            for id in editor.order() {
                while absorb_one(editor, id, &mut merging) {
                    changed = true;
                }
            }
            name_merged(editor, merging);
            Ok(changed)
        })?;
        if changed {
            graph.prune();
        }
        Ok(changed.into())
    }
}

/// Merges one producer into the node `id`, which keeps the name of its kernel until all is done.
fn absorb_one(editor: &mut GraphEditor<'_>, id: NodeId, merging: &mut Merging<'_, NodeId>) -> bool {
    let node = editor.node(id);
    let NodeKind::Kernel { kernel } = &node.kind else { return false };
    if !merging.may_grow(&*editor, id, kernel) {
        return false;
    }
    for edge in node.inputs.iter().rev() {
        let producer = editor.node(edge.node);
        let NodeKind::Kernel { kernel: first } = &producer.kind else { continue };
        let single = producer.outputs.len() == 1
            && editor.uses(*edge) == node.inputs.iter().filter(|it| *it == edge).count();
        if !single {
            continue;
        }
        let constant = producer.inputs.iter().all(|it| editor.constant_data(*it).is_some());
        let maker = KernelCall { id: edge.node, kernel: first, sizes: &[], args: &producer.inputs, constant };
        let consumer = KernelCall { id, kernel, sizes: &[], args: &node.inputs, constant: false };
        let aborts = [(edge.node, first), (id, kernel)].map(|(id, it)| merging.aborts(&*editor, id, it));
        let Some((_, inputs)) = merging.absorb(&*editor, maker, consumer, *edge) else { continue };
        let (source, kernel, made) = (
            Source::merged((&producer.source, aborts[0]), (&node.source, aborts[1])),
            kernel.clone(),
            edge.node,
        );
        editor.set_source(id, source);
        editor.set_kernel(id, kernel, inputs.into_iter().collect());
        editor.remove(made);
        return true;
    }
    false
}

/// Gives merged kernels names.
fn name_merged(editor: &mut GraphEditor<'_>, merging: Merging<'_, NodeId>) {
    let mut interner = KernelInterner::of(editor.kernels().values());
    let mut merged = merging.finish();
    for id in editor.order() {
        if let Some(program) = merged.swap_remove(&id) {
            let inputs = editor.node(id).inputs.clone();
            let kernel = interner.add(editor, program);
            editor.set_kernel(id, kernel, inputs);
        }
    }
}
