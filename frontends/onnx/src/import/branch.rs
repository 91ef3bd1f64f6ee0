//! Branches of an `If` that differ in rank.
//!
//! Exporters keep tests such as "squeeze if the last dimension is 1" in the model. A value whose rank depends on
//! the data has no type that later nodes could be inferred from. In practice only one branch fits what follows;
//! with the other one the model is ill-typed and would end with an error when it runs. So both are tried without
//! being built, and if exactly one fits, the condition is asserted and that branch is built in place. If both fit,
//! there are [versions](super::versions) of what follows.
//!
//! What is tried is visited once: a probe tries both branches of a nested `If` in itself, and where their ranks
//! differ it goes on with the first one that what follows fits. What refutes a branch is mostly near, so a few nodes
//! are looked at first, then more, up to the last of [`LOOKAHEAD`]; what is not refuted by then fits. Once one branch is
//! refuted, the other one is built.

use super::versions::Fork;
use super::{Importer, Scope};
use crate::graph::describe;
use crate::node::{Node, impossible};
use crate::probe::Probe;
use crate::proto::{GraphProto, NodeProto};
use crate::sink::{Probing, Ranked, Sink, Value};
use indexmap::IndexSet;
use orogen_ir::diag::Diagnostic;
use orogen_ir::ops::Budget;
use orogen_ir::shape::SavedFacts;

/// How many nodes are visited to decide one `If`, and how many undecided `If`s are tried inside each other.
const LOOKAHEAD: [Lookahead; 3] =
    [Lookahead { nodes: 1 << 4, forks: 1 }, Lookahead { nodes: 1 << 9, forks: 4 }, Lookahead::MOST];

/// How to go on with a node.
pub(super) enum Way<'m> {
    /// As it says.
    Build,
    /// With one branch of it, whose condition is checked.
    Branch(bool),
    /// In versions.
    Fork(Fork<'m>),
    /// In a probe: with these results.
    Results(Vec<Value>),
    /// In a probe: all that follows it was tried, and its values are in the scope.
    Done,
}

/// How much a probe may still look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lookahead {
    nodes: usize,
    forks: usize,
}

impl Lookahead {
    const MOST: Lookahead = Lookahead { nodes: 1 << 14, forks: 16 };

    /// Counts a node.
    pub(super) fn visit(&mut self) -> Result<(), Diagnostic> {
        self.nodes = self.nodes.checked_sub(1).ok_or_else(Self::spent)?;
        Ok(())
    }

    fn is_spent(self) -> bool {
        self.nodes == 0 || self.forks == 0
    }

    fn spent() -> Diagnostic {
        let most = Self::MOST.nodes;
        let message = format!(
            "which branches of `If`s have the ranks that what follows needs is not decided after {most} nodes"
        );
        Diagnostic::error("X012", message)
    }
}

/// What a probe found of a branch.
struct Side {
    results: Vec<Value>,
    /// Those of them whose rank is known only at run time.
    ranked: Vec<(Value, Ranked)>,
    /// What is known after it.
    facts: SavedFacts,
}

impl Side {
    /// Goes on with the branch in a probe.
    fn enter<'s, 'm>(
        &self,
        probe: &mut dyn Probing,
        proto: &'m NodeProto,
        scope: &'s Scope<'_, 'm>,
    ) -> Scope<'s, 'm> {
        probe.shapes().restore_facts(self.facts.clone());
        let mut inner = scope.nested();
        inner.define(&proto.output, &self.results);
        self.ranked.iter().for_each(|(value, it)| inner.note_ranked(*value, it.clone()));
        inner
    }
}

/// Whether what follows can go on with a branch.
enum Fit {
    /// All of it.
    Whole,
    /// As far as was looked.
    SoFar,
    Refused(Diagnostic),
}

/// What is to be built of an `If`.
enum Decision {
    Build,
    One(bool),
    Both,
}

/// The name of the branch taken when the condition is true or false.
fn branch_name(taken: bool) -> &'static str {
    if taken { "then_branch" } else { "else_branch" }
}

