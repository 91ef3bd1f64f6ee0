//! How operations are spelled that are no functions of [`scalar`](crate::scalar).

use crate::loops::{BinaryOp, Combine};

const COMBINE: [(Combine, &str); 4] =
    [(Combine::Sum, "sum"), (Combine::Product, "product"), (Combine::Max, "max"), (Combine::Min, "min")];

impl BinaryOp {
    /// How tightly an operation written with a sign binds; `None` for one written as a function.
    pub(super) fn precedence(self) -> Option<u8> {
        match self {
            BinaryOp::Add | BinaryOp::Sub => Some(1),
            BinaryOp::Mul | BinaryOp::Div => Some(2),
            _ => None,
        }
    }
}

impl Combine {
    /// The spelling of the text format.
    pub fn name(self) -> &'static str {
        COMBINE.iter().find(|it| it.0 == self).map_or("?", |it| it.1)
    }

    /// The combination of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        COMBINE.iter().find(|it| it.1 == name).map(|it| it.0)
    }
}
