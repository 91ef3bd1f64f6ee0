//! Broadcasts that the sizes of a call decide.
//!
//! An operand whose extent `e` may be 1 where the result's is not is read at `i · min(e − 1, 1)` for the index `i` of
//! the result: at `i` where the extents are equal, at 0 where the operand's is 1, and not at all where it is 0. The
//! factor depends on sizes alone, so the index stays linear in `i`. In the usual case all such extents are equal to
//! those of the loops around them; [`equal_extents`] makes the program for that case, in which nothing is broadcast.

use super::copy::replacing;
use super::{Axis, Expr, Index, Stage, Stmt, TensorProgram};
use crate::shape::{Atom, AtomId, Dim, Overflow, ShapeCx, Sym, SymbolKind};
use indexmap::{IndexMap, IndexSet};
use smallvec::SmallVec;

/// Where an operand of extent `own` is read for the index `i` of a result of extent `extent`, both of one dimension.
pub(super) fn broadcast_index(
    shapes: &mut ShapeCx,
    own: Dim,
    i: Dim,
    extent: Option<Dim>,
) -> Result<Dim, Overflow> {
    if shapes.as_int(own) == Some(1) {
        return Ok(shapes.int(0));
    }
    if Some(own) == extent || shapes.is_never_one(own) {
        return Ok(i);
    }
    let factor = factor(shapes, own)?;
    shapes.mul(i, factor)
}

/// `min(extent − 1, 1)`.
fn factor(shapes: &mut ShapeCx, extent: Dim) -> Result<Dim, Overflow> {
    let (last, one) = (shapes.add_int(extent, -1)?, shapes.int(1));
    shapes.min(&[last, one])
}

/// The extent less one, if the atom is the factor of a broadcast. Extents are not negative, whether that is shown of this one
/// or not: an index would be negative too, which no law admits.
fn last_of(shapes: &ShapeCx, id: AtomId) -> Option<Dim> {
    let Atom::Min(list) = shapes.atom(id) else { return None };
    let [a, b] = list[..] else { return None };
    let last = match (shapes.as_int(a), shapes.as_int(b)) {
        (Some(1), None) => b,
        (None, Some(1)) => a,
        _ => return None,
    };
    (is_of_sizes(shapes, last) && shapes.bounds(last).hi.is_none_or(|hi| hi >= -1)).then_some(last)
}

/// The symbol that an index is, perhaps times factors of broadcasts.
pub(super) fn broadcast_axis(shapes: &ShapeCx, index: Dim) -> Option<Sym> {
    Some(factors_of(shapes, index)?.0)
}

/// An index times the factor of a broadcast that is no `min`, that factor, and the rest of an expression: of an extent
/// that is at most 2, `min(e − 1, 1)` is `e − 1`, a sum as a rule.
fn with_sum(shapes: &mut ShapeCx, dim: Dim) -> Option<(Sym, Dim, Dim)> {
    for axis in shapes.free_symbols(dim) {
        if !is_index(shapes, axis) {
            continue;
        }
        let Some((factor, rest)) = shapes.affine_in(dim, axis) else { continue };
        let poly = shapes.poly(factor);
        let is_sum = poly.terms().len() + usize::from(poly.constant() != 0) > 1;
        let bounds = shapes.bounds(factor);
        let fits = bounds.lo.is_some_and(|it| it >= -1) && bounds.hi.is_some_and(|it| it <= 1);
        if is_sum && fits && is_of_sizes(shapes, factor) {
            return Some((axis, factor, rest));
        }
    }
    None
}

fn is_index(shapes: &ShapeCx, sym: Sym) -> bool {
    matches!(shapes.kind(sym), SymbolKind::Index { .. })
}

fn is_of_sizes(shapes: &ShapeCx, dim: Dim) -> bool {
    !shapes.free_symbols(dim).iter().any(|it| is_index(shapes, *it))
}

