//! Operators that put elements in other places: in the middle of a larger tensor, in reverse, from columns to an image.

use super::conv::Window;
use super::index::{count_up, extent, reduction, sequence_lengths};
use super::single;
use crate::emit::{Size, attrs, normal_axis};
use crate::node::{NodeCx, bad};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::DType;

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register("", "CenterCropPad", .., single(center_crop_pad));
    table.register("", "ReverseSequence", .., single(reverse_sequence));
    table.register("", "Col2Im", .., single(col2im));
}

/// Axes are cut, or continued with zeros, at both ends to the sizes of operand 1; what is odd is at the end.
fn center_crop_pad(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let sizes = cx.known_sizes(cx.input(1)?)?;
    let rank = cx.rank(x)?;
    let axes: Vec<usize> = match cx.ints("axes") {
        Some(axes) => axes.iter().map(|it| normal_axis(*it, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).collect(),
    };
    if cx.static_dim(sizes, 0).is_some_and(|it| it != axes.len() as i64) {
        return Err(bad(format!("it has another number of sizes than of axes, which are {}", axes.len())));
    }
    let (zero, two) = (cx.int_vector(&[0]), cx.int_vector(&[2]));
    let (mut begins, mut ends) = (vec![zero; rank], vec![zero; rank]);
    for (i, axis) in axes.iter().enumerate() {
        let wanted = cx.slice(sizes, 0, i as i64, i as i64 + 1)?;
        let given = cx.shape_part(x, *axis, axis + 1)?;
        let missing = cx.binary("sub", wanted, given)?;
        begins[*axis] = cx.binary("div", missing, two)?;
        ends[*axis] = cx.binary("sub", missing, begins[*axis])?;
    }
    begins.append(&mut ends);
    let pads = cx.concat(&begins, 0)?;
    let fill = cx.number_like(x, 0.0)?;
    cx.emit("pad", attrs([("mode", "constant".into())]), &[x, pads, fill])
}

/// The first elements along one axis in reverse, as many as operand 1 says for each place of another.
fn reverse_sequence(cx: &mut NodeCx<'_, '_>) -> Single {
    let (x, lengths) = (cx.input(0)?, cx.as_i64(cx.input(1)?)?);
    let (batch, time) = (cx.int("batch_axis").unwrap_or(1), cx.int("time_axis").unwrap_or(0));
    let rank = cx.rank(x)?;
    if rank < 2 || cx.rank(lengths)? != 1 || !matches!((batch, time), (0, 1) | (1, 0)) {
        return Err(bad("its axes must be 0 and 1, and its lengths a vector"));
    }
    let (batch, time) = (batch as usize, time as usize);
    let lengths = sequence_lengths(cx, lengths, x, time)?;
    let (rows, steps) = (extent(cx, x, batch)?, extent(cx, x, time)?);
    let (rows, steps) = (count_up(cx, rows)?, count_up(cx, steps)?);
    let (rows, steps) = (cx.along_axis(rows, batch, 2)?, cx.along_axis(steps, time, 2)?);
    let lengths = cx.along_axis(lengths, batch, 2)?;
    let mirrored = cx.binary("sub", lengths, steps)?;
    let mirrored = cx.with_number("sub", mirrored, 1.0)?;
    let within = cx.binary("less", steps, lengths)?;
    let source = cx.select(within, mirrored, steps)?;
    // Coordinates of whole rows.
    let shape = cx.shape_part(x, 0, 2)?;
    let rows = cx.emit("expand", attrs([]), &[rows, shape])?;
    let mut place = [rows, rows];
    place[time] = source;
    let place = [cx.unsqueeze(place[0], &[2])?, cx.unsqueeze(place[1], &[2])?];
    let place = cx.concat(&place, 2)?;
    cx.emit("gather_nd", attrs([("batch_dims", 0.into())]), &[x, place])
}

/// Operands: columns `[batch, channels·block, blocks]`, the size of the image and of a block. What overlaps is summed.
fn col2im(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let (image, block) = (cx.known_sizes(cx.input(1)?)?, cx.known_sizes(cx.input(2)?)?);
    let n = match (cx.rank(x)?, cx.static_dim(image, 0), cx.static_dim(block, 0)) {
        (3, Some(n @ 1..=8), Some(m)) if n == m => n as usize,
        _ => return Err(bad("its columns, image and block do not fit each other")),
    };
    // The size of a block may be known only at run time, distances are attributes.
    let window = Window::new(cx, vec![1; n])?;
    let pads = match cx.ints("pads") {
        None | Some([]) => vec![0; 2 * n],
        Some(pads) if pads.len() == 2 * n && pads.iter().all(|it| *it >= 0) => pads.to_vec(),
        Some(pads) => return Err(bad(format!("attribute `pads` is {pads:?} for {n} dimensions"))),
    };
    if let Some(folds) = folds(cx, x, &window, &pads, [image, block])? {
        return folded(cx, x, &folds);
    }
    // Where each element of each block goes in the padded image: one index along all its axes.
    let rank = 2 * n;
    let one = cx.int_vector(&[1]);
    let (mut index, mut padded, mut elements, mut taps) = (None, Vec::new(), one, one);
    for i in 0..n {
        let part = |cx: &mut NodeCx<'_, '_>, sizes| cx.slice(sizes, 0, i as i64, i as i64 + 1);
        let (given, kernel) = (part(cx, image)?, part(cx, block)?);
        let (stride, dilation) = (window.strides[i] as f64, window.dilations[i] as f64);
        let size = cx.with_number("add", given, pads[i].saturating_add(pads[n + i]) as f64)?;
        // The last start, counted in strides.
        let reach = cx.affine(kernel, dilation, -dilation)?;
        let room = cx.binary("sub", size, reach)?;
        let room = cx.with_number("sub", room, 1.0)?;
        let steps = cx.with_number("div", room, stride)?;
        let steps = cx.with_number("add", steps, 1.0)?;
        let (count, width) = (single_of(cx, steps)?, single_of(cx, kernel)?);
        let (offsets, starts) = (count_up(cx, width)?, count_up(cx, count)?);
        let (offsets, starts) = (cx.along_axis(offsets, i, rank)?, cx.along_axis(starts, n + i, rank)?);
        let offsets = cx.with_number("mul", offsets, dilation)?;
        let starts = cx.with_number("mul", starts, stride)?;
        let place = cx.binary("add", offsets, starts)?;
        index = Some(match index {
            None => place,
            Some(index) => {
                let row = cx.binary("mul", index, size)?;
                cx.binary("add", row, place)?
            }
        });
        padded.push(size);
        taps = cx.binary("mul", taps, kernel)?;
        let both = cx.binary("mul", steps, kernel)?;
        elements = cx.binary("mul", elements, both)?;
    }
    let index = index.ok_or_else(|| bad("its block is empty"))?;
    let index = cx.reshape(index, elements)?;
    let (batch, rows) = (cx.shape_part(x, 0, 1)?, cx.shape_part(x, 1, 2)?);
    let channels = cx.binary("div", rows, taps)?;
    let columns = cx.concat(&[batch, channels, elements], 0)?;
    let updates = cx.reshape(x, columns)?;
    let index = cx.emit("expand", attrs([]), &[index, columns])?;
    let zero = cx.number_like(x, 0.0)?;
    let all = padded.iter().try_fold(one, |all, size| cx.binary("mul", all, *size))?;
    let shape = cx.concat(&[batch, channels, all], 0)?;
    let canvas = cx.full(shape, zero)?;
    let attrs = attrs([("axis", 2.into()), ("reduction", reduction(cx, x, "add")?.into())]);
    let summed = cx.emit("scatter_elements", attrs, &[canvas, index, updates])?;
    let shape: Vec<Value> = [batch, channels].into_iter().chain(padded.iter().copied()).collect();
    let shape = cx.concat(&shape, 0)?;
    let mut result = cx.reshape(summed, shape)?;
    for i in (0..n).filter(|i| pads[*i] + pads[n + *i] > 0) {
        let start = cx.int_vector(&[pads[i]]);
        let end = cx.with_number("sub", padded[i], pads[n + i] as f64)?;
        result = cx.slice_between(result, 2 + i, start, end)?;
    }
    Ok(result)
}

/// The most elements of a block along an axis that are added one after the other, and the most parts that a stride makes.
const MOST_TAPS: i64 = 64;

/// An axis along which blocks are put together.
struct Fold {
    /// Elements of a block, and from one to the next.
    taps: i64,
    dilation: i64,
    /// Blocks, and from one to the next.
    blocks: i64,
    stride: i64,
    /// Elements of the image with its padding, and of that the part that is kept.
    padded: i64,
    kept: [i64; 2],
}

/// The axes of an image whose sizes are known, if blocks are not too large; the sizes are those of the image and of a block.
fn folds(
    cx: &mut NodeCx<'_, '_>,
    x: Value,
    window: &Window,
    pads: &[i64],
    sizes: [Value; 2],
) -> Result<Option<Vec<Fold>>, Diagnostic> {
    let (Some(image), Some(block)) = (cx.known_ints(sizes[0]), cx.known_ints(sizes[1])) else {
        return Ok(None);
    };
    let n = image.len();
    let axis = |i: usize| -> Option<Fold> {
        let (taps, dilation, stride) = (block[i], window.dilations[i], window.strides[i]);
        let padded = image[i].checked_add(pads[i])?.checked_add(pads[n + i])?;
        let room = padded.checked_sub(dilation.checked_mul(taps.checked_sub(1)?)?)?.checked_sub(1)?;
        let sane = (1..=MOST_TAPS).contains(&taps) && stride <= MOST_TAPS && room >= 0 && image[i] >= 0;
        let kept = [pads[i], padded - pads[n + i]];
        sane.then(|| Fold { taps, dilation, blocks: room / stride + 1, stride, padded, kept })
    };
    let Some(folds) = (0..n).map(axis).collect::<Option<Vec<_>>>() else { return Ok(None) };
    let product = |part: fn(&Fold) -> i64| folds.iter().try_fold(1i64, |all, it| all.checked_mul(part(it)));
    let channels = cx.static_dim(x, 1).zip(product(|it| it.taps)).filter(|(rows, taps)| rows % taps == 0);
    let fits = channels.is_some() && product(|it| it.blocks) == cx.static_dim(x, 2);
    Ok(fits.then_some(folds))
}

/// The image, axis by axis: for each element of a block its blocks are put where they belong, and all of that is added.
fn folded(cx: &mut NodeCx<'_, '_>, x: Value, folds: &[Fold]) -> Single {
    let mut sizes = vec![Size::Of(x, 0), Size::Const(-1)];
    sizes.extend(folds.iter().map(|it| Size::Const(it.taps)));
    sizes.extend(folds.iter().map(|it| Size::Const(it.blocks)));
    let taps: i64 = folds.iter().map(|it| it.taps).product();
    sizes[1] = Size::Const(cx.static_dim(x, 1).unwrap_or(0) / taps);
    let mut value = cx.reshape_to(x, &sizes)?;
    for fold in folds {
        // Dimensions: batch, channel, taps of the axes to come, blocks of all axes or what they were put together to.
        let blocks = 2 + folds.len();
        value = fold.along(cx, value, blocks)?;
    }
    Ok(value)
}

impl Fold {
    /// Takes the taps of dimension 2 away, and puts the blocks of dimension `at` together.
    fn along(&self, cx: &mut NodeCx<'_, '_>, value: Value, at: usize) -> Single {
        // A sum of truth values is true where one is.
        let add = if cx.dtype(value)? == DType::Bool { "or" } else { "add" };
        let rank = cx.rank(value)?;
        // Elements whose places have the same remainder by the stride are beside each other.
        let length = (self.padded + self.stride - 1) / self.stride;
        let mut phases = Vec::new();
        for phase in 0..self.stride {
            let mut sum: Option<Value> = None;
            for tap in 0..self.taps {
                let place = tap * self.dilation;
                if place % self.stride != phase {
                    continue;
                }
                let before = place / self.stride;
                let behind = length - self.blocks - before;
                let placed = if before == 0 && behind == 0 {
                    cx.slice(value, 2, tap, tap + 1)?
                } else {
                    // Negative pads leave one tap.
                    let mut around = vec![0; 2 * rank];
                    (around[2], around[rank + 2]) = (-tap, tap + 1 - self.taps);
                    (around[at], around[rank + at]) = (before, behind);
                    let (around, fill) = (cx.int_vector(&around), cx.number_like(value, 0.0)?);
                    cx.emit("pad", attrs([("mode", "constant".into())]), &[value, around, fill])?
                };
                sum = Some(sum.map_or(Ok(placed), |it| cx.binary(add, it, placed))?);
            }
            phases.push(sum);
        }
        let first = phases.iter().flatten().next().copied().ok_or_else(|| bad("its block is empty"))?;
        let nothing = match phases.iter().any(Option::is_none) {
            true => {
                let (shape, zero) = (cx.shape_of(first)?, cx.number_like(first, 0.0)?);
                Some(cx.full(shape, zero)?)
            }
            false => None,
        };
        let phases: Vec<Value> = phases.into_iter().filter_map(|it| it.or(nothing)).collect();
        let whole = match &phases[..] {
            [one] => *one,
            _ => {
                let apart = phases.iter().map(|it| cx.unsqueeze(*it, &[at as i64 + 1]));
                let apart = apart.collect::<Result<Vec<_>, _>>()?;
                let stacked = cx.concat(&apart, at as i64 + 1)?;
                let mut sizes: Vec<Size> = (0..rank).map(|i| Size::Of(first, i)).collect();
                sizes[at] = Size::Const(length * self.stride);
                cx.reshape_to(stacked, &sizes)?
            }
        };
        let kept = match self.kept {
            [0, end] if end == length * self.stride => whole,
            [from, to] => cx.slice(whole, at, from, to)?,
        };
        cx.squeeze(kept, &[2])
    }
}

/// The element of a vector of one as an integer of rank 0.
pub(super) fn single_of(cx: &mut NodeCx<'_, '_>, vector: Value) -> Single {
    match cx.known_ints(vector).as_deref() {
        Some([size]) => Ok(cx.int_scalar(*size)),
        _ => cx.squeeze(vector, &[0]),
    }
}
