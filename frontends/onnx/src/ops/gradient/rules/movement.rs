//! Rules of operators that move elements, or read and write them at places.

use super::reduce::{product_of_others, without_zeros};
use super::{Arrived, One, Passed, alone};
use crate::emit::{Size, attrs};
use crate::node::{NodeCx, not_supported};
use crate::ops::index::{count_up, extent};
use crate::sink::Value;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::{DType, TensorType, Type};

/// Each operand of a concatenation is handed its own part.
pub(super) fn parts(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, axis) = (to.derivative()?, to.axis()?);
    let mut start = cx.int_vector(&[0]);
    let mut passed = Vec::new();
    for part in &to.step.args {
        let size = cx.shape_part(*part, axis, axis + 1)?;
        let end = cx.binary("add", start, size)?;
        passed.push(Some(cx.slice_between(d, axis, start, end)?));
        start = end;
    }
    Ok(passed)
}

/// What was cut out is put back among zeros, axis by axis: a slice of the places of an axis says where.
pub(super) fn slice(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (mut d, x) = (to.derivative()?, to.arg(0)?);
    let bounds = [to.arg(1)?, to.arg(2)?, to.arg(3)?];
    for (i, axis) in to.axes()?.iter().enumerate() {
        let places = along(cx, x, *axis as usize)?;
        let mut operands = vec![places];
        for bound in bounds {
            operands.push(cx.slice(bound, 0, i as i64, i as i64 + 1)?);
        }
        let places = cx.emit("slice", attrs([("axes", vec![0].into())]), &operands)?;
        d = put_back(cx, x, places, d, *axis as usize)?;
    }
    Ok(alone(to, d))
}

/// 0, 1, … along an axis.
pub(super) fn along(cx: &mut NodeCx<'_, '_>, x: Value, axis: usize) -> One {
    let size = extent(cx, x, axis)?;
    count_up(cx, size)
}

/// Adds slices along an axis at these places, a vector, to zeros that have as many places there as `x`.
fn put_back(cx: &mut NodeCx<'_, '_>, x: Value, places: Value, slices: Value, axis: usize) -> One {
    let rank = cx.rank(slices)?;
    let sizes: Vec<Size> = (0..rank).map(|i| Size::Of(if i == axis { x } else { slices }, i)).collect();
    let shape = cx.shape_vector(&sizes)?;
    let zero = cx.number_like(slices, 0.0)?;
    let zeros = cx.full(shape, zero)?;
    let places = cx.along_axis(places, axis, rank)?;
    let shape = cx.shape_of(slices)?;
    let places = cx.emit("expand", attrs([]), &[places, shape])?;
    scatter_along(cx, zeros, places, slices, axis)
}

fn scatter_along(cx: &mut NodeCx<'_, '_>, zeros: Value, places: Value, elements: Value, axis: usize) -> One {
    let attrs = attrs([("axis", (axis as i64).into()), ("reduction", "add".into())]);
    cx.emit("scatter_elements", attrs, &[zeros, places, elements])
}

pub(super) fn gather(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, x, places, axis) = (to.derivative()?, to.arg(0)?, to.arg(1)?, to.axis()?);
    let (rank, wide) = (cx.rank(x)?, cx.rank(places)?);
    // The dimensions of the places as one.
    let mut sizes: Vec<Size> = (0..axis).map(|i| Size::Of(x, i)).collect();
    sizes.push(Size::Product(places, (0..wide).collect()));
    sizes.extend((axis + 1..rank).map(|i| Size::Of(x, i)));
    let slices = cx.reshape_to(d, &sizes)?;
    let places = cx.reshape_to(places, &[Size::Product(places, (0..wide).collect())])?;
    let places = cx.cast(places, DType::I64)?;
    Ok(vec![Some(put_back(cx, x, places, slices, axis)?), None])
}

