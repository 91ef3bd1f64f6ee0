//! The context that owns symbols, atoms and interned polynomials.

use indexmap::IndexMap;

use super::bounds::{Known, Range, Ranges};
use super::facts::Facts;
use super::poly::{Atom, AtomId, Mono, Poly};
use super::symbol::{SymbolInfo, SymbolKind};
use super::{Dim, Overflow, Sym};

/// The largest written-out size of an expression, in nodes; beyond it arithmetic reports [`Overflow`].
///
/// Handles share sub-expressions, so an unbounded chain of operations could describe an expression
/// whose text is exponentially long. The bound keeps every walk over an expression cheap.
pub const MAX_SIZE: u32 = 4096;
/// The deepest nesting of floor divisions, minima and maxima; beyond it arithmetic reports [`Overflow`].
pub const MAX_DEPTH: u32 = 64;

#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Measure {
    pub(super) size: u32,
    pub(super) depth: u32,
}

/// Owner of symbols, expressions and facts; every question about a [`Dim`] goes through it.
///
/// A handle means something only in the context that made it (and in its clones).
/// Use [`import`](ShapeCx::import) to carry an expression over.
/// Passing a handle of another context is a programming error and may panic.
#[derive(Clone, Debug, Default)]
pub struct ShapeCx {
    pub(super) dims: IndexMap<Poly, Measure>,
    /// With the range that follows from the kinds of symbols alone.
    pub(super) atoms: IndexMap<Atom, Range>,
    pub(super) symbols: IndexMap<String, SymbolInfo>,
    /// The last suffix that a fresh name took, by what it was to be like: names before it are taken.
    suffixes: IndexMap<String, u64>,
    pub(super) facts: Facts,
}

impl ShapeCx {
    /// An empty context.
    pub fn new() -> ShapeCx {
        ShapeCx::default()
    }

    /// The size symbol called `name` (≥ 0), created if it does not exist, as an expression.
    pub fn sym(&mut self, name: &str) -> Dim {
        let sym = self.symbol(name);
        self.sym_dim(sym)
    }

    /// The symbol called `name`, created as a size (≥ 0) if it does not exist.
    pub fn symbol(&mut self, name: &str) -> Sym {
        self.symbol_of_kind(name, SymbolKind::Size)
    }

    /// The symbol called `name`, created as any integer, negative ones too, if it does not exist.
    /// An existing symbol keeps its kind.
    pub fn integer(&mut self, name: &str) -> Dim {
        let sym = self.symbol_of_kind(name, SymbolKind::Integer);
        self.sym_dim(sym)
    }

    /// A new size symbol whose name was not used before: `hint`, `hint_1`, `hint_2`, …
    pub fn fresh(&mut self, hint: &str) -> Dim {
        self.fresh_of_kind(hint, SymbolKind::Size)
    }

    /// A new symbol that may be any integer, named as by [`fresh`](ShapeCx::fresh).
    pub fn fresh_integer(&mut self, hint: &str) -> Dim {
        self.fresh_of_kind(hint, SymbolKind::Integer)
    }

    /// A new symbol of the kind of another one, named as by [`fresh`](ShapeCx::fresh).
    pub fn fresh_like(&mut self, sym: Sym, hint: &str) -> Dim {
        let kind = self.kind(sym);
        self.fresh_of_kind(hint, kind)
    }

    /// A new loop index, `0 ≤ index < extent` wherever the loop body runs, named as by
    /// [`fresh`](ShapeCx::fresh).
    ///
    /// What follows of the extent alone (`extent ≥ 1`) is used only in questions that mention the index:
    /// outside the loop the extent may be zero.
    pub fn fresh_index(&mut self, hint: &str, extent: Dim) -> Dim {
        self.fresh_of_kind(hint, SymbolKind::Index { extent })
    }

    fn fresh_of_kind(&mut self, hint: &str, kind: SymbolKind) -> Dim {
        let mut name = hint.to_owned();
        if self.symbols.contains_key(&name) {
            let mut n = self.suffixes.get(hint).copied().unwrap_or(0);
            while self.symbols.contains_key(&name) {
                n += 1;
                name = format!("{hint}_{n}");
            }
            self.suffixes.insert(hint.to_owned(), n);
        }
        let sym = self.symbol_of_kind(&name, kind);
        self.sym_dim(sym)
    }

    pub(super) fn symbol_of_kind(&mut self, name: &str, kind: SymbolKind) -> Sym {
        if let Some(sym) = self.find_sym(name) {
            return sym;
        }
        let info = SymbolInfo { kind };
        let (at, _) = self.symbols.insert_full(name.to_owned(), info);
        Sym(handle(at))
    }

    /// The expression that is just `sym`.
    pub fn sym_dim(&mut self, sym: Sym) -> Dim {
        let atom = self.intern_atom(Atom::Sym(sym));
        self.intern_leaf(Poly::of_atom(atom))
    }

