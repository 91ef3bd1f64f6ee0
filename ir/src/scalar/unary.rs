//! Functions of one operand.

use super::Class;
use crate::types::DType;
use UnaryMeaning::{Bool, Float, Int, Number, Test};

/// What a function of one operand means, and so on which types it is defined.
#[derive(Clone, Copy, Debug)]
pub enum UnaryMeaning {
    /// On floats, computed in `f64` and rounded to the type.
    Float(fn(f64) -> f64),
    /// On floats; the result is bool.
    Test(fn(f64) -> bool),
    /// On numbers: floats, and integers of a type.
    Number(fn(f64) -> f64, fn(i64, DType) -> i64),
    /// On integers.
    Int(fn(i64) -> i64),
    /// On bool.
    Bool(fn(bool) -> bool),
}

impl UnaryMeaning {
    /// The types of the operand.
    pub fn operand(self) -> Class {
        match self {
            Float(_) | Test(_) => Class::Float,
            Number(..) => Class::Number,
            Int(_) => Class::Int,
            Bool(_) => Class::Bool,
        }
    }

    /// The value at a float, where the result is one; NaN for a function that is not defined on floats.
    pub fn float(self, x: f64) -> f64 {
        match self {
            Float(f) | Number(f, _) => f(x),
            Test(_) | Int(_) | Bool(_) => f64::NAN,
        }
    }

    /// The value at an integer or bool (law C2); 0 for a function that is not defined on them.
    pub fn int(self, x: i64, dtype: DType) -> i64 {
        match self {
            Number(_, f) => f(x, dtype),
            Int(f) => f(x),
            Bool(f) => i64::from(f(x != 0)),
            Float(_) | Test(_) => 0,
        }
    }
}

/// What is known of a function of one operand.
#[derive(Clone, Copy, Debug)]
pub struct UnaryRow {
    /// Name in the text of tensor programs, and of the operator over it.
    pub name: &'static str,
    /// What it means.
    pub meaning: UnaryMeaning,
    /// Operators of ONNX that are this function in every version.
    pub onnx: &'static [&'static str],
    /// The largest error of generated code on `f32`, in units of the last place of the exact result: 0 where the result
    /// is a value of the type, 0.5 where it is rounded correctly.
    pub ulp: f64,
}

