//! Conversions between element types, in vector expressions. Floats saturate to integers, NaN to 0; integers wrap.

use orogen_ir::loops::{CompareOp, UnaryOp as Function};
use orogen_ir::types::DType;

use super::element::{Class, lane_of};
use super::expression::{Node, Operation, VectorExpr, Wide};
use crate::kernels::element::Element;
use crate::vector::{BinaryOp, Compare, ShiftOp, UnaryOp, Width};

impl VectorExpr {
    /// A number of a type.
    pub(super) fn number(&mut self, dtype: DType, value: f64) -> Option<Node> {
        let lane = lane_of(dtype, self.width(), value)?;
        Some(self.push(Operation::Constant(lane)))
    }

    pub(super) fn not(&mut self, mask: Node) -> Node {
        let ones = self.bits(-1);
        self.combine(BinaryOp::Xor, mask, ones)
    }

    /// The mask of the integer lanes that are not 0.
    pub(super) fn not_zero(&mut self, x: Node) -> Node {
        let zero = self.bits(0);
        self.compare_ints(CompareOp::Ne, x, zero)
    }

    fn compare(&mut self, op: Compare, x: Node, y: Node) -> Node {
        self.push(Operation::Compare(op, x, y))
    }

    fn blend(&mut self, mask: Node, yes: Node, no: Node) -> Node {
        self.push(Operation::Blend(mask, yes, no))
    }

    /// Whether integers of a type fill lanes.
    pub(super) fn fills(&self, dtype: DType) -> bool {
        dtype.width() == self.width().bits()
    }

    /// A value as a lane of another type.
    pub(super) fn cast(&mut self, from: DType, to: DType, x: Node) -> Option<Node> {
        if from == to {
            return Some(x);
        }
        let width = self.width();
        Some(match (Class::of(from, width)?, Class::of(to, width)?) {
            (Class::Float, Class::Float) => {
                let odd = from == DType::F64 && to == DType::F16;
                let x = if odd { self.single_to_odd(x) } else { x };
                self.rounded(to, x)
            }
            (Class::Int, Class::Float) => {
                // What f32 does not hold would be rounded twice.
                if width == Width::W32 && to.is_rounded_twice(from, DType::F32.digits()) {
                    return None;
                }
                let value = self.int_to_float(from, to, x);
                self.rounded(to, value)
            }
            // A condition as a number, and back.
            (Class::Mask, Class::Float) => {
                let one = self.constant(1.0);
                self.combine(BinaryOp::And, x, one)
            }
            (Class::Mask, Class::Int) => {
                let one = self.bits(1);
                self.combine(BinaryOp::And, x, one)
            }
            (Class::Float, Class::Mask) => {
                let zero = self.constant(0.0);
                self.compare(Compare::Ne, x, zero)
            }
            (Class::Int, Class::Mask) => self.not_zero(x),
            (Class::Mask, Class::Half) => {
                let one = self.number(to, 1.0)?;
                self.combine(BinaryOp::And, x, one)
            }
            (Class::Half, Class::Mask) => self.not_zero_halves(x),
            // Not without rounding.
            (Class::Half, _) | (_, Class::Half) => return None,
            (Class::Float, Class::Int) if self.fills(to) && !to.is_signed_int() => self.float_to_unsigned(x),
            (Class::Float, Class::Int) if self.fills(to) => self.push(match width {
                Width::W64 => Operation::Wide(Wide::ToInt, x, x),
                _ => Operation::ToInt(x),
            }),
            (Class::Float, Class::Int) => self.float_to_narrow(to, x)?,
            (Class::Int, Class::Int) => {
                let holds = from.width() < to.width() && (to.is_signed_int() || !from.is_signed_int());
                if holds { x } else { self.wrap(to, x) }
            }
            (Class::Mask, Class::Mask) => x,
        })
    }

    /// Integers as floats of the width, rounded once if they are then rounded to `to`.
    fn int_to_float(&mut self, from: DType, to: DType, x: Node) -> Node {
        let twice = to.is_rounded_twice(from, DType::F64.digits());
        if let Operation::Constant(lane) = self.operations[x] {
            let value = (lane << (64 - self.width().bits())).cast_signed() >> (64 - self.width().bits());
            if value.unsigned_abs() < 1 << 24 && (value >= 0 || from.is_signed_int()) {
                return self.constant(value as f64);
            }
        }
        if self.width() == Width::W64 && !self.fills(from) {
            return self.push(Operation::Unary(UnaryOp::FromSmallInt, x));
        }
        if twice {
            return self.push(Operation::Wide(Wide::FromInt(from, to), x, x));
        }
        self.any_int_to_float(from, to, x)
    }

