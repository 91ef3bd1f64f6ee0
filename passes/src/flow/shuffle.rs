//! Brings bindings of dataflow blocks into another order that is legal.
//!
//! Checks, casts, and what binds sizes stay where they are: what stands behind them may rely on them (law F7).

use crate::manager::{Changed, Facts, Pass, PassCx};
use crate::rules::order::{Shuffle, reordered};
use indexmap::IndexMap;
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::{BindingId, BlockKind, Editor, Module, Rhs, ValueDef};
use std::sync::Arc;

/// Another order, as a pass: a build without the dataflow IR has none.
pub fn shuffled(pass: Shuffle) -> Option<Arc<dyn Pass<Module>>> {
    Some(Arc::new(pass))
}

impl Pass<Module> for Shuffle {
    fn name(&self) -> &'static str {
        self.pass_name()
    }

    fn facts(&self) -> Facts {
        Facts::KEEPS_ALL
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let PassCx { ops, choices, .. } = cx;
        let mut changed = false;
        module.edit(ops, |editor| -> Result<(), Diagnostics> {
            for block in editor.blocks() {
                if editor.kind(block) != BlockKind::Dataflow {
                    continue;
                }
                let bindings = editor.order(block);
                let runs: Vec<Vec<BindingId>> =
                    bindings.split(|it| !may_move(editor, *it)).map(<[_]>::to_vec).collect();
                for run in runs {
                    let places: IndexMap<BindingId, usize> = run.iter().copied().zip(0..).collect();
                    let needs = |id: &BindingId| {
                        let operands = editor.binding(*id).rhs.operands_slice().iter();
                        let made = operands.filter_map(|it| match editor.value(*it).def {
                            ValueDef::Result(binding, _) => places.get(&binding).copied(),
                            _ => None,
                        });
                        made.collect()
                    };
                    let needs: Vec<Vec<usize>> = run.iter().map(needs).collect();
                    let order = reordered(&needs, choices, |i| editor.binding(run[i]).source.to_string());
                    changed |= order.iter().zip(0..).any(|it| *it.0 != it.1);
                    // Each goes behind the one before it: in front of the first that is not placed yet.
                    let mut left = run.clone();
                    for id in order.into_iter().map(|it| run[it]) {
                        editor.move_before(id, left[0]);
                        left.retain(|it| *it != id);
                    }
                }
            }
            Ok(())
        })?;
        Ok(changed.into())
    }
}

fn may_move(editor: &Editor<'_>, id: BindingId) -> bool {
    let fixed = matches!(editor.binding(id).rhs, Rhs::Check { .. } | Rhs::MatchCast { .. });
    !fixed && editor.binds(id).is_empty()
}