/// The symbol that an index is times factors of broadcasts, and the extents less one of these.
fn factors_of(shapes: &ShapeCx, index: Dim) -> Option<(Sym, SmallVec<[Dim; 2]>)> {
    let poly = shapes.poly(index);
    let mut terms = poly.terms();
    let (Some((factors, 1)), None, 0) = (terms.next(), terms.next(), poly.constant()) else { return None };
    let (mut axis, mut lasts) = (None, SmallVec::new());
    for (id, power) in factors {
        match shapes.atom(*id) {
            Atom::Sym(sym) if axis.is_none() && *power == 1 => axis = Some(*sym),
            _ => lasts.push(last_of(shapes, *id)?),
        }
    }
    Some((axis?, lasts))
}

/// A part of an index expression: a symbol times factors of broadcasts, at least one.
pub(super) struct BroadcastTerm {
    pub(super) axis: Sym,
    /// The extents that the factors are of.
    pub(super) parts: SmallVec<[Dim; 2]>,
    /// The part, and how often it is there.
    pub(super) term: Dim,
    pub(super) times: i64,
}

/// The parts of an index expression that broadcast.
pub(super) fn broadcast_terms(shapes: &mut ShapeCx, index: Dim) -> Result<Vec<BroadcastTerm>, Overflow> {
    let (mut found, mut rest) = (Vec::new(), index);
    if let Some((axis, last, others)) = with_sum(shapes, index) {
        let (own, term) = (shapes.add_int(last, 1)?, shapes.sub(index, others)?);
        found.push(BroadcastTerm { axis, parts: SmallVec::from_slice(&[own]), term, times: 1 });
        rest = others;
    }
    for (term, times) in shapes.monomials(rest) {
        if let Some((axis, parts)) = broadcast_index_parts(shapes, term) {
            found.push(BroadcastTerm { axis, parts, term, times });
        }
    }
    Ok(found)
}

/// The symbol that an index is times factors of broadcasts, at least one, and the extents of these. Several extents may have
/// one factor: `min(n − 1, 2) + 1` has that of `n`. It is meant to be one that the extent of the loop is made of.
fn broadcast_index_parts(shapes: &mut ShapeCx, index: Dim) -> Option<(Sym, SmallVec<[Dim; 2]>)> {
    let (axis, lasts) = factors_of(shapes, index).filter(|it| !it.1.is_empty())?;
    let made_of: SmallVec<[Dim; 2]> = match shapes.kind(axis) {
        SymbolKind::Index { extent } => match shapes.poly(extent).as_atom().map(|it| shapes.atom(it)) {
            Some(Atom::Broadcast(list)) => list.clone(),
            _ => SmallVec::from_slice(&[extent]),
        },
        _ => SmallVec::new(),
    };
    let mut parts = SmallVec::new();
    for last in lasts {
        let own = shapes.add_int(last, 1).ok()?;
        let wanted = factor(shapes, own).ok()?;
        let meant = made_of.iter().copied().find(|it| factor(shapes, *it) == Ok(wanted));
        parts.push(meant.unwrap_or(own));
    }
    Some((axis, parts))
}

/// Whether an index is `own`, or `own` times factors of broadcasts.
pub(super) fn is_broadcast_of(shapes: &ShapeCx, index: Dim, own: Dim) -> bool {
    index == own || shapes.as_sym(own).is_some_and(|it| broadcast_axis(shapes, index) == Some(it))
}

/// The version of a program for the sizes at which nothing is broadcast.
#[derive(Clone, Debug)]
pub struct EqualExtents {
    /// The version, with the sizes of the program.
    pub program: TensorProgram,
    /// What [`equal`](EqualExtents::equal) is written in: the shapes of the program, and more.
    pub shapes: ShapeCx,
    /// Extents of the program that are equal there.
    pub equal: Vec<(Dim, Dim)>,
}

