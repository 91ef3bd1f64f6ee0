//! Elementary functions of `f32` as instruction sequences, appended to a program; those of `f64` stand in `double`.
//!
//! Every function takes and returns a register, works lane by lane, and follows IEEE 754 for ±0, ±∞ and NaN; results
//! may be denormal. Rows of the functions say how large errors may be ([`orogen_ir::scalar::UnaryRow::ulp`]); what they
//! are on each encoder is measured, and stands in `docs/accuracy.md`.
//!
//! The algorithms are the classical ones: reduction of the argument to a short interval in two or three steps (Cody and
//! Waite), a polynomial, reconstruction by the exponent. The coefficients are our own; `coefficients.py` beside this
//! file computes and prints them.

pub(crate) mod arcs;
mod convert;
pub(crate) mod double;
pub(crate) mod double_trigonometry;
mod erf;
mod exact;
mod exp;
mod int_power;
mod log;
mod near;
mod payne_hanek;
pub(crate) mod power;
mod remainder;
mod trigonometry;

pub use convert::{from_int, to_int};
pub use erf::erf;
pub use exp::{exp, sigmoid, tanh};
pub use log::log;
pub use near::{expm1, log1p, softplus};
pub use trigonometry::{cos, sin};

use super::{BinaryOp, Builder, IntCompare, UnaryOp, VReg, Width};
use orogen_ir::scalar::UnaryOp as Function;

/// Appends the code of a function to a program.
pub type Emit = fn(&mut Builder, VReg) -> VReg;

/// The vector code of every function of one float with a float as result that has any, in lanes of a width.
pub fn code(function: Function, width: Width) -> Option<Emit> {
    if width == Width::W64 && !one_instruction(function) {
        return match function {
            Function::Sin => Some(double_trigonometry::sin),
            Function::Cos => Some(double_trigonometry::cos),
            Function::Tan => Some(double_trigonometry::tan),
            Function::Asin => Some(arcs::asin),
            Function::Acos => Some(arcs::acos),
            Function::Atan => Some(arcs::atan),
            _ => double::code(function),
        };
    }
    Some(match function {
        Function::Neg => |b, x| b.unary(UnaryOp::Neg, x),
        Function::Abs => |b, x| b.unary(UnaryOp::Abs, x),
        Function::Sqrt => |b, x| b.unary(UnaryOp::Sqrt, x),
        Function::Floor => |b, x| b.unary(UnaryOp::Floor, x),
        Function::Ceil => |b, x| b.unary(UnaryOp::Ceil, x),
        Function::Round => |b, x| b.unary(UnaryOp::Nearest, x),
        Function::Trunc => |b, x| b.unary(UnaryOp::Trunc, x),
        Function::Sign => exact::sign,
        Function::Reciprocal => exact::reciprocal,
        Function::Exp => exp,
        Function::Log => log,
        Function::Expm1 => expm1,
        Function::Log1p => log1p,
        Function::Softplus => softplus,
        Function::Tanh => tanh,
        Function::Sigmoid => sigmoid,
        Function::Erf => erf,
        Function::Sin => sin,
        Function::Cos => cos,
        // Those of lanes of 64 bits are taken.
        Function::Tan
        | Function::Asin
        | Function::Acos
        | Function::Atan
        | Function::Sinh
        | Function::Cosh
        | Function::Asinh
        | Function::Acosh
        | Function::Atanh => return None,
        // Results are masks, or operands no floats; selection has operations for them.
        Function::Not | Function::BitNot | Function::IsNan | Function::IsInf => return None,
    })
}

/// A function of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryFunction {
    /// A power of floats; whether numbers and results have no more than half the digits of lanes.
    Power {
        /// Whether they have.
        shorter: bool,
    },
    /// The remainder of a quotient that is rounded toward zero, of floats of no more than half the digits of lanes.
    Remainder,
    /// A power of integers, which wraps; whether these have a sign.
    IntPower {
        /// Whether they have.
        signed: bool,
    },
}

impl BinaryFunction {
    /// Whether there is vector code for it in lanes of a width.
    pub fn exists(self, width: Width) -> bool {
        match self {
            BinaryFunction::Power { shorter: true } | BinaryFunction::IntPower { .. } => width.has_floats(),
            BinaryFunction::Power { shorter: false } | BinaryFunction::Remainder => width == Width::W64,
        }
    }

    /// Appends its code to a program.
    pub fn emit(self, b: &mut Builder, x: VReg, y: VReg) -> VReg {
        match self {
            BinaryFunction::Power { shorter: true } => power::pow_of_shorter(b, x, y),
            BinaryFunction::Power { shorter: false } => power::pow(b, x, y),
            BinaryFunction::Remainder => remainder::remainder(b, x, y),
            BinaryFunction::IntPower { signed } => int_power::int_power(b, signed, x, y),
        }
    }
}

/// What is one instruction is the same in lanes of every width.
fn one_instruction(function: Function) -> bool {
    use Function::{Abs, Ceil, Floor, Neg, Round, Sqrt, Trunc};
    matches!(function, Neg | Abs | Sqrt | Floor | Ceil | Round | Trunc)
}

/// A polynomial by Horner's rule; coefficients from the constant term up.
fn polynomial(b: &mut Builder, x: VReg, coefficients: &[u32]) -> VReg {
    let (&highest, rest) = coefficients.split_last().expect("a polynomial has a coefficient");
    let mut value = b.constant_bits(highest);
    for &c in rest.iter().rev() {
        let c = b.constant_bits(c);
        value = b.fma(value, x, c);
    }
    value
}

/// The same by Horner's rule over pairs of terms, which waits half as often for what is computed before.
fn polynomial_of_pairs<T: Copy>(
    b: &mut Builder,
    x: VReg,
    square: VReg,
    coefficients: &[T],
    constant: fn(&mut Builder, T) -> VReg,
) -> VReg {
    let mut value = None;
    for pair in coefficients.chunks(2).rev() {
        let lowest = constant(b, pair[0]);
        let pair = match pair.get(1) {
            Some(&linear) => {
                let linear = constant(b, linear);
                b.fma(x, linear, lowest)
            }
            None => lowest,
        };
        value = Some(match value {
            Some(value) => b.fma(square, value, pair),
            None => pair,
        });
    }
    value.expect("a polynomial has a coefficient")
}

/// Where the mask is set, `value` becomes what `other` computes, which is left out where none of it is set.
fn replace_where(b: &mut Builder, mask: VReg, value: VReg, other: impl FnOnce(&mut Builder) -> VReg) {
    let any = b.sign_bits(mask);
    b.when(IntCompare::Ne, any, 0, |b| {
        let other = other(b);
        let other = b.blend(mask, other, value);
        b.assign(value, other);
    });
}

/// `magnitude` with the sign of `sign`; the magnitude must not be negative.
fn copy_sign(b: &mut Builder, magnitude: VReg, sign: VReg) -> VReg {
    let mask = b.constant_bits(1 << 31);
    let sign = b.binary(BinaryOp::And, sign, mask);
    b.binary(BinaryOp::Or, magnitude, sign)
}
