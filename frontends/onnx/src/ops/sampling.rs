//! Operators that read an image between its elements: coordinates are computed first, as numbers, then a blend of the
//! elements around each. All channels of an image are read at the same places: where there are enough of them, they are
//! made neighbours in memory first, so that a place is read as a row.

use super::index::{count_up, extent, within};
use super::interpolate::polynomial;
use super::single;
use crate::emit::{Size, attrs};
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::shape::Constraint;
use orogen_ir::types::{DType, Dims, Type};

type Single = Result<Value, Diagnostic>;

/// From so many channels on they are neighbours in memory.
const CHANNELS_IN_ROW: i64 = 8;

/// The most points of a bin that are read one after the other, each for all bins.
const POINTS_APART: i64 = 4;

/// Bins or points of a region along an axis, so that their indices stay small.
pub(super) const MOST_STEPS: i64 = 1 << 16;

pub(super) fn register(table: &mut OpTable) {
    table.register("", "AffineGrid", .., single(affine_grid));
    table.register_checked("", "GridSample", .., check_grid, single(grid_sample));
    table.register_checked("", "RoiAlign", .., check_roi, single(roi_align));
}

/// What is read outside of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outside {
    Zeros,
    /// The nearest element.
    Border,
    /// The image mirrored at its ends, which are the centers of the outermost elements or, if not `centers`, half an
    /// element further out.
    Reflection {
        centers: bool,
    },
}

/// Images of one size, one after the other.
pub(super) struct Images {
    /// Elements, or rows of channels.
    flat: Value,
    /// Whether it is rows: results have the channels as their last dimension, which coordinates do not have.
    rows: bool,
    /// Index of the first element, or row, of an image; broadcasts with the coordinates.
    first: Value,
    /// Extents, as integers of rank 0.
    pub(super) sizes: Vec<Value>,
    outside: Outside,
}

impl Images {
    /// The images of `x [batch, channels, spatial…]` by numbers of the batch and of the channel.
    pub(super) fn new(
        cx: &mut NodeCx<'_, '_>,
        x: Value,
        [batch, channel]: [Value; 2],
        outside: Outside,
    ) -> Result<Self, Diagnostic> {
        let sizes = (2..cx.rank(x)?).map(|i| extent(cx, x, i)).collect::<Result<Vec<_>, _>>()?;
        let channels = extent(cx, x, 1)?;
        let row = cx.binary("mul", batch, channels)?;
        let mut first = cx.binary("add", row, channel)?;
        for size in &sizes {
            first = cx.binary("mul", first, *size)?;
        }
        let flat = cx.int_vector(&[-1]);
        let flat = cx.reshape(x, flat)?;
        Ok(Images { flat, rows: false, first, sizes, outside })
    }

    /// The same as rows of all channels, by numbers of the batch.
    pub(super) fn in_rows(
        cx: &mut NodeCx<'_, '_>,
        x: Value,
        batch: Value,
        outside: Outside,
    ) -> Result<Self, Diagnostic> {
        let rank = cx.rank(x)?;
        let sizes = (2..rank).map(|i| extent(cx, x, i)).collect::<Result<Vec<_>, _>>()?;
        let mut first = batch;
        for size in &sizes {
            first = cx.binary("mul", first, *size)?;
        }
        let last = cx.transpose(x, &channels_last(rank))?;
        let places = [0].into_iter().chain(2..rank).collect();
        let flat = cx.reshape_to(last, &[Size::Product(x, places), Size::Of(x, 1)])?;
        Ok(Images { flat, rows: true, first, sizes, outside })
    }

    /// What there is one of for each place, for all channels of it.
    pub(super) fn each(&self, cx: &mut NodeCx<'_, '_>, value: Value) -> Single {
        if !self.rows {
            return Ok(value);
        }
        let rank = cx.rank(value)? as i64;
        cx.unsqueeze(value, &[rank])
    }

