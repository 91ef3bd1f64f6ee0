//! Quantised operators: products of integers are exact, and scaled afterwards.

use super::conv::{Fill, check_padding, convolve, per_channel};
use super::single;
use crate::emit::{Size, attrs};
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::OpTable;
use crate::tensor::dtype_of;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::{Attrs, DType};

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register_checked("", "QuantizeLinear", .., check, single(quantize_linear));
    table.register_checked("", "DequantizeLinear", .., check, single(dequantize_linear));
    table.register("", "DynamicQuantizeLinear", .., |cx| Ok(dynamic_quantize_of(cx, cx.input(0)?)?.into()));
    table.register("", "MatMulInteger", .., single(matmul_integer));
    table.register("", "QLinearMatMul", .., single(qlinear_matmul));
    table.register_checked("", "ConvInteger", .., check_padding, single(conv_integer));
    table.register_checked("", "QLinearConv", .., check_padding, single(|cx| qlinear_conv(cx, cx.input(0)?)));
}

pub(super) fn check(node: &Node<'_>) -> Result<(), String> {
    if !(0..1 << 31).contains(&node.int("block_size").unwrap_or(0)) {
        return Err("its `block_size` is out of range".into());
    }
    match node.int("output_dtype").unwrap_or(0) {
        0 => Ok(()),
        dtype => dtype_of(i32::try_from(dtype).unwrap_or(0)).map(|_| ()),
    }
}

/// A scale or zero point shaped for broadcasting with `x`: one number, or one for each index of an axis.
fn along(cx: &mut NodeCx<'_, '_>, x: Value, value: Value, axis: i64) -> Single {
    let (rank, dims) = (cx.rank(x)?, cx.rank(value)?);
    match dims {
        0 => Ok(value),
        1 if cx.static_dim(value, 0) == Some(1) => cx.squeeze(value, &[0]),
        // What has one dimension has blocks along it, if any.
        1 if rank > 1 || cx.int("block_size").unwrap_or(0) == 0 => {
            let axis = cx.axis(x, axis)?;
            cx.along_axis(value, axis, rank)
        }
        _ => match cx.int("block_size").unwrap_or(0) {
            0 => Err(bad(format!("its scales have {dims} dimensions, but no `block_size` is given"))),
            block => of_blocks(cx, x, value, axis, block),
        },
    }
}

/// A scale or zero point for each `block` elements along an axis of `x`, the last of which may be fewer, as one for each
/// element.
fn of_blocks(cx: &mut NodeCx<'_, '_>, x: Value, value: Value, axis: i64, block: i64) -> Single {
    let (rank, axis) = (cx.rank(x)?, cx.axis(x, axis)?);
    if cx.rank(value)? != rank {
        return Err(bad(format!("its scales have {} dimensions beside {rank} of its data", cx.rank(value)?)));
    }
    let count =
        cx.static_dim(value, axis).ok_or_else(|| not_supported("the number of its blocks is dynamic"))?;
    let size =
        cx.static_dim(x, axis).ok_or_else(|| not_supported("the size of what is in blocks is dynamic"))?;
    let length = count.checked_mul(block).ok_or_else(|| bad("its `block_size` is out of range"))?;
    if !(0..block).contains(&(length - size)) {
        return Err(bad(format!("{count} blocks of {block} do not fit {size} elements")));
    }
    // One block broadcasts.
    if count == 1 {
        return Ok(value);
    }
    let of_value = |i: usize| Size::Of(value, i);
    let repeated: Vec<Size> =
        (0..=axis).map(of_value).chain([Size::Const(block)]).chain((axis + 1..rank).map(of_value)).collect();
    let flat: Vec<Size> =
        (0..rank).map(|i| if i == axis { Size::Const(length) } else { of_value(i) }).collect();
    let single = cx.unsqueeze(value, &[axis as i64 + 1])?;
    let shape = cx.shape_vector(&repeated)?;
    let repeated = cx.emit("expand", Attrs::none(), &[single, shape])?;
    let each = cx.reshape_to(repeated, &flat)?;
    if size == length { Ok(each) } else { cx.slice(each, axis, 0, size) }
}

/// `(x − zero) · scale`, one for each `block` elements along an axis.
pub(super) fn in_blocks(
    cx: &mut NodeCx<'_, '_>,
    x: Value,
    scale: Value,
    zero: Option<Value>,
    axis: i64,
    block: i64,
) -> Single {
    let axis = cx.axis(x, axis)?;
    if cx.rank(scale)? != cx.rank(x)? {
        return Err(bad(format!(
            "its scales have {} dimensions beside {} of its data",
            cx.rank(scale)?,
            cx.rank(x)?
        )));
    }
    let of_integers = match zero {
        Some(zero) => cx.dtype(zero)? == cx.dtype(x)?,
        None => true,
    };
    // One block broadcasts.
    if of_integers && cx.static_dim(scale, axis) == Some(1) {
        let operands: Vec<Value> = [x, scale].into_iter().chain(zero).collect();
        return cx.emit("dequantize", Attrs::none(), &operands);
    }
    let operands: Vec<Value> = [x, scale].into_iter().chain(zero).collect();
    let attrs = attrs([("axis", (axis as i64).into()), ("block", block.into())]);
    cx.emit("dequantize_blocks", attrs, &operands)
}

