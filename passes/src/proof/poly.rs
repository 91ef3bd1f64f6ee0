//! The normal form: sums of products over atoms, each perhaps summed over bound indices and guarded by conditions on
//! indices, and when two of them are the same.
//!
//! One form serves three kinds of numbers ([`Ring`]). Over the reals and over integers that wrap it is a polynomial. Where
//! every bit counts it is a list of cases, each of one atom: nothing is distributed, collected or cancelled.

use super::cases::{Indices, Step};
use super::ratio::Ratio;
use super::term::{Bound, Source};
use indexmap::IndexMap;
use orogen_ir::loops::{BinaryOp, Combine, CompareOp, UnaryOp};
use orogen_ir::shape::{Constraint, Dim, Sym};
use orogen_ir::types::DType;
use std::rc::Rc;

/// In which numbers an expression is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ring {
    /// The reals: floats of rules that reassociate.
    Real,
    /// Integers of a type, which wrap.
    Int(DType),
    /// Values of a type, bit by bit.
    Exact(DType),
}

/// A sum, or in [`Ring::Exact`] a list of cases.
#[derive(Clone, Debug)]
pub(super) struct Poly {
    pub(super) ring: Ring,
    pub(super) terms: Vec<Summand>,
}

/// `Σ over axes of [guards ≥ 0] · coefficient · Π factors`.
#[derive(Clone, Debug)]
pub(super) struct Summand {
    pub(super) coefficient: Ratio,
    pub(super) axes: Vec<Bound>,
    pub(super) guards: Vec<Dim>,
    pub(super) factors: Vec<Factor>,
}

/// An atom and its power, not 0.
pub(super) type Factor = (Rc<Atom>, i32);

/// What a sum is made of.
#[derive(Clone, Debug)]
pub(super) enum Atom {
    /// An element of a parameter or constant.
    Load { source: Source, dtype: DType, at: Vec<Place>, otherwise: Option<Rc<Poly>> },
    /// A symbol or operation of an index expression.
    Size(Dim),
    /// A float that is no small rational number, or one bit by bit.
    Float(u64, DType),
    /// A truth value.
    Bool(bool),
    /// A function of normal forms, with the type of its operands.
    Apply(Fun, DType, Vec<Rc<Poly>>),
    /// A sum as a factor, with a power below 0.
    Nested(Rc<Poly>),
    /// A reduction that is not taken apart.
    Reduce(Combine, Vec<Bound>, Rc<Poly>),
    /// The greatest of items, or the least.
    Extreme(bool, Vec<Item>),
    /// Equal to nothing.
    Undefined,
}

/// The values of an expression over bound indices where guards hold, one of those that the greatest is chosen from.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) axes: Vec<Bound>,
    pub(super) guards: Vec<Dim>,
    pub(super) value: Rc<Poly>,
}

/// One dimension of the place of a load.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Dim(Dim),
    Data(Rc<Poly>, bool),
}

/// A function of normal forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fun {
    Unary(UnaryOp),
    Binary(BinaryOp),
    Compare(CompareOp),
    Select,
    /// To this type.
    Cast(DType),
}

impl Poly {
    pub(super) fn zero(ring: Ring) -> Poly {
        Poly { ring, terms: Vec::new() }
    }

    pub(super) fn constant(ring: Ring, value: Ratio) -> Poly {
        let one = Summand { coefficient: value, axes: Vec::new(), guards: Vec::new(), factors: Vec::new() };
        Poly { ring, terms: if value.is_zero() { Vec::new() } else { vec![one] } }
    }

    pub(super) fn of(ring: Ring, atom: Atom) -> Poly {
        Self::power(ring, Rc::new(atom), 1)
    }

    pub(super) fn power(ring: Ring, atom: Rc<Atom>, power: i32) -> Poly {
        let factors = if power == 0 { Vec::new() } else { vec![(atom, power)] };
        let (axes, guards) = (Vec::new(), Vec::new());
        Poly { ring, terms: vec![Summand { coefficient: Ratio::ONE, axes, guards, factors }] }
    }

