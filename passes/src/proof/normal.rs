//! From scalar expressions to their normal form: arithmetic on it, conversions, and cases.

use super::cases::{Indices, Step, Stop};
use super::known::Known;
use super::poly::{Atom, Factor, Fun, Item, Place, Poly, Renaming, Ring, Same, Summand};
use super::ratio::Ratio;
use super::term::{At, Bound, Term, TermId, Terms};
use indexmap::IndexMap;
use orogen_ir::loops::{BinaryOp, Combine, UnaryOp};
use orogen_ir::shape::{Atom as SizeAtom, AtomId, Dim};
use orogen_ir::types::DType;
use std::rc::Rc;

/// More summands are not made.
const MAX_SUMMANDS: usize = 300;
/// Summands made in one case.
const MAX_WORK: usize = 200_000;

/// Makes normal forms of terms under the facts of one case.
pub(super) struct Normal<'a> {
    pub(super) terms: &'a Terms,
    pub(super) indices: &'a mut Indices,
    /// Whether floats are compared bit by bit.
    exact: bool,
    /// What is known of data.
    pub(super) known: &'a Known,
    /// Whether sums over few numbers are written out.
    pub(super) writes_out: bool,
    memo: IndexMap<TermId, Rc<Poly>>,
    work: usize,
}

impl<'a> Normal<'a> {
    pub(super) fn new(terms: &'a Terms, indices: &'a mut Indices, exact: bool, known: &'a Known) -> Self {
        Normal { terms, indices, exact, known, writes_out: false, memo: IndexMap::new(), work: 0 }
    }

    /// The numbers that values of a type are computed in.
    pub(super) fn ring(&self, dtype: DType) -> Ring {
        match dtype {
            _ if dtype.is_float() && !self.exact => Ring::Real,
            _ if dtype.is_int() => Ring::Int(dtype),
            _ => Ring::Exact(dtype),
        }
    }

    /// Whether two normal forms are the same.
    pub(super) fn same(&mut self, a: &Poly, b: &Poly) -> bool {
        Same::new(self.indices).poly(a, b, &Renaming::new())
    }

    /// Whether two expressions have one value.
    pub(super) fn equal(&mut self, a: TermId, b: TermId) -> Step<bool> {
        if a == b {
            return Ok(true);
        }
        let (a, b) = (self.of(a)?, self.of(b)?);
        if matches!(a.ring, Ring::Exact(_)) {
            return Ok(self.same(&a, &b));
        }
        let minus = self.scale(&b, Ratio::int(-1))?;
        Ok(self.add(&a, &minus)?.terms.is_empty())
    }

    /// The normal form of a term.
    pub(super) fn of(&mut self, id: TermId) -> Step<Rc<Poly>> {
        if let Some(known) = self.memo.get(&id) {
            return Ok(known.clone());
        }
        let poly = Rc::new(self.make(id)?);
        self.memo.insert(id, poly.clone());
        Ok(poly)
    }

