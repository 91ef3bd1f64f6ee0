//! Classes of element types.

use crate::types::DType;

/// Which element types an operand may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Floating point.
    Float,
    /// Integers, without bool.
    Int,
    /// Integers and floating point.
    Number,
    /// Bool.
    Bool,
    /// Bool and integers.
    Bits,
    /// Bool and numbers: what has an order.
    Ordered,
    /// The same and strings: what is told apart.
    Distinct,
    /// All of them.
    Any,
}

impl Class {
    /// Whether a type belongs to the class.
    pub fn admits(self, dtype: DType) -> bool {
        match self {
            // Arithmetic on what is only stored would not wrap.
            Class::Int | Class::Number | Class::Bits if dtype.is_only_stored() => false,
            Class::Float => dtype.is_float(),
            Class::Int => dtype.is_int(),
            Class::Number => dtype.is_int() || dtype.is_float(),
            Class::Bool => dtype == DType::Bool,
            Class::Bits => dtype.is_integral(),
            Class::Ordered => !dtype.is_only_moved(),
            Class::Distinct => !dtype.is_only_moved() || dtype == DType::Str,
            Class::Any => true,
        }
    }

    /// What an error says an operand must be.
    pub fn noun(self) -> &'static str {
        match self {
            Class::Float => "a floating-point type",
            Class::Int => "an integer type",
            Class::Number => "a numeric type",
            Class::Bool => "bool",
            Class::Bits => "bool or an integer type",
            Class::Ordered => "bool or a numeric type",
            Class::Distinct => "bool, a numeric type or string",
            Class::Any => "any type",
        }
    }
}
