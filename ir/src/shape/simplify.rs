//! Simplification with facts, on request.

use smallvec::SmallVec;

use super::bounds::Known;
use super::context::operands;
use super::poly::{Atom, AtomId, Mono, Poly, gcd};
use super::{Dim, Overflow, ShapeCx, Truth};

/// Rounds until nothing changes.
const ROUNDS: u32 = 8;

impl ShapeCx {
    /// An expression with the same value wherever the facts hold, using the facts.
    ///
    /// Never larger than what it was given; the expression itself if nothing applies.
    /// The result depends on the facts known now, unlike handles made by arithmetic.
    ///
    /// ```
    /// use orogen_ir::shape::{Constraint, ShapeCx};
    ///
    /// let mut cx = ShapeCx::new();
    /// let n = cx.sym("n");
    /// cx.assume(Constraint::Multiple(n, 8)).unwrap();
    /// let padded = cx.round_up(n, 8).unwrap();
    /// assert_ne!(padded, n);
    /// assert_eq!(cx.simplify(padded), n);
    ///
    /// let four = cx.int(4);
    /// let i = cx.fresh_index("i", four);
    /// let rest = cx.modulo(i, 4).unwrap();
    /// assert_eq!(cx.simplify(rest), i);
    /// ```
    pub fn simplify(&mut self, d: Dim) -> Dim {
        let mut current = d;
        for _ in 0..ROUNDS {
            match self.simplify_once(current) {
                Ok(next) if next != current && self.measure(next).size <= self.measure(current).size => {
                    current = next;
                }
                _ => return current,
            }
        }
        // Equations that rewrite each other have no end; their last state would be no better than the first.
        d
    }

    fn simplify_once(&mut self, d: Dim) -> Result<Dim, Overflow> {
        let p = self.poly(d).clone();
        let range = self.range(&p, Known::Facts).to_interval();
        if let (Some(lo), Some(hi)) = (range.lo, range.hi)
            && lo == hi
        {
            return Ok(self.int(lo));
        }
        let p = self.without_exact_quotients(&p);
        let mut sum = Poly::int(p.constant);
        for (mono, coefficient) in &p.terms {
            sum = sum.add(&self.simplify_term(mono, *coefficient)?)?;
        }
        let reduced = self.reduce_by_equations(&sum);
        self.intern(reduced)
    }

    fn simplify_term(&mut self, mono: &Mono, coefficient: i64) -> Result<Poly, Overflow> {
        let mut product = Poly::int(coefficient);
        for &(id, power) in &mono.0 {
            // What cannot be rebuilt within the limits stays as it is.
            let atom = match self.simplify_atom(id) {
                Ok(atom) => self.poly(atom).clone(),
                Err(Overflow) => Poly::of_atom(id),
            };
            for _ in 0..power {
                product = product.mul(&atom)?;
            }
        }
        Ok(product)
    }

    fn simplify_atom(&mut self, id: AtomId) -> Result<Dim, Overflow> {
        let atom = self.atom(id).clone();
        let range = self.range(&Poly::of_atom(id), Known::Facts).to_interval();
        if let (Some(lo), Some(hi)) = (range.lo, range.hi)
            && lo == hi
        {
            return Ok(self.int(lo));
        }
        match atom {
            Atom::Sym(sym) => Ok(self.sym_dim(sym)),
            Atom::FloorDiv(a, k) => {
                let a = self.simplify(a);
                self.simplify_floor(a, k)
            }
            Atom::FloorDivSym(a, b) => {
                let (a, b) = (self.simplify(a), self.simplify(b));
                self.simplify_floor_dim(a, b)
            }
            Atom::Min(_) | Atom::Max(_) | Atom::Broadcast(_) => {
                let list: SmallVec<[Dim; 4]> = operands(&atom).map(|d| self.simplify(d)).collect();
                self.rebuild_list(&atom, &list, Known::Facts)
            }
        }
    }