    fn make(&mut self, id: TermId) -> Step<Poly> {
        let dtype = self.terms.dtype(id);
        let ring = self.ring(dtype);
        match self.terms.get(id).clone() {
            Term::Float(bits, _) => Ok(self.float(f64::from_bits(bits), dtype)),
            Term::Int(value, DType::Bool) => Ok(Poly::of(ring, Atom::Bool(value != 0))),
            Term::Int(value, _) => Ok(Poly::constant(ring, Ratio::int(value.into()).wrapped(dtype)?)),
            Term::Index(d, _) => self.size(d, ring),
            Term::Load { source, at, otherwise, .. } => {
                let mut places = Vec::new();
                for place in at {
                    places.push(match place {
                        At::Dim(d) => Place::Dim(d),
                        At::Data { value, checked } => Place::Data(self.of(value)?, checked),
                    });
                }
                let otherwise = otherwise.map(|it| self.of(it)).transpose()?;
                Ok(Poly::of(ring, Atom::Load { source, dtype, at: places, otherwise }))
            }
            Term::Unary(op, a) => {
                let (a, of) = (self.of(a)?, self.terms.dtype(a));
                self.unary(op, of, &a)
            }
            Term::Binary(op, a, b) => {
                let (a, b) = (self.of(a)?, self.of(b)?);
                self.binary(op, dtype, &a, &b)
            }
            Term::Compare(op, a, b) => {
                let (x, y, of) = (self.of(a)?, self.of(b)?, self.terms.dtype(a));
                self.apply(Fun::Compare(op), of, vec![x, y])
            }
            Term::Select(cond, a, b) => {
                let args = vec![self.of(cond)?, self.of(a)?, self.of(b)?];
                self.apply(Fun::Select, dtype, args)
            }
            // A size is a number that its type holds.
            Term::Cast(to, a)
                if self.ring(to) == Ring::Real && matches!(self.terms.get(a), Term::Index(..)) =>
            {
                let Term::Index(d, _) = *self.terms.get(a) else { return Err(Stop::unknown("no size")) };
                self.size(d, Ring::Real)
            }
            Term::Cast(to, a) => {
                let (value, from) = (self.of(a)?, self.terms.dtype(a));
                self.cast(from, to, &value)
            }
            Term::Case(conditions, a, b) => {
                let (a, b) = (self.of(a)?, self.of(b)?);
                self.case(&conditions, &a, &b)
            }
            Term::Reduce(combine, axes, value) => {
                let value = self.of(value)?;
                self.reduce(combine, &axes, &value)
            }
            Term::Undefined(_) => Ok(Poly::of(ring, Atom::Undefined)),
        }
    }

    /// A float constant.
    pub(super) fn float(&self, value: f64, dtype: DType) -> Poly {
        let ring = self.ring(dtype);
        match (ring, Ratio::of_float(value, dtype)) {
            (Ring::Real, _) if self.known.any && value == Known::ANY => {
                Poly::of(ring, Atom::Float(value.to_bits(), DType::F64))
            }
            (Ring::Real, Some(ratio)) => Poly::constant(ring, ratio),
            (Ring::Real, None) => Poly::of(ring, Atom::Float(value.to_bits(), DType::F64)),
            _ => Poly::of(ring, Atom::Float(value.to_bits(), dtype)),
        }
    }

    /// An index expression as a number.
    pub(super) fn size(&mut self, d: Dim, ring: Ring) -> Step<Poly> {
        let d = self.indices.cx.simplify(d);
        let parts = self.indices.cx.poly(d).clone();
        let mut sum = Poly::constant(ring, Ratio::int(parts.constant().into()));
        for (factors, coefficient) in parts.terms() {
            let mut product = Poly::constant(ring, Ratio::int(coefficient.into()));
            for (atom, power) in factors {
                let one = self.size_atom(*atom)?;
                let power = i32::try_from(*power).map_err(|_| Stop::unknown("a power is too large"))?;
                product = self.mul(&product, &Poly::power(ring, one, power))?;
            }
            sum = self.add(&sum, &product)?;
        }
        Ok(sum)
    }

    fn size_atom(&mut self, atom: AtomId) -> Step<Rc<Atom>> {
        let cx = &mut self.indices.cx;
        let d = match cx.atom(atom).clone() {
            SizeAtom::Sym(sym) => cx.sym_dim(sym),
            SizeAtom::FloorDiv(a, k) => cx.floor_div(a, k)?,
            SizeAtom::FloorDivSym(a, b) => cx.floor_div_dim(a, b)?,
            SizeAtom::Min(list) => cx.min(&list)?,
            SizeAtom::Max(list) => cx.max(&list)?,
            SizeAtom::Broadcast(list) => cx.broadcast(&list)?,
        };
        Ok(Rc::new(Atom::Size(d)))
    }

    fn tick(&mut self, summands: usize) -> Step<()> {
        self.work += 1 + summands;
        match summands > MAX_SUMMANDS || self.work > MAX_WORK {
            true => Err(Stop::unknown("the normal form is too large")),
            false => Ok(()),
        }
    }

    // Arithmetic of the rings that are not exact.

