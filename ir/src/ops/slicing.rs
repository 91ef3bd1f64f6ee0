//! The arithmetic of slices and ranges, shared by inference and legalisation.

use super::support::{larger, smaller};
use crate::shape::{Dim, ShapeCx};

/// Elements `start, start + step, …` of a dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceRange {
    /// First position.
    pub start: Dim,
    /// Number of elements.
    pub length: Dim,
    /// Distance between two positions; not 0.
    pub step: i64,
}

/// Bounds beyond this mean "to the end".
const FAR: i64 = i64::MAX / 4;

/// Resolves the bounds of a slice over a dimension of `size` elements as ONNX does: negative bounds count from the
/// end, then both are clamped. `None` when the step is not constant, or an expression overflows.
pub fn slice_range(shapes: &mut ShapeCx, size: Dim, start: Dim, end: Dim, step: Dim) -> Option<SliceRange> {
    let step = shapes.as_int(step).filter(|it| *it != 0)?;
    let (zero, minus_one) = (shapes.int(0), shapes.int(-1));
    let last = shapes.add_int(size, -1).ok()?;
    let (start, distance) = if step > 0 {
        let start = resolve(shapes, size, start, zero, size)?;
        let end = resolve(shapes, size, end, zero, size)?;
        (start, shapes.sub(end, start).ok()?)
    } else {
        let start = resolve(shapes, size, start, zero, last)?;
        let end = resolve(shapes, size, end, minus_one, last)?;
        (start, shapes.sub(start, end).ok()?)
    };
    let distance = larger(shapes, distance, zero)?;
    let length = shapes.ceil_div(distance, step.checked_abs()?).ok()?;
    Some(SliceRange { start, length, step })
}

/// A bound counted from the start and clamped to `low..=high`.
fn resolve(shapes: &mut ShapeCx, size: Dim, bound: Dim, low: Dim, high: Dim) -> Option<Dim> {
    match shapes.as_int(bound) {
        Some(it) if it >= FAR => return Some(high),
        Some(it) if it <= -FAR => return Some(low),
        _ => {}
    }
    let zero = shapes.int(0);
    if shapes.prove_ge(bound, zero).is_always() {
        return smaller(shapes, bound, high);
    }
    if shapes.prove_lt(bound, zero).is_always() {
        let from_end = shapes.add(size, bound).ok()?;
        let raised = larger(shapes, from_end, low)?;
        // size + bound < size, but a dimension of 0 elements has no last one.
        return smaller(shapes, raised, high);
    }
    // Of unknown sign: bound + size·[bound < 0].
    let (one, minus) = (shapes.int(1), shapes.neg(bound).ok()?);
    let below = shapes.max(&[zero, minus]).ok()?;
    let is_negative = shapes.min(&[one, below]).ok()?;
    let added = shapes.mul(size, is_negative).ok()?;
    let counted = shapes.add(bound, added).ok()?;
    let raised = larger(shapes, counted, low)?;
    smaller(shapes, raised, high)
}

/// Number of elements of `start, start + delta, …` before `limit`. `None` when the sign of a symbolic `delta` is not
/// known, or `delta` is 0.
pub fn range_length(shapes: &mut ShapeCx, start: Dim, limit: Dim, delta: Dim) -> Option<Dim> {
    let zero = shapes.int(0);
    let (distance, step) = if shapes.prove_gt(delta, zero).is_always() {
        (shapes.sub(limit, start).ok()?, delta)
    } else if shapes.prove_lt(delta, zero).is_always() {
        (shapes.sub(start, limit).ok()?, shapes.neg(delta).ok()?)
    } else {
        return None;
    };
    let distance = larger(shapes, distance, zero)?;
    shapes.ceil_div_dim(distance, step).ok()
}
