//! Rules of operators over windows: convolutions, pools, and interpolation.
//!
//! A convolution is linear in its operand and in its weights. The derivative by the first is the transposed convolution
//! with the same weights, and the other way round; by the second it is a convolution with what arrives as weights, where
//! batches and channels change places, and so do strides and dilations.

use super::movement::along;
use super::products::turned;
use super::{Arrived, One, Passed};
use crate::emit::{Size, attrs};
use crate::node::{NodeCx, not_supported};
use crate::ops::conv::Window;
use crate::ops::pool::places_of_largest;
use crate::sink::Value;
use orogen_ir::types::Attrs;

/// How the windows of a step lie.
struct Windows {
    window: Window,
    /// Begins, then ends.
    pads: Vec<i64>,
    group: i64,
}

impl Windows {
    /// Those of a step with `n` spatial dimensions; convolutions leave the kernel to their weights.
    fn of(to: &Arrived<'_>, n: usize) -> Self {
        let list = |name: &str, n: usize, default: i64| match to.step.attrs.ints(name) {
            Some(list) => list.to_vec(),
            None => vec![default; n],
        };
        let window = Window {
            kernel: list("kernel", n, 1),
            strides: list("strides", n, 1),
            dilations: list("dilations", n, 1),
        };
        Windows { window, pads: list("pads", 2 * n, 0), group: to.step.attrs.int("group").unwrap_or(1) }
    }

    fn rank(&self) -> usize {
        self.window.strides.len()
    }

    fn attrs(&self) -> Attrs {
        self.window.attrs(self.pads.clone()).with("group", self.group)
    }

    /// What a convolution with weights `w` made of something like `like`, handed back to it.
    fn spread(&self, cx: &mut NodeCx<'_, '_>, d: Value, w: Value, like: Value) -> One {
        let n = self.rank();
        let (mut pads, mut extra) = (self.pads.clone(), vec![0; n]);
        for i in 0..n {
            let stride = self.window.strides[i];
            let sizes = (cx.static_dim(d, 2 + i), cx.static_dim(like, 2 + i), cx.static_dim(w, 2 + i));
            (pads[n + i], extra[i]) = match sizes {
                (Some(from), Some(to), Some(kernel)) => {
                    let reach = (kernel - 1) * self.window.dilations[i] + 1;
                    let over = stride * (from - 1) + reach - self.pads[i] - to;
                    (over.max(0), (-over).max(0))
                }
                _ => (0, stride - 1),
            };
        }
        let given = self.window.attrs(pads).with("output_padding", extra).with("group", self.group);
        let spread = cx.emit("conv_transpose", given, &[d, w])?;
        cx.cut_to(spread, like)
    }

    /// The derivative by the weights of a convolution of `x`, to which `d` arrives.
    fn by_weights(&self, cx: &mut NodeCx<'_, '_>, x: Value, d: Value, w: Value) -> One {
        let n = self.rank();
        let spatial = 2..2 + n;
        let swap: Vec<usize> = [1, 0].into_iter().chain(spatial.clone()).collect();
        let image = if self.group == 1 {
            cx.transpose(x, &swap)?
        } else {
            // [batch, group, channels, …] as [channels, group · batch, …]
            let group = self.group;
            let sizes = [Size::Of(x, 0), Size::Const(group), Size::Of(w, 1)];
            let sizes = sizes.into_iter().chain(spatial.clone().map(|i| Size::Of(x, i)));
            let grouped = cx.reshape_to(x, &sizes.collect::<Vec<_>>())?;
            let perm: Vec<usize> = [2, 1, 0].into_iter().chain(3..3 + n).collect();
            let grouped = cx.transpose(grouped, &perm)?;
            let sizes = [Size::Of(grouped, 0), Size::Product(grouped, vec![1, 2])];
            let sizes = sizes.into_iter().chain((3..3 + n).map(|i| Size::Of(grouped, i)));
            cx.reshape_to(grouped, &sizes.collect::<Vec<_>>())?
        };
        let taps = cx.transpose(d, &swap)?;
        let turned = Windows {
            window: Window {
                kernel: Vec::new(),
                strides: self.window.dilations.clone(),
                dilations: self.window.strides.clone(),
            },
            pads: self.pads.clone(),
            group: self.group,
        };
        let sums = cx.emit("conv", turned.attrs(), &[image, taps])?;
        let sums = cx.transpose(sums, &swap)?;
        cx.cut_to(sums, w)
    }

