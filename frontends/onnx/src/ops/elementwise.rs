//! Elementwise operators and activations.

use super::reduce::cut_off;
use super::single;
use crate::emit::attrs;
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::OpTable;
use crate::tensor::{dtype_of, number_of};
use orogen_ir::diag::Diagnostic;
use orogen_ir::scalar::ScalarFn;
use orogen_ir::types::{DType, Special, TensorData};

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    for function in ScalarFn::all() {
        let Some(op) = function.operator() else { continue };
        for name in function.onnx() {
            table.register("", name, .., single(move |cx| apply(cx, op, function.arity())));
        }
    }
    // In operator set 9 of integers too.
    table.register(
        "",
        "Erf",
        ..,
        single(|cx| {
            let x = cx.input(0)?;
            cut_off(cx, x, |cx, x| cx.unary("erf", x))
        }),
    );
    table.register("", "Relu", .., single(|cx| cx.unary("relu", cx.input(0)?)));
    for (name, op) in [("Max", "max"), ("Min", "min"), ("Sum", "add")] {
        table.register("", name, .., single(move |cx| fold(cx, op)));
    }
    table.register("", "Mean", .., single(mean));
    table.register("", "Mod", .., single(modulo));
    table.register("", "Pow", .., single(pow));
    table.register("", "BitShift", .., single(bit_shift));
    table.register("", "Where", .., single(|cx| cx.select(cx.input(0)?, cx.input(1)?, cx.input(2)?)));
    table.register("", "IsInf", .., single(is_inf));
    table.register_checked("", "Cast", .., |node| cast_target(node).map(drop), single(cast));
    table.register("", "CastLike", .., single(cast_like));
    table.register_checked("", "BitCast", .., |node| bits_target(node).map(drop), single(bit_cast));
    table.register("", "Identity", .., single(|cx| cx.input(0)));
    table.register("", "Clip", ..=10, single(clip_attributes));
    table.register("", "Clip", 11.., single(clip_operands));
    register_activations(table);
}

fn register_activations(table: &mut OpTable) {
    table.register("", "HardSigmoid", .., single(hard_sigmoid));
    table.register("", "HardSwish", .., single(hard_swish));
    table.register("", "Elu", .., single(elu));
    table.register("", "Selu", .., single(selu));
    table.register("", "Celu", .., single(celu));
    table.register("", "LeakyRelu", .., single(leaky_relu));
    table.register("", "PRelu", .., single(|cx| leaky(cx, cx.input(0)?, cx.input(1)?)));
    table.register("", "ThresholdedRelu", .., single(thresholded_relu));
    table.register("", "Shrink", .., single(shrink));
    table.register("", "Softsign", .., single(softsign));
    table.register("", "Mish", .., single(mish));
    table.register("", "Gelu", .., single(gelu));
    table.register("", "Swish", .., single(swish));
    table.register(
        "",
        "SwiGLU",
        ..,
        single(|cx| {
            let gate = swish(cx)?;
            cx.binary("mul", gate, cx.input(1)?)
        }),
    );
}

/// An operator over one function of its elements.
fn apply(cx: &mut NodeCx<'_, '_>, op: &str, arity: usize) -> Single {
    let operands = (0..arity).map(|i| cx.input(i)).collect::<Result<Vec<_>, _>>()?;
    cx.emit(op, attrs([]), &operands)
}

fn fold(cx: &mut NodeCx<'_, '_>, op: &str) -> Single {
    let list = cx.all_inputs()?;
    let (first, rest) = list.split_first().ok_or_else(|| bad("it has no operands"))?;
    rest.iter().try_fold(*first, |sum, it| cx.binary(op, sum, *it))
}

fn mean(cx: &mut NodeCx<'_, '_>) -> Single {
    let sum = fold(cx, "add")?;
    let count = cx.input_count() as f64;
    cx.with_number("div", sum, count)
}

fn modulo(cx: &mut NodeCx<'_, '_>) -> Single {
    let attrs = attrs([("fmod", cx.flag("fmod").into())]);
    cx.emit("mod", attrs, &[cx.input(0)?, cx.input(1)?])
}

