//! Attributes: the compile-time parameters of an operation.

use super::DType;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// One attribute value.
#[derive(Clone, Debug)]
pub enum Attr {
    /// An integer.
    Int(i64),
    /// A float; two NaNs of the same bits are equal.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Str(Arc<str>),
    /// A list of integers.
    Ints(Arc<[i64]>),
    /// A list of floats.
    Floats(Arc<[f64]>),
    /// An element type.
    DType(DType),
}

impl Attr {
    /// The place of its kind in the order of kinds.
    const fn kind(&self) -> u8 {
        match self {
            Attr::Int(_) => 0,
            Attr::Float(_) => 1,
            Attr::Bool(_) => 2,
            Attr::Str(_) => 3,
            Attr::Ints(_) => 4,
            Attr::Floats(_) => 5,
            Attr::DType(_) => 6,
        }
    }
}

/// Attributes are ordered by kind, then by value, floats by their bits: an order to sort by, not one of numbers.
impl Ord for Attr {
    fn cmp(&self, other: &Self) -> Ordering {
        fn bits(list: &[f64]) -> impl Iterator<Item = u64> {
            list.iter().map(|it| it.to_bits())
        }
        match (self, other) {
            (Attr::Int(a), Attr::Int(b)) => a.cmp(b),
            (Attr::Float(a), Attr::Float(b)) => a.to_bits().cmp(&b.to_bits()),
            (Attr::Bool(a), Attr::Bool(b)) => a.cmp(b),
            (Attr::Str(a), Attr::Str(b)) => a.cmp(b),
            (Attr::Ints(a), Attr::Ints(b)) => a.cmp(b),
            (Attr::Floats(a), Attr::Floats(b)) => bits(a).cmp(bits(b)),
            (Attr::DType(a), Attr::DType(b)) => (*a as u8).cmp(&(*b as u8)),
            _ => self.kind().cmp(&other.kind()),
        }
    }
}

impl PartialOrd for Attr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Attr {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Attr {}

impl Hash for Attr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind().hash(state);
        match self {
            Attr::Int(it) => it.hash(state),
            Attr::Float(it) => it.to_bits().hash(state),
            Attr::Bool(it) => it.hash(state),
            Attr::Str(it) => it.hash(state),
            Attr::Ints(it) => it.hash(state),
            Attr::Floats(it) => it.iter().for_each(|it| it.to_bits().hash(state)),
            Attr::DType(it) => (*it as u8).hash(state),
        }
    }
}

impl From<i64> for Attr {
    fn from(it: i64) -> Self {
        Attr::Int(it)
    }
}
impl From<f64> for Attr {
    fn from(it: f64) -> Self {
        Attr::Float(it)
    }
}
impl From<bool> for Attr {
    fn from(it: bool) -> Self {
        Attr::Bool(it)
    }
}
impl From<&str> for Attr {
    fn from(it: &str) -> Self {
        Attr::Str(it.into())
    }
}
impl From<DType> for Attr {
    fn from(it: DType) -> Self {
        Attr::DType(it)
    }
}
impl From<Vec<i64>> for Attr {
    fn from(it: Vec<i64>) -> Self {
        Attr::Ints(it.into())
    }
}
impl From<&[i64]> for Attr {
    fn from(it: &[i64]) -> Self {
        Attr::Ints(it.into())
    }
}
impl From<Vec<f64>> for Attr {
    fn from(it: Vec<f64>) -> Self {
        Attr::Floats(it.into())
    }
}

/// An immutable set of named attributes, sorted by name; cheap to clone, compared by content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attrs(Option<Arc<[(Arc<str>, Attr)]>>);

impl Attrs {
    /// No attributes.
    pub const fn none() -> Self {
        Attrs(None)
    }

    /// The set with `name = value` added or replaced.
    ///
    /// ```
    /// use orogen_ir::types::Attrs;
    /// let attrs = Attrs::none().with("axis", -1).with("keepdims", true);
    /// assert_eq!(attrs.int("axis"), Some(-1));
    /// ```
    #[must_use]
    pub fn with(self, name: &str, value: impl Into<Attr>) -> Self {
        let mut list: Vec<(Arc<str>, Attr)> =
            self.iter().filter(|(it, _)| *it != name).map(|(n, a)| (n.into(), a.clone())).collect();
        list.push((name.into(), value.into()));
        list.sort_by(|a, b| a.0.cmp(&b.0));
        Attrs(Some(list.into()))
    }

    /// Iterates in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Attr)> {
        self.0.iter().flat_map(|it| it.iter()).map(|(name, attr)| (&**name, attr))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The attribute `name`.
    pub fn get(&self, name: &str) -> Option<&Attr> {
        self.iter().find(|(it, _)| *it == name).map(|(_, attr)| attr)
    }

    /// The integer `name`.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Attr::Int(it) => Some(*it),
            _ => None,
        }
    }

    /// The float `name`.
    pub fn float(&self, name: &str) -> Option<f64> {
        match self.get(name)? {
            Attr::Float(it) => Some(*it),
            _ => None,
        }
    }

    /// The truth value `name`.
    pub fn bool(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Attr::Bool(it) => Some(*it),
            _ => None,
        }
    }

    /// The text `name`.
    pub fn str(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Attr::Str(it) => Some(it),
            _ => None,
        }
    }

    /// The integers `name`.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.get(name)? {
            Attr::Ints(it) => Some(it),
            _ => None,
        }
    }

    /// The floats `name`.
    pub fn floats(&self, name: &str) -> Option<&[f64]> {
        match self.get(name)? {
            Attr::Floats(it) => Some(it),
            _ => None,
        }
    }

    /// The element type `name`.
    pub fn dtype(&self, name: &str) -> Option<DType> {
        match self.get(name)? {
            Attr::DType(it) => Some(*it),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasher;

    #[test]
    fn equal_attributes_are_those_of_equal_order_and_hash() {
        let floats = |list: &[f64]| Attr::from(list.to_vec());
        let all = [
            Attr::Int(-1),
            Attr::Int(2),
            Attr::Float(0.0),
            Attr::Float(f64::NAN),
            Attr::Float(-0.0),
            Attr::Bool(true),
            Attr::from("a"),
            Attr::from("b"),
            Attr::from(vec![0, 1]),
            Attr::from(vec![1]),
            floats(&[]),
            floats(&[0.0]),
            floats(&[-0.0]),
            Attr::DType(DType::F32),
        ];
        let state = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default();
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert_eq!(a.cmp(b), i.cmp(&j), "{a:?} and {b:?} stand in this order");
                assert_eq!(a == b, i == j);
                let same = state.hash_one(a) == state.hash_one(b.clone());
                assert!(same == (i == j), "{a:?} and {b:?}");
            }
        }
    }
}
