//! Operators of `com.microsoft` that stand for several of the standard, as ONNX Runtime's optimiser writes them, in floats.

use super::conv::{Fill, check_padding, convolve};
use super::elementwise::{Curve, gelu_of, hard_sigmoid_of, leaky, swish_of};
use super::linalg::gemm;
use super::norm::{rms_norm, rms_norm_of, statistics};
use super::single;
use crate::emit::attrs;
use crate::node::{Node, NodeCx, bad};
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use orogen_ir::diag::Diagnostic;

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
    table.register("", "SimplifiedLayerNormalization", .., single(rms_norm));
    for name in ["FusedMatMul", "TransposeMatMul"] {
        table.register_checked(DOMAIN, name, .., check_matmul, single(matmul));
    }
    table.register_checked(DOMAIN, "FusedConv", .., check_conv, single(conv));
    table.register_checked(DOMAIN, "FusedGemm", .., check_activation, single(product_and_activation));
}

fn biased_gelu(cx: &mut NodeCx<'_, '_>, curve: Curve) -> Single {
    let mut x = cx.input(0)?;
    if let Some(bias) = cx.optional(1) {
        x = cx.binary("add", x, bias)?;
    }
    gelu_of(cx, x, curve)
}

/// The sum of what is normalised: two operands, and the bias that is operand `i`, if it is given.
fn skip_sum(cx: &mut NodeCx<'_, '_>, i: usize) -> Single {
    let sum = cx.binary("add", cx.input(0)?, cx.input(1)?)?;
    cx.optional(i).map_or(Ok(sum), |bias| cx.binary("add", sum, bias))
}

fn skip_epsilon(cx: &NodeCx<'_, '_>) -> f64 {
    cx.float("epsilon").unwrap_or(f64::from(1e-12_f32))
}

/// Operands: two that are added, scale, and, both optional, shift and bias. Results: the normalised sum, its mean, the
/// reciprocal of its deviation, and the sum.
fn skip_layer_norm(cx: &mut NodeCx<'_, '_>) -> Converted {
    let sum = skip_sum(cx, 4)?;
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
    if (1..3).any(|i| cx.wants_output(i)) {
        return Err(bad("its statistics are wanted, which it does not define"));
    }
    let sum = skip_sum(cx, 3)?;
    let result = rms_norm_of(cx, sum, cx.input(2)?, skip_epsilon(cx))?;
    Ok(vec![result, sum, sum, sum])
}

fn check_matmul(node: &Node<'_>) -> Result<(), String> {
    match node.flag("transBatchA") || node.flag("transBatchB") {
        true => Err("`transBatchA` and `transBatchB` are not supported".into()),
        false => Ok(()),
    }
}

/// `alpha · a · b`, each transposed in its last two dimensions if its attribute says so.
fn matmul(cx: &mut NodeCx<'_, '_>) -> Single {
    let mut operands = [cx.input(0)?, cx.input(1)?];
    for (operand, name) in operands.iter_mut().zip(["transA", "transB"]) {
        let rank = cx.rank(*operand)?;
        // A vector has nothing to transpose.
        if cx.flag(name) && rank > 1 {
            let order: Vec<usize> = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
            *operand = cx.transpose(*operand, &order)?;
        }
    }
    let product = cx.binary("matmul", operands[0], operands[1])?;
    cx.affine(product, cx.float("alpha").unwrap_or(1.0), 0.0)
}

fn check_activation(node: &Node<'_>) -> Result<(), String> {
    match node.text("activation").unwrap_or("") {
        "" | "Relu" | "Tanh" | "Sigmoid" | "LeakyRelu" | "Clip" | "HardSigmoid" => Ok(()),
        other => Err(format!("activation `{other}` is not known")),
    }
}

fn check_conv(node: &Node<'_>) -> Result<(), String> {
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
        "HardSigmoid" => hard_sigmoid_of(cx, x, [param(0, f64::from(0.2_f32)), param(1, 0.5)]),
        _ => Ok(x),
    }
}

/// Operands: data, weights, and, both optional, bias and what is added before the activation.
fn conv(cx: &mut NodeCx<'_, '_>) -> Single {
    let mut operands = vec![cx.input(0)?, cx.input(1)?];
    operands.extend(cx.optional(2));
    let mut value = convolve(cx, "conv", Fill::Number(0.0), &operands)?;
    if let Some(other) = cx.optional(3) {
        value = cx.binary("add", value, other)?;
    }
    let params: Vec<f64> =
        cx.floats("activation_params").unwrap_or_default().iter().map(|it| f64::from(*it)).collect();
    activate(cx, value, &params)
}

fn product_and_activation(cx: &mut NodeCx<'_, '_>) -> Single {
    let value = gemm(cx)?;
    let names = ["activation_alpha", "activation_beta", "activation_gamma"];
    let params: Vec<f64> = names.iter().map_while(|it| cx.float(it)).collect();
    activate(cx, value, &params)
}