/// Operators that read and write elements, or slices, at places: `gather_elements` and `scatter_elements`, or
/// `gather_nd` and `scatter_nd`.
struct Places<'t> {
    step: &'t super::Step,
    places: Value,
}

impl<'t> Places<'t> {
    /// The places of a step, which are its second operand; those of `scatter_nd` begin with batches.
    fn of(cx: &mut NodeCx<'_, '_>, to: &Arrived<'t>) -> Result<Self, Diagnostic> {
        let step = to.step;
        let mut places = to.arg(1)?;
        let batches = step.attrs.int("batch_dims").unwrap_or(0) as usize;
        if batches == 0 {
            return Ok(Places { step, places });
        }
        places = cx.as_i64(places)?;
        let rank = cx.rank(places)?;
        let mut sizes: Vec<Size> = (0..rank - 1).map(|i| Size::Of(places, i)).collect();
        sizes.push(Size::Const(1));
        let shape = cx.shape_vector(&sizes)?;
        let mut parts = Vec::new();
        for axis in 0..batches {
            let along = along(cx, places, axis)?;
            let along = cx.along_axis(along, axis, rank)?;
            parts.push(cx.emit("expand", attrs([]), &[along, shape])?);
        }
        parts.push(places);
        Ok(Places { step, places: cx.concat(&parts, rank as i64 - 1)? })
    }

    fn by_slices(&self) -> bool {
        matches!(self.step.op, Some("gather_nd" | "scatter_nd"))
    }

    fn take(&self, cx: &mut NodeCx<'_, '_>, from: Value) -> One {
        if self.by_slices() {
            return cx.emit("gather_nd", attrs([]), &[from, self.places]);
        }
        let axis = self.step.attrs.int("axis").unwrap_or(0);
        cx.emit("gather_elements", attrs([("axis", axis.into())]), &[from, self.places])
    }

    fn put(&self, cx: &mut NodeCx<'_, '_>, into: Value, values: Value, reduction: &str) -> One {
        let mut given = attrs([("reduction", reduction.into())]);
        if !self.by_slices() {
            given = given.with("axis", self.step.attrs.int("axis").unwrap_or(0));
        }
        let op = if self.by_slices() { "scatter_nd" } else { "scatter_elements" };
        cx.emit(op, given, &[into, self.places, values])
    }
}

pub(super) fn gather_elements(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let places = Places::of(cx, to)?;
    let zeros = cx.zeros_like(to.arg(0)?)?;
    Ok(vec![Some(places.put(cx, zeros, to.derivative()?, "add")?), None])
}

pub(super) fn scatter(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, x, updates, y) = (to.derivative()?, to.arg(0)?, to.arg(2)?, to.result()?);
    let places = Places::of(cx, to)?;
    let reduction = to.step.attrs.str("reduction").unwrap_or("none");
    let (of_x, of_updates) = match reduction {
        "add" => (d, places.take(cx, d)?),
        // Equal ones share.
        "max" | "min" => {
            let zero = cx.number_like(d, 0.0)?;
            let best = places.take(cx, y)?;
            let (kept, written) = (cx.binary("equal", x, y)?, cx.binary("equal", updates, best)?);
            let dtype = cx.dtype(d)?;
            let counts = (cx.cast(kept, dtype)?, cx.cast(written, dtype)?);
            let count = places.put(cx, counts.0, counts.1, "add")?;
            let share = cx.binary("div", d, count)?;
            let shared = places.take(cx, share)?;
            (cx.select(kept, share, zero)?, cx.select(written, shared, zero)?)
        }
        "mul" => {
            let (own, given) = (without_zeros(cx, x)?, without_zeros(cx, updates)?);
            let product = places.put(cx, own.0, given.0, "mul")?;
            let zeros = places.put(cx, own.1, given.1, "add")?;
            let others = product_of_others(cx, x, product, zeros)?;
            let of_x = cx.binary("mul", d, others)?;
            let (product, zeros) = (places.take(cx, product)?, places.take(cx, zeros)?);
            let others = product_of_others(cx, updates, product, zeros)?;
            let arrived = places.take(cx, d)?;
            (of_x, cx.binary("mul", arrived, others)?)
        }
        // Of several updates at one place the last is kept: the one whose number is.
        _ => {
            let nothing = cx.zeros_like(updates)?;
            let of_x = places.put(cx, d, nothing, "none")?;
            let rank = cx.rank(updates)?;
            let total = cx.shape_vector(&[Size::Product(updates, (0..rank).collect())])?;
            let total = cx.squeeze(total, &[0])?;
            let numbers = count_up(cx, total)?;
            let shape = cx.shape_of(updates)?;
            let numbers = cx.reshape(numbers, shape)?;
            let shape = cx.shape_of(x)?;
            let zero = cx.int_scalar(0);
            let none = cx.full(shape, zero)?;
            let last = places.put(cx, none, numbers, "none")?;
            let last = places.take(cx, last)?;
            let written = cx.binary("equal", last, numbers)?;
            let arrived = places.take(cx, d)?;
            let zero = cx.number_like(d, 0.0)?;
            (of_x, cx.select(written, arrived, zero)?)
        }
    };
    Ok(vec![Some(of_x), None, Some(of_updates)])
}