/// A zero point has the type of the integers.
fn check_zero(cx: &mut NodeCx<'_, '_>, zero: Option<Value>, integers: DType) -> Result<(), Diagnostic> {
    let Some(zero) = zero else { return Ok(()) };
    match cx.dtype(zero)? {
        found if found == integers => Ok(()),
        found => Err(bad(format!("its zero point is {found}, but its integers are {integers}"))),
    }
}

/// `(x − zero) · scale`, each along an axis of `x` or one number.
pub(super) fn dequantize(
    cx: &mut NodeCx<'_, '_>,
    x: Value,
    scale: Value,
    zero: Option<Value>,
    axis: i64,
) -> Single {
    let own = cx.dtype(x)?;
    check_zero(cx, zero, own)?;
    // Zero points of floats are zeros.
    let zero = zero.filter(|_| !own.is_float());
    let block = cx.int("block_size").unwrap_or(0);
    if block > 0 && (cx.rank(scale)? > 1 || (cx.rank(scale)?, cx.rank(x)?) == (1, 1)) {
        return in_blocks(cx, x, scale, zero, axis, block);
    }
    let mut operands = vec![x, along(cx, x, scale, axis)?];
    if own.is_float() && own.bits() > 8 {
        let value = cx.cast(x, cx.dtype(scale)?)?;
        return cx.binary("mul", value, operands[1]);
    }
    if let Some(zero) = zero {
        operands.push(along(cx, x, zero, axis)?);
    }
    cx.emit("dequantize", Attrs::none(), &operands)
}

/// `saturate(round(x / scale) + zero)`, each along an axis of `x` or one number.
pub(super) fn quantize(
    cx: &mut NodeCx<'_, '_>,
    x: Value,
    scale: Value,
    zero: Option<Value>,
    axis: i64,
    to: DType,
) -> Single {
    check_zero(cx, zero, to)?;
    // Data of another type than the scale, and integers by integers, are divided in f32, unless the node says in what.
    let (found, of_scale) = (cx.dtype(x)?, cx.dtype(scale)?);
    let same = of_scale.is_float() && (found == of_scale || !found.is_float());
    let dtype = match cx.int("precision").unwrap_or(0) {
        0 if same => of_scale,
        0 => DType::F32,
        said => dtype_of(i32::try_from(said).unwrap_or(0)).map_err(not_supported)?,
    };
    let (value, scale) = (cx.cast(x, dtype)?, cx.cast(scale, dtype)?);
    let mut operands = vec![value, along(cx, x, scale, axis)?];
    if to.is_float() && to.bits() == 8 {
        // Zero points of floats are zeros.
        let value = cx.binary("div", operands[0], operands[1])?;
        return super::elementwise::convert(cx, value, to);
    }
    let held = to.compute();
    if let Some(zero) = zero {
        let zero = along(cx, x, zero, axis)?;
        operands.push(cx.cast(zero, held)?);
    }
    let value = cx.emit("quantize", attrs([("to", held.into())]), &operands)?;
    match to.int_range() {
        Some((least, most)) if to.is_only_stored() => {
            let value = cx.clamp(value, least as f64, most as f64)?;
            cx.cast(value, to)
        }
        _ => Ok(value),
    }
}

fn axis_of(cx: &NodeCx<'_, '_>) -> i64 {
    cx.int("axis").unwrap_or(1)
}

pub(super) fn quantize_linear(cx: &mut NodeCx<'_, '_>) -> Single {
    let zero = cx.optional(2);
    let to = match (zero, cx.int("output_dtype").unwrap_or(0)) {
        (Some(zero), _) => cx.dtype(zero)?,
        (None, 0) => DType::U8,
        (None, dtype) => dtype_of(i32::try_from(dtype).unwrap_or(0)).map_err(not_supported)?,
    };
    let axis = axis_of(cx);
    quantize(cx, cx.input(0)?, cx.input(1)?, zero, axis, to)
}

pub(super) fn dequantize_linear(cx: &mut NodeCx<'_, '_>) -> Single {
    let axis = axis_of(cx);
    let result = dequantize(cx, cx.input(0)?, cx.input(1)?, cx.optional(2), axis)?;
    match cx.int("output_dtype").unwrap_or(0) {
        0 => Ok(result),
        dtype => {
            let dtype = dtype_of(i32::try_from(dtype).unwrap_or(0)).map_err(not_supported)?;
            cx.cast(result, dtype)
        }
    }
}

