//! Quantised operators, as arithmetic on integers and floats.

use super::conv::{check_padding, convolve, per_channel};
use super::single;
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use crate::tensor::dtype_of;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::DType;

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register_checked("", "QuantizeLinear", .., check, single(quantize_linear));
    table.register_checked("", "DequantizeLinear", .., check, single(dequantize_linear));
    table.register("", "DynamicQuantizeLinear", .., dynamic_quantize);
    table.register("", "MatMulInteger", .., single(matmul_integer));
    table.register("", "QLinearMatMul", .., single(qlinear_matmul));
    table.register_checked("", "ConvInteger", .., check_padding, single(conv_integer));
    table.register_checked("", "QLinearConv", .., check_padding, single(qlinear_conv));
}

fn check(node: &Node<'_>) -> Result<(), String> {
    if node.int("block_size").unwrap_or(0) != 0 {
        return Err("blocks (`block_size`) are not supported".into());
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
        1 => {
            let axis = cx.axis(x, axis)?;
            cx.along_axis(value, axis, rank)
        }
        _ => Err(not_supported("scales of more than one dimension are not supported")),
    }
}

/// `(x − zero) · scale`.
fn dequantize(cx: &mut NodeCx<'_, '_>, x: Value, scale: Value, zero: Option<Value>, axis: i64) -> Single {
    let dtype = cx.dtype(scale)?;
    let scale = along(cx, x, scale, axis)?;
    let mut value = cx.cast(x, dtype)?;
    if let Some(zero) = zero {
        let zero = along(cx, x, zero, axis)?;
        let zero = cx.cast(zero, dtype)?;
        value = cx.binary("sub", value, zero)?;
    }
    cx.binary("mul", value, scale)
}

/// `saturate(round(x / scale) + zero)`.
fn quantize(
    cx: &mut NodeCx<'_, '_>,
    x: Value,
    scale: Value,
    zero: Option<Value>,
    axis: i64,
    to: DType,
) -> Single {
    let dtype = cx.dtype(scale)?;
    let scale = along(cx, x, scale, axis)?;
    let value = cx.cast(x, dtype)?;
    let value = cx.binary("div", value, scale)?;
    let mut value = cx.unary("round", value)?;
    if let Some(zero) = zero {
        let zero = along(cx, x, zero, axis)?;
        let zero = cx.cast(zero, dtype)?;
        value = cx.binary("add", value, zero)?;
    }
    let (low, high) = limits(to)?;
    let value = cx.clamp(value, low, high)?;
    cx.cast(value, to)
}

fn limits(dtype: DType) -> Result<(f64, f64), Diagnostic> {
    Ok(match dtype {
        DType::I8 => (-128.0, 127.0),
        DType::U8 => (0.0, 255.0),
        DType::I16 => (-32768.0, 32767.0),
        DType::U16 => (0.0, 65535.0),
        other => return Err(bad(format!("{other} is no quantised type"))),
    })
}

fn axis_of(cx: &NodeCx<'_, '_>) -> i64 {
    cx.int("axis").unwrap_or(1)
}

fn quantize_linear(cx: &mut NodeCx<'_, '_>) -> Single {
    let zero = cx.optional(2);
    let to = match (zero, cx.int("output_dtype").unwrap_or(0)) {
        (Some(zero), _) => cx.dtype(zero)?,
        (None, 0) => DType::U8,
        (None, dtype) => dtype_of(i32::try_from(dtype).unwrap_or(0)).map_err(not_supported)?,
    };
    let axis = axis_of(cx);
    quantize(cx, cx.input(0)?, cx.input(1)?, zero, axis, to)
}

fn dequantize_linear(cx: &mut NodeCx<'_, '_>) -> Single {
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

fn dynamic_quantize(cx: &mut NodeCx<'_, '_>) -> Converted {
    let x = cx.input(0)?;
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
    Ok(vec![y, scale, zero])
}

/// The integers of a quantised tensor: `x − zero` in i32. `axis` counts from the end.
fn centered(cx: &mut NodeCx<'_, '_>, x: Value, zero: Option<Value>, axis: i64) -> Single {
    let value = cx.cast(x, DType::I32)?;
    let Some(zero) = zero else { return Ok(value) };
    let zero = if cx.rank(zero)? == 1 { along(cx, x, zero, axis)? } else { zero };
    let zero = cx.cast(zero, DType::I32)?;
    cx.binary("sub", value, zero)
}

fn matmul_integer(cx: &mut NodeCx<'_, '_>) -> Single {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    // One zero point for each row of the first and each column of the second operand.
    let a = centered(cx, a, cx.optional(2), -2)?;
    let b = centered(cx, b, cx.optional(3), -1)?;
    cx.binary("matmul", a, b)
}

fn qlinear_matmul(cx: &mut NodeCx<'_, '_>) -> Single {
    let a = dequantize(cx, cx.input(0)?, cx.input(1)?, cx.optional(2), -2)?;
    let b = dequantize(cx, cx.input(3)?, cx.input(4)?, cx.optional(5), -1)?;
    let product = cx.binary("matmul", a, b)?;
    let zero = cx.input(7)?;
    let to = cx.dtype(zero)?;
    quantize(cx, product, cx.input(6)?, Some(zero), -1, to)
}

fn conv_integer(cx: &mut NodeCx<'_, '_>) -> Single {
    let (x, w) = (cx.input(0)?, cx.input(1)?);
    let x = centered(cx, x, cx.optional(2), 1)?;
    let w = centered(cx, w, cx.optional(3), 0)?;
    convolve(cx, x, w, None)
}

fn qlinear_conv(cx: &mut NodeCx<'_, '_>) -> Single {
    let (x_scale, w, w_scale) = (cx.input(1)?, cx.input(3)?, cx.input(4)?);
    let x = dequantize(cx, cx.input(0)?, x_scale, cx.optional(2), 1)?;
    let weights = dequantize(cx, w, w_scale, cx.optional(5), 0)?;
    let mut product = convolve(cx, x, weights, None)?;
    let dtype = cx.dtype(x)?;
    if let Some(bias) = cx.optional(8) {
        // The bias has the scale of the product of data and weights.
        let bias = cx.cast(bias, dtype)?;
        let scale = cx.binary("mul", x_scale, w_scale)?;
        let bias = cx.binary("mul", bias, scale)?;
        let rank = cx.rank(product)?;
        let bias = per_channel(cx, bias, rank)?;
        product = cx.binary("add", product, bias)?;
    }
    let zero = cx.input(7)?;
    let to = cx.dtype(zero)?;
    quantize(cx, product, cx.input(6)?, Some(zero), 1, to)
}