    /// Elements at whole coordinates, which are numbers of a float type.
    pub(super) fn element(&self, cx: &mut NodeCx<'_, '_>, coordinates: &[Value]) -> Single {
        let mut index = None;
        let mut inside: Option<Value> = None;
        for (coordinate, size) in coordinates.iter().zip(&self.sizes) {
            let mut coordinate = *coordinate;
            let dtype = cx.dtype(coordinate)?;
            let float_size = cx.cast(*size, dtype)?;
            match self.outside {
                Outside::Zeros => {
                    let from = cx.with_number("greater_equal", coordinate, 0.0)?;
                    let to = cx.binary("less", coordinate, float_size)?;
                    let within = cx.binary("and", from, to)?;
                    inside = Some(inside.map_or(Ok(within), |it| cx.binary("and", it, within))?);
                }
                Outside::Border => {}
                Outside::Reflection { .. } => coordinate = self.adjusted(cx, coordinate, *size)?,
            }
            // Numbers that are out of range saturate, so that they stay outside.
            let place = cx.cast(coordinate, DType::I64)?;
            let last = cx.with_number("sub", *size, 1.0)?;
            let place = cx.binary("min", place, last)?;
            let place = cx.with_number("max", place, 0.0)?;
            index = Some(match index {
                None => place,
                Some(index) => {
                    let row = cx.binary("mul", index, *size)?;
                    cx.binary("add", row, place)?
                }
            });
        }
        let index = index.ok_or_else(|| bad("its image has no spatial dimension"))?;
        let index = cx.binary("add", self.first, index)?;
        let value = cx.emit("gather", attrs([("axis", 0.into())]), &[self.flat, index])?;
        let Some(inside) = inside else { return Ok(value) };
        let inside = self.each(cx, inside)?;
        let zero = cx.number_like(value, 0.0)?;
        cx.select(inside, value, zero)
    }

    /// A coordinate brought inside, as far as that is not left to single elements.
    pub(super) fn adjusted(&self, cx: &mut NodeCx<'_, '_>, x: Value, size: Value) -> Single {
        let dtype = cx.dtype(x)?;
        let size = cx.cast(size, dtype)?;
        match self.outside {
            Outside::Zeros => Ok(x),
            Outside::Border => {
                let last = cx.with_number("sub", size, 1.0)?;
                let below = cx.binary("min", x, last)?;
                cx.with_number("max", below, 0.0)
            }
            Outside::Reflection { centers } => {
                let (from, range) = match centers {
                    true => (0.0, cx.with_number("sub", size, 1.0)?),
                    false => (-0.5, size),
                };
                // One period there and back: the distance from the first end, modulo twice the range.
                let distance = cx.affine(x, 1.0, -from)?;
                let distance = cx.unary("abs", distance)?;
                let period = cx.affine(range, 2.0, 0.0)?;
                let turns = cx.binary("div", distance, period)?;
                let turns = cx.unary("floor", turns)?;
                let whole = cx.binary("mul", turns, period)?;
                let there = cx.binary("sub", distance, whole)?;
                let back = cx.binary("sub", period, there)?;
                let folded = cx.binary("min", there, back)?;
                let folded = cx.affine(folded, 1.0, from)?;
                // An image of one element has no range.
                let several = cx.with_number("greater", range, 0.0)?;
                let first = cx.number_like(folded, 0.0)?;
                cx.select(several, folded, first)
            }
        }
    }

