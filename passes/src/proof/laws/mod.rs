//! Laws of scalar functions, by ring; the list with their conditions is in the module documentation.

mod bits;
mod integers;
mod quantised;
mod real;

pub(super) use quantised::Scaled;

use super::cases::Step;
use super::normal::Normal;
use super::poly::{Atom, Fun, Item, Poly, Ring};
use orogen_ir::loops::{BinaryOp, CompareOp, UnaryOp};
use orogen_ir::types::DType;
use std::rc::Rc;

/// The largest exponent of a power that is multiplied out.
const MAX_EXPONENT: i128 = 8;

impl Normal<'_> {
    /// A function of values that are no choices by indices.
    pub(super) fn apply_plain(&mut self, fun: Fun, dtype: DType, args: Vec<Rc<Poly>>) -> Step<Poly> {
        if let (Fun::Compare(op @ (CompareOp::Gt | CompareOp::Ge)), [a, b]) = (fun, &args[..]) {
            let op = if op == CompareOp::Gt { CompareOp::Lt } else { CompareOp::Le };
            return self.apply_plain(Fun::Compare(op), dtype, vec![b.clone(), a.clone()]);
        }
        if let (Fun::Select, [cond, a, b]) = (fun, &args[..]) {
            return self.select(dtype, cond, a, b);
        }
        if let Some(chosen) = self.over_choice(fun, dtype, &args)? {
            return Ok(chosen);
        }
        let ring = args.last().map_or(Ring::Exact(dtype), |it| it.ring);
        if let (Fun::Binary(op @ (BinaryOp::Max | BinaryOp::Min | BinaryOp::And | BinaryOp::Or)), [a, b]) =
            (fun, &args[..])
            && let Some(max) = lattice(op, ring)
        {
            let item = |value: &Rc<Poly>| Item { axes: Vec::new(), guards: Vec::new(), value: value.clone() };
            return self.extreme(max, ring, vec![item(a), item(b)]);
        }
        match ring {
            Ring::Real => self.apply_real(fun, args),
            Ring::Int(_) => self.apply_int(fun, dtype, ring, args),
            Ring::Exact(_) => self.apply_exact(fun, dtype, args),
        }
    }

    /// `f(select(c, a, b)) = select(c, f(a), f(b))`.
    fn over_choice(&mut self, fun: Fun, dtype: DType, args: &[Rc<Poly>]) -> Step<Option<Poly>> {
        for (at, arg) in args.iter().enumerate() {
            let Some(Atom::Apply(Fun::Select, _, choice)) = arg.as_atom().map(|it| (**it).clone()) else {
                continue;
            };
            let mut sides = Vec::new();
            for side in [&choice[1], &choice[2]] {
                let mut args = args.to_vec();
                args[at] = side.clone();
                sides.push(Rc::new(self.apply_plain(fun, dtype, args)?));
            }
            let result = match fun {
                Fun::Cast(to) => to,
                Fun::Compare(_) => DType::Bool,
                Fun::Unary(op) => op.result(dtype),
                Fun::Binary(_) | Fun::Select => dtype,
            };
            return self.select(result, &choice[0], &sides[0], &sides[1]).map(Some);
        }
        Ok(None)
    }

    /// What a choice by the same condition inside of one is.
    fn chosen(&mut self, cond: &Poly, of: &Rc<Poly>, side: usize) -> Rc<Poly> {
        match of.as_atom().map(|it| (**it).clone()) {
            Some(Atom::Apply(Fun::Select, _, inner)) if self.same(&inner[0], cond) => inner[side].clone(),
            _ => of.clone(),
        }
    }

    /// The ring of a function's result.
    fn result_ring(&self, fun: Fun, dtype: DType, ring: Ring) -> Ring {
        match fun {
            Fun::Compare(_) => Ring::Exact(DType::Bool),
            Fun::Unary(op) if op.is_test() => Ring::Exact(DType::Bool),
            Fun::Cast(to) => self.ring(to),
            _ if ring == Ring::Real => ring,
            _ => self.ring(dtype),
        }
    }

    fn opaque(&self, fun: Fun, dtype: DType, args: Vec<Rc<Poly>>) -> Poly {
        let ring = args.first().map_or(Ring::Exact(dtype), |it| it.ring);
        // Over the reals the types of operands do not matter.
        let of = if ring == Ring::Real { DType::F64 } else { dtype };
        Poly::of(self.result_ring(fun, dtype, ring), Atom::Apply(fun, of, args))
    }

    fn select(&mut self, dtype: DType, cond: &Rc<Poly>, a: &Rc<Poly>, b: &Rc<Poly>) -> Step<Poly> {
        match cond.as_atom().map(|it| &**it) {
            Some(Atom::Bool(true)) => return Ok((**a).clone()),
            Some(Atom::Bool(false)) => return Ok((**b).clone()),
            Some(Atom::Apply(Fun::Unary(UnaryOp::Not), _, inner)) => {
                let inner = inner[0].clone();
                return self.select(dtype, &inner, b, a);
            }
            _ => {}
        }
        let (a, b) = (&self.chosen(cond, a, 1), &self.chosen(cond, b, 2));
        if self.same(a, b) {
            return Ok((**a).clone());
        }
        if a.ring == Ring::Real {
            return self.choice(cond, a, b);
        }
        let args = vec![cond.clone(), a.clone(), b.clone()];
        Ok(Poly::of(a.ring, Atom::Apply(Fun::Select, dtype, args)))
    }
}

/// Whether a value is that of a function of one operand.
fn is_of(a: &Poly, op: UnaryOp) -> bool {
    matches!(a.as_atom().map(|it| &**it), Some(Atom::Apply(Fun::Unary(found), _, _)) if *found == op)
}

fn is_rounding(op: UnaryOp) -> bool {
    matches!(op, UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round | UnaryOp::Trunc)
}

/// Whether a value is one of a rounding function, which none of them changes.
fn is_rounded(a: &Poly) -> bool {
    matches!(a.as_atom().map(|it| &**it), Some(Atom::Apply(Fun::Unary(op), _, _)) if is_rounding(*op))
}

/// Whether a function of two operands is the greatest or least of them whatever their order: not of floats bit by bit,
/// for the signs of zeros.
fn lattice(op: BinaryOp, ring: Ring) -> Option<bool> {
    match (op, ring) {
        (BinaryOp::Max, Ring::Real | Ring::Int(_) | Ring::Exact(DType::Bool)) => Some(true),
        (BinaryOp::Min, Ring::Real | Ring::Int(_) | Ring::Exact(DType::Bool)) => Some(false),
        (BinaryOp::Or, Ring::Exact(DType::Bool)) => Some(true),
        (BinaryOp::And, Ring::Exact(DType::Bool)) => Some(false),
        _ => None,
    }
}
