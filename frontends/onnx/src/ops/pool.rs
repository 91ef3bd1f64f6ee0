//! Pooling.

use super::conv::{Fill, Padding, Window, check_padding, padding};
use super::index::{count_up, extent};
use super::{reduce, single};
use crate::emit::{Size, attrs};
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::DType;

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register_checked("", "MaxPool", .., check_max, max_pool);
    table.register("", "MaxUnpool", .., single(max_unpool));
    table.register_checked(
        "",
        "AveragePool",
        ..,
        check_padding,
        single(|cx| {
            let x = cx.input(0)?;
            average(cx, x, cx.flag("count_include_pad"))
        }),
    );
    table.register_checked("", "LpPool", .., check_padding, single(lp_pool));
    table.register(
        "",
        "GlobalAveragePool",
        ..,
        single(|cx| global(cx, |cx, x, axes| cx.reduce("reduce_mean", x, axes, true))),
    );
    table.register(
        "",
        "GlobalMaxPool",
        ..,
        single(|cx| global(cx, |cx, x, axes| cx.reduce("reduce_max", x, axes, true))),
    );
    table.register("", "GlobalLpPool", .., single(|cx| global(cx, global_lp)));
}

pub(super) fn check_max(node: &Node<'_>) -> Result<(), String> {
    check_padding(node)?;
    match node.int("storage_order").unwrap_or(0) {
        0 | 1 => Ok(()),
        other => Err(format!("`storage_order` {other} is neither 0 nor 1")),
    }
}

fn window(cx: &NodeCx<'_, '_>, x: Value) -> Result<Window, Diagnostic> {
    let kernel = cx.ints("kernel_shape").ok_or_else(|| bad("attribute `kernel_shape` is missing"))?;
    if kernel.len() + 2 != cx.rank(x)? {
        return Err(bad(format!("attribute `kernel_shape` is {kernel:?} for {} dimensions", cx.rank(x)?)));
    }
    Window::new(cx, kernel.to_vec())
}

fn max_pool(cx: &mut NodeCx<'_, '_>) -> Converted {
    let x = cx.input(0)?;
    let (y, window, padding) = max_pool_of(cx, x)?;
    if !cx.wants_output(1) {
        return Ok(vec![y]);
    }
    match padding {
        Padding::Fixed(pads) => {
            let column_major = cx.int("storage_order") == Some(1);
            Ok(vec![y, places_of_largest(cx, x, y, &window, &pads, column_major)?])
        }
        Padding::Dynamic(_) => {
            Err(not_supported("places of the largest elements with automatic padding of a dynamic size"))
        }
    }
}

/// The largest elements of windows, and how these lie.
pub(super) fn max_pool_of(cx: &mut NodeCx<'_, '_>, x: Value) -> Result<(Value, Window, Padding), Diagnostic> {
    let window = window(cx, x)?;
    let lowest = if cx.dtype(x)?.is_float() { f64::NEG_INFINITY } else { f64::MIN };
    let padding = padding(cx, x, &window, Fill::Number(lowest))?;
    let (padded, pads) = match &padding {
        Padding::Fixed(pads) => (x, pads.clone()),
        Padding::Dynamic(padded) => (*padded, vec![0; 2 * window.kernel.len()]),
    };
    let attrs =
        window.attrs(pads).with("kernel", window.kernel.clone()).with("ceil_mode", cx.flag("ceil_mode"));
    let y = cx.emit("max_pool", attrs, &[padded])?;
    Ok((y, window, padding))
}

