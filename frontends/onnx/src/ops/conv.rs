//! Convolutions, and the attributes of sliding windows.

use super::single;
use crate::emit::{Size, attrs};
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::Attrs;

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register_checked(
        "",
        "Conv",
        ..,
        check_padding,
        single(|cx| {
            let mut operands = vec![cx.input(0)?, cx.input(1)?];
            operands.extend(cx.optional(2));
            convolve(cx, "conv", Fill::Number(0.0), &operands)
        }),
    );
    table.register_checked("", "ConvTranspose", .., check_padding, single(conv_transpose));
}

pub(super) fn check_padding(node: &Node<'_>) -> Result<(), String> {
    match node.text("auto_pad").unwrap_or("NOTSET") {
        "NOTSET" | "" | "VALID" | "SAME_UPPER" | "SAME_LOWER" => Ok(()),
        other => Err(format!("automatic padding `{other}` is not known")),
    }
}

/// Window attributes over `n` spatial dimensions.
pub(super) struct Window {
    pub(super) kernel: Vec<i64>,
    pub(super) strides: Vec<i64>,
    pub(super) dilations: Vec<i64>,
}

impl Window {
    /// Reads the attributes of a node.
    pub(super) fn new(cx: &NodeCx<'_, '_>, kernel: Vec<i64>) -> Result<Self, Diagnostic> {
        let n = kernel.len();
        let list = |name: &str| -> Result<Vec<i64>, Diagnostic> {
            match cx.ints(name) {
                None | Some([]) => Ok(vec![1; n]),
                Some(list) if list.len() == n && list.iter().all(|it| *it > 0) => Ok(list.to_vec()),
                Some(list) => Err(bad(format!("attribute `{name}` is {list:?} for {n} dimensions"))),
            }
        };
        let (strides, dilations) = (list("strides")?, list("dilations")?);
        let small = |list: &[i64]| list.iter().all(|it| (1..=1 << 31).contains(it));
        if !small(&kernel) || !small(&strides) || !small(&dilations) {
            return Err(bad(format!("its window of size {kernel:?} is out of range")));
        }
        Ok(Window { kernel, strides, dilations })
    }

    /// How many taps there are, if each may be written out.
    pub(super) fn taps(&self) -> Option<i64> {
        const MOST: i64 = 1024;
        self.kernel.iter().try_fold(1i64, |all, it| all.checked_mul(*it)).filter(|it| *it <= MOST)
    }

    /// Distance from the first to after the last tap along dimension `i`.
    pub(super) fn reach(&self, i: usize) -> i64 {
        (self.kernel[i] - 1) * self.dilations[i] + 1
    }

    /// Strides, dilations and padding as attributes.
    pub(super) fn attrs(&self, pads: Vec<i64>) -> Attrs {
        attrs([
            ("strides", self.strides.clone().into()),
            ("dilations", self.dilations.clone().into()),
            ("pads", pads.into()),
        ])
    }
}

/// How a window is padded: by attributes, or (rarely) by an operation because it depends on dynamic sizes.
pub(super) enum Padding {
    /// Begins, then ends.
    Fixed(Vec<i64>),
    /// A padded operand.
    Dynamic(Value),
}

/// What a dynamic padding writes.
#[derive(Clone, Copy)]
pub(super) enum Fill {
    Number(f64),
    Value(Value),
}

/// Padding of a sliding window over `x`.
pub(super) fn padding(
    cx: &mut NodeCx<'_, '_>,
    x: Value,
    window: &Window,
    fill: Fill,
) -> Result<Padding, Diagnostic> {
    let n = window.kernel.len();
    let upper = match cx.text("auto_pad").unwrap_or("NOTSET") {
        "SAME_UPPER" => true,
        "SAME_LOWER" => false,
        "VALID" => return Ok(Padding::Fixed(vec![0; 2 * n])),
        _ => {
            return match cx.ints("pads") {
                None | Some([]) => Ok(Padding::Fixed(vec![0; 2 * n])),
                Some(pads) if pads.len() == 2 * n => Ok(Padding::Fixed(pads.to_vec())),
                Some(pads) => Err(bad(format!("attribute `pads` is {pads:?} for {n} dimensions"))),
            };
        }
    };
    let mut pads = vec![0; 2 * n];
    for i in 0..n {
        let (stride, reach) = (window.strides[i], window.reach(i));
        let total = match cx.static_dim(x, 2 + i) {
            Some(size) => ((size + stride - 1) / stride - 1) * stride + reach - size,
            None if stride == 1 => reach - 1,
            None => return same_padding(cx, x, window, upper, fill),
        };
        (pads[i], pads[n + i]) = halves(total.max(0), upper);
    }
    Ok(Padding::Fixed(pads))
}

/// Padding split into begin and end; an odd one goes to the end for `SAME_UPPER`.
fn halves(total: i64, upper: bool) -> (i64, i64) {
    let small = total / 2;
    if upper { (small, total - small) } else { (total - small, small) }
}

