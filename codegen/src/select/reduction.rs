//! Reductions of lanes.

use orogen_ir::loops::Combine;
use orogen_ir::types::DType;

use super::element::{Class, identity};
use super::expression::{Node, VectorExpr};
use crate::vector::{BinaryOp, Builder, Compare, ShiftOp, VReg, Width};

/// How elements become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reduction {
    pub(crate) combine: Combine,
    pub(crate) dtype: DType,
}

impl Reduction {
    /// A reduction in lanes of a width. Sums of 16-bit floats are rounded at every step, which no lanes do.
    pub(crate) fn new(combine: Combine, dtype: DType, width: Width) -> Option<Reduction> {
        Class::of(dtype, width)?;
        let exact = matches!(combine, Combine::Max | Combine::Min);
        let half = dtype.is_float() && dtype.size() == 2;
        (exact || !half).then_some(Reduction { combine, dtype })
    }

    /// In words.
    pub(crate) fn name(self) -> &'static str {
        match self.combine {
            Combine::Sum => "sum",
            Combine::Product => "product",
            Combine::Max => "max",
            Combine::Min => "min",
        }
    }

    /// The value of a reduction of nothing.
    pub(crate) fn nothing(self, width: Width) -> u64 {
        identity(self.combine, self.dtype, width).unwrap_or_default()
    }

    fn op(self) -> BinaryOp {
        let float = self.dtype.is_float();
        let unsigned = self.dtype.is_int() && !self.dtype.is_signed_int();
        match self.combine {
            Combine::Max if float => BinaryOp::Max,
            Combine::Min if float => BinaryOp::Min,
            Combine::Max if unsigned => BinaryOp::UintMax,
            Combine::Min if unsigned => BinaryOp::UintMin,
            Combine::Max => BinaryOp::IntMax,
            Combine::Min => BinaryOp::IntMin,
            // Booleans are 0 or 1.
            Combine::Sum if self.dtype == DType::Bool => BinaryOp::Or,
            Combine::Product if self.dtype == DType::Bool => BinaryOp::And,
            Combine::Sum if float => BinaryOp::Add,
            Combine::Product if float => BinaryOp::Mul,
            Combine::Sum => BinaryOp::IntAdd,
            Combine::Product => BinaryOp::IntMul,
        }
    }

    /// Whether accumulators hold ranks of floats of 16 bits ([`super::halves`]).
    fn ranks(self, width: Width) -> bool {
        self.dtype.is_float() && !width.has_floats()
    }

    /// What an expression makes of lanes.
    fn made(
        b: &mut Builder,
        lanes: [VReg; 2],
        make: impl FnOnce(&mut VectorExpr, [Node; 2]) -> Node,
    ) -> VReg {
        let mut expr = VectorExpr::of_width(b.width());
        let leaves = [0, 1].map(|it| expr.leaf(it));
        let root = make(&mut expr, leaves);
        expr.emit(b, &lanes, &[root])[0]
    }

    /// A value as accumulators hold it.
    fn ranked(self, b: &mut Builder, value: VReg) -> VReg {
        let max = self.combine == Combine::Max;
        Self::made(b, [value; 2], |expr, [value, _]| expr.ranked(max, self.dtype, value))
    }

    /// What an accumulator starts as.
    pub(crate) fn start(self, b: &mut Builder) -> VReg {
        let width = b.width();
        let start = b.splat_lane(self.nothing(width));
        if self.ranks(width) { self.ranked(b, start) } else { start }
    }

    /// The combination of an accumulator with a value.
    pub(crate) fn accumulate(self, b: &mut Builder, accumulator: VReg, value: VReg) -> VReg {
        let value = if self.ranks(b.width()) { self.ranked(b, value) } else { value };
        self.join(b, accumulator, value)
    }

    /// The combination of two accumulators.
    pub(crate) fn join(self, b: &mut Builder, x: VReg, y: VReg) -> VReg {
        if !self.ranks(b.width()) {
            return self.step(b, x, y);
        }
        let op = if self.combine == Combine::Max { BinaryOp::IntMax } else { BinaryOp::IntMin };
        b.binary(op, x, y)
    }

    /// The combination of two values.
    pub(crate) fn step(self, b: &mut Builder, x: VReg, y: VReg) -> VReg {
        match self.op() {
            op @ (BinaryOp::Max | BinaryOp::Min) if self.ranks(b.width()) => {
                let max = op == BinaryOp::Max;
                Self::made(b, [x, y], |expr, [x, y]| expr.extremum_of_halves(max, self.dtype, x, y))
            }
            BinaryOp::Max => b.max(x, y),
            BinaryOp::Min => b.min(x, y),
            op => b.binary(op, x, y),
        }
    }

    /// The reduction of the lanes of an accumulator, in every lane.
    pub(crate) fn finish(self, b: &mut Builder, accumulator: VReg) -> VReg {
        let op = self.op();
        if self.ranks(b.width()) {
            let max = op == BinaryOp::Max;
            let rank = b.reduce(if max { BinaryOp::IntMax } else { BinaryOp::IntMin }, accumulator);
            return Self::made(b, [rank; 2], |expr, [rank, _]| expr.unranked(max, self.dtype, rank));
        }
        let value = b.reduce(op, accumulator);
        if matches!(op, BinaryOp::Max | BinaryOp::Min) {
            // The extremum of lanes drops NaN.
            let (zero, one, nan) = (b.constant(0.0), b.constant(1.0), b.constant(f32::NAN));
            let bad = b.select(Compare::Unordered, accumulator, accumulator, one, zero);
            let any = b.reduce(BinaryOp::Max, bad);
            return b.select(Compare::Gt, any, zero, nan, value);
        }
        self.wrapped(b, value)
    }

    /// What lanes hold beyond a narrower type.
    pub(super) fn wrapped(self, b: &mut Builder, value: VReg) -> VReg {
        let (bits, lane) = (8 * self.dtype.size() as u32, b.width().bits());
        if bits >= lane || self.dtype == DType::Bool {
            return value;
        }
        if matches!(self.combine, Combine::Max | Combine::Min) {
            return value;
        }
        if self.dtype.is_float() {
            return b.unary(crate::vector::UnaryOp::ToSingle, value);
        }
        if !self.dtype.is_signed_int() {
            let mask = b.constant_int((1i64 << bits) - 1);
            return b.binary(BinaryOp::And, value, mask);
        }
        let by = (lane - bits) as u8;
        let upper = b.shift(ShiftOp::Left, value, by);
        b.shift(ShiftOp::RightArithmetic, upper, by)
    }
}
