//! A part of a dataflow block as an e-graph, and back.
//!
//! A region is a run of bindings of one block. Its operations of one result that bind no sizes and do no more than abort
//! are nodes; everything else that its operands come from is a leaf, and what is read by anything else is a root.
//!
//! Places count bindings of the region from 1; 0 is before all of them.

use super::analysis::{Graph, Typed, infer, is_same};
use super::cost::{Moves, Work, representative, work};
use super::extract::{At, Chosen, Problem, Way};
use super::language::Node;
use egg::{EGraph, Id};
use indexmap::{IndexMap, IndexSet};
use orogen_ir::flow::{BindingId, Editor, Rhs, ValueDef, ValueId};
use orogen_ir::ops::OpRegistry;
use orogen_ir::shape::{Dim, ShapeCx, Sym};
use orogen_ir::types::{Source, Type, pair_dims, visit_dims};

/// A region and its e-graph.
pub(super) struct Region<'a> {
    pub(super) graph: Graph<'a>,
    bindings: Vec<BindingId>,
    /// The class of each value that the region reads or computes.
    classes: IndexMap<ValueId, Id>,
    /// Leaves in the order of their numbers, with the place where each is there.
    leaves: Vec<(ValueId, usize)>,
    /// Values of constants that the program has, by their place among all constants.
    constants: IndexMap<u32, (ValueId, usize)>,
    /// Operations that became nodes, with their places.
    operations: Vec<(ValueId, usize)>,
    /// Checks of sizes in the block, from the region on: the last place of those that share symbols, and these. What is
    /// known of sizes holds behind them.
    checks: Vec<(usize, IndexSet<Sym>)>,
    /// Values that something outside of the e-graph reads, with the place of its first reader.
    roots: Vec<(ValueId, usize)>,
}

/// What values became that regions before wrote anew.
pub(super) type Replaced = IndexMap<ValueId, ValueId>;

/// The choice as a problem of extraction, with the classes and nodes that its numbers mean.
pub(super) struct Choices {
    pub(super) problem: Problem,
    ids: Vec<Id>,
    nodes: Vec<Vec<Node>>,
}

impl<'a> Region<'a> {
    /// Reads a run of bindings. The shapes of the editor are in the e-graph until [`give_back`](Self::give_back).
    pub(super) fn read(editor: &mut Editor<'_>, ops: &'a OpRegistry, bindings: Vec<BindingId>) -> Self {
        let binds: Vec<bool> = bindings.iter().map(|it| !editor.binds(*it).is_empty()).collect();
        let checks = checks(editor, &bindings);
        let typed = Typed::new(ops, std::mem::take(editor.shapes));
        let mut region = Region {
            graph: EGraph::new(typed),
            classes: IndexMap::new(),
            leaves: Vec::new(),
            constants: IndexMap::new(),
            operations: Vec::new(),
            checks,
            roots: Vec::new(),
            bindings,
        };
        let mut inner_uses: IndexMap<ValueId, usize> = IndexMap::new();
        let mut first_reader: IndexMap<ValueId, usize> = IndexMap::new();
        for (place, (id, binds)) in (1..).zip(region.bindings.clone().into_iter().zip(binds)) {
            let binding = editor.binding(id);
            for operand in binding.rhs.operands() {
                *inner_uses.entry(operand).or_insert(0) += 1;
            }
            let is_node = match &binding.rhs {
                Rhs::Op { op, .. } => {
                    ops.def(*op).effects.allowed_in_dataflow() && binding.results.len() == 1 && !binds
                }
                Rhs::Constant(_) => true,
                _ => false,
            };
            if !is_node {
                for operand in binding.rhs.operands() {
                    first_reader.entry(operand).or_insert(place);
                }
                for result in &binding.results {
                    region.leaf(editor, *result, place);
                }
                continue;
            }
            let result = binding.results[0];
            match &binding.rhs {
                Rhs::Op { op, attrs, args } => {
                    let args = args.iter().map(|it| region.value(editor, *it)).collect();
                    let node = Node::Op { op: *op, attrs: attrs.clone(), args };
                    // The recorded type may say more than inference would.
                    region.graph.analysis.next = Some(editor.type_of(result).clone());
                    let class = region.graph.add(node);
                    region.graph.analysis.next = None;
                    region.classes.insert(result, class);
                    region.operations.push((result, place));
                }
                _ => drop(region.constant(editor, result, place)),
            }
        }
        region.graph.rebuild();
        let after = region.bindings.len() + 1;
        for (value, _) in &region.operations {
            let inner = inner_uses.get(value).copied().unwrap_or(0);
            let outside = (editor.uses(*value) > inner).then_some(after);
            if let Some(before) = first_reader.get(value).copied().or(outside) {
                region.roots.push((*value, before));
            }
        }
        region
    }

