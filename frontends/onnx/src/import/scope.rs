//! Values by name, one scope inside another.

use crate::graph::{Body, Opsets};
use crate::node::Attributes;
use crate::sink::{Ranked, Value};
use indexmap::{IndexMap, IndexSet};
use std::cell::RefCell;

/// The function (or main graph) that nodes belong to.
pub(super) struct Frame<'m> {
    pub(super) opsets: Opsets,
    pub(super) attributes: Attributes<'m>,
}

/// Values by name in one graph, and what was found out about them.
pub(super) struct Scope<'s, 'm> {
    pub(super) values: IndexMap<&'m str, Value>,
    pub(super) frame: &'s Frame<'m>,
    pub(super) parent: Option<&'s Scope<'s, 'm>>,
    pub(super) depth: usize,
    /// For what its nodes may be built more often than the file holds them; nothing for the main graph.
    pub(super) repeats: Option<String>,
    /// Concatenations of integer vectors.
    concats: RefCell<IndexSet<Value>>,
    /// Values whose rank is known only at run time.
    ranked: RefCell<IndexMap<Value, Ranked>>,
    /// Names that are needed after the nodes that are built in it.
    wanted: IndexSet<&'m str>,
    /// What is built in it.
    body: Option<Body<'m>>,
}

/// The contents of a [`Scope`].
pub(super) struct Found<'m> {
    values: IndexMap<&'m str, Value>,
    concats: IndexSet<Value>,
    ranked: IndexMap<Value, Ranked>,
}

impl<'s, 'm> Scope<'s, 'm> {
    pub(super) fn new(
        frame: &'s Frame<'m>,
        parent: Option<&'s Scope<'s, 'm>>,
        depth: usize,
        repeats: Option<String>,
    ) -> Self {
        Scope {
            values: IndexMap::new(),
            frame,
            parent,
            depth,
            repeats,
            concats: RefCell::default(),
            ranked: RefCell::default(),
            wanted: IndexSet::new(),
            body: None,
        }
    }

    fn chain(&self) -> impl Iterator<Item = &Scope<'_, 'm>> {
        std::iter::successors(Some(self), |it| it.parent)
    }

    /// A scope inside this one, of the same graph, to build nodes in once more.
    pub(super) fn nested(&'s self) -> Scope<'s, 'm> {
        let what = "building nodes again, for each rank that a value may have or for a derivative";
        let scope = Scope::new(self.frame, Some(self), self.depth, Some(what.to_string()));
        Scope { wanted: self.wanted.clone(), body: self.body, ..scope }
    }

    /// Says what graph it is the scope of.
    pub(super) fn stands_for(&mut self, body: Body<'m>) {
        self.body = Some(body);
    }

    /// The graph that it is the scope of.
    pub(super) fn body(&self) -> Option<Body<'m>> {
        self.body
    }

    pub(super) fn define(&mut self, names: &'m [String], values: &[Value]) {
        let named = names.iter().zip(values).filter(|(name, _)| !name.is_empty());
        self.values.extend(named.map(|(name, value)| (name.as_str(), *value)));
    }

    pub(super) fn define_one(&mut self, name: &'m str, value: Value) {
        self.values.insert(name, value);
    }

    /// Says that these names are needed later, besides those that were said to be; returns the others.
    pub(super) fn want(&mut self, names: IndexSet<&'m str>) -> IndexSet<&'m str> {
        let before = self.wanted.clone();
        self.wanted.extend(names);
        before
    }

    /// What [`want`](Self::want) returned is needed alone.
    pub(super) fn want_again(&mut self, names: IndexSet<&'m str>) {
        self.wanted = names;
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        self.wanted.contains(name)
    }

    /// What was found inside, to be [adopted](Self::adopt) by the scope around.
    pub(super) fn found(self) -> Found<'m> {
        Found { values: self.values, concats: self.concats.into_inner(), ranked: self.ranked.into_inner() }
    }

    pub(super) fn adopt(&mut self, found: Found<'m>) {
        self.values.extend(found.values);
        self.concats.get_mut().extend(found.concats);
        self.ranked.get_mut().extend(found.ranked);
    }

    pub(super) fn find(&self, name: &str) -> Option<Value> {
        self.chain().find_map(|it| it.values.get(name).copied())
    }

    /// Whether a shape is put together from parts: what is known of them is in its place.
    pub(super) fn is_concat(&self, value: Value) -> bool {
        self.chain().any(|it| it.concats.borrow().contains(&value))
    }

    pub(super) fn note_concat(&self, value: Value) {
        self.concats.borrow_mut().insert(value);
    }

    pub(super) fn note_ranked(&self, value: Value, ranked: Ranked) {
        self.ranked.borrow_mut().insert(value, ranked);
    }

    /// What is known of the rank of a value, if it is known only at run time.
    pub(super) fn ranked(&self, value: Value) -> Option<Ranked> {
        self.chain().find_map(|it| it.ranked.borrow().get(&value).cloned())
    }

    /// What is known of the ranks of results is known to those who get them.
    pub(super) fn hand_ranks(&self, results: &[Value], to: &Scope<'_, 'm>) {
        let ranks = results.iter().filter_map(|it| Some((*it, self.ranked(*it)?)));
        ranks.for_each(|(value, ranked)| to.note_ranked(value, ranked));
    }

    /// Whether there may be such values.
    pub(super) fn has_ranked(&self) -> bool {
        self.chain().any(|it| !it.ranked.borrow().is_empty())
    }
}
