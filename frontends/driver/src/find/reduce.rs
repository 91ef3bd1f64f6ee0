//! Making a program small that shows a fault.

use super::slice::Slice;
use super::trial::{Fault, Search, Text, Trials, evaluate};
use crate::Lowered;
use crate::compare::Difference;
use indexmap::IndexSet;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::types::TensorData;

/// A small program that shows a fault.
#[derive(Clone, Debug)]
pub struct Reproducer {
    /// The program before what changes its values.
    pub program: Lowered,
    /// Its inputs by name, with which it does (law Q1).
    pub inputs: Vec<(String, TensorData)>,
    /// How its output differs.
    pub difference: Difference,
    /// How many operations there were, and how many are left.
    pub operations: (usize, usize),
}

/// Makes the part of a program small whose values `fault` changes, on these inputs, one for each of the program.
///
/// # Errors
/// `D037`: values are kept, so that there is nothing to show; or a plan, which is not cut.
pub fn reduce(
    search: &Search<'_>,
    program: &Lowered,
    fault: Fault,
    inputs: &[TensorData],
) -> Result<Reproducer, Diagnostics> {
    let nothing = |message: &str| Diagnostics::from(Diagnostic::error("D037", message));
    let text = Text::of(search, program).ok_or_else(|| nothing("a plan is not cut into parts"))?;
    let whole =
        Slice::of(program, &text.text).ok_or_else(|| nothing("there is no function to cut into parts"))?;
    if whole.inputs().len() != inputs.len() {
        let message =
            format!("the program has {} inputs, but {} are given", whole.inputs().len(), inputs.len());
        return Err(Diagnostic::error("D036", message).into());
    }
    let mut trials = Trials::new(search, text, fault);
    trials.values = whole.inputs().into_iter().zip(inputs.iter().cloned()).collect();
    let Some((output, mut difference)) = trials.shows(&whole) else {
        let found = Diagnostic::error("D037", "all values are kept: there is nothing to show");
        return Err(found.help("give inputs that show it, or stricter limits").into());
    };
    let taps = whole.taps();
    let tapped = whole.returning(&taps);
    if let Some(program) = trials.program(&tapped)
        && let Some(inputs) = trials.inputs(&tapped)
        && let Ok(values) = evaluate(search, &program, &inputs)
    {
        trials.values.extend(taps.iter().cloned().zip(values));
    }
    let count = |it: &Slice| it.items().filter(|it| !it.is_constant() && !it.defines.is_empty()).count();
    let mut best = whole.clone();
    let mut keep = |part: Slice, best: &mut Slice| match trials.shows(&part) {
        Some((_, found)) => {
            (*best, difference) = (part, found);
            true
        }
        None => false,
    };
    keep(whole.with_output(output), &mut best);
    earlier(&trials, &tapped, &taps, &mut best, &mut keep);
    nearer(&mut best, &mut keep);
    keep(best.without_checks(), &mut best);
    while trials.may_go_on() && smaller(&mut best, &mut keep) {}
    let mut program = trials.program(&best).ok_or_else(|| nothing("the part that is left cannot be read"))?;
    // What no call names is no part of it.
    match &mut program {
        Lowered::Graph(it) => it.compact(),
        Lowered::Flow(it) => {
            it.drop_uncalled_kernels();
            it.compact();
        }
        Lowered::Plan(_) => {}
    }
    let values = trials.inputs(&best).unwrap_or_default();
    let names = names(&program);
    let operations = (count(&whole), count(&best));
    Ok(Reproducer { program, inputs: names.into_iter().zip(values).collect(), difference, operations })
}

/// Returns a value before the output instead of it, as early as may be.
fn earlier(
    trials: &Trials<'_>,
    tapped: &Slice,
    taps: &[String],
    best: &mut Slice,
    keep: &mut dyn FnMut(Slice, &mut Slice) -> bool,
) {
    // All at once first: what is not computed for itself alone may hide it, so this need not find any.
    if let Some((first, _)) = trials.shows(tapped)
        && keep(tapped.returning(&taps[first..=first]), best)
    {
        return;
    }
    let needed = best.taps();
    let (mut low, mut high) = (0, needed.len());
    let mut found = best.clone();
    while low < high && trials.may_go_on() {
        let middle = (low + high) / 2;
        match keep(best.returning(&needed[middle..=middle]), &mut found) {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    *best = found;
}

/// Takes values as inputs that are far from the output.
fn nearer(best: &mut Slice, keep: &mut dyn FnMut(Slice, &mut Slice) -> bool) {
    let all = best.items().count();
    let mut distance = 1;
    while distance <= all {
        let part = best.cut(&best.beyond(distance));
        if part != *best && keep(part, best) {
            return;
        }
        distance *= 2;
    }
}

/// One round over all that is left: each value as an input, or an operand in its place. Whether anything went.
fn smaller(best: &mut Slice, keep: &mut dyn FnMut(Slice, &mut Slice) -> bool) -> bool {
    let mut any = false;
    for name in best.taps() {
        if !best.taps().contains(&name) {
            continue;
        }
        let returned = best.returned();
        let cut = best.cut(&IndexSet::from([name.clone()]));
        let is_output = returned.contains(&name);
        if !is_output && keep(cut, best) {
            any = true;
            continue;
        }
        for part in best.bypassed(&name) {
            if keep(part, best) {
                any = true;
                break;
            }
        }
    }
    any
}

/// Names of the inputs of a program.
fn names(program: &Lowered) -> Vec<String> {
    use orogen_ir::graph::NodeKind;
    match program {
        Lowered::Graph(graph) => {
            let name = |it: &NodeKind| match it {
                NodeKind::Input { name, .. } => name.clone(),
                _ => String::new(),
            };
            graph.inputs().iter().map(|it| name(&graph[*it].kind)).collect()
        }
        Lowered::Flow(module) => module.ports().0.into_iter().map(|it| it.0).collect(),
        Lowered::Plan(plans) => {
            plans.entry().map_or_else(Vec::new, |it| it.inputs.iter().map(|it| it.name.clone()).collect())
        }
    }
}
