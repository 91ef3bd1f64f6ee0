//! Ranks that are known only at run time, and versions of nodes for them.
//!
//! A value whose rank is known only at run time is a pair: its elements under the most dimensions that it may have,
//! those behind its rank being 1, and the rank, an integer. What makes one: an `If` whose branches differ in rank where
//! what follows goes on with both, a node whose shape operand or list of axes is as long as the data say, a `Squeeze`
//! without axes of dimensions that may be 1, a `Loop` whose carried values change their rank. Nodes that read one are built
//! once for each rank, behind a branch on it; what has one rank in all versions is an ordinary value after them. So a rank
//! is never guessed, and a model that asks for none pays nothing. The greatest rank of a version is [`MAX_RANK`]; a call
//! that asks for more ends with an error.
//!
//! What goes into the versions is found out with a probe for each, node by node: what reads a value whose rank differs.
//! Everything else comes before or after. A version in which such a node cannot be built is impossible: the condition of
//! another one is then checked at run time.

use super::scope::Scope;
use super::{At, Importer};
use crate::graph::{describe, printable, reads};
use crate::node::{Node, NodeCx, bad, impossible, not_supported};
use crate::ops::lengths;
use crate::probe::Probe;
use crate::proto::{GraphProto, NodeProto};
#[cfg(doc)]
use crate::sink::MAX_RANK;
use crate::sink::{Ranked, Sink, Value, assert_condition, first_element};
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostic;
use orogen_ir::shape::{Constraint, Dim, Truth};
use orogen_ir::types::{DType, Dims, TensorType, Type};

/// The most versions that a node is built in, those of all forks that it is behind.
const MAX_VERSIONS: usize = 512;

/// The most dimensions of which a `Squeeze` without axes has versions in which they are 1 or not.
const MAX_UNITS: usize = 3;

/// Why nodes are built more than once.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fork<'m> {
    /// The branches of an `If` differ in rank.
    Branches(&'m NodeProto, [&'m GraphProto; 2]),
    /// A node reads the value of this name, whose rank is known only at run time.
    Rank(&'m NodeProto, &'m str),
    /// The list of this name that a node reads is as long as the data say.
    Length(&'m NodeProto, &'m str, Lengths),
    /// A `Squeeze` without axes removes these dimensions if they are 1, one bit for each.
    Units(&'m NodeProto, u32),
}