/// Integers, their scale and their zero point, by the range of all data and 0.
pub(super) fn dynamic_quantize_of(cx: &mut NodeCx<'_, '_>, x: Value) -> Result<[Value; 3], Diagnostic> {
    let axes: Vec<i64> = (0..cx.rank(x)? as i64).collect();
    let highest = cx.reduce("reduce_max", x, &axes, false)?;
    let highest = cx.with_number("max", highest, 0.0)?;
    let lowest = cx.reduce("reduce_min", x, &axes, false)?;
    let lowest = cx.with_number("min", lowest, 0.0)?;
    let span = cx.binary("sub", highest, lowest)?;
    let scale = cx.with_number("div", span, 255.0)?;
    // All zeros: any scale will do.
    let flat = cx.with_number("equal", scale, 0.0)?;
    let one = cx.number_like(x, 1.0)?;
    let scale = cx.select(flat, one, scale)?;
    let negated = cx.unary("neg", lowest)?;
    let zero = cx.binary("div", negated, scale)?;
    let zero = cx.unary("round", zero)?;
    let zero = cx.clamp(zero, 0.0, 255.0)?;
    let zero = cx.cast(zero, DType::U8)?;
    let y = quantize(cx, x, scale, Some(zero), 0, DType::U8)?;
    Ok([y, scale, zero])
}

/// A quantised operand: integers, and the zero points and scales of them, shaped to broadcast with the integers (zero
/// points) and with the product (scales).
#[derive(Clone, Copy)]
pub(super) struct Quantized {
    pub(super) integers: Value,
    zero: Option<Value>,
    pub(super) scale: Option<Value>,
}

/// The first operand of a matrix product with `b`: one zero point and scale, or one for each row.
pub(super) fn left(
    cx: &mut NodeCx<'_, '_>,
    a: Value,
    b: Value,
    zero: Option<Value>,
    scale: Option<Value>,
) -> Result<Quantized, Diagnostic> {
    let rows = |cx: &mut NodeCx<'_, '_>, value: Value| along(cx, a, value, -2);
    let zero = zero.map(|it| of_matrix(cx, a, it, rows)).transpose()?;
    // A product with a vector has rows alone.
    let scale = match scale {
        Some(scale) if cx.rank(b)? == 1 => Some(scale),
        Some(scale) => Some(of_matrix(cx, a, scale, rows)?),
        None => None,
    };
    Ok(Quantized { integers: a, zero, scale })
}

/// The second operand of a matrix product: one zero point and scale, or one for each column.
pub(super) fn right(
    cx: &mut NodeCx<'_, '_>,
    b: Value,
    zero: Option<Value>,
    scale: Option<Value>,
) -> Result<Quantized, Diagnostic> {
    let columns = |cx: &mut NodeCx<'_, '_>, value: Value| along(cx, b, value, -1);
    let zero = zero.map(|it| of_matrix(cx, b, it, columns)).transpose()?;
    let scale = scale.map(|it| of_matrix(cx, b, it, columns)).transpose()?;
    Ok(Quantized { integers: b, zero, scale })
}

/// A zero point or scale of a matrix: for vectors one, for matrices shaped by `shape`, and for stacks of matrices with
/// one dimension for each of theirs, as it is.
fn of_matrix<'m>(
    cx: &mut NodeCx<'_, 'm>,
    matrix: Value,
    value: Value,
    shape: impl Fn(&mut NodeCx<'_, 'm>, Value) -> Single,
) -> Single {
    match (cx.rank(matrix)?, cx.rank(value)?) {
        (_, 0) => Ok(value),
        (0 | 1, 1) => cx.squeeze(value, &[0]),
        (_, 1) => shape(cx, value),
        _ => Ok(value),
    }
}

/// Integers, and the zero points that there are.
pub(super) fn operands(cx: &mut NodeCx<'_, '_>, [a, b]: [Quantized; 2]) -> Result<Vec<Value>, Diagnostic> {
    let mut operands = vec![a.integers, b.integers];
    match (a.zero, b.zero) {
        (None, None) => {}
        (Some(zero), None) => operands.push(zero),
        (None, Some(zero)) => operands.extend([cx.number_like(a.integers, 0.0)?, zero]),
        (Some(first), Some(second)) => operands.extend([first, second]),
    }
    Ok(operands)
}

fn matmul_integer(cx: &mut NodeCx<'_, '_>) -> Single {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    let a = left(cx, a, b, cx.optional(2), None)?;
    let b = right(cx, b, cx.optional(3), None)?;
    let operands = operands(cx, [a, b])?;
    cx.emit("matmul_integer", Attrs::none(), &operands)
}

