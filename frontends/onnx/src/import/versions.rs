//! Ranks that are known only at run time, and versions of nodes for them.
//!
//! A value whose rank is known only at run time is a pair: its elements under the most dimensions that it may have,
//! those behind its rank being 1, and the rank, an integer. What makes one: an `If` whose branches differ in rank where
//! what follows goes on with both, a node whose shape operand is as long as the data say, a `Loop` whose carried values
//! change their rank. Nodes that read one are built once for each rank, behind a branch on it; what has one rank in all
//! versions is an ordinary value after them. So a rank is never guessed, and a model that asks for none pays nothing.
//!
//! What goes into the versions is found out with a probe for each, node by node: what reads a value whose rank differs.
//! Everything else comes before or after. A version in which such a node cannot be built is impossible: the condition of
//! another one is then checked at run time.

use super::scope::Scope;
use super::{At, Importer};
use crate::graph::{describe, reads};
use crate::node::{Node, NodeCx, bad, impossible};
use crate::probe::Probe;
use crate::proto::{GraphProto, NodeProto};
use crate::sink::{MAX_RANK, Ranked, Sink, Value, assert_condition};
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostic;
use orogen_ir::shape::Constraint;
use orogen_ir::types::{DType, TensorType, Type};

/// Why nodes are built more than once.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fork<'m> {
    /// The branches of an `If` differ in rank.
    Branches(&'m NodeProto, [&'m GraphProto; 2]),
    /// A node reads the value of this name, whose rank is known only at run time.
    Rank(&'m NodeProto, &'m str),
    /// The shape of this name that a node reads is as long as the data say.
    Length(&'m NodeProto, &'m str),
}

/// What a version gives for a name: one value, or one that may have these ranks.
type Given = Option<Vec<usize>>;

/// How a fork and the nodes after it are built.
#[derive(Debug)]
struct Division<'m> {
    /// The versions that are possible.
    live: Vec<usize>,
    /// What needs nothing of the versions.
    before: Vec<&'m NodeProto>,
    /// What is in each version.
    inside: Vec<&'m NodeProto>,
    after: Vec<&'m NodeProto>,
    /// What the versions give to what comes after.
    exports: IndexMap<&'m str, Given>,
}

/// A shape that a node reads.
fn shape_operand(node: &NodeProto) -> Option<&str> {
    let place = match node.op_type.as_str() {
        "Expand" | "Reshape" => 1,
        "ConstantOfShape" => 0,
        _ => return None,
    };
    let standard = crate::graph::normal_domain(&node.domain).is_empty();
    node.input.get(place).filter(|_| standard).map(String::as_str)
}

