//! Reading the elements under one kernel element for neighbouring outputs, from one row of an image.

use super::{Slide, ceil_div};
use crate::kernels::element::Element;
use crate::vector::{Addr, BinaryOp, Builder, IReg, IntOp, MReg, Size, VReg, Width};

/// How outputs that are `stride` apart are read, and what is known before the row is.
///
/// Unit strides are plain loads. For stride 2, two neighbouring vectors hold the elements of two kernel columns, and are
/// separated by lanes. Longer strides gather, which whole lanes alone can.
pub(super) struct Line {
    element: Element,
    stride: i64,
    dilation: i64,
    vectors: i64,
    index: Option<VReg>,
    /// The columns that are loaded from, in order.
    bases: Vec<i64>,
    /// For each kernel column (or pair of them) and vector; empty if all lanes are inside the row.
    masks: Vec<Vec<MReg>>,
}

impl Line {
    fn bases(slide: Slide) -> Vec<i64> {
        let mut bases: Vec<i64> = (0..slide.kernel)
            .map(|kx| kx * slide.dilation)
            .map(|at| if slide.stride == 2 { at & !1 } else { at })
            .collect();
        bases.dedup();
        bases
    }

    /// Whether outputs of this stride can be read from elements of this kind, in lanes of a width.
    pub(super) fn reads(slide: Slide, element: Element, width: Width) -> bool {
        slide.stride <= 2 || element == Element::lane(width)
    }

    /// Elements from the first one read to the last one that whole loads touch, for so many vectors of outputs.
    pub(super) fn reach(slide: Slide, vectors: i64) -> Size {
        let stride = slide.stride;
        let last = Line::bases(slide).last().copied().unwrap_or_default();
        match stride {
            1 | 2 => Size { fixed: last, per_lane: stride * vectors },
            _ => Size { fixed: last - stride + 1, per_lane: stride * vectors },
        }
    }

    /// For outputs whose first one reads column `ix` under the first kernel element, of which `count` are wanted. What
    /// lies outside `0..w` reads as zero. Without bounds, all must be inside.
    pub(super) fn new(
        b: &mut Builder,
        slide: Slide,
        element: Element,
        vectors: i64,
        ix: IReg,
        bounds: Option<(IReg, IReg)>,
    ) -> Line {
        let Slide { stride, dilation, .. } = slide;
        let index = (stride > 2).then(|| {
            let (iota, by) = (b.iota(), b.constant_int(stride as i32));
            b.binary(BinaryOp::IntMul, iota, by)
        });
        let bases = Line::bases(slide);
        let loads = if stride == 2 { 2 * vectors } else { vectors };
        let masks = match bounds {
            Some((w, count)) => bases
                .iter()
                .map(|&base| {
                    let at = b.int_add(ix, base);
                    let zero = b.int_const(0);
                    let mut low = b.int_op(IntOp::Sub, zero, at);
                    let mut high = b.int_op(IntOp::Sub, w, at);
                    if stride == 2 {
                        // Masks take counts of 32 bits; the row may be longer than that.
                        low = b.int_op(IntOp::Max, low, 0);
                        high = b.int_op(IntOp::Max, high, 0);
                    } else {
                        low = ceil_div(b, low, stride, Size::lanes(loads));
                        high = ceil_div(b, high, stride, Size::lanes(loads));
                        high = b.int_op(IntOp::Min, high, count);
                    }
                    (0..loads)
                        .map(|j| {
                            let low = b.int_op(IntOp::Sub, low, Size::lanes(j));
                            let high = b.int_op(IntOp::Sub, high, Size::lanes(j));
                            b.between(low, high)
                        })
                        .collect()
                })
                .collect(),
            // Gathers need a mask in any case.
            None if index.is_some() => {
                let all = b.int_const(Size::lanes(1));
                let mask = b.first(all);
                vec![vec![mask; loads as usize]; bases.len()]
            }
            None => Vec::new(),
        };
        Line { element, stride, dilation, vectors, index, bases, masks }
    }

    /// The vectors under each kernel column, from `row`, the address of column `ix`. Lanes outside the row hold `other`
    /// where it is given, else zero.
    pub(super) fn load(
        &self,
        b: &mut Builder,
        row: IReg,
        kx: std::ops::Range<i64>,
        other: Option<VReg>,
    ) -> Vec<Vec<VReg>> {
        let mut pair: Option<(i64, Vec<VReg>)> = None;
        kx.map(|kx| {
            let at = kx * self.dilation;
            if self.stride != 2 {
                let step = Size { fixed: 0, per_lane: self.element.bytes() * self.stride };
                return (0..self.vectors)
                    .map(|j| self.one(b, row, at, kx as usize, j, step, other))
                    .collect();
            }
            let base = at & !1;
            let raw = match pair.take() {
                Some((same, raw)) if same == base => raw,
                _ => {
                    let number = self.bases.iter().take_while(|it| **it < base).count();
                    (0..2 * self.vectors)
                        .map(|j| self.one(b, row, base, number, j, self.element.vectors(1), other))
                        .collect()
                }
            };
            let lanes = raw.chunks(2).map(|v| b.deinterleave(v[0], v[1], at != base)).collect();
            pair = Some((base, raw));
            lanes
        })
        .collect()
    }

    fn one(
        &self,
        b: &mut Builder,
        row: IReg,
        at: i64,
        base: usize,
        j: i64,
        step: Size,
        other: Option<VReg>,
    ) -> VReg {
        let offset = Size { fixed: self.element.bytes() * at, per_lane: j * step.per_lane };
        let mask = self.masks.get(base).map(|masks| masks[j as usize]);
        let v = match (self.index, mask) {
            (Some(index), Some(mask)) => {
                let from = b.int_add(row, offset);
                b.gather(from, index, mask)
            }
            _ => self.element.load(b, Addr::new(row).offset(offset), mask),
        };
        match (other, mask) {
            (Some(other), Some(mask)) => {
                let lanes = b.mask_lanes(mask);
                b.blend(lanes, v, other)
            }
            _ => v,
        }
    }
}