    /// A weighted sum of the elements around coordinates: along each axis those at `offsets` from the largest whole number
    /// below, with the weights that `weights` gives for the distance from it.
    fn blend(
        &self,
        cx: &mut NodeCx<'_, '_>,
        coordinates: &[Value],
        offsets: &[f64],
        weights: &dyn Fn(&mut NodeCx<'_, '_>, Value) -> Result<Vec<Value>, Diagnostic>,
        combine: &str,
    ) -> Single {
        let mut axes = Vec::new();
        for coordinate in coordinates {
            let whole = cx.unary("floor", *coordinate)?;
            let distance = cx.binary("sub", *coordinate, whole)?;
            let taps = offsets.iter().map(|it| cx.affine(whole, 1.0, *it)).collect::<Result<Vec<_>, _>>()?;
            axes.push((taps, weights(cx, distance)?));
        }
        let wide = cx.dtype(coordinates[0])?;
        // Each is a chain of operations of its own.
        const MOST_CORNERS: usize = 1024;
        let corners = offsets.len().checked_pow(axes.len() as u32).filter(|it| *it <= MOST_CORNERS);
        let corners = corners.ok_or_else(|| not_supported("a blend along so many axes"))?;
        let mut sum: Option<Value> = None;
        for corner in 0..corners {
            let (mut rest, mut places, mut weight) = (corner, Vec::new(), None);
            for (taps, weights) in &axes {
                let tap = rest % offsets.len();
                rest /= offsets.len();
                places.push(taps[tap]);
                weight = Some(match weight {
                    None => weights[tap],
                    Some(weight) => cx.binary("mul", weight, weights[tap])?,
                });
            }
            let element = self.element(cx, &places)?;
            let element = cx.cast(element, wide)?;
            let weight = weight.map(|it| self.each(cx, it)).transpose()?;
            let part = weight.map_or(Ok(element), |it| cx.binary("mul", element, it))?;
            sum = Some(sum.map_or(Ok(part), |it| cx.binary(combine, it, part))?);
        }
        sum.ok_or_else(|| bad("its image has no spatial dimension"))
    }

    pub(super) fn linear(&self, cx: &mut NodeCx<'_, '_>, coordinates: &[Value], combine: &str) -> Single {
        let weights = |cx: &mut NodeCx<'_, '_>, distance| Ok(vec![cx.affine(distance, -1.0, 1.0)?, distance]);
        self.blend(cx, coordinates, &[0.0, 1.0], &weights, combine)
    }

    fn cubic(&self, cx: &mut NodeCx<'_, '_>, coordinates: &[Value]) -> Single {
        self.blend(cx, coordinates, &[-1.0, 0.0, 1.0, 2.0], &keys, "add")
    }
}

/// Weights of Keys' cubic convolution, with −¾ as its parameter, of the four elements around.
fn keys(cx: &mut NodeCx<'_, '_>, distance: Value) -> Result<Vec<Value>, Diagnostic> {
    const A: f64 = -0.75;
    let back = cx.affine(distance, -1.0, 1.0)?;
    let near = [A + 2.0, -(A + 3.0), 0.0, 1.0];
    let far = [A, -5.0 * A, 8.0 * A, -4.0 * A];
    let (before, after) = (cx.affine(distance, 1.0, 1.0)?, cx.affine(back, 1.0, 1.0)?);
    Ok(vec![
        polynomial(cx, before, &far)?,
        polynomial(cx, distance, &near)?,
        polynomial(cx, back, &near)?,
        polynomial(cx, after, &far)?,
    ])
}

/// The order of dimensions of an image with the channels behind all others.
pub(super) fn channels_last(rank: usize) -> Vec<usize> {
    [0].into_iter().chain(2..rank).chain([1]).collect()
}

/// The same back.
fn channels_first(rank: usize) -> Vec<usize> {
    [0, rank - 1].into_iter().chain(1..rank - 1).collect()
}

/// Whether images have enough channels to be read as rows of them.
pub(super) fn has_rows(cx: &mut NodeCx<'_, '_>, x: Value) -> bool {
    cx.static_dim(x, 1).is_some_and(|it| it >= CHANNELS_IN_ROW)
}

/// The integers below an extent, along axis `axis` of `rank`.
pub(super) fn places(cx: &mut NodeCx<'_, '_>, size: Value, axis: usize, rank: usize) -> Single {
    let list = count_up(cx, size)?;
    cx.along_axis(list, axis, rank)
}

/// One coordinate of the last dimension of a tensor, which is dropped.
pub(super) fn coordinate(cx: &mut NodeCx<'_, '_>, x: Value, i: usize) -> Single {
    let axis = cx.axis(x, -1)?;
    let part = cx.slice(x, axis, i as i64, i as i64 + 1)?;
    cx.squeeze(part, &[axis as i64])
}

/// The type that coordinates of images are computed in.
pub(super) fn coordinate_type(cx: &NodeCx<'_, '_>, x: Value) -> Result<DType, Diagnostic> {
    Ok(if cx.dtype(x)? == DType::F64 { DType::F64 } else { DType::F32 })
}

