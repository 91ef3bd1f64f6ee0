//! Operations on integers in vector expressions: they wrap as their type does, and unsigned ones that fill lanes are
//! compared with another sign bit.

use orogen_ir::loops::{BinaryOp, CompareOp, UnaryOp};
use orogen_ir::types::DType;

use super::expression::{Node, Operation, VectorExpr};
use crate::vector::{self, math::BinaryFunction};

impl VectorExpr {
    /// Operations on one integer that vectors have.
    pub(super) fn unary_ints(&mut self, op: UnaryOp, dtype: DType, x: Node) -> Option<Node> {
        let zero = self.bits(0);
        let signed = dtype.is_signed_int();
        let value = match op {
            UnaryOp::Abs if !signed => return Some(x),
            UnaryOp::Neg | UnaryOp::Abs => {
                let negated = self.push(Operation::Binary(vector::BinaryOp::IntSub, zero, x));
                if op == UnaryOp::Neg { negated } else { self.combine(vector::BinaryOp::IntMax, x, negated) }
            }
            // The difference of −1 or 0, and −1 or 0.
            UnaryOp::Sign if signed => {
                let below = self.compare_ints(CompareOp::Lt, x, zero);
                let above = self.compare_ints(CompareOp::Gt, x, zero);
                return Some(self.combine(vector::BinaryOp::IntSub, below, above));
            }
            UnaryOp::Sign => {
                let (mask, one) = (self.not_zero(x), self.bits(1));
                return Some(self.combine(vector::BinaryOp::And, mask, one));
            }
            UnaryOp::BitNot => self.not(x),
            UnaryOp::IsNan | UnaryOp::IsInf => return Some(zero),
            _ => return None,
        };
        Some(self.wrap(dtype, value))
    }

    /// Operations on integers that vectors have.
    pub(super) fn binary_ints(&mut self, op: BinaryOp, dtype: DType, x: Node, y: Node) -> Option<Node> {
        let op = match op {
            BinaryOp::Add => vector::BinaryOp::IntAdd,
            BinaryOp::Sub => vector::BinaryOp::IntSub,
            BinaryOp::Mul => vector::BinaryOp::IntMul,
            BinaryOp::Max => return Some(self.extremum_of(true, dtype, x, y)),
            BinaryOp::Min => return Some(self.extremum_of(false, dtype, x, y)),
            BinaryOp::Shl | BinaryOp::Shr => return self.shift_by(op == BinaryOp::Shl, dtype, x, y),
            BinaryOp::Pow => {
                let function = BinaryFunction::IntPower { signed: dtype.is_signed_int() };
                let value = self.binary_function(function, x, y)?;
                return Some(self.wrap(dtype, value));
            }
            BinaryOp::Div | BinaryOp::Mod | BinaryOp::Fmod => {
                let value = self.divide(op, dtype, x, y)?;
                return Some(self.wrap(dtype, value));
            }
            _ => return self.logical(op, x, y),
        };
        let value = self.combine(op, x, y);
        Some(self.wrap(dtype, value))
    }

    /// A shift by an amount that counts modulo the width of the type.
    fn shift_by(&mut self, left: bool, dtype: DType, x: Node, y: Node) -> Option<Node> {
        if !self.width().has_floats() {
            return None;
        }
        let amount = match self.fills(dtype) {
            true => y,
            false => {
                let most = self.bits(8 * dtype.size() as i64 - 1);
                self.combine(vector::BinaryOp::And, y, most)
            }
        };
        if left {
            let value = self.combine(vector::BinaryOp::ShiftLeft, x, amount);
            return Some(self.wrap(dtype, value));
        }
        if !dtype.is_signed_int() {
            return Some(self.combine(vector::BinaryOp::ShiftRight, x, amount));
        }
        // What is below 0 is shifted as its complement.
        let zero = self.bits(0);
        let below = self.compare_ints(CompareOp::Lt, x, zero);
        let value = self.combine(vector::BinaryOp::Xor, x, below);
        let value = self.combine(vector::BinaryOp::ShiftRight, value, amount);
        Some(self.combine(vector::BinaryOp::Xor, value, below))
    }

    /// Whether integers of a type fill lanes, without a sign.
    fn fills_unsigned(&self, dtype: DType) -> bool {
        dtype.is_int() && !dtype.is_signed_int() && self.fills(dtype)
    }

    /// Integers that are ordered as signed ones as those of a type are.
    pub(super) fn ordered(&mut self, dtype: DType, x: Node) -> Node {
        if !self.fills_unsigned(dtype) {
            return x;
        }
        let sign = self.push(Operation::Constant(self.width().sign()));
        self.combine(vector::BinaryOp::Xor, x, sign)
    }

    /// A comparison of signed integers, as a mask.
    pub(super) fn compare_ints(&mut self, op: CompareOp, x: Node, y: Node) -> Node {
        let (op, x, y, negated) = match op {
            CompareOp::Eq => (vector::BinaryOp::IntEq, x, y, false),
            CompareOp::Ne => (vector::BinaryOp::IntEq, x, y, true),
            CompareOp::Gt => (vector::BinaryOp::IntGt, x, y, false),
            CompareOp::Le => (vector::BinaryOp::IntGt, x, y, true),
            CompareOp::Lt => (vector::BinaryOp::IntGt, y, x, false),
            CompareOp::Ge => (vector::BinaryOp::IntGt, y, x, true),
        };
        let mask = self.push(Operation::Binary(op, x, y));
        if negated { self.not(mask) } else { mask }
    }
}