/// The version of a program in which nothing is broadcast; `None` if the sizes of a call decide no broadcast of it.
pub fn equal_extents(program: &TensorProgram) -> Option<EqualExtents> {
    // Factors are made of sizes.
    if program.sizes.is_empty() {
        return None;
    }
    let mut found = Broadcasts { shapes: program.shapes.clone(), ..Broadcasts::default() };
    let mut dims = program.exprs.iter().flat_map(|(_, expr)| dims_of(expr));
    if !dims.any(|it| has_factor(&mut found.shapes, it)) {
        return None;
    }
    found.stmts(program, &program.body)?;
    let Broadcasts { mut shapes, equal, factors, usual, .. } = found;
    if equal.is_empty() || equal.iter().any(|(a, b)| shapes.prove_eq(*a, *b).is_never()) {
        return None;
    }
    let mut over = representatives(&shapes, &equal);
    // What is equal to one extent is equal to the others.
    if over.iter().any(|(a, b)| shapes.prove_eq(*a, *b).is_never()) {
        return None;
    }
    let one = shapes.int(1);
    over.extend(factors.into_iter().map(|it| (it, one)));
    over.extend(usual);
    // Handles of a context mean the same in one that grew out of it.
    let source = TensorProgram { shapes, ..program.clone() };
    let copy = replacing(&source, format!("{}_equal", program.name), over)?;
    Some(EqualExtents { program: copy, shapes: source.shapes, equal: equal.into_iter().collect() })
}

/// The index expressions of one node.
fn dims_of(expr: &Expr) -> impl Iterator<Item = Dim> {
    let (at, own) = match expr {
        Expr::Load { at, .. } => (at.as_slice(), None),
        Expr::Dim(dim, _) => (&[][..], Some(*dim)),
        _ => (&[][..], None),
    };
    at.iter().filter_map(Index::dim).chain(own)
}

/// Whether the factor of a broadcast occurs in an expression.
fn has_factor(shapes: &mut ShapeCx, dim: Dim) -> bool {
    if with_sum(shapes, dim).is_some() {
        return true;
    }
    let poly = shapes.poly(dim).clone();
    poly.terms().flat_map(|(factors, _)| factors).any(|(id, _)| match shapes.atom(*id).clone() {
        Atom::Sym(_) => false,
        Atom::FloorDiv(a, _) => has_factor(shapes, a),
        Atom::FloorDivSym(a, b) => has_factor(shapes, a) || has_factor(shapes, b),
        Atom::Min(list) | Atom::Max(list) | Atom::Broadcast(list) => {
            last_of(shapes, *id).is_some() || list.iter().any(|it| has_factor(shapes, *it))
        }
    })
}

/// For each extent, one that is equal to it, the same for all of its kind: a number, else a symbol, else no broadcast.
fn representatives(shapes: &ShapeCx, equal: &IndexSet<(Dim, Dim)>) -> IndexMap<Dim, Dim> {
    let mut classes: Vec<Vec<Dim>> = Vec::new();
    for (a, b) in equal {
        let mut class = vec![*a, *b];
        classes.retain(|it| {
            let apart = !it.contains(a) && !it.contains(b);
            if !apart {
                class.extend(it);
            }
            apart
        });
        classes.push(class);
    }
    let rank = |d: &Dim| {
        let broadcast =
            shapes.poly(*d).as_atom().is_some_and(|it| matches!(shapes.atom(it), Atom::Broadcast(_)));
        (shapes.as_int(*d).is_none(), shapes.as_sym(*d).is_none(), broadcast, *d)
    };
    let mut over = IndexMap::new();
    for class in classes {
        if let Some(chosen) = class.iter().copied().min_by_key(rank) {
            over.extend(class.into_iter().filter(|it| *it != chosen).map(|it| (it, chosen)));
        }
    }
    over
}

