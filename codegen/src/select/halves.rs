//! Floats of 16 bits in lanes of 16 bits, as their bits: what rounds nothing is done by integer instructions, on twice as
//! many elements as lanes of floats hold, and converts nothing.
//!
//! * **F1** Turned, where a number below 0 has its magnitude complemented, the bits of numbers are integers in their
//!   order, −0 just below 0. Turning twice gives what there was.
//! * **F2** NaN are the integers at both ends, up to [`gap`] from the last. So many less, and those of the lower end
//!   wrap to the upper one: all NaN are above all numbers. So many more, and all are below.
//! * **F3** Numbers whose sign is that of their magnitude are the same, but that both zeros are 0, that there are NaN at
//!   both ends in like number, and that the least integer is none.

use orogen_ir::loops::{BinaryOp as Function, CompareOp, UnaryOp};
use orogen_ir::types::DType;

use super::expression::{Node, Operation, VectorExpr};
use crate::vector::BinaryOp::{And, AndNot, IntAdd, IntEq, IntGt, IntMax, IntMin, IntSub, Xor};
use crate::vector::ShiftOp;

/// All bits but that of the sign.
const MAGNITUDE: i64 = 0x7FFF;

/// The bits of the infinity of a type.
fn infinity(dtype: DType) -> i64 {
    dtype.float_bits(f64::INFINITY).cast_signed()
}

/// How many bit patterns of one sign are NaN (law F2).
fn gap(dtype: DType) -> i64 {
    MAGNITUDE - infinity(dtype)
}

impl VectorExpr {
    /// A function that rounds nothing, of a float or a test of it.
    pub(super) fn unary_halves(&mut self, op: UnaryOp, dtype: DType, x: Node) -> Option<Node> {
        let infinity = self.bits(infinity(dtype));
        Some(match op {
            UnaryOp::Abs => self.magnitude(x),
            UnaryOp::Neg => {
                let sign = self.bits(!MAGNITUDE);
                self.combine(Xor, x, sign)
            }
            UnaryOp::IsNan => {
                let magnitude = self.magnitude(x);
                self.combine(IntGt, magnitude, infinity)
            }
            UnaryOp::IsInf => {
                let magnitude = self.magnitude(x);
                self.combine(IntEq, magnitude, infinity)
            }
            _ => return None,
        })
    }

    /// A function of two floats that rounds nothing.
    pub(super) fn binary_halves(&mut self, op: Function, dtype: DType, x: Node, y: Node) -> Option<Node> {
        match op {
            Function::Max => Some(self.extremum_of_halves(true, dtype, x, y)),
            Function::Min => Some(self.extremum_of_halves(false, dtype, x, y)),
            _ => None,
        }
    }

    /// The larger (or smaller) float, NaN if either is (law F2).
    pub(super) fn extremum_of_halves(&mut self, max: bool, dtype: DType, x: Node, y: Node) -> Node {
        for (value, other) in [(x, y), (y, x)] {
            if max && self.as_constant(other) == Some(0) {
                // As integers, numbers below 0 are those up to the infinity of that sign; NaN are above it.
                let below = self.bits(infinity(dtype) | !MAGNITUDE);
                let kept = self.combine(IntGt, value, below);
                return self.combine(And, value, kept);
            }
        }
        let [x, y] = [x, y].map(|it| self.ranked(max, dtype, it));
        let value = self.combine(if max { IntMax } else { IntMin }, x, y);
        self.unranked(max, dtype, value)
    }

    /// Integers of which the largest (or smallest) is that of the largest float, or of some NaN (law F2).
    pub(super) fn ranked(&mut self, max: bool, dtype: DType, x: Node) -> Node {
        let turned = self.turned(x);
        self.moved(turned, if max { -gap(dtype) } else { gap(dtype) })
    }

    /// The float of such an integer.
    pub(super) fn unranked(&mut self, max: bool, dtype: DType, rank: Node) -> Node {
        let turned = self.moved(rank, if max { gap(dtype) } else { -gap(dtype) });
        self.turned(turned)
    }

