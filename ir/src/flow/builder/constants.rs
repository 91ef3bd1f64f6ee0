//! Constants are added to the pool once and to a region once.

use super::FlowBuilder;
use crate::flow::infer::constant_type;
use crate::flow::{Rhs, ValueId};
use crate::types::{DType, TensorData};

/// Constants of at most this many bytes are one when they are equal; larger ones when they share their memory.
const COMPARED_BYTES: usize = 1024;

/// What makes two constants one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct DataKey {
    dtype: DType,
    dims: Vec<u64>,
    bytes: Identity,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Identity {
    Content(Vec<u8>),
    Address(usize),
}

impl DataKey {
    fn of(data: &TensorData) -> Self {
        let bytes = match data.bytes().len() {
            0..=COMPARED_BYTES => Identity::Content(data.bytes().to_vec()),
            // The pool keeps the memory alive, so an address stands for one content.
            _ => Identity::Address(data.bytes().as_ptr() as usize),
        };
        DataKey { dtype: data.dtype(), dims: data.dims().to_vec(), bytes }
    }
}

impl FlowBuilder<'_> {
    /// The value of a constant that is visible here, added when there is none yet.
    pub(super) fn add_constant(&mut self, name: &str, data: TensorData) -> ValueId {
        let constants = &mut self.module.constants;
        let key = DataKey::of(&data);
        let id = *self.pool.entry(key).or_insert_with(|| constants.add(name, data));
        if let Some(value) = self.frames.iter().find_map(|frame| frame.constants.get(&id)) {
            return *value;
        }
        let ty = constant_type(&mut self.module.shapes, self.module.constants.data(id));
        let value = self.append(Rhs::Constant(id), [ty])[0];
        if !name.is_empty() {
            self.set_name(value, name);
        }
        self.frame().constants.insert(id, value);
        value
    }

    /// The data of a value that is bound to a constant.
    pub(super) fn data_of(&self, value: ValueId) -> Option<&TensorData> {
        match &self.function.defining_rhs(value)? {
            Rhs::Constant(id) => Some(self.module.constants.data(*id)),
            _ => None,
        }
    }
}