    /// The expression that is just `sym`, if it occurs in this context: always, once `sym` is part of any
    /// expression.
    pub fn find_sym_dim(&self, sym: Sym) -> Option<Dim> {
        let atom = self.atoms.get_index_of(&Atom::Sym(sym))?;
        self.find_atom_dim(AtomId(handle(atom)))
    }

    /// The expression that is just `atom`, if it occurs by itself.
    pub(super) fn find_atom_dim(&self, atom: AtomId) -> Option<Dim> {
        Some(Dim(handle(self.dims.get_index_of(&Poly::of_atom(atom))?)))
    }

    /// The symbol called `name`, if there is one.
    pub fn find_sym(&self, name: &str) -> Option<Sym> {
        self.symbols.get_index_of(name).map(|at| Sym(handle(at)))
    }

    /// The name of a symbol, unquoted.
    pub fn name(&self, sym: Sym) -> &str {
        self.symbols.get_index(sym.0 as usize).expect("a symbol of this context").0
    }

    /// What the symbol was created as.
    pub fn kind(&self, sym: Sym) -> SymbolKind {
        self.symbols[sym.0 as usize].kind
    }

    /// All symbols, in the order of their creation.
    pub fn symbols(&self) -> impl ExactSizeIterator<Item = Sym> + use<> {
        (0..handle(self.symbols.len())).map(Sym)
    }

    /// The constant `value`.
    pub fn int(&mut self, value: i64) -> Dim {
        self.intern_leaf(Poly::int(value))
    }

    /// The value of a constant expression.
    pub fn as_int(&self, d: Dim) -> Option<i64> {
        self.poly(d).as_int()
    }

    /// The symbol, if the expression is nothing but one.
    pub fn as_sym(&self, d: Dim) -> Option<Sym> {
        match self.atom(self.poly(d).as_atom()?) {
            Atom::Sym(sym) => Some(*sym),
            _ => None,
        }
    }

    /// The canonical polynomial behind a handle, for code that lowers it.
    pub fn poly(&self, d: Dim) -> &Poly {
        self.dims.get_index(d.0 as usize).expect("an expression of this context").0
    }

    /// The atom behind a handle.
    pub fn atom(&self, id: AtomId) -> &Atom {
        self.atoms.get_index(id.0 as usize).expect("an atom of this context").0
    }

    pub(super) fn kind_range(&self, id: AtomId) -> Range {
        self.atoms[id.0 as usize]
    }

    pub(super) fn measure(&self, d: Dim) -> Measure {
        self.dims[d.0 as usize]
    }

    pub(super) fn intern_atom(&mut self, atom: Atom) -> AtomId {
        if let Some(at) = self.atoms.get_index_of(&atom) {
            return AtomId(handle(at));
        }
        let range = Ranges::new(self, Known::Kinds).compute(&atom);
        AtomId(handle(self.atoms.insert_full(atom, range).0))
    }

    pub(super) fn intern(&mut self, poly: Poly) -> Result<Dim, Overflow> {
        if let Some(at) = self.dims.get_index_of(&poly) {
            return Ok(Dim(handle(at)));
        }
        let mut measure = Measure { size: 1, depth: 0 };
        for (mono, _) in &poly.terms {
            let m = self.measure_mono(mono);
            measure.size = measure.size.saturating_add(m.size);
            measure.depth = measure.depth.max(m.depth);
        }
        if measure.size > MAX_SIZE || measure.depth > MAX_DEPTH {
            return Err(Overflow);
        }
        Ok(Dim(handle(self.dims.insert_full(poly, measure).0)))
    }

    fn measure_mono(&self, mono: &Mono) -> Measure {
        let mut total = Measure { size: 1, depth: 0 };
        for &(id, power) in &mono.0 {
            let mut m = Measure { size: 1, depth: 0 };
            for operand in operands(self.atom(id)) {
                let inner = self.measure(operand);
                m.size = m.size.saturating_add(inner.size);
                m.depth = m.depth.max(inner.depth + 1);
            }
            total.size = total.size.saturating_add(m.size.saturating_mul(power));
            total.depth = total.depth.max(m.depth);
        }
        total
    }

    fn intern_leaf(&mut self, poly: Poly) -> Dim {
        self.intern(poly).expect("a constant or a symbol is within every limit")
    }

    /// The expression that is just `atom`, whose operands must be canonical.
    pub(super) fn atom_dim(&mut self, atom: Atom) -> Result<Dim, Overflow> {
        let id = self.intern_atom(atom);
        self.intern(Poly::of_atom(id))
    }
}

/// The expressions inside an atom.
pub(super) fn operands(atom: &Atom) -> impl Iterator<Item = Dim> + use<> {
    let list: smallvec::SmallVec<[Dim; 2]> = match atom {
        Atom::Sym(_) => smallvec::SmallVec::new(),
        Atom::FloorDiv(a, _) => smallvec::smallvec![*a],
        Atom::FloorDivSym(a, b) => smallvec::smallvec![*a, *b],
        Atom::Min(list) | Atom::Max(list) | Atom::Broadcast(list) => list.clone(),
    };
    list.into_iter()
}

fn handle(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2^32 entries in a context")
}