    /// Gives the shapes back to the editor.
    pub(super) fn give_back(&mut self, editor: &mut Editor<'_>) {
        *editor.shapes = std::mem::take(&mut self.graph.analysis.shapes);
    }

    /// The class of an operand.
    fn value(&mut self, editor: &Editor<'_>, value: ValueId) -> Id {
        if let Some(known) = self.classes.get(&value) {
            return self.graph.find(*known);
        }
        match self.constant(editor, value, 0) {
            Some(id) => id,
            None => self.leaf(editor, value, 0),
        }
    }

    fn constant(&mut self, editor: &Editor<'_>, value: ValueId, place: usize) -> Option<Id> {
        let data = editor.constant_data(value)?;
        let at = self.graph.analysis.intern(data.clone());
        self.constants.entry(at).or_insert((value, place));
        let id = self.graph.add(Node::Constant(at));
        self.classes.insert(value, id);
        Some(id)
    }

    fn leaf(&mut self, editor: &Editor<'_>, value: ValueId, place: usize) -> Id {
        let number = self.leaves.len() as u32;
        self.leaves.push((value, place));
        self.graph.analysis.leaves.push(editor.type_of(value).clone());
        let id = self.graph.add(Node::Leaf(number));
        self.classes.insert(value, id);
        id
    }

    /// Whether anything here could be rewritten.
    pub(super) fn is_empty(&self) -> bool {
        self.operations.is_empty() || self.roots.is_empty()
    }

    /// All that can be chosen.
    pub(super) fn choices(&self, moves: Moves, together: &[Vec<(Id, Node)>]) -> Choices {
        let mut ids: Vec<Id> = self.graph.classes().map(|it| it.id).collect();
        ids.sort_unstable();
        let places: IndexMap<Id, At> = ids.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        let at = |id: &Id| places[&self.graph.find(*id)];
        let mut originals: IndexMap<Node, usize> = IndexMap::new();
        let mut original: Vec<Option<(usize, Node)>> = vec![None; ids.len()];
        for (value, place) in &self.operations {
            let Some((_, node)) = self.original(*value) else { continue };
            let class = at(&self.classes[value]);
            originals.entry(node.clone()).or_insert(*place);
            // The first of the class: what it needs comes before it, so that all firsts together have no cycle.
            original[class].get_or_insert((*place, node));
        }
        let env = representative(&self.graph.analysis.shapes);
        let mut bare = (!self.checks.is_empty()).then(|| self.graph.analysis.shapes.clone());
        if let Some(bare) = &mut bare {
            bare.keep_facts(|_, _| false);
        }
        let mut problem = Problem {
            ways: Vec::new(),
            roots: Vec::new(),
            original: vec![None; ids.len()],
            together: Vec::new(),
        };
        let mut all = Vec::with_capacity(ids.len());
        for (class, id) in ids.iter().enumerate() {
            let nodes = self.graph[*id].nodes.clone();
            let way = |node: &Node| self.way(node, *id, (&env, moves), bare.as_mut(), &at, &originals);
            let ways: Vec<Way> = nodes.iter().map(way).collect();
            let is_leaf = |node: &Node| !matches!(node, Node::Op { .. });
            let first = original[class].as_ref().and_then(|(_, node)| nodes.iter().position(|it| it == node));
            // A leaf is there already.
            problem.original[class] = nodes.iter().position(is_leaf).or(first);
            problem.ways.push(ways);
            all.push(nodes);
        }
        let mut roots: IndexMap<At, usize> = IndexMap::new();
        for (value, before) in &self.roots {
            let first = roots.entry(at(&self.classes[value])).or_insert(*before);
            *first = (*first).min(*before);
        }
        problem.roots = roots.into_iter().collect();
        for group in together {
            let ways = group.iter().map(|(id, node)| {
                let (class, mut node) = (at(id), node.clone());
                egg::Language::update_children(&mut node, |it| self.graph.find(it));
                Some((class, all[class].iter().position(|it| *it == node)?))
            });
            problem.together.extend(ways.collect::<Option<Vec<_>>>());
        }
        Choices { problem, ids, nodes: all }
    }