    /// Sums over the windows of something like `x`, as many as `y` has.
    fn sums(&self, cx: &mut NodeCx<'_, '_>, x: Value, ones: Value, y: Value) -> One {
        let n = self.rank();
        let mut pads = self.pads.clone();
        // As far as windows may hang over.
        (0..n).for_each(|i| pads[n + i] += self.window.strides[i] - 1);
        let sums = cx.emit("conv", self.window.attrs(pads), &[x, ones])?;
        cx.cut_to(sums, y)
    }
}

impl NodeCx<'_, '_> {
    /// Leaves out what is beyond the dimensions of another value, whose type it has then.
    fn cut_to(&mut self, value: Value, like: Value) -> One {
        let mut cut = value;
        for axis in 0..self.rank(like)? {
            if let (Some(own), Some(other)) = (self.dims(cut), self.dims(like))
                && self.sink.shapes().prove_eq(own[axis], other[axis]).is_always()
            {
                continue;
            }
            let (start, end) = (self.int_vector(&[0]), self.shape_part(like, axis, axis + 1)?);
            cut = self.slice_between(cut, axis, start, end)?;
        }
        self.typed_as(cut, like)
    }
}

fn spatial(cx: &NodeCx<'_, '_>, x: Value) -> Result<usize, orogen_ir::diag::Diagnostic> {
    let rank = cx.rank(x)?;
    rank.checked_sub(2).ok_or_else(|| not_supported("an operand of windows has less than two dimensions"))
}

/// The bias is handed the sum of each channel.
fn with_bias(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>, of_x: Value, of_w: Value) -> Passed {
    let mut passed = vec![Some(of_x), Some(of_w)];
    if to.step.args.len() > 2 {
        let d = to.derivative()?;
        let others: Vec<i64> = (0..cx.rank(d)? as i64).filter(|it| *it != 1).collect();
        passed.push(Some(cx.reduce("reduce_sum", d, &others, false)?));
    }
    Ok(passed)
}

pub(super) fn convolution(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, x, w) = (to.derivative()?, to.arg(0)?, to.arg(1)?);
    let windows = Windows::of(to, spatial(cx, x)?);
    let of_x = windows.spread(cx, d, w, x)?;
    let of_w = windows.by_weights(cx, x, d, w)?;
    with_bias(cx, to, of_x, of_w)
}

/// The roles of the operand and the result are exchanged.
pub(super) fn transposed_convolution(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, x, w) = (to.derivative()?, to.arg(0)?, to.arg(1)?);
    let windows = Windows::of(to, spatial(cx, x)?);
    let of_x = cx.emit("conv", windows.attrs(), &[d, w])?;
    let of_x = cx.cut_to(of_x, x)?;
    let of_w = windows.by_weights(cx, d, x, w)?;
    with_bias(cx, to, of_x, of_w)
}

/// The first of the largest elements of a window is handed what arrives.
pub(super) fn largest(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, x, y) = (to.derivative()?, to.arg(0)?, to.result()?);
    let windows = Windows::of(to, spatial(cx, x)?);
    let places = places_of_largest(cx, x, y, &windows.window, &windows.pads, false)?;
    let flat = |cx: &mut NodeCx<'_, '_>, value: Value| {
        let axes = (0..cx.rank(value)?).collect();
        cx.reshape_to(value, &[Size::Product(value, axes)])
    };
    // A window of padding alone has none.
    let none = cx.with_number("less", places, 0.0)?;
    let (zero, first) = (cx.number_like(d, 0.0)?, cx.int_scalar(0));
    let (d, places) = (cx.select(none, zero, d)?, cx.select(none, first, places)?);
    let zeros = cx.zeros_like(x)?;
    let (zeros, places, d) = (flat(cx, zeros)?, flat(cx, places)?, flat(cx, d)?);
    let given = attrs([("axis", 0.into()), ("reduction", "add".into())]);
    let sums = cx.emit("scatter_elements", given, &[zeros, places, d])?;
    let shape = cx.shape_of(x)?;
    Ok(vec![Some(cx.reshape(sums, shape)?)])
}

