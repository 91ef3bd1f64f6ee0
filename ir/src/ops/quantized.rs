//! Quantised values: a number is `(integer − zero point) · scale`.

use super::linalg::product;
use super::nn::{CONV, convolution};
use super::support::{Class, one, plain, pure};
use super::{Arity, AttrDef, AttrKind, InferCx, InferResult, OpRegistry};
use crate::diag::Diagnostic;
use crate::types::DType;

/// Integers of quantised values: those of products, those of `quantize`, those of `dequantize`.
pub(super) const QUANTIZED: [DType; 5] = [DType::I8, DType::U8, DType::I16, DType::U16, DType::I32];
const QUANTIZE: &[AttrDef] = &[AttrDef::required("to", AttrKind::DType)];

pub(crate) fn register(ops: &mut OpRegistry) {
    ops.register(pure("quantize", Arity::between(2, 3), QUANTIZE, quantize).by_element());
    ops.register(pure("dequantize", Arity::between(2, 3), &[], dequantize).by_element());
    ops.register(pure("matmul_integer", Arity::between(2, 4), &[], matmul_integer));
    ops.register(pure("conv_integer", Arity::between(2, 4), CONV, conv_integer));
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
    // The sum goes along the last dimension of a and the last but one of b.
    zero_point(cx, 0, |axis, rank| axis + 1 == rank)?;
    zero_point(cx, 1, |axis, rank| axis + 2 == rank || rank == 1)?;
    Ok(result)
}

fn conv_integer(cx: &mut InferCx<'_>) -> InferResult {
    check_bytes(cx)?;
    let result = convolution(cx, DType::I32)?;
    zero_point(cx, 0, |_, _| true)?;
    zero_point(cx, 1, |axis, _| axis > 0)?;
    Ok(result)
}

fn check_bytes(cx: &InferCx<'_>) -> Result<(), Diagnostic> {
    for i in 0..2 {
        check_type(cx.tensor(i)?.dtype, &QUANTIZED[..2], &format!("operand {i}"))?;
    }
    Ok(())
}

/// The zero point of operand `i`, when it is given, broadcasts to the operand and is the same along its dimensions that
/// `summed` names by their place and the rank.
fn zero_point(
    cx: &mut InferCx<'_>,
    i: usize,
    summed: impl Fn(usize, usize) -> bool,
) -> Result<(), Diagnostic> {
    let zero = i + 2;
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
