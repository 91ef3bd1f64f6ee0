//! Operators of `com.microsoft` that stand for several of the standard, as ONNX Runtime's optimiser writes them, in floats.

use super::conv::{Fill, check_padding, convolve};
use super::elementwise::{Curve, gelu_of, hard_sigmoid_of, leaky, swish_of};
use super::index::{count_up, extent};
use super::linalg::gemm;
use super::norm::{rms_norm, rms_norm_of, statistics, sum_of};
use super::single;
use crate::emit::attrs;
use crate::node::{Node, NodeCx, bad};
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::DType;

type Single = Result<Value, Diagnostic>;

const DOMAIN: &str = "com.microsoft";

pub(super) fn register(table: &mut OpTable) {
    for (name, curve) in [("Gelu", Curve::Erf), ("BiasGelu", Curve::Erf), ("FastGelu", Curve::Tanh)] {
        table.register(DOMAIN, name, .., single(move |cx| biased_gelu(cx, curve)));
    }
    let quick = f64::from(1.702_f32);
    table.register(
        DOMAIN,
        "QuickGelu",
        ..,
        single(move |cx| swish_of(cx, cx.float("alpha").unwrap_or(quick))),
    );
    table.register(DOMAIN, "SkipLayerNormalization", .., skip_layer_norm);
    table.register(DOMAIN, "SkipSimplifiedLayerNormalization", .., skip_rms_norm);
    table.register("", "SimplifiedLayerNormalization", .., rms_norm);
    for name in ["FusedMatMul", "TransposeMatMul"] {
        table.register(DOMAIN, name, .., single(matmul));
    }
    table.register_checked(
        DOMAIN,
        "FusedConv",
        ..,
        check_conv,
        single(|cx| conv(cx, cx.input(0)?, cx.optional(3))),
    );
    table.register_checked(
        DOMAIN,
        "FusedMatMulActivation",
        ..,
        check_activation,
        single(|cx| {
            let product = matmul(cx)?;
            activate(cx, product, &params(cx))
        }),
    );
    table.register(
        DOMAIN,
        "GemmFastGelu",
        ..,
        single(|cx| {
            let product = cx.binary("matmul", cx.input(0)?, cx.input(1)?)?;
            let sum = cx.optional(2).map_or(Ok(product), |bias| cx.binary("add", product, bias))?;
            gelu_of(cx, sum, Curve::Tanh)
        }),
    );
    table.register(DOMAIN, "EmbedLayerNormalization", .., embed_layer_norm);
    table.register_checked(DOMAIN, "FusedGemm", .., check_activation, single(product_and_activation));
}

fn biased_gelu(cx: &mut NodeCx<'_, '_>, curve: Curve) -> Single {
    let mut x = cx.input(0)?;
    if let Some(bias) = cx.optional(1) {
        x = cx.binary("add", x, bias)?;
    }
    gelu_of(cx, x, curve)
}

fn skip_epsilon(cx: &NodeCx<'_, '_>) -> f64 {
    cx.float("epsilon").unwrap_or(f64::from(1e-12_f32))
}

/// Operands: two that are added, scale, and, both optional, shift and bias. Results: the normalised sum, its mean, the
/// reciprocal of its deviation, and the sum.
fn skip_layer_norm(cx: &mut NodeCx<'_, '_>) -> Converted {
    let sum = sum_of(cx, cx.input(0)?, cx.input(1)?, 4, None)?;
    let axis = cx.axis(sum, -1)? as i64;
    let mut args = vec![sum, cx.input(2)?];
    args.extend(cx.optional(3));
    let epsilon = skip_epsilon(cx);
    let result = cx.emit("layer_norm", attrs([("axis", axis.into()), ("epsilon", epsilon.into())]), &args)?;
    if !(1..4).any(|i| cx.wants_output(i)) {
        return Ok(vec![result]);
    }
    let (mean, inverse) = statistics(cx, sum, &[axis], epsilon)?;
    Ok(vec![result, mean, inverse, sum])
}

/// Operands: two that are added, scale and an optional bias. Results as of the other one, without a mean.
fn skip_rms_norm(cx: &mut NodeCx<'_, '_>) -> Converted {
    if cx.wants_output(1) {
        return Err(bad("its mean is wanted, which it does not define"));
    }
    let sum = sum_of(cx, cx.input(0)?, cx.input(1)?, 3, None)?;
    let (result, root) = rms_norm_of(cx, sum, cx.input(2)?, skip_epsilon(cx))?;
    let inverse = if cx.wants_output(2) { cx.unary("reciprocal", root)? } else { sum };
    Ok(vec![result, sum, inverse, sum])
}

/// `alpha · a · b`, each transposed in its last two dimensions if its attribute says so, and with its first dimension moved
/// behind the others of the batch if the other one does.
fn matmul(cx: &mut NodeCx<'_, '_>) -> Single {
    let mut operands = [cx.input(0)?, cx.input(1)?];
    for (operand, name) in operands.iter_mut().zip(["A", "B"]) {
        let rank = cx.rank(*operand)?;
        // A vector has nothing to transpose.
        if rank < 2 {
            continue;
        }
        let mut order: Vec<usize> = (0..rank).collect();
        if cx.flag(&format!("transBatch{name}")) {
            order[..rank - 1].rotate_left(1);
        }
        if cx.flag(&format!("trans{name}")) {
            order.swap(rank - 2, rank - 1);
        }
        *operand = cx.transpose(*operand, &order)?;
    }
    let product = cx.binary("matmul", operands[0], operands[1])?;
    cx.affine(product, cx.float("alpha").unwrap_or(1.0), 0.0)
}

