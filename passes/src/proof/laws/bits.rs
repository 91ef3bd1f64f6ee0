//! Laws of floats, bit by bit.

use super::{is_rounded, is_rounding};
use crate::proof::cases::Step;
use crate::proof::normal::Normal;
use crate::proof::poly::{Atom, Fun, Poly};
use orogen_ir::loops::{BinaryOp, Combine, UnaryOp};
use orogen_ir::types::DType;
use std::rc::Rc;

impl Normal<'_> {
    pub(super) fn apply_exact(&mut self, fun: Fun, dtype: DType, args: Vec<Rc<Poly>>) -> Step<Poly> {
        let whole = |it: &Rc<Poly>| (**it).clone();
        let number = |it: &Rc<Poly>| match it.as_atom().map(|it| &**it) {
            Some(Atom::Float(bits, _)) => Some(f64::from_bits(*bits)),
            _ => None,
        };
        let is = |it: &Rc<Poly>, value: f64| number(it).is_some_and(|it| it.to_bits() == value.to_bits());
        let unary_of = |it: &Rc<Poly>, op: UnaryOp| match it.as_atom().map(|it| &**it) {
            Some(Atom::Apply(Fun::Unary(found), _, inner)) if *found == op => Some(inner[0].clone()),
            _ => None,
        };
        let product = |it: &Rc<Poly>| match it.as_atom().map(|it| &**it) {
            Some(Atom::Apply(Fun::Binary(BinaryOp::Mul), _, of)) => Some([of[0].clone(), of[1].clone()]),
            _ => None,
        };
        match (fun, &args[..]) {
            (Fun::Unary(op @ (UnaryOp::Neg | UnaryOp::Not)), [a]) if unary_of(a, op).is_some() => {
                return Ok(unary_of(a, op).map_or_else(|| whole(a), |it| (*it).clone()));
            }
            (Fun::Unary(UnaryOp::Not), [a]) => {
                if let Some(Atom::Bool(value)) = a.as_atom().map(|it| &**it) {
                    return Ok(Poly::of(a.ring, Atom::Bool(!*value)));
                }
            }
            (Fun::Unary(op), [a]) if is_rounding(op) && is_rounded(a) => return Ok(whole(a)),
            (Fun::Binary(BinaryOp::Pow), [a, b]) if is(b, 1.0) => return Ok(whole(a)),
            (Fun::Binary(BinaryOp::Max), [a, b]) if is(b, 0.0) && is_never_negative(a) => {
                return Ok(whole(a));
            }
            (Fun::Unary(UnaryOp::Abs), [a]) => {
                if is_never_negative(a) || self.is_positive_number(a) {
                    return Ok(whole(a));
                }
                if let Some([x, y]) = product(a) {
                    let x = self.apply_exact(fun, dtype, vec![x])?;
                    let y = self.apply_exact(fun, dtype, vec![y])?;
                    let args = vec![Rc::new(x), Rc::new(y)];
                    return self.apply_exact(Fun::Binary(BinaryOp::Mul), dtype, args);
                }
                if let Some(inner) = unary_of(a, UnaryOp::Neg) {
                    return self.apply_exact(fun, dtype, vec![inner]);
                }
            }
            (Fun::Binary(BinaryOp::Mul), [a, b]) if is(b, 1.0) => return Ok(whole(a)),
            (Fun::Binary(BinaryOp::Mul), [a, b]) if is(a, 1.0) => return Ok(whole(b)),
            (Fun::Binary(BinaryOp::Mul), [a, b]) if is(b, -1.0) => {
                return self.apply_exact(Fun::Unary(UnaryOp::Neg), dtype, vec![a.clone()]);
            }
            (Fun::Binary(BinaryOp::Mul), [a, b]) if is(a, -1.0) => {
                return self.apply_exact(Fun::Unary(UnaryOp::Neg), dtype, vec![b.clone()]);
            }
            (Fun::Binary(BinaryOp::Div), [a, b]) => {
                if is(b, 1.0) {
                    return Ok(whole(a));
                }
                if let Some(power) = number(b).filter(|it| is_power_of_two(*it, dtype)) {
                    let inverse = Poly::of(a.ring, Atom::Float((1.0 / power).to_bits(), dtype));
                    let args = vec![a.clone(), Rc::new(inverse)];
                    return self.apply_exact(Fun::Binary(BinaryOp::Mul), dtype, args);
                }
            }
            (Fun::Binary(BinaryOp::Add), [a, b]) if is(b, -0.0) => return Ok(whole(a)),
            (Fun::Binary(BinaryOp::Add), [a, b]) if is(a, -0.0) => return Ok(whole(b)),
            // x + x = 2·x.
            (Fun::Binary(BinaryOp::Add), [a, b]) if self.same(a, b) => {
                let two = Poly::of(a.ring, Atom::Float(2.0f64.to_bits(), dtype));
                let args = vec![a.clone(), Rc::new(two)];
                return self.apply_exact(Fun::Binary(BinaryOp::Mul), dtype, args);
            }
            // a − b = a + (−b).
            (Fun::Binary(BinaryOp::Sub), [a, b]) => {
                let minus = match number(b) {
                    Some(value) => Poly::of(b.ring, Atom::Float((-value).to_bits(), dtype)),
                    None => self.apply_exact(Fun::Unary(UnaryOp::Neg), dtype, vec![b.clone()])?,
                };
                let args = vec![a.clone(), Rc::new(minus)];
                return self.apply_exact(Fun::Binary(BinaryOp::Add), dtype, args);
            }
            (Fun::Unary(UnaryOp::Reciprocal), [a]) => {
                let one = Poly::of(a.ring, Atom::Float(1.0f64.to_bits(), dtype));
                let args = vec![Rc::new(one), a.clone()];
                return self.apply_exact(Fun::Binary(BinaryOp::Div), dtype, args);
            }
            // The larger of the same two, and of one of them again.
            (Fun::Binary(op @ (BinaryOp::Max | BinaryOp::Min)), [a, b]) => {
                if self.same(a, b) {
                    return Ok(whole(a));
                }
                if let Some(Atom::Apply(Fun::Binary(inner), _, of)) = a.as_atom().map(|it| (**it).clone())
                    && inner == op
                    && self.same(&of[1], b)
                {
                    return Ok(whole(a));
                }
            }
            _ => {}
        }
        if let Some(found) = self.of_quantised(fun, dtype, &args)? {
            return Ok(found);
        }
        // The larger of a·s and 0 is s times that of a and 0, for positive s: rounding keeps the order, and 0 is 0.
        if let (Fun::Binary(BinaryOp::Max), [a, zero]) = (fun, &args[..])
            && is(zero, 0.0)
            && let Some([x, y]) = product(a)
        {
            for (x, s) in [(&x, &y), (&y, &x)] {
                if self.is_positive_number(s) {
                    let larger = self.apply_exact(fun, dtype, vec![x.clone(), zero.clone()])?;
                    let args = vec![Rc::new(larger), s.clone()];
                    return self.apply_exact(Fun::Binary(BinaryOp::Mul), dtype, args);
                }
            }
        }
        // −a · b = −(a · b), and so for quotients.
        if let (Fun::Binary(BinaryOp::Mul | BinaryOp::Div), [a, b]) = (fun, &args[..]) {
            let (x, y) = (unary_of(a, UnaryOp::Neg), unary_of(b, UnaryOp::Neg));
            if x.is_some() || y.is_some() {
                let minus = x.is_some() != y.is_some();
                let args = vec![x.unwrap_or_else(|| a.clone()), y.unwrap_or_else(|| b.clone())];
                let value = self.apply_exact(fun, dtype, args)?;
                return match minus {
                    true => self.apply_exact(Fun::Unary(UnaryOp::Neg), dtype, vec![Rc::new(value)]),
                    false => Ok(value),
                };
            }
        }
        Ok(self.opaque(fun, dtype, args))
    }
}