fn qlinear_matmul(cx: &mut NodeCx<'_, '_>) -> Single {
    let (a, b) = (cx.input(0)?, cx.input(3)?);
    let a = left(cx, a, b, cx.optional(2), Some(cx.input(1)?))?;
    let b = right(cx, b, cx.optional(5), Some(cx.input(4)?))?;
    let floats = [a, b].iter().any(|it| cx.dtype(it.integers).is_ok_and(DType::is_float));
    if floats || cx.dtype(cx.input(7)?)?.is_float() {
        return product_of_floats(cx, [a, b]);
    }
    let all = operands(cx, [a, b])?;
    let product = cx.emit("matmul_integer", Attrs::none(), &all)?;
    let (scale, zero) = (cx.input(6)?, cx.input(7)?);
    let rows = |cx: &mut NodeCx<'_, '_>, value: Value| along(cx, product, value, -2);
    let (scale, zero) = (of_matrix(cx, product, scale, rows)?, of_matrix(cx, product, zero, rows)?);
    requantize(cx, product, [a.scale, b.scale, Some(scale)], zero)
}

/// The same where some of them are floats of 8 bits: of what they stand for.
fn product_of_floats(cx: &mut NodeCx<'_, '_>, operands: [Quantized; 2]) -> Single {
    let mut numbers = Vec::new();
    for it in operands {
        let mut value = cx.cast(it.integers, DType::F32)?;
        // Zero points of floats are zeros.
        if let Some(zero) = it.zero.filter(|_| cx.dtype(it.integers).is_ok_and(|it| !it.is_float())) {
            let zero = cx.cast(zero, DType::F32)?;
            value = cx.binary("sub", value, zero)?;
        }
        numbers.push(value);
    }
    let mut product = cx.binary("matmul", numbers[0], numbers[1])?;
    for scale in operands.iter().filter_map(|it| it.scale) {
        let scale = cx.cast(scale, DType::F32)?;
        product = cx.binary("mul", product, scale)?;
    }
    let (scale, zero) = (cx.input(6)?, cx.input(7)?);
    let to = cx.dtype(zero)?;
    quantize(cx, product, scale, Some(zero), -2, to)
}

/// `saturate(round(sum · (a · b / y)) + zero)` in f32, scales and zero point shaped to broadcast with the sum.
pub(super) fn requantize(
    cx: &mut NodeCx<'_, '_>,
    sum: Value,
    scales: [Option<Value>; 3],
    zero: Value,
) -> Single {
    let mut factor = None;
    for (op, scale) in ["mul", "mul", "div"].into_iter().zip(scales) {
        let Some(scale) = scale else { continue };
        let scale = cx.cast(scale, DType::F32)?;
        factor = Some(match factor {
            None => scale,
            Some(factor) => cx.binary(op, factor, scale)?,
        });
    }
    let factor = factor.ok_or_else(|| bad("it has no scales"))?;
    let value = cx.cast(sum, DType::F32)?;
    let value = cx.binary("mul", value, factor)?;
    let one = cx.number(DType::F32, 1.0);
    let to = cx.dtype(zero)?;
    cx.emit("quantize", attrs([("to", to.into())]), &[value, one, zero])
}

/// The data and the weights of a convolution: one zero point for the data, one or one for each channel for the weights.
fn convolved(cx: &mut NodeCx<'_, '_>, [x, w]: [Value; 2], zeros: [Option<Value>; 2]) -> Single {
    let x_zero = zeros[0].map(|it| along(cx, x, it, 1)).transpose()?;
    let w_zero = zeros[1].map(|it| along(cx, w, it, 0)).transpose()?;
    let x = Quantized { integers: x, zero: x_zero, scale: None };
    let w = Quantized { integers: w, zero: w_zero, scale: None };
    let operands = operands(cx, [x, w])?;
    convolve(cx, "conv_integer", x_zero.map_or(Fill::Number(0.0), Fill::Value), &operands)
}

fn conv_integer(cx: &mut NodeCx<'_, '_>) -> Single {
    convolved(cx, [cx.input(0)?, cx.input(1)?], [cx.optional(2), cx.optional(3)])
}

/// Of data that is given; the other operands are those of the node.
pub(super) fn qlinear_conv(cx: &mut NodeCx<'_, '_>, x: Value) -> Single {
    let mut sum = convolved(cx, [x, cx.input(3)?], [cx.optional(2), cx.optional(5)])?;
    if let Some(bias) = cx.optional(8) {
        let rank = cx.rank(sum)?;
        let bias = per_channel(cx, bias, rank)?;
        sum = cx.binary("add", sum, bias)?;
    }
    let [x, w, y, zero] =
        [cx.input(1)?, cx.input(4)?, cx.input(6)?, cx.input(7)?].map(|it| along(cx, sum, it, 1));
    requantize(cx, sum, [Some(x?), Some(w?), Some(y?)], zero?)
}