    /// The number that it is.
    pub(super) fn as_constant(&self) -> Option<Ratio> {
        match &self.terms[..] {
            [] if !matches!(self.ring, Ring::Exact(_)) => Some(Ratio::ZERO),
            [one] if one.is_number() && !matches!(self.ring, Ring::Exact(_)) => Some(one.coefficient),
            _ => None,
        }
    }

    /// The atom that it is, alone.
    pub(super) fn as_atom(&self) -> Option<&Rc<Atom>> {
        match &self.terms[..] {
            [one] if one.coefficient == Ratio::ONE && one.axes.is_empty() && one.guards.is_empty() => {
                match &one.factors[..] {
                    [(atom, 1)] => Some(atom),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    pub(super) fn mentions(&self, cx: &Indices, sym: Sym) -> bool {
        self.terms.iter().any(|it| it.mentions(cx, sym))
    }
}

fn mention(cx: &Indices, dims: &[Dim], sym: Sym) -> bool {
    dims.iter().any(|it| cx.cx.mentions(*it, sym))
}

fn bounds_mention(cx: &Indices, axes: &[Bound], sym: Sym) -> bool {
    axes.iter().any(|it| cx.cx.mentions(it.extent, sym))
}

impl Summand {
    pub(super) fn is_number(&self) -> bool {
        self.axes.is_empty() && self.guards.is_empty() && self.factors.is_empty()
    }

    pub(super) fn mentions(&self, cx: &Indices, sym: Sym) -> bool {
        // An axis hides an index of the same symbol outside.
        if self.axes.iter().any(|it| it.var == sym) {
            return bounds_mention(cx, &self.axes, sym);
        }
        mention(cx, &self.guards, sym)
            || bounds_mention(cx, &self.axes, sym)
            || self.factors.iter().any(|(it, _)| it.mentions(cx, sym))
    }

    /// Whether a guard is a condition on the summand as a whole: it mentions none of the axes.
    pub(super) fn open_guard(&self, cx: &Indices) -> Option<Dim> {
        let own = |guard: &&Dim| !self.axes.iter().any(|axis| cx.cx.mentions(**guard, axis.var));
        self.guards.iter().find(own).copied()
    }
}

impl Atom {
    pub(super) fn mentions(&self, cx: &Indices, sym: Sym) -> bool {
        match self {
            Atom::Load { at, otherwise, .. } => {
                let places = at.iter().any(|it| match it {
                    Place::Dim(d) => cx.cx.mentions(*d, sym),
                    Place::Data(value, _) => value.mentions(cx, sym),
                });
                places || otherwise.as_ref().is_some_and(|it| it.mentions(cx, sym))
            }
            Atom::Size(d) => cx.cx.mentions(*d, sym),
            Atom::Float(..) | Atom::Bool(_) | Atom::Undefined => false,
            Atom::Apply(_, _, args) => args.iter().any(|it| it.mentions(cx, sym)),
            Atom::Nested(value) => value.mentions(cx, sym),
            Atom::Reduce(_, axes, value) => {
                bounds_mention(cx, axes, sym)
                    || (axes.iter().all(|it| it.var != sym) && value.mentions(cx, sym))
            }
            Atom::Extreme(_, items) => {
                items.iter().filter(|it| it.axes.iter().all(|it| it.var != sym)).any(|it| {
                    bounds_mention(cx, &it.axes, sym)
                        || mention(cx, &it.guards, sym)
                        || it.value.mentions(cx, sym)
                })
            }
        }
    }
}

/// What the bound indices of the second of two expressions are in the first.
pub(super) type Renaming = IndexMap<Sym, Dim>;

/// Comparisons in one proof.
const MAX_COMPARISONS: usize = 400_000;

/// Decides whether two normal forms are the same.
pub(super) struct Same<'a> {
    pub(super) cx: &'a mut Indices,
    pub(super) left: usize,
}

impl<'a> Same<'a> {
    pub(super) fn new(cx: &'a mut Indices) -> Self {
        Same { cx, left: MAX_COMPARISONS }
    }

    fn dim(&mut self, a: Dim, b: Dim, names: &Renaming) -> bool {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            return false;
        }
        let renamed = match names.is_empty() {
            true => Ok(b),
            false => self.cx.cx.substitute(b, names),
        };
        renamed.is_ok_and(|b| a == b || self.cx.cx.prove_eq(a, b).is_always())
    }

    pub(super) fn poly(&mut self, a: &Poly, b: &Poly, names: &Renaming) -> bool {
        if a.ring != b.ring || a.terms.len() != b.terms.len() {
            return false;
        }
        let mut rest: Vec<&Summand> = b.terms.iter().collect();
        a.terms.iter().all(|it| {
            let found = rest
                .iter()
                .position(|other| other.coefficient == it.coefficient && self.summand(it, other, names));
            found.map(|at| rest.remove(at)).is_some()
        })
    }

    /// Whether two summands differ in their coefficients at most.
    pub(super) fn summand(&mut self, a: &Summand, b: &Summand, names: &Renaming) -> bool {
        a.factors.len() == b.factors.len()
            && shapes_agree(&a.factors, &b.factors)
            && self.over_axes(&a.axes, &b.axes, names, &mut |cx, names| {
                cx.factors(&a.factors, &b.factors, names) && cx.guards(&a.guards, &b.guards, names)
            })
    }

    /// Whether a body is the same for some pairing of axes of equal extents.
    fn over_axes(
        &mut self,
        a: &[Bound],
        b: &[Bound],
        names: &Renaming,
        body: &mut dyn FnMut(&mut Self, &Renaming) -> bool,
    ) -> bool {
        let Some((first, rest)) = a.split_first() else { return b.is_empty() && body(self, names) };
        if a.len() != b.len() {
            return false;
        }
        let Some(var) = self.cx.cx.find_sym_dim(first.var) else { return false };
        // A symbol that stands for an outer axis already would stand for two.
        if names.values().any(|it| *it == var) {
            return false;
        }
        (0..b.len()).any(|at| {
            if !self.dim(first.extent, b[at].extent, names) {
                return false;
            }
            let mut names = names.clone();
            names.insert(b[at].var, var);
            let others: Vec<Bound> =
                b.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, it)| *it).collect();
            self.over_axes(rest, &others, &names, body)
        })
    }

