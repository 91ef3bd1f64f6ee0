//! Knowledge of operators as tables.

use indexmap::IndexMap;
use orogen_ir::ops::{OpId, OpRegistry};

/// What one layer knows of each operator. A missing row is a gap that [`OpTable::missing`] shows.
#[derive(Clone, Debug)]
pub struct OpTable<T> {
    rows: IndexMap<OpId, T>,
}

impl<T> Default for OpTable<T> {
    fn default() -> Self {
        OpTable { rows: IndexMap::new() }
    }
}

impl<T> OpTable<T> {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the row of an operator, replacing an earlier one.
    pub fn set(&mut self, op: OpId, row: T) {
        self.rows.insert(op, row);
    }

    /// The row of an operator, made when it has none.
    pub fn entry(&mut self, op: OpId) -> &mut T
    where
        T: Default,
    {
        self.rows.entry(op).or_default()
    }

    /// The row of an operator.
    pub fn get(&self, op: OpId) -> Option<&T> {
        self.rows.get(&op)
    }

    /// Names of the operators of `ops` without a row, in registration order.
    pub fn missing<'a>(&self, ops: &'a OpRegistry) -> Vec<&'a str> {
        ops.iter().filter(|(id, _)| !self.rows.contains_key(id)).map(|(_, def)| def.name).collect()
    }
}