/// Operands: transformations `[batch, n, n + 1]` and a size `[batch, channels, spatial…]`. The result is `[batch, spatial…,
/// n]`, the last spatial dimension first.
fn affine_grid(cx: &mut NodeCx<'_, '_>) -> Single {
    let theta = cx.input(0)?;
    let size = cx.known_sizes(cx.input(1)?)?;
    let n = match (cx.rank(theta)?, cx.static_dim(size, 0), cx.static_dim(theta, 1)) {
        (3, Some(length @ 4..=5), n) if n.is_none_or(|n| n + 2 == length) => length as usize - 2,
        (3, None, Some(n @ 2..=3)) => n as usize,
        (3, None, None) => return Err(not_supported("how many dimensions its images have is not known")),
        _ => {
            return Err(bad(
                "its transformations must be [batch, 2, 3] with a size of 4 numbers, or [batch, 3, 4] with one of 5",
            ));
        }
    };
    let dtype = cx.dtype(theta)?;
    let mut dims: Dims = cx.dims(theta).unwrap_or_default();
    for (axis, size) in [(1, n), (2, n + 1)] {
        let size = cx.sink.shapes().int(size as i64);
        let found = std::mem::replace(&mut dims[axis], size);
        cx.sink.check(Constraint::Eq(found, size), &format!("dimension {axis} of its transformations"))?;
    }
    let theta = cx.sink.match_cast(theta, Type::tensor(dtype, dims))?;
    let rank = n + 1;
    let mut rows = Vec::new();
    // Coordinates of the result, from the last spatial dimension on.
    let mut axes = Vec::new();
    for i in (0..n).rev() {
        let extent = cx.slice(size, 0, i as i64 + 2, i as i64 + 3)?;
        let extent = match cx.known_ints(extent).as_deref() {
            Some([extent]) => cx.int_scalar(*extent),
            _ => cx.squeeze(extent, &[0])?,
        };
        let list = places(cx, extent, i + 1, rank)?;
        let list = cx.cast(list, DType::F64)?;
        let extent = cx.cast(extent, DType::F64)?;
        let doubled = cx.affine(list, 2.0, 0.0)?;
        let position = if cx.flag("align_corners") {
            let last = cx.with_number("sub", extent, 1.0)?;
            let last = cx.with_number("max", last, 1.0)?;
            let scaled = cx.binary("div", doubled, last)?;
            cx.with_number("sub", scaled, 1.0)?
        } else {
            let centers = cx.with_number("add", doubled, 1.0)?;
            let scaled = cx.binary("div", centers, extent)?;
            cx.with_number("sub", scaled, 1.0)?
        };
        axes.push(cx.cast(position, dtype)?);
    }
    for row in 0..n {
        let factors = cx.slice(theta, 1, row as i64, row as i64 + 1)?;
        let mut sum = None;
        for column in 0..=n {
            let factor = cx.slice(factors, 2, column as i64, column as i64 + 1)?;
            let mut sizes = vec![Size::Of(theta, 0)];
            sizes.extend((0..n).map(|_| Size::Const(1)));
            let factor = cx.reshape_to(factor, &sizes)?;
            let part = match axes.get(column) {
                Some(position) => cx.binary("mul", factor, *position)?,
                None => factor,
            };
            sum = Some(sum.map_or(Ok(part), |it| cx.binary("add", it, part))?);
        }
        let sum = sum.ok_or_else(|| bad("its transformations are empty"))?;
        rows.push(cx.unsqueeze(sum, &[rank as i64])?);
    }
    cx.concat(&rows, rank as i64)
}

fn check_grid(node: &Node<'_>) -> Result<(), String> {
    match node.text("mode").unwrap_or("linear") {
        "linear" | "bilinear" | "nearest" | "cubic" | "bicubic" => {}
        other => return Err(format!("mode `{other}` is not known")),
    }
    match node.text("padding_mode").unwrap_or("zeros") {
        "zeros" | "border" | "reflection" => Ok(()),
        other => Err(format!("padding `{other}` is not known")),
    }
}

