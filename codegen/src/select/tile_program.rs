//! The vector program behind [`super::tiles`].
//!
//! # Laws
//! What selection proves before it calls ([`TileProgram::laws`]):
//!
//! * **T1** `n` and the number of rows are at least 0: what whole tiles leave of them is computed from their last bits.
//! * **T2** Neighbours in a row are neighbours in the target.
//! * **T3** Neighbours in a row are neighbours in a source that lies along, neighbours in a column in one that lies
//!   across; a scalar source does not move along the row.

use super::expression::{Node, VectorExpr};
use crate::kernels::element::Element;
use crate::kernels::laws::Law;
use crate::vector::{Addr, Builder, IReg, IntCompare, IntOp, Interleave, MReg, Program, VReg, Width};
use orogen_ir::shape::{Dim, ShapeCx};

/// Columns that are taken together, so that the cache lines of crossed sources are used up while they are there.
const STRIP: i64 = 16;

/// A value that an expression reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// One element for the whole row.
    Scalar,
    /// Neighbours in a row are neighbours in memory.
    Along,
    /// Neighbours in a column are neighbours in memory.
    Across,
}

/// The extents of a call, all rows of it.
#[derive(Clone, Debug)]
pub(crate) struct TileCall {
    /// Elements of a row.
    pub(crate) n: Dim,
    pub(crate) rows: Dim,
    /// For each source and the target, the elements in memory from one element to the next: in a column, and in a row.
    pub(crate) steps: Vec<[Dim; 2]>,
}

/// A matrix of `rows` by `n` elements in square tiles of rows of 128 bits of lanes; the tiles of [`Source::Across`] are transposed.
#[derive(Clone, Debug, Default)]
pub(crate) struct TileProgram {
    /// The width of lanes.
    pub(crate) width: Width,
    /// What is read, a pointer each.
    pub(crate) sources: Vec<Source>,
    /// The elements of each source and of the target.
    pub(crate) elements: Vec<Element>,
    /// The expression, over the sources.
    pub(crate) expr: VectorExpr,
    /// The result, stored along rows.
    pub(crate) result: Node,
}

/// What is left of a matrix at its end.
#[derive(Clone, Copy)]
struct Edge {
    rows: IReg,
    columns: IReg,
}

impl TileProgram {
    /// A text that two programs share exactly when they are equal.
    pub(crate) fn key(&self) -> String {
        format!("{:?} {:?} {:?} {} {}", self.width, self.sources, self.elements, self.expr.key(), self.result)
    }

    /// The laws of a call.
    pub(crate) fn laws(&self, shapes: &mut ShapeCx, call: &TileCall) -> Vec<Law> {
        let mut laws = vec![Law::at_least("T1", call.n, 0), Law::at_least("T1", call.rows, 0)];
        let (zero, one) = (shapes.int(0), shapes.int(1));
        for (i, [down, along]) in call.steps.iter().enumerate() {
            laws.push(match self.sources.get(i) {
                None => Law::equal("T2", *along, one),
                Some(Source::Along) => Law::equal("T3", *along, one),
                Some(Source::Across) => Law::equal("T3", *down, one),
                Some(Source::Scalar) => Law::equal("T3", *along, zero),
            });
        }
        laws
    }

    /// The program. Parameters: a pointer for each source and the target; `n`, `rows`; a stride in bytes for each
    /// source and the target: from column to column for [`Source::Across`], else from row to row.
    pub(crate) fn build(&self) -> Program {
        let mut b = Builder::of_width("tiles", self.width);
        let side = self.side();
        let pointers: Vec<IReg> = (0..=self.sources.len()).map(|_| b.param()).collect();
        let [n, rows] = b.params();
        let strides: Vec<IReg> = pointers.iter().map(|_| b.param()).collect();
        let whole_rows = b.int_op(IntOp::ShiftRight, rows, shift(side));
        let rest_rows = b.int_op(IntOp::And, rows, side - 1);
        let strips = b.int_add(n, STRIP - 1);
        let strips = b.int_op(IntOp::ShiftRight, strips, 4);
        let left = b.int_move(n);
        b.repeat(strips, |b| {
            let width = b.int_op(IntOp::Min, left, STRIP);
            let strip: Vec<IReg> = pointers.iter().map(|it| b.int_move(*it)).collect();
            let all = b.int_const(side);
            b.repeat(whole_rows, |b| {
                self.row_of_tiles(b, &strip, &strides, width, all, true);
                self.move_rows(b, &strip, &strides);
            });
            b.when(IntCompare::Gt, rest_rows, 0, |b| {
                self.row_of_tiles(b, &strip, &strides, width, rest_rows, false);
            });
            self.move_columns(b, &pointers, &strides, STRIP);
            b.bump(left, -STRIP);
        });
        b.finish()
    }

