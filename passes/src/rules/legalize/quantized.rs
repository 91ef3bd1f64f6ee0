//! Between numbers and the integers that they are quantised to: one stage.

use super::LegalizeFn;
use super::elementwise::elementwise;
use orogen_ir::loops::{BinaryOp, BuildResult, Expr, ExprId, ProgramBuilder, UnaryOp};
use orogen_ir::types::DType;

pub(super) const ROWS: &[(&str, LegalizeFn)] = &[
    ("quantize", |cx| {
        let to = cx.result(0)?.dtype;
        elementwise(cx, |b, x| quantize(b, x, to))
    }),
    ("dequantize", |cx| elementwise(cx, dequantize)),
];

/// The type that numbers of a type are scaled in.
fn scaled_in(dtype: DType) -> DType {
    if dtype == DType::F64 { DType::F64 } else { DType::F32 }
}

/// Conversion to an integer saturates.
fn quantize(b: &mut ProgramBuilder, x: &[ExprId], to: DType) -> BuildResult<ExprId> {
    let dtype = scaled_in(b.dtype_of(x[0]));
    let mut value = b.cast(dtype, x[0]);
    if !matches!(b.program().exprs[x[1]], Expr::Float(1.0, _)) {
        let scale = b.cast(dtype, x[1]);
        value = b.binary(BinaryOp::Div, value, scale)?;
    }
    let mut value = b.unary(UnaryOp::Round, value)?;
    if let Some(zero) = x.get(2) {
        let zero = b.cast(dtype, *zero);
        value = b.binary(BinaryOp::Add, value, zero)?;
    }
    Ok(b.cast(to, value))
}

fn dequantize(b: &mut ProgramBuilder, x: &[ExprId]) -> BuildResult<ExprId> {
    let to = b.dtype_of(x[1]);
    let dtype = scaled_in(to);
    let mut value = b.cast(DType::I32, x[0]);
    if let Some(zero) = x.get(2) {
        let zero = b.cast(DType::I32, *zero);
        value = b.binary(BinaryOp::Sub, value, zero)?;
    }
    let (value, scale) = (b.cast(dtype, value), b.cast(dtype, x[1]));
    let value = b.binary(BinaryOp::Mul, value, scale)?;
    Ok(b.cast(to, value))
}
