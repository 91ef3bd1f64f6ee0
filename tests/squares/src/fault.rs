//! Faults that tests plant in a pipeline.

use orogen::Diagnostics;
use orogen::passes::{Changed, Pass, PassCx};
use orogen_ir::flow::{BindingId, Editor, Module, Rhs};

/// Damages one binding; whether it did.
pub type Damage = fn(&mut Editor<'_>, BindingId) -> Result<bool, Diagnostics>;

/// A step that does something else to the first binding where it can.
#[derive(Clone, Copy, Debug)]
pub struct Fault(pub Damage);

impl Pass<Module> for Fault {
    fn name(&self) -> &'static str {
        "fault"
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let mut changed = false;
        module.edit(cx.ops, |editor| -> Result<(), Diagnostics> {
            for id in editor.bindings() {
                if (self.0)(editor, id)? {
                    changed = true;
                    break;
                }
            }
            Ok(())
        })?;
        module.remove_dead_code(cx.ops);
        Ok(changed.into())
    }
}

/// The name of the operator that a binding applies.
pub fn op_name<'a>(editor: &Editor<'a>, id: BindingId) -> Option<&'a str> {
    match &editor.binding(id).rhs {
        Rhs::Op { op, .. } => Some(editor.ops().def(*op).name),
        _ => None,
    }
}

/// Takes a transpose that leaves the shape as it is for none.
///
/// # Errors
/// None.
pub fn transpose_for_none(editor: &mut Editor<'_>, id: BindingId) -> Result<bool, Diagnostics> {
    Ok(op_name(editor, id) == Some("transpose") && passes_through(editor, id))
}

/// Gives a kernel of two operands of one type them the other way round.
///
/// # Errors
/// Those of the editor.
pub fn swapped_operands(editor: &mut Editor<'_>, id: BindingId) -> Result<bool, Diagnostics> {
    let Rhs::Call { callee, args, sizes } = editor.binding(id).rhs.clone() else { return Ok(false) };
    let [a, b] = args[..] else { return Ok(false) };
    if a == b || editor.type_of(a) != editor.type_of(b) {
        return Ok(false);
    }
    editor.set_rhs(id, Rhs::Call { callee, args: [b, a].into_iter().collect(), sizes })?;
    Ok(true)
}

/// Puts the operand of an operation in the place of its result, where they are of one type.
pub fn passes_through(editor: &mut Editor<'_>, id: BindingId) -> bool {
    let binding = editor.binding(id);
    let (Some(from), Some(to)) = (binding.results.first().copied(), binding.rhs.operands().first().copied())
    else {
        return false;
    };
    if editor.type_of(from) != editor.type_of(to) || binding.results.len() != 1 {
        return false;
    }
    editor.replace(from, to);
    true
}