/// The result has the type of the base, whatever the type of the exponent.
fn pow(cx: &mut NodeCx<'_, '_>) -> Single {
    let (base, exponent) = (cx.input(0)?, cx.input(1)?);
    let (base_type, exponent_type) = (cx.dtype(base)?, cx.dtype(exponent)?);
    // Integers that the other type does not hold: a base, or an exponent that is odd or even.
    let is_exact = match (base_type.is_float(), exponent_type.is_float()) {
        (true, false) => match cx.constant_data(exponent) {
            Some(data) => data.to_f64().into_iter().all(|it| base_type.round(it) == it),
            None => exponent_type.size() < base_type.size(),
        },
        (false, true) => false,
        _ => true,
    };
    let held = if is_exact { base_type } else { DType::F64 };
    let (base, exponent) = (cx.cast(base, held)?, cx.cast(exponent, held)?);
    let power = cx.binary("pow", base, exponent)?;
    cx.cast(power, base_type)
}

fn bit_shift(cx: &mut NodeCx<'_, '_>) -> Single {
    let op = match cx.text("direction") {
        Some("LEFT") => "shift_left",
        Some("RIGHT") => "shift_right",
        other => return Err(bad(format!("direction {other:?} is neither LEFT nor RIGHT"))),
    };
    let (x, distance) = (cx.input(0)?, cx.input(1)?);
    let dtype = cx.dtype(x)?;
    let width = 8 * dtype.size() as i64;
    let shifted = cx.binary(op, x, distance)?;
    if cx.const_ints(distance).is_some_and(|list| list.iter().all(|it| (0..width).contains(it))) {
        return Ok(shifted);
    }
    // Every bit is shifted out; what comes in is the sign or 0.
    let mut beyond = cx.with_number("greater_equal", distance, width as f64)?;
    if dtype.is_signed_int() {
        let negative = cx.with_number("less", distance, 0.0)?;
        beyond = cx.binary("or", beyond, negative)?;
    }
    let mut rest = cx.number(dtype, 0.0);
    if op == "shift_right" && dtype.is_signed_int() {
        let negative = cx.with_number("less", x, 0.0)?;
        let ones = cx.number(dtype, -1.0);
        rest = cx.select(negative, ones, rest)?;
    }
    cx.select(beyond, rest, shifted)
}

fn is_inf(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let infinite = cx.unary("is_inf", x)?;
    let sign = match (cx.int("detect_positive").unwrap_or(1), cx.int("detect_negative").unwrap_or(1)) {
        (0, 0) => {
            let never = cx.unary("not", infinite)?;
            return cx.binary("and", infinite, never);
        }
        (0, _) => cx.with_number("less", x, 0.0)?,
        (_, 0) => cx.with_number("greater", x, 0.0)?,
        _ => return Ok(infinite),
    };
    cx.binary("and", infinite, sign)
}

/// What a cast converts to. Before operator set 6 it is a name.
fn cast_target(node: &Node<'_>) -> Result<DType, String> {
    let to = match node.opset() {
        ..6 => node.text("to").and_then(number_of),
        _ => node.int("to").and_then(|it| i32::try_from(it).ok()),
    };
    match dtype_of(to.ok_or("attribute `to` is missing or names no element type")?)? {
        to if to.is_only_moved() && to != DType::Str => {
            Err(format!("nothing is converted to {to}, which is only moved"))
        }
        to => Ok(to),
    }
}

/// The type whose bits a node reads its operand as.
fn bits_target(node: &Node<'_>) -> Result<DType, String> {
    let to = node.int("to").and_then(|it| i32::try_from(it).ok());
    match dtype_of(to.ok_or("attribute `to` is missing or names no element type")?)? {
        DType::Str => Err("strings have no bits".into()),
        to => Ok(to),
    }
}

fn cast(cx: &mut NodeCx<'_, '_>) -> Single {
    let to = cast_target(cx).map_err(not_supported)?;
    convert(cx, cx.input(0)?, to)
}

fn bit_cast(cx: &mut NodeCx<'_, '_>) -> Single {
    let to = bits_target(cx).map_err(not_supported)?;
    let (x, from) = (cx.input(0)?, cx.dtype(cx.input(0)?)?);
    if from.width() != to.width() {
        return Err(bad(format!(
            "elements of {} bits ({from}) are not those of {} bits ({to})",
            from.width(),
            to.width()
        )));
    }
    cx.emit("bit_cast", attrs([("to", to.into())]), &[x])
}

