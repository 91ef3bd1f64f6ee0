//! Checks at run time of what is not proven.

use super::proof::Guards;
use super::{Proof, verify_module};
use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::plan::{PlanModule, ShapeCheck, Step};
use crate::shape::{Constraint, Dim, ShapeCx};
use crate::types::Source;
use std::collections::BTreeMap;
use std::convert::Infallible;

/// How often checks are put in: behind a check something may be asked that was not asked before.
const ROUNDS: usize = 4;

/// Checks all laws of a module as [`verify_module`] does, and makes a check of the plan of every question about sizes that
/// is neither proven nor refuted: what runs then is known to hold, and a call with sizes for which it does not is an
/// error.
///
/// # Errors
/// Every violation, and what no check of sizes can answer (P013).
pub fn prove_module(module: &mut PlanModule) -> Result<Proof, Diagnostics> {
    let mut checked: Vec<Diagnostic> = Vec::new();
    let mut round = 0;
    loop {
        let mut proof = verify_module(module)?;
        if proof.is_whole() {
            proof.checked = checked;
            return Ok(proof);
        }
        if proof.guards.is_empty() || round == ROUNDS {
            let help = "sizes that are fixed, or facts about them, leave less to be proven";
            let error = |it: Diagnostic| Diagnostic { severity: Severity::Error, ..it }.help(help);
            return Err(Diagnostics(proof.open.into_iter().map(error).collect()));
        }
        checked.append(&mut proof.open);
        insert(module, &proof.guards);
        round += 1;
    }
}

/// Puts checks in front of their steps.
fn insert(module: &mut PlanModule, guards: &[Guards]) {
    for Guards { function, shapes, checks } in guards {
        let plan = &mut module.functions[*function];
        let mut own: BTreeMap<usize, Vec<Step>> = BTreeMap::new();
        // One that comes anyway is said in its words.
        let own_check = |it: &Step| if let Step::Check(it) = it { Some(it.clone()) } else { None };
        let anyway: Vec<ShapeCheck> = plan.steps.iter().filter_map(own_check).collect();
        for (step, check) in checks {
            let Ok(constraint) =
                check.constraint.map(&mut |it| Ok::<Dim, Infallible>(plan.shapes.import(shapes, it)));
            let said = anyway.iter().find(|it| implies(&plan.shapes, it.constraint, constraint)).cloned();
            let check = said.unwrap_or_else(|| ShapeCheck {
                constraint,
                message: check.message.clone(),
                source: Source::default(),
            });
            let checks = own.entry(*step).or_default();
            if !checks.iter().any(|it| matches!(it, Step::Check(it) if *it == check)) {
                checks.push(Step::Check(check));
            }
        }
        let steps = std::mem::take(&mut plan.steps);
        plan.steps = walk(steps, &mut 0, &mut own);
    }
}

/// Whether a fact says of the same numbers no less than another.
fn implies(shapes: &ShapeCx, fact: Constraint, other: Constraint) -> bool {
    fact == other
        || match (fact, other) {
            (Constraint::Eq(a, b), Constraint::AtLeast(c, least)) => {
                a == c && shapes.as_int(b).is_some_and(|it| it >= least)
            }
            (Constraint::Eq(a, b), Constraint::AtMost(c, most)) => {
                a == c && shapes.as_int(b).is_some_and(|it| it <= most)
            }
            _ => false,
        }
}

/// Steps with the checks in front of them; `next` counts them as they are printed.
fn walk(steps: Vec<Step>, next: &mut usize, checks: &mut BTreeMap<usize, Vec<Step>>) -> Vec<Step> {
    let mut all = Vec::with_capacity(steps.len());
    for step in steps {
        let mut guards = checks.remove(next).unwrap_or_default();
        for guard in &mut guards {
            if let Step::Check(check) = guard
                && check.source == Source::default()
            {
                check.source = step.source().cloned().unwrap_or_default();
            }
        }
        all.append(&mut guards);
        *next += 1;
        all.push(match step {
            Step::If { cond, then_steps, else_steps } => {
                let then_steps = walk(then_steps, next, checks);
                let else_steps = walk(else_steps, next, checks);
                Step::If { cond, then_steps, else_steps }
            }
            Step::While { cond_steps, cond, body } => {
                let cond_steps = walk(cond_steps, next, checks);
                let body = walk(body, next, checks);
                Step::While { cond_steps, cond, body }
            }
            other => other,
        });
    }
    all
}