    fn wrapped(&self, ring: Ring, value: Ratio) -> Step<Ratio> {
        match ring {
            Ring::Int(dtype) => value.wrapped(dtype),
            Ring::Real | Ring::Exact(_) => Ok(value),
        }
    }

    fn times(&self, ring: Ring, a: Ratio, b: Ratio) -> Step<Ratio> {
        match ring {
            Ring::Int(dtype) => a.wrapped_product(b, dtype),
            Ring::Real | Ring::Exact(_) => a.mul(b),
        }
    }

    pub(super) fn scale(&mut self, a: &Poly, by: Ratio) -> Step<Poly> {
        let mut out = Poly::zero(a.ring);
        for term in &a.terms {
            let coefficient = self.times(a.ring, term.coefficient, by)?;
            if !coefficient.is_zero() {
                out.terms.push(Summand { coefficient, ..term.clone() });
            }
        }
        Ok(out)
    }

    pub(super) fn add(&mut self, a: &Poly, b: &Poly) -> Step<Poly> {
        let mut sum = a.clone();
        for term in &b.terms {
            self.collect(&mut sum, term.clone())?;
        }
        self.tick(sum.terms.len())?;
        Ok(sum)
    }

    pub(super) fn sub(&mut self, a: &Poly, b: &Poly) -> Step<Poly> {
        let minus = self.scale(b, Ratio::int(-1))?;
        self.add(a, &minus)
    }

    /// Adds one summand: to another that differs in its coefficient alone, or beside one with the opposite guard.
    fn collect(&mut self, sum: &mut Poly, term: Summand) -> Step<()> {
        let none = Renaming::new();
        let alike =
            (0..sum.terms.len()).find(|at| Same::new(self.indices).summand(&sum.terms[*at], &term, &none));
        if let Some(at) = alike {
            let total = sum.terms[at].coefficient.add(term.coefficient)?;
            sum.terms[at].coefficient = self.wrapped(sum.ring, total)?;
            if sum.terms[at].coefficient.is_zero() {
                sum.terms.remove(at);
            }
            return Ok(());
        }
        // [g]·a + [not g]·a = a.
        for at in 0..sum.terms.len() {
            if sum.terms[at].coefficient != term.coefficient || sum.terms[at].axes.len() != term.axes.len() {
                continue;
            }
            for g in 0..term.guards.len() {
                let mut other = term.clone();
                other.guards[g] = self.indices.negated(term.guards[g])?;
                if Same::new(self.indices).summand(&sum.terms[at], &other, &none) {
                    sum.terms.remove(at);
                    let mut merged = term.clone();
                    merged.guards.remove(g);
                    return self.collect(sum, merged);
                }
            }
        }
        sum.terms.push(term);
        Ok(())
    }

    pub(super) fn mul(&mut self, a: &Poly, b: &Poly) -> Step<Poly> {
        let mut out = Poly::zero(a.ring);
        self.tick(a.terms.len() * b.terms.len())?;
        for x in &a.terms {
            for y in &b.terms {
                for term in self.mul_summands(a.ring, x, y)?.terms {
                    self.collect(&mut out, term)?;
                }
            }
        }
        Ok(out)
    }

    fn mul_summands(&mut self, ring: Ring, x: &Summand, y: &Summand) -> Step<Poly> {
        // Axes of a value that is used twice are those of one use each.
        let (x, y) = (self.with_fresh_axes(ring, x)?, self.with_fresh_axes(ring, y)?);
        let coefficient = self.times(ring, x.coefficient, y.coefficient)?;
        if coefficient.is_zero() {
            return Ok(Poly::zero(ring));
        }
        let mut axes = x.axes;
        axes.extend(&y.axes);
        let mut guards = x.guards.clone();
        guards.extend(y.guards.iter().filter(|it| !x.guards.contains(it)));
        let mut factors = x.factors;
        for factor in y.factors {
            self.mul_factor(&mut factors, factor);
        }
        self.settled(ring, Summand { coefficient, axes, guards, factors })
    }