    /// Rows and columns of a tile.
    fn side(&self) -> i64 {
        i64::from(16 / self.width.bytes())
    }

    fn kind(&self, pointer: usize) -> Source {
        // The target comes last.
        self.sources.get(pointer).copied().unwrap_or(Source::Along)
    }

    fn move_rows(&self, b: &mut Builder, pointers: &[IReg], strides: &[IReg]) {
        for (i, (pointer, stride)) in pointers.iter().zip(strides).enumerate() {
            if self.kind(i) == Source::Across {
                b.bump(*pointer, self.elements[i].bytes() * self.side());
            } else {
                let by = b.int_op(IntOp::ShiftLeft, *stride, shift(self.side()));
                b.bump(*pointer, by);
            }
        }
    }

    fn move_columns(&self, b: &mut Builder, pointers: &[IReg], strides: &[IReg], columns: i64) {
        for (i, (pointer, stride)) in pointers.iter().zip(strides).enumerate() {
            match self.kind(i) {
                Source::Scalar => {}
                Source::Along => b.bump(*pointer, self.elements[i].bytes() * columns),
                Source::Across => {
                    let by = b.int_op(IntOp::ShiftLeft, *stride, shift(columns));
                    b.bump(*pointer, by);
                }
            }
        }
    }

    /// Up to four rows of a strip; `full` says that they are four.
    fn row_of_tiles(
        &self,
        b: &mut Builder,
        strip: &[IReg],
        strides: &[IReg],
        width: IReg,
        rows: IReg,
        full: bool,
    ) {
        let cursors: Vec<IReg> = strip.iter().map(|it| b.int_move(*it)).collect();
        let left = b.int_move(width);
        let side = self.side();
        if full {
            let whole = b.int_op(IntOp::ShiftRight, width, shift(side));
            b.repeat(whole, |b| {
                self.tile(b, &cursors, strides, None);
                self.move_columns(b, &cursors, strides, side);
                b.bump(left, -side);
            });
            b.when(IntCompare::Gt, left, 0, |b| {
                self.tile(b, &cursors, strides, Some(Edge { rows, columns: left }));
            });
        } else {
            let tiles = b.int_add(width, side - 1);
            let tiles = b.int_op(IntOp::ShiftRight, tiles, shift(side));
            b.repeat(tiles, |b| {
                let columns = b.int_op(IntOp::Min, left, side);
                self.tile(b, &cursors, strides, Some(Edge { rows, columns }));
                self.move_columns(b, &cursors, strides, side);
                b.bump(left, -side);
            });
        }
    }

    /// One tile; at an edge only so many rows and columns of it are touched.
    fn tile(&self, b: &mut Builder, cursors: &[IReg], strides: &[IReg], edge: Option<Edge>) {
        let masks = edge.map(|it| (b.first(it.rows), b.first(it.columns)));
        let mut rows: Vec<Vec<VReg>> = vec![Vec::new(); self.side() as usize];
        for (i, source) in self.sources.iter().enumerate() {
            let lines = self.lines(b, i, cursors[i], strides[i], edge, masks);
            let lines =
                if *source == Source::Across { transpose(b, &lines, self.width.bytes()) } else { lines };
            for (row, line) in rows.iter_mut().zip(lines) {
                row.push(line);
            }
        }
        let values: Vec<VReg> =
            rows.iter().map(|leaves| self.expr.emit(b, leaves, &[self.result])[0]).collect();
        let target = self.sources.len();
        let element = self.elements[target];
        let mut cursor = cursors[target];
        for (i, value) in values.into_iter().enumerate() {
            if i > 0 {
                cursor = b.int_add(cursor, strides[target]);
            }
            match (edge, masks) {
                (Some(edge), Some((_, columns))) => b.when(IntCompare::Gt, edge.rows, i as i64, |b| {
                    element.store(b, value, Addr::new(cursor), Some(columns));
                }),
                _ => element.store_quad(b, value, Addr::new(cursor)),
            }
        }
    }

