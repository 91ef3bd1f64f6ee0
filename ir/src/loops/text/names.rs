//! How operations are spelled.

use crate::loops::{BinaryOp, Combine, CompareOp, UnaryOp};

const UNARY: [(UnaryOp, &str); 31] = [
    (UnaryOp::Neg, "neg"),
    (UnaryOp::Abs, "abs"),
    (UnaryOp::Sign, "sign"),
    (UnaryOp::Exp, "exp"),
    (UnaryOp::Log, "log"),
    (UnaryOp::Sqrt, "sqrt"),
    (UnaryOp::Reciprocal, "reciprocal"),
    (UnaryOp::Sin, "sin"),
    (UnaryOp::Cos, "cos"),
    (UnaryOp::Tan, "tan"),
    (UnaryOp::Asin, "asin"),
    (UnaryOp::Acos, "acos"),
    (UnaryOp::Atan, "atan"),
    (UnaryOp::Sinh, "sinh"),
    (UnaryOp::Cosh, "cosh"),
    (UnaryOp::Asinh, "asinh"),
    (UnaryOp::Acosh, "acosh"),
    (UnaryOp::Atanh, "atanh"),
    (UnaryOp::Tanh, "tanh"),
    (UnaryOp::Sigmoid, "sigmoid"),
    (UnaryOp::Erf, "erf"),
    (UnaryOp::Expm1, "expm1"),
    (UnaryOp::Log1p, "log1p"),
    (UnaryOp::Floor, "floor"),
    (UnaryOp::Ceil, "ceil"),
    (UnaryOp::Round, "round"),
    (UnaryOp::Trunc, "trunc"),
    (UnaryOp::Not, "not"),
    (UnaryOp::BitNot, "bit_not"),
    (UnaryOp::IsNan, "is_nan"),
    (UnaryOp::IsInf, "is_inf"),
];

const BINARY: [(BinaryOp, &str); 14] = [
    (BinaryOp::Add, "+"),
    (BinaryOp::Sub, "-"),
    (BinaryOp::Mul, "*"),
    (BinaryOp::Div, "/"),
    (BinaryOp::Mod, "mod"),
    (BinaryOp::Fmod, "fmod"),
    (BinaryOp::Pow, "pow"),
    (BinaryOp::Max, "max"),
    (BinaryOp::Min, "min"),
    (BinaryOp::And, "and"),
    (BinaryOp::Or, "or"),
    (BinaryOp::Xor, "xor"),
    (BinaryOp::Shl, "shl"),
    (BinaryOp::Shr, "shr"),
];

const COMPARE: [(CompareOp, &str); 6] = [
    (CompareOp::Eq, "=="),
    (CompareOp::Ne, "!="),
    (CompareOp::Lt, "<"),
    (CompareOp::Le, "<="),
    (CompareOp::Gt, ">"),
    (CompareOp::Ge, ">="),
];

const COMBINE: [(Combine, &str); 4] =
    [(Combine::Sum, "sum"), (Combine::Product, "product"), (Combine::Max, "max"), (Combine::Min, "min")];

fn name_of<T: Copy + PartialEq>(table: &[(T, &'static str)], op: T) -> &'static str {
    table.iter().find(|it| it.0 == op).map_or("?", |it| it.1)
}

fn find<T: Copy>(table: &[(T, &'static str)], name: &str) -> Option<T> {
    table.iter().find(|it| it.1 == name).map(|it| it.0)
}

impl UnaryOp {
    /// The spelling of the text format.
    pub fn name(self) -> &'static str {
        name_of(&UNARY, self)
    }

    /// The operation of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        find(&UNARY, name)
    }
}

impl BinaryOp {
    /// The spelling of the text format: a sign or a name.
    pub fn name(self) -> &'static str {
        name_of(&BINARY, self)
    }

    /// The operation of that sign or name.
    pub fn from_name(name: &str) -> Option<Self> {
        find(&BINARY, name)
    }

    /// How tightly an operation written with a sign binds; `None` for one written as a function.
    pub(super) fn precedence(self) -> Option<u8> {
        match self {
            BinaryOp::Add | BinaryOp::Sub => Some(1),
            BinaryOp::Mul | BinaryOp::Div => Some(2),
            _ => None,
        }
    }
}

impl CompareOp {
    /// The sign of the text format.
    pub fn name(self) -> &'static str {
        name_of(&COMPARE, self)
    }

    /// The comparison of that sign.
    pub fn from_name(name: &str) -> Option<Self> {
        find(&COMPARE, name)
    }
}

impl Combine {
    /// The spelling of the text format.
    pub fn name(self) -> &'static str {
        name_of(&COMBINE, self)
    }

    /// The combination of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        find(&COMBINE, name)
    }
}
