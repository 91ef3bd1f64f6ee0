//! Deformed convolutions: columns are blends of the image at places that data give, then multiplied as any others.

use super::conv::Window;
use super::index::extent;
use super::sampling::{Images, Outside, channels_last, coordinate_type, has_rows, places};
use super::single;
use crate::emit::Size;
use crate::node::{NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register("", "DeformConv", .., single(deform_conv));
}

/// Operands: images, weights `[out, in/group, kernel…]`, offsets `[batch, groups·taps·n, places…]`, and, both optional,
/// bias and a factor for each tap. Each tap reads the image at its place plus its offset.
fn deform_conv(cx: &mut NodeCx<'_, '_>) -> Single {
    let (x, weights, offsets) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let rank = cx.rank(x)?;
    if rank < 3 || cx.rank(weights)? != rank || cx.rank(offsets)? != rank {
        return Err(bad("its images, weights and offsets must have the same number of dimensions"));
    }
    let n = rank - 2;
    let mut known = |value, i| {
        cx.static_dim(value, i).ok_or_else(|| not_supported("weights or channels of dynamic sizes"))
    };
    let kernel = (2..rank).map(|i| known(weights, i)).collect::<Result<Vec<_>, _>>()?;
    let (channels, out) = (known(x, 1)?, known(weights, 0)?);
    if cx.ints("kernel_shape").is_some_and(|it| !it.is_empty() && it != kernel) {
        return Err(bad("attribute `kernel_shape` is not the shape of its weights"));
    }
    let window = Window::new(cx, kernel.clone())?;
    let pads = match cx.ints("pads") {
        None | Some([]) => vec![0; 2 * n],
        Some(pads) if pads.len() == 2 * n && pads.iter().all(|it| (0..=i64::from(i32::MAX)).contains(it)) => {
            pads.to_vec()
        }
        Some(pads) => return Err(bad(format!("attribute `pads` is {pads:?} for {n} dimensions"))),
    };
    let (group, offset_group) = (cx.int("group").unwrap_or(1), cx.int("offset_group").unwrap_or(1));
    let taps = window.taps().ok_or_else(|| not_supported("a deformed convolution of so many taps"))?;
    let divides = |by: i64, number: i64| by > 0 && number % by == 0;
    if !divides(group, channels) || !divides(group, out) || !divides(offset_group, channels) {
        return Err(bad(format!(
            "its {channels} channels and {out} results do not fall into {group} and {offset_group} groups"
        )));
    }
    let numbers = offset_group.checked_mul(taps * n as i64);
    if cx.static_dim(offsets, 1).is_some_and(|it| Some(it) != numbers) {
        return Err(bad(format!("its offsets are not those of {offset_group} groups of {taps} taps")));
    }

    let of = Deformed { kernel: &kernel, window: &window, pads: &pads, channels, out, taps };
    if group == 1 && offset_group == 1 && has_rows(cx, x) {
        return deform_rows(cx, &of);
    }
    // Dimensions: batch, group, channel of a group, tap, places.
    let wide = 4 + n;
    let own = cx.dtype(x)?;
    let dtype = coordinate_type(cx, x)?;
    let batch = extent(cx, x, 0)?;
    let batch = places(cx, batch, 0, wide)?;
    let per_group = channels / offset_group;
    let (groups, members) = (cx.int_scalar(offset_group), cx.int_scalar(per_group));
    let (groups, members) = (places(cx, groups, 1, wide)?, places(cx, members, 2, wide)?);
    let begin = cx.with_number("mul", groups, per_group as f64)?;
    let channel = cx.binary("add", begin, members)?;
    let images = Images::new(cx, x, [batch, channel], Outside::Zeros)?;

    let by_tap = |cx: &mut NodeCx<'_, '_>, value, inner: &[i64]| {
        let mut sizes = vec![Size::Of(x, 0), Size::Const(offset_group), Size::Const(1), Size::Const(taps)];
        sizes.extend(inner.iter().map(|it| Size::Const(*it)));
        sizes.extend((2..rank).map(|i| Size::Of(offsets, i)));
        cx.reshape_to(value, &sizes)
    };
    let offsets_by_axis = by_tap(cx, offsets, &[n as i64])?;
    let mut coordinates = Vec::new();
    for i in 0..n {
        let offset = cx.slice(offsets_by_axis, 4, i as i64, i as i64 + 1)?;
        let offset = cx.squeeze(offset, &[4])?;
        let offset = cx.cast(offset, dtype)?;
        coordinates.push(of.position(cx, i, offset, [4, 3], wide)?);
    }
    let mut columns = images.linear(cx, &coordinates, "add")?;
    if let Some(mask) = cx.optional(4) {
        let mask = by_tap(cx, mask, &[])?;
        let mask = cx.cast(mask, dtype)?;
        columns = cx.binary("mul", columns, mask)?;
    }
    let columns = cx.cast(columns, own)?;
    let terms = channels / group * taps;
    let flat =
        [Size::Of(x, 0), Size::Const(group), Size::Const(terms), Size::Product(offsets, (2..rank).collect())];
    let columns = cx.reshape_to(columns, &flat)?;
    let rows = [Size::Const(group), Size::Const(out / group), Size::Const(terms)];
    let weights = cx.reshape_to(weights, &rows)?;
    let product = cx.binary("matmul", weights, columns)?;
    let mut sizes = vec![Size::Of(x, 0), Size::Const(out)];
    sizes.extend((2..rank).map(|i| Size::Of(offsets, i)));
    let result = cx.reshape_to(product, &sizes)?;
    let Some(bias) = cx.optional(3) else { return Ok(result) };
    let bias = cx.along_axis(bias, 1, rank)?;
    cx.binary("add", result, bias)
}