    fn factors(&mut self, a: &[Factor], b: &[Factor], names: &Renaming) -> bool {
        let mut rest: Vec<&Factor> = b.iter().collect();
        a.iter().all(|(atom, power)| {
            let found = rest.iter().position(|other| other.1 == *power && self.atom(atom, &other.0, names));
            found.map(|at| rest.remove(at)).is_some()
        })
    }

    /// Whether guards hold together in the same places.
    fn guards(&mut self, a: &[Dim], b: &[Dim], names: &Renaming) -> bool {
        if a.is_empty() && b.is_empty() {
            return true;
        }
        let renamed: Result<Vec<Dim>, _> = b.iter().map(|it| self.cx.cx.substitute(*it, names)).collect();
        let Ok(b) = renamed else { return false };
        let mut follows = |from: &[Dim], to: &[Dim]| {
            let all = |cx: &mut Indices| {
                Ok(to.iter().all(|it| cx.cx.prove(Constraint::AtLeast(*it, 0)).is_always()))
            };
            matches!(self.cx.assuming(from, all), Ok(Some(true) | None))
        };
        follows(a, &b) && follows(&b, a)
    }

    pub(super) fn atom(&mut self, a: &Atom, b: &Atom, names: &Renaming) -> bool {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            return false;
        }
        match (a, b) {
            (
                Atom::Load { source, dtype, at, otherwise },
                Atom::Load { source: other, dtype: other_type, at: other_at, otherwise: or },
            ) => {
                source == other
                    && dtype == other_type
                    && at.len() == other_at.len()
                    && at.iter().zip(other_at).all(|(a, b)| self.place(a, b, names))
                    && match (otherwise, or) {
                        (None, None) => true,
                        (Some(a), Some(b)) => self.poly(a, b, names),
                        _ => false,
                    }
            }
            (Atom::Size(a), Atom::Size(b)) => self.dim(*a, *b, names),
            (Atom::Float(a, x), Atom::Float(b, y)) => a == b && x == y,
            (Atom::Bool(a), Atom::Bool(b)) => a == b,
            (Atom::Nested(a), Atom::Nested(b)) => self.poly(a, b, names),
            (Atom::Apply(f, x, a), Atom::Apply(g, y, b)) => {
                f == g && x == y && a.len() == b.len() && self.operands(*f, a, b, names)
            }
            (Atom::Reduce(f, x, a), Atom::Reduce(g, y, b)) => {
                f == g && self.over_axes(x, y, names, &mut |cx, names| cx.poly(a, b, names))
            }
            (Atom::Extreme(f, a), Atom::Extreme(g, b)) => {
                f == g && a.len() == b.len() && {
                    let mut rest: Vec<&Item> = b.iter().collect();
                    a.iter().all(|it| {
                        let found = rest.iter().position(|other| self.item(it, other, names));
                        found.map(|at| rest.remove(at)).is_some()
                    })
                }
            }
            _ => false,
        }
    }

    pub(super) fn item(&mut self, a: &Item, b: &Item, names: &Renaming) -> bool {
        self.over_axes(&a.axes, &b.axes, names, &mut |cx, names| {
            cx.poly(&a.value, &b.value, names) && cx.guards(&a.guards, &b.guards, names)
        })
    }

    fn place(&mut self, a: &Place, b: &Place, names: &Renaming) -> bool {
        match (a, b) {
            (Place::Dim(a), Place::Dim(b)) => self.dim(*a, *b, names),
            (Place::Data(a, x), Place::Data(b, y)) => x == y && self.poly(a, b, names),
            _ => false,
        }
    }

    fn operands(&mut self, f: Fun, a: &[Rc<Poly>], b: &[Rc<Poly>], names: &Renaming) -> bool {
        if a.iter().zip(b).all(|(a, b)| self.poly(a, b, names)) {
            return true;
        }
        match (f.is_commutative(), a, b) {
            (true, [x, y], [z, w]) => self.poly(x, w, names) && self.poly(y, z, names),
            _ => false,
        }
    }
}

