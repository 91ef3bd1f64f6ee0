//! P9 to P11, P15: laws of modules.

use super::{verify_kernels, verify_plan};
use crate::diag::{Diagnostic, Diagnostics};
use crate::plan::{
    CallOrder, CallPlan, InputKind, MAX_CALLS, OutputKind, PlanInput, PlanModule, PlanOutput, Proof,
    call_order,
};
use indexmap::IndexSet;
use std::sync::Arc;

/// Checks all laws of a module, those of its plans and kernels included, and says what is proven.
///
/// # Errors
/// Every violation; those of a plan are drawn under its lines.
pub fn verify_module(module: &PlanModule) -> Result<Proof, Diagnostics> {
    let mut proof = Proof::default();
    let (required, mut found) = verify_kernels(module.kernels(), &mut proof);
    for (number, plan) in module.functions.iter().enumerate() {
        verify_plan(number, plan, &required, &module.functions, &mut found, &mut proof);
    }
    check_p9_names(module, &mut found);
    check_p10_calls(module, &mut found);
    check_p11_shared(module, &mut found);
    check_p15_versions(module, &mut found);
    found.into_result(proof)
}

/// P9: names are unique, and those of exported functions name symbols.
fn check_p9_names(module: &PlanModule, found: &mut Diagnostics) {
    let mut seen = IndexSet::new();
    for plan in &module.functions {
        let name = &plan.name;
        if !seen.insert(name) {
            found.push(Diagnostic::error("P009", format!("P9: two functions are called `@{name}`")));
        }
        if !plan.private && (name.is_empty() || name.starts_with('_') || name.contains('\0')) {
            let message = format!("P9: {name:?} is no name for a function that others may call");
            let help = "a name that begins with an underscore is the loader's; make the function private or rename it";
            found.push(Diagnostic::error("P009", message).help(help));
        }
    }
}

/// P10: no function leads back to itself, and chains are short.
fn check_p10_calls(module: &PlanModule, found: &mut Diagnostics) {
    let calls = |plan: &CallPlan| {
        let mut list = Vec::new();
        plan.visit_invoked(&mut |it| list.push(it.0 as usize));
        list
    };
    let calls: Vec<Vec<usize>> = module.functions.iter().map(calls).collect();
    let name = |i: usize| format!("`@{}`", module.functions[i].name);
    let message = match call_order(&calls) {
        CallOrder::Order(_) => return,
        CallOrder::Circle(circle) => {
            let names: Vec<String> = circle.iter().chain(circle.first()).map(|it| name(*it)).collect();
            format!("P10: functions call each other in a circle: {}", names.join(" calls "))
        }
        CallOrder::TooDeep(first) => {
            format!("P10: a chain of more than {MAX_CALLS} calls begins with {}", name(first))
        }
    };
    found.push(Diagnostic::error("P010", message));
}

/// P11: constants and kernels are those of all functions.
fn check_p11_shared(module: &PlanModule, found: &mut Diagnostics) {
    let Some((first, others)) = module.functions.split_first() else { return };
    for plan in others {
        if !Arc::ptr_eq(&first.constants, &plan.constants) && first.constants != plan.constants {
            let message = format!("P11: `@{}` has other constants than `@{}`", plan.name, first.name);
            found.push(Diagnostic::error("P011", message));
        }
        if !Arc::ptr_eq(&first.kernels, &plan.kernels) {
            let message = format!("P11: `@{}` has other kernels than `@{}`", plan.name, first.name);
            found.push(Diagnostic::error("P011", message));
        }
    }
}

/// P15: who takes the place of a function at its defaults has its other inputs and its outputs.
fn check_p15_versions(module: &PlanModule, found: &mut Diagnostics) {
    for plan in &module.functions {
        let Some(id) = plan.at_defaults else { continue };
        let Some(version) = module.functions.get(id.0 as usize) else {
            let message = format!("P15: `@{}` has no function {} for its defaults", plan.name, id.0);
            found.push(Diagnostic::error("P015", message));
            continue;
        };
        let inputs = |it: &CallPlan| -> Vec<_> {
            let given = it.inputs.iter().take(plan.required());
            let kind = |input: &PlanInput| match &input.kind {
                InputKind::Tensor(tensor) => (Some((tensor.dtype, tensor.dims.len())), None),
                InputKind::Object(id) => (None, it.objects.get(id.0 as usize).cloned()),
            };
            given.map(|input| (input.name.clone(), kind(input))).collect()
        };
        let outputs = |it: &CallPlan| -> Vec<_> {
            let kind = |output: &PlanOutput| match &output.kind {
                OutputKind::Tensor(it) => (Some((it.dtype, it.dims.len(), it.over)), None),
                OutputKind::Object(id) => (None, it.objects.get(id.0 as usize).cloned()),
            };
            it.outputs.iter().map(|output| (output.name.clone(), kind(output))).collect()
        };
        let same_inputs = version.inputs.len() == plan.required() && inputs(version) == inputs(plan);
        if !version.private || !same_inputs || outputs(version) != outputs(plan) {
            let message = format!(
                "P15: `@{}` cannot take the place of `@{}` at its defaults: it is not private, or differs in inputs \
                 or outputs",
                version.name, plan.name
            );
            found.push(Diagnostic::error("P015", message));
        }
    }
}