fn cast_like(cx: &mut NodeCx<'_, '_>) -> Single {
    let to = cx.dtype(cx.input(1)?)?;
    convert(cx, cx.input(0)?, to)
}

/// A cast as a node says it: what is beyond the largest number of a float of 8 bits becomes that number, or with
/// `saturate` 0 infinity, or NaN where there is none; of integers narrower than a byte the low bits are kept.
pub(super) fn convert(cx: &mut NodeCx<'_, '_>, x: Value, to: DType) -> Single {
    let from = cx.dtype(x)?;
    if from != to && (from == DType::Str || to == DType::Str) {
        return convert_text(cx, x, to);
    }
    if to.is_only_stored() && from.is_float() {
        // The low bits of the integer that it is.
        let whole = cx.cast(x, DType::I32)?;
        return cx.cast(whole, to);
    }
    let Some(format) = to.float_format().filter(|_| to.bits() == 8 && from != to) else {
        return cx.cast(x, to);
    };
    if format.special == Special::Powers {
        return power_of_two(cx, x, to);
    }
    let most = format.decode(format.most());
    if cx.int("saturate") != Some(0) || format.special == Special::None {
        // The cast keeps infinity where the type has one.
        let x = if from.is_float() && format.infinity().is_some() { cx.clamp(x, -most, most)? } else { x };
        return cx.cast(x, to);
    }
    let x = if from.is_float() { x } else { cx.cast(x, DType::F32)? };
    let saturated = cx.cast(x, to)?;
    // Half-way to what would be the next number; a tie goes to the even one.
    let border = most + (most - format.decode(format.most() - 1)) / 2.0;
    let test = if format.most() % 2 == 0 { "greater" } else { "greater_equal" };
    let magnitude = cx.unary("abs", x)?;
    let beyond = cx.with_number(test, magnitude, border)?;
    let mut constant = |bits: u64| {
        let data = TensorData::from_unpacked(to, Vec::new(), vec![bits as u8].into());
        cx.constant(data.expect("one byte is an element"))
    };
    let above = constant(format.infinity().unwrap_or(format.nan()));
    let below = constant(format.infinity().map_or(format.nan(), |it| it | format.sign()));
    let negative = cx.with_number("less", x, 0.0)?;
    let replaced = cx.select(negative, below, above)?;
    cx.select(beyond, replaced, saturated)
}

/// A cast between strings and other types, by way of those that numbers are written and read in. Functions of the host do
/// it, whose operators a compiler may lack. What a string is true for is its length.
fn convert_text(cx: &mut NodeCx<'_, '_>, x: Value, to: DType) -> Single {
    let wide = |dtype: DType| match dtype {
        _ if dtype.bits() == 64 && !dtype.is_only_moved() => dtype,
        _ if dtype.is_float() => DType::F32,
        _ => DType::I64,
    };
    let from = cx.dtype(x)?;
    if to == DType::Bool {
        return cx.cast(x, to);
    }
    let moved = if from == DType::Str { to } else { from };
    if moved.is_only_moved() {
        return Err(not_supported(format!("nothing is converted from {from} to {to}")));
    }
    if to == DType::Str {
        let x = cx.cast(x, wide(from))?;
        return cx.unary("text.format", x);
    }
    let op = match wide(to) {
        DType::F32 => "text.parse_single",
        DType::F64 => "text.parse_double",
        DType::U64 => "text.parse_unsigned",
        _ => "text.parse_int",
    };
    let number = cx.unary(op, x)?;
    convert(cx, number, to)
}

