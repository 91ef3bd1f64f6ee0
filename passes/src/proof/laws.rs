//! Laws of scalar functions, by ring; the list with their conditions is in the module documentation.

use super::cases::{Step, Stop};
use super::normal::Normal;
use super::poly::{Atom, Factor, Fun, Item, Poly, Ring, Summand};
use super::ratio::Ratio;
use orogen_ir::loops::{BinaryOp, Combine, CompareOp, UnaryOp};
use orogen_ir::shape::Constraint;
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
        let of = if a.ring == Ring::Real { DType::F64 } else { dtype };
        let args = vec![cond.clone(), a.clone(), b.clone()];
        Ok(Poly::of(a.ring, Atom::Apply(Fun::Select, of, args)))
    }

    // Over the reals.

    fn apply_real(&mut self, fun: Fun, args: Vec<Rc<Poly>>) -> Step<Poly> {
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
            Fun::Unary(UnaryOp::Abs) => {
                self.scaled_by_content(&a, &mut |cx, rest| cx.opaque(fun, DType::F64, vec![Rc::new(rest)]))
            }
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
            _ => Ok(self.opaque(fun, DType::F64, args)),
        }
    }

    /// Whether the first coefficient of a single summand is below 0.
    fn is_led_by_minus(&self, a: &Poly) -> bool {
        matches!(&a.terms[..], [one] if one.coefficient.numerator < 0)
    }

    /// `f(c·a) = |c|·f(a)` for numbers, of one summand.
    fn scaled_by_content(&mut self, a: &Poly, f: &mut dyn FnMut(&mut Self, Poly) -> Poly) -> Step<Poly> {
        let [one] = &a.terms[..] else { return Ok(f(self, a.clone())) };
        let size = Ratio { numerator: one.coefficient.numerator.saturating_abs(), ..one.coefficient };
        let rest = Summand { coefficient: Ratio::ONE, ..one.clone() };
        let value = f(self, Poly { ring: a.ring, terms: vec![rest] });
        self.scale(&value, size)
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
    pub(super) fn inverse(&mut self, a: &Poly) -> Step<Poly> {
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
    pub(super) fn content(&mut self, a: &Poly, positive: bool) -> Step<Poly> {
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
    pub(super) fn divide_by_content(&mut self, a: &Poly, content: &Poly) -> Step<Poly> {
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

    pub(super) fn inverse_of_content(&mut self, content: &Poly) -> Step<Poly> {
        let one = content.terms.first().cloned();
        let one = one.ok_or_else(|| Stop::unknown("a sum without summands"))?;
        let factors = one.factors.into_iter().map(|(atom, power)| (atom, -power)).collect();
        let coefficient = one.coefficient.inverse()?;
        let term = Summand { coefficient, axes: Vec::new(), guards: Vec::new(), factors };
        self.settled(Ring::Real, term)
    }

    fn same_atom(&mut self, a: &Atom, b: &Atom) -> bool {
        super::poly::Same::new(self.indices).atom(a, b, &super::poly::Renaming::new())
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
    pub(super) fn is_nonzero_atom(&mut self, atom: &Atom) -> bool {
        self.is_positive_atom(atom)
    }

    /// Whether an atom over the reals is proven to be positive.
    pub(super) fn is_positive_atom(&mut self, atom: &Atom) -> bool {
        match atom {
            Atom::Apply(Fun::Unary(UnaryOp::Exp | UnaryOp::Cosh), DType::F64, _) => true,
            Atom::Apply(Fun::Unary(UnaryOp::Sqrt), DType::F64, args) => self.is_positive(&args[0]),
            Atom::Size(d) => self.indices.cx.prove(Constraint::AtLeast(*d, 1)).is_always(),
            Atom::Nested(inner) => self.is_positive(inner),
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
    pub(super) fn is_at_least_zero(&mut self, a: &Poly) -> bool {
        a.ring == Ring::Real
            && a.terms.iter().all(|it| {
                it.coefficient.numerator > 0
                    && it.factors.iter().all(|(atom, power)| self.is_at_least_zero_atom(atom, *power))
            })
    }

    /// Whether a real sum is proven to be positive: all of it at least 0, and some of it not 0.
    pub(super) fn is_positive(&mut self, a: &Poly) -> bool {
        let some = |cx: &mut Self, extent| cx.indices.cx.prove(Constraint::AtLeast(extent, 1)).is_always();
        self.is_at_least_zero(a)
            && a.terms.iter().any(|it| {
                it.guards.is_empty()
                    && it.axes.iter().all(|axis| some(self, axis.extent))
                    && it.factors.iter().all(|(atom, _)| self.is_positive_atom(atom))
            })
    }

    // Integers that wrap.

    fn apply_int(&mut self, fun: Fun, dtype: DType, ring: Ring, args: Vec<Rc<Poly>>) -> Step<Poly> {
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

    // Bit by bit.

    fn apply_exact(&mut self, fun: Fun, dtype: DType, args: Vec<Rc<Poly>>) -> Step<Poly> {
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
                if is_never_negative(a) {
                    return Ok(whole(a));
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

fn no_factors() -> Summand {
    Summand { coefficient: Ratio::ONE, axes: Vec::new(), guards: Vec::new(), factors: Vec::new() }
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
