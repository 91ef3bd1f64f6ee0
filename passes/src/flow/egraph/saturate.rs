//! Applying rules to an e-graph until nothing changes or a budget is spent.

use super::analysis::Graph;
use super::language::Node;
use super::matching::{Found, add, search};
use crate::manager::Accuracy;
use crate::rewrite::{AnyRule, RuleSet, changes_type};
use egg::Id;
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostic;
use orogen_ir::ops::Folding;
use orogen_ir::shape::Truth;
use orogen_ir::text::type_text;
use std::fmt;
use std::sync::Arc;

/// What exploring one region may take. Counts alone: the same program gives the same result on any machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExploreBudget {
    /// Bindings of a region: a block that has more is explored part by part.
    pub region: usize,
    /// Nodes of an e-graph.
    pub nodes: usize,
    /// Rounds of all rules.
    pub iterations: usize,
    /// Runs of rules.
    pub matches: usize,
    /// Programs that extraction compares.
    pub programs: usize,
    /// Whole programs that are lowered to be compared, beside the one that came in.
    pub lowerings: usize,
}

impl Default for ExploreBudget {
    fn default() -> Self {
        ExploreBudget {
            region: 256,
            nodes: 4000,
            iterations: 12,
            matches: 60_000,
            programs: 8000,
            lowerings: 32,
        }
    }
}

/// Why exploring a region ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// No rule says anything new.
    Saturated,
    /// As many nodes as the budget has.
    Nodes,
    /// As many rounds.
    Iterations,
    /// As many runs of rules.
    Matches,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stop::Saturated => "saturated",
            Stop::Nodes => "nodes",
            Stop::Iterations => "iterations",
            Stop::Matches => "matches",
        })
    }
}

/// What happened in an e-graph.
pub(super) struct Saturation {
    pub(super) stop: Stop,
    pub(super) iterations: usize,
    /// How often each rule merged two classes.
    pub(super) fired: IndexMap<Arc<str>, usize>,
}

/// Applies the rules.
///
/// # Errors
/// `N005`: a rule says that two values are one whose types are known to differ.
pub(super) fn saturate<'a>(
    graph: &mut Graph<'a>,
    folding: &Folding<'a>,
    (rules, accuracy): (&RuleSet, Accuracy),
    budget: &ExploreBudget,
) -> Result<Saturation, Diagnostic> {
    let mut result = Saturation { stop: Stop::Iterations, iterations: 0, fired: IndexMap::new() };
    let mut runs = budget.matches;
    let mut known = Known::default();
    for _ in 0..budget.iterations {
        result.iterations += 1;
        let mut found: Vec<(&AnyRule, Found)> = Vec::new();
        for (id, nodes) in known.changed(graph) {
            let mut asked = IndexSet::from([id]);
            for node in &nodes {
                let Node::Op { op, .. } = node else { continue };
                for rule in rules.rules_of(*op, accuracy) {
                    let matches = search(graph, folding, rule, (id, node), &mut runs, &mut asked);
                    found.extend(matches.into_iter().map(|it| (rule, it)));
                }
            }
            known.asked.insert(id, asked.into_iter().collect());
            if runs == 0 {
                break;
            }
        }
        let merged = apply(graph, found, budget, &mut result.fired)?;
        if runs == 0 {
            result.stop = Stop::Matches;
            break;
        }
        if graph.total_size() >= budget.nodes {
            result.stop = Stop::Nodes;
            break;
        }
        if !merged {
            result.stop = Stop::Saturated;
            break;
        }
    }
    Ok(result)
}

/// Merges what rules say is one; whether anything was new.
fn apply(
    graph: &mut Graph<'_>,
    found: Vec<(&AnyRule, Found)>,
    budget: &ExploreBudget,
    fired: &mut IndexMap<Arc<str>, usize>,
) -> Result<bool, Diagnostic> {
    let mut last = None;
    for (rule, it) in found {
        if graph.total_size() >= budget.nodes {
            break;
        }
        let (root, same) = add(graph, it);
        let (from, to) = (&graph[root].data.ty, &graph[same].data.ty);
        match graph.analysis.agree(from, to) {
            Truth::Never => {
                let text = |ty| type_text(&graph.analysis.shapes, ty);
                return Err(changes_type(rule, &text(from), &text(to)));
            }
            // Perhaps one, but nothing shows it.
            Truth::Unknown => continue,
            Truth::Always => {}
        }
        if graph.union(root, same) {
            *fired.entry(rule.name().into()).or_insert(0) += 1;
            last = Some(rule);
        }
    }
    graph.rebuild();
    // Congruence merges what is computed alike from equal values: one of the rules has merged two that are not.
    if let (Some((from, to)), Some(rule)) = (graph.analysis.contradiction.take(), last) {
        let text = |ty| type_text(&graph.analysis.shapes, ty);
        return Err(changes_type(rule, &text(&from), &text(&to)));
    }
    Ok(last.is_some())
}

/// Classes as they were when rules last looked at them.
#[derive(Default)]
struct Known {
    /// Nodes of each class.
    nodes: IndexMap<Id, Vec<Node>>,
    /// What the rules asked about when they looked at a class.
    asked: IndexMap<Id, Vec<Id>>,
}

impl Known {
    /// The classes that rules could say something new about, in order: those of which something changed that rules asked
    /// about the last time, and new ones.
    fn changed(&mut self, graph: &Graph<'_>) -> Vec<(Id, Vec<Node>)> {
        let mut ids: Vec<Id> = graph.classes().map(|it| it.id).collect();
        ids.sort_unstable();
        let mut now: IndexMap<Id, Vec<Node>> = IndexMap::with_capacity(ids.len());
        for id in &ids {
            now.insert(*id, graph[*id].nodes.clone());
        }
        let changed: IndexSet<Id> =
            now.iter().filter(|(id, nodes)| self.nodes.get(*id) != Some(*nodes)).map(|it| *it.0).collect();
        let is_open = |id: &Id| match self.asked.get(id) {
            Some(asked) => asked.iter().any(|it| *it != graph.find(*it) || changed.contains(it)),
            None => true,
        };
        let open = ids.iter().filter(|id| is_open(id)).map(|id| (*id, now[id].clone())).collect();
        self.nodes = now;
        open
    }
}