    /// A product with one factor more. Powers of one atom are added when their signs agree, or when it is not zero.
    pub(super) fn mul_factor(&mut self, factors: &mut Vec<Factor>, factor: Factor) {
        let nonzero = self.is_nonzero_atom(&factor.0);
        let none = Renaming::new();
        let found = (0..factors.len()).find(|at| {
            let (atom, power) = &factors[*at];
            ((*power < 0) == (factor.1 < 0) || nonzero)
                && Same::new(self.indices).atom(atom, &factor.0, &none)
        });
        match found {
            Some(at) => {
                factors[at].1 = factors[at].1.saturating_add(factor.1);
                if factors[at].1 == 0 {
                    factors.remove(at);
                }
            }
            None => factors.push(factor),
        }
    }

    /// `√a · √a = a`, and what is a sum again is multiplied out.
    pub(super) fn settled(&mut self, ring: Ring, term: Summand) -> Step<Poly> {
        let inner = |(atom, power): &Factor| match &**atom {
            Atom::Apply(Fun::Unary(UnaryOp::Sqrt), _, args) if power.abs() >= 2 => {
                Some((args[0].clone(), power / 2, power % 2))
            }
            Atom::Nested(inner) if *power > 0 => Some((inner.clone(), *power, 0)),
            _ => None,
        };
        let found = term.factors.iter().enumerate().find_map(|(at, it)| Some((at, inner(it)?)));
        let Some((at, (inner, power, left))) = found.filter(|_| ring == Ring::Real) else {
            return self.divided(ring, term);
        };
        let mut rest = term;
        let (atom, _) = rest.factors.remove(at);
        if left != 0 {
            rest.factors.push((atom, left));
        }
        let mut product = Poly { ring, terms: vec![rest] };
        let inner = if power < 0 { self.inverse(&inner)? } else { (*inner).clone() };
        for _ in 0..power.abs() {
            product = self.mul(&product, &inner)?;
        }
        Ok(product)
    }

    /// `a · (a + b)⁻¹ = 1 − b · (a + b)⁻¹` for an atom (or power of one) `a` that `b` does not mention.
    fn divided(&mut self, ring: Ring, term: Summand) -> Step<Poly> {
        for (at, (atom, power)) in term.factors.iter().enumerate() {
            let (Atom::Nested(sum), ..=-1) = (&**atom, *power) else { continue };
            for lead in 0..sum.terms.len() {
                let Summand { coefficient, axes, guards, factors } = &sum.terms[lead];
                let [(of, degree)] = &factors[..] else { continue };
                let alone = axes.is_empty() && guards.is_empty() && *degree > 0 && sum.terms.len() > 1;
                let other = |cx: &mut Self, it: &Summand| {
                    it.factors.iter().any(|it| Same::new(cx.indices).atom(&it.0, of, &Renaming::new()))
                };
                if !alone || (0..sum.terms.len()).any(|it| it != lead && other(self, &sum.terms[it])) {
                    continue;
                }
                let found = (0..term.factors.len()).find(|it| {
                    let (mine, times) = &term.factors[*it];
                    *times >= *degree && Same::new(self.indices).atom(mine, of, &Renaming::new())
                });
                let Some(found) = found else { continue };
                let mut less = term.clone();
                less.coefficient = less.coefficient.mul(coefficient.inverse()?)?;
                less.factors[found].1 -= degree;
                let mut whole = less.clone();
                whole.factors[at].1 += 1;
                for it in [&mut less, &mut whole] {
                    it.factors.retain(|it| it.1 != 0);
                }
                let mut rest = (**sum).clone();
                rest.terms.remove(lead);
                let (less, whole) = (self.settled(ring, less)?, self.settled(ring, whole)?);
                let less = self.mul(&less, &rest)?;
                return self.sub(&whole, &less);
            }
        }
        Ok(Poly { ring, terms: vec![term] })
    }

    /// A power with an exponent of at least 0.
    pub(super) fn power(&mut self, a: &Poly, exponent: u32) -> Step<Poly> {
        let mut product = Poly::constant(a.ring, Ratio::ONE);
        for _ in 0..exponent {
            product = self.mul(&product, a)?;
        }
        Ok(product)
    }