impl<'m> Importer<'m> {
    /// How to go on with the first node of `rest`; another one than an `If` of unknown condition is built as it is.
    pub(super) fn way(
        &mut self,
        sink: &mut dyn Sink,
        rest: &[&'m NodeProto],
        used: &IndexSet<&'m str>,
        scope: &mut Scope<'_, 'm>,
    ) -> Result<Way<'m>, Diagnostic> {
        let Some((proto, following)) = rest.split_first() else { return Ok(Way::Build) };
        if proto.op_type != "If" || !crate::graph::normal_domain(&proto.domain).is_empty() {
            return Ok(Way::Build);
        }
        let cond = proto.input.first().and_then(|name| scope.find(name));
        if cond.is_none_or(|it| is_known(sink, it)) {
            return Ok(Way::Build);
        }
        let node = Node::new(proto, &scope.frame.attributes, &scope.frame.opsets);
        let graphs = [node.graph(branch_name(true))?, node.graph(branch_name(false))?];
        if let Some(probe) = sink.as_probe() {
            return self.probed(probe, proto, graphs, following, used, scope);
        }
        let saved = self.save_counts();
        let forced = self.forced_branch(&mut Probe::over(sink), proto, graphs, following, used, scope);
        self.restore_counts(saved);
        self.lookahead = None;
        let taken = match forced? {
            Decision::Build => return Ok(Way::Build),
            Decision::Both => return Ok(Way::Fork(Fork::Branches(proto, graphs))),
            Decision::One(taken) => taken,
        };
        self.note_assumption(format!(
            "the model is well-formed only when the condition of {} is {taken}: this is checked at run time",
            describe(proto)
        ));
        Ok(Way::Branch(taken))
    }

