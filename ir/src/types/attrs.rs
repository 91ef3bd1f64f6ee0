//! Attributes: the compile-time parameters of an operation.

use super::DType;
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
    /// A comparable rendering in which floats count by their bits.
    fn bits(&self) -> (u8, Vec<u64>, &str) {
        match self {
            Attr::Int(it) => (0, vec![*it as u64], ""),
            Attr::Float(it) => (1, vec![it.to_bits()], ""),
            Attr::Bool(it) => (2, vec![u64::from(*it)], ""),
            Attr::Str(it) => (3, Vec::new(), it),
            Attr::Ints(it) => (4, it.iter().map(|it| *it as u64).collect(), ""),
            Attr::Floats(it) => (5, it.iter().map(|it| it.to_bits()).collect(), ""),
            Attr::DType(it) => (6, vec![*it as u64], ""),
        }
    }
}

impl PartialEq for Attr {
    fn eq(&self, other: &Self) -> bool {
        self.bits() == other.bits()
    }
}

impl Eq for Attr {}

impl Hash for Attr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits().hash(state);
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
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
