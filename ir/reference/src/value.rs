//! Values at run time.

use orogen_ir::types::{TensorData, Type};

/// A value at run time.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A tensor.
    Tensor(TensorData),
    /// Several values.
    Tuple(Vec<Value>),
    /// Any number of values of one type; of a map, the vector of its keys and that of its values.
    Sequence(Vec<Value>),
    /// An optional without a value; one that has a value is that value.
    None,
    /// Text.
    Str(String),
}

impl Value {
    /// The tensor, when it is one.
    pub fn as_tensor(&self) -> Option<&TensorData> {
        match self {
            Value::Tensor(it) => Some(it),
            _ => None,
        }
    }

    /// Whether it is of a type, as far as its kind, element types and ranks say.
    pub(crate) fn is_of(&self, ty: &Type) -> bool {
        match (ty, self) {
            (Type::Object, _) | (Type::Optional(_), Value::None) | (Type::String, Value::Str(_)) => true,
            (Type::Optional(ty), value) => value.is_of(ty),
            (Type::Sequence(ty), Value::Sequence(items)) => items.iter().all(|it| it.is_of(ty)),
            (Type::Map(keys, values), Value::Sequence(parts)) => {
                matches!(&parts[..], [k, v] if k.is_of(keys) && v.is_of(values))
            }
            (Type::Tensor(ty), Value::Tensor(it)) => {
                it.dtype() == ty.dtype && ty.shape.rank().is_none_or(|rank| rank == it.dims().len())
            }
            _ => false,
        }
    }
}

impl From<TensorData> for Value {
    fn from(it: TensorData) -> Self {
        Value::Tensor(it)
    }
}