    fn simplify_floor(&mut self, a: Dim, k: i64) -> Result<Dim, Overflow> {
        let p = self.poly(a).clone();
        // Coefficients modulo k may be taken above zero or nearest to zero; bounds differ.
        let nearest = |c: i64| {
            let c = c.rem_euclid(k);
            if c > k / 2 { c - k } else { c }
        };
        let variants = [p.clone(), Poly { constant: p.constant, ..p.map(nearest) }];
        for variant in variants {
            let Ok(moved) = p.sub(&variant) else { continue };
            let moved = moved.map(|c| c / k);
            if let Some(floor) = self.decided_floor(&variant, k)? {
                let sum = moved.add(self.poly(floor))?;
                return self.intern(sum);
            }
        }
        // When the remainder is a known number, drop it from the numerator.
        let remainder = p.constant.rem_euclid(k);
        let exact = p.add(&Poly::int(-remainder))?;
        let numerator = if remainder == 0 { a } else { self.intern(exact)? };
        if remainder != 0 && self.divides(k, numerator) == Truth::Always {
            return self.floor_div(numerator, k);
        }
        self.floor_div(a, k)
    }

    /// `⌊p/k⌋` when bounds decide it, or decide the part that a common divisor of the rest leaves over:
    /// `⌊(g·q + r)/(g·k)⌋ = ⌊(q + j)/k⌋` for `j·g ≤ r < (j + 1)·g`.
    fn decided_floor(&mut self, p: &Poly, k: i64) -> Result<Option<Dim>, Overflow> {
        if let Some(quotient) = self.constant_quotient(p, k, Known::Facts) {
            return Ok(Some(self.int(quotient)));
        }
        let mut divisors: Vec<i64> = Vec::new();
        for (_, c) in &p.terms {
            let g = i64::try_from(gcd(c.unsigned_abs(), k.unsigned_abs())).unwrap_or(1);
            if g > 1 && !divisors.contains(&g) {
                divisors.push(g);
            }
        }
        divisors.sort_unstable();
        for g in divisors.into_iter().rev() {
            let multiples = Poly { constant: 0, ..p.map(|c| if c % g == 0 { c / g } else { 0 }) };
            let rest = p.map(|c| if c % g == 0 { 0 } else { c });
            let rest = Poly { constant: p.constant, ..rest };
            if rest.terms.is_empty() {
                continue;
            }
            if let Some(j) = self.constant_quotient(&rest, g, Known::Facts) {
                let numerator = multiples.add(&Poly::int(j))?;
                let numerator = self.intern(numerator)?;
                return self.floor_div(numerator, k / g).map(Some);
            }
        }
        Ok(None)
    }

    fn simplify_floor_dim(&mut self, a: Dim, b: Dim) -> Result<Dim, Overflow> {
        if let Some(k) = self.as_int(b) {
            return self.floor_div(a, k);
        }
        let (p, q) = (self.poly(a).clone(), self.poly(b).clone());
        let below = q.sub(&p).and_then(|d| d.add(&Poly::int(-1)));
        if self.at_least_zero(&p) && below.is_ok_and(|d| self.at_least_zero(&d)) {
            return Ok(self.int(0));
        }
        // An equation may turn the numerator into a multiple of the divisor: (b·s)/h with b·s = t·h.
        for fact in self.facts.equations.iter().filter(|fact| self.is_visible(fact, &p)) {
            let equation = &fact.poly;
            for (part, x) in &equation.terms {
                for (mono, c) in &p.terms {
                    let Some(quotient) = mono.div(part) else { continue };
                    if c.checked_rem(*x) != Some(0) {
                        continue;
                    }
                    let other = equation.mul_term(&quotient, c / x).and_then(|multiple| p.sub(&multiple));
                    if let Some(exact) = other.ok().and_then(|other| other.div_exact(&q)) {
                        return self.intern(exact);
                    }
                }
            }
        }
        self.floor_div_dim(a, b)
    }
}
