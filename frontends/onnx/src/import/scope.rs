//! Values by name, one scope inside another.

use crate::graph::Opsets;
use crate::node::Attributes;
use crate::sink::Value;
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
}

/// The contents of a [`Scope`].
pub(super) struct Found<'m> {
    values: IndexMap<&'m str, Value>,
    concats: IndexSet<Value>,
}

impl<'s, 'm> Scope<'s, 'm> {
    pub(super) fn new(
        frame: &'s Frame<'m>,
        parent: Option<&'s Scope<'s, 'm>>,
        depth: usize,
        repeats: Option<String>,
    ) -> Self {
        Scope { values: IndexMap::new(), frame, parent, depth, repeats, concats: RefCell::default() }
    }

    fn chain(&self) -> impl Iterator<Item = &Scope<'_, 'm>> {
        std::iter::successors(Some(self), |it| it.parent)
    }

    /// A scope inside this one, of the same graph, to try nodes in.
    pub(super) fn nested(&'s self) -> Scope<'s, 'm> {
        let what = "trying the nodes after an `If` with each of its branches";
        Scope::new(self.frame, Some(self), self.depth, Some(what.to_string()))
    }

    pub(super) fn define(&mut self, names: &'m [String], values: &[Value]) {
        let named = names.iter().zip(values).filter(|(name, _)| !name.is_empty());
        self.values.extend(named.map(|(name, value)| (name.as_str(), *value)));
    }

    /// What was found inside, to be [adopted](Self::adopt) by the scope around.
    pub(super) fn found(self) -> Found<'m> {
        Found { values: self.values, concats: self.concats.into_inner() }
    }

    pub(super) fn adopt(&mut self, found: Found<'m>) {
        self.values.extend(found.values);
        self.concats.get_mut().extend(found.concats);
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
}
