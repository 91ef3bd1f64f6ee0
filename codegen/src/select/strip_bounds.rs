//! How the strips of [`super::strips`] move from row to row, and where the ranges of a row are.

use orogen_ir::loops::ExprId;
use orogen_ir::shape::Dim;

use super::selector::Selector;
use super::strip_loads::Range;
use super::tree::Arg;

/// How a strip moves from row to row.
#[derive(Default)]
pub(super) struct Linear {
    /// Of each load and of the store: elements from row to row, and where the first row starts.
    pub(super) positions: Vec<(Dim, Dim)>,
    /// Of each guard.
    pub(super) guards: Vec<Bounds>,
}

/// The range of a guard.
pub(super) enum Bounds {
    /// In each row, and the rows that have it.
    Fixed(Range, Range),
    /// Begin and end: by how much they grow from row to row, and where they are in the first one; what data say they are
    /// more.
    Moving([(Dim, Dim); 2], [Option<ExprId>; 2]),
}

impl Bounds {
    /// As arguments, from row `first` on.
    pub(super) fn args(&self, s: &mut Selector<'_>, first: Dim) -> Option<[Arg; 4]> {
        Some(match self {
            Bounds::Fixed(inner, rows) => {
                let rows = [rows.low, rows.high].map(|it| s.shapes.sub(it, first).ok());
                [inner.low, inner.high, rows[0]?, rows[1]?].map(Arg::Size)
            }
            Bounds::Moving(bounds, by) => {
                let mut start = |i: usize| {
                    let (step, start) = bounds[i];
                    let skip = s.shapes.mul(first, step).ok()?;
                    let start = s.shapes.add(start, skip).ok()?;
                    Some(by[i].map_or(Arg::Size(start), |value| Arg::Value(value, start)))
                };
                [start(0)?, start(1)?, Arg::Size(bounds[0].0), Arg::Size(bounds[1].0)]
            }
        })
    }
}

/// The rows in all of `own`, none where 0 is not in all of `others`.
pub(super) fn combined(s: &mut Selector<'_>, own: &[Range], others: &[Range]) -> Option<Range> {
    let (zero, one) = (s.shapes.int(0), s.shapes.int(1));
    let lows: Vec<Dim> = own.iter().map(|it| it.low).collect();
    let highs: Vec<Dim> = own.iter().map(|it| it.high).collect();
    let low = if lows.is_empty() { zero } else { s.shapes.max(&lows).ok()? };
    let most = s.shapes.int(1 << 40);
    let mut high = if highs.is_empty() { most } else { s.shapes.min(&highs).ok()? };
    for range in others {
        // 1 where low ≤ 0 < high, else 0.
        let below = s.shapes.sub(one, range.low).ok()?;
        for room in [below, range.high] {
            let room = s.shapes.max(&[room, zero]).ok()?;
            let flag = s.shapes.min(&[room, one]).ok()?;
            high = s.shapes.mul(high, flag).ok()?;
        }
    }
    Some(Range { low, high })
}