/// Whether a float is NaN or at least +0, bit by bit: it is never −0.
fn is_never_negative(a: &Poly) -> bool {
    let all = |list: &[Rc<Poly>]| list.iter().all(|it| is_never_negative(it));
    match a.as_atom().map(|it| &**it) {
        Some(Atom::Float(bits, _)) => !f64::from_bits(*bits).is_sign_negative(),
        Some(Atom::Apply(Fun::Unary(op), dtype, _)) if dtype.is_float() => {
            matches!(op, UnaryOp::Exp | UnaryOp::Sigmoid | UnaryOp::Abs | UnaryOp::Cosh)
        }
        Some(Atom::Apply(Fun::Binary(BinaryOp::Add | BinaryOp::Mul | BinaryOp::Div), _, args)) => all(args),
        Some(Atom::Apply(Fun::Cast(to), from, args)) => to.is_float() && from.is_float() && all(args),
        Some(Atom::Reduce(Combine::Sum | Combine::Product, _, value)) => is_never_negative(value),
        _ => false,
    }
}

/// Whether both the number and its inverse are exact in a type and normal.
fn is_power_of_two(value: f64, dtype: DType) -> bool {
    let exact = |it: f64| dtype.round(it) == it && it != 0.0;
    let size = value.abs();
    value.is_finite()
        && size.log2().fract() == 0.0
        && (1e-4..=1e4).contains(&size)
        && exact(size)
        && exact(1.0 / size)
}
