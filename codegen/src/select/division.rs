//! Division and remainders of integers in lanes, by way of floats that hold their quotients exactly enough.
//!
//! A quotient of integers of at most half the digits of a float, rounded to that float and then toward zero, is the
//! quotient: what is between it and the next whole number is more than half a unit in the last place.

use orogen_ir::loops::BinaryOp;
use orogen_ir::types::DType;

use super::expression::{Node, Operation, VectorExpr};
use crate::vector::{self, UnaryOp, Width};

/// Whether lanes of a width divide integers of a type.
pub(super) fn divides(dtype: DType, width: Width) -> bool {
    dtype.is_int() && width.has_floats() && 2 * 8 * dtype.size() <= width.bits() as usize
}

impl VectorExpr {
    /// `x / y` truncated, or the remainder of the quotient that is truncated (`Fmod`) or rounded down (`Mod`); what is
    /// divided by 0 gives 0. The result may have to be wrapped.
    pub(super) fn divide(&mut self, op: BinaryOp, dtype: DType, x: Node, y: Node) -> Option<Node> {
        if !divides(dtype, self.width()) {
            return None;
        }
        let zero = self.bits(0);
        let by_zero = self.combine(vector::BinaryOp::IntEq, y, zero);
        let [over, under] = [x, y].map(|it| self.push(Operation::Unary(UnaryOp::FromInt, it)));
        let quotient = self.combine(vector::BinaryOp::Div, over, under);
        let quotient = self.push(Operation::Unary(UnaryOp::ToInt, quotient));
        if op == BinaryOp::Div {
            return Some(self.combine(vector::BinaryOp::AndNot, by_zero, quotient));
        }
        let product = self.combine(vector::BinaryOp::IntMul, quotient, y);
        let rest = self.combine(vector::BinaryOp::IntSub, x, product);
        let rest = self.combine(vector::BinaryOp::AndNot, by_zero, rest);
        if op == BinaryOp::Fmod || !dtype.is_signed_int() {
            return Some(rest);
        }
        // A rest of another sign than the divisor's is short of it.
        let signs = self.combine(vector::BinaryOp::Xor, rest, y);
        let opposite = self.combine(vector::BinaryOp::IntGt, zero, signs);
        let exact = self.combine(vector::BinaryOp::IntEq, rest, zero);
        let wrong = self.combine(vector::BinaryOp::AndNot, exact, opposite);
        let missing = self.combine(vector::BinaryOp::And, wrong, y);
        Some(self.combine(vector::BinaryOp::IntAdd, rest, missing))
    }
}