/// Operands: images `[batch, channels, spatial…]` and a grid `[batch, places…, n]` of coordinates between −1 and 1, the one
/// of the last spatial dimension first.
fn grid_sample(cx: &mut NodeCx<'_, '_>) -> Single {
    let (x, grid) = (cx.input(0)?, cx.input(1)?);
    let rank = cx.rank(x)?;
    if rank < 3 || cx.rank(grid)? != rank {
        return Err(bad("its images and its grid must have the same number of dimensions, at least 3"));
    }
    let n = rank - 2;
    if cx.static_dim(grid, rank - 1).is_some_and(|it| it as usize != n) {
        return Err(bad(format!("the last dimension of its grid must be {n}, one coordinate for each axis")));
    }
    let centers = cx.flag("align_corners");
    let outside = match cx.text("padding_mode").unwrap_or("zeros") {
        "border" => Outside::Border,
        "reflection" => Outside::Reflection { centers },
        _ => Outside::Zeros,
    };
    let (batch, channels) = (extent(cx, x, 0)?, extent(cx, x, 1)?);
    let mode = cx.text("mode").unwrap_or("linear");
    let own = cx.dtype(x)?;
    if mode != "nearest" && own.is_only_moved() {
        return Err(not_supported(format!("elements of type {own} between which it would blend")));
    }
    // Between integers lie numbers that are none: they are blended as floats which hold them, and cut off at the end.
    let x = match mode {
        "nearest" => x,
        _ if own.is_float() => x,
        _ => cx.cast(x, if own.bits() <= 16 { DType::F32 } else { DType::F64 })?,
    };
    // One element of each place is not worth turning the image around.
    let images = if mode != "nearest" && has_rows(cx, x) {
        let batch = places(cx, batch, 0, rank - 1)?;
        Images::in_rows(cx, x, batch, outside)?
    } else {
        let (batch, channels) = (places(cx, batch, 0, rank)?, places(cx, channels, 1, rank)?);
        Images::new(cx, x, [batch, channels], outside)?
    };

    let dtype = coordinate_type(cx, grid)?;
    let grid = cx.cast(grid, dtype)?;
    let mut coordinates = Vec::new();
    for i in 0..n {
        // Channels lie between the batch and the places.
        let given = coordinate(cx, grid, n - 1 - i)?;
        let given = if images.rows { given } else { cx.unsqueeze(given, &[1])? };
        let size = cx.cast(images.sizes[i], dtype)?;
        let raised = cx.with_number("add", given, 1.0)?;
        let position = if centers {
            let half = cx.affine(raised, 0.5, 0.0)?;
            let last = cx.with_number("sub", size, 1.0)?;
            cx.binary("mul", half, last)?
        } else {
            let scaled = cx.binary("mul", raised, size)?;
            let shifted = cx.with_number("sub", scaled, 1.0)?;
            cx.affine(shifted, 0.5, 0.0)?
        };
        let position = if mode == "nearest" { cx.unary("round", position)? } else { position };
        // Four elements around a place beyond the border are brought inside one by one.
        let cubic = matches!(mode, "cubic" | "bicubic");
        coordinates.push(if cubic { position } else { images.adjusted(cx, position, images.sizes[i])? });
    }
    if mode == "nearest" {
        return images.element(cx, &coordinates);
    }
    let value = match mode {
        "cubic" | "bicubic" => images.cubic(cx, &coordinates)?,
        _ => images.linear(cx, &coordinates, "add")?,
    };
    let value = cx.cast(value, own)?;
    if images.rows { cx.transpose(value, &channels_first(rank)) } else { Ok(value) }
}

fn check_roi(node: &Node<'_>) -> Result<(), String> {
    match node.text("mode").unwrap_or("avg") {
        "avg" | "max" => Ok(()),
        other => Err(format!("mode `{other}` is not known")),
    }
}

