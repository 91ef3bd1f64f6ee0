//! Conversions, and what values integer sums can have.

use super::cases::Step;
use super::normal::Normal;
use super::poly::{Atom, Factor, Fun, Poly, Ring};
use super::ratio::Ratio;
use orogen_ir::types::DType;
use std::rc::Rc;

impl Normal<'_> {
    /// A value of one type as one of another.
    pub(super) fn cast(&mut self, from: DType, to: DType, value: &Rc<Poly>) -> Step<Poly> {
        self.by_cases(vec![value.clone()], &mut |cx, args| cx.cast_plain(from, to, &args[0]))
    }

    fn cast_plain(&mut self, from: DType, to: DType, value: &Rc<Poly>) -> Step<Poly> {
        let target = self.ring(to);
        let opaque = |of: DType| Poly::of(target, Atom::Apply(Fun::Cast(to), of, vec![value.clone()]));
        if from == to {
            return Ok((**value).clone());
        }
        if to == DType::Bool
            && let Some(known) = value.as_constant()
        {
            return Ok(Poly::of(target, Atom::Bool(!known.is_zero())));
        }
        match (value.ring, target) {
            // Over the reals a float is its value, whatever its type.
            (Ring::Real, Ring::Real) => Ok((**value).clone()),
            (Ring::Real, _) => Ok(opaque(DType::F64)),
            // An integer sum that does not wrap is the real sum.
            (Ring::Int(_), Ring::Real) => match self.fits(value, from) {
                true => self.over(value, target),
                false => Ok(opaque(from)),
            },
            (Ring::Int(_), Ring::Int(_)) if to.width() <= from.width() => self.narrowed_sum(value, to),
            (Ring::Int(_), Ring::Int(_)) => match self.fits(value, from) {
                true => self.over(value, target),
                false => Ok(opaque(from)),
            },
            (_, Ring::Exact(_)) if to.is_float() => self.exact_cast(from, to, value),
            (Ring::Exact(_), Ring::Int(_)) => match self.converted_back(value, to)? {
                Some(found) => Ok(found),
                None => Ok(opaque(from)),
            },
            _ => Ok(opaque(from)),
        }
    }

    /// The low bits of a sum are the sum of low bits: what was widened inside is what it was.
    pub(super) fn narrowed_sum(&mut self, value: &Poly, to: DType) -> Step<Poly> {
        let ring = Ring::Int(to);
        let mut out = Poly::zero(ring);
        for term in &value.terms {
            let widened = |atom: &Atom| match atom {
                Atom::Apply(Fun::Cast(_), from, args) if from.is_int() && from.width() >= to.width() => {
                    Some(args[0].clone())
                }
                _ => None,
            };
            let mut body = term.clone();
            body.axes.clear();
            body.coefficient = body.coefficient.wrapped(to)?;
            let is_inside = |it: &Factor| widened(&it.0).is_some() || matches!(*it.0, Atom::Extreme(..));
            let (inside, rest) = body.factors.into_iter().partition(is_inside);
            body.factors = rest;
            if body.coefficient.is_zero() {
                continue;
            }
            let mut product = Poly { ring, terms: vec![body] };
            let inside: Vec<Factor> = inside;
            for (atom, power) in inside {
                let inner = match widened(&atom) {
                    Some(it) => Some(self.narrowed_sum(&it, to)?),
                    None => self.extreme_over_ring(&atom, to)?,
                };
                let Some(inner) = inner else {
                    product = self.mul(&product, &Poly::power(ring, atom, power))?;
                    continue;
                };
                let whole = self.power(&inner, u32::try_from(power).unwrap_or(0))?;
                product = self.mul(&product, &whole)?;
            }
            let product = if term.axes.is_empty() { product } else { self.sum(&term.axes, &product)? };
            out = self.add(&out, &product)?;
        }
        Ok(out)
    }

    /// The same sum in another ring.
    fn over(&mut self, value: &Poly, ring: Ring) -> Step<Poly> {
        let mut out = Poly::zero(ring);
        for term in &value.terms {
            let mut term = term.clone();
            let mut moved = Vec::new();
            if let Ring::Int(dtype) = ring {
                term.coefficient = term.coefficient.wrapped(dtype)?;
                // The greatest of integers is one of the ring's own.
                for (atom, power) in std::mem::take(&mut term.factors) {
                    match self.extreme_over_ring(&atom, dtype)? {
                        Some(inner) => moved.push((inner, power)),
                        None => term.factors.push((atom, power)),
                    }
                }
            }
            if term.coefficient.is_zero() {
                continue;
            }
            let axes = if moved.is_empty() { Vec::new() } else { std::mem::take(&mut term.axes) };
            let mut product = Poly { ring, terms: vec![term] };
            for (inner, power) in moved {
                let whole = self.power(&inner, u32::try_from(power).unwrap_or(0))?;
                product = self.mul(&product, &whole)?;
            }
            let product = if axes.is_empty() { product } else { self.sum(&axes, &product)? };
            out = self.add(&out, &product)?;
        }
        Ok(out)
    }

    /// A sum that does not wrap in its own type, and whose value another type holds, in the ring of that.
    pub(super) fn in_type(&mut self, value: &Poly, from: DType, to: DType) -> Step<Poly> {
        if to.width() <= from.width() {
            self.narrowed_sum(value, to)
        } else {
            self.over(value, Ring::Int(to))
        }
    }

    /// A conversion to a float, bit by bit: one of what a conversion left as it was is one of that.
    pub(super) fn exact_cast(&mut self, from: DType, to: DType, value: &Rc<Poly>) -> Step<Poly> {
        if let Some(Atom::Apply(Fun::Cast(_), first, inner)) = value.as_atom().map(|it| (**it).clone())
            && from.is_float()
            && first.is_in(from)
        {
            if first == to {
                return Ok((*inner[0]).clone());
            }
            return Ok(Poly::of(Ring::Exact(to), Atom::Apply(Fun::Cast(to), first, inner)));
        }
        if let Some(Atom::Float(bits, _)) = value.as_atom().map(|it| &**it) {
            return Ok(Poly::of(Ring::Exact(to), Atom::Float(to.round(f64::from_bits(*bits)).to_bits(), to)));
        }
        if let (Some(Ratio { numerator, denominator: 1 }), Ring::Int(_)) = (value.as_constant(), value.ring)
            && numerator.unsigned_abs() < 1 << 53
        {
            return Ok(Poly::of(Ring::Exact(to), Atom::Float(to.round(numerator as f64).to_bits(), to)));
        }
        // Integers of one value are rounded alike, whatever their types.
        if matches!(value.ring, Ring::Int(_)) && self.fits(value, from) && self.fits(value, DType::I64) {
            let wide = Rc::new(self.over(value, Ring::Int(DType::I64))?);
            return Ok(Poly::of(Ring::Exact(to), Atom::Apply(Fun::Cast(to), DType::I64, vec![wide])));
        }
        Ok(Poly::of(Ring::Exact(to), Atom::Apply(Fun::Cast(to), from, vec![value.clone()])))
    }

    /// Whether an integer sum has its value as a number, so that nothing wraps in a type.
    pub(super) fn fits(&mut self, value: &Poly, dtype: DType) -> bool {
        let Some((lowest, highest)) = dtype.int_range() else { return false };
        self.range(value).is_some_and(|(lo, hi)| lo >= lowest && hi <= highest)
    }

    /// The least and the greatest value of an integer sum, as a number.
    pub(super) fn range(&mut self, value: &Poly) -> Option<(i128, i128)> {
        let mut total = (0i128, 0i128);
        for term in &value.terms {
            let one = (term.coefficient.numerator, term.coefficient.numerator);
            let mut product = one;
            for (atom, power) in &term.factors {
                let range = self.atom_range(atom)?;
                for _ in 0..*power {
                    product = times(product, range)?;
                }
            }
            for axis in &term.axes {
                let most = self.indices.cx.bounds(axis.extent).hi?;
                product = times(product, (0, most.into()))?;
            }
            if !term.guards.is_empty() {
                product = (product.0.min(0), product.1.max(0));
            }
            total = (total.0.checked_add(product.0)?, total.1.checked_add(product.1)?);
        }
        Some(total)
    }

    fn atom_range(&mut self, atom: &Atom) -> Option<(i128, i128)> {
        match atom {
            Atom::Load { dtype, .. } => dtype.int_range(),
            Atom::Size(d) => {
                let bounds = self.indices.cx.bounds(*d);
                Some((bounds.lo?.into(), bounds.hi?.into()))
            }
            Atom::Apply(Fun::Cast(to), _, _) => to.int_range(),
            Atom::Apply(_, dtype, _) => dtype.int_range(),
            Atom::Extreme(_, items) => {
                let mut total: Option<(i128, i128)> = None;
                for it in items {
                    let range = self.range(&it.value)?;
                    total = Some(total.map_or(range, |all| (all.0.min(range.0), all.1.max(range.1))));
                }
                // Of none of them, each type has its own number.
                let some = self.have_iteration(items) == Ok(true);
                match items.first()?.value.ring {
                    Ring::Int(dtype) if !some => dtype.int_range(),
                    _ => total.filter(|_| some),
                }
            }
            _ => None,
        }
    }
}

fn times(a: (i128, i128), b: (i128, i128)) -> Option<(i128, i128)> {
    let ends = [(a.0, b.0), (a.0, b.1), (a.1, b.0), (a.1, b.1)];
    let products: Option<Vec<i128>> = ends.iter().map(|(x, y)| x.checked_mul(*y)).collect();
    let products = products?;
    Some((*products.iter().min()?, *products.iter().max()?))
}
