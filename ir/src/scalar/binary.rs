//! Functions of two operands of one type.

use super::Class;
use crate::types::DType;
use BinaryMeaning::{Any, Bits, Int, Number};
use std::cmp::Ordering;

/// What a function of two operands means, and so on which types it is defined.
#[derive(Clone, Copy, Debug)]
pub enum BinaryMeaning {
    /// On numbers: floats, computed in `f64` and rounded to the type, and integers of a type.
    Number(fn(f64, f64) -> f64, fn(i64, i64, DType) -> i64),
    /// On numbers and bool.
    Any(fn(f64, f64) -> f64, fn(i64, i64, DType) -> i64),
    /// On integers.
    Int(fn(i64, i64, DType) -> i64),
    /// On integers and bool.
    Bits(fn(i64, i64) -> i64),
}

impl BinaryMeaning {
    /// The types of the operands.
    pub fn operands(self) -> Class {
        match self {
            Number(..) => Class::Number,
            Any(..) => Class::Ordered,
            Int(_) => Class::Int,
            Bits(_) => Class::Bits,
        }
    }

    /// The value at floats; NaN for a function that is not defined on them.
    pub fn float(self, a: f64, b: f64) -> f64 {
        match self {
            Number(f, _) | Any(f, _) => f(a, b),
            Int(_) | Bits(_) => f64::NAN,
        }
    }

    /// The value at integers or bool (law C2).
    pub fn int(self, a: i64, b: i64, dtype: DType) -> i64 {
        match self {
            Number(_, f) | Any(_, f) | Int(f) => f(a, b, dtype),
            Bits(f) => f(a, b),
        }
    }
}

/// What is known of a function of two operands.
#[derive(Clone, Copy, Debug)]
pub struct BinaryRow {
    /// A sign or a name, in the text of tensor programs.
    pub name: &'static str,
    /// The operator over this function alone.
    pub operator: Option<&'static str>,
    /// What it means.
    pub meaning: BinaryMeaning,
    /// Operators of ONNX that are this function in every version.
    pub onnx: &'static [&'static str],
}

/// What is known of a comparison.
#[derive(Clone, Copy, Debug)]
pub struct CompareRow {
    /// Its sign in the text of tensor programs.
    pub name: &'static str,
    /// The operator over this comparison alone.
    pub operator: Option<&'static str>,
    /// The types of its operands.
    pub operands: Class,
    /// Whether it holds for operands in this order; `None` is unordered (NaN).
    pub holds: fn(Option<Ordering>) -> bool,
    /// Operators of ONNX that are this comparison in every version.
    pub onnx: &'static [&'static str],
}

macro_rules! functions {
    ($($(#[$doc:meta])* $op:ident, $name:literal, $operator:expr, $meaning:expr, $onnx:expr;)*) => {
        /// A function of two operands of one type. Integers wrap. `And`, `Or`, `Xor` are logical on booleans and
        /// bitwise on integers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum BinaryOp {
            $($(#[$doc])* $op,)*
        }

        const FUNCTIONS: &[BinaryRow] =
            &[$(BinaryRow { name: $name, operator: $operator, meaning: $meaning, onnx: $onnx },)*];

        impl BinaryOp {
            /// Every function of two operands, in the order of the table.
            pub const ALL: &[BinaryOp] = &[$(BinaryOp::$op,)*];
        }
    };
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $op:ident, $name:literal, $operator:expr, $operands:expr, $holds:expr, $onnx:expr;)*) => {
        /// A comparison; false when either operand is NaN, except `Ne`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CompareOp {
            $($(#[$doc])* $op,)*
        }

        const COMPARISONS: &[CompareRow] = &[$(CompareRow {
            name: $name,
            operator: $operator,
            operands: $operands,
            holds: $holds,
            onnx: $onnx,
        },)*];

        impl CompareOp {
            /// Every comparison, in the order of the table.
            pub const ALL: &[CompareOp] = &[$(CompareOp::$op,)*];
        }
    };
}

functions! {
    /// a + b.
    Add, "+", Some("add"), Number(|a, b| a + b, |a, b, _| a.wrapping_add(b)), &["Add"];
    /// a − b.
    Sub, "-", Some("sub"), Number(|a, b| a - b, |a, b, _| a.wrapping_sub(b)), &["Sub"];
    /// a · b.
    Mul, "*", Some("mul"), Number(|a, b| a * b, |a, b, _| a.wrapping_mul(b)), &["Mul"];
    /// a / b; integers truncate towards zero, division by zero gives 0.
    Div, "/", Some("div"), Number(|a, b| a / b, quotient), &["Div"];
    /// Remainder with the sign of the divisor (Python); integer remainder by zero gives 0.
    Mod, "mod", None, Number(floored_remainder, floored_remainder_of_ints), &[];
    /// Remainder with the sign of the dividend (C `fmod`).
    Fmod, "fmod", None, Number(|a, b| a % b, remainder), &[];
    /// a^b; integers with a negative exponent truncate towards zero.
    Pow, "pow", Some("pow"), Number(libm::pow, power), &[];
    /// Larger; NaN when either is NaN.
    Max, "max", Some("max"), Any(larger, |a, b, dtype| pick(a, b, dtype, Ordering::Greater)), &[];
    /// Smaller; NaN when either is NaN.
    Min, "min", Some("min"), Any(smaller, |a, b, dtype| pick(a, b, dtype, Ordering::Less)), &[];
    /// And.
    And, "and", Some("and"), Bits(|a, b| a & b), &["And", "BitwiseAnd"];
    /// Or.
    Or, "or", Some("or"), Bits(|a, b| a | b), &["Or", "BitwiseOr"];
    /// Exclusive or.
    Xor, "xor", Some("xor"), Bits(|a, b| a ^ b), &["Xor", "BitwiseXor"];
    /// Shift left, integers; the amount counts modulo the width.
    Shl, "shl", Some("shift_left"), Int(|a, b, dtype| a.wrapping_shl(amount(b, dtype))), &[];
    /// Shift right (arithmetic for signed), integers; the amount counts modulo the width.
    Shr, "shr", Some("shift_right"), Int(shift_right), &[];
}

comparisons! {
    /// =
    Eq, "==", Some("equal"), Class::Distinct, |it| it == Some(Ordering::Equal), &["Equal"];
    /// ≠
    Ne, "!=", None, Class::Distinct, |it| it != Some(Ordering::Equal), &[];
    /// <
    Lt, "<", Some("less"), Class::Number, |it| it == Some(Ordering::Less), &["Less"];
    /// ≤
    Le, "<=", Some("less_equal"), Class::Number, |it| it.is_some_and(Ordering::is_le), &["LessOrEqual"];
    /// >
    Gt, ">", Some("greater"), Class::Number, |it| it == Some(Ordering::Greater), &["Greater"];
    /// ≥
    Ge, ">=", Some("greater_equal"), Class::Number, |it| it.is_some_and(Ordering::is_ge), &["GreaterOrEqual"];
}

impl BinaryOp {
    /// What is known of the function.
    pub fn row(self) -> &'static BinaryRow {
        &FUNCTIONS[self as usize]
    }

    /// The spelling of the text format: a sign or a name.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The function of that sign or name.
    pub fn from_name(name: &str) -> Option<Self> {
        BinaryOp::ALL.iter().copied().find(|it| it.name() == name)
    }

    /// Whether the function is defined on operands of type `dtype`.
    pub fn admits(self, dtype: DType) -> bool {
        self.row().meaning.operands().admits(dtype)
    }
}

impl CompareOp {
    /// What is known of the comparison.
    pub fn row(self) -> &'static CompareRow {
        &COMPARISONS[self as usize]
    }

    /// The sign of the text format.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The comparison of that sign.
    pub fn from_name(name: &str) -> Option<Self> {
        CompareOp::ALL.iter().copied().find(|it| it.name() == name)
    }

    /// Whether it holds for operands in this order; `None` is unordered (NaN).
    pub fn holds(self, order: Option<Ordering>) -> bool {
        (self.row().holds)(order)
    }

    /// The order of two integers of a type (law C2).
    pub fn order(a: i64, b: i64, dtype: DType) -> Ordering {
        if is_unsigned(dtype) { a.cast_unsigned().cmp(&b.cast_unsigned()) } else { a.cmp(&b) }
    }
}

