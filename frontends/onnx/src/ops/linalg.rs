//! Matrix products.

use super::{einsum, single};
use crate::node::{NodeCx, bad};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::DType;

pub(super) fn register(table: &mut OpTable) {
    table.register("", "MatMul", .., single(|cx| cx.binary("matmul", cx.input(0)?, cx.input(1)?)));
    table.register("", "Gemm", .., single(gemm));
    table.register_checked("", "Einsum", .., einsum::check, single(einsum::einsum));
}

/// Two matrices, transposed where the attributes `transA` and `transB` say so.
pub(super) fn matrices(
    cx: &mut NodeCx<'_, '_>,
    [mut a, mut b]: [Value; 2],
) -> Result<[Value; 2], Diagnostic> {
    if cx.rank(a)? != 2 || cx.rank(b)? != 2 {
        return Err(bad("its operands must be matrices"));
    }
    if cx.flag("transA") {
        a = cx.transpose(a, &[1, 0])?;
    }
    if cx.flag("transB") {
        b = cx.transpose(b, &[1, 0])?;
    }
    Ok([a, b])
}

pub(super) fn gemm(cx: &mut NodeCx<'_, '_>) -> Result<Value, Diagnostic> {
    let [a, b] = matrices(cx, [cx.input(0)?, cx.input(1)?])?;
    let product = cx.binary("matmul", a, b)?;
    let product = scaled(cx, product, cx.float("alpha").unwrap_or(1.0))?;
    let beta = cx.float("beta").unwrap_or(1.0);
    match cx.optional(2) {
        Some(c) if beta != 0.0 => {
            let c = scaled(cx, c, beta)?;
            cx.binary("add", product, c)
        }
        _ => Ok(product),
    }
}

/// The product with a number; one of integers with a number that is none is cut off.
fn scaled(cx: &mut NodeCx<'_, '_>, x: Value, scale: f64) -> Result<Value, Diagnostic> {
    let dtype = cx.dtype(x)?;
    if dtype.is_float() || scale.fract() == 0.0 {
        return cx.affine(x, scale, 0.0);
    }
    let x = cx.cast(x, DType::F64)?;
    let x = cx.affine(x, scale, 0.0)?;
    cx.cast(x, dtype)
}
