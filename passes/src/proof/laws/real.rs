//! Laws over the reals.

use super::{MAX_EXPONENT, is_rounded, is_rounding};
use crate::proof::cases::{Step, Stop};
use crate::proof::normal::Normal;
use crate::proof::poly::{Atom, Factor, Fun, Item, Poly, Renaming, Ring, Same, Summand};
use crate::proof::ratio::Ratio;
use orogen_ir::loops::{BinaryOp, CompareOp, UnaryOp};
use orogen_ir::shape::Constraint;
use orogen_ir::types::DType;
use std::rc::Rc;

impl Normal<'_> {
    pub(super) fn apply_real(&mut self, fun: Fun, args: Vec<Rc<Poly>>) -> Step<Poly> {
        let a = args[0].clone();
        let one = Poly::constant(Ring::Real, Ratio::ONE);
        match fun {
            Fun::Unary(UnaryOp::Exp) => self.exp(&a),
            Fun::Unary(UnaryOp::Log) => self.log(&a),
            Fun::Unary(UnaryOp::Sqrt) => self.root(&a),
            Fun::Unary(UnaryOp::Reciprocal) => self.inverse(&a),
            Fun::Unary(UnaryOp::Expm1) => {
                let power = self.exp(&a)?;
                self.sub(&power, &one)
            }
            Fun::Unary(UnaryOp::Log1p) => {
                let sum = self.add(&one, &a)?;
                self.log(&sum)
            }
            Fun::Unary(UnaryOp::Softplus) => {
                let power = self.exp(&a)?;
                let sum = self.add(&one, &power)?;
                self.log(&sum)
            }
            // σ(x) = 1 − 1/(1 + e^x).
            Fun::Unary(UnaryOp::Sigmoid) => {
                let power = self.exp(&a)?;
                let sum = self.add(&one, &power)?;
                let part = self.inverse(&sum)?;
                self.sub(&one, &part)
            }
            // tanh x = 1 − 2/(1 + e^2x).
            Fun::Unary(UnaryOp::Tanh) => {
                let twice = self.scale(&a, Ratio::int(2))?;
                let power = self.exp(&twice)?;
                let sum = self.add(&one, &power)?;
                let part = self.inverse(&sum)?;
                let part = self.scale(&part, Ratio::int(2))?;
                self.sub(&one, &part)
            }
            Fun::Unary(UnaryOp::Abs) if self.is_at_least_zero(&a) => Ok((*a).clone()),
            Fun::Unary(UnaryOp::Abs) => self.magnitude_of(&a),
            // Odd functions.
            Fun::Unary(
                UnaryOp::Erf
                | UnaryOp::Sin
                | UnaryOp::Tan
                | UnaryOp::Asin
                | UnaryOp::Atan
                | UnaryOp::Sinh
                | UnaryOp::Asinh
                | UnaryOp::Atanh
                | UnaryOp::Sign
                | UnaryOp::Round
                | UnaryOp::Trunc,
            ) if self.is_led_by_minus(&a) => {
                let minus = self.scale(&a, Ratio::int(-1))?;
                let value = self.opaque(fun, DType::F64, vec![Rc::new(minus)]);
                self.scale(&value, Ratio::int(-1))
            }
            Fun::Unary(UnaryOp::Cos | UnaryOp::Cosh) if self.is_led_by_minus(&a) => {
                let minus = self.scale(&a, Ratio::int(-1))?;
                Ok(self.opaque(fun, DType::F64, vec![Rc::new(minus)]))
            }
            Fun::Unary(op) if is_rounding(op) && is_rounded(&a) => Ok((*a).clone()),
            Fun::Binary(BinaryOp::Div) => {
                let inverse = self.inverse(&args[1])?;
                self.mul(&a, &inverse)
            }
            Fun::Binary(BinaryOp::Pow) => self.pow(&a, &args[1]),
            Fun::Compare(op) => self.compare(op, &a, &args[1]),
            _ => Ok(self.opaque(fun, DType::F64, args)),
        }
    }

    /// `c·a < c·b` where `a < b`, for positive `c`: the difference, less what is positive and common, against 0.
    fn compare(&mut self, op: CompareOp, a: &Poly, b: &Poly) -> Step<Poly> {
        let difference = self.sub(a, b)?;
        if let Some(known) = difference.as_constant() {
            let answer = op.holds(Some(known.numerator.cmp(&0)));
            return Ok(Poly::of(Ring::Exact(DType::Bool), Atom::Bool(answer)));
        }
        let content = self.content(&difference, true)?;
        let difference = self.divide_by_content(&difference, &content)?;
        let args = vec![Rc::new(difference), Rc::new(Poly::zero(Ring::Real))];
        Ok(self.opaque(Fun::Compare(op), DType::F64, args))
    }

    /// A choice of multiples is the multiple of a choice; one that is linear on both sides of 0 is the larger of two.
    pub(super) fn choice(&mut self, cond: &Rc<Poly>, a: &Poly, b: &Poly) -> Step<Poly> {
        if let Some(found) = self.bend(cond, a, b)? {
            return Ok(found);
        }
        let all = a.terms.iter().chain(&b.terms).cloned().collect();
        let content = self.content(&Poly { ring: Ring::Real, terms: all }, false)?;
        let (a, b) = (self.divide_by_content(a, &content)?, self.divide_by_content(b, &content)?);
        let args = vec![cond.clone(), Rc::new(a), Rc::new(b)];
        let choice = Poly::of(Ring::Real, Atom::Apply(Fun::Select, DType::F64, args));
        self.mul(&content, &choice)
    }

    /// `d < 0 ? a : a + c·d = a + c·max(d, 0)`, for a product `c`.
    fn bend(&mut self, cond: &Poly, a: &Poly, b: &Poly) -> Step<Option<Poly>> {
        let Some(Atom::Apply(Fun::Compare(CompareOp::Lt | CompareOp::Le), DType::F64, sides)) =
            cond.as_atom().map(|it| (**it).clone())
        else {
            return Ok(None);
        };
        if sides[0].ring != Ring::Real || !sides[1].terms.is_empty() {
            return Ok(None);
        }
        let step = self.sub(b, a)?;
        let content = self.content(&step, true)?;
        let step = self.divide_by_content(&step, &content)?;
        let minus = self.scale(&step, Ratio::int(-1))?;
        let sign = match () {
            () if self.same(&step, &sides[0]) => 1,
            () if self.same(&minus, &sides[0]) => -1,
            () => return Ok(None),
        };
        let item = |value: Rc<Poly>| Item { axes: Vec::new(), guards: Vec::new(), value };
        let items = vec![item(sides[0].clone()), item(Rc::new(Poly::zero(Ring::Real)))];
        let larger = self.extreme(true, Ring::Real, items)?;
        let part = self.mul(&content, &larger)?;
        let part = self.scale(&part, Ratio::int(sign))?;
        self.add(a, &part).map(Some)
    }

    /// Whether the first coefficient of a single summand is below 0.
    fn is_led_by_minus(&self, a: &Poly) -> bool {
        matches!(&a.terms[..], [one] if one.coefficient.numerator < 0)
    }

    /// `|c·a| = |c|·|a|` for numbers and what is positive; of one summand its sign goes too.
    fn magnitude_of(&mut self, a: &Poly) -> Step<Poly> {
        let content = self.content(a, true)?;
        let mut rest = self.divide_by_content(a, &content)?;
        if self.is_led_by_minus(&rest) {
            rest = self.scale(&rest, Ratio::int(-1))?;
        }
        let size = self.opaque(Fun::Unary(UnaryOp::Abs), DType::F64, vec![Rc::new(rest)]);
        self.mul(&content, &size)
    }

    fn pow(&mut self, a: &Rc<Poly>, b: &Rc<Poly>) -> Step<Poly> {
        match b.as_constant() {
            Some(Ratio { numerator, denominator: 1 }) if numerator.abs() <= MAX_EXPONENT => {
                let times = u32::try_from(numerator.unsigned_abs()).unwrap_or(0);
                let power = self.power(a, times)?;
                if numerator < 0 { self.inverse(&power) } else { Ok(power) }
            }
            Some(Ratio { numerator: 1, denominator: 2 }) => self.root(a),
            Some(Ratio { numerator: -1, denominator: 2 }) => {
                let root = self.root(a)?;
                self.inverse(&root)
            }
            _ => Ok(self.opaque(Fun::Binary(BinaryOp::Pow), DType::F64, vec![a.clone(), b.clone()])),
        }
    }

    /// `1/a`.
    pub(in crate::proof) fn inverse(&mut self, a: &Poly) -> Step<Poly> {
        self.by_cases(vec![Rc::new(a.clone())], &mut |cx, args| cx.inverse_plain(&args[0]))
    }

    fn inverse_plain(&mut self, a: &Poly) -> Step<Poly> {
        let nested = |it: Poly| Poly::power(Ring::Real, Rc::new(Atom::Nested(Rc::new(it))), -1);
        if a.terms.is_empty() {
            return Ok(nested(a.clone()));
        }
        let content = self.content(a, false)?;
        let outside = self.inverse_of_content(&content)?;
        let rest = self.divide_by_content(a, &content)?;
        if rest.as_constant() == Some(Ratio::ONE) {
            return Ok(outside);
        }
        // What is 1/x inside became x, and so on; products of several sums stay one sum.
        self.mul(&outside, &nested(rest))
    }

    /// A product of a number and atoms that all summands have in common; `positive` ones alone, if asked.
    pub(in crate::proof) fn content(&mut self, a: &Poly, positive: bool) -> Step<Poly> {
        let Some(first) = a.terms.first() else { return Ok(Poly::constant(Ring::Real, Ratio::ONE)) };
        let mut coefficient = first.coefficient;
        for term in &a.terms {
            coefficient = common(coefficient, term.coefficient)?;
        }
        let minus = a.terms.len() == 1 && first.coefficient.numerator < 0 && !positive;
        let size = coefficient.numerator.saturating_abs();
        coefficient.numerator = if minus { -size } else { size };
        let mut factors: Vec<Factor> = Vec::new();
        let mut candidates: Vec<Factor> = Vec::new();
        for term in &a.terms {
            candidates.extend(term.factors.iter().cloned());
        }
        for (atom, _) in candidates {
            if factors.iter().any(|(it, _)| self.same_atom(it, &atom)) {
                continue;
            }
            let bound =
                a.terms.iter().any(|it| it.axes.iter().any(|axis| atom.mentions(self.indices, axis.var)));
            let nonzero = self.is_nonzero_atom(&atom);
            if bound || (positive && !self.is_positive_atom(&atom)) {
                continue;
            }
            let mut least: Option<i32> = None;
            for term in &a.terms {
                let powers: Vec<i32> =
                    term.factors.iter().filter(|(it, _)| self.same_atom(it, &atom)).map(|it| it.1).collect();
                let power = powers.into_iter().min().unwrap_or(0);
                least = Some(least.map_or(power, |it| it.min(power)));
            }
            let least = least.unwrap_or(0);
            if least > 0 || (least < 0 && (nonzero || a.terms.len() == 1)) {
                factors.push((atom, least));
            }
        }
        let (axes, guards) = (Vec::new(), Vec::new());
        Ok(Poly { ring: Ring::Real, terms: vec![Summand { coefficient, axes, guards, factors }] })
    }

    /// A sum less what its summands have in common.
    pub(in crate::proof) fn divide_by_content(&mut self, a: &Poly, content: &Poly) -> Step<Poly> {
        let Some(one) = content.terms.first().cloned() else { return Ok(a.clone()) };
        let inverse = one.coefficient.inverse()?;
        let mut out = Poly::zero(a.ring);
        for term in &a.terms {
            let mut term = term.clone();
            term.coefficient = term.coefficient.mul(inverse)?;
            for (atom, power) in &one.factors {
                let found = (0..term.factors.len()).find(|at| {
                    let (mine, times) = &term.factors[*at];
                    (*times < 0) == (*power < 0) && self.same_atom(mine, atom)
                });
                match found {
                    Some(at) => term.factors[at].1 -= power,
                    None => self.mul_factor(&mut term.factors, (atom.clone(), -power)),
                }
                term.factors.retain(|it| it.1 != 0);
            }
            let term = self.settled(a.ring, term)?;
            out = self.add(&out, &term)?;
        }
        Ok(out)
    }

    pub(in crate::proof) fn inverse_of_content(&mut self, content: &Poly) -> Step<Poly> {
        let one = content.terms.first().cloned();
        let one = one.ok_or_else(|| Stop::unknown("a sum without summands"))?;
        let factors = one.factors.into_iter().map(|(atom, power)| (atom, -power)).collect();
        let coefficient = one.coefficient.inverse()?;
        let term = Summand { coefficient, axes: Vec::new(), guards: Vec::new(), factors };
        self.settled(Ring::Real, term)
    }

    fn same_atom(&mut self, a: &Atom, b: &Atom) -> bool {
        Same::new(self.indices).atom(a, b, &Renaming::new())
    }

    /// `e^(a + b) = e^a · e^b`, `e^(n·a) = (e^a)^n`.
    fn exp(&mut self, a: &Poly) -> Step<Poly> {
        let a = Rc::new(a.clone());
        self.by_cases(vec![a], &mut |cx, args| {
            let mut product = Poly::constant(Ring::Real, Ratio::ONE);
            for term in &args[0].terms {
                let Ratio { numerator, denominator } = term.coefficient;
                let power = i32::try_from(numerator).map_err(|_| Stop::unknown("a power is too large"))?;
                // e^log a = a, for positive a.
                if let (1, [(atom, 1)], []) = (denominator, &term.factors[..], &term.axes[..])
                    && let Atom::Apply(Fun::Unary(UnaryOp::Log), _, inner) = &**atom
                    && cx.is_positive(&inner[0])
                {
                    let times = u32::try_from(numerator.unsigned_abs());
                    let times = times.ok().filter(|it| i128::from(*it) <= MAX_EXPONENT);
                    if let Some(times) = times {
                        let whole = cx.power(&inner[0], times)?;
                        let whole = if numerator < 0 { cx.inverse(&whole)? } else { whole };
                        product = cx.mul(&product, &whole)?;
                        continue;
                    }
                }
                let coefficient = Ratio::new(1, denominator)?;
                let inner = Poly { ring: Ring::Real, terms: vec![Summand { coefficient, ..term.clone() }] };
                let inner = Atom::Apply(Fun::Unary(UnaryOp::Exp), DType::F64, vec![Rc::new(inner)]);
                product = cx.mul(&product, &Poly::power(Ring::Real, Rc::new(inner), power))?;
            }
            Ok(product)
        })
    }

    /// `log(a·b) = log a + log b` for positive ones, `log e^a = a`.
    fn log(&mut self, a: &Poly) -> Step<Poly> {
        let a = Rc::new(a.clone());
        self.by_cases(vec![a], &mut |cx, args| {
            let fun = Fun::Unary(UnaryOp::Log);
            let content = cx.content(&args[0], true)?;
            let mut sum = Poly::zero(Ring::Real);
            let factors = content.terms.first().map(|it| it.factors.clone()).unwrap_or_default();
            let mut taken = no_factors();
            for (atom, power) in factors {
                if !cx.is_positive_atom(&atom) {
                    continue;
                }
                taken.factors.push((atom.clone(), power));
                let log = match &*atom {
                    Atom::Apply(Fun::Unary(UnaryOp::Exp), _, inner) => (*inner[0]).clone(),
                    Atom::Nested(inner) => cx.opaque(fun, DType::F64, vec![inner.clone()]),
                    _ => cx.opaque(fun, DType::F64, vec![Rc::new(Poly::power(Ring::Real, atom, 1))]),
                };
                let log = cx.scale(&log, Ratio::int(power.into()))?;
                sum = cx.add(&sum, &log)?;
            }
            let taken = Poly { ring: Ring::Real, terms: vec![taken] };
            let rest = cx.divide_by_content(&args[0], &taken)?;
            if rest.as_constant() == Some(Ratio::ONE) {
                return Ok(sum);
            }
            let rest = cx.opaque(fun, DType::F64, vec![Rc::new(rest)]);
            cx.add(&sum, &rest)
        })
    }

    /// The square root; of a square of what is at least 0, that.
    fn root(&mut self, a: &Poly) -> Step<Poly> {
        let a = Rc::new(a.clone());
        self.by_cases(vec![a], &mut |cx, args| {
            let fun = Fun::Unary(UnaryOp::Sqrt);
            let [one] = &args[0].terms[..] else {
                return Ok(cx.opaque(fun, DType::F64, vec![args[0].clone()]));
            };
            let mut outside = Poly::constant(Ring::Real, Ratio::ONE);
            let mut rest = one.clone();
            if let Some(root) = one.coefficient.root() {
                outside = cx.scale(&outside, root)?;
                rest.coefficient = Ratio::ONE;
            }
            if one.axes.is_empty() {
                rest.factors.clear();
                for (atom, power) in &one.factors {
                    if power % 2 == 0 {
                        let whole = Rc::new(Poly::power(Ring::Real, atom.clone(), power / 2));
                        let size = cx.apply_real(Fun::Unary(UnaryOp::Abs), vec![whole])?;
                        outside = cx.mul(&outside, &size)?;
                    } else {
                        rest.factors.push((atom.clone(), *power));
                    }
                }
            }
            let rest = Poly { ring: Ring::Real, terms: vec![rest] };
            if rest.as_constant() == Some(Ratio::ONE) {
                return Ok(outside);
            }
            let rest = cx.opaque(fun, DType::F64, vec![Rc::new(rest)]);
            cx.mul(&outside, &rest)
        })
    }

    /// Whether an atom is proven not to be 0.
    pub(in crate::proof) fn is_nonzero_atom(&mut self, atom: &Atom) -> bool {
        self.is_positive_atom(atom)
    }

    /// Whether an atom over the reals is proven to be positive.
    pub(in crate::proof) fn is_positive_atom(&mut self, atom: &Atom) -> bool {
        match atom {
            Atom::Apply(Fun::Unary(UnaryOp::Exp | UnaryOp::Cosh), DType::F64, _) => true,
            Atom::Apply(Fun::Unary(UnaryOp::Sqrt), DType::F64, args) => self.is_positive(&args[0]),
            Atom::Size(d) => self.indices.cx.prove(Constraint::AtLeast(*d, 1)).is_always(),
            Atom::Nested(inner) => self.is_positive(inner),
            Atom::Load { .. } => self.is_positive_load(atom),
            _ => false,
        }
    }

    fn is_at_least_zero_atom(&mut self, atom: &Atom, power: i32) -> bool {
        power % 2 == 0
            || matches!(atom, Atom::Apply(Fun::Unary(UnaryOp::Abs | UnaryOp::Sqrt), _, _))
            || matches!(atom, Atom::Extreme(true, items) if items.iter().any(|it| {
                it.axes.is_empty() && it.guards.is_empty() && self.is_at_least_zero(&it.value)
            }))
            || self.is_positive_atom(atom)
    }

    /// Whether a real sum is proven to be at least 0.
    pub(in crate::proof) fn is_at_least_zero(&mut self, a: &Poly) -> bool {
        a.ring == Ring::Real
            && a.terms.iter().all(|it| {
                it.coefficient.numerator > 0
                    && it.factors.iter().all(|(atom, power)| self.is_at_least_zero_atom(atom, *power))
            })
    }

    /// Whether a real sum is proven to be positive: all of it at least 0, and some of it not 0.
    pub(in crate::proof) fn is_positive(&mut self, a: &Poly) -> bool {
        let some = |cx: &mut Self, extent| cx.indices.cx.prove(Constraint::AtLeast(extent, 1)).is_always();
        self.is_at_least_zero(a)
            && a.terms.iter().any(|it| {
                it.guards.is_empty()
                    && it.axes.iter().all(|axis| some(self, axis.extent))
                    && it.factors.iter().all(|(atom, _)| self.is_positive_atom(atom))
            })
    }
}

fn no_factors() -> Summand {
    Summand { coefficient: Ratio::ONE, axes: Vec::new(), guards: Vec::new(), factors: Vec::new() }
}

/// The greatest number that both are integer multiples of.
fn common(a: Ratio, b: Ratio) -> Step<Ratio> {
    let gcd = |mut a: u128, mut b: u128| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let above = gcd(a.numerator.unsigned_abs(), b.numerator.unsigned_abs());
    let divisor = gcd(a.denominator.unsigned_abs(), b.denominator.unsigned_abs()).max(1);
    let below = (a.denominator.unsigned_abs() / divisor).checked_mul(b.denominator.unsigned_abs());
    let parts = i128::try_from(above).ok().zip(below.and_then(|it| i128::try_from(it).ok()));
    let (above, below) = parts.ok_or_else(|| Stop::unknown("a coefficient is too large"))?;
    Ratio::new(above, below)
}
