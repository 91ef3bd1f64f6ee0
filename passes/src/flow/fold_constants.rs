//! Evaluates operators whose operands are constants.

use crate::manager::{Changed, Facts, Pass, PassCx};
use crate::rules::fold::{FoldConstants, Operation, Room, wanted};
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::{BindingId, Editor, Module, Rhs, ValueId};
use orogen_ir::ops::{OnConstants, Outline};
use orogen_ir::types::TensorData;
use smallvec::smallvec;

impl Pass<Module> for FoldConstants {
    fn name(&self) -> &'static str {
        self.pass_name()
    }

    fn facts(&self) -> Facts {
        Facts::OVER_OPERATORS
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let mut changed = false;
        module.edit(cx.ops, |editor| -> Result<(), Diagnostics> {
            let wanted = wanted(cx.ops, &operations(editor));
            let mut room = Room::beside(constants(editor));
            for id in editor.bindings() {
                let binding = editor.binding(id);
                let Rhs::Op { op, attrs, args } = &binding.rhs else { continue };
                let data = args.iter().map(|it| editor.constant_data(*it).cloned());
                let Some(data) = data.collect::<Option<Vec<TensorData>>>() else { continue };
                let types = binding.results.iter().map(|it| editor.type_of(*it));
                let Some(results) =
                    types.map(|ty| Outline::of(editor.shapes, ty)).collect::<Option<Vec<_>>>()
                else {
                    continue;
                };
                let wanted = binding.results.iter().any(|it| wanted.contains(it));
                let call = OnConstants { op: *op, attrs, args: &data, results: &results };
                if let Some(folded) = self.fold(cx, &call, wanted, &mut room, &binding.source) {
                    replace(editor, id, folded)?;
                    changed = true;
                }
            }
            Ok(())
        })?;
        if changed {
            module.remove_dead_code(cx.ops);
        }
        Ok(changed.into())
    }
}

/// Puts constants in the place of an operation.
fn replace(editor: &mut Editor<'_>, id: BindingId, folded: Vec<TensorData>) -> Result<(), Diagnostics> {
    let binds = !editor.binds(id).is_empty();
    editor.before(id);
    for (result, data) in editor.binding(id).results.clone().into_iter().zip(folded) {
        let mut value = editor.constant("", data);
        if binds {
            // The sizes that the operation bound are in types further on.
            let ty = editor.type_of(result).clone();
            value = editor.emit_as(Rhs::MatchCast { value, ty: ty.clone() }, [ty])?[0];
        }
        editor.replace(result, value);
    }
    editor.remove(id);
    Ok(())
}

fn constants<'a>(editor: &'a Editor<'_>) -> impl Iterator<Item = &'a TensorData> {
    editor.bindings().into_iter().filter_map(|it| editor.constant_data(*editor.binding(it).results.first()?))
}

fn operations(editor: &Editor<'_>) -> Vec<Operation<ValueId>> {
    let operation = |id: BindingId| {
        let binding = editor.binding(id);
        let (op, args) = match &binding.rhs {
            Rhs::Op { op, args, .. } => (Some(*op), args.iter().copied().collect()),
            Rhs::Constant(_) => (None, smallvec![]),
            _ => return None,
        };
        Some(Operation { op, args, results: binding.results.iter().copied().collect() })
    };
    editor.bindings().into_iter().filter_map(operation).collect()
}