/// A deformed convolution.
struct Deformed<'a> {
    kernel: &'a [i64],
    window: &'a Window,
    pads: &'a [i64],
    channels: i64,
    out: i64,
    taps: i64,
}

impl Deformed<'_> {
    /// Where taps read along axis `i`, given what is added to each, among so many dimensions: of places from the first of
    /// these, and of taps.
    fn position(
        &self,
        cx: &mut NodeCx<'_, '_>,
        i: usize,
        offset: Value,
        [first, tap]: [usize; 2],
        wide: usize,
    ) -> Single {
        let (offsets, dtype) = (cx.input(2)?, cx.dtype(offset)?);
        let size = extent(cx, offsets, 2 + i)?;
        let place = places(cx, size, first + i, wide)?;
        let place = cx.cast(place, dtype)?;
        let place = cx.affine(place, self.window.strides[i] as f64, -self.pads[i] as f64)?;
        let steps = cx.int_vector(&self.steps(i));
        let steps = cx.cast(steps, dtype)?;
        let steps = cx.along_axis(steps, tap, wide)?;
        let position = cx.binary("add", place, steps)?;
        cx.binary("add", position, offset)
    }

    /// How far along axis `i` each tap lies from the first one.
    fn steps(&self, i: usize) -> Vec<i64> {
        let (taps, inner): (i64, i64) = (self.kernel.iter().product(), self.kernel[i + 1..].iter().product());
        (0..taps).map(|it| it / inner % self.kernel[i] * self.window.dilations[i]).collect()
    }
}

/// A deformed convolution whose taps all channels share, with rows of channels: the columns are
/// `[batch, places, taps · channels]`.
fn deform_rows(cx: &mut NodeCx<'_, '_>, of: &Deformed<'_>) -> Single {
    let (x, weights, offsets) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let (rank, own) = (cx.rank(x)?, cx.dtype(x)?);
    let n = rank - 2;
    let dtype = coordinate_type(cx, x)?;
    // Dimensions: batch, places, tap.
    let wide = 2 + n;
    let batch = extent(cx, x, 0)?;
    let batch = places(cx, batch, 0, wide)?;
    let images = Images::in_rows(cx, x, batch, Outside::Zeros)?;
    // `[batch, taps · inner, places]` with the taps last.
    let by_place = |cx: &mut NodeCx<'_, '_>, value: Value, inner: usize, i: usize| {
        let mut sizes = vec![Size::Of(x, 0), Size::Const(of.taps), Size::Const(inner as i64)];
        sizes.extend((2..rank).map(|i| Size::Of(offsets, i)));
        let value = cx.reshape_to(value, &sizes)?;
        let value = cx.slice(value, 2, i as i64, i as i64 + 1)?;
        let value = cx.squeeze(value, &[2])?;
        let value = cx.transpose(value, &channels_last(rank))?;
        cx.cast(value, dtype)
    };
    let mut coordinates = Vec::new();
    for i in 0..n {
        let offset = by_place(cx, offsets, n, i)?;
        coordinates.push(of.position(cx, i, offset, [1, 1 + n], wide)?);
    }
    let mut columns = images.linear(cx, &coordinates, "add")?;
    if let Some(mask) = cx.optional(4) {
        let mask = by_place(cx, mask, 1, 0)?;
        let mask = images.each(cx, mask)?;
        columns = cx.binary("mul", columns, mask)?;
    }
    let columns = cx.cast(columns, own)?;
    let terms = of.channels * of.taps;
    let flat = [Size::Of(x, 0), Size::Product(offsets, (2..rank).collect()), Size::Const(terms)];
    let columns = cx.reshape_to(columns, &flat)?;
    let turned = cx.transpose(weights, &[2..rank, 1..2, 0..1].into_iter().flatten().collect::<Vec<_>>())?;
    let turned = cx.reshape_to(turned, &[Size::Const(terms), Size::Const(of.out)])?;
    let product = cx.binary("matmul", columns, turned)?;
    let product = match cx.optional(3) {
        Some(bias) => cx.binary("add", product, bias)?,
        None => product,
    };
    let product = cx.transpose(product, &[0, 2, 1])?;
    let mut sizes = vec![Size::Of(x, 0), Size::Const(of.out)];
    sizes.extend((2..rank).map(|i| Size::Of(offsets, i)));
    cx.reshape_to(product, &sizes)
}
