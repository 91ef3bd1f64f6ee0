//! Operations on integers in vector expressions: they wrap as their type does, and unsigned ones that fill lanes are
//! compared with another sign bit.

use orogen_ir::loops::{BinaryOp, CompareOp, UnaryOp};
use orogen_ir::types::DType;

use super::expression::{Node, Operation, VectorExpr};
use crate::vector::{self, ShiftOp, math::BinaryFunction};

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
        if left {
            let value = self.shift_lanes(true, dtype, x, y);
            return Some(self.wrap(dtype, value));
        }
        if !dtype.is_signed_int() {
            return Some(self.shift_lanes(false, dtype, x, y));
        }
        // What is below 0 is shifted as its complement.
        let zero = self.bits(0);
        let below = self.compare_ints(CompareOp::Lt, x, zero);
        let value = self.combine(vector::BinaryOp::Xor, x, below);
        let value = self.shift_lanes(false, dtype, value, y);
        Some(self.combine(vector::BinaryOp::Xor, value, below))
    }

    /// Lanes shifted by an amount that counts modulo the width of a type, to the right as numbers without a sign.
    fn shift_lanes(&mut self, left: bool, dtype: DType, x: Node, y: Node) -> Node {
        let bits = dtype.width();
        if self.width().has_floats() {
            let most = self.bits(i64::from(bits) - 1);
            let amount = if self.fills(dtype) { y } else { self.combine(vector::BinaryOp::And, y, most) };
            let op = if left { vector::BinaryOp::ShiftLeft } else { vector::BinaryOp::ShiftRight };
            return self.combine(op, x, amount);
        }
        // No instruction does it in narrow lanes: by each power of two whose bit is set, the highest first, all of which
        // become the sign bit in turn.
        let op = if left { ShiftOp::Left } else { ShiftOp::RightLogical };
        let steps = bits.ilog2() as u8;
        let first = self.width().bits() as u8 - steps;
        let mut chosen = self.push(Operation::Shift(ShiftOp::Left, y, first));
        let mut value = x;
        for step in (0..steps).rev() {
            let shifted = self.push(Operation::Shift(op, value, 1 << step));
            value = self.push(Operation::Blend(chosen, shifted, value));
            if step > 0 {
                chosen = self.combine(vector::BinaryOp::IntAdd, chosen, chosen);
            }
        }
        value
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