/// Each element of a window is handed what arrives by the number of those that the mean is of: sums of ones by means of
/// ones, whatever is counted.
pub(super) fn mean(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (d, x) = (to.derivative()?, to.arg(0)?);
    let n = spatial(cx, x)?;
    let windows = Windows::of(to, n);
    let plane = |cx: &mut NodeCx<'_, '_>, value: Value| {
        let sizes = [Size::Product(value, vec![0, 1]), Size::Const(1)];
        let sizes = sizes.into_iter().chain((2..2 + n).map(|i| Size::Of(value, i)));
        cx.reshape_to(value, &sizes.collect::<Vec<_>>())
    };
    let one = cx.number_like(x, 1.0)?;
    let full = |cx: &mut NodeCx<'_, '_>, sizes: Vec<Size>| {
        let sizes: Vec<Size> = [Size::Const(1), Size::Const(1)].into_iter().chain(sizes).collect();
        let shape = cx.shape_vector(&sizes)?;
        cx.full(shape, one)
    };
    let taps = full(cx, windows.window.kernel.iter().map(|it| Size::Const(*it)).collect())?;
    let ones = full(cx, (2..2 + n).map(|i| Size::Of(x, i)).collect())?;
    let means = cx.emit("avg_pool", to.step.attrs.clone(), &[ones])?;
    let sums = windows.sums(cx, ones, taps, means)?;
    let empty = cx.with_number("equal", sums, 0.0)?;
    let share = cx.binary("div", means, sums)?;
    let zero = cx.number_like(x, 0.0)?;
    let share = cx.select(empty, zero, share)?;
    let d = cx.binary("mul", d, share)?;
    let (d, like) = (plane(cx, d)?, plane(cx, x)?);
    let spread = windows.spread(cx, d, taps, like)?;
    let shape = cx.shape_of(x)?;
    Ok(vec![Some(cx.reshape(spread, shape)?)])
}

/// Along each axis it is the product with a matrix, which is what becomes of the columns of a unit matrix.
pub(super) fn resized(cx: &mut NodeCx<'_, '_>, to: &Arrived<'_>) -> Passed {
    let (mut d, x, sizes) = (to.derivative()?, to.arg(0)?, to.arg(1)?);
    let rank = cx.rank(x)?;
    let sizes = cx.as_i64(sizes)?;
    for axis in 0..rank {
        let scale = to.step.attrs.floats("scales").map(|it| it[axis]);
        if let (Some(own), Some(other)) = (cx.dims(x), cx.dims(d))
            && cx.sink.shapes().prove_eq(own[axis], other[axis]).is_always()
            && scale.is_none_or(|it| it == 1.0)
        {
            continue;
        }
        let places = along(cx, x, axis)?;
        let rows = cx.unsqueeze(places, &[1])?;
        let unit = cx.binary("equal", rows, places)?;
        let unit = cx.cast(unit, cx.dtype(d)?)?;
        let (wanted, own) =
            (cx.slice(sizes, 0, axis as i64, axis as i64 + 1)?, cx.shape_part(x, axis, axis + 1)?);
        let wanted = cx.concat(&[wanted, own], 0)?;
        let mut given = to.step.attrs.clone();
        if let Some(scale) = scale {
            given = given.with("scales", vec![scale, 1.0]);
        }
        let matrix = cx.emit("resize", given, &[unit, wanted])?;
        let mut last: Vec<usize> = (0..rank).collect();
        last.swap(axis, rank - 1);
        let turned_d = cx.transpose(d, &last)?;
        let product = if rank == 1 {
            let columns = turned(cx, matrix)?;
            cx.binary("matmul", columns, turned_d)?
        } else {
            cx.binary("matmul", turned_d, matrix)?
        };
        d = cx.transpose(product, &last)?;
    }
    let d = cx.typed_as(d, x)?;
    Ok(vec![Some(d), None])
}
