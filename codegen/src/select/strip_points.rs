//! Where the rows of [`super::strips`] are cut, and the points of reductions that are written out.

use indexmap::IndexMap;
use orogen_ir::loops::{CompareOp, Expr, Stage};
use orogen_ir::shape::Sym;

use super::bends::{ends, innermost};
use super::selector::Selector;
use super::stages;
use super::strip_loads::integer;

/// Most terms of a reduction that is written out.
const MOST_TERMS: i64 = 25;

/// Where conditions on the innermost axis alone change, from its begin to its end; empty if nowhere.
pub(super) fn cuts(s: &mut Selector<'_>, stage: &Stage) -> Option<Vec<i64>> {
    let program = s.program;
    let inner = innermost(s, stage)?;
    let Some(extent) = s.shapes.as_int(inner.extent) else { return Some(Vec::new()) };
    let mut places = Vec::new();
    for id in stages::expressions(program, stage) {
        let Expr::Compare(op, x, y) = &program.exprs[id] else { continue };
        let values = IndexMap::new();
        let (Some(x), Some(y)) = (integer(s, &values, *x), integer(s, &values, *y)) else { continue };
        let difference = s.shapes.sub(x, y).ok()?;
        let Some((coefficient, rest)) = s.shapes.affine_in(difference, inner.var) else { continue };
        let (Some(sign @ (1 | -1)), Some(rest)) = (s.shapes.as_int(coefficient), s.shapes.as_int(rest))
        else {
            continue;
        };
        // The difference is 0 here.
        let at = rest.checked_mul(-sign)?;
        let after = at.checked_add(1)?;
        places.extend(match (op, sign) {
            (CompareOp::Eq | CompareOp::Ne, _) => vec![at, after],
            (CompareOp::Lt | CompareOp::Ge, 1) | (CompareOp::Gt | CompareOp::Le, -1) => vec![at],
            _ => vec![after],
        });
    }
    places.retain(|it| (1..extent).contains(it));
    Some(ends(places, extent))
}

/// The points of the reduction, in order; one without axes if there is none.
pub(super) fn terms(s: &Selector<'_>, stage: &Stage) -> Option<Vec<Vec<(Sym, i64)>>> {
    let mut points = vec![Vec::new()];
    for axis in &stage.reduce {
        let extent = s.shapes.as_int(axis.extent).filter(|it| (1..=MOST_TERMS).contains(it))?;
        points = points
            .into_iter()
            .flat_map(|point| {
                (0..extent).map(move |at| point.iter().copied().chain([(axis.var, at)]).collect())
            })
            .collect();
    }
    (points.len() as i64 <= MOST_TERMS).then_some(points)
}
