//! Merges kernel calls inside one dataflow block.
//!
//! Walks a block in order; each call tries to absorb the calls that produce its operands, latest first. A producer
//! whose result anything else uses is left alone, so nothing is computed twice.

use crate::manager::{Changed, Fact, Facts, Pass, PassCx};
use crate::rules::fusion::{KernelCall, Merging};
use crate::rules::kernels::KernelInterner;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{BindingId, BlockKind, Editor, Module, Rhs, ValueDef};
use orogen_ir::types::Source;

/// Merges kernels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fuse;

impl Pass<Module> for Fuse {
    fn name(&self) -> &'static str {
        "fuse"
    }

    /// What nobody needs would keep what it reads from being merged into what is needed.
    fn facts(&self) -> Facts {
        Facts { requires: &[Fact::Legalized, Fact::Live], ..Facts::KEEPS_ALL }
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let PassCx { ops, choices, .. } = cx;
        let mut interner = KernelInterner::of(module.kernels());
        let mut changed = false;
        module.edit(ops, |editor| {
            let mut merging = Merging::new(choices);
            for block in editor.blocks() {
                if editor.kind(block) == BlockKind::Dataflow {
                    for id in editor.order(block) {
                        while absorb_one(editor, id, &mut merging)? {
                            changed = true;
                        }
                    }
                }
            }
            name_merged(editor, &mut interner, merging)
        })?;
        if changed {
            module.remove_dead_code(ops);
            module.drop_uncalled_kernels();
            module.kernels_first();
        }
        Ok(changed.into())
    }
}

/// Merges one producer into the call `id`, which keeps the name of its kernel until all is done.
fn absorb_one(
    editor: &mut Editor<'_>,
    id: BindingId,
    merging: &mut Merging<'_, BindingId>,
) -> Result<bool, Diagnostic> {
    let read = editor.binding(id);
    let Rhs::Call { callee, args, sizes } = &read.rhs else { return Ok(false) };
    if !merging.may_grow(&*editor, id, callee) {
        return Ok(false);
    }
    for arg in args.iter().rev() {
        let ValueDef::Result(producer, 0) = editor.value(*arg).def else { continue };
        let made = editor.binding(producer);
        let Rhs::Call { callee: first, args: first_args, sizes: first_sizes } = &made.rhs else { continue };
        let single =
            made.results.len() == 1 && editor.uses(*arg) == args.iter().filter(|it| *it == arg).count();
        if !single || editor.block_of(producer) != editor.block_of(id) {
            continue;
        }
        let constant = first_args.iter().all(|it| editor.constant_data(*it).is_some());
        let maker =
            KernelCall { id: producer, kernel: first, sizes: first_sizes, args: first_args, constant };
        let consumer = KernelCall { id, kernel: callee, sizes, args, constant: false };
        let aborts = [(producer, first), (id, callee)].map(|(id, it)| merging.aborts(&*editor, id, it));
        let Some((sizes, inputs)) = merging.absorb(&*editor, maker, consumer, *arg) else { continue };
        let (source, callee) =
            (Source::merged((&made.source, aborts[0]), (&read.source, aborts[1])), callee.clone());
        editor.set_source(id, source);
        let args = inputs.into_iter().collect();
        editor.set_rhs(id, Rhs::Call { callee, args, sizes: sizes.into_iter().collect() })?;
        editor.remove(producer);
        return Ok(true);
    }
    Ok(false)
}

/// Gives merged kernels names.
fn name_merged(
    editor: &mut Editor<'_>,
    interner: &mut KernelInterner,
    merging: Merging<'_, BindingId>,
) -> Result<(), Diagnostic> {
    let mut merged = merging.finish();
    for id in editor.bindings() {
        if let Rhs::Call { args, sizes, .. } = &editor.binding(id).rhs
            && let Some(program) = merged.swap_remove(&id)
        {
            let (args, sizes) = (args.clone(), sizes.clone());
            let callee = interner.add(editor, program);
            editor.set_rhs(id, Rhs::Call { callee, args, sizes })?;
        }
    }
    Ok(())
}
