//! L12: every element of an output is written.
//!
//! A stage writes a box when each dimension of the buffer is indexed by axes that count through a range: one axis, or
//! several as digits of a number. Boxes side by side are one, and one must be the whole buffer. Stores at indices from
//! data write elements, but nobody knows which.

use super::accesses::Accesses;
use crate::loops::{Axis, BufferId, BufferRole, Stage, Stmt};
use crate::shape::{Constraint, Dim, Sym, SymbolKind};
use smallvec::SmallVec;

/// Elements that are written: in each dimension as many as `len`, from `start` on.
#[derive(Clone, Debug, PartialEq)]
struct Piece {
    start: SmallVec<[Dim; 4]>,
    len: SmallVec<[Dim; 4]>,
    /// Extents of loops that must run for it.
    once: SmallVec<[Dim; 2]>,
}

impl Accesses<'_> {
    /// The outputs that are not shown to be written whole, each with what is missing.
    pub(super) fn check_l12_whole(&mut self) -> Vec<(BufferId, String)> {
        let program = self.program;
        let whole = program.buffers.iter().filter(|(_, it)| it.role == BufferRole::Output);
        let whole: Vec<BufferId> = whole.map(|(id, _)| id).collect();
        let mut missing = Vec::new();
        for id in whole {
            let dims = &program.buffers[id].dims;
            // Of an empty one there is nothing to write.
            let saved = self.shapes.save_facts();
            let mut may_be_there = true;
            for dim in dims {
                may_be_there &= match self.shapes.as_int(*dim) {
                    Some(dim) => dim >= 1,
                    None => self.shapes.assume(Constraint::AtLeast(*dim, 1)).is_ok(),
                };
            }
            if may_be_there {
                let mut pieces = Vec::new();
                self.pieces(id, &program.body, &mut Vec::new(), &mut pieces);
                if self.is_whole(dims, &pieces) || self.is_whole_by_requirement(id, dims, pieces) {
                    self.answered("L12");
                } else {
                    self.open = false;
                    let name = &program.buffers[id].name;
                    missing.push((id, format!("L12: not every element of `%{name}` is shown to be written")));
                }
            }
            self.shapes.restore_facts(saved);
        }
        missing
    }

    /// What stages write of a buffer.
    fn pieces(&mut self, id: BufferId, body: &[Stmt], loops: &mut Vec<Axis>, pieces: &mut Vec<Piece>) {
        for stmt in body {
            match stmt {
                Stmt::Stage(stage) if stage.buffer == id => {
                    if let Some(piece) = self.piece(stage, loops) {
                        push_joined(self, pieces, piece);
                    }
                }
                Stmt::Stage(_) => {}
                Stmt::For { axis, body } => {
                    loops.push(*axis);
                    self.pieces(id, body, loops, pieces);
                    loops.pop();
                }
            }
        }
    }

    fn piece(&mut self, stage: &Stage, loops: &[Axis]) -> Option<Piece> {
        let axes: SmallVec<[Axis; 8]> = loops.iter().chain(&stage.axes).copied().collect();
        let fixed = |cx: &Self, dim: Dim| {
            let is_index = |it: Sym| matches!(cx.shapes.kind(it), SymbolKind::Index { .. });
            !cx.shapes.free_symbols(dim).into_iter().any(is_index)
        };
        let mut used: SmallVec<[Sym; 8]> = SmallVec::new();
        let (mut start, mut len) = (SmallVec::new(), SmallVec::new());
        for index in &stage.at {
            let mut rest = index.dim()?;
            // Each axis with its factor.
            let mut digits: SmallVec<[(Dim, Dim); 4]> = SmallVec::new();
            for axis in axes.iter().rev() {
                let (factor, without) = self.shapes.affine_in(rest, axis.var)?;
                if self.shapes.as_int(factor) == Some(0) {
                    continue;
                }
                if used.contains(&axis.var) {
                    return None;
                }
                used.push(axis.var);
                rest = without;
                match self.shapes.as_int(factor) {
                    // Counts down.
                    Some(-1) => {
                        let last = self.shapes.add_int(axis.extent, -1).ok()?;
                        rest = self.shapes.sub(rest, last).ok()?;
                        digits.push((self.shapes.int(1), axis.extent));
                    }
                    _ => digits.push((factor, axis.extent)),
                }
            }
            if !fixed(self, rest) {
                return None;
            }
            let mut count = self.shapes.int(1);
            while !digits.is_empty() {
                let next = digits.iter().position(|(factor, extent)| {
                    *factor == count || self.shapes.as_int(*extent) == Some(1)
                })?;
                let (_, extent) = digits.remove(next);
                if !fixed(self, extent) {
                    return None;
                }
                count = self.shapes.mul(count, extent).ok()?;
            }
            start.push(rest);
            len.push(count);
        }
        let unused = axes.iter().filter(|it| !used.contains(&it.var)).map(|it| it.extent);
        let once: SmallVec<[Dim; 2]> =
            unused.filter(|it| self.shapes.as_int(*it).is_none_or(|it| it < 1)).collect();
        once.iter().all(|it| fixed(self, *it)).then_some(Piece { start, len, once })
    }

    fn is_whole(&self, dims: &[Dim], pieces: &[Piece]) -> bool {
        pieces.iter().any(|it| {
            let fills = |((start, len), dim): ((&Dim, &Dim), &Dim)| {
                self.shapes.as_int(*start) == Some(0) && (len == dim || self.shapes.is_le(*dim, *len))
            };
            let runs = |it: &Dim| self.shapes.prove(Constraint::AtLeast(*it, 1)).is_always();
            it.start.iter().zip(&it.len).zip(dims).all(fills) && it.once.iter().all(runs)
        })
    }

    /// The piece that needs least of the sizes of a call.
    fn is_whole_by_requirement(&mut self, id: BufferId, dims: &[Dim], pieces: Vec<Piece>) -> bool {
        let mut best: Option<Vec<Dim>> = None;
        for piece in pieces {
            if let Some(needed) = self.needed(dims, &piece)
                && best.as_ref().is_none_or(|it| needed.len() < it.len())
            {
                best = Some(needed);
            }
        }
        let Some(needed) = best else { return false };
        let mut within: SmallVec<[Dim; 4]> =
            dims.iter().copied().filter(|it| self.shapes.as_int(*it).is_none()).collect();
        within.sort_unstable();
        within.dedup();
        for value in needed {
            let (name, value_text) = (&self.program.buffers[id].name, self.shapes.display(value).to_string());
            let reason = format!("`{value_text}` is never negative, so that `%{name}` is written whole");
            self.require(within.clone(), Constraint::AtLeast(value, 0), reason);
        }
        true
    }

    /// What must be at least 0 for a piece to be the whole buffer; `None` where it cannot be.
    fn needed(&mut self, dims: &[Dim], piece: &Piece) -> Option<Vec<Dim>> {
        let zero = self.shapes.int(0);
        let mut values = Vec::new();
        for ((start, len), dim) in piece.start.iter().zip(&piece.len).zip(dims) {
            let end = self.shapes.add(*start, *len).ok()?;
            values.push(self.shapes.neg(*start).ok()?);
            values.push(self.shapes.sub(end, *dim).ok()?);
        }
        for extent in &piece.once {
            values.push(self.shapes.add_int(*extent, -1).ok()?);
        }
        let mut open = Vec::new();
        for value in values {
            match self.shapes.as_int(value) {
                Some(value) if value < 0 => return None,
                Some(_) => {}
                None if self.shapes.is_le(zero, value) => {}
                None if self.shapes.prove_lt(value, zero).is_always() => return None,
                None => open.push(value),
            }
        }
        Some(open)
    }

    /// Both as one, if they are side by side.
    fn joined(&mut self, a: &Piece, b: &Piece) -> Option<Piece> {
        let same = |i: &usize| a.start[*i] == b.start[*i] && a.len[*i] == b.len[*i];
        let mut differing = (0..a.start.len()).filter(|i| !same(i));
        let Some(i) = differing.next() else {
            return Some(if a.once.len() <= b.once.len() { a.clone() } else { b.clone() });
        };
        if differing.next().is_some() {
            return None;
        }
        let (a_end, b_end) =
            (self.shapes.add(a.start[i], a.len[i]).ok()?, self.shapes.add(b.start[i], b.len[i]).ok()?);
        let start = match () {
            () if a_end == b.start[i] => a.start[i],
            () if b_end == a.start[i] => b.start[i],
            () => return None,
        };
        let mut whole = a.clone();
        whole.start[i] = start;
        whole.len[i] = self.shapes.add(a.len[i], b.len[i]).ok()?;
        whole.once.extend(b.once.iter().copied());
        Some(whole)
    }
}

/// Adds a piece; what it completes becomes one with it. Pieces in the order of memory take as long as there are.
fn push_joined(cx: &mut Accesses<'_>, pieces: &mut Vec<Piece>, piece: Piece) {
    let mut piece = piece;
    while let Some((at, whole)) =
        (0..pieces.len()).rev().take(NEAR).find_map(|i| Some((i, cx.joined(&pieces[i], &piece)?)))
    {
        pieces.remove(at);
        piece = whole;
    }
    pieces.push(piece);
}

/// How many pieces before a new one it is joined to.
const NEAR: usize = 64;