/// Where in the whole operand the first of the largest elements of each window is: the taps of a window one after the
/// other, each a strided part of the operand. It is −1 where a window is of padding alone.
pub(super) fn places_of_largest(
    cx: &mut NodeCx<'_, '_>,
    x: Value,
    y: Value,
    window: &Window,
    pads: &[i64],
    column_major: bool,
) -> Single {
    let n = window.kernel.len();
    let taps = window
        .taps()
        .ok_or_else(|| not_supported("places of the largest elements of windows of so many taps"))?;
    // How far apart neighbours along each spatial dimension are, as scalars.
    let one = cx.int_scalar(1);
    let mut steps = vec![one; n];
    let mut size = one;
    let order: Vec<usize> = if column_major { (0..n).collect() } else { (0..n).rev().collect() };
    for i in order {
        steps[i] = size;
        let dim = extent(cx, x, 2 + i)?;
        size = cx.binary("mul", size, dim)?;
    }
    // Where planes begin.
    let (batch, channels) = (extent(cx, x, 0)?, extent(cx, x, 1)?);
    let planes = cx.binary("mul", batch, channels)?;
    let planes = count_up(cx, planes)?;
    let mut ones = vec![Size::Const(1); n];
    let mut sizes = vec![Size::Of(x, 0), Size::Of(x, 1)];
    sizes.append(&mut ones);
    let planes = cx.reshape_to(planes, &sizes)?;
    let plane = cx.binary("mul", planes, size)?;
    let (mut best, mut places) = (None, None);
    for tap in 0..taps {
        let mut rest = tap;
        let mut offsets = vec![0; n];
        for i in (0..n).rev() {
            offsets[i] = rest % window.kernel[i];
            rest /= window.kernel[i];
        }
        // The element of each window, and whether it is one of the operand.
        let (mut value, mut place, mut inside) = (x, plane, None);
        for i in 0..n {
            let out = extent(cx, y, 2 + i)?;
            let at = count_up(cx, out)?;
            let at =
                cx.affine(at, window.strides[i] as f64, (offsets[i] * window.dilations[i] - pads[i]) as f64)?;
            let dim = extent(cx, x, 2 + i)?;
            let last = cx.with_number("sub", dim, 1.0)?;
            let zero = cx.int_scalar(0);
            let clamped = cx.binary("max", at, zero)?;
            let clamped = cx.binary("min", clamped, last)?;
            value = cx.emit("gather", attrs([("axis", (2 + i as i64).into())]), &[value, clamped])?;
            let same = cx.binary("equal", at, clamped)?;
            let same = cx.along_axis(same, i, n)?;
            inside = Some(match inside {
                Some(before) => cx.binary("and", before, same)?,
                None => same,
            });
            let along = cx.along_axis(clamped, i, n)?;
            let along = cx.binary("mul", along, steps[i])?;
            place = cx.binary("add", place, along)?;
        }
        let inside = inside.ok_or_else(|| bad("attribute `kernel_shape` is empty"))?;
        let (Some(before), Some(known)) = (best, places) else {
            // The first place is wrong where it is padding; nothing that is none lets it stay.
            let none = cx.int_scalar(-1);
            (best, places) = (Some(value), Some(cx.select(inside, place, none)?));
            continue;
        };
        let larger = cx.binary("greater", value, before)?;
        let first = cx.with_number("less", known, 0.0)?;
        let better = cx.binary("or", larger, first)?;
        let better = cx.binary("and", better, inside)?;
        best = Some(cx.select(better, value, before)?);
        places = Some(cx.select(better, place, known)?);
    }
    places.ok_or_else(|| bad("attribute `kernel_shape` is empty"))
}