/// Operands: images, regions `[n, 4]` with the corners x, y, x, y, and the image of each. Each region is cut into bins, and
/// each bin is the mean, or the largest part, of blends at points of a regular grid in it.
fn roi_align(cx: &mut NodeCx<'_, '_>) -> Single {
    let (x, regions, owners) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    if cx.rank(x)? != 4 || cx.rank(regions)? != 2 || cx.rank(owners)? != 1 {
        return Err(bad("it takes images of 4 dimensions, regions of 2 and a vector of numbers of images"));
    }
    let half_pixel = match cx.text("coordinate_transformation_mode") {
        Some(mode) => mode == "half_pixel",
        None => cx.opset() >= 16,
    };
    let bins = [cx.int("output_height").unwrap_or(1), cx.int("output_width").unwrap_or(1)];
    let ratio = cx.int("sampling_ratio").unwrap_or(0);
    if bins.iter().any(|it| *it < 1) || ratio < 0 {
        return Err(bad("the number of its bins or points is not positive"));
    }
    if bins.iter().any(|it| *it > MOST_STEPS) || ratio > MOST_STEPS {
        return Err(bad(format!("more than {MOST_STEPS} bins or points along an axis")));
    }
    let own = cx.dtype(x)?;
    let dtype = coordinate_type(cx, x)?;
    let count = extent(cx, x, 0)?;
    let owners = within(cx, owners, count, "the image of a region")?;
    // Dimensions: region, channel unless these are rows, bins, points of a bin.
    let before = if has_rows(cx, x) { 1 } else { 2 };
    let rank = before + 4;
    // Points of which there are few are dimensions of no blend.
    let few = before == 1 && ratio > 0 && ratio <= POINTS_APART;
    let owners = cx.along_axis(owners, 0, if few { before + 2 } else { rank })?;
    let images = if before == 1 {
        Images::in_rows(cx, x, owners, Outside::Border)?
    } else {
        let channels = extent(cx, x, 1)?;
        let channels = places(cx, channels, 1, rank)?;
        Images::new(cx, x, [owners, channels], Outside::Border)?
    };

    let regions = cx.cast(regions, dtype)?;
    let scale = cx.float("spatial_scale").unwrap_or(1.0);
    let regions = cx.affine(regions, scale, if half_pixel { -0.5 } else { 0.0 })?;
    let (mut axes, mut used, mut points) = (Vec::new(), None, None);
    for (i, axis) in [(1, 0), (0, 1)] {
        let (start, end) = (coordinate(cx, regions, i)?, coordinate(cx, regions, i + 2)?);
        let mut length = cx.binary("sub", end, start)?;
        if !half_pixel {
            length = cx.with_number("max", length, 1.0)?;
        }
        let bin = cx.with_number("div", length, bins[axis] as f64)?;
        // As many points as a bin has elements, unless the model says how many.
        let steps = if ratio > 0 { cx.number(dtype, ratio as f64) } else { cx.unary("ceil", bin)? };
        let most = if ratio > 0 {
            cx.int_scalar(ratio)
        } else {
            let whole = cx.cast(steps, DType::I64)?;
            let zero = cx.int_vector(&[0]);
            let whole = cx.concat(&[whole, zero], 0)?;
            let most = cx.reduce("reduce_max", whole, &[0], false)?;
            cx.known_sizes(most)?
        };
        let (start, bin) = (cx.along_axis(start, 0, rank)?, cx.along_axis(bin, 0, rank)?);
        let steps = cx.along_axis(steps, 0, rank)?;
        let bin_numbers = cx.int_scalar(bins[axis]);
        let bin_numbers = places(cx, bin_numbers, before + axis, rank)?;
        let point_numbers = places(cx, most, before + 2 + axis, rank)?;
        let (bin_numbers, point_numbers) = (cx.cast(bin_numbers, dtype)?, cx.cast(point_numbers, dtype)?);
        if ratio == 0 {
            let counts = cx.binary("less", point_numbers, steps)?;
            used = Some(used.map_or(Ok(counts), |it| cx.binary("and", it, counts))?);
        }
        points = Some(points.map_or(Ok(steps), |it| cx.binary("mul", it, steps))?);
        let shift = cx.binary("mul", bin_numbers, bin)?;
        let centers = cx.with_number("add", point_numbers, 0.5)?;
        let inner = cx.binary("mul", centers, bin)?;
        let inner = cx.binary("div", inner, steps)?;
        let place = cx.binary("add", start, shift)?;
        let place = cx.binary("add", place, inner)?;
        let size = cx.cast(images.sizes[axis], dtype)?;
        let below = cx.with_number("less", place, -1.0)?;
        let after = cx.binary("greater", place, size)?;
        let beyond = cx.binary("or", below, after)?;
        axes.push((images.adjusted(cx, place, images.sizes[axis])?, beyond));
    }
    let bins_of = Bins {
        images: &images,
        largest: cx.text("mode") == Some("max"),
        used,
        points: points.ok_or_else(|| bad("its bins have no points"))?,
        first: before + 2,
        dtype,
    };
    let value = if few { bins_of.point_by_point(cx, &axes, ratio)? } else { bins_of.at_once(cx, &axes)? };
    let value = cx.cast(value, own)?;
    if images.rows { cx.transpose(value, &channels_first(4)) } else { Ok(value) }
}

