//! Panels of the unfolded image.

use super::{Geometry, ceil_div};
use crate::kernels::gemm;
use crate::vector::{Addr, BinaryOp, Builder, IReg, IntCompare, IntOp, Isa, MReg, Program, Size};

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
    let [_, stride] = geometry.stride;
    let [down, across] = geometry.dilation;
    let vectors = i64::from(vectors);

    let stored: Vec<MReg> = (0..vectors)
        .map(|j| {
            let left = b.int_op(IntOp::Sub, count, Size::lanes(j));
            b.first(left)
        })
        .collect();
    // Output `t` reads column `ix + kx·dilation + t·stride`: valid for `low <= t < high`.
    let loaded: Vec<Vec<MReg>> = (0..kw)
        .map(|kx| {
            let at = b.int_add(ix, kx * across);
            let zero = b.int_const(0);
            let before = b.int_op(IntOp::Sub, zero, at);
            let low = ceil_div(&mut b, before, stride);
            let after = b.int_op(IntOp::Sub, w, at);
            let high = ceil_div(&mut b, after, stride);
            let high = b.int_op(IntOp::Min, high, count);
            (0..vectors)
                .map(|j| {
                    let low = b.int_op(IntOp::Sub, low, Size::lanes(j));
                    let high = b.int_op(IntOp::Sub, high, Size::lanes(j));
                    b.between(low, high)
                })
                .collect()
        })
        .collect();
    let index = (stride != 1).then(|| {
        let (iota, by) = (b.iota(), b.constant_int(stride as i32));
        b.binary(BinaryOp::IntMul, iota, by)
    });
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
                    for kx in 0..kw {
                        for j in 0..vectors {
                            let mask = loaded[kx as usize][j as usize];
                            let first = Size { fixed: 4 * kx * across, per_lane: 4 * j * stride };
                            let v = match index {
                                None => b.load(Addr::new(row).offset(first), Some(mask)),
                                Some(index) => {
                                    let base = b.int_add(row, first);
                                    b.gather(base, index, mask)
                                }
                            };
                            b.store(v, target(kx, j), Some(stored[j as usize]));
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

/// The packing program for [`Geometry::is_pointwise`]: columns of the image as they are.
pub fn pack_pointwise(vectors: u32, isa: Isa) -> Program {
    gemm::pack_rows(Size::lanes(i64::from(vectors)), isa)
}