fn check_activation(node: &Node<'_>) -> Result<(), String> {
    match node.text("activation").unwrap_or("") {
        "" | "Relu" | "Tanh" | "Sigmoid" | "LeakyRelu" | "Clip" | "HardSigmoid" | "HardSwish"
        | "Softplus" => Ok(()),
        other => Err(format!("activation `{other}` is not known")),
    }
}

pub(super) fn check_conv(node: &Node<'_>) -> Result<(), String> {
    check_padding(node)?;
    check_activation(node)
}

/// The activation that the node names, with parameters in the order of their names.
fn activate(cx: &mut NodeCx<'_, '_>, x: Value, params: &[f64]) -> Single {
    let param = |i: usize, default: f64| params.get(i).copied().unwrap_or(default);
    match cx.text("activation").unwrap_or("") {
        "Relu" => cx.unary("relu", x),
        "Tanh" => cx.unary("tanh", x),
        "Sigmoid" => cx.unary("sigmoid", x),
        "LeakyRelu" => {
            let slope = cx.number_like(x, param(0, f64::from(0.01_f32)))?;
            leaky(cx, x, slope)
        }
        "Clip" => cx.clamp(x, param(0, f64::from(f32::MIN)), param(1, f64::from(f32::MAX))),
        "Softplus" => cx.unary("softplus", x),
        "HardSwish" => {
            let gate = hard_sigmoid_of(cx, x, [param(0, 1.0 / 6.0), param(1, 0.5)])?;
            cx.binary("mul", x, gate)
        }
        "HardSigmoid" => hard_sigmoid_of(cx, x, [param(0, f64::from(0.2_f32)), param(1, 0.5)]),
        _ => Ok(x),
    }
}

/// Operands: data, weights, and, both optional, bias and what is added before the activation; data and the last are given.
pub(super) fn conv(cx: &mut NodeCx<'_, '_>, x: Value, other: Option<Value>) -> Single {
    let mut operands = vec![x, cx.input(1)?];
    operands.extend(cx.optional(2));
    let mut value = convolve(cx, "conv", Fill::Number(0.0), &operands)?;
    if let Some(other) = other {
        value = cx.binary("add", value, other)?;
    }
    let params: Vec<f64> =
        cx.floats("activation_params").unwrap_or_default().iter().map(|it| f64::from(*it)).collect();
    activate(cx, value, &params)
}

fn product_and_activation(cx: &mut NodeCx<'_, '_>) -> Single {
    let value = gemm(cx)?;
    activate(cx, value, &params(cx))
}

/// Numbers of the activation of a product.
fn params(cx: &NodeCx<'_, '_>) -> Vec<f64> {
    let names = ["activation_alpha", "activation_beta", "activation_gamma"];
    names.iter().map_while(|it| cx.float(it)).collect()
}

/// Operands: words, segments (or none), tables of words, positions and segments, scale, shift, and, both optional, a mask and
/// positions. Results: normalised sums of rows of the tables, how many of the mask are 1, and the sums.
fn embed_layer_norm(cx: &mut NodeCx<'_, '_>) -> Converted {
    let words = cx.input(0)?;
    let rows = |cx: &mut NodeCx<'_, '_>, table: Value, places: Value| {
        cx.emit("gather", attrs([("axis", 0.into())]), &[table, places])
    };
    let mut sum = rows(cx, cx.input(2)?, words)?;
    let positions = match cx.optional(8) {
        Some(positions) => positions,
        None => {
            let length = extent(cx, words, 1)?;
            count_up(cx, length)?
        }
    };
    let of_positions = rows(cx, cx.input(3)?, positions)?;
    sum = cx.binary("add", sum, of_positions)?;
    if let Some(table) = cx.optional(4) {
        // Without segments all words are of the first.
        let first = cx.int_scalar(0);
        let of_segments = rows(cx, table, cx.optional(1).unwrap_or(first))?;
        sum = cx.binary("add", sum, of_segments)?;
    }
    let axis = cx.axis(sum, -1)? as i64;
    let attributes = attrs([("axis", axis.into()), ("epsilon", skip_epsilon(cx).into())]);
    let result = cx.emit("layer_norm", attributes, &[sum, cx.input(5)?, cx.input(6)?])?;
    let mut results = vec![result];
    if cx.wants_output(1) || cx.wants_output(2) {
        let count = match cx.optional(7) {
            Some(mask) => {
                let ones = cx.with_number("equal", mask, 1.0)?;
                let ones = cx.cast(ones, DType::I32)?;
                cx.reduce("reduce_sum", ones, &[1], false)?
            }
            None => {
                let (shape, zero) = (cx.shape_part(words, 0, 1)?, cx.number(DType::I32, 0.0));
                cx.full(shape, zero)?
            }
        };
        results.extend([count, sum]);
    }
    Ok(results)
}
