//! Panels of the unfolded image.

use super::Geometry;
use super::line::Line;
use crate::kernels::gemm;
use crate::vector::{Addr, Builder, IReg, IntCompare, IntOp, Isa, MReg, Program, Size};

/// A program that copies the elements under every kernel element, for neighbouring outputs of one row, into a panel
/// `[c · kh · kw][vectors * VL]`.
///
/// Parameters: `x` (the image, `c` planes), `panel` (already moved to the column of the first output), `c`, `h`, `w`,
/// `iy`, `ix` (image position under the first kernel element for the first output; may lie in the padding), `count`
/// (outputs; they must fit in the panel).
pub fn unfold_segment(geometry: &Geometry, vectors: u32) -> Program {
    let mut b = Builder::new("unfold");
    let [x, panel, c, h, w, iy, ix, count] = b.params();
    let [kh, kw] = geometry.kernel;
    let [down, _] = geometry.dilation;
    let vectors = i64::from(vectors);

    let stored: Vec<MReg> = (0..vectors)
        .map(|j| {
            let left = b.int_op(IntOp::Sub, count, Size::lanes(j));
            b.first(left)
        })
        .collect();
    let line = Line::new(&mut b, geometry, vectors, ix, Some((w, count)));
    let zeros = b.constant(0.0);
    let row_bytes = b.int_op(IntOp::ShiftLeft, w, 2);
    let plane_bytes = b.int_mul(row_bytes, h);
    let plane = b.int_move(x);
    let to = b.int_move(panel);
    let target = |kx: i64, j: i64| Addr::new(to).offset(Size::vectors(kx * vectors + j));
    let clear = |b: &mut Builder| {
        for kx in 0..kw {
            for j in 0..vectors {
                b.store(zeros, target(kx, j), Some(stored[j as usize]));
            }
        }
    };
    b.repeat(c, |b| {
        let y = b.int_move(iy);
        let start = b.int_mul(y, row_bytes);
        let start = b.int_add(start, plane);
        let left = b.int_op(IntOp::ShiftLeft, ix, 2);
        let row = b.int_add(start, left);
        let step = b.int_mul(row_bytes, down);
        b.repeat(kh, |b| {
            let inside = inside(b, y, h);
            b.when_else(
                IntCompare::Ne,
                inside,
                0,
                |b| {
                    // Two kernel columns at a time may share their loads.
                    for first in (0..kw).step_by(2) {
                        let columns = first..(first + 2).min(kw);
                        for (kx, loaded) in columns.clone().zip(line.load(b, row, columns, None)) {
                            for (j, v) in loaded.into_iter().enumerate() {
                                b.store(v, target(kx, j as i64), Some(stored[j]));
                            }
                        }
                    }
                },
                clear,
            );
            b.bump(to, Size::vectors(kw * vectors));
            b.bump(y, down);
            b.bump(row, step);
        });
        b.bump(plane, plane_bytes);
    });
    b.finish()
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
pub fn pack_pointwise(vectors: u32, isa: Isa) -> Program {
    let factor = gemm::Factor::floats(gemm::Layout::RowMajor);
    gemm::pack_rows(Size::lanes(i64::from(vectors)), isa, &factor, gemm::Arithmetic::Float)
}