    /// A comparison, as a mask. A constant is no NaN.
    pub(super) fn compare_halves(&mut self, op: CompareOp, dtype: DType, x: Node, y: Node) -> Node {
        let (op, x, y) = match op {
            CompareOp::Gt => (CompareOp::Lt, y, x),
            CompareOp::Ge => (CompareOp::Le, y, x),
            op => (op, x, y),
        };
        match op {
            CompareOp::Eq => return self.equal_halves(dtype, x, y),
            CompareOp::Ne => {
                let equal = self.equal_halves(dtype, x, y);
                return self.not(equal);
            }
            _ => {}
        }
        let strict = op == CompareOp::Lt;
        if self.as_constant(x).is_some() {
            // NaN below all numbers.
            let [x, y] = [x, y].map(|it| self.signed(it, gap(dtype)));
            let x = if strict { x } else { self.moved(x, -1) };
            return self.combine(IntGt, y, x);
        }
        // NaN above all numbers, one place further, as the least integer is free (law F3).
        let above = -gap(dtype) - 1;
        let constant = self.as_constant(y).is_some();
        let [x, y] = [x, y].map(|it| self.signed(it, above));
        let most = infinity(dtype) + above;
        match (strict, constant) {
            (true, true) => self.combine(IntGt, y, x),
            (false, true) => {
                let next = self.moved(y, 1);
                self.combine(IntGt, next, x)
            }
            (true, false) => {
                let (less, most) = (self.combine(IntGt, y, x), self.bits(most));
                let no_number = self.combine(IntGt, y, most);
                self.combine(AndNot, no_number, less)
            }
            (false, false) => {
                let (greater, next) = (self.combine(IntGt, x, y), self.bits(most + 1));
                let number = self.combine(IntGt, next, y);
                self.combine(AndNot, greater, number)
            }
        }
    }

    fn equal_halves(&mut self, dtype: DType, x: Node, y: Node) -> Node {
        for (value, other) in [(x, y), (y, x)] {
            match self.as_constant(other) {
                // Either zero.
                Some(bits) if bits.cast_signed() & MAGNITUDE == 0 => {
                    let (magnitude, zero) = (self.magnitude(value), self.bits(0));
                    return self.combine(IntEq, magnitude, zero);
                }
                Some(_) => return self.combine(IntEq, value, other),
                None => {}
            }
        }
        let (magnitude, infinity) = (self.magnitude(x), self.bits(infinity(dtype)));
        let no_number = self.combine(IntGt, magnitude, infinity);
        let [x, y] = [x, y].map(|it| self.signed(it, 0));
        let equal = self.combine(IntEq, x, y);
        self.combine(AndNot, no_number, equal)
    }

    /// The mask of what is not 0; NaN is not.
    pub(super) fn not_zero_halves(&mut self, x: Node) -> Node {
        let magnitude = self.magnitude(x);
        self.not_zero(magnitude)
    }

    fn magnitude(&mut self, x: Node) -> Node {
        let mask = self.bits(MAGNITUDE);
        self.combine(And, x, mask)
    }

    /// The bits of a float turned, or turned back (law F1).
    fn turned(&mut self, x: Node) -> Node {
        if let Some(bits) = self.as_constant(x) {
            let bits = i64::from(bits as i16);
            return self.bits(bits ^ (bits >> 15 & MAGNITUDE));
        }
        if let Some((Xor, before, rest)) = self.as_binary(x)
            && let Operation::Shift(ShiftOp::RightLogical, sign, 1) = self.operations[rest]
            && self.operations[sign] == Operation::Shift(ShiftOp::RightArithmetic, before, 15)
        {
            return before;
        }
        let sign = self.push(Operation::Shift(ShiftOp::RightArithmetic, x, 15));
        let rest = self.push(Operation::Shift(ShiftOp::RightLogical, sign, 1));
        self.combine(Xor, x, rest)
    }

    /// The integer of a float's sign and magnitude (law F3), and so much more.
    fn signed(&mut self, x: Node, more: i64) -> Node {
        let turned = self.turned(x);
        if let Some(bits) = self.as_constant(turned) {
            let bits = i64::from(bits as i16);
            return self.bits(bits - (bits >> 15) + more);
        }
        let sign = self.push(Operation::Shift(ShiftOp::RightArithmetic, x, 15));
        let value = self.combine(IntSub, turned, sign);
        self.moved(value, more)
    }

    /// A sum with an integer, wrapping; what was added before is added with it.
    fn moved(&mut self, x: Node, by: i64) -> Node {
        let (of, before) = match self.as_binary(x) {
            Some((IntAdd, of, number)) if let Some(bits) = self.as_constant(number) => (of, bits as i16),
            _ => (x, 0),
        };
        let by = i64::from(before).wrapping_add(by) as i16;
        match self.as_constant(of) {
            Some(bits) => self.bits(i64::from((bits as i16).wrapping_add(by))),
            None if by == 0 => of,
            None => {
                let by = self.bits(i64::from(by));
                self.combine(IntAdd, of, by)
            }
        }
    }
}
