//! Rebuilding expressions: substitution, import from another context, and looking inside.

use indexmap::IndexMap;
use smallvec::SmallVec;

use super::bounds::Known;
use super::context::operands;
use super::poly::{Atom, AtomId, Mono, Poly};
use super::symbol::SymbolKind;
use super::{Dim, Overflow, ShapeCx, Sym};

/// What stands for a symbol in the rebuilt expression.
type Leaf<'a> = &'a mut dyn FnMut(&mut ShapeCx, Sym) -> Dim;

impl ShapeCx {
    /// `d` with expressions for symbols, all at once: what is put in is not substituted again.
    ///
    /// [`Overflow`] also when a divisor becomes zero.
    pub fn substitute(&mut self, d: Dim, map: &IndexMap<Sym, Dim>) -> Result<Dim, Overflow> {
        let mut leaf = |cx: &mut ShapeCx, sym: Sym| match map.get(&sym) {
            Some(d) => *d,
            None => cx.sym_dim(sym),
        };
        self.rebuild(None, d, &IndexMap::new(), &mut leaf)
    }

    /// The expression `d` of another context in this one.
    ///
    /// Symbols are matched by name; those that do not exist here are created with their kinds.
    /// A name that exists here keeps its kind: give unrelated symbols different names, or use
    /// [`import_with`](ShapeCx::import_with). Facts stay behind.
    pub fn import(&mut self, other: &ShapeCx, d: Dim) -> Dim {
        // A renaming of symbols merges no terms, so numbers, terms and sizes stay what they are.
        let poly = other.poly(d);
        let mut terms: SmallVec<[(Mono, i64); 2]> = SmallVec::new();
        for (mono, coefficient) in &poly.terms {
            let mut factors: SmallVec<[(AtomId, u32); 2]> =
                mono.0.iter().map(|&(id, power)| (self.import_atom(other, id), power)).collect();
            factors.sort_unstable();
            terms.push((Mono(factors), *coefficient));
        }
        terms.sort_unstable();
        let renamed = Poly { constant: poly.constant, terms };
        self.intern(renamed).expect("a renamed expression is as large as the original")
    }

    fn import_atom(&mut self, other: &ShapeCx, id: AtomId) -> AtomId {
        let list = |cx: &mut ShapeCx, dims: &[Dim]| {
            let mut list: SmallVec<[Dim; 2]> = dims.iter().map(|&d| cx.import(other, d)).collect();
            list.sort_unstable();
            list
        };
        let atom = match other.atom(id) {
            Atom::Sym(sym) => Atom::Sym(self.import_symbol(other, *sym)),
            Atom::FloorDiv(a, k) => Atom::FloorDiv(self.import(other, *a), *k),
            Atom::FloorDivSym(a, b) => Atom::FloorDivSym(self.import(other, *a), self.import(other, *b)),
            Atom::Min(dims) => Atom::Min(list(self, dims)),
            Atom::Max(dims) => Atom::Max(list(self, dims)),
            Atom::Broadcast(dims) => Atom::Broadcast(list(self, dims)),
        };
        self.intern_atom(atom)
    }

    /// The symbol of the same name, created with the same kind if it does not exist.
    pub fn import_symbol(&mut self, other: &ShapeCx, sym: Sym) -> Sym {
        let name = other.name(sym);
        if let Some(sym) = self.find_sym(name) {
            return sym;
        }
        let kind = match other.kind(sym) {
            SymbolKind::Index { extent } => SymbolKind::Index { extent: self.import(other, extent) },
            kind => kind,
        };
        self.symbol_of_kind(name, kind)
    }

    /// Whether `d` here and `other_dim` in `other` are one expression over symbols of the same names and kinds, made in
    /// the same order. Kept in another order, equal expressions may be told apart.
    pub fn same_as(&self, d: Dim, other: &ShapeCx, other_dim: Dim) -> bool {
        let (a, b) = (self.poly(d), other.poly(other_dim));
        a.constant == b.constant
            && a.terms.len() == b.terms.len()
            && a.terms.iter().zip(&b.terms).all(|((mono, coefficient), (other_mono, other_coefficient))| {
                coefficient == other_coefficient
                    && mono.0.len() == other_mono.0.len()
                    && mono.0.iter().zip(&other_mono.0).all(|((atom, power), (other_atom, other_power))| {
                        power == other_power && self.same_atom(*atom, other, *other_atom)
                    })
            })
    }

