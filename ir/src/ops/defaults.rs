//! Inputs to which a model gives a value itself.

use indexmap::{IndexMap, IndexSet};
use std::cell::RefCell;
use std::rc::Rc;

/// What becomes of an input to which the model gives a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defaulted {
    /// It is no input but a constant.
    Constant,
    /// It is an input with that value as its default.
    Optional,
    /// It is an input like any other.
    Required,
}

/// What becomes of the inputs to which a model gives a value.
#[derive(Clone, Debug, Default)]
pub struct InputDefaults {
    /// By name.
    pub chosen: IndexMap<String, Defaulted>,
    /// Whether the others are optional, where the format means it and an importer sees no reason against it. They are
    /// constants otherwise.
    pub others_optional: bool,
    /// Names of optional inputs that nobody chose and on whose default an importer has built something: what it made is right
    /// for that value alone, and is to be made again with them as constants. Clones share it.
    pub decided: Rc<RefCell<IndexSet<String>>>,
}

impl InputDefaults {
    /// Names of inputs for which this was chosen.
    pub fn names(&self, choice: Defaulted) -> impl Iterator<Item = &str> {
        self.chosen.iter().filter(move |it| *it.1 == choice).map(|it| it.0.as_str())
    }
}
