//! Regions of images: the largest element of each bin (`MaxRoiPool`), and regions in another size (`CropAndResize`).

use super::index::{extent, within};
use super::sampling::{Images, MOST_STEPS, Outside, coordinate, coordinate_type, places};
use super::single;
use crate::emit::attrs;
use crate::node::{Node, NodeCx, bad};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::DType;

type Single = Result<Value, Diagnostic>;

/// Dimensions: region, channel, bins or elements along both axes of an image, and elements of a bin.
const RANK: usize = 5;

pub(super) fn register(table: &mut OpTable) {
    table.register("", "MaxRoiPool", .., single(max_roi_pool));
    table.register_checked("com.microsoft", "CropAndResize", .., check_crop, single(crop_and_resize));
}

/// Operands: images `[n, channels, height, width]` and regions `[r, 5]`, each the number of its image and the corners x, y,
/// x, y. Corners are rounded to whole elements, which belong to the region; bins overlap where its size is no multiple of
/// their number. A bin without elements, beyond the border, is 0.
fn max_roi_pool(cx: &mut NodeCx<'_, '_>) -> Single {
    let (x, regions) = (cx.input(0)?, cx.input(1)?);
    if cx.rank(x)? != 4 || cx.rank(regions)? != 2 || cx.static_dim(regions, 1).is_some_and(|it| it != 5) {
        return Err(bad("it takes images of 4 dimensions and regions [n, 5]"));
    }
    let Some([height, width]) = cx.ints("pooled_shape") else {
        return Err(bad("attribute `pooled_shape` must have 2 numbers"));
    };
    if [height, width].iter().any(|it| !(1..=MOST_STEPS).contains(*it)) {
        return Err(bad(format!("the number of its bins along an axis is not from 1 to {MOST_STEPS}")));
    }
    let owners = coordinate(cx, regions, 0)?;
    let count = extent(cx, x, 0)?;
    let owners = within(cx, owners, count, "the image of a region")?;
    let images = cx.emit("gather", attrs([("axis", 0.into())]), &[x, owners])?;

    let dtype = coordinate_type(cx, x)?;
    let regions = cx.cast(regions, dtype)?;
    let scale = cx.float("spatial_scale").unwrap_or(1.0);
    // A maximum over two axes is one after the other.
    let mut found = images;
    let mut used = None;
    for (axis, bins, first) in [(3, *width, 1), (2, *height, 2)] {
        let corners = [first, first + 2].map(|i| {
            let corner = coordinate(cx, regions, i)?;
            let corner = cx.affine(corner, scale, 0.0)?;
            let corner = rounded(cx, corner)?;
            cx.along_axis(corner, 0, RANK)
        });
        let [start, end] = corners;
        let (start, end) = (start?, end?);
        let size = extent(cx, images, axis)?;
        let inside = bins_of(cx, [start, end], size, bins, axis)?;
        let lowest = cx.number_like(x, f64::NEG_INFINITY)?;
        let parts = cx.unsqueeze(found, &[axis as i64])?;
        // Elements of the axis come last.
        let mut turn: Vec<usize> = (0..RANK).filter(|it| *it != axis + 1).collect();
        turn.push(axis + 1);
        let parts = cx.transpose(parts, &turn)?;
        let kept = cx.select(inside, parts, lowest)?;
        found = cx.reduce("reduce_max", kept, &[4], false)?;
        let inside = cx.cast(inside, DType::U8)?;
        let any = cx.reduce("reduce_max", inside, &[4], false)?;
        used = Some(used.map_or(Ok(any), |it| cx.binary("min", it, any))?);
    }
    let used = used.ok_or_else(|| bad("it has no axes"))?;
    let used = cx.with_number("greater", used, 0.0)?;
    let zero = cx.number_like(x, 0.0)?;
    cx.select(used, found, zero)
}

/// To the nearest integer, halves away from 0.
fn rounded(cx: &mut NodeCx<'_, '_>, x: Value) -> Single {
    let (sign, size) = (cx.unary("sign", x)?, cx.unary("abs", x)?);
    let raised = cx.with_number("add", size, 0.5)?;
    let whole = cx.unary("floor", raised)?;
    cx.binary("mul", whole, sign)
}