impl<'m> Importer<'m> {
    /// Why a node cannot be built once.
    pub(super) fn fork(
        &self,
        sink: &mut dyn Sink,
        node: &'m NodeProto,
        scope: &Scope<'_, 'm>,
    ) -> Option<Fork<'m>> {
        if scope.has_ranked() {
            let ranked = |name: &&str| scope.find(name).is_some_and(|it| scope.ranked(it).is_some());
            if let Some(name) = reads(node).find(ranked) {
                return Some(Fork::Rank(node, name));
            }
        }
        let name = shape_operand(node)?;
        let value = scope.find(name)?;
        let [length] = sink.type_of(value).as_tensor()?.dims()?[..] else { return None };
        let open = sink.constant_data(value).is_none() && sink.shapes().as_int(length).is_none();
        open.then_some(Fork::Length(node, name))
    }

    /// Builds versions of what depends on a fork, of `following`: the nodes from the forking one on, or those after an
    /// `If`. Returns the rest of them, to be built next: forks come one after the other without end, so this does not
    /// go on with them itself.
    pub(super) fn versions(
        &mut self,
        sink: &mut dyn Sink,
        fork: Fork<'m>,
        following: &[&'m NodeProto],
        used: &IndexSet<&'m str>,
        scope: &mut Scope<'_, 'm>,
    ) -> Result<Vec<&'m NodeProto>, Diagnostic> {
        if let Fork::Length(node, name) = fork {
            self.limit_length(sink, node, name, scope)?;
        }
        let counts = self.save_counts();
        let division = self.divide(sink, fork, following, used, scope);
        self.restore_counts(counts);
        let division = division?;
        if let [only] = division.live[..] {
            self.enter(sink, fork, only, true, scope)?;
            return Ok(following.to_vec());
        }
        let later = division.inside.iter().chain(&division.after).copied().flat_map(reads);
        let wanted = scope.want(later.collect());
        self.nodes(sink, &division.before, used, scope)?;
        scope.want_again(wanted);
        let flat = self.chain(sink, fork, 0, &division, used, scope)?;
        let mut flat = flat.into_iter();
        for (name, given) in &division.exports {
            let value = flat.next().ok_or_else(|| bad("a version gives too few values"))?;
            if let Some((ranks, rank)) = given.clone().and_then(|it| Some((it, flat.next()?))) {
                scope.note_ranked(value, Ranked { rank, ranks });
            }
            scope.define_one(name, value);
        }
        Ok(division.after)
    }

    /// Which versions are possible, what goes into them, and what they give.
    fn divide(
        &mut self,
        sink: &mut dyn Sink,
        fork: Fork<'m>,
        following: &[&'m NodeProto],
        used: &IndexSet<&'m str>,
        scope: &Scope<'_, 'm>,
    ) -> Result<Division<'m>, Diagnostic> {
        let outer = Probe::over(sink);
        let mut failed = None;
        let mut probes = Vec::new();
        for version in 0..self.count(fork, scope) {
            let (mut probe, mut inner) = (outer.beside(), scope.nested());
            inner.want(used.clone());
            match self.enter(&mut probe, fork, version, false, &mut inner) {
                Ok(()) => probes.push((version, probe, inner)),
                Err(error) if impossible(&error) => {
                    failed.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        // Names whose rank differs, names that need only the values of the versions, and what reads those.
        let mut differ: IndexSet<&'m str> = match fork {
            Fork::Branches(node, _) => node.output.iter().map(String::as_str).collect(),
            Fork::Rank(_, name) | Fork::Length(_, name) => [name].into(),
        };
        let mut made: IndexSet<&'m str> = IndexSet::new();
        let mut late: IndexSet<&'m str> = IndexSet::new();
        if let Fork::Branches(node, _) = fork {
            made.extend(node.output.iter().map(String::as_str).filter(|it| !it.is_empty()));
            differ.retain(|name| !name.is_empty() && !is_one(&probes, name));
        }
        let (mut before, mut inside, mut after) = (Vec::new(), Vec::new(), Vec::new());
        for node in following.iter().copied() {
            let outputs = || node.output.iter().map(String::as_str).filter(|it| !it.is_empty());
            if reads(node).any(|it| late.contains(it)) {
                late.extend(outputs());
                after.push(node);
                continue;
            }
            if !reads(node).any(|it| differ.contains(it)) {
                if reads(node).any(|it| made.contains(it)) {
                    late.extend(outputs());
                    after.push(node);
                } else {
                    before.push(node);
                    // What it gives is not known to the probes, unless they build it too.
                    self.in_all(&mut probes, &mut failed, node, used)?;
                }
                continue;
            }
            self.in_all(&mut probes, &mut failed, node, used)?;
            inside.push(node);
            made.extend(outputs());
            differ.extend(outputs().filter(|it| !is_one(&probes, it)));
        }
        let live: Vec<usize> = probes.iter().map(|it| it.0).collect();
        if live.is_empty() {
            return Err(failed.unwrap_or_else(|| bad("no rank fits")));
        }
        let read_after: IndexSet<&str> = after.iter().copied().flat_map(reads).collect();
        let wanted = |name: &&str| scope.wants(name) || read_after.contains(name);
        let given = |name: &'m str| (!is_one(&probes, name)).then(|| all_ranks(&probes, name));
        let exports = made.iter().copied().filter(wanted).map(|name| (name, given(name))).collect();
        Ok(Division { live, before, inside, after, exports })
    }

    /// Builds a node in the probes of all versions that are possible so far.
    fn in_all<'s>(
        &mut self,
        probes: &mut Probes<'_, 's, 'm>,
        failed: &mut Option<Diagnostic>,
        node: &'m NodeProto,
        used: &IndexSet<&'m str>,
    ) -> Result<(), Diagnostic> {
        for (version, mut probe, mut inner) in std::mem::take(probes) {
            match self.nodes(&mut probe, &[node], used, &mut inner) {
                Ok(()) => probes.push((version, probe, inner)),
                Err(error) if impossible(&error) => {
                    failed.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        match failed.take() {
            Some(error) if probes.is_empty() => Err(error),
            error => {
                *failed = error;
                Ok(())
            }
        }
    }

    /// The versions from one on, each behind its condition; what is given is flat, a rank after its value.
    fn chain(
        &mut self,
        sink: &mut dyn Sink,
        fork: Fork<'m>,
        at: usize,
        division: &Division<'m>,
        used: &IndexSet<&'m str>,
        scope: &Scope<'_, 'm>,
    ) -> Result<Vec<Value>, Diagnostic> {
        let version = division.live[at];
        if at + 1 == division.live.len() {
            // The conditions before it settle which it is, when none is left out.
            let all = division.live.len() == self.count(fork, scope);
            return self.version(sink, fork, version, !all, division, used, scope);
        }
        let condition = self.condition(sink, fork, version, scope)?;
        sink.if_else(condition, &mut |sink, taken| match taken {
            true => self.version(sink, fork, version, false, division, used, scope),
            false => self.chain(sink, fork, at + 1, division, used, scope),
        })
    }

    #[allow(clippy::too_many_arguments, reason = "what a version is, and where it is built")]
    fn version(
        &mut self,
        sink: &mut dyn Sink,
        fork: Fork<'m>,
        version: usize,
        check: bool,
        division: &Division<'m>,
        used: &IndexSet<&'m str>,
        scope: &Scope<'_, 'm>,
    ) -> Result<Vec<Value>, Diagnostic> {
        let mut inner = scope.nested();
        inner.want(division.exports.keys().copied().collect());
        self.enter(sink, fork, version, check, &mut inner)?;
        self.nodes(sink, &division.inside, used, &mut inner)?;
        let node = fork.node();
        let mut flat = Vec::new();
        for (name, given) in &division.exports {
            let value = inner.find(name).ok_or_else(|| bad(format!("nothing defines `{name}`")))?;
            let ranked = inner.ranked(value);
            let mut at = At { importer: self, scope: &inner };
            let mut cx = bare(node, sink, &mut at);
            match (given, ranked) {
                (None, None) => flat.push(value),
                (Some(ranks), ranked) => flat.extend(cx.of_ranks(value, ranked, ranks)?),
                (None, Some(_)) => return Err(cx.unforeseen_rank()),
            }
        }
        Ok(flat)
    }

    /// How many versions a fork has.
    fn count(&self, fork: Fork<'m>, scope: &Scope<'_, 'm>) -> usize {
        match fork {
            Fork::Branches(..) => 2,
            Fork::Rank(_, name) => {
                scope.find(name).and_then(|it| scope.ranked(it)).map_or(0, |it| it.ranks.len())
            }
            Fork::Length(..) => MAX_RANK + 1,
        }
    }

    /// Checks that a shape has no more elements than there are versions for.
    fn limit_length(
        &mut self,
        sink: &mut dyn Sink,
        node: &'m NodeProto,
        name: &str,
        scope: &Scope<'_, 'm>,
    ) -> Result<(), Diagnostic> {
        let value = scope.find(name).ok_or_else(|| bad(format!("nothing defines `{name}`")))?;
        sink.set_source(&describe(node));
        let dims = sink.type_of(value).as_tensor().and_then(|it| it.dims().map(<[_]>::to_vec));
        match dims.as_deref() {
            Some([length]) => {
                sink.check(Constraint::AtMost(*length, MAX_RANK as i64), "the rank that its shape gives")
            }
            _ => Ok(()),
        }
    }

    /// Whether a version is the one of the call, a boolean of rank 0.
    fn condition(
        &mut self,
        sink: &mut dyn Sink,
        fork: Fork<'m>,
        version: usize,
        scope: &Scope<'_, 'm>,
    ) -> Result<Value, Diagnostic> {
        let name = match fork {
            Fork::Branches(node, _) => node.input.first().map_or("", String::as_str),
            Fork::Rank(_, name) | Fork::Length(_, name) => name,
        };
        let value = scope.find(name).ok_or_else(|| bad(format!("nothing defines `{name}`")))?;
        sink.set_source(&describe(fork.node()));
        let ranked = scope.ranked(value);
        let mut at = At { importer: self, scope };
        let mut cx = bare(fork.node(), sink, &mut at);
        match (fork, ranked) {
            (Fork::Branches(..), _) => {
                let value = cx.cast(value, DType::Bool)?;
                let axes: Vec<i64> = (0..cx.rank(value)? as i64).collect();
                cx.squeeze(value, &axes)
            }
            (Fork::Rank(..), Some(Ranked { rank, ranks })) => {
                cx.with_number("equal", rank, ranks[version] as f64)
            }
            (Fork::Rank(..), None) => Err(bad(format!("`{name}` has one rank"))),
            (Fork::Length(..), _) => {
                let length = cx.shape_of(value)?;
                let length = cx.squeeze(length, &[0])?;
                cx.with_number("equal", length, version as f64)
            }
        }
    }

    /// Defines what makes a version. `check` asserts that it is the one of the call.
    fn enter(
        &mut self,
        sink: &mut dyn Sink,
        fork: Fork<'m>,
        version: usize,
        check: bool,
        scope: &mut Scope<'_, 'm>,
    ) -> Result<(), Diagnostic> {
        sink.set_source(&describe(fork.node()));
        match fork {
            Fork::Branches(node, graphs) => {
                if check {
                    let cond = node.input.first().and_then(|name| scope.find(name));
                    let cond = cond.ok_or_else(|| bad("its condition is missing"))?;
                    assert_condition(sink, cond, version == 0)?;
                }
                let results = self.subgraph(sink, graphs[version], &[], scope)?;
                scope.define(&node.output, &results);
            }
            Fork::Rank(node, name) => {
                let value = scope.find(name).ok_or_else(|| bad(format!("nothing defines `{name}`")))?;
                let Some(Ranked { rank, ranks }) = scope.ranked(value) else { return Ok(()) };
                if check {
                    let element = sink.shapes().int(ranks[version] as i64);
                    let ty = TensorType::new(DType::I64, []).with_elements([element]);
                    sink.match_cast(rank, Type::Tensor(ty))?;
                }
                let most = ranks.last().copied().unwrap_or_default() as i64;
                let axes: Vec<i64> = (ranks[version] as i64..most).collect();
                let value = match axes[..] {
                    // Another value: this one has one rank.
                    [] => {
                        let ty = sink.type_of(value).clone();
                        sink.match_cast(value, ty)?
                    }
                    _ => bare(node, sink, &mut At { importer: self, scope }).squeeze(value, &axes)?,
                };
                scope.define_one(name, value);
            }
            Fork::Length(_, name) => {
                let value = scope.find(name).ok_or_else(|| bad(format!("nothing defines `{name}`")))?;
                let dtype = sink.type_of(value).as_tensor().map(|it| it.dtype);
                let dtype = dtype.ok_or_else(|| bad("a shape is no tensor"))?;
                let length = sink.shapes().int(version as i64);
                let value = sink.match_cast(value, Type::Tensor(TensorType::new(dtype, [length])))?;
                scope.define_one(name, value);
            }
        }
        Ok(())
    }
}

/// A node as what emits operations for it, without operands.
fn bare<'a, 'm>(node: &'m NodeProto, sink: &'a mut dyn Sink, at: &'a mut At<'_, 'm>) -> NodeCx<'a, 'm> {
    let frame = at.scope.frame;
    NodeCx::new(Node::new(node, &frame.attributes, &frame.opsets), Vec::new(), sink, at)
}

impl<'m> Fork<'m> {
    /// The node that forks, for messages.
    fn node(self) -> &'m NodeProto {
        match self {
            Fork::Branches(node, _) | Fork::Rank(node, _) | Fork::Length(node, _) => node,
        }
    }
}

/// A probe for each version, and what it defines.
type Probes<'p, 's, 'm> = Vec<(usize, Probe<'p>, Scope<'s, 'm>)>;

/// The rank of a value in a scope; none for what is no tensor of known rank.
fn rank_of(sink: &dyn Sink, value: Value) -> Option<usize> {
    sink.type_of(value).as_tensor().and_then(|it| it.shape.rank())
}

/// Whether a name has one rank in all versions.
fn is_one(probes: &Probes<'_, '_, '_>, name: &str) -> bool {
    let mut ranks = probes.iter().filter_map(|(_, probe, scope)| {
        let value = scope.find(name)?;
        Some((rank_of(probe, value), scope.ranked(value).is_some()))
    });
    let Some(first) = ranks.next() else { return true };
    !first.1 && ranks.all(|it| it == first)
}

/// The ranks that a name may have in any version.
fn all_ranks(probes: &Probes<'_, '_, '_>, name: &str) -> Vec<usize> {
    let mut all = Vec::new();
    for (_, probe, scope) in probes {
        let Some(value) = scope.find(name) else { continue };
        match scope.ranked(value) {
            Some(ranked) => all.extend(ranked.ranks),
            None => all.extend(rank_of(probe, value)),
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}
