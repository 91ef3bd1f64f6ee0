//! Operators of `com.microsoft` on quantised values, as ONNX Runtime's quantiser writes them: what is between
//! `DequantizeLinear` and `QuantizeLinear` of the standard, in one node.

use super::conv::check_padding;
use super::elementwise::leaky;
use super::linalg::matrices;
use super::nhwc::turned_if;
use super::pool::average;
use super::quant::{
    check, dequantize, dequantize_linear, dynamic_quantize_of, left, operands, qlinear_conv, quantize,
    quantize_linear, requantize, right,
};
use super::reduce::{softmax, softmax_flat};
use super::single;
use crate::emit::attrs;
use crate::node::{NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::{Attrs, DType};

type Single = Result<Value, Diagnostic>;

const DOMAIN: &str = "com.microsoft";

pub(super) fn register(table: &mut OpTable) {
    table.register_checked(DOMAIN, "QuantizeLinear", .., check, single(quantize_linear));
    table.register_checked(DOMAIN, "DequantizeLinear", .., check, single(dequantize_linear));
    for (name, op) in [("QLinearAdd", "add"), ("QLinearMul", "mul")] {
        table.register(DOMAIN, name, .., single(move |cx| combined(cx, op)));
    }
    table.register(DOMAIN, "QLinearSigmoid", .., single(|cx| mapped(cx, |cx, x| cx.unary("sigmoid", x))));
    table.register(DOMAIN, "QLinearLeakyRelu", .., single(|cx| mapped(cx, leaky_relu)));
    table.register(DOMAIN, "QLinearSoftmax", .., single(|cx| mapped(cx, softmax_of_opset)));
    table.register(DOMAIN, "QLinearReduceMean", .., single(|cx| mapped(cx, mean)));
    table.register(DOMAIN, "QLinearGlobalAveragePool", .., single(|cx| mapped(cx, global_average)));
    table.register_checked(
        DOMAIN,
        "QLinearAveragePool",
        ..,
        check_padding,
        single(|cx| {
            mapped(cx, |cx, x| {
                let last = cx.flag("channels_last");
                turned_if(cx, last, x, |cx, x| average(cx, x, cx.flag("count_include_pad")))
            })
        }),
    );
    table.register_checked(
        DOMAIN,
        "QLinearConv",
        ..,
        check_padding,
        single(|cx| {
            let last = cx.flag("channels_last");
            turned_if(cx, last, cx.input(0)?, qlinear_conv)
        }),
    );
    table.register(DOMAIN, "QLinearConcat", .., single(concat));
    table.register(DOMAIN, "QLinearWhere", .., single(choose));
    table.register(DOMAIN, "QGemm", .., single(gemm));
    table.register(DOMAIN, "MatMulIntegerToFloat", .., single(matmul_to_float));
    table.register(DOMAIN, "DynamicQuantizeMatMul", .., single(dynamic_matmul));
}

/// The number that operands `i`, `i + 1` (its scale) and `i + 2` (its zero point, if it has one) stand for.
fn number(cx: &mut NodeCx<'_, '_>, i: usize) -> Single {
    dequantize(cx, cx.input(i)?, cx.input(i + 1)?, cx.optional(i + 2), 1)
}

/// A number as integers of a type, with the scale that is operand `i` and the zero point that is the next one, if any.
fn integers(cx: &mut NodeCx<'_, '_>, value: Value, i: usize, to: DType) -> Single {
    quantize(cx, value, cx.input(i)?, cx.optional(i + 1), 1, to)
}

fn combined(cx: &mut NodeCx<'_, '_>, op: &str) -> Single {
    let (x, y) = (number(cx, 0)?, number(cx, 3)?);
    let value = cx.binary(op, x, y)?;
    let to = cx.dtype(cx.input(0)?)?;
    integers(cx, value, 6, to)
}

/// A function of one quantised operand: data, scale, zero point, then those of the result.
fn mapped<'m>(cx: &mut NodeCx<'_, 'm>, f: impl Fn(&mut NodeCx<'_, 'm>, Value) -> Single) -> Single {
    let x = number(cx, 0)?;
    let value = f(cx, x)?;
    let to = cx.dtype(cx.input(0)?)?;
    integers(cx, value, 3, to)
}

fn leaky_relu(cx: &mut NodeCx<'_, '_>, x: Value) -> Single {
    let slope = cx.number_like(x, cx.float("alpha").unwrap_or(f64::from(0.01f32)))?;
    leaky(cx, x, slope)
}

/// In the form of the operator set that the node names.
fn softmax_of_opset(cx: &mut NodeCx<'_, '_>, x: Value) -> Single {
    match cx.int("opset") {
        Some(13..) => softmax(cx, x, "softmax"),
        _ => softmax_flat(cx, x, "softmax"),
    }
}

fn mean(cx: &mut NodeCx<'_, '_>, x: Value) -> Single {
    let all: Vec<i64> = (0..cx.rank(x)? as i64).collect();
    let axes = match cx.ints("axes") {
        Some(axes) if !axes.is_empty() => cx.axes(x, axes)?,
        _ => all,
    };
    cx.reduce("reduce_mean", x, &axes, cx.int("keepdims").unwrap_or(1) != 0)
}

