//! Operators that move or rename elements.

use super::axes::{Axes, OpenAxes, all_between, all_true, none_true, packed_in_front};
use super::single;
use crate::emit::{Size, attrs, normal_axes, normal_axis};
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use orogen_ir::diag::Diagnostic;
use orogen_ir::shape::{Constraint, Dim, Truth};
use orogen_ir::types::{Attrs, DType, TensorData};

type Single = Result<Value, Diagnostic>;

/// The most dimensions that Unsqueeze adds at places known only at run time.
const MAX_NEW_AXES: usize = 64;

pub(super) fn register(table: &mut OpTable) {
    table.register("", "Reshape", .., single(reshape));
    table.register("", "Flatten", .., single(flatten));
    table.register("", "Transpose", .., single(transpose));
    table.register("", "Concat", .., single(concat));
    table.register("", "Split", .., split);
    table.register_checked("", "Pad", .., pad_mode, single(pad));
    table.register("", "Squeeze", .., single(squeeze));
    table.register("", "Unsqueeze", .., single(unsqueeze));
    table.register("", "Expand", .., single(expand));
    table.register("", "Tile", .., single(tile));
    table.register("", "Shape", .., single(shape));
    table.register("", "Size", .., single(|cx| cx.unary("size", cx.input(0)?)));
    table.register("", "DepthToSpace", .., single(depth_to_space));
    table.register("", "SpaceToDepth", .., single(space_to_depth));
}

fn reshape(cx: &mut NodeCx<'_, '_>) -> Single {
    let (x, shape) = (cx.input(0)?, cx.input(1)?);
    let shape = cx.as_i64(shape)?;
    let known = cx.tensor_type(shape)?.elements.is_some() || cx.constant_data(shape).is_some();
    if known || cx.around.is_concat(shape) {
        return cx.emit("reshape", attrs([("allow_zero", cx.flag("allowzero").into())]), &[x, shape]);
    }
    let shape = plain_shape(cx, x, shape)?;
    cx.reshape(x, shape)
}

/// How many dimensions a shape operand says, when known.
fn shape_length(cx: &mut NodeCx<'_, '_>, shape: Value) -> Result<Option<usize>, Diagnostic> {
    match cx.static_dim(shape, 0) {
        None => Ok(None),
        Some(count) => match usize::try_from(count).ok().filter(|it| *it <= usize::from(u8::MAX)) {
            Some(count) => Ok(Some(count)),
            None => Err(bad(format!("its shape has {count} dimensions"))),
        },
    }
}

/// A shape that is computed at run time, with 0 (a copied dimension) and -1 (what is left) replaced.
fn plain_shape(cx: &mut NodeCx<'_, '_>, x: Value, shape: Value) -> Single {
    let mut shape = shape;
    let count = shape_length(cx, shape)?
        .ok_or_else(|| not_supported("it computes a shape whose number of dimensions is not known"))?;
    if !cx.flag("allowzero") {
        let rank = cx.rank(x)?;
        let mut copied = cx.shape_part(x, 0, count.min(rank))?;
        if count > rank {
            let rest = cx.int_vector(&vec![0; count - rank]);
            copied = if rank == 0 { rest } else { cx.concat(&[copied, rest], 0)? };
        }
        let zero = cx.with_number("equal", shape, 0.0)?;
        shape = cx.select(zero, copied, shape)?;
    }
    if cx.flag("allowzero") {
        let (zero, rest) = (cx.with_number("equal", shape, 0.0)?, cx.with_number("equal", shape, -1.0)?);
        let [zero, rest] = [zero, rest].map(|it| cx.reduce("reduce_max", it, &[0], true));
        let both = cx.binary("and", zero?, rest?)?;
        none_true(cx, both, "its shape, which has no 0 beside a -1")?;
    }
    all_between(cx, shape, [-1, i64::MAX], "the sizes of its shape")?;
    let inferred = cx.with_number("equal", shape, -1.0)?;
    let inferred = cx.as_i64(inferred)?;
    let inferred = cx.reduce("reduce_sum", inferred, &[0], true)?;
    all_between(cx, inferred, [0, 1], "how many -1 its shape has")?;
    // With one -1 the product of all is the negated product of the others.
    let total = cx.unary("size", x)?;
    let product = cx.reduce("reduce_prod", shape, &[0], false)?;
    let others = cx.unary("neg", product)?;
    let rest = cx.binary("div", total, others)?;
    let negative = cx.with_number("less", shape, 0.0)?;
    cx.select(negative, rest, shape)
}