/// How long a list may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    most: usize,
    /// What its length is.
    what: &'static str,
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
        match node.op_type.as_str() {
            "Squeeze" => units(sink, node, scope),
            name if lengths::may_decide(name) => length(sink, node, scope),
            _ => None,
        }
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
        if let Fork::Length(node, name, lengths) = fork {
            limit_length(sink, node, name, lengths, scope)?;
        }
        let counts = self.save_counts();
        let division = self.divide(sink, fork, following, used, scope);
        self.restore_counts(counts);
        let division = division?;
        if let [only] = division.live[..] {
            self.enter(sink, fork, only, &division.live, scope)?;
            return Ok(following.to_vec());
        }
        let later = division.inside.iter().chain(&division.after).copied().flat_map(reads);
        let wanted = scope.want(later.collect());
        self.nodes(sink, &division.before, used, scope)?;
        scope.want_again(wanted);
        let outer = self.versions;
        self.versions = outer.saturating_mul(division.live.len());
        let flat = self.chain(sink, fork, 0, &division, used, scope);
        self.versions = outer;
        let flat = flat?;
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

    /// An output of the model that is held by reference, as a tensor under as many dimensions as it may have.
    pub(super) fn taken_out(
        &mut self,
        sink: &mut dyn Sink,
        graph: &'m GraphProto,
        value: Value,
        ranked: &Ranked,
        scope: &Scope<'_, 'm>,
    ) -> Result<Value, Diagnostic> {
        let Some(node) = graph.node.first() else {
            return Err(not_supported("it is an input whose rank is not known, and the model has no nodes"));
        };
        let mut at = At { importer: self, scope };
        let [value, _] = bare(node, sink, &mut at).of_ranks(value, Some(ranked.clone()), &ranked.ranks)?;
        Ok(value)
    }

    /// Which versions are possible, what goes into them, and what they give. A node that is in more versions than
    /// [`MAX_VERSIONS`], of all forks around it, is refused: their number is a product.
    fn divide(
        &mut self,
        sink: &mut dyn Sink,
        fork: Fork<'m>,
        following: &[&'m NodeProto],
        used: &IndexSet<&'m str>,
        scope: &Scope<'_, 'm>,
    ) -> Result<Division<'m>, Diagnostic> {
        let versions = self.versions.saturating_mul(self.count(fork, scope));
        if versions > MAX_VERSIONS {
            let message = format!(
                "the ranks that its operands may have would need more than {MAX_VERSIONS} versions of what follows"
            );
            return Err(Diagnostic::error("X012", message).at(describe(fork.node())).help(
                "declare how many dimensions inputs have, or how long the lists are that give shapes and axes",
            ));
        }
        let outer = std::mem::replace(&mut self.versions, versions);
        let division = self.divided(sink, fork, following, used, scope);
        self.versions = outer;
        division
    }

    fn divided(
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
            match self.enter(&mut probe, fork, version, &[], &mut inner) {
                Ok(()) => probes.push((version, probe, inner)),
                Err(error) if impossible(&error) => {
                    failed.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        // Names whose rank differs, names that need only the values of the versions, and what reads those.
        let mut differ: IndexSet<&'m str> = match fork {
            Fork::Branches(node, _) | Fork::Units(node, _) => {
                node.output.iter().map(String::as_str).collect()
            }
            Fork::Rank(_, name) | Fork::Length(_, name, _) => [name].into(),
        };
        let mut made: IndexSet<&'m str> = IndexSet::new();
        let mut late: IndexSet<&'m str> = IndexSet::new();
        if let Fork::Branches(node, _) | Fork::Units(node, _) = fork {
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
            let checked = if all { &[][..] } else { &division.live };
            return self.version(sink, fork, version, checked, division, used, scope);
        }
        let condition = self.condition(sink, fork, version, scope)?;
        sink.if_else(condition, &mut |sink, taken| match taken {
            true => self.version(sink, fork, version, &[], division, used, scope),
            false => self.chain(sink, fork, at + 1, division, used, scope),
        })
    }

    #[allow(clippy::too_many_arguments, reason = "what a version is, and where it is built")]
    fn version(
        &mut self,
        sink: &mut dyn Sink,
        fork: Fork<'m>,
        version: usize,
        checked: &[usize],
        division: &Division<'m>,
        used: &IndexSet<&'m str>,
        scope: &Scope<'_, 'm>,
    ) -> Result<Vec<Value>, Diagnostic> {
        let mut inner = scope.nested();
        inner.want(division.exports.keys().copied().collect());
        self.enter(sink, fork, version, checked, &mut inner)?;
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
            Fork::Length(_, _, lengths) => lengths.most + 1,
            Fork::Units(_, units) => 1 << units.count_ones(),
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
            Fork::Branches(node, _) | Fork::Units(node, _) => node.input.first().map_or("", String::as_str),
            Fork::Rank(_, name) | Fork::Length(_, name, _) => name,
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
                let last = cx.rank(value)?;
                let length = match last {
                    1 => cx.shape_of(value)?,
                    _ => cx.shape_part(value, last.saturating_sub(1), last)?,
                };
                let length = cx.squeeze(length, &[0])?;
                cx.with_number("equal", length, version as f64)
            }
            (Fork::Units(_, units), _) => {
                let mut all = None;
                for (axis, is_one) in chosen(units, version) {
                    let size = cx.shape_part(value, axis, axis + 1)?;
                    let size = cx.squeeze(size, &[0])?;
                    let flag = cx.with_number("equal", size, 1.0)?;
                    let flag = if is_one { flag } else { cx.unary("not", flag)? };
                    all = Some(match all {
                        Some(all) => cx.binary("and", all, flag)?,
                        None => flag,
                    });
                }
                all.ok_or_else(|| bad("no dimension decides its rank"))
            }
        }
    }

    /// Defines what makes a version. Where there are some to be `checked`, the possible ones, it is asserted to be the one
    /// of the call.
    fn enter(
        &mut self,
        sink: &mut dyn Sink,
        fork: Fork<'m>,
        version: usize,
        checked: &[usize],
        scope: &mut Scope<'_, 'm>,
    ) -> Result<(), Diagnostic> {
        sink.set_source(&describe(fork.node()));
        match fork {
            Fork::Branches(node, graphs) => {
                if !checked.is_empty() {
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
                if let (Some(first), Some(last)) = (checked.first(), checked.last()) {
                    let what = format!("how many dimensions `{}` has", printable(name));
                    let (first, last) = (ranks[*first] as i64, ranks[*last] as i64);
                    if let Some(found) = first_element(sink, rank) {
                        if first == last {
                            let only = sink.shapes().int(first);
                            sink.check(Constraint::Eq(found, only), &what)?;
                        } else {
                            sink.check(Constraint::AtLeast(found, first), &what)?;
                            sink.check(Constraint::AtMost(found, last), &what)?;
                        }
                    }
                    let element = sink.shapes().int(ranks[version] as i64);
                    let ty = TensorType::new(DType::I64, []).with_elements([element]);
                    sink.match_cast(rank, Type::Tensor(ty))?;
                }
                let most = ranks.last().copied().unwrap_or_default() as i64;
                let axes: Vec<i64> = (ranks[version] as i64..most).collect();
                let held = matches!(sink.type_of(value), Type::Optional(_));
                let value = match axes[..] {
                    _ if held => {
                        bare(node, sink, &mut At { importer: self, scope }).held(value, ranks[version])?
                    }
                    // Another value: this one has one rank.
                    [] => {
                        let ty = sink.type_of(value).clone();
                        sink.match_cast(value, ty)?
                    }
                    _ => bare(node, sink, &mut At { importer: self, scope }).squeeze(value, &axes)?,
                };
                scope.define_one(name, value);
            }
            Fork::Length(_, name, _) => {
                let value = scope.find(name).ok_or_else(|| bad(format!("nothing defines `{name}`")))?;
                let length = sink.shapes().int(version as i64);
                let ty = sink.type_of(value).as_tensor().and_then(|ty| {
                    let mut dims: Dims = ty.dims()?.into();
                    *dims.last_mut()? = length;
                    Some(TensorType::new(ty.dtype, dims))
                });
                let ty = ty.ok_or_else(|| bad("a list is no tensor"))?;
                let value = sink.match_cast(value, Type::Tensor(ty))?;
                scope.define_one(name, value);
            }
            Fork::Units(node, units) => {
                let name = node.input.first().map_or("", String::as_str);
                let value = scope.find(name).ok_or_else(|| bad(format!("nothing defines `{name}`")))?;
                let mut inner = scope.nested();
                inner.define_one(name, of_units(sink, value, chosen(units, version))?);
                let results = self.node(sink, node, &inner).map_err(|it| it.at(describe(node)))?;
                scope.define(&node.output, &results);
            }
        }
        Ok(())
    }
}