    /// The node that a value was, as classes are now.
    fn original(&self, value: ValueId) -> Option<(Id, Node)> {
        let id = *self.classes.get(&value)?;
        let mut node = self.graph.id_to_node(id).clone();
        egg::Language::update_children(&mut node, |it| self.graph.find(it));
        Some((self.graph.find(id), node))
    }

    fn way(
        &self,
        node: &Node,
        class: Id,
        view: (&orogen_ir::shape::Env, Moves),
        bare: Option<&mut ShapeCx>,
        at: &dyn Fn(&Id) -> At,
        originals: &IndexMap<Node, usize>,
    ) -> Way {
        match node {
            Node::Leaf(it) => {
                let place = Some(self.leaves[*it as usize].1);
                Way { args: Vec::new(), work: Work::default(), place, least: 0 }
            }
            Node::Constant(it) => {
                let place = self.constants.get(it).map_or(0, |it| it.1);
                Way { args: Vec::new(), work: Work::default(), place: Some(place), least: 0 }
            }
            Node::Op { op, attrs, args } => {
                let facts: Vec<_> = args.iter().map(|it| &self.graph[*it].data).collect();
                let work = work(&self.graph.analysis, view, *op, attrs, &facts, &self.graph[class].data);
                let place = originals.get(node).copied();
                let least = match bare {
                    Some(bare) if place.is_none() => self.least(node, class, bare),
                    _ => 0,
                };
                Way { args: args.iter().map(at).collect(), work, place, least }
            }
        }
    }

    /// The last check that says something of the symbols in the sizes of an operation, also by way of other checks, unless
    /// its operands fit by shapes without facts.
    fn least(&self, node: &Node, class: Id, bare: &mut ShapeCx) -> usize {
        let Node::Op { op, attrs, args } = node else { return 0 };
        let (typed, whole) = (&self.graph.analysis, &self.graph[class].data);
        let facts = || args.iter().map(|it| &self.graph[*it].data);
        if !whole.assumed && !facts().any(|it| it.assumed) {
            let types: Vec<Type> = facts().map(|it| it.ty.clone()).collect();
            let fits = infer(typed.ops, bare, (*op, attrs), &types);
            if fits.is_some_and(|it| is_same(&it, &whole.ty)) {
                return 0;
            }
        }
        let mut own: IndexSet<Sym> = IndexSet::new();
        for facts in facts().chain([whole]) {
            visit_dims(&facts.ty, &mut |it| own.extend(typed.shapes.free_symbols(it)));
        }
        let concerned = self.checks.iter().filter(|(_, of)| !of.is_disjoint(&own));
        concerned.map(|it| it.0).max().unwrap_or(0)
    }

    /// Writes a choice into the program, and adds to what other regions have replaced. Whether it could be written; otherwise
    /// nothing uses what was.
    pub(super) fn write(
        &self,
        editor: &mut Editor<'_>,
        choices: &Choices,
        chosen: &Chosen,
        replaced: &mut Replaced,
    ) -> bool {
        let sources = self.sources(editor, choices, chosen);
        let mut by_node: IndexMap<Node, (ValueId, usize)> = IndexMap::new();
        for (value, place) in &self.operations {
            if let Some((_, node)) = self.original(*value) {
                by_node.entry(node).or_insert((*value, *place));
            }
        }
        let mut values: IndexMap<Id, ValueId> = IndexMap::new();
        for (at, way, place) in &chosen.order {
            let node = &choices.nodes[*at][*way];
            let value = match node {
                Node::Leaf(it) => {
                    let leaf = self.leaves[*it as usize].0;
                    replaced.get(&leaf).copied().unwrap_or(leaf)
                }
                Node::Constant(it) if self.constants.contains_key(it) => self.constants[it].0,
                Node::Constant(it) => {
                    self.point(editor, *place);
                    let value = editor.constant("", self.graph.analysis.constants[*it as usize].clone());
                    set_source(editor, value, &sources[at]);
                    value
                }
                Node::Op { op, attrs, args } => match by_node.get(node) {
                    Some((value, of)) if of == place => *value,
                    _ => {
                        self.point(editor, *place);
                        let args: Vec<ValueId> =
                            args.iter().map(|it| values[&self.graph.find(*it)]).collect();
                        let Some(value) = editor.op_without_checks(*op, attrs.clone(), &args) else {
                            return false;
                        };
                        set_source(editor, value, &sources[at]);
                        value
                    }
                },
            };
            values.insert(choices.ids[*at], value);
        }
        for (value, _) in &self.operations {
            if let Some(new) = values.get(&self.graph.find(self.classes[value])) {
                editor.replace(*value, *new);
                replaced.insert(*value, *new);
            }
        }
        true
    }