/// Whether values of the type are the bits of a `u64`.
fn is_unsigned(dtype: DType) -> bool {
    dtype == DType::U64
}

fn quotient(a: i64, b: i64, dtype: DType) -> i64 {
    match (a, b) {
        (_, 0) => 0,
        _ if is_unsigned(dtype) => (a.cast_unsigned() / b.cast_unsigned()).cast_signed(),
        _ => a.wrapping_div(b),
    }
}

fn remainder(a: i64, b: i64, dtype: DType) -> i64 {
    match (a, b) {
        (_, 0) => 0,
        _ if is_unsigned(dtype) => (a.cast_unsigned() % b.cast_unsigned()).cast_signed(),
        _ => a.wrapping_rem(b),
    }
}

fn floored_remainder(a: f64, b: f64) -> f64 {
    let r = a % b;
    if r != 0.0 && (r < 0.0) != (b < 0.0) { r + b } else { r }
}

fn floored_remainder_of_ints(a: i64, b: i64, dtype: DType) -> i64 {
    let r = remainder(a, b, dtype);
    let wrong_sign = r != 0 && (r < 0) != (b < 0);
    if wrong_sign && !is_unsigned(dtype) { r + b } else { r }
}

fn larger(a: f64, b: f64) -> f64 {
    match a.partial_cmp(&b) {
        None => f64::NAN,
        Some(Ordering::Greater) => a,
        Some(_) => b,
    }
}

fn smaller(a: f64, b: f64) -> f64 {
    match a.partial_cmp(&b) {
        None => f64::NAN,
        Some(Ordering::Less) => a,
        Some(_) => b,
    }
}

fn pick(a: i64, b: i64, dtype: DType, wanted: Ordering) -> i64 {
    if CompareOp::order(a, b, dtype) == wanted { a } else { b }
}

fn power(base: i64, exponent: i64, dtype: DType) -> i64 {
    if exponent < 0 && !is_unsigned(dtype) {
        return match base {
            1 => 1,
            -1 if exponent % 2 == 0 => 1,
            -1 => -1,
            _ => 0,
        };
    }
    let (mut result, mut square, mut rest) = (1_i64, base, exponent.cast_unsigned());
    while rest > 0 {
        if rest % 2 == 1 {
            result = result.wrapping_mul(square);
        }
        square = square.wrapping_mul(square);
        rest /= 2;
    }
    result
}

/// A shift modulo the width of the type.
fn amount(by: i64, dtype: DType) -> u32 {
    by.rem_euclid(8 * dtype.size() as i64) as u32
}

fn shift_right(a: i64, b: i64, dtype: DType) -> i64 {
    match dtype.is_signed_int() {
        true => a >> amount(b, dtype),
        false => (a.cast_unsigned() >> amount(b, dtype)).cast_signed(),
    }
}
