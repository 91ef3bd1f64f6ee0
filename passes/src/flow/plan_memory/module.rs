//! All functions of a module.

use super::{Lowering, Shared};
use crate::rules::state::State;
use indexmap::IndexSet;
use orogen_ir::choices::Choices;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{Function, Module, Rhs};
use orogen_ir::ops::OpRegistry;
use orogen_ir::plan::{CallOrder, CallPlan, MAX_CALLS, PlanModule, ShapeCheck, call_order};
use orogen_ir::shape::Sym;
use orogen_ir::types::Source;
use std::sync::Arc;

/// Lowers the functions of a module that may be called from outside, and those that they call, in their order. All of
/// their operators are legalised.
///
/// `states` are those of `main`, or of the last function that may be called from outside. What they name as outputs are none
/// of its plan: they are left where the inputs are. What is not made there is copied there at the end.
///
/// # Errors
/// When a value needs memory but its shape is not known, when a function holds something that has no plan form, and when a
/// state and its new value differ in type; functions that lead back to themselves, and names that no symbol may have.
pub fn plan_memory(ops: &OpRegistry, module: &Module, states: &[State]) -> Result<PlanModule, Diagnostics> {
    plan_memory_with(ops, module, states, &mut Choices::usual())
}

/// [`plan_memory`] with other choices of what lies where.
///
/// # Errors
/// See [`plan_memory`].
pub fn plan_memory_with(
    ops: &OpRegistry,
    module: &Module,
    states: &[State],
    choices: &mut Choices,
) -> Result<PlanModule, Diagnostics> {
    let names = reachable(module)?;
    let mut found = Diagnostics::new();
    let constants = Arc::new(module.constants.clone());
    let choices_of = std::mem::take(choices);
    let mut shared = Shared { constants, functions: names.clone(), choices: choices_of, ..Shared::default() };
    let mut plans = PlanModule::default();
    let several = names.len() > 1;
    let exported = |it: &&&str| module.function(it).is_some_and(|it| !it.is_private());
    let entry =
        names.iter().find(|it| **it == "main" && exported(it)).or_else(|| names.iter().rfind(exported));
    let entry = entry.copied();
    for name in names {
        let Some(function) = module.function(name) else { continue };
        let own = if entry == Some(name) { states } else { &[] };
        let mut lowering = Lowering::new(ops, module, (name, function), own, shared)?;
        if let Err(problem) = lowering.run() {
            found.push(if several { problem.note(format!("in function `@{name}`")) } else { problem });
        }
        let mut plan = lowering.plan;
        shared = lowering.shared;
        if several {
            check_facts(&mut plan);
        }
        plans.functions.push(plan);
    }
    check_states(&plans, &mut found);
    *choices = std::mem::take(&mut shared.choices);
    let kernels = shared.into_kernels();
    plans.functions.iter_mut().for_each(|it| it.kernels = Arc::clone(&kernels));
    found.into_result(plans)
}

/// A function that updates memory of its caller has no value for one that calls it inside.
fn check_states(plans: &PlanModule, found: &mut Diagnostics) {
    for caller in &plans.functions {
        caller.visit_invoked(&mut |it| {
            let Some(callee) = plans.functions.get(it.0 as usize) else { return };
            let over = callee.outputs.iter().find_map(|it| callee.inputs.get(it.over()? as usize));
            if let Some(state) = over {
                let (name, by) = (&callee.name, &caller.name);
                let message = format!(
                    "`@{name}` updates its input `{}` in place, so `@{by}` cannot call it",
                    state.name
                );
                found.push(Diagnostic::error("M017", message));
            }
        });
    }
}

/// What is known of a symbol is known in every function that has it, also what a check of another one establishes. So a
/// function of several takes nothing for granted.
fn check_facts(plan: &mut CallPlan) {
    let bound: IndexSet<Sym> = plan.bindings.iter().map(|it| it.symbol).collect();
    let facts: Vec<_> = plan.shapes.facts().copied().collect();
    for constraint in facts {
        let known = plan.checks.iter().any(|it| it.constraint == constraint);
        let on_entry =
            constraint.dims().all(|dim| plan.shapes.free_symbols(dim).iter().all(|it| bound.contains(it)));
        if !known && on_entry {
            let message = "the sizes are not as the module promises".to_owned();
            plan.checks.push(ShapeCheck { constraint, message, source: Source::default() });
        }
    }
}

/// Names of the functions that make the library, in the order of the module.
fn reachable(module: &Module) -> Result<IndexSet<&str>, Diagnostics> {
    let functions: Vec<(&str, &Function)> = module.functions().collect();
    let place = |name: &str| functions.iter().position(|it| it.0 == name);
    let calls: Vec<Vec<usize>> = functions
        .iter()
        .map(|(_, function)| {
            let called = function.live_bindings().into_iter().filter_map(|id| match &function[id].rhs {
                Rhs::Call { callee, .. } => place(callee),
                _ => None,
            });
            called.collect::<IndexSet<usize>>().into_iter().collect()
        })
        .collect();
    let order = match call_order(&calls) {
        CallOrder::Order(order) => order,
        CallOrder::Circle(circle) => {
            let names = circle.iter().chain(circle.first()).map(|it| format!("`@{}`", functions[*it].0));
            let names = names.collect::<Vec<_>>().join(" calls ");
            let message = format!("functions call each other in a circle: {names}");
            return Err(Diagnostic::error("M016", message).help("write the repetition as a `while`").into());
        }
        CallOrder::TooDeep(first) => {
            let name = functions[first].0;
            let message = format!("a chain of more than {MAX_CALLS} calls begins with `@{name}`");
            return Err(Diagnostic::error("M016", message).into());
        }
    };
    let mut needed: IndexSet<usize> =
        (0..functions.len()).filter(|it| !functions[*it].1.is_private()).collect();
    // Callers come before what they call.
    for function in order.into_iter().rev() {
        if needed.contains(&function) {
            needed.extend(calls[function].iter().copied());
        }
    }
    needed.sort_unstable();
    let mut found = Diagnostics::new();
    if needed.is_empty() {
        let problem = Diagnostic::error("M001", "the module has no function that may be called from outside");
        found.push(problem.help("write one without `private`"));
    }
    for (name, function) in needed.iter().map(|it| functions[*it]) {
        if !function.is_private() && (name.is_empty() || name.starts_with('_') || name.contains('\0')) {
            let message = format!("{name:?} is no name for a function that others may call");
            let help = "names that begin with an underscore are the loader's: rename it, or make it private";
            found.push(Diagnostic::error("M015", message).help(help));
        }
    }
    found.into_result(needed.iter().map(|it| functions[*it].0).collect())
}