/// A cast to powers of two, rounded as `round_mode` says: up without it. Numbers beyond the largest become it, or NaN with
/// `saturate` 0; infinity becomes NaN, and a sign is dropped.
fn power_of_two(cx: &mut NodeCx<'_, '_>, x: Value, to: DType) -> Single {
    // The nearest power is compared in a type that holds it and the number.
    let held = if cx.dtype(x)? == DType::F64 { DType::F64 } else { DType::F32 };
    let x = cx.cast(x, held)?;
    let magnitude = cx.unary("abs", x)?;
    let nearest = cx.cast(magnitude, to)?;
    let power = cx.cast(nearest, held)?;
    let most = to.round(f64::MAX);
    let mode = cx.text("round_mode").unwrap_or("up");
    let (rounded, beyond) = match mode {
        "nearest" => (power, Some(("greater_equal", 1.5 * most))),
        "up" | "down" => {
            let (test, step) = if mode == "up" { ("less", 2.0) } else { ("greater", 0.5) };
            let passed = cx.binary(test, power, magnitude)?;
            let next = cx.with_number("mul", power, step)?;
            let rounded = cx.select(passed, next, power)?;
            (rounded, (mode == "up").then_some(("greater", most)))
        }
        other => return Err(bad(format!("rounding mode `{other}` is not known"))),
    };
    let limited = cx.with_number("min", rounded, most)?;
    let result = cx.cast(limited, to)?;
    match beyond.filter(|_| cx.int("saturate") == Some(0)) {
        Some((test, border)) => {
            let beyond = cx.with_number(test, magnitude, border)?;
            let nan = cx.number(to, f64::NAN);
            cx.select(beyond, nan, result)
        }
        None => Ok(result),
    }
}

/// Inference only: the value itself and a mask of ones.
fn clip_attributes(cx: &mut NodeCx<'_, '_>) -> Single {
    let mut x = cx.input(0)?;
    if let Some(low) = cx.float("min") {
        x = cx.with_number("max", x, low)?;
    }
    if let Some(high) = cx.float("max") {
        x = cx.with_number("min", x, high)?;
    }
    Ok(x)
}

fn clip_operands(cx: &mut NodeCx<'_, '_>) -> Single {
    let mut x = cx.input(0)?;
    for (i, op) in [(1, "max"), (2, "min")] {
        if let Some(bound) = cx.optional(i) {
            // A bound of shape [1] must not add a dimension to a scalar.
            let bound =
                if cx.rank(bound)? > 0 && cx.rank(x)? == 0 { cx.squeeze(bound, &[0])? } else { bound };
            x = cx.binary(op, x, bound)?;
        }
    }
    Ok(x)
}

fn hard_sigmoid(cx: &mut NodeCx<'_, '_>) -> Single {
    let (alpha, beta) = (cx.float("alpha").unwrap_or(f64::from(0.2f32)), cx.float("beta").unwrap_or(0.5));
    hard_sigmoid_of(cx, cx.input(0)?, [alpha, beta])
}

/// `alpha·x + beta`, limited to what lies between 0 and 1.
pub(super) fn hard_sigmoid_of(cx: &mut NodeCx<'_, '_>, x: Value, [alpha, beta]: [f64; 2]) -> Single {
    let line = cx.affine(x, alpha, beta)?;
    cx.clamp(line, 0.0, 1.0)
}

fn hard_swish(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let line = cx.affine(x, 1.0 / 6.0, 0.5)?;
    let gate = cx.clamp(line, 0.0, 1.0)?;
    cx.binary("mul", x, gate)
}

/// `max(x, 0) + alpha·expm1(min(x, 0) / scale)`: no branch sees an overflow of the other one.
fn exponential_unit(cx: &mut NodeCx<'_, '_>, alpha: f64, scale: f64) -> Single {
    let x = cx.input(0)?;
    let positive = cx.unary("relu", x)?;
    let negative = cx.with_number("min", x, 0.0)?;
    let scaled = if scale == 1.0 { negative } else { cx.with_number("div", negative, scale)? };
    let grown = cx.unary("expm1", scaled)?;
    let weighted = cx.affine(grown, alpha, 0.0)?;
    cx.binary("add", positive, weighted)
}

fn elu(cx: &mut NodeCx<'_, '_>) -> Single {
    let alpha = cx.float("alpha").unwrap_or(1.0);
    exponential_unit(cx, alpha, 1.0)
}

fn celu(cx: &mut NodeCx<'_, '_>) -> Single {
    let alpha = cx.float("alpha").unwrap_or(1.0);
    if alpha <= 0.0 {
        return Err(bad(format!("attribute `alpha` is {alpha} but must be positive")));
    }
    exponential_unit(cx, alpha, alpha)
}

