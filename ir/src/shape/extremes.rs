//! The least and the greatest value of an expression over the iterations of loops.

use smallvec::SmallVec;

use super::bounds::Known;
use super::context::operands;
use super::poly::{Atom, AtomId, Factor, Mono, Poly};
use super::symbol::SymbolKind;
use super::{Dim, ShapeCx, Sym};

/// Which end of the values of an expression.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The least value.
    Least,
    /// The greatest value.
    Greatest,
}

impl std::ops::Not for End {
    type Output = End;

    fn not(self) -> End {
        match self {
            End::Least => End::Greatest,
            End::Greatest => End::Least,
        }
    }
}

/// How many expressions [`ShapeCx::each_at_least_zero`] splits one into.
const MAX_PARTS: usize = 16;

impl ShapeCx {
    /// An expression without loop indices that is at most `d`, or at least `d`, wherever all loops run whose indices
    /// `d` mentions. Where `d` is linear in an index and the sign of the factor is known, nothing is lost. `None` where
    /// nothing was found.
    ///
    /// ```
    /// use orogen_ir::shape::{End, ShapeCx};
    ///
    /// let mut cx = ShapeCx::new();
    /// let n = cx.sym("n");
    /// let i = cx.fresh_index("i", n);
    /// let at = cx.parse("n - 3*i + floordiv(i, 2)").unwrap();
    /// let least = cx.without_indices(at, End::Least).unwrap();
    /// assert_eq!(cx.display(least).to_string(), "-2*n + 3");
    /// # let _ = i;
    /// ```
    pub fn without_indices(&mut self, d: Dim, end: End) -> Option<Dim> {
        let mut d = d;
        loop {
            // The extent of an index mentions nothing that was made after it.
            let Some(index) = self.free_symbols(d).into_iter().filter(|it| self.is_index(*it)).max() else {
                return Some(d);
            };
            let Some((factor, rest)) = self.affine_in(d, index) else { return self.term_by_term(d, end) };
            let zero = self.int(0);
            let at = match () {
                () if self.is_le(zero, factor) => self.end_of_index(index, end),
                () if self.is_le(factor, zero) => self.end_of_index(index, !end),
                () => return self.term_by_term(d, end),
            }?;
            let part = self.mul(factor, at).ok()?;
            d = self.add(part, rest).ok()?;
        }
    }

    /// `d ≥ 0` holds exactly where each of these is at least 0: a minimum is split into its operands.
    pub fn each_at_least_zero(&mut self, d: Dim) -> Vec<Dim> {
        let mut whole = vec![d];
        let mut parts = Vec::new();
        while let Some(d) = whole.pop() {
            match self.split_extremum(d) {
                Some(split) if whole.len() + parts.len() + split.len() <= MAX_PARTS => whole.extend(split),
                _ => parts.push(d),
            }
        }
        parts
    }

    /// `d ≥ 0` holds where one of these is at least 0: an operand in the place of a minimum that is subtracted, or of a
    /// maximum that is added.
    pub fn either_at_least_zero(&mut self, d: Dim) -> Vec<Dim> {
        let minus = self.neg(d).ok().and_then(|it| self.split_extremum(it));
        minus.unwrap_or_default().into_iter().filter_map(|it| self.neg(it).ok()).collect()
    }

    /// The terms of an expression but the constant, each without its coefficient.
    pub fn monomials(&mut self, d: Dim) -> Vec<(Dim, i64)> {
        let p = self.poly(d).clone();
        let part = |cx: &mut Self, mono: &Mono| cx.intern(Poly::monomial(mono.clone(), 1)).ok();
        p.terms.iter().filter_map(|(mono, c)| Some((part(self, mono)?, *c))).collect()
    }

    fn is_index(&self, sym: Sym) -> bool {
        matches!(self.kind(sym), SymbolKind::Index { .. })
    }

    fn has_index(&self, id: AtomId) -> bool {
        match self.atom(id) {
            Atom::Sym(sym) => self.is_index(*sym),
            atom => operands(atom).any(|d| self.free_symbols(d).into_iter().any(|it| self.is_index(it))),
        }
    }

    /// The first index, or the last one, which an index outside of it may decide.
    fn end_of_index(&mut self, index: Sym, end: End) -> Option<Dim> {
        match (end, self.kind(index)) {
            (End::Least, _) => Some(self.int(0)),
            (End::Greatest, SymbolKind::Index { extent }) => self.add_int(extent, -1).ok(),
            (End::Greatest, _) => None,
        }
    }

    fn term_by_term(&mut self, d: Dim, end: End) -> Option<Dim> {
        let p = self.poly(d).clone();
        let mut sum = self.int(p.constant);
        for (mono, c) in &p.terms {
            let part = self.end_of_product(&mono.0, if *c > 0 { end } else { !end })?;
            let part = self.scale(part, *c).ok()?;
            sum = self.add(sum, part).ok()?;
        }
        Some(sum)
    }

    /// A product is monotonic in factors that are not negative.
    fn end_of_product(&mut self, factors: &[Factor], end: End) -> Option<Dim> {
        let alone = matches!(factors, [(_, 1)]);
        let mut product = self.int(1);
        for (id, power) in factors {
            let own = Poly::of_atom(*id);
            let value = match self.has_index(*id) {
                true => self.end_of_atom(*id, end)?,
                false => self.intern(own.clone()).ok()?,
            };
            let positive = |cx: &ShapeCx, p: &Poly| cx.range(p, Known::Facts).lo >= 0;
            let monotonic = alone || (positive(self, &own) && positive(self, self.poly(value)));
            if !monotonic {
                return None;
            }
            for _ in 0..*power {
                product = self.mul(product, value).ok()?;
            }
        }
        Some(product)
    }