/// Elements at their places in a tensor of zeros, which may be larger than what the window says: it is filled behind.
fn max_unpool(cx: &mut NodeCx<'_, '_>) -> Single {
    let (x, places) = (cx.input(0)?, cx.input(1)?);
    let window = window(cx, x)?;
    let n = window.kernel.len();
    let pads = match padding(cx, x, &window, Fill::Number(0.0))? {
        Padding::Fixed(pads) => pads,
        Padding::Dynamic(_) => return Err(not_supported("automatic padding of a dynamic size")),
    };
    let mut parts = vec![cx.shape_part(x, 0, 2)?];
    for i in 0..n {
        let size = cx.shape_part(x, 2 + i, 3 + i)?;
        let steps = cx.with_number("sub", size, 1.0)?;
        let rest = window.kernel[i] - pads[i] - pads[n + i];
        parts.push(cx.affine(steps, window.strides[i] as f64, rest as f64)?);
    }
    let shape = cx.concat(&parts, 0)?;
    let zero = cx.number_like(x, 0.0)?;
    let zeros = cx.full(shape, zero)?;
    let flat = |cx: &mut NodeCx<'_, '_>, value: Value| {
        let axes = (0..cx.rank(value)?).collect();
        cx.reshape_to(value, &[Size::Product(value, axes)])
    };
    // A place without a sign does not count from the end.
    let places = cx.cast(places, DType::U64)?;
    let (zeros, places, values) = (flat(cx, zeros)?, flat(cx, places)?, flat(cx, x)?);
    let filled = cx.emit("scatter_elements", attrs([("axis", 0.into())]), &[zeros, places, values])?;
    let filled = cx.reshape(filled, shape)?;
    let Some(wanted) = cx.optional(2) else { return Ok(filled) };
    let wanted = cx.as_i64(wanted)?;
    let behind = cx.binary("sub", wanted, shape)?;
    let before = cx.int_vector(&vec![0; n + 2]);
    let pads = cx.concat(&[before, behind], 0)?;
    let zero = cx.number_like(x, 0.0)?;
    cx.emit("pad", attrs([("mode", "constant".into())]), &[filled, pads, zero])
}

pub(super) fn average(cx: &mut NodeCx<'_, '_>, x: Value, count_padding: bool) -> Single {
    let window = window(cx, x)?;
    let (x, pads) = match padding(cx, x, &window, Fill::Number(0.0))? {
        Padding::Fixed(pads) => (x, pads),
        Padding::Dynamic(padded) if count_padding => (padded, vec![0; 2 * window.kernel.len()]),
        Padding::Dynamic(padded) => {
            // Over the mean of as many ones, which says what part of a window is no padding.
            let mut sizes = vec![Size::Const(1), Size::Const(1)];
            sizes.extend((2..cx.rank(x)?).map(|i| Size::Of(x, i)));
            let shape = cx.shape_vector(&sizes)?;
            let one = cx.number_like(x, 1.0)?;
            let ones = cx.full(shape, one)?;
            let Padding::Dynamic(ones) = padding(cx, ones, &window, Fill::Number(0.0))? else {
                return Err(not_supported("automatic padding of a dynamic size with a stride"));
            };
            let attrs = window
                .attrs(vec![0; 2 * window.kernel.len()])
                .with("kernel", window.kernel.clone())
                .with("count_include_pad", true);
            let mean = cx.emit("avg_pool", attrs.clone(), &[padded])?;
            let part = cx.emit("avg_pool", attrs, &[ones])?;
            return cx.binary("div", mean, part);
        }
    };
    let attrs = window
        .attrs(pads)
        .with("kernel", window.kernel.clone())
        .with("ceil_mode", cx.flag("ceil_mode"))
        .with("count_include_pad", count_padding);
    cx.emit("avg_pool", attrs, &[x])
}

/// Which norm it is. Before operator set 2 it need not be whole.
fn exponent(cx: &NodeCx<'_, '_>) -> Result<f64, Diagnostic> {
    let p = if cx.opset() < 2 { cx.float("p") } else { cx.int("p").map(|it| it as f64) };
    let p = p.unwrap_or(2.0);
    if p > 0.0 && p.is_finite() {
        Ok(p)
    } else {
        Err(bad(format!("attribute `p` is {p} but must be positive")))
    }
}

/// `(Σ |x|^p)^(1/p)` of each window, as a mean times the number of elements that it is of.
fn lp_pool(cx: &mut NodeCx<'_, '_>) -> Single {
    let p = exponent(cx)?;
    let x = cx.input(0)?;
    reduce::rounded_once(cx, x, |cx, x| lp_pool_of(cx, x, p))
}

