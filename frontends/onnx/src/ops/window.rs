//! Windows of signals, and the matrix from frequencies to bins of the mel scale.

use super::axes::all_true;
use super::index::count_up;
use super::single;
use crate::node::{NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::OpTable;
use crate::tensor::dtype_of;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::DType;
use std::f64::consts::TAU;

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register("", "HannWindow", .., single(|cx| cosines(cx, &[0.5, -0.5])));
    table.register("", "HammingWindow", .., single(|cx| cosines(cx, &[25.0 / 46.0, -21.0 / 46.0])));
    table.register("", "BlackmanWindow", .., single(|cx| cosines(cx, &[0.42, -0.5, 0.08])));
    table.register("", "MelWeightMatrix", .., single(mel_weights));
}

/// The element type of the result, `f32` unless the node says another.
fn result_type(cx: &NodeCx<'_, '_>) -> Result<DType, Diagnostic> {
    let number = cx.int("output_datatype").unwrap_or(1);
    dtype_of(i32::try_from(number).unwrap_or(0)).map_err(not_supported)
}

/// Operand `i`, a number, as an operand of rank 0.
fn scalar(cx: &mut NodeCx<'_, '_>, i: usize) -> Single {
    let value = cx.input(i)?;
    match cx.rank(value)? {
        0 => Ok(value),
        1 => cx.squeeze(value, &[0]),
        _ => Err(bad(format!("operand {i} must be one number"))),
    }
}

/// The same as a size whose element is known.
fn size(cx: &mut NodeCx<'_, '_>, i: usize) -> Single {
    let value = scalar(cx, i)?;
    match cx.const_ints(value).as_deref() {
        Some([size]) if *size >= 0 => Ok(cx.int_scalar(*size)),
        Some(list) => Err(bad(format!("its size is {list:?}"))),
        None => cx.known_sizes(value),
    }
}

/// `Σ cᵢ·cos(2πi·n/N)`, where `N` is the length, or one less if the window is not periodic.
fn cosines(cx: &mut NodeCx<'_, '_>, coefficients: &[f64]) -> Single {
    let length = size(cx, 0)?;
    let dtype = result_type(cx)?;
    let places = count_up(cx, length)?;
    let places = cx.cast(places, DType::F64)?;
    let mut turn = cx.cast(length, DType::F64)?;
    if cx.int("periodic") == Some(0) {
        turn = cx.with_number("sub", turn, 1.0)?;
    }
    let mut sum = cx.number(DType::F64, coefficients[0]);
    for (i, coefficient) in coefficients.iter().enumerate().skip(1) {
        let angles = cx.affine(places, TAU * i as f64, 0.0)?;
        let angles = cx.binary("div", angles, turn)?;
        let cosine = cx.unary("cos", angles)?;
        let part = cx.affine(cosine, *coefficient, 0.0)?;
        sum = cx.binary("add", sum, part)?;
    }
    // Integers are cut off: what is 1 up to a rounding must be 1.
    let sum = if dtype.is_float() { sum } else { cx.cast(sum, DType::F32)? };
    cx.cast(sum, dtype)
}