/// The last dimension of a value, when it is not known and no constant says it.
fn open_length(sink: &mut dyn Sink, value: Value) -> Option<(usize, Dim)> {
    let dims = sink.type_of(value).as_tensor()?.dims()?;
    let (rank, last) = (dims.len(), *dims.last()?);
    let open = sink.constant_data(value).is_none() && sink.shapes().as_int(last).is_none();
    open.then_some((rank, last))
}

/// Whether versions for each length of a list are needed.
fn length<'m>(sink: &mut dyn Sink, node: &'m NodeProto, scope: &Scope<'_, 'm>) -> Option<Fork<'m>> {
    let operand = |i: usize| scope.find(node.input.get(i).filter(|it| !it.is_empty())?);
    let open: Vec<bool> = (0..node.input.len())
        .map(|i| {
            operand(i)
                .and_then(|it| open_length(sink, it))
                .is_some_and(|it| it.0 == 1 || node.op_type == "GatherND")
        })
        .collect();
    let whole = Node::new(node, &scope.frame.attributes, &scope.frame.opsets);
    let rank = |i: usize| rank_of(sink, operand(i)?);
    let (place, most, what) = lengths::deciding(&whole, &rank, &|i| open.get(i) == Some(&true))?;
    Some(Fork::Length(node, &node.input[place], Lengths { most, what }))
}

