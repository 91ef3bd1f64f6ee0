//! Panels of the unfolded image.

use super::line::Line;
use super::{Geometry, Source};
use crate::kernels::element::Element;
use crate::kernels::gemm::{self, Arithmetic, Factor, Layout, Zero, remainder, repeated, step};
use crate::vector::{
    Addr, BinaryOp, Builder, IReg, IntCompare, IntOp, Isa, MReg, Program, Size, UnaryOp, VReg,
};

/// A program that copies the elements under every kernel element, for neighbouring outputs of one row, into a panel
/// `[⌈c / terms⌉ · kh · kw][vectors * VL]`: terms are neighbouring channels.
///
/// Parameters: `x` (the image, `c` planes), `panel` (already moved to the column of the first output), `c`, `h`, `w`,
/// `iy`, `ix` (image position under the first kernel element for the first output; may lie in the padding), `count`
/// (outputs; they must fit in the panel), and the zero point if there is one.
pub fn unfold_segment(geometry: &Geometry, vectors: u32, source: &Source) -> Program {
    let mut b = Builder::of_width("unfold", source.arithmetic.width());
    let [x, panel, c, h, w, iy, ix, count] = b.params();
    let zero = source.zero.then(|| {
        let p = b.param();
        source.term().load_splat(&mut b, p)
    });
    let (vectors, lane) = (i64::from(vectors), source.arithmetic.lane());
    let size = i64::from(source.element.bytes().trailing_zeros());
    let row_bytes = b.int_op(IntOp::ShiftLeft, w, size);
    let plane_bytes = b.int_mul(row_bytes, h);
    let left = b.int_op(IntOp::ShiftLeft, ix, size);
    let down = b.int_mul(row_bytes, geometry.dilation[0]);
    let plane = b.int_move(x);
    let to = b.int_move(panel);
    let put = if Line::reads(geometry, source.element, b.width()) {
        Put::lines(&mut b, geometry, source, vectors, ix, w, count)
    } else {
        Put::Each { ix, w, count }
    };
    // What lies outside of the image is its zero point, so that it counts for nothing.
    let nothing = match zero {
        Some(zero) if source.arithmetic.is_quads() => repeated(&mut b, source.arithmetic, zero),
        _ => b.constant(0.0),
    };
    let nothing = source.factor().unsigned(&mut b, source.arithmetic, nothing);
    let unfold = Unfold { geometry, source, vectors, zero, nothing, put };
    let channels = |b: &mut Builder, terms: i64| {
        let y = b.int_move(iy);
        let start = b.int_mul(y, row_bytes);
        let start = b.int_add(start, plane);
        let row = b.int_add(start, left);
        b.repeat(geometry.kernel[0], |b| {
            let mut rows = vec![row];
            for _ in 1..terms {
                rows.push(b.int_add(rows[rows.len() - 1], plane_bytes));
            }
            let inside = inside(b, y, h);
            b.when_else(IntCompare::Ne, inside, 0, |b| unfold.row(b, &rows, to), |b| unfold.clear(b, to));
            b.bump(to, lane.vectors(geometry.kernel[1] * vectors));
            b.bump(y, geometry.dilation[0]);
            b.bump(row, down);
        });
        for _ in 0..terms {
            b.bump(plane, plane_bytes);
        }
    };
    let terms = source.arithmetic.terms();
    let whole = match terms {
        1 => c,
        _ => b.int_op(IntOp::ShiftRight, c, i64::from(terms.trailing_zeros())),
    };
    b.repeat(whole, |b| channels(b, terms));
    remainder(&mut b, c, terms, channels);
    b.finish()
}

/// How the outputs of a segment get into the panel.
enum Put {
    /// In vectors, under masks.
    Lines { line: Line, stored: Vec<MReg> },
    /// One by one.
    Each { ix: IReg, w: IReg, count: IReg },
}

impl Put {
    fn lines(
        b: &mut Builder,
        geometry: &Geometry,
        source: &Source,
        vectors: i64,
        ix: IReg,
        w: IReg,
        count: IReg,
    ) -> Put {
        let stored: Vec<MReg> = (0..vectors)
            .map(|j| {
                let left = b.int_op(IntOp::Sub, count, Size::lanes(j));
                b.first(left)
            })
            .collect();
        Put::Lines { line: Line::new(b, geometry, source.term(), vectors, ix, Some((w, count))), stored }
    }
}

/// What the rows of an unfolding share.
struct Unfold<'a> {
    geometry: &'a Geometry,
    source: &'a Source,
    vectors: i64,
    /// The zero point in every lane.
    zero: Option<VReg>,
    /// A step of what lies outside of the image.
    nothing: VReg,
    put: Put,
}