    /// The same summand over axes that nothing else has.
    pub(super) fn with_fresh_axes(&mut self, ring: Ring, term: &Summand) -> Step<Summand> {
        if term.axes.is_empty() {
            return Ok(term.clone());
        }
        let mut names = Renaming::new();
        let mut axes = Vec::new();
        for Bound { var, extent } in &term.axes {
            let extent = self.indices.rename_dim(*extent, &names)?;
            let (sym, index) = self.indices.bound_index(extent);
            names.insert(*var, index);
            axes.push(Bound { var: sym, extent });
        }
        let body = Summand { axes: Vec::new(), ..term.clone() };
        let mut renamed = self.rename_summand(ring, &body, &names)?.terms;
        match (renamed.pop(), renamed.pop()) {
            (Some(one), None) => Ok(Summand { axes, ..one }),
            _ => Err(Stop::unknown("a renamed expression changed")),
        }
    }

    // Expressions for bound indices.

    pub(super) fn rename(&mut self, a: &Poly, names: &Renaming) -> Step<Poly> {
        let mut out = Poly::zero(a.ring);
        for term in &a.terms {
            let renamed = self.rename_summand(a.ring, term, names)?;
            match a.ring {
                Ring::Exact(_) => out.terms.extend(renamed.terms),
                _ => out = self.add(&out, &renamed)?,
            }
        }
        Ok(out)
    }

    pub(super) fn rename_summand(&mut self, ring: Ring, term: &Summand, names: &Renaming) -> Step<Poly> {
        let names = &without(names, &term.axes);
        let one = Summand {
            coefficient: term.coefficient,
            axes: self.indices.rename_bounds(&term.axes, names)?,
            guards: self.indices.rename_dims(&term.guards, names)?,
            factors: Vec::new(),
        };
        let mut product = Poly { ring, terms: vec![one] };
        for (atom, power) in &term.factors {
            let (Atom::Size(d), 1..) = (&**atom, *power) else {
                let atom = Rc::new(self.rename_atom(atom, names)?);
                for it in &mut product.terms {
                    it.factors.push((atom.clone(), *power));
                }
                continue;
            };
            let d = self.indices.rename_dim(*d, names)?;
            let size = self.size(d, ring)?;
            for _ in 0..*power {
                product = self.mul(&product, &size)?;
            }
        }
        Ok(product)
    }

    fn rename_rc(&mut self, a: &Rc<Poly>, names: &Renaming) -> Step<Rc<Poly>> {
        Ok(Rc::new(self.rename(a, names)?))
    }

    fn rename_atom(&mut self, atom: &Atom, names: &Renaming) -> Step<Atom> {
        Ok(match atom {
            Atom::Load { source, dtype, at, otherwise } => {
                let mut places = Vec::new();
                for place in at {
                    places.push(match place {
                        Place::Dim(d) => Place::Dim(self.indices.rename_dim(*d, names)?),
                        Place::Data(value, checked) => Place::Data(self.rename_rc(value, names)?, *checked),
                    });
                }
                let otherwise = otherwise.as_ref().map(|it| self.rename_rc(it, names)).transpose()?;
                Atom::Load { source: *source, dtype: *dtype, at: places, otherwise }
            }
            Atom::Size(d) => Atom::Size(self.indices.rename_dim(*d, names)?),
            Atom::Float(..) | Atom::Bool(_) | Atom::Undefined => atom.clone(),
            Atom::Apply(fun, dtype, args) => {
                let args = args.iter().map(|it| self.rename_rc(it, names)).collect::<Step<_>>()?;
                Atom::Apply(*fun, *dtype, args)
            }
            Atom::Nested(value) => Atom::Nested(self.rename_rc(value, names)?),
            Atom::Reduce(combine, axes, value) => {
                let names = &without(names, axes);
                let axes = self.indices.rename_bounds(axes, names)?;
                Atom::Reduce(*combine, axes, self.rename_rc(value, names)?)
            }
            Atom::Extreme(max, items) => {
                let mut renamed = Vec::new();
                for it in items {
                    let names = &without(names, &it.axes);
                    renamed.push(Item {
                        axes: self.indices.rename_bounds(&it.axes, names)?,
                        guards: self.indices.rename_dims(&it.guards, names)?,
                        value: self.rename_rc(&it.value, names)?,
                    });
                }
                Atom::Extreme(*max, renamed)
            }
        })
    }

