//! Quantised values: a number is `(integer − zero point) · scale`.

use super::linalg::product;
use super::nn::{CONV, convolution};
use super::support::{Class, one, plain, pure};
use super::{Arity, AttrDef, AttrKind, InferCx, InferResult, OpRegistry};
use crate::diag::Diagnostic;
use crate::types::DType;

/// Integers of quantised values: those of products, those of `quantize`, those of `dequantize`.
pub(super) const QUANTIZED: [DType; 5] = [DType::I8, DType::U8, DType::I16, DType::U16, DType::I32];
/// Floats of mixed products.
const MIXED_FLOATS: [DType; 3] = [DType::F32, DType::F16, DType::BF16];
const QUANTIZE: &[AttrDef] = &[AttrDef::required("to", AttrKind::DType)];

pub(crate) fn register(ops: &mut OpRegistry) {
    ops.register(pure("quantize", Arity::between(2, 3), QUANTIZE, quantize).by_element());
    ops.register(pure("dequantize", Arity::between(2, 3), &[], dequantize).by_element());
    ops.register(pure("matmul_integer", Arity::between(2, 4), &[], matmul_integer));
    ops.register(pure("conv_integer", Arity::between(2, 4), CONV, conv_integer));
    ops.register(pure("matmul_mixed", Arity::between(2, 3), &[], matmul_mixed));
    ops.register(pure("conv_mixed", Arity::between(2, 3), CONV, conv_mixed));
}

/// Requires one of some integer types.
pub(super) fn check_type(found: DType, admitted: &[DType], what: &str) -> Result<(), Diagnostic> {
    if admitted.contains(&found) {
        return Ok(());
    }
    let names: Vec<String> = admitted.iter().map(DType::to_string).collect();
    Err(Diagnostic::error("O013", format!("{what} is {found} but must be one of {}", names.join(", "))))
}

fn quantize(cx: &mut InferCx<'_>) -> InferResult {
    cx.tensor_of(0, Class::Float)?;
    cx.same_dtype(0, 1)?;
    let to = cx.attrs.dtype("to").unwrap_or(DType::U8);
    check_type(to, &QUANTIZED[..4], "attribute `to`")?;
    if cx.has(2) && cx.tensor(2)?.dtype != to {
        let message = format!("operand 2 is {} but the result is {to}", cx.tensor(2)?.dtype);
        return Err(Diagnostic::error("O012", message).help("insert a `cast`"));
    }
    broadcast(cx, to)
}

fn dequantize(cx: &mut InferCx<'_>) -> InferResult {
    check_type(cx.tensor(0)?.dtype, &QUANTIZED, "operand 0")?;
    let to = cx.tensor_of(1, Class::Float)?.dtype;
    if cx.has(2) {
        cx.same_dtype(0, 2)?;
    }
    broadcast(cx, to)
}

/// Elements of `to` for each place of the broadcast operands.
fn broadcast(cx: &mut InferCx<'_>, to: DType) -> InferResult {
    let shapes: Vec<_> =
        (0..cx.args.len()).map(|i| Ok(&cx.tensor(i)?.shape)).collect::<Result<_, Diagnostic>>()?;
    let shape = cx.broadcast(&shapes)?;
    one(plain(to, shape))
}

fn matmul_integer(cx: &mut InferCx<'_>) -> InferResult {
    check_bytes(cx)?;
    let result = product(cx, DType::I32)?;
    zero_point(cx, 0, 2, summed_of_a)?;
    zero_point(cx, 1, 3, summed_of_b)?;
    Ok(result)
}

/// Whether a matrix product sums along a dimension of its first operand.
fn summed_of_a(axis: usize, rank: usize) -> bool {
    axis + 1 == rank
}

/// The same for its second operand.
fn summed_of_b(axis: usize, rank: usize) -> bool {
    axis + 2 == rank || rank == 1
}

fn conv_integer(cx: &mut InferCx<'_>) -> InferResult {
    check_bytes(cx)?;
    let result = convolution(cx, DType::I32)?;
    zero_point(cx, 0, 2, |_, _| true)?;
    zero_point(cx, 1, 3, |axis, _| axis > 0)?;
    Ok(result)
}

fn matmul_mixed(cx: &mut InferCx<'_>) -> InferResult {
    let integers = mixed_operand(cx)?;
    let result = product(cx, DType::F32)?;
    match integers {
        Some(0) => zero_point(cx, 0, 2, summed_of_a)?,
        _ => zero_point(cx, 1, 2, summed_of_b)?,
    }
    Ok(result)
}

fn conv_mixed(cx: &mut InferCx<'_>) -> InferResult {
    if mixed_operand(cx)? == Some(0) {
        check_type(cx.tensor(0)?.dtype, &MIXED_FLOATS, "operand 0")?;
    }
    let result = convolution(cx, DType::F32)?;
    zero_point(cx, 1, 2, |axis, _| axis > 0)?;
    Ok(result)
}

/// Which operand of a mixed product is integers, if one is.
fn mixed_operand(cx: &InferCx<'_>) -> Result<Option<usize>, Diagnostic> {
    let types = [cx.tensor(0)?.dtype, cx.tensor(1)?.dtype];
    let integers = types.iter().position(|it| !MIXED_FLOATS.contains(it));
    if let Some(i) = integers {
        check_type(types[i], &QUANTIZED[..4], &format!("operand {i}"))?;
        check_type(types[1 - i], &MIXED_FLOATS, &format!("operand {}", 1 - i))?;
    } else if cx.has(2) {
        let message = "operand 2 is a zero point but no operand is integers";
        return Err(Diagnostic::error("O013", message).help("leave it out"));
    }
    Ok(integers)
}

fn check_bytes(cx: &InferCx<'_>) -> Result<(), Diagnostic> {
    for i in 0..2 {
        check_type(cx.tensor(i)?.dtype, &QUANTIZED[..2], &format!("operand {i}"))?;
    }
    Ok(())
}

/// The zero point of operand `i`, which is operand `zero`, when it is given, broadcasts to the operand and is the same along its dimensions that
/// `summed` names by their place and the rank.
fn zero_point(
    cx: &mut InferCx<'_>,
    i: usize,
    zero: usize,
    summed: impl Fn(usize, usize) -> bool,
) -> Result<(), Diagnostic> {
    if !cx.has(zero) {
        return Ok(());
    }
    cx.same_dtype(i, zero)?;
    let (Some(rank), Some(own)) = (cx.tensor(i)?.shape.rank(), cx.tensor(zero)?.shape.rank()) else {
        return Ok(());
    };
    let Some(skip) = rank.checked_sub(own) else {
        let message =
            format!("operand {zero} has rank {own} but operand {i}, whose zero point it is, has rank {rank}");
        return Err(Diagnostic::error("S003", message));
    };
    let Some(dims) = cx.dims(zero)? else { return Ok(()) };
    let one = cx.shapes.int(1);
    for (axis, dim) in dims.iter().enumerate() {
        let to = match cx.dims(i)? {
            _ if summed(skip + axis, rank) => one,
            Some(operand) if *dim != one => operand[skip + axis],
            _ => continue,
        };
        cx.require_eq(*dim, to, &format!("dimension {axis} of operand {zero} (zero point of operand {i})"))?;
    }
    Ok(())
}