/// Checks that a list is not longer than there are versions for.
fn limit_length<'m>(
    sink: &mut dyn Sink,
    node: &'m NodeProto,
    name: &str,
    lengths: Lengths,
    scope: &Scope<'_, 'm>,
) -> Result<(), Diagnostic> {
    let value = scope.find(name).ok_or_else(|| bad(format!("nothing defines `{name}`")))?;
    sink.set_source(&describe(node));
    match open_length(sink, value) {
        Some((_, length)) => sink.check(Constraint::AtMost(length, lengths.most as i64), lengths.what),
        None => Ok(()),
    }
}

/// Whether versions are needed for dimensions that `Squeeze` removes when they are 1: not where it says which, nor where
/// too many may be.
fn units<'m>(sink: &mut dyn Sink, node: &'m NodeProto, scope: &Scope<'_, 'm>) -> Option<Fork<'m>> {
    let whole = Node::new(node, &scope.frame.attributes, &scope.frame.opsets);
    if !whole.is_standard() || whole.has("axes") || whole.has_input(1) {
        return None;
    }
    let value = scope.find(node.input.first()?)?;
    let dims: Dims = sink.type_of(value).as_tensor()?.dims()?.into();
    let mut units = 0u32;
    for (axis, dim) in dims.iter().enumerate() {
        if sink.shapes().prove(Constraint::Differs(*dim, 1)) == Truth::Unknown {
            units |= 1u32.checked_shl(u32::try_from(axis).ok()?)?;
        }
    }
    (1..=MAX_UNITS).contains(&(units.count_ones() as usize)).then_some(Fork::Units(node, units))
}

/// Dimensions of a set, and whether each is 1 in a version.
fn chosen(units: u32, version: usize) -> impl Iterator<Item = (usize, bool)> {
    let axes = (0..u32::BITS).filter(move |axis| units >> axis & 1 == 1);
    axes.enumerate().map(move |(i, axis)| (axis as usize, version >> i & 1 == 1))
}

/// A value some of whose dimensions are 1 and others are not.
fn of_units(
    sink: &mut dyn Sink,
    value: Value,
    chosen: impl Iterator<Item = (usize, bool)>,
) -> Result<Value, Diagnostic> {
    let ty = sink.type_of(value).as_tensor();
    let found = ty.and_then(|it| Some((it.dtype, Dims::from(it.dims()?))));
    let (dtype, mut dims) = found.ok_or_else(|| bad("the shape of its operand is not known"))?;
    for (axis, is_one) in chosen {
        if is_one {
            dims[axis] = sink.shapes().int(1);
        } else {
            sink.check(Constraint::Differs(dims[axis], 1), &format!("dimension {axis}, which is not 1"))?;
        }
    }
    sink.match_cast(value, Type::Tensor(TensorType::new(dtype, dims)))
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
            Fork::Branches(node, _) | Fork::Rank(node, _) | Fork::Length(node, ..) | Fork::Units(node, _) => {
                node
            }
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