    fn end_of_atom(&mut self, id: AtomId, end: End) -> Option<Dim> {
        let each = |cx: &mut ShapeCx, list: &[Dim]| -> Option<SmallVec<[Dim; 2]>> {
            list.iter().map(|d| cx.without_indices(*d, end)).collect()
        };
        match self.atom(id).clone() {
            Atom::Sym(index) => {
                let at = self.end_of_index(index, end)?;
                self.without_indices(at, end)
            }
            Atom::FloorDiv(a, k) => {
                let a = self.without_indices(a, end)?;
                self.floor_div(a, k).ok()
            }
            Atom::FloorDivSym(a, b) => {
                let fixed = !self.free_symbols(b).into_iter().any(|it| self.is_index(it));
                if !fixed || self.range(self.poly(b), Known::Facts).lo < 0 {
                    return None;
                }
                let a = self.without_indices(a, end)?;
                self.floor_div_dim(a, b).ok()
            }
            Atom::Min(list) => {
                let mut ends = each(self, &list)?;
                if end == End::Greatest {
                    ends.extend(self.middle(&list, end));
                }
                self.min(&ends).ok()
            }
            Atom::Max(list) => {
                let mut ends = each(self, &list)?;
                if end == End::Least {
                    ends.extend(self.middle(&list, end));
                }
                self.max(&ends).ok()
            }
            Atom::Broadcast(_) => None,
        }
    }

    /// The greater of two is at least half of their sum, the smaller one at most: `max(x, −x)` is never negative.
    fn middle(&mut self, list: &[Dim], end: End) -> Option<Dim> {
        let [a, b] = *list else { return None };
        let sum = self.add(a, b).ok()?;
        if self.free_symbols(sum).into_iter().any(|it| self.is_index(it)) {
            return None;
        }
        match end {
            End::Least => self.ceil_div(sum, 2).ok(),
            End::Greatest => self.floor_div(sum, 2).ok(),
        }
    }

    /// `d` with each operand in the place of a minimum that is added or a maximum that is subtracted.
    fn split_extremum(&mut self, d: Dim) -> Option<Vec<Dim>> {
        let p = self.poly(d).clone();
        let (id, c, list) = p.terms.iter().find_map(|(mono, c)| match mono.0[..] {
            [(id, 1)] => match self.atom(id) {
                Atom::Min(list) if *c > 0 => Some((id, *c, list.clone())),
                Atom::Max(list) if *c < 0 => Some((id, *c, list.clone())),
                _ => None,
            },
            _ => None,
        })?;
        let rest = p.sub(&Poly::monomial(Mono::atom(id), c)).ok()?;
        let with = |cx: &mut ShapeCx, it: &Dim| {
            let whole = rest.add_scaled(cx.poly(*it), c).ok()?;
            cx.intern(whole).ok()
        };
        list.iter().map(|it| with(self, it)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Dim, ShapeCx};
    use super::End;

    fn context() -> ShapeCx {
        let mut cx = ShapeCx::new();
        let (n, m) = (cx.sym("n"), cx.sym("m"));
        let i = cx.fresh_index("i", n);
        cx.fresh_index("j", m);
        let extent = cx.add_int(i, 1).expect("small");
        cx.fresh_index("k", extent);
        cx
    }

    fn ends(text: &str) -> [Option<String>; 2] {
        let mut cx = context();
        let d = cx.parse(text).expect("an expression");
        [End::Least, End::Greatest].map(|end| {
            let found = cx.without_indices(d, end)?;
            Some(cx.display(found).to_string())
        })
    }

    #[test]
    fn ends_of_expressions() {
        let some = |a: &str, b: &str| [Some(a.to_owned()), Some(b.to_owned())];
        assert_eq!(ends("7"), some("7", "7"));
        assert_eq!(ends("2*i - j + m"), some("1", "m + 2*n - 2"));
        assert_eq!(ends("i*m + j"), some("0", "m*n - 1"));
        // An extent that depends on an index outside.
        assert_eq!(ends("i - k"), some("0", "n - 1"));
        assert_eq!(ends("min(i, 3) + floordiv(j, 2)"), some("0", "floordiv(m + 1, 2) + min(n - 1, 3) - 1"));
        assert_eq!(ends("floordiv(i, m)"), some("0", "floordiv(n - 1, m)"));
        // A distance.
        assert_eq!(ends("max(i - 3, 3 - i)"), some("max(-n + 4, 0)", "max(n - 4, 3)"));
        // The sign of the factor decides the end, and is not known.
        assert_eq!(ends("i*(n - m)")[1], None);
    }

    #[test]
    fn minima_split_into_operands() {
        let mut cx = context();
        let d = cx.parse("min(n, m) - max(n, 4) + 1").expect("an expression");
        let mut parts: Vec<String> =
            cx.each_at_least_zero(d).into_iter().map(|it: Dim| cx.display(it).to_string()).collect();
        parts.sort();
        assert_eq!(parts, ["1", "m - 3", "m - n + 1", "n - 3"].map(str::to_owned));
        let d = cx.parse("max(n, m) - 1").expect("an expression");
        assert_eq!(cx.each_at_least_zero(d), [d]);
    }
}