/// An update that would reach out begins earlier, or later.
pub(super) fn updated(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, update, starts) = (to.derivative()?, to.arg(1)?, to.arg(2)?);
    let nothing = cx.zeros_like(update)?;
    let of_x = cx.emit("update_slice", attrs([]), &[d, nothing, starts])?;
    let starts = cx.as_i64(starts)?;
    let mut of_update = d;
    for axis in 0..cx.rank(update)? {
        let (whole, part) = (cx.shape_part(d, axis, axis + 1)?, cx.shape_part(update, axis, axis + 1)?);
        let room = cx.binary("sub", whole, part)?;
        let start = cx.slice(starts, 0, axis as i64, axis as i64 + 1)?;
        let start = cx.binary("min", start, room)?;
        let start = cx.with_number("max", start, 0.0)?;
        let end = cx.binary("add", start, part)?;
        of_update = cx.slice_between(of_update, axis, start, end)?;
    }
    Ok(vec![Some(of_x), Some(cx.typed_as(of_update, update)?), None])
}

/// Slices go back to where they were taken; how many there are is known to the result.
pub(super) fn compressed(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, x, condition, axis) = (to.derivative()?, to.arg(0)?, to.arg(1)?, to.axis()?);
    let all = along(cx, x, axis)?;
    let places = cx.emit("compress", attrs([("axis", 0.into())]), &[all, condition])?;
    let count = cx.dims(d).map(|it| it[axis]);
    let places = match count {
        Some(count) => cx.sink.match_cast(places, Type::Tensor(TensorType::new(DType::I64, vec![count])))?,
        None => places,
    };
    Ok(vec![Some(put_back(cx, x, places, d, axis)?), None])
}

/// Elements go back to their positions, which are the second result.
pub(super) fn top_k(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let positions = *to.step.results.get(1).ok_or_else(|| not_supported("`top_k` has no positions"))?;
    let zeros = cx.zeros_like(to.arg(0)?)?;
    Ok(alone(to, scatter_along(cx, zeros, positions, to.derivative()?, to.axis()?)?))
}

/// Repeats are summed: each dimension is one of repeats and one of the operand.
pub(super) fn tiled(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, x, repeats) = (to.derivative()?, to.arg(0)?, to.arg(1)?);
    let rank = cx.rank(x)?;
    let repeats = cx.as_i64(repeats)?;
    let mut sizes = Vec::new();
    for axis in 0..rank {
        sizes.push(cx.slice(repeats, 0, axis as i64, axis as i64 + 1)?);
        sizes.push(cx.shape_part(x, axis, axis + 1)?);
    }
    if rank == 0 {
        return Ok(alone(to, d));
    }
    let shape = cx.concat(&sizes, 0)?;
    let apart = cx.reshape(d, shape)?;
    let summed =
        cx.reduce("reduce_sum", apart, &(0..rank as i64).map(|it| 2 * it).collect::<Vec<_>>(), false)?;
    Ok(alone(to, cx.typed_as(summed, x)?))
}