    // Cases.

    fn guarded(&mut self, a: &Poly, guard: Dim) -> Poly {
        let mut out = a.clone();
        for term in &mut out.terms {
            // An axis that a condition mentions is another one than those of the summand.
            if !term.guards.contains(&guard) {
                term.guards.push(guard);
            }
        }
        out
    }

    /// `a` where all conditions hold, else `b`.
    pub(super) fn case(&mut self, conditions: &[Dim], a: &Poly, b: &Poly) -> Step<Poly> {
        let Some((first, rest)) = conditions.split_last() else { return Ok(a.clone()) };
        let inner = self.choose(*first, a, b)?;
        self.case(rest, &inner, b)
    }

    /// `a` where a condition holds, else `b`.
    fn choose(&mut self, guard: Dim, a: &Poly, b: &Poly) -> Step<Poly> {
        let negated = self.indices.negated(guard)?;
        let (a, b) = (self.restrict(a, guard)?, self.restrict(b, negated)?);
        let (yes, no) = (self.guarded(&a, guard), self.guarded(&b, negated));
        match a.ring {
            Ring::Exact(_) => {
                if self.same(&a, &b) {
                    return Ok(a);
                }
                Ok(Poly { ring: a.ring, terms: yes.terms.into_iter().chain(no.terms).collect() })
            }
            _ => self.add(&yes, &no),
        }
    }

    /// What is left of a sum where a condition holds.
    fn restrict(&mut self, a: &Poly, guard: Dim) -> Step<Poly> {
        let kept = self.indices.assuming(&[guard], |cx| {
            let mut out = Poly::zero(a.ring);
            for term in &a.terms {
                let mut kept = term.clone();
                let mut possible = true;
                kept.guards.clear();
                for it in &term.guards {
                    match cx.decide(*it) {
                        Ok(Some(true)) => {}
                        Ok(Some(false)) => possible = false,
                        _ => kept.guards.push(*it),
                    }
                }
                if possible {
                    out.terms.push(kept);
                }
            }
            Ok(out)
        })?;
        Ok(kept.unwrap_or_else(|| Poly::zero(a.ring)))
    }

    /// A function that does not distribute over cases: applied in each.
    pub(super) fn by_cases(
        &mut self,
        args: Vec<Rc<Poly>>,
        plain: &mut dyn FnMut(&mut Self, Vec<Rc<Poly>>) -> Step<Poly>,
    ) -> Step<Poly> {
        let guard = args.iter().flat_map(|it| &it.terms).find_map(|it| it.open_guard(self.indices));
        let Some(guard) = guard else { return plain(self, args) };
        self.tick(args.len())?;
        let negated = self.indices.negated(guard)?;
        let mut sides = Vec::new();
        for it in [guard, negated] {
            let restricted: Vec<Rc<Poly>> =
                args.iter().map(|a| self.restrict(a, it).map(Rc::new)).collect::<Step<_>>()?;
            // Where the condition cannot hold, nothing is left to apply the function to.
            let empty = restricted.iter().any(|it| matches!(it.ring, Ring::Exact(_)) && it.terms.is_empty());
            sides.push(if empty { None } else { Some(self.by_cases(restricted, plain)?) });
        }
        match (sides.remove(0), sides.remove(0)) {
            (Some(a), Some(b)) => self.choose(guard, &a, &b),
            (Some(only), None) | (None, Some(only)) => Ok(only),
            (None, None) => Err(Stop::unknown("a value without a case")),
        }
    }

