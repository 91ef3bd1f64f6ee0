//! Division and remainders of integers in lanes, by way of floats that hold their quotients exactly enough; those of bytes
//! are an instruction ([`UintQuot`]), of magnitudes where they have signs.
//!
//! A quotient of integers of at most half the digits of a float, rounded to that float and then toward zero, is the
//! quotient: what is between it and the next whole number is more than half a unit in the last place.
//!
//! One of 64-bit integers is off by a few thousand at most, and what is left is divided again:
//!
//! * **D1** `q₁`, the integer nearest to `x · (1 / y)` in `f64`, is less than `1 + 2⁻⁵⁰ · |x / y|` from the quotient, and where
//!   `|y|` is beyond 2⁶², it is 0, ±1 or ±2. So `r = x − q₁ · y` fits 64 bits, though the product and `q₁` may wrap (−2⁶³ / −1 among them).
//! * **D2** `q₂`, the integer nearest to `r · (1 / y)`, is small, and `r − q₂ · y` is less than `|y|` on either side of 0.
//!   Its sign says whether the quotient is one more or less.

use orogen_ir::loops::BinaryOp;
use orogen_ir::types::DType;

use super::expression::{Node, Operation, VectorExpr, Wide};
use crate::vector::BinaryOp::{
    Add, And, AndNot, Div, IntAdd, IntEq, IntGt, IntMul, IntSub, Mul, Or, Sub, UintMin, UintQuot, Xor,
};
use crate::vector::{SMALL, ShiftOp, UnaryOp, Width};

/// Whether lanes of a width divide integers of a type.
pub(super) fn divides(dtype: DType, width: Width) -> bool {
    let half = width.has_floats() && 2 * 8 * dtype.size() <= width.bits() as usize;
    let whole = matches!(width, Width::W8 | Width::W64) && 8 * dtype.size() == width.bits() as usize;
    dtype.is_int() && (half || whole)
}

impl VectorExpr {
    /// `x / y` truncated, or the remainder of the quotient that is truncated (`Fmod`) or rounded down (`Mod`); what is
    /// divided by 0 gives 0. The result has to be wrapped.
    pub(super) fn divide(&mut self, op: BinaryOp, dtype: DType, x: Node, y: Node) -> Option<Node> {
        if !divides(dtype, self.width()) {
            return None;
        }
        let wide = self.width() == Width::W64 && self.fills(dtype);
        let value = match wide {
            true => self.push(Operation::Wide(Wide::Divide(op, dtype), x, y)),
            false => self.divide_exactly(op, dtype, x, y),
        };
        // The lower half of what is no number is 0.
        if !wide && op == BinaryOp::Div {
            return Some(value);
        }
        let zero = self.bits(0);
        let by_zero = self.combine(IntEq, y, zero);
        Some(self.combine(AndNot, by_zero, value))
    }

    /// Integers of at most half the digits, or small ones (law W1 of `wide`).
    pub(super) fn divide_exactly(&mut self, op: BinaryOp, dtype: DType, x: Node, y: Node) -> Node {
        let quotient = if self.width() == Width::W8 {
            self.divide_bytes(dtype, x, y)
        } else {
            let (from, to) = match self.width() {
                Width::W64 => (UnaryOp::FromSmallInt, UnaryOp::ToSmallInt),
                _ => (UnaryOp::FromInt, UnaryOp::ToInt),
            };
            let [over, under] = [x, y].map(|it| self.push(Operation::Unary(from, it)));
            let quotient = self.combine(Div, over, under);
            self.push(Operation::Unary(to, quotient))
        };
        if op == BinaryOp::Div {
            return quotient;
        }
        let product = self.combine(IntMul, quotient, y);
        let rest = self.combine(IntSub, x, product);
        if op == BinaryOp::Fmod || !dtype.is_signed_int() {
            return rest;
        }
        // A rest of another sign than the divisor's is short of it.
        let wrong = self.opposite(rest, y);
        let missing = self.combine(And, wrong, y);
        self.combine(IntAdd, rest, missing)
    }

    /// The quotient of magnitudes, with the sign of both.
    fn divide_bytes(&mut self, dtype: DType, x: Node, y: Node) -> Node {
        if !dtype.is_signed_int() {
            return self.combine(UintQuot, x, y);
        }
        let zero = self.bits(0);
        let [over, under] = [x, y].map(|it| {
            let minus = self.combine(IntSub, zero, it);
            self.combine(UintMin, it, minus)
        });
        let quotient = self.combine(UintQuot, over, under);
        let signs = self.combine(Xor, x, y);
        let negative = self.combine(IntGt, zero, signs);
        let turned = self.combine(Xor, quotient, negative);
        self.combine(IntSub, turned, negative)
    }

