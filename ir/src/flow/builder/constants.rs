//! Constants are added to the pool once and to a region once.

use super::FlowBuilder;
use crate::flow::{Rhs, ValueId};
use crate::types::{TensorData, TensorType, Type};

impl FlowBuilder<'_> {
    /// The value of a constant that is visible here, added when there is none yet.
    pub(super) fn add_constant(&mut self, name: &str, data: TensorData) -> ValueId {
        let id = self.pool.add(&mut self.module.constants, name, data);
        if let Some(value) = self.frames.iter().find_map(|frame| frame.constants.get(&id)) {
            return *value;
        }
        let ty =
            Type::Tensor(TensorType::of_constant(&mut self.module.shapes, self.module.constants.data(id)));
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