    /// The lines of a tile as they lie in memory.
    fn lines(
        &self,
        b: &mut Builder,
        number: usize,
        cursor: IReg,
        stride: IReg,
        edge: Option<Edge>,
        masks: Option<(MReg, MReg)>,
    ) -> Vec<VReg> {
        let (mut cursor, source, element) = (cursor, self.sources[number], self.elements[number]);
        let line = |i: usize| {
            if i > 0 {
                cursor = b.int_add(cursor, stride);
            }
            let (Some(edge), Some((rows, columns))) = (edge, masks) else {
                return match source {
                    Source::Scalar => element.load_splat(b, cursor),
                    _ => element.load_quad(b, cursor),
                };
            };
            let (count, mask) = match source {
                Source::Across => (edge.columns, rows),
                Source::Along | Source::Scalar => (edge.rows, columns),
            };
            let line = b.splat_lane(0);
            b.when(IntCompare::Gt, count, i as i64, |b| {
                let value = match source {
                    Source::Scalar => element.load_splat(b, cursor),
                    _ => element.load(b, cursor, Some(mask)),
                };
                b.assign(line, value);
            });
            line
        };
        (0..self.side() as usize).map(line).collect()
    }
}

/// By what a number is shifted for a multiple of a power of two.
fn shift(power: i64) -> i64 {
    i64::from(power.ilog2())
}

/// The transpose of the first 128 bits of so many vectors, of as many units of `bytes`.
fn transpose(b: &mut Builder, lines: &[VReg], bytes: u32) -> Vec<VReg> {
    if lines.len() < 2 {
        return lines.to_vec();
    }
    // Pairs of lines become units of twice the size: those of the left half of the columns, and those of the right half.
    let pairs: Vec<[VReg; 2]> = lines
        .chunks_exact(2)
        .map(|it| Interleave::halves(bytes).map(|op| b.interleave(op, it[0], it[1])))
        .collect();
    let halves = [0, 1].map(|half| pairs.iter().map(|it| it[half]).collect::<Vec<_>>());
    halves.map(|it| transpose(b, &it, 2 * bytes)).concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::laws::unproven;

    #[test]
    fn laws_t1_t2_t3_are_asked() {
        let mut shapes = ShapeCx::new();
        let [n, rows] = ["n", "rows"].map(|it| shapes.sym(it));
        let [zero, one] = [0, 1].map(|it| shapes.int(it));
        let windows = shapes.add_int(n, -1).unwrap();
        let sources = vec![Source::Scalar, Source::Along, Source::Across];
        let program = TileProgram { sources, ..TileProgram::default() };
        let good = [[n, zero], [rows, one], [one, rows], [n, one]];
        let with = |at: usize, steps: [Dim; 2]| {
            let mut changed = good;
            changed[at] = steps;
            changed
        };
        for (n, rows, steps, wanted) in [
            (n, rows, good, None),
            (windows, rows, good, Some("T1")),
            (n, windows, good, Some("T1")),
            (n, rows, with(3, [one, n]), Some("T2")),
            (n, rows, with(0, [n, one]), Some("T3")),
            (n, rows, with(1, [one, rows]), Some("T3")),
            (n, rows, with(2, [rows, one]), Some("T3")),
        ] {
            let laws = program.laws(&mut shapes, &TileCall { n, rows, steps: steps.to_vec() });
            assert_eq!(unproven(&shapes, &laws), wanted);
        }
    }
}