    /// New bindings go behind the binding of this place.
    fn point(&self, editor: &mut Editor<'_>, place: usize) {
        match self.bindings.get(place) {
            Some(next) => editor.before(*next),
            None => editor.after(self.bindings[self.bindings.len() - 1]),
        }
    }

    /// Where each class comes from: from the operations whose value it is, else from those that it is needed for.
    fn sources(&self, editor: &Editor<'_>, choices: &Choices, chosen: &Chosen) -> IndexMap<At, Source> {
        let places: IndexMap<Id, At> = choices.ids.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        let mut sources: IndexMap<At, Source> =
            chosen.order.iter().map(|it| (it.0, Source::default())).collect();
        for (value, _) in &self.operations {
            let at = places[&self.graph.find(self.classes[value])];
            if let (Some(source), ValueDef::Result(binding, _)) =
                (sources.get_mut(&at), editor.value(*value).def)
            {
                source.add(&editor.binding(binding).source);
            }
        }
        let own: Vec<At> = sources.iter().filter(|it| !it.1.is_empty()).map(|it| *it.0).collect();
        for (at, way, _) in chosen.order.iter().rev() {
            let from = sources[at].clone();
            for operand in &choices.problem.ways[*at][*way].args {
                if !own.contains(operand)
                    && let Some(source) = sources.get_mut(operand)
                {
                    source.add(&from);
                }
            }
        }
        sources
    }
}

/// What checks and casts of the block of a region say that do not stand before it: symbols that one of them has together,
/// or several in a row, and the place of the last. Those behind the region have a place behind all of its own.
fn checks(editor: &Editor<'_>, bindings: &[BindingId]) -> Vec<(usize, IndexSet<Sym>)> {
    let Some(first) = bindings.first() else { return Vec::new() };
    let Some(block) = editor.block_of(*first) else { return Vec::new() };
    let order = editor.order(block);
    let mut out: Vec<(usize, IndexSet<Sym>)> = Vec::new();
    for (place, id) in (1..).zip(order.into_iter().skip_while(|it| it != first)) {
        let mut place = if place > bindings.len() { usize::MAX } else { place };
        let sizes = said(editor, &editor.binding(id).rhs);
        let mut symbols: IndexSet<Sym> =
            sizes.iter().flat_map(|it| editor.shapes.free_symbols(*it)).collect();
        if symbols.is_empty() {
            continue;
        }
        let (shared, apart): (Vec<_>, Vec<_>) =
            out.into_iter().partition(|(_, of)| !of.is_disjoint(&symbols));
        out = apart;
        for (at, known) in shared {
            place = place.max(at);
            symbols.extend(known);
        }
        out.push((place, symbols));
    }
    out
}

/// The sizes that a check or a cast says something of.
fn said(editor: &Editor<'_>, rhs: &Rhs) -> Vec<Dim> {
    match rhs {
        Rhs::Check { constraint, .. } => constraint.dims().collect(),
        Rhs::MatchCast { value, ty } => {
            let mut pairs = Vec::new();
            pair_dims(editor.type_of(*value), ty, &mut pairs);
            pairs.into_iter().filter(|(from, to)| from != to).flat_map(|(from, to)| [from, to]).collect()
        }
        _ => Vec::new(),
    }
}

fn set_source(editor: &mut Editor<'_>, value: ValueId, source: &Source) {
    if let ValueDef::Result(binding, _) = editor.value(value).def {
        editor.set_source(binding, source.clone());
    }
}
