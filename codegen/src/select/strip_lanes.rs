//! What the vector program of [`super::strips`] does with lanes.

use crate::kernels::element::Element;
use crate::vector::{Addr, BinaryOp, Builder, IReg, IntOp, Interleave, Isa, MReg, VReg};

/// What indices are checked by.
#[derive(Clone, Copy)]
pub(super) struct Check {
    /// The extent, in every lane.
    pub(super) extent: VReg,
    /// The same with another sign bit.
    pub(super) limit: VReg,
    /// All bits in lanes where all indices were in range; one for all sources.
    pub(super) good: VReg,
}

/// The lanes inside a range, of the first `rest`.
pub(super) fn inside(b: &mut Builder, (low, high): (IReg, IReg), rest: Option<IReg>) -> MReg {
    let low = b.int_op(IntOp::Max, low, 0);
    let mut high = b.int_op(IntOp::Max, high, 0);
    if let Some(rest) = rest {
        high = b.int_op(IntOp::Min, high, rest);
    }
    b.between(low, high)
}

/// The positions of elements that are so many apart.
pub(super) fn positions(b: &mut Builder, step: i64) -> VReg {
    let (lanes, step) = (b.iota(), b.constant_int(step));
    b.binary(BinaryOp::IntMul, lanes, step)
}

/// Whether elements that are so many apart are picked from all that lie there: by one load, or by evens and odds.
pub(super) fn near(step: i64) -> bool {
    matches!(step, 2 | 4 | 8)
}

/// A vector of elements that are so many apart; reads to where the next one starts.
pub(super) fn load_near(b: &mut Builder, element: Element, cursor: IReg, step: i64) -> VReg {
    if let Some(units) = element.load_every(b, (step, 0), cursor, None) {
        return units;
    }
    let load = |j: i64| element.load(b, Addr::new(cursor).offset(element.vectors(j)), None);
    let vectors = (0..step).map(load).collect();
    pick(b, vectors, 0)
}

/// Indices with those from the end made positive, and 0 in place of what is out of range.
pub(super) fn in_range(b: &mut Builder, index: VReg, check: &Check) -> VReg {
    let (zero, sign) = (b.constant_int(0), b.constant_lane(b.width().sign()));
    let negative = b.binary(BinaryOp::IntGt, zero, index);
    let from_end = b.binary(BinaryOp::And, negative, check.extent);
    let position = b.binary(BinaryOp::IntAdd, index, from_end);
    // As unsigned numbers, what is still negative is too large.
    let ordered = b.binary(BinaryOp::Xor, position, sign);
    let inside = b.binary(BinaryOp::IntGt, check.limit, ordered);
    b.binary_into(BinaryOp::And, check.good, check.good, inside);
    b.binary(BinaryOp::And, inside, position)
}

/// Element `part` of each group; the vectors hold as many groups as one of them holds elements.
pub(super) fn pick(b: &mut Builder, vectors: Vec<VReg>, part: i64) -> VReg {
    if let [only] = vectors[..] {
        return only;
    }
    let half = vectors.chunks_exact(2).map(|it| b.deinterleave(it[0], it[1], part & 1 == 1)).collect();
    pick(b, half, part >> 1)
}

/// The elements of all vectors in turn: first elements, second elements, and so on.
pub(super) fn interleave(b: &mut Builder, isa: Isa, vectors: &[VReg]) -> Vec<VReg> {
    if vectors.len() < 2 {
        return vectors.to_vec();
    }
    let half = |odd: usize| vectors.iter().copied().skip(odd).step_by(2).collect::<Vec<_>>();
    let (even, odd) = (interleave(b, isa, &half(0)), interleave(b, isa, &half(1)));
    even.into_iter().zip(odd).flat_map(|(x, y)| shuffle(b, isa, x, y)).collect()
}

/// `x0 y0 x1 y1 …` as two vectors.
pub(super) fn shuffle(b: &mut Builder, isa: Isa, x: VReg, y: VReg) -> [VReg; 2] {
    if isa == Isa::Clif128 {
        return Interleave::halves(b.width().bytes()).map(|op| b.interleave(op, x, y));
    }
    // Taking even and then odd elements rotates the bits of positions, of which there are one more than in a lane
    // number; all rotations but one are one in the other direction.
    (0..isa.lanes_of(b.width()).ilog2())
        .fold([x, y], |[x, y], _| [false, true].map(|odd| b.deinterleave(x, y, odd)))
}