impl Unfold<'_> {
    /// A row of the kernel, from rows of one channel or of neighbouring ones.
    fn row(&self, b: &mut Builder, rows: &[IReg], to: IReg) {
        let kw = self.geometry.kernel[1];
        match &self.put {
            Put::Lines { line, stored } => {
                // Two kernel columns at a time may share their loads.
                for first in (0..kw).step_by(2) {
                    let columns = first..(first + 2).min(kw);
                    let terms: Vec<_> =
                        rows.iter().map(|row| line.load(b, *row, columns.clone(), self.zero)).collect();
                    for (i, kx) in columns.enumerate() {
                        for j in 0..self.vectors as usize {
                            let own: Vec<VReg> = terms.iter().map(|it| it[i][j]).collect();
                            let v = self.step(b, &own);
                            b.store(v, self.target(to, kx, j as i64), Some(stored[j]));
                        }
                    }
                }
            }
            Put::Each { ix, w, count } => {
                for kx in 0..kw {
                    let at = kx * self.geometry.dilation[1];
                    let bytes = self.source.element.bytes();
                    let x = b.int_add(*ix, at);
                    let from: Vec<IReg> = rows.iter().map(|row| b.int_add(*row, bytes * at)).collect();
                    let place = b.int_add(to, self.lane().vectors(kx * self.vectors));
                    b.repeat(*count, |b| {
                        let value = b.unary(UnaryOp::Move, self.nothing);
                        let inside = inside(b, x, *w);
                        b.when(IntCompare::Ne, inside, 0, |b| {
                            let terms: Vec<VReg> =
                                from.iter().map(|p| self.source.term().load_splat(b, *p)).collect();
                            let v = self.step(b, &terms);
                            b.assign(value, v);
                        });
                        b.store_lane(value, place);
                        b.bump(place, self.lane().bytes());
                        b.bump(x, self.geometry.stride[1]);
                        for &p in &from {
                            b.bump(p, bytes * self.geometry.stride[1]);
                        }
                    });
                }
            }
        }
    }

    /// What lies outside of the image counts for nothing.
    fn clear(&self, b: &mut Builder, to: IReg) {
        let kw = self.geometry.kernel[1];
        match &self.put {
            Put::Lines { stored, .. } => {
                for kx in 0..kw {
                    for j in 0..self.vectors {
                        b.store(self.nothing, self.target(to, kx, j), Some(stored[j as usize]));
                    }
                }
            }
            Put::Each { count, .. } => {
                for kx in 0..kw {
                    let place = b.int_add(to, self.lane().vectors(kx * self.vectors));
                    b.repeat(*count, |b| {
                        b.store_lane(self.nothing, place);
                        b.bump(place, self.lane().bytes());
                    });
                }
            }
        }
    }

    /// What panels are made of.
    fn lane(&self) -> Element {
        self.source.arithmetic.lane()
    }

    fn target(&self, to: IReg, kx: i64, j: i64) -> Addr {
        Addr::new(to).offset(self.lane().vectors(kx * self.vectors + j))
    }

    /// Lanes of a panel from the elements of one channel or of neighbouring ones.
    fn step(&self, b: &mut Builder, terms: &[VReg]) -> VReg {
        let arithmetic = self.source.arithmetic;
        let centre = |b: &mut Builder, term: VReg| match arithmetic {
            Arithmetic::Quads(_) => term,
            _ => self.source.centred(b, term, self.zero),
        };
        let terms: Vec<VReg> = terms.iter().map(|term| centre(b, *term)).collect();
        let value = step(b, arithmetic, &terms);
        self.source.factor().unsigned(b, arithmetic, value)
    }
}

/// 1 if `0 <= y < h`, else 0.
pub(super) fn inside(b: &mut Builder, y: IReg, h: IReg) -> IReg {
    let flag = b.int_const(0);
    b.when(IntCompare::Ge, y, 0, |b| {
        b.when(IntCompare::Lt, y, h, |b| b.bump(flag, 1));
    });
    flag
}

/// The packing program for [`Form::Pointwise`](super::Form::Pointwise): columns of the image as they are.
pub fn pack_pointwise(vectors: u32, isa: Isa, source: &Source) -> Program {
    gemm::pack_rows(Size::lanes(i64::from(vectors)), isa, &source.factor(), source.arithmetic)
}

impl Source {
    /// Images of `f32`.
    pub fn floats() -> Source {
        Source { element: Element::LANE, zero: false, arithmetic: Arithmetic::Float }
    }

    /// The image as an operand of a product.
    pub(super) fn factor(&self) -> Factor {
        let zero = self.zero.then_some(Zero::One);
        Factor { layout: Layout::RowMajor, element: self.element, zero }
    }

    /// The element that is read for one term.
    pub(super) fn term(&self) -> Element {
        self.factor().term(self.arithmetic).0
    }

    /// Elements as lanes, less the zero point.
    pub(super) fn centred(&self, b: &mut Builder, lanes: VReg, zero: Option<VReg>) -> VReg {
        match zero {
            Some(zero) => b.binary(BinaryOp::IntSub, lanes, zero),
            None => lanes,
        }
    }
}
