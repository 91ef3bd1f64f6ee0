//! Laws of integers that wrap.

use super::{MAX_EXPONENT, is_of};
use crate::proof::cases::Step;
use crate::proof::normal::Normal;
use crate::proof::poly::{Atom, Fun, Poly, Ring};
use crate::proof::ratio::Ratio;
use orogen_ir::loops::{BinaryOp, CompareOp, UnaryOp};
use orogen_ir::types::DType;
use std::rc::Rc;

impl Normal<'_> {
    pub(super) fn apply_int(
        &mut self,
        fun: Fun,
        dtype: DType,
        ring: Ring,
        args: Vec<Rc<Poly>>,
    ) -> Step<Poly> {
        let constants: Option<Vec<i64>> =
            args.iter().map(|it| i64::try_from(it.as_constant()?.numerator).ok()).collect();
        let value = match (fun, constants.as_deref()) {
            (Fun::Unary(op), Some([a])) => Some(op.row().meaning.int(*a, dtype)),
            (Fun::Binary(op), Some([a, b])) => Some(op.row().meaning.int(*a, *b, dtype)),
            (Fun::Compare(op), Some([a, b])) => {
                let holds = op.holds(Some(CompareOp::order(*a, *b, dtype)));
                return Ok(Poly::of(Ring::Exact(DType::Bool), Atom::Bool(holds)));
            }
            _ => None,
        };
        if let Some(value) = value {
            return Ok(Poly::constant(ring, Ratio::int(dtype.wrap(value).into()).wrapped(dtype)?));
        }
        match (fun, &args[..]) {
            (Fun::Binary(BinaryOp::And | BinaryOp::Or), [a, b]) if self.same(a, b) => Ok((**a).clone()),
            (Fun::Binary(BinaryOp::Xor), [a, b]) if self.same(a, b) => Ok(Poly::zero(ring)),
            (Fun::Unary(UnaryOp::Abs), [a]) if !dtype.is_signed_int() || is_of(a, UnaryOp::Abs) => {
                Ok((**a).clone())
            }
            (Fun::Binary(BinaryOp::Div), [a, b]) if b.as_constant() == Some(Ratio::ONE) => Ok((**a).clone()),
            (Fun::Binary(BinaryOp::Pow), [a, b])
                if b.as_constant().is_some_and(|it| (0..=MAX_EXPONENT).contains(&it.numerator)) =>
            {
                let times = b.as_constant().map_or(0, |it| it.numerator);
                self.power(a, u32::try_from(times).unwrap_or(0))
            }
            (Fun::Unary(UnaryOp::BitNot), [a]) => {
                let minus = self.scale(a, Ratio::int(-1))?;
                self.sub(&minus, &Poly::constant(ring, Ratio::ONE))
            }
            _ => Ok(self.opaque(fun, dtype, args)),
        }
    }
}