    fn same_atom(&self, id: AtomId, other: &ShapeCx, other_id: AtomId) -> bool {
        let all = |a: &[Dim], b: &[Dim]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.same_as(*a, other, *b))
        };
        match (self.atom(id), other.atom(other_id)) {
            (Atom::Sym(a), Atom::Sym(b)) => {
                let kinds = match (self.kind(*a), other.kind(*b)) {
                    (SymbolKind::Index { extent }, SymbolKind::Index { extent: other_extent }) => {
                        self.same_as(extent, other, other_extent)
                    }
                    (a, b) => a == b,
                };
                kinds && self.name(*a) == other.name(*b)
            }
            (Atom::FloorDiv(a, k), Atom::FloorDiv(b, m)) => k == m && self.same_as(*a, other, *b),
            (Atom::FloorDivSym(a, k), Atom::FloorDivSym(b, m)) => all(&[*a, *k], &[*b, *m]),
            (Atom::Min(a), Atom::Min(b)) | (Atom::Max(a), Atom::Max(b)) => all(a, b),
            _ => false,
        }
    }

    /// The expression `d` of another context in this one, with `leaf` choosing what stands for each symbol.
    pub fn import_with(&mut self, other: &ShapeCx, d: Dim, leaf: Leaf<'_>) -> Result<Dim, Overflow> {
        self.rebuild(Some(other), d, &IndexMap::new(), leaf)
    }

    /// As [`import_with`](ShapeCx::import_with), with expressions of `other` standing for others of it, wherever these
    /// are a whole expression, an operand, or a factor that is one symbol or operation. What is put in is not looked
    /// at again.
    pub fn import_replacing(
        &mut self,
        other: &ShapeCx,
        d: Dim,
        over: &IndexMap<Dim, Dim>,
        leaf: Leaf<'_>,
    ) -> Result<Dim, Overflow> {
        self.rebuild(Some(other), d, over, leaf)
    }

    fn rebuild(
        &mut self,
        source: Option<&ShapeCx>,
        d: Dim,
        over: &IndexMap<Dim, Dim>,
        leaf: Leaf<'_>,
    ) -> Result<Dim, Overflow> {
        if let Some(other) = over.get(&d) {
            return self.rebuild(source, *other, &IndexMap::new(), leaf);
        }
        let poly = source.unwrap_or(self).poly(d).clone();
        let mut sum = Poly::int(poly.constant);
        for (mono, coefficient) in &poly.terms {
            let mut product = Poly::int(*coefficient);
            for &(id, power) in &mono.0 {
                let atom = self.rebuild_atom(source, id, over, leaf)?;
                for _ in 0..power {
                    product = product.mul(self.poly(atom))?;
                }
            }
            sum = sum.add(&product)?;
        }
        self.intern(sum)
    }

    fn rebuild_atom(
        &mut self,
        source: Option<&ShapeCx>,
        id: AtomId,
        over: &IndexMap<Dim, Dim>,
        leaf: Leaf<'_>,
    ) -> Result<Dim, Overflow> {
        if let Some(other) = source.unwrap_or(self).find_atom_dim(id).and_then(|it| over.get(&it)) {
            return self.rebuild(source, *other, &IndexMap::new(), leaf);
        }
        let atom = source.unwrap_or(self).atom(id).clone();
        match &atom {
            Atom::Sym(sym) => return Ok(leaf(self, *sym)),
            Atom::FloorDiv(a, k) => {
                let a = self.rebuild(source, *a, over, leaf)?;
                return self.floor_div(a, *k);
            }
            Atom::FloorDivSym(a, b) => {
                let (a, b) = (self.rebuild(source, *a, over, leaf)?, self.rebuild(source, *b, over, leaf)?);
                return self.floor_div_dim(a, b);
            }
            Atom::Min(_) | Atom::Max(_) | Atom::Broadcast(_) => {}
        }
        let mut list: SmallVec<[Dim; 4]> = SmallVec::new();
        for operand in operands(&atom) {
            list.push(self.rebuild(source, operand, over, leaf)?);
        }
        self.rebuild_list(&atom, &list, Known::Kinds)
    }

    /// The symbols of an expression, each once, in the order of first occurrence.
    pub fn free_symbols(&self, d: Dim) -> SmallVec<[Sym; 4]> {
        self.poly_symbols(self.poly(d))
    }

    pub(super) fn poly_symbols(&self, p: &Poly) -> SmallVec<[Sym; 4]> {
        let mut out = SmallVec::new();
        self.push_symbols(p, &mut out);
        out
    }

    fn push_symbols(&self, p: &Poly, out: &mut SmallVec<[Sym; 4]>) {
        for &(id, _) in p.terms.iter().flat_map(|(mono, _)| &mono.0) {
            match self.atom(id) {
                Atom::Sym(sym) if !out.contains(sym) => out.push(*sym),
                atom => operands(atom).for_each(|d| self.push_symbols(self.poly(d), out)),
            }
        }
    }

    /// Whether `sym` occurs in `d`.
    pub fn mentions(&self, d: Dim, sym: Sym) -> bool {
        self.poly_mentions(self.poly(d), sym)
    }

    pub(super) fn poly_mentions(&self, p: &Poly, sym: Sym) -> bool {
        p.terms.iter().flat_map(|(mono, _)| &mono.0).any(|&(id, _)| self.atom_mentions(id, sym))
    }

    /// Whether an atom occurs inside other atoms of `p`.
    pub(super) fn occurs_inside(&self, id: AtomId, p: &Poly) -> bool {
        p.terms.iter().flat_map(|(mono, _)| &mono.0).any(|&(outer, _)| {
            operands(self.atom(outer)).any(|d| {
                let inner = self.poly(d);
                let here = inner.terms.iter().any(|(mono, _)| mono.power_of(id) > 0);
                here || self.occurs_inside(id, inner)
            })
        })
    }

    fn atom_mentions(&self, id: AtomId, sym: Sym) -> bool {
        match self.atom(id) {
            Atom::Sym(found) => *found == sym,
            atom => operands(atom).any(|d| self.mentions(d, sym)),
        }
    }

    /// `(coefficient, rest)` with `d = coefficient·sym + rest` and neither mentioning `sym`;
    /// `None` if `sym` occurs in a power, or inside a division, minimum or maximum.
    ///
    /// ```
    /// use orogen_ir::shape::ShapeCx;
    ///
    /// let mut cx = ShapeCx::new();
    /// let at = cx.parse("i*cols*4 + j*4 + 2").unwrap();
    /// let i = cx.find_sym("i").unwrap();
    /// let (stride, rest) = cx.affine_in(at, i).unwrap();
    /// assert_eq!(cx.display(stride).to_string(), "4*cols");
    /// assert_eq!(cx.display(rest).to_string(), "4*j + 2");
    /// ```
    pub fn affine_in(&mut self, d: Dim, sym: Sym) -> Option<(Dim, Dim)> {
        let p = self.poly(d);
        let (mut coefficient, mut rest) = (Poly::int(0), Poly::int(p.constant));
        for (mono, c) in &p.terms {
            let mut found = mono.0.iter().filter(|(id, _)| self.atom_mentions(*id, sym));
            match (found.next(), found.next()) {
                (None, _) => rest = rest.add(&Poly::monomial(mono.clone(), *c)).ok()?,
                (Some(&(id, 1)), None) if *self.atom(id) == Atom::Sym(sym) => {
                    let others = mono.div(&Mono::atom(id))?;
                    coefficient = coefficient.add(&Poly::monomial(others, *c)).ok()?;
                }
                _ => return None,
            }
        }
        Some((self.intern(coefficient).ok()?, self.intern(rest).ok()?))
    }
}