/// The bins of regions: where their points are is given as a coordinate along each axis, with whether that is beyond.
struct Bins<'a> {
    images: &'a Images,
    /// The largest part of a blend, not its sum.
    largest: bool,
    /// Whether a point counts, where bins have different numbers of them.
    used: Option<Value>,
    /// How many points count.
    points: Value,
    /// The first of the two dimensions of points.
    first: usize,
    dtype: DType,
}

impl Bins<'_> {
    /// What is read at points, 0 beyond the image.
    fn read(&self, cx: &mut NodeCx<'_, '_>, axes: &[(Value, Value)]) -> Single {
        let coordinates: Vec<Value> = axes.iter().map(|it| it.0).collect();
        let value = self.images.linear(cx, &coordinates, if self.largest { "max" } else { "add" })?;
        let outside = cx.binary("or", axes[0].1, axes[1].1)?;
        let outside = self.images.each(cx, outside)?;
        let zero = cx.number(self.dtype, 0.0);
        cx.select(outside, zero, value)
    }

    /// All points of all bins, then what each bin makes of its own.
    fn at_once(&self, cx: &mut NodeCx<'_, '_>, axes: &[(Value, Value)]) -> Single {
        let value = self.read(cx, axes)?;
        let both = [self.first as i64, self.first as i64 + 1];
        let used = self.used.map(|it| self.images.each(cx, it)).transpose()?;
        let zero = cx.number(self.dtype, 0.0);
        if self.largest {
            let least = cx.number(self.dtype, f64::NEG_INFINITY);
            let value = used.map_or(Ok(value), |it| cx.select(it, value, least))?;
            let largest = cx.reduce("reduce_max", value, &both, false)?;
            // A bin without points is 0.
            let none = cx.binary("equal", largest, least)?;
            return cx.select(none, zero, largest);
        }
        let value = used.map_or(Ok(value), |it| cx.select(it, value, zero))?;
        let sum = cx.reduce("reduce_sum", value, &both, false)?;
        self.mean(cx, sum)
    }

    /// One point of all bins after the other: there are `ratio` along each axis.
    fn point_by_point(&self, cx: &mut NodeCx<'_, '_>, axes: &[(Value, Value)], ratio: i64) -> Single {
        let mut value: Option<Value> = None;
        for point in 0..ratio * ratio {
            let mut here = Vec::new();
            for (axis, (place, beyond)) in axes.iter().enumerate() {
                let (axis, at) = (self.first + axis, [point / ratio, point % ratio][axis]);
                // The other dimension of points is one of one element.
                let mut one = |value: Value| {
                    let part = cx.slice(value, axis, at, at + 1)?;
                    cx.squeeze(part, &[self.first as i64, self.first as i64 + 1])
                };
                here.push((one(*place)?, one(*beyond)?));
            }
            let part = self.read(cx, &here)?;
            let combine = if self.largest { "max" } else { "add" };
            value = Some(value.map_or(Ok(part), |it| cx.binary(combine, it, part))?);
        }
        let value = value.ok_or_else(|| bad("its bins have no points"))?;
        if self.largest { Ok(value) } else { self.mean(cx, value) }
    }

    fn mean(&self, cx: &mut NodeCx<'_, '_>, sum: Value) -> Single {
        let mut points = self.points;
        if cx.rank(points)? > self.first {
            points = cx.squeeze(points, &[self.first as i64, self.first as i64 + 1])?;
            points = self.images.each(cx, points)?;
        }
        let points = cx.with_number("max", points, 1.0)?;
        cx.binary("div", sum, points)
    }
}