    /// For an `If` whose branches differ in rank: the branch that the rest of the graph can go on with.
    fn forced_branch(
        &mut self,
        probe: &mut Probe<'_>,
        proto: &'m NodeProto,
        graphs: [&'m GraphProto; 2],
        following: &[&'m NodeProto],
        used: &IndexSet<&'m str>,
        scope: &Scope<'_, 'm>,
    ) -> Result<Decision, Diagnostic> {
        match self.sides(probe, graphs, scope) {
            [Ok(a), Ok(b)] if same_ranks(probe, &a, &b) => Ok(Decision::Build),
            [Ok(a), Ok(b)] => {
                for limit in LOOKAHEAD {
                    let mut fits = |side| self.fits(probe, limit, proto, side, following, used, scope);
                    match [fits(&a)?, fits(&b)?] {
                        [Fit::Refused(error), Fit::Refused(_)] => return Err(error),
                        [_, Fit::Refused(_)] => return Ok(Decision::One(true)),
                        [Fit::Refused(_), _] => return Ok(Decision::One(false)),
                        [Fit::Whole, Fit::Whole] => break,
                        _ => {}
                    }
                }
                Ok(Decision::Both)
            }
            [Ok(_), Err(error)] if impossible(&error) => Ok(Decision::One(true)),
            [Err(error), Ok(_)] if impossible(&error) => Ok(Decision::One(false)),
            [Err(error), _] | [_, Err(error)] => Err(error),
        }
    }

    /// Whether what follows an `If` can go on with one of its branches.
    #[allow(clippy::too_many_arguments, reason = "what is tried, how far, and where")]
    fn fits(
        &mut self,
        probe: &mut Probe<'_>,
        limit: Lookahead,
        proto: &'m NodeProto,
        side: &Side,
        following: &[&'m NodeProto],
        used: &IndexSet<&'m str>,
        scope: &Scope<'_, 'm>,
    ) -> Result<Fit, Diagnostic> {
        let mark = probe.mark();
        let mut inner = side.enter(probe, proto, scope);
        let outer = self.lookahead.replace(limit);
        let tried = self.nodes(probe, following, used, &mut inner);
        let spent = std::mem::replace(&mut self.lookahead, outer).is_some_and(Lookahead::is_spent);
        probe.rewind(mark);
        match tried {
            Ok(()) if !spent => Ok(Fit::Whole),
            Err(error) if error.code == Budget::SPENT => Err(error),
            Err(error) if !spent => Ok(Fit::Refused(error)),
            _ => Ok(Fit::SoFar),
        }
    }

    /// An `If` of unknown condition inside a probe.
    fn probed(
        &mut self,
        probe: &mut dyn Probing,
        proto: &'m NodeProto,
        graphs: [&'m GraphProto; 2],
        following: &[&'m NodeProto],
        used: &IndexSet<&'m str>,
        scope: &mut Scope<'_, 'm>,
    ) -> Result<Way<'m>, Diagnostic> {
        let sides = match self.sides(probe, graphs, scope) {
            [Ok(a), Ok(b)] if same_ranks(probe, &a, &b) => {
                return probe.join_values(&a.results, &b.results).map(Way::Results);
            }
            [Ok(side), Err(error)] | [Err(error), Ok(side)] if impossible(&error) => {
                probe.shapes().restore_facts(side.facts);
                side.ranked.into_iter().for_each(|(value, it)| scope.note_ranked(value, it));
                return Ok(Way::Results(side.results));
            }
            // What follows is not asked for which branch it needs.
            [Ok(_), Ok(_)] if self.lookahead.is_none() => {
                return Ok(Way::Fork(Fork::Branches(proto, graphs)));
            }
            [Ok(a), Ok(b)] => [a, b],
            [Err(error), _] | [_, Err(error)] => return Err(error),
        };
        let outer = self.lookahead;
        let left = outer.unwrap_or(Lookahead::MOST);
        let forks = left.forks.checked_sub(1).ok_or_else(Lookahead::spent)?;
        self.lookahead = Some(Lookahead { forks, ..left });
        let mut refused = None;
        for side in sides {
            let mark = probe.mark();
            let mut inner = side.enter(probe, proto, scope);
            match self.nodes(probe, following, used, &mut inner) {
                Ok(()) => {
                    let found = inner.found();
                    scope.adopt(found);
                    self.leave_fork(outer);
                    return Ok(Way::Done);
                }
                // An error for lack of looking, not one of this branch.
                Err(error)
                    if error.code == Budget::SPENT || self.lookahead.is_some_and(Lookahead::is_spent) =>
                {
                    return Err(error);
                }
                Err(error) => {
                    probe.rewind(mark);
                    refused.get_or_insert(error);
                }
            }
        }
        self.leave_fork(outer);
        Err(refused.expect("neither branch fits"))
    }

    /// Nodes that were visited stay counted.
    fn leave_fork(&mut self, outer: Option<Lookahead>) {
        let nodes = self.lookahead.map_or(0, |it| it.nodes);
        self.lookahead = outer.map(|it| Lookahead { nodes, ..it });
    }

    /// Both branches in a probe.
    fn sides(
        &mut self,
        probe: &mut dyn Probing,
        graphs: [&'m GraphProto; 2],
        scope: &Scope<'_, 'm>,
    ) -> [Result<Side, Diagnostic>; 2] {
        graphs.map(|graph| {
            let before = probe.shapes().save_facts();
            // What is noted of values of a probe ends with it.
            let inner = scope.nested();
            let results = self.subgraph(probe, graph, &[], &inner);
            let facts = probe.shapes().save_facts();
            probe.shapes().restore_facts(before);
            results.map(|results| {
                let ranked = results.iter().filter_map(|it| Some((*it, inner.ranked(*it)?))).collect();
                Side { results, ranked, facts }
            })
        })
    }
}

fn is_known(sink: &mut dyn Sink, cond: Value) -> bool {
    sink.constant_data(cond).is_some()
        || sink.type_of(cond).as_tensor().is_none_or(|it| it.elements.is_some())
}

fn same_ranks(sink: &dyn Sink, a: &Side, b: &Side) -> bool {
    if !a.ranked.is_empty() || !b.ranked.is_empty() {
        return false;
    }
    let (a, b) = (&a.results, &b.results);
    let rank = |value: &Value| sink.type_of(*value).as_tensor().and_then(|it| it.shape.rank());
    a.len() != b.len() || a.iter().zip(b.iter()).all(|(a, b)| rank(a) == rank(b))
}
