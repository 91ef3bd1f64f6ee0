//! Operations on 64-bit integers that take few instructions where those of all lanes are small, as sizes and places are. What
//! a vector holds decides; other vectors take the long way.
//!
//! * **W1** Small integers have magnitudes below 2⁵¹. An `f64` holds them, and the quotient of two, rounded to one, does
//!   not reach the next whole number: that is further away than half a unit in the last place.

use orogen_ir::types::DType;

use super::expression::{Node, Operation, VectorExpr, Wide};
use crate::vector::{BinaryOp, Builder, Compare, IntCompare, UnaryOp, VReg, Width};

impl Wide {
    /// Appends its code; `y` counts where there are two operands.
    pub(super) fn emit(self, b: &mut Builder, x: VReg, y: VReg) -> VReg {
        let large = match self {
            Wide::Divide(_, dtype) => {
                let [x, y] = [x, y].map(|it| beyond(b, dtype, it));
                b.binary(BinaryOp::Or, x, y)
            }
            Wide::FromInt(dtype, _) => beyond(b, dtype, x),
            Wide::ToInt => {
                let (size, limit, ones) =
                    (b.unary(UnaryOp::Abs, x), b.constant(2f64.powi(51)), b.constant_int(-1));
                let small = b.compare(Compare::Lt, size, limit);
                b.binary(BinaryOp::Xor, small, ones)
            }
        };
        let any = b.sign_bits(large);
        let result = b.vector();
        let way = |small: bool| {
            move |b: &mut Builder| {
                let (expr, root) = self.way(small);
                let value = expr.emit(b, &[x, y], &[root])[0];
                b.assign(result, value);
            }
        };
        b.when_else(IntCompare::Eq, any, 0, way(true), way(false));
        result
    }
}

impl Wide {
    /// The expression over one or two leaves that is for small integers, or for all.
    fn way(self, small: bool) -> (VectorExpr, Node) {
        let mut expr = VectorExpr::of_width(Width::W64);
        let [x, y] = [0, 1].map(|it| expr.leaf(it));
        let root = match (self, small) {
            (Wide::Divide(op, dtype), true) => expr.divide_exactly(op, dtype, x, y),
            (Wide::Divide(op, dtype), false) if dtype.is_signed_int() => expr.divide_wide(op, x, y),
            (Wide::Divide(op, _), false) => expr.divide_wide_unsigned(op, x, y),
            (Wide::FromInt(..), true) => expr.push(Operation::Unary(UnaryOp::FromSmallInt, x)),
            (Wide::FromInt(from, to), false) => expr.any_int_to_float(from, to, x),
            (Wide::ToInt, true) => expr.push(Operation::Unary(UnaryOp::ToSmallInt, x)),
            (Wide::ToInt, false) => expr.push(Operation::ToInt(x)),
        };
        (expr, root)
    }
}

/// The sign bit of lanes whose integers are not small (law W1).
fn beyond(b: &mut Builder, dtype: DType, x: VReg) -> VReg {
    let most = b.constant_int((1i64 << 51) - 1);
    let above = b.binary(BinaryOp::IntSub, most, x);
    // Without a sign, what is above the half of the range has the bit itself.
    let below = if dtype.is_signed_int() { b.binary(BinaryOp::IntAdd, most, x) } else { x };
    b.binary(BinaryOp::Or, above, below)
}