    /// The same of any integers.
    pub(super) fn any_int_to_float(&mut self, from: DType, to: DType, x: Node) -> Node {
        let half = self.width().bits() as u8 / 2;
        let twice = to.is_rounded_twice(from, DType::F64.digits());
        if !self.fills(from) || from.is_signed_int() {
            let x = if twice { self.double_to_odd(from, x) } else { x };
            return self.push(Operation::FromInt(x));
        }
        let x = if twice { self.double_to_odd(from, x) } else { x };
        // The halves, each of them exact, and one rounding of their sum.
        let high = self.push(Operation::Shift(ShiftOp::RightLogical, x, half));
        let mask = self.bits((1 << half) - 1);
        let low = self.combine(BinaryOp::And, x, mask);
        let [high, low] = [high, low].map(|it| self.push(Operation::FromInt(it)));
        let scale = self.constant(2f64.powi(half.into()));
        let high = self.combine(BinaryOp::Mul, high, scale);
        self.combine(BinaryOp::Add, high, low)
    }

    /// 64-bit integers beyond ±2⁵³ with zeros in their lowest 11 bits, but for the last of the others, which says
    /// whether there were any: an `f64` holds them, and rounding that to an `f32` is as if once.
    fn double_to_odd(&mut self, from: DType, x: Node) -> Node {
        // In ±2⁵³ everything is exact: the upper bits are those of the sign there.
        let middle = match from.is_signed_int() {
            true => {
                let by = self.bits(1 << 53);
                self.combine(BinaryOp::IntAdd, x, by)
            }
            false => x,
        };
        let beyond = if from.is_signed_int() { 54 } else { 53 };
        let high = self.push(Operation::Shift(ShiftOp::RightLogical, middle, beyond));
        let (zero, low) = (self.bits(0), self.bits(0x7FF));
        let exact = self.combine(BinaryOp::IntEq, high, zero);
        let lost = self.combine(BinaryOp::AndNot, exact, low);
        self.sticky(x, lost)
    }

    /// Bits without the lowest ones that are set in `lost`; the one above them says whether there were any.
    fn sticky(&mut self, x: Node, lost: Node) -> Node {
        // With as many ones, the lost bits carry into that one unless all are zeros.
        let cut = self.combine(BinaryOp::And, x, lost);
        let carried = self.combine(BinaryOp::IntAdd, cut, lost);
        let odd = self.combine(BinaryOp::Or, x, carried);
        self.combine(BinaryOp::AndNot, lost, odd)
    }

    /// An `f64` of as many digits as an `f32` has, the last of them odd if there were more; for types of fewer digits
    /// and a narrower range.
    fn single_to_odd(&mut self, x: Node) -> Node {
        let lost = self.bits((1 << 29) - 1);
        self.sticky(x, lost)
    }

    /// Floats as unsigned integers that fill lanes: those from half of the range on are less it.
    fn float_to_unsigned(&mut self, x: Node) -> Node {
        let half = 2f64.powi(self.width().bits() as i32 - 1);
        let (zero, middle, end) = (self.constant(0.0), self.constant(half), self.constant(2.0 * half));
        let upper = self.compare(Compare::Ge, x, middle);
        let less = self.combine(BinaryOp::Sub, x, middle);
        let value = self.blend(upper, less, x);
        let value = self.push(Operation::Unary(UnaryOp::ToInt, value));
        let sign = self.push(Operation::Constant(self.width().sign()));
        let sign = self.combine(BinaryOp::And, upper, sign);
        let value = self.combine(BinaryOp::Xor, value, sign);
        let beyond = self.compare(Compare::Ge, x, end);
        let value = self.combine(BinaryOp::Or, value, beyond);
        let positive = self.compare(Compare::Gt, x, zero);
        self.combine(BinaryOp::And, value, positive)
    }

    /// A float of the width rounded to what a float type holds.
    fn rounded(&mut self, to: DType, x: Node) -> Node {
        match to {
            DType::F16 => self.push(Operation::Unary(UnaryOp::ToHalf, x)),
            _ if to.is_float() && to.size() < 4 => self.push(Operation::Rounded(to, x)),
            _ => self.rounded_to_single(to, x),
        }
    }

    /// What narrower floats than lanes are computed as is an `f32`.
    pub(super) fn rounded_to_single(&mut self, dtype: DType, x: Node) -> Node {
        if self.width() == Width::W64 && dtype.is_float() && dtype != DType::F64 {
            return self.push(Operation::Unary(UnaryOp::ToSingle, x));
        }
        x
    }

    /// An integer lane as the integer that its low bits are in a type.
    pub(super) fn wrap(&mut self, to: DType, x: Node) -> Node {
        let (bits, lane) = (to.width(), self.width().bits());
        if bits >= lane {
            return x;
        }
        if !to.is_signed_int() {
            let mask = self.bits((1 << bits) - 1);
            return self.combine(BinaryOp::And, x, mask);
        }
        if self.width() == Width::W64 {
            // Not all instruction sets shift signs: unsigned, less what the sign bit was taken for.
            let [mask, sign] = [(1 << bits) - 1, 1 << (bits - 1)].map(|it| self.bits(it));
            let low = self.combine(BinaryOp::And, x, mask);
            let turned = self.combine(BinaryOp::Xor, low, sign);
            return self.combine(BinaryOp::IntSub, turned, sign);
        }
        let by = (lane - bits) as u8;
        let upper = self.push(Operation::Shift(ShiftOp::Left, x, by));
        self.push(Operation::Shift(ShiftOp::RightArithmetic, upper, by))
    }