/// The same with arithmetic in the type of its operand.
fn lp_pool_of(cx: &mut NodeCx<'_, '_>, x: Value, p: f64) -> Single {
    let magnitude = cx.unary("abs", x)?;
    let power = cx.with_number("pow", magnitude, p)?;
    let mean = average(cx, power, true)?;
    // The last windows may hang over, but not where padding is made for whole ones.
    let window = window(cx, x)?;
    let size: f64 = window.kernel.iter().map(|it| *it as f64).product();
    let fixed = match cx.flag("ceil_mode") {
        true => match padding(cx, x, &window, Fill::Number(0.0))? {
            Padding::Fixed(pads) => Some(pads),
            Padding::Dynamic(_) => None,
        },
        false => None,
    };
    let sum = if let Some(pads) = fixed {
        // A mean of ones over everything says by how many elements.
        let n = window.kernel.len();
        let mut counts = Vec::new();
        for i in 0..n {
            let out = extent(cx, mean, 2 + i)?;
            let at = count_up(cx, out)?;
            let start = cx.affine(at, window.strides[i] as f64, -pads[i] as f64)?;
            let dim = extent(cx, x, 2 + i)?;
            let end = cx.with_number("add", dim, pads[n + i] as f64)?;
            let room = cx.binary("sub", end, start)?;
            let raised = cx.with_number("add", room, (window.dilations[i] - 1) as f64)?;
            let taps = cx.with_number("div", raised, window.dilations[i] as f64)?;
            let taps = cx.with_number("min", taps, window.kernel[i] as f64)?;
            let taps = cx.cast(taps, cx.dtype(x)?)?;
            counts.push(cx.along_axis(taps, i, n)?);
        }
        counts.into_iter().try_fold(mean, |sum, it| cx.binary("mul", sum, it))?
    } else {
        cx.with_number("mul", mean, size)?
    };
    cx.with_number("pow", sum, 1.0 / p)
}

fn global(cx: &mut NodeCx<'_, '_>, reduce: impl Fn(&mut NodeCx<'_, '_>, Value, &[i64]) -> Single) -> Single {
    let x = cx.input(0)?;
    let axes: Vec<i64> = (2..cx.rank(x)? as i64).collect();
    reduce(cx, x, &axes)
}

fn global_lp(cx: &mut NodeCx<'_, '_>, x: Value, axes: &[i64]) -> Single {
    let p = exponent(cx)?;
    if p == 2.0 {
        return reduce::l2(cx, x, axes, true);
    }
    reduce::rounded_once(cx, x, |cx, x| {
        let magnitude = cx.unary("abs", x)?;
        let power = cx.with_number("pow", magnitude, p)?;
        let sum = cx.reduce("reduce_sum", power, axes, true)?;
        cx.with_number("pow", sum, 1.0 / p)
    })
}

/// A mean over windows of channels, with zeros beyond the first and last one; for local response normalisation.
pub(super) fn channel_mean(cx: &mut NodeCx<'_, '_>, x: Value, size: i64) -> Single {
    // [N, C, …] → [N, 1, C, rest]: channels become a spatial dimension.
    let rank = cx.rank(x)?;
    let shape = cx.shape_of(x)?;
    let rest = Size::Product(x, (2..rank).collect());
    let image = cx.reshape_to(x, &[Size::Of(x, 0), Size::Const(1), Size::Of(x, 1), rest])?;
    let before = (size - 1) / 2;
    let attrs = attrs([
        ("kernel", vec![size, 1].into()),
        ("pads", vec![before, 0, size - 1 - before, 0].into()),
        ("count_include_pad", true.into()),
    ]);
    let mean = cx.emit("avg_pool", attrs, &[image])?;
    cx.reshape(mean, shape)
}
