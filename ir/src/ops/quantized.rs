//! Quantised values: a number is `(integer − zero point) · scale`.

use super::linalg::product;
use super::nn::{CONV, convolution};
use super::support::{Class, one, plain};
use super::{Arity, AttrDef, AttrKind, InferCx, InferResult, OpDef, OpRegistry};
use crate::diag::Diagnostic;
use crate::types::DType;

/// Integers of products and of `quantize`.
fn is_factor(dtype: DType) -> bool {
    dtype.is_int_of(&[8, 16])
}

/// What `dequantize` takes: those integers, sums of their products, and all that is only stored.
fn is_quantized(dtype: DType) -> bool {
    is_factor(dtype) || dtype == DType::I32 || dtype.is_storage()
}

/// Weights of mixed products.
fn is_weight(dtype: DType) -> bool {
    is_factor(dtype) || dtype.is_storage()
}

/// Floats of mixed products.
fn is_mixed_float(dtype: DType) -> bool {
    dtype.is_float() && dtype.compute() == DType::F32 && !dtype.is_storage()
}

/// Integers in bytes.
pub(super) fn is_byte(dtype: DType) -> bool {
    dtype.is_int_of(&[8])
}

const BLOCK: &[AttrDef] = &[AttrDef::required("block", AttrKind::Int)];
const AXIS_AND_BLOCK: &[AttrDef] =
    &[AttrDef::required("axis", AttrKind::Int), AttrDef::required("block", AttrKind::Int)];
const SUM: &[AttrDef] = &[AttrDef::optional("to", AttrKind::DType)];
const QUANTIZE: &[AttrDef] = &[AttrDef::required("to", AttrKind::DType)];

pub(crate) fn register(ops: &mut OpRegistry) {
    ops.register(OpDef::pure("quantize", Arity::between(2, 3), QUANTIZE, quantize).by_element());
    ops.register(OpDef::pure("dequantize", Arity::between(2, 3), &[], dequantize).by_element());
    ops.register(OpDef::pure("dequantize_blocks", Arity::between(2, 3), AXIS_AND_BLOCK, dequantize_blocks));
    ops.register(OpDef::pure("matmul_blocks", Arity::between(3, 4), BLOCK, matmul_blocks));
    ops.register(OpDef::pure("matmul_integer", Arity::between(2, 4), SUM, matmul_integer));
    ops.register(OpDef::pure("conv_integer", Arity::between(2, 4), CONV, conv_integer));
    ops.register(OpDef::pure("matmul_mixed", Arity::between(2, 3), &[], matmul_mixed));
    ops.register(OpDef::pure("conv_mixed", Arity::between(2, 3), CONV, conv_mixed));
}

/// Requires one of the types that are admitted.
pub(super) fn check_type(found: DType, admits: fn(DType) -> bool, what: &str) -> Result<(), Diagnostic> {
    if admits(found) {
        return Ok(());
    }
    let admitted = DType::ALL.into_iter().filter(|it| admits(*it));
    let names: Vec<String> = admitted.map(|it| it.to_string()).collect();
    Err(Diagnostic::error("O013", format!("{what} is {found} but must be one of {}", names.join(", "))))
}

fn quantize(cx: &mut InferCx<'_>) -> InferResult {
    cx.tensor_of(0, Class::Float)?;
    cx.same_dtype(0, 1)?;
    let to = cx.attrs.dtype("to").unwrap_or(DType::U8);
    check_type(to, is_factor, "attribute `to`")?;
    if cx.has(2) && cx.tensor(2)?.dtype != to {
        let message = format!("operand 2 is {} but the result is {to}", cx.tensor(2)?.dtype);
        return Err(Diagnostic::error("O012", message).help("insert a `cast`"));
    }
    broadcast(cx, to)
}

fn dequantize(cx: &mut InferCx<'_>) -> InferResult {
    check_type(cx.tensor(0)?.dtype, is_quantized, "operand 0")?;
    let to = cx.tensor_of(1, Class::Float)?.dtype;
    if cx.has(2) {
        check_zero(cx, 0, 2)?;
        cx.same_dtype(0, 2)?;
    }
    broadcast(cx, to)
}

/// Floats have no zero point.
fn check_zero(cx: &InferCx<'_>, i: usize, zero: usize) -> Result<(), Diagnostic> {
    if !cx.tensor(i)?.dtype.is_float() {
        return Ok(());
    }
    let message = format!("operand {zero} is a zero point but operand {i} is no integers");
    Err(Diagnostic::error("O013", message).help("leave it out"))
}