    /// What an element keeps the low bits of anyway, not wrapped before.
    pub(super) fn unwrapped(&self, element: Element, x: Node) -> Node {
        let (bits, lane) = (8 * element.bytes() as u32, self.width().bits());
        if !element.is_integer() || bits >= lane {
            return x;
        }
        let low = (1 << bits) - 1;
        match self.operations[x] {
            Operation::Binary(BinaryOp::And, value, mask) if self.as_constant(mask) == Some(low) => value,
            Operation::Shift(ShiftOp::RightArithmetic, upper, by) if u32::from(by) == lane - bits => {
                match self.operations[upper] {
                    Operation::Shift(ShiftOp::Left, value, back) if back == by => value,
                    _ => x,
                }
            }
            // In lanes of 64 bits the sign is turned and taken away.
            Operation::Binary(BinaryOp::IntSub, turned, sign)
                if self.as_constant(sign) == Some(1 << (bits - 1)) =>
            {
                match self.operations[turned] {
                    Operation::Binary(BinaryOp::Xor, value, other) if other == sign => {
                        self.unwrapped_low(value, low)
                    }
                    _ => x,
                }
            }
            _ => x,
        }
    }

    /// The operand of which a node keeps so many low bits.
    fn unwrapped_low(&self, x: Node, low: u64) -> Node {
        match self.operations[x] {
            Operation::Binary(BinaryOp::And, value, mask) if self.as_constant(mask) == Some(low) => value,
            _ => x,
        }
    }

    /// Floats as integers narrower than lanes.
    fn float_to_narrow(&mut self, to: DType, x: Node) -> Option<Node> {
        let Some((number, zero)) = self.nearest(x).filter(|_| to.size() <= 2) else {
            let value = self.saturated(to, x, 0.0)?;
            let to = if self.width() == Width::W64 { UnaryOp::ToSmallInt } else { UnaryOp::ToInt };
            return Some(self.push(Operation::Unary(to, value)));
        };
        // The last digit of what is added is 1, so that the sum is rounded to an integer, ties to even, and the lower bits
        // are that integer.
        let anchor = 1.5 * 2f32.powi(23);
        let value = self.saturated(to, number, zero)?;
        let by = self.constant(anchor.into());
        let sum = self.combine(BinaryOp::Add, value, by);
        let bits = self.bits(i64::from(anchor.to_bits()) - zero as i64);
        Some(self.combine(BinaryOp::IntSub, sum, bits))
    }

    /// The number and the integer of `round(number) + integer`, in lanes of `f32`.
    fn nearest(&self, x: Node) -> Option<(Node, f64)> {
        let rounded = |node: Node| match self.operations[node] {
            Operation::Function(Function::Round, number) => Some(number),
            _ => None,
        };
        let found = match self.operations[x] {
            Operation::Binary(BinaryOp::Add, sum, other) => {
                let Operation::Constant(lane) = self.operations[other] else { return None };
                (rounded(sum)?, f64::from(f32::from_bits(lane as u32)))
            }
            _ => (rounded(x)?, 0.0),
        };
        (self.width() == Width::W32 && found.1.fract() == 0.0 && found.1.abs() < 65536.0).then_some(found)
    }

    /// A float less `zero`, an integer, saturated to what an integer type holds, less it too; NaN is 0.
    fn saturated(&mut self, to: DType, x: Node, zero: f64) -> Option<Node> {
        let bits = to.width() as i32;
        if !to.is_int() {
            return None;
        }
        let (least, most) = match to.is_signed_int() {
            true => (-(2f64.powi(bits - 1)), 2f64.powi(bits - 1) - 1.0),
            false => (0.0, 2f64.powi(bits) - 1.0),
        };
        // The greatest integers of wide types are no `f32`; the nearest `f32` is what they become.
        let (low, high) = (self.constant(least - zero), self.constant(most - zero));
        let mut value = x;
        if least < 0.0 && zero == 0.0 {
            let number = self.compare(Compare::Eq, x, x);
            value = self.combine(BinaryOp::And, x, number);
        } else if least < 0.0 {
            let (nan, zero) = (self.compare(Compare::Unordered, x, x), self.constant(-zero));
            value = self.blend(nan, zero, x);
        }
        // The second operand stands for NaN, and for a negative zero where `low` is 0.
        value = self.combine(BinaryOp::Max, value, low);
        Some(self.combine(BinaryOp::Min, value, high))
    }

    /// What a cast to an integer type and back makes of a value: saturated, NaN 0, no negative zero.
    pub(super) fn through_integer(&mut self, to: DType, x: Node) -> Option<Node> {
        let value = self.saturated(to, x, 0.0)?;
        let value = self.push(Operation::Function(Function::Trunc, value));
        if !to.is_signed_int() {
            return Some(value);
        }
        let zero = self.constant(0.0);
        Some(self.combine(BinaryOp::Add, value, zero))
    }
}