/// Which elements of an axis of the images are in which bin of which region: `[region, 1, bins and 1, elements]`.
fn bins_of(cx: &mut NodeCx<'_, '_>, [start, end]: [Value; 2], size: Value, bins: i64, axis: usize) -> Single {
    let length = cx.binary("sub", end, start)?;
    let length = cx.with_number("add", length, 1.0)?;
    let length = cx.with_number("max", length, 1.0)?;
    let bin = cx.with_number("div", length, bins as f64)?;
    let dtype = cx.dtype(bin)?;
    let count = cx.int_scalar(bins);
    let numbers = places(cx, count, axis, RANK)?;
    let numbers = cx.cast(numbers, dtype)?;
    let next = cx.with_number("add", numbers, 1.0)?;
    let (from, to) = (cx.binary("mul", numbers, bin)?, cx.binary("mul", next, bin)?);
    let (from, to) = (cx.unary("floor", from)?, cx.unary("ceil", to)?);
    let (from, to) = (cx.binary("add", from, start)?, cx.binary("add", to, start)?);
    let elements = places(cx, size, 4, RANK)?;
    let elements = cx.cast(elements, dtype)?;
    let (after, before) = (cx.binary("greater_equal", elements, from)?, cx.binary("less", elements, to)?);
    cx.binary("and", after, before)
}

fn check_crop(node: &Node<'_>) -> Result<(), String> {
    match node.text("mode").unwrap_or("bilinear") {
        "bilinear" | "nearest" => Ok(()),
        other => Err(format!("mode `{other}` is not known")),
    }
}

/// Operands: images, regions `[r, 4]` with the corners y, x, y, x as parts of the distance between the outermost elements,
/// the image of each, and the size of the result. What lies beyond an image is a number of the node.
fn crop_and_resize(cx: &mut NodeCx<'_, '_>) -> Single {
    const RANK: usize = 4;
    let (x, regions, owners) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    if cx.rank(x)? != 4 || cx.rank(regions)? != 2 || cx.rank(owners)? != 1 {
        return Err(bad("it takes images of 4 dimensions, regions of 2 and a vector of numbers of images"));
    }
    let size = match cx.const_input(3, "the size of the result")?.as_deref() {
        Some([height, width]) if [height, width].iter().all(|it| (1..=MOST_STEPS).contains(*it)) => {
            [*height, *width]
        }
        _ => return Err(bad(format!("the size of its result must be 2 numbers from 1 to {MOST_STEPS}"))),
    };
    let dtype = coordinate_type(cx, x)?;
    let count = extent(cx, x, 0)?;
    let owners = within(cx, owners, count, "the image of a region")?;
    let owners = cx.along_axis(owners, 0, RANK)?;
    let channels = extent(cx, x, 1)?;
    let channels = places(cx, channels, 1, RANK)?;
    let images = Images::new(cx, x, [owners, channels], Outside::Border)?;
    let regions = cx.cast(regions, dtype)?;
    let (mut coordinates, mut inside) = (Vec::new(), None);
    for (axis, count) in size.into_iter().enumerate() {
        let corners = [axis, axis + 2].map(|i| coordinate(cx, regions, i));
        let [start, end] = corners;
        let (start, end) = (cx.along_axis(start?, 0, RANK)?, cx.along_axis(end?, 0, RANK)?);
        let last = cx.with_number("sub", images.sizes[axis], 1.0)?;
        let last = cx.cast(last, dtype)?;
        let position = if count > 1 {
            let numbers = cx.int_scalar(count);
            let numbers = places(cx, numbers, 2 + axis, RANK)?;
            let numbers = cx.cast(numbers, dtype)?;
            let length = cx.binary("sub", end, start)?;
            let length = cx.binary("mul", length, last)?;
            let step = cx.with_number("div", length, (count - 1) as f64)?;
            let from = cx.binary("mul", start, last)?;
            let steps = cx.binary("mul", numbers, step)?;
            cx.binary("add", from, steps)?
        } else {
            let both = cx.binary("add", start, end)?;
            let middle = cx.affine(both, 0.5, 0.0)?;
            cx.binary("mul", middle, last)?
        };
        let (from, to) =
            (cx.with_number("greater_equal", position, 0.0)?, cx.binary("less_equal", position, last)?);
        let both = cx.binary("and", from, to)?;
        inside = Some(inside.map_or(Ok(both), |it| cx.binary("and", it, both))?);
        let position = if cx.text("mode") == Some("nearest") { rounded(cx, position)? } else { position };
        coordinates.push(images.adjusted(cx, position, images.sizes[axis])?);
    }
    let value = match cx.text("mode") {
        Some("nearest") => images.element(cx, &coordinates)?,
        _ => images.linear(cx, &coordinates, "add")?,
    };
    let value = cx.cast(value, cx.dtype(x)?)?;
    let beyond = cx.number_like(value, cx.float("extrapolation_value").unwrap_or(0.0))?;
    match inside {
        Some(inside) => cx.select(inside, value, beyond),
        None => Ok(value),
    }
}