fn dequantize_blocks(cx: &mut InferCx<'_>) -> InferResult {
    let x = cx.tensor(0)?;
    check_type(x.dtype, is_quantized, "operand 0")?;
    let to = cx.tensor_of(1, Class::Float)?.dtype;
    cx.expect_rank_at_least(0, 1)?;
    match x.shape.rank() {
        Some(rank) => blocks(cx, 0, 1, cx.axis("axis", rank)?)?,
        None => block(cx).map(|_| ())?,
    }
    one(plain(to, x.shape.clone()))
}

fn matmul_blocks(cx: &mut InferCx<'_>) -> InferResult {
    check_type(cx.tensor(0)?.dtype, is_mixed_float, "operand 0")?;
    check_type(cx.tensor(1)?.dtype, is_weight, "operand 1")?;
    cx.tensor_of(2, Class::Float)?;
    cx.expect_rank_at_least(1, 2)?;
    let result = product(cx, DType::F32)?;
    match cx.tensor(1)?.shape.rank() {
        Some(rank) => blocks(cx, 1, 2, rank - 2)?,
        None => block(cx).map(|_| ())?,
    }
    Ok(result)
}

/// Attribute `block`, a number of elements.
fn block(cx: &InferCx<'_>) -> Result<i64, Diagnostic> {
    match cx.attrs.int("block").unwrap_or(0) {
        block if block > 0 => Ok(block),
        block => Err(Diagnostic::error("O023", format!("attribute `block` is {block} but must be positive"))),
    }
}

/// The scales of operand `i` are operand `scale`, one for each block along an axis and each index of the others; zero points
/// follow, of the type of the integers or of the scales.
fn blocks(cx: &mut InferCx<'_>, i: usize, scale: usize, axis: usize) -> Result<(), Diagnostic> {
    let block = block(cx)?;
    if cx.has(scale + 1) {
        check_zero(cx, i, scale + 1)?;
        if cx.tensor(scale + 1)?.dtype != cx.tensor(scale)?.dtype {
            cx.same_dtype(i, scale + 1)?;
        }
    }
    let Some(dims) = cx.dims(i)? else { return Ok(()) };
    for given in (scale..=scale + 1).filter(|it| *it < cx.args.len()).collect::<Vec<_>>() {
        cx.expect_rank(given, dims.len())?;
        let Some(own) = cx.dims(given)? else { continue };
        for (j, (own, dim)) in own.iter().zip(dims).enumerate() {
            let wanted = match j == axis {
                true => {
                    let count = cx.shapes.ceil_div(*dim, block);
                    cx.no_overflow(count)?
                }
                false => *dim,
            };
            cx.require_eq(
                *own,
                wanted,
                &format!("dimension {j} of operand {given} (blocks of operand {i})"),
            )?;
        }
    }
    Ok(())
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
    let to = cx.attrs.dtype("to").unwrap_or(DType::I32);
    check_type(to, |it| it == DType::I32 || it.is_float() && it.bits() == 32, "attribute `to`")?;
    let result = product(cx, to)?;
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
        check_type(cx.tensor(0)?.dtype, is_mixed_float, "operand 0")?;
    }
    let result = convolution(cx, DType::F32)?;
    zero_point(cx, 1, 2, |axis, _| axis > 0)?;
    Ok(result)
}

/// Which operand of a mixed product is integers, if one is.
fn mixed_operand(cx: &InferCx<'_>) -> Result<Option<usize>, Diagnostic> {
    let types = [cx.tensor(0)?.dtype, cx.tensor(1)?.dtype];
    let integers = types.iter().position(|it| !is_mixed_float(*it));
    if let Some(i) = integers {
        check_type(types[i], is_weight, &format!("operand {i}"))?;
        check_type(types[1 - i], is_mixed_float, &format!("operand {}", 1 - i))?;
        if cx.has(2) {
            check_zero(cx, i, 2)?;
        }
    } else if cx.has(2) {
        let message = "operand 2 is a zero point but no operand is integers";
        return Err(Diagnostic::error("O013", message).help("leave it out"));
    }
    Ok(integers)
}

/// Integers of at most 8 bits.
fn check_bytes(cx: &InferCx<'_>) -> Result<(), Diagnostic> {
    for i in 0..2 {
        check_type(cx.tensor(i)?.dtype, |it| it.is_int() && it.bits() == 8, &format!("operand {i}"))?;
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