fn flatten(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let rank = cx.rank(x)?;
    // The axis may be the rank itself: everything goes into the first dimension.
    let axis = match cx.int("axis").unwrap_or(1) {
        axis if axis == rank as i64 => rank,
        axis => normal_axis(axis, rank)?,
    };
    flatten_at(cx, x, axis)
}

/// Two dimensions: those before `axis` and those from it on.
pub(super) fn flatten_at(cx: &mut NodeCx<'_, '_>, x: Value, axis: usize) -> Single {
    let rank = cx.rank(x)?;
    cx.reshape_to(x, &[Size::Product(x, (0..axis).collect()), Size::Product(x, (axis..rank).collect())])
}

fn transpose(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let rank = cx.rank(x)?;
    let perm: Vec<usize> = match cx.ints("perm") {
        Some(perm) => perm.iter().map(|it| normal_axis(*it, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).rev().collect(),
    };
    if perm.len() != rank {
        return Err(bad(format!("the permutation {perm:?} is not of {rank} dimensions")));
    }
    cx.transpose(x, &perm)
}

fn concat(cx: &mut NodeCx<'_, '_>) -> Single {
    let list = cx.all_inputs()?;
    let first = *list.first().ok_or_else(|| bad("it has no operands"))?;
    let default = (cx.opset() < 4).then_some(1);
    let axis = cx.int("axis").or(default).ok_or_else(|| bad("attribute `axis` is missing"))?;
    let axis = cx.axis(first, axis)?;
    let result = cx.concat(&list, axis as i64)?;
    let ty = cx.tensor_type(result)?;
    // Of one operand it is that operand, which is no concatenation.
    if list.len() > 1 && ty.dtype == DType::I64 && ty.elements.is_none() && ty.shape.rank() == Some(1) {
        cx.around.note_concat(result);
    }
    Ok(result)
}

fn split(cx: &mut NodeCx<'_, '_>) -> Converted {
    let x = cx.input(0)?;
    let axis = cx.axis(x, cx.int("axis").unwrap_or(0))?;
    let count = cx.output_count();
    let sizes = match (cx.ints("split"), cx.optional(1)) {
        (Some(sizes), _) => Some(sizes.to_vec()),
        (None, Some(sizes)) => match cx.const_ints(sizes) {
            Some(sizes) => Some(sizes),
            None => return split_by(cx, x, axis, sizes),
        },
        (None, None) => match cx.static_dim(x, axis) {
            Some(size) => Some(even_sizes(cx, size, count)?),
            None => None,
        },
    };
    let Some(sizes) = sizes else { return split_evenly(cx, x, axis) };
    if sizes.len() != count || sizes.iter().any(|it| *it < 0) {
        return Err(bad(format!("it splits into {sizes:?} but has {count} results")));
    }
    let total = sizes.iter().try_fold(0i64, |total, it| total.checked_add(*it));
    let total = total.ok_or_else(|| bad("its sizes overflow"))?;
    let total = cx.sink.shapes().int(total);
    check_axis(cx, x, axis, |dim| Constraint::Eq(dim, total), "the parts make up the whole dimension")?;
    let mut start = 0i64;
    sizes
        .iter()
        .map(|size| {
            let end = start.checked_add(*size).ok_or_else(|| bad("its sizes overflow"))?;
            let part = cx.slice(x, axis, start, end);
            start = end;
            part
        })
        .collect()
}

/// Checks a fact about a dimension, when the dimensions are known.
fn check_axis(
    cx: &mut NodeCx<'_, '_>,
    x: Value,
    axis: usize,
    fact: impl FnOnce(Dim) -> Constraint,
    what: &str,
) -> Result<(), Diagnostic> {
    match cx.dims(x).and_then(|it| it.get(axis).copied()) {
        Some(dim) => cx.sink.check(fact(dim), &format!("dimension {axis}, where {what}")),
        None => Ok(()),
    }
}

fn even_sizes(cx: &NodeCx<'_, '_>, size: i64, count: usize) -> Result<Vec<i64>, Diagnostic> {
    let count = count as i64;
    if count == 0 || (cx.opset() < 18 && size % count != 0) {
        return Err(bad(format!("{size} elements cannot be split evenly into {count}")));
    }
    let chunk = size / count + i64::from(size % count != 0);
    Ok((0..count).map(|i| (size - i * chunk).clamp(0, chunk)).collect())
}

/// Even parts of a dynamic dimension; from operator set 18 on the last one may be shorter.
fn split_evenly(cx: &mut NodeCx<'_, '_>, x: Value, axis: usize) -> Converted {
    let count = cx.output_count() as i64;
    if count > 0 && cx.opset() < 18 {
        check_axis(cx, x, axis, |dim| Constraint::Multiple(dim, count), "the parts are equal")?;
    }
    let size = cx.shape_part(x, axis, axis + 1)?;
    let parts = cx.int_vector(&[count]);
    let raised = if cx.opset() < 18 {
        size
    } else {
        let rest = cx.int_vector(&[count - 1]);
        cx.binary("add", size, rest)?
    };
    let chunk = cx.binary("div", raised, parts)?;
    (0..count)
        .map(|i| {
            let (from, to) = (cx.int_vector(&[i]), cx.int_vector(&[i + 1]));
            let start = cx.binary("mul", chunk, from)?;
            let end = if i + 1 == count { cx.int_vector(&[i64::MAX]) } else { cx.binary("mul", chunk, to)? };
            cx.slice_between(x, axis, start, end)
        })
        .collect()
}

/// Parts whose sizes are computed.
fn split_by(cx: &mut NodeCx<'_, '_>, x: Value, axis: usize, sizes: Value) -> Converted {
    let sizes = cx.known_sizes(sizes)?;
    let ends = cx.emit("cum_sum", Attrs::none().with("axis", 0), &[sizes])?;
    let total = cx.tensor_type(ends)?.elements.as_ref().and_then(|it| it.last().copied());
    if let Some(total) = total {
        check_axis(cx, x, axis, |dim| Constraint::Eq(dim, total), "the parts make up the whole dimension")?;
    }
    let starts = cx.binary("sub", ends, sizes)?;
    (0..cx.output_count() as i64)
        .map(|i| {
            let (start, end) = (cx.slice(starts, 0, i, i + 1)?, cx.slice(ends, 0, i, i + 1)?);
            cx.slice_between(x, axis, start, end)
        })
        .collect()
}

pub(super) fn pad_mode(node: &Node<'_>) -> Result<(), String> {
    match node.text("mode").unwrap_or("constant") {
        "constant" | "reflect" | "edge" | "wrap" => Ok(()),
        other => Err(format!("mode `{other}` is not supported")),
    }
}

pub(super) fn pad(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let rank = cx.rank(x)?;
    let mut args = vec![x];
    match cx.ints("pads") {
        Some(pads) => args.push(cx.int_vector(pads)),
        None => {
            let pads = cx.input(1)?;
            args.push(match Axes::operand(cx, 3)? {
                Some(Axes::Known(axes)) => pads_of_axes(cx, pads, &axes, rank)?,
                Some(Axes::Open(axes)) => pads_of_open_axes(cx, pads, axes, rank)?,
                None => cx.as_i64(pads)?,
            });
        }
    }
    match (cx.optional(2), cx.float("value")) {
        (Some(value), _) => args.push(value),
        (None, Some(value)) if value != 0.0 => args.push(cx.number_like(x, value)?),
        _ => {}
    }
    if cx.text("mode") == Some("wrap") {
        return wrapped(cx, x, args[1]);
    }
    let attrs = attrs([("mode", cx.text("mode").unwrap_or("constant").into())]);
    cx.emit("pad", attrs, &args)
}

/// Padding that goes on at the other end, as often as it takes, of what negative pads leave.
fn wrapped(cx: &mut NodeCx<'_, '_>, x: Value, pads: Value) -> Single {
    let rank = cx.rank(x)?;
    let known = cx.known_ints(pads);
    let mut result = x;
    for axis in 0..rank {
        if known.as_ref().is_some_and(|it| it.get(axis) == Some(&0) && it.get(rank + axis) == Some(&0)) {
            continue;
        }
        // At most once around, both ends are slices.
        if let (Some(pads), Some(size)) = (&known, cx.static_dim(x, axis))
            && let (Some(before), Some(behind)) = (pads.get(axis), pads.get(rank + axis))
            && [before, behind].iter().all(|it| (0..=size).contains(*it))
        {
            let mut parts = vec![result];
            if *before > 0 {
                parts.insert(0, cx.slice(result, axis, size - before, size)?);
            }
            if *behind > 0 {
                parts.push(cx.slice(result, axis, 0, *behind)?);
            }
            result = cx.concat(&parts, axis as i64)?;
            continue;
        }
        let scalar = |cx: &mut NodeCx<'_, '_>, at: usize| {
            let part = cx.slice(pads, 0, at as i64, at as i64 + 1)?;
            cx.squeeze(part, &[0])
        };
        let (before, behind) = (scalar(cx, axis)?, scalar(cx, rank + axis)?);
        let (dropped, cut) = (cx.with_number("min", before, 0.0)?, cx.with_number("min", behind, 0.0)?);
        let (before, behind) = (cx.with_number("max", before, 0.0)?, cx.with_number("max", behind, 0.0)?);
        let size = cx.shape_part(x, axis, axis + 1)?;
        let size = cx.squeeze(size, &[0])?;
        let size = cx.binary("add", size, dropped)?;
        let size = cx.binary("add", size, cut)?;
        let none_left = cx.with_number("less", size, 0.0)?;
        let none_left = cx.unsqueeze(none_left, &[0])?;
        none_true(cx, none_left, &format!("its pads along axis {axis}, which drop no more than there is"))?;
        let one = cx.int_scalar(1);
        let start = cx.unary("neg", before)?;
        let end = cx.binary("add", size, behind)?;
        let places = cx.emit("range", attrs([]), &[start, end, one])?;
        // Nothing goes on where nothing is left: then every place is out of range.
        let period = cx.with_number("max", size, 1.0)?;
        let places = cx.binary("mod", places, period)?;
        let places = cx.binary("sub", places, dropped)?;
        result = cx.emit("gather", attrs([("axis", (axis as i64).into())]), &[result, places])?;
    }
    Ok(result)
}

/// Padding of some axes as padding of all.
fn pads_of_axes(cx: &mut NodeCx<'_, '_>, pads: Value, axes: &[i64], rank: usize) -> Single {
    let places: Vec<usize> = axes.iter().map(|it| normal_axis(*it, rank)).collect::<Result<_, _>>()?;
    let zero = cx.int_vector(&[0]);
    let mut all = vec![zero; 2 * rank];
    let pads = cx.as_i64(pads)?;
    for (i, axis) in places.iter().enumerate() {
        all[*axis] = cx.slice(pads, 0, i as i64, i as i64 + 1)?;
        let i = (axes.len() + i) as i64;
        all[rank + axis] = cx.slice(pads, 0, i, i + 1)?;
    }
    cx.concat(&all, 0)
}

/// The same for axes that are known only at run time.
fn pads_of_open_axes(cx: &mut NodeCx<'_, '_>, pads: Value, axes: Value, rank: usize) -> Single {
    let axes = OpenAxes::read(cx, axes, rank)?;
    let Some(count) = axes.length.map(|it| it as i64) else {
        return Err(not_supported("how many axes it pads is not known"));
    };
    if cx.static_dim(pads, 0).is_some_and(|it| it != 2 * count) {
        return Err(bad(format!("it has other pads than 2 for each of {count} axes")));
    }
    let mut sides = Vec::new();
    for start in [0, count] {
        let side = cx.slice(pads, 0, start, start + count)?;
        sides.push(axes.placed(cx, side, 0)?);
    }
    cx.concat(&sides, 0)
}

fn squeeze(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let axes = match Axes::of(cx, 1)? {
        Some(Axes::Known(axes)) => cx.axes(x, &axes)?,
        Some(Axes::Open(axes)) => return squeeze_open(cx, x, axes),
        None => return squeeze_units(cx, x),
    };
    cx.squeeze(x, &axes)
}

fn squeeze_open(cx: &mut NodeCx<'_, '_>, x: Value, axes: Value) -> Single {
    let axes = OpenAxes::read(cx, axes, cx.rank(x)?)?;
    let others = axes.others(cx)?;
    let sizes = OpenAxes::sizes_or_one(cx, x, others)?;
    let one = cx.with_number("equal", sizes, 1.0)?;
    all_true(cx, one, "the dimensions that it removes, which are 1")?;
    axes.dropped(cx, x)
}

/// Removes the dimensions that are 1. One that is 1 in some calls alone makes the rank depend on the call: where there are
/// few of them there are versions, in which each is known to be 1 or not; else what stays is packed in front.
fn squeeze_units(cx: &mut NodeCx<'_, '_>, x: Value) -> Single {
    let dims = cx.dims(x).ok_or_else(|| not_supported("the shape of its operand is not known"))?;
    let mut axes = Vec::new();
    let mut open = 0;
    for (axis, dim) in dims.into_iter().enumerate() {
        match cx.sink.shapes().prove(Constraint::Differs(dim, 1)) {
            Truth::Never => axes.push(axis as i64),
            Truth::Always => {}
            Truth::Unknown => open += 1,
        }
    }
    let x = cx.squeeze(x, &axes)?;
    if open == 0 {
        return Ok(x);
    }
    let shape = cx.shape_of(x)?;
    let removed = cx.with_number("equal", shape, 1.0)?;
    let kept = cx.unary("not", removed)?;
    packed_in_front(cx, x, kept, open)
}

fn unsqueeze(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    match Axes::of(cx, 1)?.ok_or_else(|| bad("its axes are missing"))? {
        Axes::Known(axes) => {
            let axes = normal_axes(&axes, cx.rank(x)? + axes.len())?;
            cx.unsqueeze(x, &axes)
        }
        Axes::Open(axes) => unsqueeze_open(cx, x, axes),
    }
}

fn unsqueeze_open(cx: &mut NodeCx<'_, '_>, x: Value, axes: Value) -> Single {
    let own = cx.rank(x)?;
    let count = match cx.rank(axes)? {
        0 => Some(1),
        _ => cx.static_dim(axes, 0).and_then(|it| usize::try_from(it).ok()).filter(|it| *it <= MAX_NEW_AXES),
    };
    let count = count.ok_or_else(|| not_supported("how many axes it adds is not known, or too large"))?;
    let axes = OpenAxes::read(cx, axes, own + count)?;
    let one = cx.int_scalar(1);
    if own == 0 {
        return cx.reshape_to(x, &vec![Size::Const(1); count]);
    }
    // The dimensions that are not new are the ones of the operand, in order.
    let old = axes.others(cx)?;
    let old = cx.as_i64(old)?;
    let places = cx.emit("cum_sum", Attrs::none().with("axis", 0), &[old])?;
    let places = cx.with_number("sub", places, 1.0)?;
    let places = cx.clamp(places, 0.0, own as f64 - 1.0)?;
    let shape = cx.shape_of(x)?;
    let sizes = cx.emit("gather", attrs([("axis", 0.into())]), &[shape, places])?;
    let sizes = cx.select(axes.mask, one, sizes)?;
    cx.reshape(x, sizes)
}

fn expand(cx: &mut NodeCx<'_, '_>) -> Single {
    let (x, shape) = (cx.input(0)?, cx.input(1)?);
    let shape = cx.as_i64(shape)?;
    cx.binary("expand", x, shape)
}

fn tile(cx: &mut NodeCx<'_, '_>) -> Single {
    let repeats = cx.as_i64(cx.input(1)?)?;
    cx.binary("tile", cx.input(0)?, repeats)
}

fn shape(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let (start, end) = (cx.int("start"), cx.int("end"));
    if start.is_none() && end.is_none() {
        return cx.shape_of(x);
    }
    let rank = cx.rank(x)? as i64;
    let place = |it: i64| if it < 0 { it.saturating_add(rank) } else { it }.clamp(0, rank) as usize;
    let (start, end) = (place(start.unwrap_or(0)), place(end.unwrap_or(rank)));
    if start >= end {
        let none = TensorData::from_f64(DType::I64, &[0], []);
        return Ok(cx.constant(none));
    }
    cx.shape_part(x, start, end)
}

/// The block size and the number of channels.
fn blocks(cx: &mut NodeCx<'_, '_>, x: Value) -> Result<(i64, i64), Diagnostic> {
    let block = cx.int("blocksize").unwrap_or(0);
    if !(1..=1 << 15).contains(&block) {
        return Err(bad(format!("block size {block} is out of range")));
    }
    if cx.rank(x)? != 4 {
        return Err(bad("its operand must have 4 dimensions"));
    }
    let channels = cx.static_dim(x, 1).ok_or_else(|| not_supported("the number of channels is dynamic"))?;
    Ok((block, channels))
}

fn depth_to_space(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let (block, channels) = blocks(cx, x)?;
    let depth = channels / (block * block);
    let (b, d) = (Size::Const(block), Size::Const(depth));
    let (inner, perm) = match cx.text("mode").unwrap_or("DCR") {
        "DCR" => ([b.clone(), b, d], [0, 3, 4, 1, 5, 2]),
        "CRD" => ([d, b.clone(), b], [0, 1, 4, 2, 5, 3]),
        other => return Err(bad(format!("mode `{other}` is not known"))),
    };
    let mut sizes = vec![Size::Of(x, 0)];
    sizes.extend(inner);
    sizes.extend([Size::Of(x, 2), Size::Of(x, 3)]);
    let parts = cx.reshape_to(x, &sizes)?;
    let moved = cx.transpose(parts, &perm)?;
    let rows = Size::Product(moved, vec![2, 3]);
    let columns = Size::Product(moved, vec![4, 5]);
    cx.reshape_to(moved, &[Size::Of(x, 0), Size::Const(depth), rows, columns])
}

fn space_to_depth(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let (block, channels) = blocks(cx, x)?;
    let size = cx.int_vector(&[block]);
    let mut shape = vec![cx.shape_part(x, 0, 1)?, cx.int_vector(&[channels])];
    for axis in [2, 3] {
        let whole = cx.shape_part(x, axis, axis + 1)?;
        shape.push(cx.binary("div", whole, size)?);
        shape.push(size);
    }
    let shape = cx.concat(&shape, 0)?;
    let parts = cx.reshape(x, shape)?;
    let perm = match cx.text("mode").unwrap_or("DCR") {
        "DCR" => [0, 3, 5, 1, 2, 4],
        "CRD" => [0, 1, 3, 5, 2, 4],
        other => return Err(bad(format!("mode `{other}` is not known"))),
    };
    let moved = cx.transpose(parts, &perm)?;
    let depth = Size::Const(channels.saturating_mul(block * block));
    let (rows, columns) = (Size::Of(moved, 4), Size::Of(moved, 5));
    cx.reshape_to(moved, &[Size::Of(x, 0), depth, rows, columns])
}
