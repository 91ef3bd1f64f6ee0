//! Rows that repeat what they read: an index that counts anew after so many elements is linear in between.

use orogen_ir::loops::Stage;
use orogen_ir::shape::{Atom, Dim, Sym};

use super::bends::{innermost, places};
use super::selector::Selector;

/// Least elements between two turns: rows of fewer are gathered.
const LEAST: i64 = 16;

/// A part of the innermost axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) begin: i64,
    pub(super) end: i64,
    /// The axis that counts how often such parts follow each other, and how many there are.
    pub(super) turns: Option<(Sym, Dim)>,
}

impl Piece {
    /// A part of its own.
    pub(super) fn of(ends: &[i64]) -> Piece {
        Piece { begin: ends[0], end: ends[1], turns: None }
    }

    /// Where it begins.
    pub(super) fn start(&self, s: &mut Selector<'_>) -> Option<Dim> {
        let begin = s.shapes.int(self.begin);
        let Some((turn, _)) = self.turns else { return Some(begin) };
        let turn = s.shapes.sym_dim(turn);
        let before = s.shapes.scale(turn, self.end - self.begin).ok()?;
        s.shapes.add(begin, before).ok()
    }
}

/// Equal parts of the innermost axis at whose ends the places of what a stage reads jump, the longest first.
pub(super) fn periods(s: &mut Selector<'_>, stage: &Stage) -> Vec<Piece> {
    let Some(axis) = innermost(s, stage) else { return Vec::new() };
    let Some(extent) = s.shapes.as_int(axis.extent) else { return Vec::new() };
    let mut found = Vec::new();
    for place in places(s, stage) {
        let atoms: Vec<_> = s.shapes.poly(place).terms().flat_map(|it| it.0.to_vec()).collect();
        for (atom, _) in atoms {
            let Atom::FloorDiv(number, by) = *s.shapes.atom(atom) else { continue };
            let Some((slope, start)) = s.shapes.affine_in(number, axis.var) else { continue };
            let whole = s.shapes.as_int(start).is_some_and(|it| it % by == 0);
            if s.shapes.as_int(slope) == Some(1) && whole && extent % by == 0 {
                found.push(by);
            }
        }
    }
    found.retain(|it| (LEAST..extent).contains(it));
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.dedup();
    let mut piece = |by: &i64| {
        let count = s.shapes.int(extent / by);
        let turn = s.shapes.fresh_index("turn", count);
        let turns = s.shapes.as_sym(turn).map(|it| (it, count));
        Piece { begin: 0, end: *by, turns }
    };
    found.iter().map(&mut piece).collect()
}
