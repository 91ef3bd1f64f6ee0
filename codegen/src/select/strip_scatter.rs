//! How strips store elements whose places data choose: one after the other, as many may have the same.

use super::expression::{Node, VectorExpr};
use crate::kernels::element::Element;
use crate::vector::{Addr, Builder, IReg, Isa, Storage, VReg, Width};

/// Bytes of the places of a vector of elements, and of these.
pub(super) const PLACED_BYTES: i64 = 2 * VECTOR;
/// Bytes of the longest vector.
const VECTOR: i64 = 64;
/// Bytes of a lane.
const LANE: i64 = 8;

/// Stores a vector of values, or the first `rest` of them, each at its position from `target`, in order, or what
/// `combined` makes of what was there and the value. Lanes have 64 bits; `scratch` points to [`PLACED_BYTES`].
pub(super) fn scatter(
    b: &mut Builder,
    isa: Isa,
    scratch: IReg,
    (element, combined): (Element, Option<&(VectorExpr, Node)>),
    (value, position): (VReg, VReg),
    target: IReg,
    rest: Option<IReg>,
) {
    b.store(position, Addr::new(scratch), None);
    let elements = Addr::new(scratch).offset(VECTOR);
    match combined {
        Some(_) => b.store(value, elements, None),
        None => element.store(b, value, elements, None),
    }
    let bytes = element.bytes();
    // What is stored already is moved as it is.
    let raw = match bytes {
        1 => Storage::U8,
        2 => Storage::U16,
        4 => Storage::U32,
        _ => Storage::Bits64,
    };
    let size = if combined.is_some() { LANE } else { bytes };
    let put = |b: &mut Builder, place: Addr, element_at: Addr| {
        let place = b.int_load(place);
        let to = Addr::new(target).indexed(place, bytes as u8);
        if let Some((expr, root)) = combined {
            let (before, value) = (element.load_splat(b, to), b.load_splat(element_at));
            let value = expr.emit(b, &[before, value], &[*root])[0];
            element.store_lane(b, value, to);
        } else {
            let value = b.load_splat_from(raw, element_at);
            b.store_lane_to(raw, value, to);
        }
    };
    let Some(rest) = rest else {
        for lane in 0..i64::from(isa.lanes_of(Width::W64)) {
            put(b, Addr::new(scratch).offset(lane * LANE), elements.offset(lane * size));
        }
        return;
    };
    let (places, others) = (b.int_move(scratch), b.int_add(scratch, VECTOR));
    b.repeat(rest, |b| {
        put(b, Addr::new(places), Addr::new(others));
        b.bump(places, LANE);
        b.bump(others, size);
    });
}
