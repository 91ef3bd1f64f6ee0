//! Where numbers that are linear in pieces bend along an axis: minima, maxima and quotients of what is linear.

use orogen_ir::loops::{Axis, Expr, Index, Stage};
use orogen_ir::shape::{Atom, Dim, Sym};

use super::selector::Selector;
use super::stages;

/// Most places at which a row is cut.
const MOST_CUTS: usize = 4;
/// Most lines that a number is followed along.
const MOST_LINES: usize = 8;

/// `slope · axis + start`.
type Line = (i64, i64);

/// The innermost axis of several places.
pub(super) fn innermost(s: &Selector<'_>, stage: &Stage) -> Option<Axis> {
    stage.axes.iter().rev().find(|it| s.shapes.as_int(it.extent) != Some(1)).copied()
}

/// Cuts in order, with both ends of the axis; empty if there are none, or too many.
pub(super) fn ends(mut cuts: Vec<i64>, extent: i64) -> Vec<i64> {
    cuts.sort_unstable();
    cuts.dedup();
    if cuts.is_empty() || cuts.len() > MOST_CUTS {
        return Vec::new();
    }
    cuts.insert(0, 0);
    cuts.push(extent);
    cuts
}

/// Cuts of the innermost axis with those beside them at which the places of what a stage reads bend, so that places are
/// linear in between; `None` if they bend nowhere, or so often that gathering is better.
pub(super) fn bends(s: &mut Selector<'_>, stage: &Stage, cuts: &[i64]) -> Option<Vec<i64>> {
    let axis = innermost(s, stage)?;
    let extent = s.shapes.as_int(axis.extent)?;
    let mut places = Vec::new();
    for id in stages::expressions(s.program, stage) {
        let Expr::Load { at, .. } = &s.program.exprs[id] else { continue };
        for place in at.iter().filter_map(Index::dim) {
            if s.shapes.affine_in(place, axis.var).is_none() {
                Bends { s, axis: axis.var, extent, places: &mut places }.lines(place)?;
            }
        }
    }
    if places.is_empty() {
        return None;
    }
    places.extend(cuts);
    places.retain(|it| (1..extent).contains(it));
    let places = ends(places, extent);
    (!places.is_empty()).then_some(places)
}

struct Bends<'a, 'p> {
    s: &'a mut Selector<'p>,
    axis: Sym,
    extent: i64,
    places: &'a mut Vec<i64>,
}

impl Bends<'_, '_> {
    /// The lines that a number follows, piece by piece. Nothing is known of those whose slope or start is no constant.
    fn lines(&mut self, number: Dim) -> Option<Vec<Line>> {
        if let Some((slope, start)) = self.s.shapes.affine_in(number, self.axis) {
            let (slope, start) = (self.s.shapes.as_int(slope)?, self.s.shapes.as_int(start)?);
            return Some(vec![(slope, start)]);
        }
        let poly = self.s.shapes.poly(number).clone();
        let mut sums = vec![(0, poly.constant())];
        for (factors, factor) in poly.terms() {
            let [(atom, 1)] = factors[..] else { return None };
            let lines = match self.s.shapes.atom(atom).clone() {
                Atom::Sym(sym) if sym == self.axis => vec![(1, 0)],
                Atom::Min(operands) | Atom::Max(operands) => self.extremum(&operands)?,
                Atom::FloorDiv(number, by) => self.quotient(number, by)?,
                _ => return None,
            };
            let sum = |a: &Line, b: &Line| {
                let slope = a.0.checked_add(b.0.checked_mul(factor)?)?;
                Some((slope, a.1.checked_add(b.1.checked_mul(factor)?)?))
            };
            sums = sums.iter().flat_map(|a| lines.iter().filter_map(move |b| sum(a, b))).collect();
            if sums.len() > MOST_LINES {
                return None;
            }
        }
        Some(sums)
    }

    /// An extremum bends where two of its operands cross.
    fn extremum(&mut self, operands: &[Dim]) -> Option<Vec<Line>> {
        let mut all: Vec<Line> = Vec::new();
        for operand in operands {
            let lines = self.lines(*operand)?;
            for (a, b) in all.iter().flat_map(|a| lines.iter().map(move |b| (a, b))) {
                let (slope, start) = (a.0.checked_sub(b.0)?, b.1.checked_sub(a.1)?);
                // Of two whole numbers around the crossing, the one after it starts the next piece.
                if slope != 0 {
                    let cross = start.checked_div(slope)?;
                    let exact = start % slope == 0;
                    let cross = cross + i64::from(!exact && (start < 0) == (slope < 0));
                    self.places.push(cross);
                }
            }
            all.extend(lines);
        }
        (all.len() <= MOST_LINES).then_some(all)
    }

    /// A quotient is constant between the multiples of its divisor.
    fn quotient(&mut self, number: Dim, by: i64) -> Option<Vec<Line>> {
        let (slope, start) = self.s.shapes.affine_in(number, self.axis)?;
        let (slope, start) = (self.s.shapes.as_int(slope)?, self.s.shapes.as_int(start)?);
        if slope != 1 {
            return None;
        }
        let (first, last) = (start.div_euclid(by), start.checked_add(self.extent)?.div_euclid(by));
        if last.checked_sub(first)? > MOST_CUTS as i64 {
            return None;
        }
        self.places.extend((first + 1..=last).map(|it| it * by - start));
        Some((first..=last).map(|it| (0, it)).collect())
    }
}