/// Whether factors are of the same kinds, which is quick to see.
fn shapes_agree(a: &[Factor], b: &[Factor]) -> bool {
    let kind = |(atom, power): &Factor| match &**atom {
        Atom::Load { source: Source::Param(i), .. } => (0, *i, *power),
        Atom::Load { source: Source::Constant(i), .. } => (1, *i, *power),
        Atom::Size(_) => (2, 0, *power),
        Atom::Apply(..) => (3, 0, *power),
        Atom::Nested(_) => (4, 0, *power),
        Atom::Reduce(..) => (5, 0, *power),
        Atom::Extreme(..) => (6, 0, *power),
        Atom::Float(..) | Atom::Bool(_) | Atom::Undefined => (7, 0, *power),
    };
    let sorted = |list: &[Factor]| {
        let mut kinds: Vec<_> = list.iter().map(kind).collect();
        kinds.sort_unstable();
        kinds
    };
    sorted(a) == sorted(b)
}

impl Fun {
    /// Whether operands may be swapped, bit by bit: not of the larger and the smaller one, for the signs of zeros.
    pub(super) fn is_commutative(self) -> bool {
        match self {
            Fun::Binary(op) => {
                matches!(op, BinaryOp::Add | BinaryOp::Mul | BinaryOp::And | BinaryOp::Or | BinaryOp::Xor)
            }
            Fun::Compare(op) => matches!(op, CompareOp::Eq | CompareOp::Ne),
            Fun::Unary(_) | Fun::Select | Fun::Cast(_) => false,
        }
    }
}

/// Rebuilding with expressions for bound indices.
impl Indices {
    pub(super) fn rename_dim(&mut self, d: Dim, names: &Renaming) -> Step<Dim> {
        let d = self.cx.substitute(d, names)?;
        Ok(self.cx.simplify(d))
    }

    pub(super) fn rename_bounds(&mut self, axes: &[Bound], names: &Renaming) -> Step<Vec<Bound>> {
        axes.iter().map(|it| Ok(Bound { var: it.var, extent: self.rename_dim(it.extent, names)? })).collect()
    }

    pub(super) fn rename_dims(&mut self, dims: &[Dim], names: &Renaming) -> Step<Vec<Dim>> {
        dims.iter().map(|it| self.rename_dim(*it, names)).collect()
    }
}
