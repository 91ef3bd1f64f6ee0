//! Pooling.

use super::conv::{Fill, Padding, Window, check_padding, padding};
use super::{reduce, single};
use crate::emit::attrs;
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register_checked("", "MaxPool", .., check_max, single(max_pool));
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
    table.register_checked("", "LpPool", .., check_lp, single(lp_pool));
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

fn check_max(node: &Node<'_>) -> Result<(), String> {
    check_padding(node)?;
    match node.wants_output(1) {
        true => Err("the indices of the largest elements are not supported".into()),
        false => Ok(()),
    }
}

fn check_lp(node: &Node<'_>) -> Result<(), String> {
    check_padding(node)?;
    match node.flag("ceil_mode") {
        true => Err("`ceil_mode` is not supported".into()),
        false => Ok(()),
    }
}

fn window(cx: &NodeCx<'_, '_>, x: Value) -> Result<Window, Diagnostic> {
    let kernel = cx.ints("kernel_shape").ok_or_else(|| bad("attribute `kernel_shape` is missing"))?;
    if kernel.len() + 2 != cx.rank(x)? {
        return Err(bad(format!("attribute `kernel_shape` is {kernel:?} for {} dimensions", cx.rank(x)?)));
    }
    Window::new(cx, kernel.to_vec())
}

fn max_pool(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let window = window(cx, x)?;
    let lowest = if cx.dtype(x)?.is_float() { f64::NEG_INFINITY } else { f64::MIN };
    let (x, pads) = match padding(cx, x, &window, Fill::Number(lowest))? {
        Padding::Fixed(pads) => (x, pads),
        Padding::Dynamic(padded) => (padded, vec![0; 2 * window.kernel.len()]),
    };
    let attrs =
        window.attrs(pads).with("kernel", window.kernel.clone()).with("ceil_mode", cx.flag("ceil_mode"));
    cx.emit("max_pool", attrs, &[x])
}

pub(super) fn average(cx: &mut NodeCx<'_, '_>, x: Value, count_padding: bool) -> Single {
    let window = window(cx, x)?;
    let (x, pads) = match padding(cx, x, &window, Fill::Number(0.0))? {
        Padding::Fixed(pads) => (x, pads),
        Padding::Dynamic(padded) if count_padding => (padded, vec![0; 2 * window.kernel.len()]),
        Padding::Dynamic(_) => {
            return Err(not_supported("automatic padding of a dynamic size with a stride"));
        }
    };
    let attrs = window
        .attrs(pads)
        .with("kernel", window.kernel.clone())
        .with("ceil_mode", cx.flag("ceil_mode"))
        .with("count_include_pad", count_padding);
    cx.emit("avg_pool", attrs, &[x])
}

/// `(Σ |x|^p)^(1/p)` of each window, as a mean times the window's size.
fn lp_pool(cx: &mut NodeCx<'_, '_>) -> Single {
    let p = cx.int("p").unwrap_or(2) as f64;
    let x = cx.input(0)?;
    let size: f64 = window(cx, x)?.kernel.iter().map(|it| *it as f64).product();
    let magnitude = cx.unary("abs", x)?;
    let power = cx.with_number("pow", magnitude, p)?;
    let mean = average(cx, power, true)?;
    let sum = cx.with_number("mul", mean, size)?;
    cx.with_number("pow", sum, 1.0 / p)
}

fn global(cx: &mut NodeCx<'_, '_>, reduce: impl Fn(&mut NodeCx<'_, '_>, Value, &[i64]) -> Single) -> Single {
    let x = cx.input(0)?;
    let axes: Vec<i64> = (2..cx.rank(x)? as i64).collect();
    reduce(cx, x, &axes)
}

fn global_lp(cx: &mut NodeCx<'_, '_>, x: Value, axes: &[i64]) -> Single {
    let p = cx.int("p").unwrap_or(2);
    if p == 2 {
        return reduce::l2(cx, x, axes, true);
    }
    let magnitude = cx.unary("abs", x)?;
    let power = cx.with_number("pow", magnitude, p as f64)?;
    let sum = cx.reduce("reduce_sum", power, axes, true)?;
    cx.with_number("pow", sum, 1.0 / p as f64)
}

/// A mean over windows of channels, with zeros beyond the first and last one; for local response normalisation.
pub(super) fn channel_mean(cx: &mut NodeCx<'_, '_>, x: Value, size: i64) -> Single {
    // [N, C, …] → [N, 1, C, rest]: channels become a spatial dimension.
    use crate::emit::Size;
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
