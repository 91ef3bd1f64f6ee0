//! Functions of one operand, as vector code.

use crate::vector::{Builder, Compare, UnaryOp, VReg, math};

/// A function of one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// `-x`
    Neg,
    /// `|x|`
    Abs,
    /// `√x`
    Sqrt,
    /// `1/x`
    Reciprocal,
    /// Toward −∞.
    Floor,
    /// Toward +∞.
    Ceil,
    /// To nearest, ties to even.
    Round,
    /// Toward zero.
    Trunc,
    /// [`math::exp`]
    Exp,
    /// [`math::log`]
    Log,
    /// [`math::expm1`]
    Expm1,
    /// [`math::log1p`]
    Log1p,
    /// [`math::tanh`]
    Tanh,
    /// [`math::sigmoid`]
    Sigmoid,
    /// [`math::erf`]
    Erf,
    /// [`math::sin`]
    Sin,
    /// [`math::cos`]
    Cos,
    /// −1, 0 or 1; NaN for NaN.
    Sign,
    /// `i32` bits of the truncated value, saturated; 0 for NaN.
    ToInt,
    /// The `f32` nearest to `i32` bits.
    FromInt,
}

impl Function {
    /// Appends the function to a program.
    pub fn emit(self, b: &mut Builder, x: VReg) -> VReg {
        match self {
            Function::Neg => b.unary(UnaryOp::Neg, x),
            Function::Abs => b.unary(UnaryOp::Abs, x),
            Function::Sqrt => b.unary(UnaryOp::Sqrt, x),
            Function::Floor => b.unary(UnaryOp::Floor, x),
            Function::Ceil => b.unary(UnaryOp::Ceil, x),
            Function::Round => b.unary(UnaryOp::Nearest, x),
            Function::Trunc => b.unary(UnaryOp::Trunc, x),
            Function::ToInt => {
                // What is out of range gives the least integer, which is right below.
                let value = b.unary(UnaryOp::ToInt, x);
                let (limit, most) = (b.constant(2_147_483_648.0), b.constant_int(i32::MAX));
                let value = b.select(Compare::Ge, x, limit, most, value);
                let zero = b.constant_int(0);
                b.select(Compare::Unordered, x, x, zero, value)
            }
            Function::FromInt => b.unary(UnaryOp::FromInt, x),
            Function::Reciprocal => {
                let one = b.constant(1.0);
                b.div(one, x)
            }
            Function::Exp => math::exp(b, x),
            Function::Log => math::log(b, x),
            Function::Expm1 => math::expm1(b, x),
            Function::Log1p => math::log1p(b, x),
            Function::Tanh => math::tanh(b, x),
            Function::Sigmoid => math::sigmoid(b, x),
            Function::Erf => math::erf(b, x),
            Function::Sin => math::sin(b, x),
            Function::Cos => math::cos(b, x),
            Function::Sign => {
                let (zero, one, minus) = (b.constant(0.0), b.constant(1.0), b.constant(-1.0));
                let below = b.select(Compare::Lt, x, zero, minus, x);
                b.select(Compare::Gt, x, zero, one, below)
            }
        }
    }
}