fn selu(cx: &mut NodeCx<'_, '_>) -> Single {
    let (alpha, gamma): (f32, f32) = match cx.opset() {
        ..6 => (1.6732, 1.0507),
        _ => (1.673_263_2, 1.050_701),
    };
    let alpha = cx.float("alpha").unwrap_or(f64::from(alpha));
    let gamma = cx.float("gamma").unwrap_or(f64::from(gamma));
    let unit = exponential_unit(cx, alpha, 1.0)?;
    cx.with_number("mul", unit, gamma)
}

fn leaky_relu(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let alpha = cx.float("alpha").unwrap_or(f64::from(0.01f32));
    let slope = cx.number_like(x, alpha)?;
    leaky(cx, x, slope)
}

/// `x` where it is not negative, else `slope·x`.
pub(super) fn leaky(cx: &mut NodeCx<'_, '_>, x: Value, slope: Value) -> Single {
    let negative = cx.with_number("less", x, 0.0)?;
    let scaled = cx.binary("mul", x, slope)?;
    cx.select(negative, scaled, x)
}

fn thresholded_relu(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let alpha = cx.float("alpha").unwrap_or(1.0);
    let above = cx.with_number("greater", x, alpha)?;
    let zero = cx.number_like(x, 0.0)?;
    cx.select(above, x, zero)
}

fn shrink(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let (lambda, bias) = (cx.float("lambd").unwrap_or(0.5), cx.float("bias").unwrap_or(0.0));
    let (below, above) = (cx.with_number("less", x, -lambda)?, cx.with_number("greater", x, lambda)?);
    let (raised, lowered) = (cx.with_number("add", x, bias)?, cx.with_number("sub", x, bias)?);
    let zero = cx.number_like(x, 0.0)?;
    let rest = cx.select(above, lowered, zero)?;
    cx.select(below, raised, rest)
}

fn softsign(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let magnitude = cx.unary("abs", x)?;
    let divisor = cx.with_number("add", magnitude, 1.0)?;
    cx.binary("div", x, divisor)
}

fn mish(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let soft = cx.unary("softplus", x)?;
    let gate = cx.unary("tanh", soft)?;
    cx.binary("mul", x, gate)
}

fn gelu(cx: &mut NodeCx<'_, '_>) -> Single {
    let curve = match cx.text("approximate").unwrap_or("none") {
        "none" => Curve::Erf,
        "tanh" => Curve::Tanh,
        other => return Err(bad(format!("approximation `{other}` is not known"))),
    };
    gelu_of(cx, cx.input(0)?, curve)
}

/// What a GELU takes for the normal distribution.
#[derive(Clone, Copy, Debug)]
pub(super) enum Curve {
    /// Itself.
    Erf,
    /// An approximation by the hyperbolic tangent.
    Tanh,
}

pub(super) fn gelu_of(cx: &mut NodeCx<'_, '_>, x: Value, curve: Curve) -> Single {
    let curve = match curve {
        Curve::Erf => {
            let scaled = cx.with_number("mul", x, std::f64::consts::FRAC_1_SQRT_2)?;
            cx.unary("erf", scaled)?
        }
        Curve::Tanh => {
            let (square, root) = (cx.square(x)?, (2.0 / std::f64::consts::PI).sqrt());
            let factor = cx.affine(square, 0.044_715 * root, root)?;
            let inner = cx.binary("mul", x, factor)?;
            cx.unary("tanh", inner)?
        }
    };
    let half = cx.with_number("mul", x, 0.5)?;
    let gate = cx.with_number("add", curve, 1.0)?;
    cx.binary("mul", half, gate)
}

fn swish(cx: &mut NodeCx<'_, '_>) -> Single {
    swish_of(cx, cx.float("alpha").unwrap_or(1.0))
}

/// `x·sigmoid(alpha·x)` of operand 0.
pub(super) fn swish_of(cx: &mut NodeCx<'_, '_>, alpha: f64) -> Single {
    let x = cx.input(0)?;
    let scaled = cx.affine(x, alpha, 0.0)?;
    let gate = cx.unary("sigmoid", scaled)?;
    cx.binary("mul", x, gate)
}
