//! What names stand for during one match.

use super::ast::{Name, Rewrite};
use super::rewriter::Value;
use orogen_ir::ops::OpId;
use orogen_ir::shape::Dim;
use orogen_ir::types::{Attr, Attrs, DType};
use std::sync::Arc;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// A value.
    Value(Value),
    /// Operands.
    Values(Vec<Value>),
    /// An operand that was left out.
    Absent,
    /// An integer.
    Number(Dim),
    /// Integers.
    List(Vec<Dim>),
    /// A float.
    Float(f64),
    /// Floats.
    Floats(Arc<[f64]>),
    /// A truth value.
    Truth(bool),
    /// A text.
    Text(Arc<str>),
    /// An element type.
    DType(DType),
    /// Attributes.
    Attrs(Attrs),
    /// An operator and attributes of it.
    Op(OpId, Attrs),
}

/// What the names of a rule stand for.
#[derive(Clone, Debug)]
pub(super) struct Env {
    bound: Vec<Option<Bound>>,
    /// Each value that was matched, as often as it was.
    pub(super) seen: Vec<Value>,
    /// Values that nothing else may use.
    pub(super) once: Vec<Value>,
    /// Results of the roots that were matched.
    pub(super) roots: Vec<Value>,
}

impl Env {
    pub(super) fn new(rule: &Rewrite) -> Self {
        Env { bound: vec![None; rule.names.len()], seen: Vec::new(), once: Vec::new(), roots: Vec::new() }
    }

    pub(super) fn get(&self, name: Name) -> Option<&Bound> {
        self.bound[name.index()].as_ref()
    }

    pub(super) fn set(&mut self, name: Name, bound: Bound) {
        self.bound[name.index()] = Some(bound);
    }

    pub(super) fn take(&mut self, name: Name) -> Option<Bound> {
        self.bound[name.index()].take()
    }

    /// Values that names stand for, in the order of the names.
    pub(super) fn values(&self) -> Vec<Value> {
        let mut values = Vec::new();
        for bound in self.bound.iter().flatten() {
            match bound {
                Bound::Value(value) => values.push(*value),
                Bound::Values(list) => values.extend(list),
                _ => {}
            }
        }
        values
    }
}

/// What an attribute is as a value of the language; `int` makes integers.
pub(super) fn of_attr(attr: &Attr, mut int: impl FnMut(i64) -> Dim) -> Bound {
    match attr {
        Attr::Int(it) => Bound::Number(int(*it)),
        Attr::Float(it) => Bound::Float(*it),
        Attr::Bool(it) => Bound::Truth(*it),
        Attr::Str(it) => Bound::Text(it.clone()),
        Attr::Ints(list) => Bound::List(list.iter().map(|it| int(*it)).collect()),
        Attr::Floats(list) => Bound::Floats(list.clone()),
        Attr::DType(it) => Bound::DType(*it),
    }
}