macro_rules! functions {
    ($($(#[$doc:meta])* $op:ident, $name:literal, $meaning:expr, $onnx:expr, $ulp:expr;)*) => {
        /// A function of one operand. Documentation of a row is that of its operator.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum UnaryOp {
            $($(#[$doc])* $op,)*
        }

        const TABLE: &[UnaryRow] =
            &[$(UnaryRow { name: $name, meaning: $meaning, onnx: $onnx, ulp: $ulp },)*];

        impl UnaryOp {
            /// Every function of one operand, in the order of the table.
            pub const ALL: &[UnaryOp] = &[$(UnaryOp::$op,)*];
        }
    };
}

functions! {
    /// −x.
    Neg, "neg", Number(|x| -x, |x, _| x.wrapping_neg()), &["Neg"], 0.0;
    /// |x|.
    Abs, "abs", Number(f64::abs, |x, dtype| if dtype.is_signed_int() { x.wrapping_abs() } else { x }), &["Abs"], 0.0;
    /// −1, 0 or 1; NaN stays NaN.
    Sign, "sign", Number(sign, sign_of_int), &["Sign"], 0.0;
    /// e^x.
    Exp, "exp", Float(libm::exp), &["Exp"], 1.0;
    /// Natural logarithm.
    Log, "log", Float(libm::log), &["Log"], 1.0;
    /// Square root.
    Sqrt, "sqrt", Float(f64::sqrt), &["Sqrt"], 0.5;
    /// 1/x.
    Reciprocal, "reciprocal", Float(|x| 1.0 / x), &["Reciprocal"], 0.5;
    /// Sine, x in radians.
    Sin, "sin", Float(libm::sin), &["Sin"], 2.0;
    /// Cosine, x in radians.
    Cos, "cos", Float(libm::cos), &["Cos"], 2.0;
    /// Tangent, x in radians.
    Tan, "tan", Float(libm::tan), &["Tan"], 2.0;
    /// Arcsine.
    Asin, "asin", Float(libm::asin), &["Asin"], 1.0;
    /// Arccosine.
    Acos, "acos", Float(libm::acos), &["Acos"], 1.0;
    /// Arctangent.
    Atan, "atan", Float(libm::atan), &["Atan"], 1.0;
    /// Hyperbolic sine.
    Sinh, "sinh", Float(libm::sinh), &["Sinh"], 1.0;
    /// Hyperbolic cosine.
    Cosh, "cosh", Float(libm::cosh), &["Cosh"], 1.0;
    /// Inverse hyperbolic sine.
    Asinh, "asinh", Float(libm::asinh), &["Asinh"], 1.0;
    /// Inverse hyperbolic cosine.
    Acosh, "acosh", Float(acosh), &["Acosh"], 1.0;
    /// Inverse hyperbolic tangent.
    Atanh, "atanh", Float(libm::atanh), &["Atanh"], 1.0;
    /// Hyperbolic tangent.
    Tanh, "tanh", Float(libm::tanh), &["Tanh"], 1.5;
    /// 1/(1+e^−x).
    Sigmoid, "sigmoid", Float(sigmoid), &["Sigmoid"], 2.5;
    /// Error function.
    Erf, "erf", Float(libm::erf), &["Erf"], 2.0;
    /// e^x − 1, accurate near 0.
    Expm1, "expm1", Float(libm::expm1), &[], 2.0;
    /// ln(1 + x), accurate near 0.
    Log1p, "log1p", Float(libm::log1p), &[], 2.0;
    /// ln(1 + e^x), also where it is small, and where e^x is too large.
    Softplus, "softplus", Float(softplus), &["Softplus"], 2.0;
    /// Largest integer not above x.
    Floor, "floor", Float(f64::floor), &["Floor"], 0.0;
    /// Smallest integer not below x.
    Ceil, "ceil", Float(f64::ceil), &["Ceil"], 0.0;
    /// Nearest integer, ties to even.
    Round, "round", Float(f64::round_ties_even), &["Round"], 0.0;
    /// Towards zero.
    Trunc, "trunc", Float(f64::trunc), &[], 0.0;
    /// Logical not, on booleans.
    Not, "not", Bool(|x| !x), &["Not"], 0.0;
    /// Bitwise complement, on integers.
    BitNot, "bit_not", Int(|x| !x), &["BitwiseNot"], 0.0;
    /// Whether x is NaN; a boolean.
    IsNan, "is_nan", Test(f64::is_nan), &["IsNaN"], 0.0;
    /// Whether x is infinite, with either sign; a boolean.
    IsInf, "is_inf", Test(f64::is_infinite), &[], 0.0;
}

impl UnaryOp {
    /// What is known of the function.
    pub fn row(self) -> &'static UnaryRow {
        &TABLE[self as usize]
    }

    /// The spelling of the text format, and the name of the operator.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The function of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        UnaryOp::ALL.iter().copied().find(|it| it.name() == name)
    }

    /// Whether the function is defined on operands of type `dtype`.
    pub fn admits(self, dtype: DType) -> bool {
        self.row().meaning.operand().admits(dtype)
    }

    /// Whether the result is bool, whatever the operand.
    pub fn is_test(self) -> bool {
        matches!(self.row().meaning, Test(_))
    }

    /// The type of the result for an operand of type `dtype`.
    pub fn result(self, dtype: DType) -> DType {
        if self.is_test() { DType::Bool } else { dtype }
    }
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
}

/// NaN below 1; the library function makes numbers of large negative arguments.
fn acosh(x: f64) -> f64 {
    if x < 1.0 { f64::NAN } else { libm::acosh(x) }
}

/// With the exponential of a number that is not positive, so that nothing overflows.
fn sigmoid(x: f64) -> f64 {
    let power = libm::exp(-x.abs());
    (if x < 0.0 { power } else { 1.0 }) / (1.0 + power)
}

fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x
    }
}

fn sign_of_int(x: i64, dtype: DType) -> i64 {
    if dtype.is_signed_int() { x.signum() } else { i64::from(x != 0) }
}
