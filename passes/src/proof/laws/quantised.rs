//! Laws of integers that are converted to floats, scaled and rounded again, bit by bit.

use crate::proof::cases::Step;
use crate::proof::normal::Normal;
use crate::proof::poly::{Atom, Fun, Item, Poly, Ring};
use crate::proof::term::Source;
use orogen_ir::loops::{BinaryOp, UnaryOp};
use orogen_ir::types::DType;
use std::rc::Rc;

/// `cast<to>(integer) · scale`.
#[derive(Clone, Debug)]
pub(in crate::proof) struct Scaled {
    pub(in crate::proof) to: DType,
    /// The type of the integer.
    pub(in crate::proof) of: DType,
    pub(in crate::proof) integer: Rc<Poly>,
    pub(in crate::proof) scale: Rc<Poly>,
}

/// Of the floats that laws of rounding are about: bits of the significand, and exponents of the least normal number and
/// of what is beyond the largest one.
fn format(dtype: DType) -> Option<(i32, i32, i32)> {
    match dtype {
        DType::F32 => Some((24, -126, 128)),
        DType::F64 => Some((53, -1022, 1024)),
        _ => None,
    }
}

/// Whether `round(fl(fl(n · s) / s)) = n` for all integers up to `most` in magnitude and all `s` in a range: products are
/// normal, and both roundings together move the quotient by less than a half, `most · ((1 + u)² − 1) < 1/2`.
pub(in crate::proof) fn rounds_back(dtype: DType, most: i128, [low, high]: [f64; 2]) -> bool {
    let Some((bits, least, end)) = format(dtype) else { return false };
    // u = 2^−bits: 2 · most · (2 · 2^bits + 1) < 2^(2 · bits).
    let moved = most.checked_mul(2).and_then(|it| it.checked_mul((1i128 << (bits + 1)) + 1));
    moved.is_some_and(|it| it < 1i128 << (2 * bits))
        && low >= 2f64.powi(least)
        && high * (most.max(1) as f64) < 2f64.powi(end - 1)
}