fn global_average(cx: &mut NodeCx<'_, '_>, x: Value) -> Single {
    let rank = cx.rank(x)? as i64;
    let axes: Vec<i64> = if cx.flag("channels_last") { (1..rank - 1).collect() } else { (2..rank).collect() };
    cx.reduce("reduce_mean", x, &axes, true)
}

/// Operands: scale and zero point of the result, then data, scale and zero point of each part.
fn concat(cx: &mut NodeCx<'_, '_>) -> Single {
    let count = cx.input_count();
    if count < 5 || count % 3 != 2 {
        return Err(bad(format!("it has {count} operands, which is not 2 and 3 for each part")));
    }
    let parts: Vec<Value> = (2..count).step_by(3).map(|i| number(cx, i)).collect::<Result<_, _>>()?;
    let axis = cx.int("axis").ok_or_else(|| bad("attribute `axis` is missing"))?;
    let axis = cx.axis(parts[0], axis)? as i64;
    let value = cx.emit("concat", attrs([("axis", axis.into())]), &parts)?;
    let to = cx.dtype(cx.input(2)?)?;
    integers(cx, value, 0, to)
}

fn choose(cx: &mut NodeCx<'_, '_>) -> Single {
    let (x, y) = (number(cx, 1)?, number(cx, 4)?);
    let value = cx.select(cx.input(0)?, x, y)?;
    let to = cx.dtype(cx.input(1)?)?;
    integers(cx, value, 7, to)
}

/// `alpha · a · b + c`, `c` being integers of the scale of the product; numbers where the result has no scale.
fn gemm(cx: &mut NodeCx<'_, '_>) -> Single {
    let [a, b] = matrices(cx, [cx.input(0)?, cx.input(3)?])?;
    let alpha = cx.float("alpha").unwrap_or(1.0);
    let scale = cx.affine(cx.input(1)?, alpha, 0.0)?;
    let a = left(cx, a, b, cx.optional(2), Some(scale))?;
    let b = right(cx, b, cx.optional(5), Some(cx.input(4)?))?;
    let all = operands(cx, [a, b])?;
    let mut sum = cx.emit("matmul_integer", Attrs::none(), &all)?;
    if let Some(c) = cx.optional(6) {
        sum = cx.binary("add", sum, c)?;
    }
    match cx.optional(7) {
        None => scaled(cx, sum, [a.scale, b.scale]),
        Some(scale) => {
            let zero = match cx.optional(8) {
                Some(zero) => zero,
                None => cx.number_like(a.integers, 0.0)?,
            };
            let [scale, zero] = [scale, zero].map(|it| one(cx, it));
            requantize(cx, sum, [a.scale, b.scale, Some(scale?)], zero?)
        }
    }
}

/// A scalar that may be written as a tensor of one element.
fn one(cx: &mut NodeCx<'_, '_>, value: Value) -> Single {
    match cx.rank(value)? {
        0 => Ok(value),
        1 => cx.squeeze(value, &[0]),
        _ => Err(not_supported("a result with several scales")),
    }
}

/// `sum · (a · b)` as numbers of the type of the scales.
fn scaled(cx: &mut NodeCx<'_, '_>, sum: Value, scales: [Option<Value>; 2]) -> Single {
    let [Some(a), Some(b)] = scales else { return Err(bad("it has no scales")) };
    let factor = cx.binary("mul", a, b)?;
    let sum = cx.cast(sum, cx.dtype(factor)?)?;
    cx.binary("mul", sum, factor)
}

/// The product of integers as numbers, with the bias that is operand `bias`, if any.
pub(super) fn product(
    cx: &mut NodeCx<'_, '_>,
    [a, b]: [Value; 2],
    scales: [Value; 2],
    zeros: [Option<Value>; 2],
    bias: usize,
) -> Single {
    let left = left(cx, a, b, zeros[0], Some(scales[0]))?;
    let right = right(cx, b, zeros[1], Some(scales[1]))?;
    let all = operands(cx, [left, right])?;
    let sum = cx.emit("matmul_integer", Attrs::none(), &all)?;
    let value = scaled(cx, sum, [left.scale, right.scale])?;
    match cx.optional(bias) {
        Some(bias) => cx.binary("add", value, bias),
        None => Ok(value),
    }
}

fn matmul_to_float(cx: &mut NodeCx<'_, '_>) -> Single {
    let scales = [cx.input(2)?, cx.input(3)?];
    let zeros = [cx.optional(4), cx.optional(5)];
    product(cx, [cx.input(0)?, cx.input(1)?], scales, zeros, 6)
}

fn dynamic_matmul(cx: &mut NodeCx<'_, '_>) -> Single {
    let [a, scale, zero] = dynamic_quantize_of(cx, cx.input(0)?)?;
    product(cx, [a, cx.input(1)?], [scale, cx.input(2)?], [Some(zero), cx.optional(3)], 4)
}
