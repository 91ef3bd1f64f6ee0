//! Where numbers that are linear in pieces bend along an axis: minima, maxima and quotients of what is linear.

use orogen_ir::loops::{Axis, Expr, Index, Stage};
use orogen_ir::shape::{Atom, Dim, Sym};

use super::selector::Selector;
use super::stages;

/// Most places at which a row is cut.
const MOST_CUTS: usize = 4;
/// Most lines that a number is followed along.
const MOST_LINES: usize = 8;

/// `⌊(slope · axis + start) / by⌋`: a line where `by` is 1, else stairs that rise.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Line {
    slope: i64,
    start: i64,
    by: i64,
}

impl Line {
    fn straight(slope: i64, start: i64) -> Line {
        Line { slope, start, by: 1 }
    }

    /// The sum with so many times another one. Stairs have a constant added to them.
    fn plus(self, other: Line, factor: i64) -> Option<Line> {
        let (stairs, added, times) = match (self.by, other.by) {
            (1, 1) => {
                let slope = self.slope.checked_add(other.slope.checked_mul(factor)?)?;
                return Some(Line::straight(
                    slope,
                    self.start.checked_add(other.start.checked_mul(factor)?)?,
                ));
            }
            (1, _) if factor == 1 => (other, self, 1),
            (_, 1) => (self, other, factor),
            _ => return None,
        };
        let start = added.start.checked_mul(times)?.checked_mul(stairs.by)?.checked_add(stairs.start)?;
        (added.slope == 0).then_some(Line { start, ..stairs })
    }

    /// Where two cross, if they do: of two whole numbers around the crossing, the one after it. `None` if that is not
    /// known.
    fn crossing(self, other: Line) -> Option<Option<i64>> {
        let (stairs, level) = if self.by == 1 { (other, self) } else { (self, other) };
        if stairs.by == 1 {
            let (slope, start) = (self.slope.checked_sub(other.slope)?, other.start.checked_sub(self.start)?);
            if slope == 0 {
                return Some(None);
            }
            let cross = start.checked_div(slope)?;
            let exact = start % slope == 0;
            return Some(Some(cross + i64::from(!exact && (start < 0) == (slope < 0))));
        }
        // From where on stairs are at least at a level.
        let rise = level.start.checked_mul(stairs.by)?.checked_sub(stairs.start)?;
        (level.by == 1 && level.slope == 0).then(|| Some(-(-rise).div_euclid(stairs.slope)))
    }
}

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

/// The places of what a stage reads, those that are numbers of sizes and positions.
pub(super) fn places(s: &Selector<'_>, stage: &Stage) -> Vec<Dim> {
    let loads =
        stages::expressions(s.program, stage).into_iter().filter_map(|id| match &s.program.exprs[id] {
            Expr::Load { at, .. } => Some(at),
            _ => None,
        });
    loads.flat_map(|at| at.iter().filter_map(Index::dim)).collect()
}

/// Cuts of the innermost axis with those beside them at which the places of what a stage reads bend, so that places are
/// linear in between; `None` if they bend nowhere, or so often that gathering is better.
pub(super) fn bends(s: &mut Selector<'_>, stage: &Stage, cuts: &[i64]) -> Option<Vec<i64>> {
    let axis = innermost(s, stage)?;
    let extent = s.shapes.as_int(axis.extent)?;
    let mut found = Vec::new();
    for place in places(s, stage) {
        if s.shapes.affine_in(place, axis.var).is_none() {
            Bends { s, axis: axis.var, extent, places: &mut found }.lines(place)?;
        }
    }
    if found.is_empty() {
        return None;
    }
    found.extend(cuts);
    found.retain(|it| (1..extent).contains(it));
    let found = ends(found, extent);
    (!found.is_empty()).then_some(found)
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
            return Some(vec![Line::straight(self.s.shapes.as_int(slope)?, self.s.shapes.as_int(start)?)]);
        }
        let poly = self.s.shapes.poly(number).clone();
        let mut sums = vec![Line::straight(0, poly.constant())];
        for (factors, factor) in poly.terms() {
            let [(atom, 1)] = factors[..] else { return None };
            let lines = match self.s.shapes.atom(atom).clone() {
                Atom::Sym(sym) if sym == self.axis => vec![Line::straight(1, 0)],
                Atom::Min(operands) | Atom::Max(operands) => self.extremum(&operands)?,
                Atom::FloorDiv(number, by) => self.quotient(number, by)?,
                _ => return None,
            };
            sums = sums
                .iter()
                .flat_map(|a| lines.iter().map(move |b| a.plus(*b, factor)))
                .collect::<Option<_>>()?;
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
                self.places.extend(a.crossing(*b)?);
            }
            all.extend(lines);
        }
        (all.len() <= MOST_LINES).then_some(all)
    }

    /// A quotient is constant between the multiples of its divisor. Where these are many, it is stairs, which groups of
    /// elements may take apart.
    fn quotient(&mut self, number: Dim, by: i64) -> Option<Vec<Line>> {
        let (slope, start) = self.s.shapes.affine_in(number, self.axis)?;
        let (slope, start) = (self.s.shapes.as_int(slope)?, self.s.shapes.as_int(start)?);
        let (first, last) = (start.div_euclid(by), start.checked_add(self.extent)?.div_euclid(by));
        if slope != 1 || last.checked_sub(first)? > MOST_CUTS as i64 {
            return (slope > 0).then(|| vec![Line { slope, start, by }]);
        }
        self.places.extend((first + 1..=last).map(|it| it * by - start));
        Some((first..=last).map(|it| Line::straight(0, it)).collect())
    }
}