    /// The mask of the lanes that are not 0 and have another sign than those of another node.
    fn opposite(&mut self, rest: Node, other: Node) -> Node {
        let zero = self.bits(0);
        let signs = self.combine(Xor, rest, other);
        let opposite = self.combine(IntGt, zero, signs);
        let exact = self.combine(IntEq, rest, zero);
        self.combine(AndNot, exact, opposite)
    }

    /// Signed integers of 64 bits (laws D1, D2).
    pub(super) fn divide_wide(&mut self, op: BinaryOp, x: Node, y: Node) -> Node {
        let [over, under] = [x, y].map(|it| self.push(Operation::Unary(UnaryOp::FromInt, it)));
        let one = self.constant(1.0);
        let inverse = self.combine(Div, one, under);
        let first = self.combine(Mul, over, inverse);
        let first = self.nearest_integer(first);
        let product = self.combine(IntMul, first, y);
        let left = self.combine(IntSub, x, product);
        let over = self.push(Operation::Unary(UnaryOp::FromInt, left));
        let second = self.combine(Mul, over, inverse);
        let second = self.nearest_small_integer(second);
        let product = self.combine(IntMul, second, y);
        let rest = self.combine(IntSub, left, product);
        // The rest of a quotient that is rounded down has the sign of the divisor, else that of what is divided.
        let sign = if op == BinaryOp::Mod { y } else { x };
        let wrong = self.opposite(rest, sign);
        // All bits where the divisor is to be added, and none where it is to be subtracted.
        let zero = self.bits(0);
        let signs = self.combine(Xor, rest, y);
        let adds = self.combine(IntGt, zero, signs);
        if op == BinaryOp::Div {
            let quotient = self.combine(IntAdd, first, second);
            let one = self.bits(1);
            let by = self.combine(Or, adds, one);
            let by = self.combine(And, by, wrong);
            return self.combine(IntAdd, quotient, by);
        }
        // Where it is to be added, −y: all its bits turned, and one more.
        let turned = self.combine(Xor, y, adds);
        let minus = self.combine(IntSub, turned, adds);
        let missing = self.combine(And, minus, wrong);
        self.combine(IntSub, rest, missing)
    }

    /// The integer nearest to an `f64` of a magnitude below 2⁵¹: the low bits of a sum.
    fn nearest_small_integer(&mut self, x: Node) -> Node {
        let (known, bits) = (self.constant(SMALL), self.bits(SMALL.to_bits().cast_signed()));
        let sum = self.combine(Add, x, known);
        self.combine(IntSub, sum, bits)
    }

    /// The integer nearest to an `f64` of a magnitude up to 2⁶³, which wraps: the multiple of 2³² nearest to it as the low
    /// bits of a sum, and what is left, which is exact.
    fn nearest_integer(&mut self, x: Node) -> Node {
        let known = self.constant(SMALL * 2f64.powi(32));
        let sum = self.combine(Add, x, known);
        let multiple = self.combine(Sub, sum, known);
        let rest = self.combine(Sub, x, multiple);
        let rest = self.nearest_small_integer(rest);
        // The lower half of the bits of what was added is 0.
        let multiple = self.push(Operation::Shift(ShiftOp::Left, sum, 32));
        self.combine(IntAdd, multiple, rest)
    }

    /// Unsigned integers of 64 bits: half of what is divided is not negative, and its quotient, doubled, is the one that is
    /// wanted or one less. By more than 2⁶³ it is 0 or 1.
    pub(super) fn divide_wide_unsigned(&mut self, op: BinaryOp, x: Node, y: Node) -> Node {
        let half = self.push(Operation::Shift(ShiftOp::RightLogical, x, 1));
        let quotient = self.divide_wide(BinaryOp::Div, half, y);
        let quotient = self.push(Operation::Shift(ShiftOp::Left, quotient, 1));
        let zero = self.bits(0);
        let large = self.combine(IntGt, zero, y);
        let quotient = self.combine(AndNot, large, quotient);
        let product = self.combine(IntMul, quotient, y);
        let rest = self.combine(IntSub, x, product);
        let [left, right] = [rest, y].map(|it| self.ordered(DType::U64, it));
        let less = self.combine(IntGt, right, left);
        if op == BinaryOp::Div {
            // A mask is −1.
            let more = self.not(less);
            return self.combine(IntSub, quotient, more);
        }
        let missing = self.combine(AndNot, less, y);
        self.combine(IntSub, rest, missing)
    }
}
