//! Resizing axis by axis with gathers and weighted sums, for what the operator `resize` does not say: scales that only a run
//! knows, antialiasing, and crops. Coordinates are `f64`.

use super::index::{count_up, extent};
use crate::emit::attrs;
use crate::node::{NodeCx, bad, not_supported};
use crate::sink::Value;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::DType;

type Single = Result<Value, Diagnostic>;

/// The most elements of a blend that are added one after the other.
const MOST_TAPS: i64 = 16;

/// Parts of a whole number that blends of integers are told apart by.
const STEPS: f64 = (1 << 20) as f64;

/// How values between elements are found, in the words of the attributes of Resize.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interpolation<'a> {
    pub(super) mode: &'a str,
    pub(super) coordinates: &'a str,
    pub(super) nearest: &'a str,
    pub(super) cubic_a: f64,
    pub(super) exclude_outside: bool,
    pub(super) antialias: bool,
    /// What stands outside of a crop.
    pub(super) outside: f64,
}

/// One axis and its new size.
pub(super) struct Stretch {
    pub(super) axis: usize,
    /// An integer of rank 0 whose element is known.
    pub(super) size: Value,
    /// A number of rank 0, `f64`.
    pub(super) scale: Value,
    /// The scale when it is known before a run.
    pub(super) known: Option<f64>,
    /// Begin and end of a crop as parts of the axis, `f64` of rank 0.
    pub(super) crop: Option<[Value; 2]>,
}

/// `x` with these axes resized, one after the other.
pub(super) fn interpolate(
    cx: &mut NodeCx<'_, '_>,
    x: Value,
    how: &Interpolation<'_>,
    stretches: &[Stretch],
) -> Single {
    let (own, rank) = (cx.dtype(x)?, cx.rank(x)?);
    if own.is_only_moved() && (how.mode != "nearest" || how.coordinates == "tf_crop_and_resize") {
        let message = format!("{own} is only moved: it has mode `nearest`, without `tf_crop_and_resize`");
        return Err(not_supported(message));
    }
    let wide = match own.is_float() {
        true if own != DType::F64 => DType::F32,
        _ => DType::F64,
    };
    let mut value = if how.mode == "nearest" { x } else { cx.cast(x, wide)? };
    let mut outside: Option<Value> = None;
    for stretch in stretches {
        let size = extent(cx, x, stretch.axis)?;
        let input = cx.cast(size, DType::F64)?;
        let coordinate = coordinates(cx, how, stretch, input)?;
        if how.coordinates == "tf_crop_and_resize" {
            let last = cx.with_number("sub", input, 1.0)?;
            let before = cx.with_number("less", coordinate, 0.0)?;
            let after = cx.binary("greater", coordinate, last)?;
            let beyond = cx.binary("or", before, after)?;
            let beyond = cx.along_axis(beyond, stretch.axis, rank)?;
            outside = Some(outside.map_or(Ok(beyond), |it| cx.binary("or", it, beyond))?);
        }
        if how.mode == "nearest" {
            let places = rounded(cx, how.nearest, coordinate)?;
            let places = clamped(cx, places, size)?;
            value = cx.emit("gather", attrs([("axis", (stretch.axis as i64).into())]), &[value, places])?;
            continue;
        }
        let (places, weights) = taps(cx, how, stretch, coordinate, input)?;
        let places = clamped(cx, places, size)?;
        let trailing: Vec<i64> = (1..(rank - stretch.axis) as i64).collect();
        let weights = cx.cast(weights, wide)?;
        let attrs = attrs([("axis", (stretch.axis as i64).into())]);
        if let Some(count @ 1..=MOST_TAPS) = cx.static_dim(places, 0) {
            let mut sum: Option<Value> = None;
            for tap in 0..count {
                let mut own = |of: Value| {
                    let own = cx.slice(of, 0, tap, tap + 1)?;
                    cx.squeeze(own, &[0])
                };
                let (places, weights) = (own(places)?, own(weights)?);
                let taken = cx.emit("gather", attrs.clone(), &[value, places])?;
                let weights = cx.unsqueeze(weights, &trailing)?;
                let part = cx.binary("mul", taken, weights)?;
                sum = Some(sum.map_or(Ok(part), |it| cx.binary("add", it, part))?);
            }
            value = sum.unwrap_or(value);
            continue;
        }
        // Taps come before positions, which stay neighbours.
        let taken = cx.emit("gather", attrs, &[value, places])?;
        let trailing: Vec<i64> = trailing.into_iter().map(|it| it + 1).collect();
        let weights = cx.unsqueeze(weights, &trailing)?;
        let weighted = cx.binary("mul", taken, weights)?;
        value = cx.reduce("reduce_sum", weighted, &[stretch.axis as i64], false)?;
    }
    if !own.is_float() && how.mode != "nearest" {
        // Integers are cut off: what is whole but for rounding stays so.
        let fine = cx.affine(value, STEPS, 0.0)?;
        let fine = cx.unary("round", fine)?;
        value = cx.affine(fine, 1.0 / STEPS, 0.0)?;
    }
    let value = cx.cast(value, own)?;
    let Some(outside) = outside else { return Ok(value) };
    let number = cx.number(own, how.outside);
    cx.select(outside, number, value)
}

