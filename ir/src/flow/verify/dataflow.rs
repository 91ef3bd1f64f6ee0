//! F4, F5 and F12: effects.

use super::{At, Check};
use crate::flow::{BindingId, BlockKind, Rhs, region_effects};

fn dataflow_bindings(check: &Check<'_>) -> Vec<BindingId> {
    let function = check.function;
    let blocks = function.live_blocks().into_iter().map(|(_, block)| &function.blocks[block]);
    blocks.filter(|it| it.kind == BlockKind::Dataflow).flat_map(|it| it.order.iter().copied()).collect()
}

fn is_control(rhs: &Rhs) -> bool {
    matches!(rhs, Rhs::If { .. } | Rhs::While { .. })
}

/// F4: a binding in a dataflow block has no effects but `ABORT`.
pub(super) fn check_f4_no_effects_in_dataflow(check: &mut Check<'_>) {
    for binding in dataflow_bindings(check) {
        let rhs = &check.function.bindings[binding].rhs;
        let effects = check.module.effects_of(check.ops, check.function, rhs);
        if !effects.allowed_in_dataflow() && !is_control(rhs) {
            let message = format!("a dataflow block holds an operation with effects: {effects}");
            check.report(At::Binding(binding), "F004", message);
        }
    }
}

/// F5: a dataflow block holds no `If` and no `While`.
pub(super) fn check_f5_no_control_flow_in_dataflow(check: &mut Check<'_>) {
    for binding in dataflow_bindings(check) {
        if is_control(&check.function.bindings[binding].rhs) {
            let message = "a dataflow block holds control flow".to_owned();
            check.report(At::Binding(binding), "F005", message);
        }
    }
}

/// F12: a function declares at least the effects that its body has.
pub(super) fn check_f12_declared_effects(check: &mut Check<'_>) {
    let function = check.function;
    let found = region_effects(check.ops, &check.module.definitions, function, function.body);
    if !function.effects.contains(found) {
        let message = format!("the body has the effects {found} but the function declares fewer");
        check.report(At::Header, "F012", message);
    }
}
