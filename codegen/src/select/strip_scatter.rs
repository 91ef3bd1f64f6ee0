//! How strips store elements whose places data choose: one after the other, as many may have the same.

use super::expression::{Node, VectorExpr};
use crate::kernels::element::Element;
use crate::vector::{Addr, Builder, IReg, IntOp, IntSource, Size, Storage, VReg};

/// Bytes of the places of a vector of elements, and of these.
pub(super) const PLACED_BYTES: i64 = 2 * VECTOR;
/// Bytes of the longest vector.
const VECTOR: i64 = 64;

/// Stores a vector of values, or the first `rest` of them, each at its position from `target`, in order, or what
/// `combined` makes of what was there and the value. Lanes have 64 bits; `scratch` points to [`PLACED_BYTES`].
pub(super) fn scatter(
    b: &mut Builder,
    scratch: IReg,
    (element, combined): (Element, Option<&(VectorExpr, Node)>),
    (value, position): (VReg, VReg),
    target: IReg,
    rest: Option<IReg>,
) {
    let places = b.int_move(scratch);
    let elements = b.int_add(scratch, VECTOR);
    b.store(position, Addr::new(places), None);
    let count = match rest {
        Some(rest) => IntSource::Reg(rest),
        None => IntSource::Const(Size::lanes(1)),
    };
    let shift = i64::from(element.bytes().ilog2());
    if let Some((expr, root)) = combined {
        b.store(value, Addr::new(elements), None);
        b.repeat(count, |b| {
            let place = b.int_load(places);
            let distance = b.int_op(IntOp::ShiftLeft, place, shift);
            let to = b.int_add(target, distance);
            let (before, value) = (element.load_splat(b, to), b.load_splat(elements));
            let value = expr.emit(b, &[before, value], &[*root])[0];
            element.store_lane(b, value, to);
            b.bump(places, 8);
            b.bump(elements, 8);
        });
        return;
    }
    element.store(b, value, Addr::new(elements), None);
    // What is stored already is moved as it is.
    let bytes = element.bytes();
    let raw = match bytes {
        1 => Storage::U8,
        2 => Storage::U16,
        4 => Storage::U32,
        _ => Storage::Bits64,
    };
    b.repeat(count, |b| {
        let place = b.int_load(places);
        let distance = b.int_op(IntOp::ShiftLeft, place, shift);
        let to = b.int_add(target, distance);
        let value = b.load_splat_from(raw, elements);
        b.store_lane_to(raw, value, to);
        b.bump(places, 8);
        b.bump(elements, bytes);
    });
}