/// Whole numbers as positions of an axis.
fn clamped(cx: &mut NodeCx<'_, '_>, places: Value, size: Value) -> Single {
    let places = cx.as_i64(places)?;
    let last = cx.with_number("sub", size, 1.0)?;
    let places = cx.binary("min", places, last)?;
    cx.with_number("max", places, 0.0)
}

fn rounded(cx: &mut NodeCx<'_, '_>, rounding: &str, x: Value) -> Single {
    match rounding {
        "floor" => cx.unary("floor", x),
        "ceil" => cx.unary("ceil", x),
        "round_prefer_ceil" => {
            let shifted = cx.with_number("add", x, 0.5)?;
            cx.unary("floor", shifted)
        }
        _ => {
            let shifted = cx.with_number("sub", x, 0.5)?;
            cx.unary("ceil", shifted)
        }
    }
}

/// Where in the operand each position of the result lies, of an axis of `input` elements.
fn coordinates(cx: &mut NodeCx<'_, '_>, how: &Interpolation<'_>, stretch: &Stretch, input: Value) -> Single {
    let places = count_up(cx, stretch.size)?;
    let places = cx.cast(places, DType::F64)?;
    let size = cx.cast(stretch.size, DType::F64)?;
    // The size before it is rounded.
    let exact = cx.binary("mul", stretch.scale, input)?;
    let last = cx.with_number("sub", input, 1.0)?;
    let zero = cx.number(DType::F64, 0.0);
    let center = |cx: &mut NodeCx<'_, '_>| {
        let center = cx.with_number("add", places, 0.5)?;
        cx.binary("div", center, stretch.scale)
    };
    // `places · numerator / (exact − 1)`, or else `single` where there is one.
    let between_ends = |cx: &mut NodeCx<'_, '_>, numerator: Value, single: Value| {
        let scaled = cx.binary("mul", places, numerator)?;
        let steps = cx.with_number("sub", exact, 1.0)?;
        let value = cx.binary("div", scaled, steps)?;
        let one = cx.with_number("equal", exact, 1.0)?;
        cx.select(one, single, value)
    };
    match how.coordinates {
        "asymmetric" => cx.binary("div", places, stretch.scale),
        "align_corners" => between_ends(cx, last, zero),
        "tf_half_pixel_for_nn" => center(cx),
        "tf_crop_and_resize" => {
            let [begin, end] = stretch.crop.ok_or_else(|| bad("its crop is missing"))?;
            let part = cx.binary("sub", end, begin)?;
            let length = cx.binary("mul", part, last)?;
            let middle = cx.affine(length, 0.5, 0.0)?;
            let value = between_ends(cx, length, middle)?;
            let start = cx.binary("mul", begin, last)?;
            cx.binary("add", value, start)
        }
        "pytorch_half_pixel" => {
            let value = center(cx)?;
            let value = cx.with_number("sub", value, 0.5)?;
            let several = cx.with_number("greater", size, 1.0)?;
            cx.select(several, value, zero)
        }
        "half_pixel_symmetric" => {
            let adjustment = cx.binary("div", size, exact)?;
            let rest = cx.affine(adjustment, -1.0, 1.0)?;
            let middle = cx.affine(input, 0.5, 0.0)?;
            let offset = cx.binary("mul", middle, rest)?;
            let value = center(cx)?;
            let value = cx.binary("add", offset, value)?;
            cx.with_number("sub", value, 0.5)
        }
        _ => {
            let value = center(cx)?;
            cx.with_number("sub", value, 0.5)
        }
    }
}