/// `SAME` padding whose amount depends on dynamic sizes.
fn same_padding(
    cx: &mut NodeCx<'_, '_>,
    x: Value,
    window: &Window,
    upper: bool,
    fill: Fill,
) -> Result<Padding, Diagnostic> {
    let (zeros, two) = (cx.int_vector(&[0, 0]), cx.int_vector(&[2]));
    let (mut begins, mut ends) = (vec![zeros], vec![zeros]);
    for i in 0..window.kernel.len() {
        let (stride, reach) = (window.strides[i], window.reach(i));
        let size = cx.shape_part(x, 2 + i, 3 + i)?;
        let raised = cx.with_number("add", size, (stride - 1) as f64)?;
        let steps = cx.with_number("div", raised, stride as f64)?;
        let steps = cx.with_number("sub", steps, 1.0)?;
        let covered = cx.affine(steps, stride as f64, reach as f64)?;
        let missing = cx.binary("sub", covered, size)?;
        let total = cx.with_number("max", missing, 0.0)?;
        let small = cx.binary("div", total, two)?;
        let large = cx.binary("sub", total, small)?;
        begins.push(if upper { small } else { large });
        ends.push(if upper { large } else { small });
    }
    begins.append(&mut ends);
    let pads = cx.concat(&begins, 0)?;
    let fill = match fill {
        Fill::Number(number) => cx.number_like(x, number)?,
        Fill::Value(value) => value,
    };
    let padded = cx.emit("pad", attrs([("mode", "constant".into())]), &[x, pads, fill])?;
    Ok(Padding::Dynamic(padded))
}

/// The kernel size: the attribute, or the spatial dimensions of the weights.
fn kernel_of(cx: &mut NodeCx<'_, '_>, w: Value) -> Result<Vec<i64>, Diagnostic> {
    let rank = cx.rank(w)?;
    if rank < 3 {
        return Err(bad(format!("its weights have {rank} dimensions")));
    }
    match cx.ints("kernel_shape") {
        Some(kernel) if kernel.len() + 2 == rank => Ok(kernel.to_vec()),
        Some(kernel) if !kernel.is_empty() => {
            Err(bad(format!("attribute `kernel_shape` is {kernel:?} for weights of {rank} dimensions")))
        }
        _ => (2..rank)
            .map(|i| cx.static_dim(w, i).ok_or_else(|| not_supported("the size of its kernel is dynamic")))
            .collect(),
    }
}

/// An operator over sliding windows with the attributes of the node. Its operands begin with the data and the weights;
/// `fill` is what stands for data outside.
pub(super) fn convolve(cx: &mut NodeCx<'_, '_>, op: &str, fill: Fill, operands: &[Value]) -> Single {
    let (x, w) = (operands[0], operands[1]);
    let kernel = kernel_of(cx, w)?;
    let window = Window::new(cx, kernel)?;
    let (x, pads) = match padding(cx, x, &window, fill)? {
        Padding::Fixed(pads) => (x, pads),
        Padding::Dynamic(padded) => (padded, vec![0; 2 * window.kernel.len()]),
    };
    let attrs = window.attrs(pads).with("group", cx.int("group").unwrap_or(1));
    let args: Vec<Value> = [x].into_iter().chain(operands[1..].iter().copied()).collect();
    cx.emit(op, attrs, &args)
}

fn conv_transpose(cx: &mut NodeCx<'_, '_>) -> Single {
    let (x, w) = (cx.input(0)?, cx.input(1)?);
    let kernel = kernel_of(cx, w)?;
    let window = Window::new(cx, kernel)?;
    let n = window.kernel.len();
    let mut extra = match cx.ints("output_padding") {
        None | Some([]) => vec![0; n],
        Some(list) if list.len() == n => list.to_vec(),
        Some(list) => return Err(bad(format!("attribute `output_padding` is {list:?}"))),
    };
    let auto = cx.text("auto_pad").unwrap_or("NOTSET");
    let mut pads = match cx.ints("pads") {
        Some(pads) if pads.len() == 2 * n => pads.to_vec(),
        None | Some([]) => vec![0; 2 * n],
        Some(pads) => return Err(bad(format!("attribute `pads` is {pads:?} for {n} dimensions"))),
    };
    // The wanted size of the result, which decides the padding.
    let sizes = cx.ints("output_shape").filter(|it| !it.is_empty());
    if sizes.is_some() || auto.starts_with("SAME") {
        for i in 0..n {
            let (stride, reach) = (window.strides[i], window.reach(i));
            let total = match sizes {
                Some(list) => {
                    let skip =
                        list.len().checked_sub(n).ok_or_else(|| bad("attribute `output_shape` is short"))?;
                    let size = cx
                        .static_dim(x, 2 + i)
                        .ok_or_else(|| not_supported("`output_shape` with a dynamic operand"))?;
                    stride
                        .checked_mul(size - 1)
                        .and_then(|it| {
                            it.checked_add(extra[i])?.checked_add(reach)?.checked_sub(list[skip + i])
                        })
                        .ok_or_else(|| bad("attribute `output_shape` overflows"))?
                }
                // The result is `stride` times as large.
                None => extra[i] + reach - stride,
            };
            extra[i] += (-total).max(0);
            (pads[i], pads[n + i]) = halves(total.max(0), auto == "SAME_UPPER");
        }
    }
    if auto == "VALID" {
        pads = vec![0; 2 * n];
    }
    let attrs = window.attrs(pads).with("output_padding", extra).with("group", cx.int("group").unwrap_or(1));
    let mut args = vec![x, w];
    args.extend(cx.optional(2));
    cx.emit("conv_transpose", attrs, &args)
}

/// One number for each channel, shaped `[C, 1, 1, …]` beside a tensor of `rank` dimensions with channels second.
pub(super) fn per_channel(cx: &mut NodeCx<'_, '_>, value: Value, rank: usize) -> Single {
    let ones = std::iter::repeat_n(Size::Const(1), rank.saturating_sub(2));
    let sizes: Vec<Size> = std::iter::once(Size::Of(value, 0)).chain(ones).collect();
    cx.reshape_to(value, &sizes)
}
