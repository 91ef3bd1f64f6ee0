//! The greatest and the least of values over bound indices.

use super::cases::Step;
use super::laws::Scaled;
use super::normal::Normal;
use super::poly::{Atom, Fun, Item, Poly, Renaming, Ring, Same};
use super::ratio::Ratio;
use super::term::Bound;
use orogen_ir::loops::BinaryOp;
use orogen_ir::shape::Constraint;
use orogen_ir::types::DType;
use std::rc::Rc;

impl Normal<'_> {
    /// The greatest or least of a value over axes.
    pub(super) fn extreme_over(&mut self, max: bool, axes: &[Bound], value: &Rc<Poly>) -> Step<Poly> {
        let ring = value.ring;
        let mut items = Vec::new();
        for (guards, case) in self.cases(value)? {
            items.push(Item { axes: axes.to_vec(), guards, value: Rc::new(case) });
        }
        self.extreme(max, ring, items)
    }

    /// The greatest or least of items.
    pub(super) fn extreme(&mut self, max: bool, ring: Ring, items: Vec<Item>) -> Step<Poly> {
        // Over the reals min a = −max −a.
        if !max && ring == Ring::Real {
            let mut negated = Vec::new();
            for it in items {
                let value = Rc::new(self.scale(&it.value, Ratio::int(-1))?);
                negated.push(Item { value, ..it });
            }
            let greatest = self.extreme(true, ring, negated)?;
            return self.scale(&greatest, Ratio::int(-1));
        }
        let mut flat: Vec<Item> = Vec::new();
        let mut neutral = None;
        for item in items {
            for it in self.flattened(max, item)? {
                if is_neutral(max, &it.value) {
                    neutral = Some(it);
                    continue;
                }
                let none = Renaming::new();
                if !flat.iter().any(|known| Same::new(self.indices).item(known, &it, &none)) {
                    flat.push(it);
                }
            }
        }
        // The greatest of nothing is what is below everything.
        if flat.is_empty() {
            flat.extend(neutral.map(|it| Item { axes: Vec::new(), guards: Vec::new(), ..it }));
        }
        if let [one] = &flat[..]
            && one.axes.is_empty()
            && one.guards.is_empty()
        {
            return Ok((*one.value).clone());
        }
        if let Ring::Int(dtype) = ring {
            return self.extreme_of_integers(max, dtype, flat);
        }
        if ring != Ring::Real {
            if let Some((from, to, items)) = self.widened_items(&flat) {
                let inner = self.extreme(max, Ring::Exact(from), items)?;
                return self.exact_cast(from, to, &Rc::new(inner));
            }
            if let Some(found) = self.extreme_of_scaled(max, &flat)? {
                return Ok(found);
            }
            return Ok(Poly::of(ring, Atom::Extreme(max, flat)));
        }
        // What all items have in common as a summand is added to the greatest of the rest.
        let (mut common, mut flat) = self.without_common(ring, flat)?;
        // max(−a, 0) = max(a, 0) − a.
        let alone = |it: &Item| it.axes.is_empty() && it.guards.is_empty();
        if let [a, b] = &flat[..]
            && alone(a)
            && alone(b)
            && a.value.terms.is_empty() != b.value.terms.is_empty()
        {
            let value = if a.value.terms.is_empty() { &b.value } else { &a.value };
            let negative = value.terms.iter().filter(|it| it.coefficient.numerator < 0).count();
            if 2 * negative > value.terms.len() {
                common = self.add(&common, value)?;
                let positive = Rc::new(self.scale(value, Ratio::int(-1))?);
                let zero = Item { value: Rc::new(Poly::zero(ring)), ..a.clone() };
                flat = vec![Item { value: positive, ..zero.clone() }, zero];
            }
        }
        let rest = match &flat[..] {
            [one] if one.axes.is_empty() && one.guards.is_empty() => (*one.value).clone(),
            _ => self.scaled_extreme(flat)?,
        };
        self.add(&common, &rest)
    }

    /// Items that are all of one float type before a conversion that keeps every value: the greatest is converted.
    fn widened_items(&mut self, items: &[Item]) -> Option<(DType, DType, Vec<Item>)> {
        let mut types = None;
        let mut inner = Vec::new();
        for it in items {
            let Atom::Apply(Fun::Cast(to), from, args) = &**it.value.as_atom()? else { return None };
            let fits = from.is_float() && from.is_in(*to) && types.is_none_or(|it| it == (*from, *to));
            types = fits.then_some((*from, *to));
            types?;
            inner.push(Item { value: args[0].clone(), ..it.clone() });
        }
        let (from, to) = types?;
        Some((from, to, inner))
    }

    /// `max c·a = c·max a` for what is positive and common to all.
    fn scaled_extreme(&mut self, items: Vec<Item>) -> Step<Poly> {
        let mut terms = Vec::new();
        for it in &items {
            for term in &it.value.terms {
                let mut term = term.clone();
                term.axes.extend(&it.axes);
                terms.push(term);
            }
        }
        let content = self.content(&Poly { ring: Ring::Real, terms }, true)?;
        let mut scaled = Vec::new();
        for it in items {
            scaled.push(Item { value: Rc::new(self.divide_by_content(&it.value, &content)?), ..it });
        }
        let greatest = Poly::of(Ring::Real, Atom::Extreme(true, scaled));
        self.mul(&content, &greatest)
    }

    fn without_common(&mut self, ring: Ring, items: Vec<Item>) -> Step<(Poly, Vec<Item>)> {
        let mut common = Poly::zero(ring);
        let Some(first) = items.first().cloned() else { return Ok((common, items)) };
        for term in &first.value.terms {
            let own = items.iter().flat_map(|it| &it.axes).any(|axis| term.mentions(self.indices, axis.var));
            let alike = |cx: &mut Self, it: &Item| {
                it.value.terms.iter().any(|other| {
                    other.coefficient == term.coefficient
                        && Same::new(cx.indices).summand(term, other, &Renaming::new())
                })
            };
            if !own && items.iter().all(|it| alike(self, it)) {
                common.terms.push(term.clone());
            }
        }
        let mut rest = Vec::new();
        for it in items {
            rest.push(Item { value: Rc::new(self.sub(&it.value, &common)?), ..it });
        }
        Ok((common, rest))
    }

    /// The greatest of integers: what all have in common is added to it, where nothing wraps.
    fn extreme_of_integers(&mut self, max: bool, dtype: DType, items: Vec<Item>) -> Step<Poly> {
        let ring = Ring::Int(dtype);
        let (common, rest) = self.without_common(ring, items.clone())?;
        let outside = !common.terms.is_empty()
            && items.iter().chain(&rest).all(|it| self.fits(&it.value, dtype))
            && self.have_iteration(&items)?;
        if !outside {
            return Ok(Poly::of(ring, Atom::Extreme(max, items)));
        }
        let inner = match &rest[..] {
            [one] if one.axes.is_empty() && one.guards.is_empty() => (*one.value).clone(),
            _ => Poly::of(ring, Atom::Extreme(max, rest)),
        };
        self.add(&common, &inner)
    }

    /// The greatest of converted integers times one positive number is that of the integers, converted and scaled:
    /// both round, and neither changes an order.
    fn extreme_of_scaled(&mut self, max: bool, items: &[Item]) -> Step<Option<Poly>> {
        let mut common: Option<Scaled> = None;
        let mut inner = Vec::new();
        for item in items {
            let Some(it) = self.scaled(&item.value) else { return Ok(None) };
            let own = item.axes.iter().any(|axis| it.scale.mentions(self.indices, axis.var));
            let alike = match &common {
                None => self.is_positive_number(&it.scale),
                Some(known) => known.to == it.to && known.of == it.of && self.same(&known.scale, &it.scale),
            };
            if own || !alike {
                return Ok(None);
            }
            inner.push(Item { value: it.integer.clone(), ..item.clone() });
            common.get_or_insert(it);
        }
        let Some(common) = common else { return Ok(None) };
        if !self.have_iteration(&inner)? {
            return Ok(None);
        }
        let greatest = self.extreme(max, Ring::Int(common.of), inner)?;
        let greatest = self.exact_cast(common.of, common.to, &Rc::new(greatest))?;
        let args = vec![Rc::new(greatest), common.scale];
        self.apply_plain(Fun::Binary(BinaryOp::Mul), common.to, args).map(Some)
    }

    /// Whether one of the items has an iteration for sure.
    pub(super) fn have_iteration(&mut self, items: &[Item]) -> Step<bool> {
        for it in items {
            if self.has_iteration(it)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether guards hold for some iteration: each axis is looked for the first iteration that its guards admit.
    fn has_iteration(&mut self, item: &Item) -> Step<bool> {
        let mut guards = item.guards.clone();
        let mut names = Renaming::new();
        for Bound { var, extent } in &item.axes {
            let mut first = self.indices.cx.int(0);
            for guard in &guards {
                let Some((step, rest)) = self.indices.cx.affine_in(*guard, *var) else { continue };
                // k + rest ≥ 0: from −rest on, which may be below 0.
                if self.indices.cx.as_int(step) == Some(1)
                    && !self.indices.mentions_bound(rest)
                    && self.indices.decide(rest)? == Some(false)
                {
                    first = self.indices.cx.neg(rest)?;
                }
            }
            let extent = self.indices.rename_dim(*extent, &names)?;
            names.insert(*var, first);
            let within = self.indices.within(first, extent)?;
            guards = self.indices.rename_dims(&guards, &names)?;
            guards.extend(within);
        }
        Ok(guards.iter().all(|it| self.indices.cx.prove(Constraint::AtLeast(*it, 0)).is_always()))
    }

    /// An item with the items of an extreme that it is, and without axes of one iteration or none that matters.
    fn flattened(&mut self, max: bool, item: Item) -> Step<Vec<Item>> {
        let mut item = item;
        let mut at = 0;
        while at < item.axes.len() {
            let Bound { var, extent } = item.axes[at];
            let mentioned = item.value.mentions(self.indices, var)
                || item.guards.iter().any(|it| self.indices.cx.mentions(*it, var))
                || item.axes.iter().any(|it| self.indices.cx.mentions(it.extent, var));
            let some = self.indices.cx.prove(Constraint::AtLeast(extent, 1)).is_always();
            let one = self.indices.cx.as_int(extent) == Some(1);
            if one || (!mentioned && some) {
                item.axes.remove(at);
                let names = Renaming::from_iter([(var, self.indices.cx.int(0))]);
                item.value = Rc::new(self.rename(&item.value, &names)?);
                item.guards = self.indices.rename_dims(&item.guards, &names)?;
            } else {
                at += 1;
            }
        }
        let inner = match item.value.as_atom().map(|it| &**it) {
            Some(Atom::Extreme(same, items)) if *same == max => items.clone(),
            _ => return Ok(vec![item]),
        };
        let mut out = Vec::new();
        for it in inner {
            // The inner axes may stand in other items too.
            let mut names = Renaming::new();
            let mut axes = item.axes.clone();
            for Bound { var, extent } in it.axes {
                let extent = self.indices.rename_dim(extent, &names)?;
                let (sym, index) = self.indices.bound_index(extent);
                names.insert(var, index);
                axes.push(Bound { var: sym, extent });
            }
            let mut guards = item.guards.clone();
            guards.extend(self.indices.rename_dims(&it.guards, &names)?);
            out.push(Item { axes, guards, value: Rc::new(self.rename(&it.value, &names)?) });
        }
        Ok(out)
    }
}

/// Whether a value is that which a greatest (or least) starts from: it is no greater (or less) than any other.
fn is_neutral(max: bool, value: &Poly) -> bool {
    match (value.ring, value.as_atom().map(|it| &**it)) {
        (Ring::Int(dtype), _) => {
            let end = dtype.int_range().map(|(low, high)| if max { low } else { high });
            value
                .as_constant()
                .is_some_and(|it| end.is_some_and(|end| it.wrapped(dtype) == Ok(Ratio::int(end))))
        }
        (Ring::Exact(dtype), Some(Atom::Float(bits, _))) if dtype.is_float() => {
            f64::from_bits(*bits) == if max { f64::NEG_INFINITY } else { f64::INFINITY }
        }
        (Ring::Real, Some(Atom::Float(bits, _))) => {
            f64::from_bits(*bits) == if max { f64::NEG_INFINITY } else { f64::INFINITY }
        }
        // The least is minus the greatest.
        (Ring::Real, None) if max => match &value.terms[..] {
            [one] if one.axes.is_empty() && one.guards.is_empty() && one.coefficient == Ratio::int(-1) => {
                matches!(&one.factors[..], [(it, 1)] if matches!(**it, Atom::Float(bits, _) if f64::from_bits(bits) == f64::INFINITY))
            }
            _ => false,
        },
        _ => false,
    }
}