impl Normal<'_> {
    /// The integer that a value is converted from.
    fn converted(&self, value: &Poly) -> Option<(DType, DType, Rc<Poly>)> {
        match value.as_atom().map(|it| &**it) {
            Some(Atom::Apply(Fun::Cast(to), of, args)) if to.is_float() && of.is_int() => {
                Some((*to, *of, args[0].clone()))
            }
            _ => None,
        }
    }

    /// The parts of a product of a converted integer and a number.
    pub(in crate::proof) fn scaled(&self, value: &Poly) -> Option<Scaled> {
        let Some(Atom::Apply(Fun::Binary(BinaryOp::Mul), _, args)) = value.as_atom().map(|it| &**it) else {
            return None;
        };
        let one = |a: &Rc<Poly>, b: &Rc<Poly>| {
            let (to, of, integer) = self.converted(a)?;
            Some(Scaled { to, of, integer, scale: b.clone() })
        };
        one(&args[0], &args[1]).or_else(|| one(&args[1], &args[0]))
    }

    /// Between which numbers a float lies, where that is known: then it is no NaN.
    fn bounds_of(&self, value: &Poly) -> Option<[f64; 2]> {
        match value.as_atom().map(|it| &**it) {
            Some(Atom::Load { source: Source::Param(i), otherwise: None, .. }) => {
                self.known.ranges.get(&(*i as usize)).copied()
            }
            Some(Atom::Float(bits, _)) => Some([f64::from_bits(*bits); 2]).filter(|it| !it[0].is_nan()),
            _ => None,
        }
    }

    /// Whether a float is known to be positive and finite.
    pub(in crate::proof) fn is_positive_number(&self, value: &Poly) -> bool {
        value.as_atom().is_some_and(|it| self.is_positive_load(it))
            || self.bounds_of(value).is_some_and(|[low, high]| low > 0.0 && high.is_finite())
    }

    /// Whether it is an element of a parameter that is known to be positive and finite.
    pub(in crate::proof) fn is_positive_load(&self, atom: &Atom) -> bool {
        let Atom::Load { source: Source::Param(i), otherwise: None, .. } = atom else { return false };
        let at = *i as usize;
        let within = |[low, high]: &[f64; 2]| *low > 0.0 && high.is_finite();
        self.known.positive.contains(&at) || self.known.ranges.get(&at).is_some_and(within)
    }

    /// The largest magnitude of an integer sum that does not wrap.
    fn magnitude(&mut self, value: &Poly, of: DType) -> Option<i128> {
        let (low, high) = self.range(value).filter(|_| self.fits(value, of))?;
        Some(low.checked_abs()?.max(high.checked_abs()?))
    }

    /// Whether an integer is the same as a float.
    fn is_exact(&mut self, value: &Poly, of: DType, to: DType) -> bool {
        let most = format(to).map(|it| 1i128 << it.0);
        self.magnitude(value, of).zip(most).is_some_and(|(it, most)| it <= most)
    }

    /// What a function of quantised numbers is by these laws.
    pub(super) fn of_quantised(&mut self, fun: Fun, dtype: DType, args: &[Rc<Poly>]) -> Step<Option<Poly>> {
        match (fun, args) {
            // round(n · s / s) = n.
            (Fun::Unary(UnaryOp::Round), [a]) => {
                let Some(Atom::Apply(Fun::Binary(BinaryOp::Div), _, parts)) =
                    a.as_atom().map(|it| (**it).clone())
                else {
                    return Ok(None);
                };
                let Some(product) = self.scaled(&parts[0]) else { return Ok(None) };
                let range = self.bounds_of(&parts[1]);
                let most = self.magnitude(&product.integer, product.of);
                let holds = range.zip(most).is_some_and(|(range, most)| rounds_back(dtype, most, range))
                    && self.is_exact(&product.integer, product.of, dtype)
                    && self.same(&product.scale, &parts[1]);
                match holds {
                    true => self.exact_cast(product.of, dtype, &product.integer).map(Some),
                    false => Ok(None),
                }
            }
            // The larger of n · s and 0 is that of n and 0 times s, for positive s.
            (Fun::Binary(BinaryOp::Max), [a, b]) => {
                let is_zero = b.as_atom().is_some_and(|it| matches!(**it, Atom::Float(0, _)));
                let Some(product) = self.scaled(a).filter(|_| is_zero) else { return Ok(None) };
                if !self.is_positive_number(&product.scale) {
                    return Ok(None);
                }
                let ring = Ring::Int(product.of);
                let item = |value: Rc<Poly>| Item { axes: Vec::new(), guards: Vec::new(), value };
                let items = vec![item(product.integer), item(Rc::new(Poly::zero(ring)))];
                let larger = self.extreme(true, ring, items)?;
                let larger = self.exact_cast(product.of, dtype, &Rc::new(larger))?;
                self.apply_exact(Fun::Binary(BinaryOp::Mul), dtype, vec![Rc::new(larger), product.scale])
                    .map(Some)
            }
            // A sum of integers that floats hold is the integer sum.
            (Fun::Binary(BinaryOp::Add), [a, b]) => {
                let Some(((_, x, a), (_, y, b))) = self.converted(a).zip(self.converted(b)) else {
                    return Ok(None);
                };
                if x != y || !self.is_exact(&a, x, dtype) || !self.is_exact(&b, x, dtype) {
                    return Ok(None);
                }
                let sum = self.add(&a, &b)?;
                match self.is_exact(&sum, x, dtype) {
                    true => self.exact_cast(x, dtype, &Rc::new(sum)).map(Some),
                    false => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    /// An integer that was converted to a float that holds it, as an integer of a type that holds it too.
    pub(in crate::proof) fn converted_back(&mut self, value: &Poly, to: DType) -> Step<Option<Poly>> {
        let Some((float, of, integer)) = self.converted(value) else { return Ok(None) };
        if !self.is_exact(&integer, of, float) {
            return Ok(None);
        }
        let integer = self.with_extremes_outside(&integer, of)?;
        match self.fits(&integer, of) && self.fits(&integer, to) {
            true => self.in_type(&integer, of, to).map(Some),
            false => Ok(None),
        }
    }

    /// `max(a, b) + c = max(a + c, b + c)`, where nothing wraps.
    fn with_extremes_outside(&mut self, value: &Poly, dtype: DType) -> Step<Poly> {
        for at in 0..value.terms.len() {
            let Some(atom) =
                (Poly { ring: value.ring, terms: vec![value.terms[at].clone()] }).as_atom().cloned()
            else {
                continue;
            };
            let Atom::Extreme(max, items) = &*atom else { continue };
            let mut rest = value.clone();
            rest.terms.remove(at);
            let mut sums = Vec::new();
            for it in items {
                let sum = self.add(&it.value, &rest)?;
                let holds = it.axes.is_empty() && it.guards.is_empty();
                if holds && self.fits(&it.value, dtype) && self.fits(&sum, dtype) {
                    sums.push(Item { value: Rc::new(sum), ..it.clone() });
                }
            }
            if !rest.terms.is_empty() && sums.len() == items.len() {
                return Ok(Poly::of(value.ring, Atom::Extreme(*max, sums)));
            }
        }
        Ok(value.clone())
    }

    /// The greatest of integers in another ring that holds all of them; `None` where it does not, or where there may be
    /// none of them, which each type has its own number for.
    pub(in crate::proof) fn extreme_over_ring(&mut self, atom: &Atom, to: DType) -> Step<Option<Poly>> {
        let Atom::Extreme(max, items) = atom else { return Ok(None) };
        let mut moved = Vec::new();
        for it in items {
            let Ring::Int(of) = it.value.ring else { return Ok(None) };
            if !self.fits(&it.value, of) || !self.fits(&it.value, to) {
                return Ok(None);
            }
            let value = self.in_type(&it.value, of, to)?;
            moved.push(Item { value: Rc::new(value), ..it.clone() });
        }
        if !self.have_iteration(items)? {
            return Ok(None);
        }
        self.extreme(*max, Ring::Int(to), moved).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bound of the law, against what floats do: for all 16-bit distances from a zero point, at the ends of the range
    /// and at significands all over a binade.
    #[test]
    fn quotients_round_back_where_the_bound_says_so() {
        let range = [1e-30, 1e30];
        assert!(rounds_back(DType::F32, 65535, range));
        assert!(!rounds_back(DType::F32, 1 << 23, range), "half an integer is beyond the bound");
        assert!(!rounds_back(DType::F32, 255, [1e-39, 1.0]), "products that are not normal");
        assert!(!rounds_back(DType::F32, 255, [1.0, 3e38]), "products that are infinite");
        assert!(!rounds_back(DType::F16, 255, range), "a type that the bound is not about");
        let scales = (0..97u32).map(|it| f32::from_bits(0x3f80_0000 + it * 86_477));
        for scale in scales.chain([1e-30, 1e30]) {
            for n in (-65535..=65535i32).step_by(37).chain([-65535, 65535, 0]) {
                assert_eq!((n as f32 * scale / scale).round_ties_even(), n as f32, "{n} · {scale}");
            }
        }
    }
}