/// Positions of the elements that count for each coordinate, and their weights: `[taps, size]`.
fn taps(
    cx: &mut NodeCx<'_, '_>,
    how: &Interpolation<'_>,
    stretch: &Stretch,
    coordinate: Value,
    input: Value,
) -> Result<(Value, Value), Diagnostic> {
    let support = if how.mode == "cubic" { 2.0 } else { 1.0 };
    // A smaller result takes as many more elements as it is smaller.
    let (first, count, shrink) = match (how.antialias, stretch.known) {
        (false, _) => (cx.number(DType::F64, 1.0 - support), cx.int_scalar(2 * support as i64), None),
        (true, Some(scale)) => {
            let shrink = scale.min(1.0);
            let first = (-support / shrink).floor() + 1.0;
            let count = cx.int_scalar((2.0 - 2.0 * first) as i64);
            (cx.number(DType::F64, first), count, Some(cx.number(DType::F64, shrink)))
        }
        (true, None) => {
            let shrink = cx.with_number("min", stretch.scale, 1.0)?;
            let reach = cx.number(DType::F64, -support);
            let reach = cx.binary("div", reach, shrink)?;
            let reach = cx.unary("floor", reach)?;
            let first = cx.with_number("add", reach, 1.0)?;
            let count = cx.affine(first, -2.0, 2.0)?;
            (first, cx.known_sizes(count)?, Some(shrink))
        }
    };
    let offsets = count_up(cx, count)?;
    let offsets = cx.cast(offsets, DType::F64)?;
    let offsets = cx.binary("add", offsets, first)?;
    let offsets = cx.unsqueeze(offsets, &[1])?;
    let whole = cx.unary("floor", coordinate)?;
    let places = cx.binary("add", whole, offsets)?;
    let distance = cx.binary("sub", places, coordinate)?;
    let mut distance = cx.unary("abs", distance)?;
    if let Some(shrink) = shrink {
        distance = cx.binary("mul", distance, shrink)?;
    }
    let mut weights = match how.mode {
        "cubic" => keys(cx, distance, how.cubic_a)?,
        _ => {
            let falling = cx.affine(distance, -1.0, 1.0)?;
            cx.with_number("max", falling, 0.0)?
        }
    };
    if how.exclude_outside {
        let zero = cx.number(DType::F64, 0.0);
        let before = cx.with_number("less", places, 0.0)?;
        let after = cx.binary("greater_equal", places, input)?;
        let outside = cx.binary("or", before, after)?;
        weights = cx.select(outside, zero, weights)?;
    }
    if how.exclude_outside || how.antialias {
        let sum = cx.reduce("reduce_sum", weights, &[0], true)?;
        weights = cx.binary("div", weights, sum)?;
    }
    Ok((places, weights))
}

/// Keys' cubic kernel at a distance that is not negative: two polynomials, and 0 from 2 on.
fn keys(cx: &mut NodeCx<'_, '_>, distance: Value, a: f64) -> Single {
    let near = polynomial(cx, distance, &[a + 2.0, -(a + 3.0), 0.0, 1.0])?;
    let far = polynomial(cx, distance, &[a, -5.0 * a, 8.0 * a, -4.0 * a])?;
    let zero = cx.number_like(distance, 0.0)?;
    let inside = cx.with_number("less", distance, 2.0)?;
    let far = cx.select(inside, far, zero)?;
    let close = cx.with_number("less_equal", distance, 1.0)?;
    cx.select(close, near, far)
}

/// By Horner's scheme, from the coefficient of the highest power on.
pub(super) fn polynomial(cx: &mut NodeCx<'_, '_>, x: Value, coefficients: &[f64]) -> Single {
    let mut value = cx.number_like(x, coefficients[0])?;
    for coefficient in &coefficients[1..] {
        let product = cx.binary("mul", value, x)?;
        value = cx.affine(product, 1.0, *coefficient)?;
    }
    Ok(value)
}