    /// The cases of a value: under which conditions it is which sum.
    pub(super) fn cases(&mut self, a: &Poly) -> Step<Vec<(Vec<Dim>, Poly)>> {
        let guard = a.terms.iter().find_map(|it| it.open_guard(self.indices));
        let Some(guard) = guard else { return Ok(vec![(Vec::new(), a.clone())]) };
        self.tick(a.terms.len())?;
        let negated = self.indices.negated(guard)?;
        let mut out = Vec::new();
        for it in [guard, negated] {
            let rest = self.restrict(a, it)?;
            if matches!(a.ring, Ring::Exact(_)) && rest.terms.is_empty() {
                continue;
            }
            for (mut guards, value) in self.cases(&rest)? {
                guards.push(it);
                out.push((guards, value));
            }
        }
        Ok(out)
    }

    fn reduce(&mut self, combine: Combine, axes: &[Bound], value: &Rc<Poly>) -> Step<Poly> {
        match (combine, value.ring) {
            (Combine::Sum, Ring::Real | Ring::Int(_)) => self.sum(axes, value),
            (Combine::Product, Ring::Real | Ring::Int(_)) => self.product(axes, value),
            (Combine::Max | Combine::Min, _) => self.extreme_over(combine == Combine::Max, axes, value),
            _ => {
                let ring = value.ring;
                Ok(Poly::of(ring, Atom::Reduce(combine, axes.to_vec(), value.clone())))
            }
        }
    }

    /// A product over axes: one of products is one over all their axes.
    fn product(&mut self, axes: &[Bound], value: &Rc<Poly>) -> Step<Poly> {
        let mut names = Renaming::new();
        let mut kept = Vec::new();
        for Bound { var, extent } in axes {
            let extent = self.indices.rename_dim(*extent, &names)?;
            if self.indices.cx.as_int(extent) == Some(1) {
                names.insert(*var, self.indices.cx.int(0));
            } else {
                // Axes of a value that is used twice are those of one use each.
                let (sym, index) = self.indices.bound_index(extent);
                names.insert(*var, index);
                kept.push(Bound { var: sym, extent });
            }
        }
        let value = self.rename(value, &names)?;
        if let Some(Atom::Reduce(Combine::Product, inner, of)) = value.as_atom().map(|it| &**it) {
            kept.extend(inner);
            let reduced = Atom::Reduce(Combine::Product, kept, of.clone());
            return Ok(Poly::of(value.ring, reduced));
        }
        match kept.is_empty() {
            true => Ok(value),
            false => Ok(Poly::of(value.ring, Atom::Reduce(Combine::Product, kept, Rc::new(value)))),
        }
    }

    fn binary(&mut self, op: BinaryOp, dtype: DType, a: &Rc<Poly>, b: &Rc<Poly>) -> Step<Poly> {
        match (op, a.ring) {
            (BinaryOp::Add, Ring::Real | Ring::Int(_)) => self.add(a, b),
            (BinaryOp::Sub, Ring::Real | Ring::Int(_)) => self.sub(a, b),
            (BinaryOp::Mul, Ring::Real | Ring::Int(_)) => self.mul(a, b),
            _ => self.apply(Fun::Binary(op), dtype, vec![a.clone(), b.clone()]),
        }
    }

    fn unary(&mut self, op: UnaryOp, dtype: DType, a: &Rc<Poly>) -> Step<Poly> {
        match (op, a.ring) {
            (UnaryOp::Neg, Ring::Real | Ring::Int(_)) => self.scale(a, Ratio::int(-1)),
            _ => self.apply(Fun::Unary(op), dtype, vec![a.clone()]),
        }
    }

    /// A function of values, in each case of them.
    pub(super) fn apply(&mut self, fun: Fun, dtype: DType, args: Vec<Rc<Poly>>) -> Step<Poly> {
        self.by_cases(args, &mut |cx, args| cx.apply_plain(fun, dtype, args))
    }
}

/// What is renamed inside of axes: not their own symbols.
fn without(names: &Renaming, axes: &[Bound]) -> Renaming {
    let is_own = |sym| axes.iter().any(|it| it.var == sym);
    names.iter().filter(|(sym, _)| !is_own(**sym)).map(|(sym, d)| (*sym, *d)).collect()
}
