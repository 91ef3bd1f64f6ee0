//! Panels of the unfolded image.

use super::line::Line;
use super::{Geometry, Slide, Source, inside, strides};
use crate::kernels::element::Element;
use crate::kernels::gemm::{self, Arithmetic, Factor, Layout, Packing, Zero, remainder, repeated, step};
use crate::vector::{
    Addr, BinaryOp, Builder, IReg, IntCompare, IntOp, Isa, MReg, Program, Size, UnaryOp, VReg,
};

/// A program that copies the elements under every kernel element, for neighbouring outputs of one row, into a panel
/// `[⌈c / terms⌉ · taps][vectors * VL]`: terms are neighbouring channels.
///
/// Parameters: `x` (the image, `c` planes), `panel` (already moved to the column of the first output), `c`, the extent of
/// each axis, the position on each axis under the first kernel element for the first output (which may lie in the
/// padding), `count` (outputs; they must fit in the panel), and the zero point if there is one.
pub fn unfold_segment(geometry: &Geometry, vectors: u32, source: &Source) -> Program {
    let mut b = Builder::of_width("unfold", source.arithmetic.width());
    let [x, panel, c] = b.params();
    let [extents, starts] = [(); 2].map(|()| (0..geometry.rank()).map(|_| b.param()).collect::<Vec<_>>());
    let count = b.param();
    let (w, ix) = (extents[geometry.rank() - 1], starts[geometry.rank() - 1]);
    let zero = source.zero.then(|| source.term().load_param(&mut b));
    let vectors = i64::from(vectors);
    let size = i64::from(source.element.bytes().trailing_zeros());
    let (strides, plane_bytes) = strides(&mut b, &extents, size);
    let left = b.int_op(IntOp::ShiftLeft, ix, size);
    let rows = geometry.split().0.iter().zip(strides).zip(extents.iter().zip(&starts));
    let rows = rows
        .map(|((slide, bytes), (extent, start))| Rows {
            slide: *slide,
            extent: *extent,
            start: *start,
            bytes,
            step: b.int_mul(bytes, slide.dilation),
        })
        .collect();
    let plane = b.int_move(x);
    let to = b.int_move(panel);
    let put = if Line::reads(geometry.columns(), source.element, b.width()) {
        Put::lines(&mut b, geometry.columns(), source, vectors, ix, w, count)
    } else {
        Put::Each { ix, w, count }
    };
    // What lies outside of the image is its zero point, so that it counts for nothing.
    let nothing = match zero {
        Some(zero) if source.arithmetic.is_quads() => repeated(&mut b, source.arithmetic, zero),
        _ => b.constant(0.0),
    };
    let nothing = source.factor().unsigned(&mut b, source.arithmetic, nothing);
    let unfold =
        Unfold { columns: geometry.columns(), rows, plane_bytes, source, vectors, zero, nothing, put };
    let channels = |b: &mut Builder, terms: i64| {
        let from = b.int_add(plane, left);
        unfold.rows(b, &unfold.rows, from, None, terms, to);
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
        columns: Slide,
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
        Put::Lines { line: Line::new(b, columns, source.term(), vectors, ix, Some((w, count))), stored }
    }
}

/// An axis of rows.
struct Rows {
    slide: Slide,
    extent: IReg,
    /// The position under the first kernel element.
    start: IReg,
    /// From one element to the next, and from one kernel element to the next.
    bytes: IReg,
    step: IReg,
}

/// What the rows of an unfolding share.
struct Unfold<'a> {
    /// The axis of columns.
    columns: Slide,
    rows: Vec<Rows>,
    plane_bytes: IReg,
    source: &'a Source,
    vectors: i64,
    /// The zero point in every lane.
    zero: Option<VReg>,
    /// A step of what lies outside of the image.
    nothing: VReg,
    put: Put,
}

impl Unfold<'_> {
    /// The rows of the kernel along some axes, of as many channels as there are terms. `from` is where the first one is
    /// read without these axes, `inside` whether the position on the axes before them is in the image.
    fn rows(
        &self,
        b: &mut Builder,
        axes: &[Rows],
        from: IReg,
        inside_before: Option<IReg>,
        terms: i64,
        to: IReg,
    ) {
        let Some((axis, inner)) = axes.split_first() else {
            let mut rows = vec![from];
            for _ in 1..terms {
                rows.push(b.int_add(rows[rows.len() - 1], self.plane_bytes));
            }
            match inside_before {
                Some(flag) => {
                    b.when_else(IntCompare::Ne, flag, 0, |b| self.row(b, &rows, to), |b| self.clear(b, to));
                }
                None => self.row(b, &rows, to),
            }
            b.bump(to, self.lane().vectors(self.columns.kernel * self.vectors));
            return;
        };
        let at = b.int_move(axis.start);
        let offset = b.int_mul(at, axis.bytes);
        let from = b.int_add(offset, from);
        b.repeat(axis.slide.kernel, |b| {
            let flag = inside(b, at, axis.extent, inside_before);
            self.rows(b, inner, from, Some(flag), terms, to);
            b.bump(at, axis.slide.dilation);
            b.bump(from, axis.step);
        });
    }

    /// A row of the kernel, from rows of one channel or of neighbouring ones.
    fn row(&self, b: &mut Builder, rows: &[IReg], to: IReg) {
        let kw = self.columns.kernel;
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
                    let at = kx * self.columns.dilation;
                    let bytes = self.source.element.bytes();
                    let x = b.int_add(*ix, at);
                    let from: Vec<IReg> = rows.iter().map(|row| b.int_add(*row, bytes * at)).collect();
                    let place = b.int_add(to, self.lane().vectors(kx * self.vectors));
                    b.repeat(*count, |b| {
                        let value = b.unary(UnaryOp::Move, self.nothing);
                        let inside = inside(b, x, *w, None);
                        b.when(IntCompare::Ne, inside, 0, |b| {
                            let terms: Vec<VReg> =
                                from.iter().map(|p| self.source.term().load_splat(b, *p)).collect();
                            let v = self.step(b, &terms);
                            b.assign(value, v);
                        });
                        b.store_lane(value, place);
                        b.bump(place, self.lane().bytes());
                        b.bump(x, self.columns.stride);
                        for &p in &from {
                            b.bump(p, bytes * self.columns.stride);
                        }
                    });
                }
            }
        }
    }

    /// What lies outside of the image counts for nothing.
    fn clear(&self, b: &mut Builder, to: IReg) {
        let kw = self.columns.kernel;
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
        Factor { layout: Layout::RowMajor, element: self.element, zero, packing: Packing::NONE }
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