/// Operands, numbers: bins of the result, length of the transform, sample rate, lowest and highest frequency. Column `i` of
/// the result `[length / 2 + 1, bins]` rises to 1 and falls again between three neighbours of `bins + 2` frequencies, which
/// have equal distances on the mel scale and are rounded down to those of the transform.
fn mel_weights(cx: &mut NodeCx<'_, '_>) -> Single {
    let (bins, length) = (size(cx, 0)?, size(cx, 1)?);
    let dtype = result_type(cx)?;
    let rate = scalar(cx, 2)?;
    let rate = cx.cast(rate, DType::F64)?;
    let mut edges = Vec::new();
    for i in [3, 4] {
        let hertz = scalar(cx, i)?;
        let hertz = cx.cast(hertz, DType::F64)?;
        let ratio = cx.with_number("div", hertz, 700.0)?;
        let raised = cx.with_number("add", ratio, 1.0)?;
        let logarithm = cx.unary("log", raised)?;
        let scaled = cx.affine(logarithm, 2595.0, 0.0)?;
        edges.push(cx.with_number("div", scaled, 10f64.ln())?);
    }
    above(cx, rate, 0.0, "its sample rate, which is above 0")?;
    for edge in &edges {
        above(cx, *edge, f64::NEG_INFINITY, "its frequencies, which are numbers of at least 0")?;
    }
    let range = cx.binary("sub", edges[1], edges[0])?;
    let count = cx.with_number("add", bins, 2.0)?;
    let points = cx.cast(count, DType::F64)?;
    let step = cx.binary("div", range, points)?;
    let points = count_up(cx, count)?;
    let points = cx.cast(points, DType::F64)?;
    let mel = cx.binary("mul", points, step)?;
    let mel = cx.binary("add", mel, edges[0])?;
    let exponent = cx.with_number("div", mel, 2595.0)?;
    let exponent = cx.affine(exponent, 10f64.ln(), 0.0)?;
    let power = cx.unary("exp", exponent)?;
    let hertz = cx.affine(power, 700.0, -700.0)?;
    let next = cx.with_number("add", length, 1.0)?;
    let next = cx.cast(next, DType::F64)?;
    let scaled = cx.binary("mul", hertz, next)?;
    let places = cx.binary("div", scaled, rate)?;
    let places = cx.unary("floor", places)?;

    let one = cx.int_vector(&[1]);
    let neighbours = |cx: &mut NodeCx<'_, '_>, from: i64| {
        let start = cx.int_vector(&[from]);
        let width = cx.reshape(bins, one)?;
        let end = cx.with_number("add", width, from as f64)?;
        cx.slice_between(places, 0, start, end)
    };
    let (low, center, high) = (neighbours(cx, 0)?, neighbours(cx, 1)?, neighbours(cx, 2)?);
    let half = cx.with_number("div", length, 2.0)?;
    let rows = cx.with_number("add", half, 1.0)?;
    let rows = count_up(cx, rows)?;
    let rows = cx.cast(rows, DType::F64)?;
    let rows = cx.unsqueeze(rows, &[1])?;

    let zero = cx.number(DType::F64, 0.0);
    let one = cx.number(DType::F64, 1.0);
    let rise = slope(cx, [rows, low], [center, low])?;
    let fall = slope(cx, [high, rows], [high, center])?;
    // The top belongs to what falls, if anything does; at the top of a step 1 remains.
    let from = cx.binary("greater_equal", rows, low)?;
    let to = cx.binary("less_equal", rows, center)?;
    let rising = cx.binary("and", from, to)?;
    let rising = cx.select(rising, rise, zero)?;
    let flat = cx.binary("equal", low, center)?;
    let top = cx.binary("equal", rows, center)?;
    let single = cx.binary("and", flat, top)?;
    let rising = cx.select(single, one, rising)?;
    let from = cx.binary("greater_equal", rows, center)?;
    let to = cx.binary("less", rows, high)?;
    let falling = cx.binary("and", from, to)?;
    let weights = cx.select(falling, fall, rising)?;
    cx.cast(weights, dtype)
}

/// Checks that a number that is not known is above another one.
fn above(cx: &mut NodeCx<'_, '_>, value: Value, limit: f64, what: &str) -> Result<(), Diagnostic> {
    if cx.sink.constant_data(value).is_some() {
        return Ok(());
    }
    let above = cx.with_number("greater", value, limit)?;
    all_true(cx, above, what)
}

/// `(a − b) / (c − d)`, or 0 where that has no range.
fn slope(cx: &mut NodeCx<'_, '_>, [a, b]: [Value; 2], [c, d]: [Value; 2]) -> Single {
    let (distance, range) = (cx.binary("sub", a, b)?, cx.binary("sub", c, d)?);
    let range = cx.with_number("max", range, 1.0)?;
    cx.binary("div", distance, range)
}
