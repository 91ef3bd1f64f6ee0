//! Applying rules to an e-graph until nothing changes or a budget is spent.

use super::analysis::Graph;
use super::language::Node;
use super::matching::{Found, Originals, add, search};
use crate::manager::Accuracy;
use crate::rewrite::{AnyRule, RuleSet, changes_type};
use egg::{Id, Language};
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
    /// What rules of several roots found: operations that are worth choosing together.
    pub(super) together: Vec<Vec<(Id, Node)>>,
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
    let mut result =
        Saturation { stop: Stop::Iterations, iterations: 0, fired: IndexMap::new(), together: Vec::new() };
    let mut runs = budget.matches;
    let mut known = Known::default();
    // Nodes are numbered in the order in which they came in.
    let came_in: Vec<Id> = (0..graph.nodes().len()).map(Id::from).collect();
    for _ in 0..budget.iterations {
        result.iterations += 1;
        let mut found: Vec<(&AnyRule, Found)> = Vec::new();
        let originals = originals(graph, &came_in);
        for (id, nodes) in known.changed(graph) {
            let mut asked = IndexSet::from([id]);
            for node in &nodes {
                let Node::Op { op, .. } = node else { continue };
                for rule in rules.rules_of(*op, accuracy) {
                    let matches = search(graph, folding, rule, &originals, (id, node), &mut runs, &mut asked);
                    found.extend(matches.into_iter().map(|it| (rule, it)));
                }
            }
            known.asked.insert(id, asked.into_iter().collect());
            if runs == 0 {
                break;
            }
        }
        let merged = apply(graph, found, budget, &mut result)?;
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

/// The operations that came in, as classes are now.
fn originals(graph: &Graph<'_>, came_in: &[Id]) -> Originals {
    let mut originals = Originals::new();
    for id in came_in {
        let mut node = graph.id_to_node(*id).clone();
        node.update_children(|it| graph.find(it));
        originals.entry(node).or_insert(graph.find(*id));
    }
    originals
}

/// Merges what rules say is one; whether anything was new.
fn apply(
    graph: &mut Graph<'_>,
    found: Vec<(&AnyRule, Found)>,
    budget: &ExploreBudget,
    result: &mut Saturation,
) -> Result<bool, Diagnostic> {
    let mut last = None;
    for (rule, it) in found {
        if graph.total_size() >= budget.nodes {
            break;
        }
        let pairs = add(graph, it);
        let mut proven = true;
        for (root, same, _) in &pairs {
            let (from, to) = (&graph[*root].data.ty, &graph[*same].data.ty);
            match graph.analysis.agree(from, to) {
                Truth::Never => {
                    let text = |ty| type_text(&graph.analysis.shapes, ty);
                    return Err(changes_type(rule, &text(from), &text(to)));
                }
                // Perhaps one, but nothing shows it.
                Truth::Unknown => proven = false,
                Truth::Always => {}
            }
        }
        if !proven {
            continue;
        }
        for (root, same, _) in &pairs {
            if graph.union(*root, *same) {
                *result.fired.entry(rule.name().into()).or_insert(0) += 1;
                last = Some(rule);
            }
        }
        if pairs.len() > 1 {
            let nodes = pairs.into_iter().map(|(root, _, node)| Some((root, node?)));
            result.together.extend(nodes.collect::<Option<Vec<_>>>());
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