/// What was added around is left out, and what was left out is zero; what the padding was made of is handed the rest.
pub(super) fn unpadded(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, x, pads) = (to.derivative()?, to.arg(0)?, to.arg(1)?);
    let rank = cx.rank(x)?;
    let pads = cx.as_i64(pads)?;
    if to.step.attrs.str("mode").is_none_or(|it| it == "constant") {
        let zero = cx.number_like(d, 0.0)?;
        let back = cx.unary("neg", pads)?;
        let of_x = cx.emit("pad", attrs([("mode", "constant".into())]), &[d, back, zero])?;
        let of_x = cx.typed_as(of_x, x)?;
        let axes: Vec<i64> = (0..rank as i64).collect();
        let (all, own) =
            (cx.reduce("reduce_sum", d, &axes, false)?, cx.reduce("reduce_sum", of_x, &axes, false)?);
        let rest = cx.binary("sub", all, own)?;
        return Ok(to.step.args.iter().enumerate().map(|(i, _)| [Some(of_x), None, Some(rest)][i]).collect());
    }
    // Along an axis, each element is one of the operand, whose place is padded likewise.
    let mut d = d;
    for axis in 0..rank {
        let mut own = Vec::new();
        for i in [axis, rank + axis] {
            own.push(cx.slice(pads, 0, i as i64, i as i64 + 1)?);
        }
        let own = cx.concat(&own, 0)?;
        let all = along(cx, x, axis)?;
        let places = cx.emit("pad", to.step.attrs.clone(), &[all, own])?;
        d = put_back(cx, x, places, d, axis)?;
    }
    Ok(alone(to, d))
}

pub(super) fn repeated(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, value) = (to.derivative()?, to.arg(1)?);
    let axes: Vec<i64> = (0..cx.rank(d)? as i64).collect();
    let sum = cx.reduce("reduce_sum", d, &axes, false)?;
    let shape = cx.shape_of(value)?;
    Ok(vec![None, Some(cx.reshape(sum, shape)?)])
}

/// Element i is `start + i · delta`.
pub(super) fn range(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let d = to.derivative()?;
    let numbers = along(cx, d, 0)?;
    let numbers = cx.cast(numbers, cx.dtype(d)?)?;
    let weighted = cx.binary("mul", d, numbers)?;
    let mut passed = vec![None; 3];
    for (i, part) in [(0, d), (2, weighted)] {
        let sum = cx.reduce("reduce_sum", part, &[0], false)?;
        let shape = cx.shape_of(to.arg(i)?)?;
        passed[i] = Some(cx.reshape(sum, shape)?);
    }
    Ok(passed)
}

/// The values that stand off and on are handed the sums of their places.
pub(super) fn one_hot(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let d = to.derivative()?;
    let axes: Vec<i64> = (0..cx.rank(d)? as i64).collect();
    let mut sums = Vec::new();
    for (off, on) in [(1.0, 0.0), (0.0, 1.0)] {
        let (off, on) = (cx.number_like(d, off)?, cx.number_like(d, on)?);
        let (off, on) = (cx.unsqueeze(off, &[0])?, cx.unsqueeze(on, &[0])?);
        let values = cx.concat(&[off, on], 0)?;
        let places = cx.emit("one_hot", to.step.attrs.clone(), &[to.arg(0)?, to.arg(1)?, values])?;
        let part = cx.binary("mul", d, places)?;
        let sum = cx.reduce("reduce_sum", part, &axes, false)?;
        sums.push(cx.unsqueeze(sum, &[0])?);
    }
    Ok(vec![None, None, Some(cx.concat(&sums, 0)?)])
}