/// Which extents broadcasts in a program compare.
#[derive(Default)]
struct Broadcasts {
    shapes: ShapeCx,
    /// Extents of the axes in scope.
    extents: IndexMap<Sym, Dim>,
    /// Extents of operands and of the axes that index them.
    equal: IndexSet<(Dim, Dim)>,
    factors: IndexSet<Dim>,
    /// What stands for expressions with factors that are sums.
    usual: IndexMap<Dim, Dim>,
}

impl Broadcasts {
    fn stmts(&mut self, program: &TensorProgram, stmts: &[Stmt]) -> Option<()> {
        for stmt in stmts {
            match stmt {
                Stmt::For { axis, body } => {
                    self.enter([axis]);
                    self.stmts(program, body)?;
                }
                Stmt::Stage(stage) => self.stage(program, stage)?,
            }
        }
        Some(())
    }

    fn enter<'a>(&mut self, axes: impl IntoIterator<Item = &'a Axis>) {
        self.extents.extend(axes.into_iter().map(|it| (it.var, it.extent)));
    }

    fn stage(&mut self, program: &TensorProgram, stage: &Stage) -> Option<()> {
        self.enter(stage.all_axes());
        let mut dims: IndexSet<Dim> = stage.at.iter().filter_map(Index::dim).collect();
        let roots = std::iter::once(stage.value).chain(stage.at.iter().filter_map(Index::value));
        for root in roots {
            program.walk(root, &mut |_, expr| dims.extend(dims_of(expr)));
        }
        dims.into_iter().try_for_each(|it| self.dim(it))
    }

    /// `None` where a factor stands apart from an axis: nothing says then which extents meet.
    fn dim(&mut self, dim: Dim) -> Option<()> {
        if let Some((axis, last, rest)) = with_sum(&mut self.shapes, dim) {
            if has_factor(&mut self.shapes, rest) {
                return None;
            }
            let (own, extent) = (self.shapes.add_int(last, 1).ok()?, *self.extents.get(&axis)?);
            self.equal.extend((own != extent).then_some((own, extent)));
            let index = self.shapes.sym_dim(axis);
            let usual = self.shapes.add(index, rest).ok()?;
            self.usual.insert(dim, usual);
            return Some(());
        }
        let poly = self.shapes.poly(dim).clone();
        for (factors, _) in poly.terms() {
            let mut axes: Vec<Dim> = Vec::new();
            let mut extents: Vec<Dim> = Vec::new();
            for (id, _) in factors {
                if let Some(last) = last_of(&self.shapes, *id) {
                    extents.push(self.shapes.add_int(last, 1).ok()?);
                    let own = factor(&mut self.shapes, *extents.last()?).ok()?;
                    self.factors.insert(own);
                    continue;
                }
                match self.shapes.atom(*id).clone() {
                    Atom::Sym(sym) => axes.extend(self.extents.get(&sym).copied()),
                    Atom::FloorDiv(a, _) => self.dim(a)?,
                    Atom::FloorDivSym(a, b) => [a, b].into_iter().try_for_each(|it| self.dim(it))?,
                    Atom::Min(list) | Atom::Max(list) | Atom::Broadcast(list) => {
                        list.into_iter().try_for_each(|it| self.dim(it))?;
                    }
                }
            }
            if !extents.is_empty() && axes.is_empty() {
                return None;
            }
            for extent in extents {
                self.equal.extend(axes.iter().filter(|it| **it != extent).map(|it| (extent, *it)));
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{parse_program, print_program, verify};
    use super::equal_extents;

    /// The version of a program, as text, and what it takes to be equal.
    fn version(text: &str) -> Option<(String, Vec<String>)> {
        let program = parse_program(text).unwrap_or_else(|it| panic!("{it}"));
        verify(&program).unwrap_or_else(|it| panic!("{it}"));
        let found = equal_extents(&program)?;
        verify(&found.program).unwrap_or_else(|it| panic!("{it}"));
        let show = |d| found.shapes.display(d).to_string();
        Some((
            print_program(&found.program).text,
            found.equal.iter().copied().map(|(a, b)| format!("{} = {}", show(a), show(b))).collect(),
        ))
    }

    #[test]
    fn the_usual_case_has_no_factor() {
        let text = "\
kernel @add {
  size n
  size m
  in %a: f32[n, 8]
  in %b: f32[m, 8]
  out %y: f32[broadcast(m, n), 8]
  for i < broadcast(m, n), j < 8 { %y[i, j] = %a[i*min(n - 1, 1), j] + %b[i*min(m - 1, 1), j] }
}
";
        let (version, equal) = version(text).expect("two broadcasts");
        assert_eq!(equal, ["n = broadcast(m, n)", "m = broadcast(m, n)"]);
        assert_eq!(
            version,
            "\
kernel @add_equal {
  size n
  size m
  in %a: f32[n, 8]
  in %b: f32[n, 8]
  out %y: f32[n, 8]
  for i < n, j < 8 { %y[i, j] = %a[i, j] + %b[i, j] }
}
"
        );
    }

    #[test]
    fn extents_that_are_no_symbols_meet_as_well() {
        let text = "\
kernel @add {
  size p
  size q
  in %a: f32[p + q]
  in %b: f32[2*p]
  out %y: f32[2*p]
  for i < 2*p { %y[i] = %a[i*min(p + q - 1, 1)] + %b[i] }
}
";
        let (version, equal) = version(text).expect("a broadcast");
        assert_eq!(equal, ["p + q = 2*p"]);
        assert!(version.contains("%a[i] + %b[i]"), "{version}");
    }

    /// The extents of slices, whose bounds say nothing of their signs.
    #[test]
    fn extents_that_are_differences_broadcast() {
        let text = "\
kernel @add {
  size n
  size m
  in %a: f32[n - max(n - 2, 0)]
  in %b: f32[m]
  out %y: f32[broadcast(n - max(n - 2, 0), m)]
  for i < broadcast(n - max(n - 2, 0), m) { %y[i] = %a[i*min(n - max(n - 2, 0) - 1, 1)] + %b[i*min(m - 1, 1)] }
}
";
        let (version, equal) = version(text).expect("two broadcasts");
        assert_eq!(equal.len(), 2, "{equal:?}");
        assert!(!version.contains("*min"), "{version}");
    }

    /// The factor of `min(n - 1, 2) + 1` is that of `n`, which need not broadcast with the other extent.
    #[test]
    fn a_factor_is_that_of_an_extent_of_the_loop() {
        let text = "\
kernel @add {
  size n
  size m
  in %a: f32[n]
  in %b: f32[m]
  out %y: f32[broadcast(m, min(n - 1, 2) + 1)]
  for i < broadcast(m, min(n - 1, 2) + 1) { %y[i] = %a[i*min(n - 1, 1)] + %b[i*min(m - 1, 1)] }
}
";
        let program = parse_program(text).unwrap_or_else(|it| panic!("{it}"));
        let required = verify(&program).unwrap_or_else(|it| panic!("{it}"));
        let facts: Vec<String> =
            required.list.iter().map(|it| required.shapes.display_fact(&it.constraint).to_string()).collect();
        assert!(facts.iter().all(|it| !it.starts_with("n ~")), "{facts:?}");
    }

    /// `n` is no `n + 1`, though each may be `m`.
    #[test]
    fn extents_that_differ_are_not_equal_by_a_third() {
        let text = "\
kernel @add {
  size n
  size m
  in %a: f32[n]
  in %b: f32[n + 1]
  out %y: f32[m]
  for i < m { %y[i] = %a[i*min(n - 1, 1)] + %b[i*min(n, 1)] }
}
";
        assert!(version(text).is_none());
    }

    #[test]
    fn programs_without_broadcasts_have_no_version() {
        let text = "\
kernel @copy {
  size n
  in %a: f32[n]
  out %y: f32[n]
  for i < n { %y[i] = %a[min(i, 1)] }
}
";
        assert!(version(text).is_none());
    }
}
