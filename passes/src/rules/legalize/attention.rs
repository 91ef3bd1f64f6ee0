//! Attention as the kernels of its parts, in the forms that these have by themselves: fusion and selection of code treat
//! them alike.

use super::context::overflow;
use super::contraction::{batch_index, product};
use super::normalize::softmax_of;
use super::{LegalizeFn, Legalizer, Lowering, Value};
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{Axis, BinaryOp, BufferId, BuildResult, Combine, UnaryOp};
use orogen_ir::shape::Dim;
use orogen_ir::types::{DType, Dims};

pub(super) const ROWS: &[(&str, LegalizeFn)] = &[("attention", attention)];

fn attention(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let dtype = cx.arg(0)?.dtype;
    let (q, k) = (cx.arg_dims(0)?, cx.arg_dims(1)?);
    let mut dims = broadcast(&mut cx, &q[..q.len() - 2], &k[..k.len() - 2])?;
    dims.extend([q[q.len() - 2], k[k.len() - 2]]);
    let out = cx.between("products", dtype, &dims)?;
    multiply(&mut cx, [Value::Operand(0), Value::Operand(1)], out, true)?;
    let products = only(cx.emit())?;

    if cx.has(3) {
        let mask = Dims::from(cx.arg_dims(3)?);
        dims = broadcast(&mut cx, &dims, &mask)?;
    }
    let out = cx.between("scores", dtype, &dims)?;
    score(&mut cx, products, out)?;
    let scores = only(cx.emit())?;

    let x = cx.buffer(scores)?;
    let out = cx.between("weights", dtype, &dims)?;
    softmax_of(&mut cx, x, dims.len() - 1, out)?;
    let mut weights = only(cx.emit())?;
    if cx.flag("safe") {
        let x = cx.buffer(weights)?;
        let out = cx.between("shown", dtype, &dims)?;
        cx.b.fill(out, |b, at| {
            let (x, zero) = (b.load(x, at.iter().copied())?, b.number(0.0, dtype));
            let nothing = b.unary(UnaryOp::IsNan, x)?;
            b.select(nothing, zero, x)
        })?;
        weights = only(cx.emit())?;
    }

    let out = cx.output(0)?;
    multiply(&mut cx, [weights, Value::Operand(2)], out, false)?;
    cx.finish()
}

/// The one value that a kernel made.
fn only(made: Vec<Value>) -> Result<Value, Diagnostic> {
    made.first().copied().ok_or_else(|| Diagnostic::error("K002", "a kernel of attention writes nothing"))
}

/// What shapes of the caller broadcast to.
fn broadcast(cx: &mut Legalizer<'_>, a: &[Dim], b: &[Dim]) -> Result<Dims, Diagnostic> {
    let rank = a.len().max(b.len());
    let one = cx.caller.int(1);
    let at = |list: &[Dim], i: usize| (i + list.len()).checked_sub(rank).map_or(one, |it| list[it]);
    (0..rank).map(|i| cx.caller.broadcast(&[at(a, i), at(b, i)]).map_err(overflow)).collect()
}

/// `out[…, m, n] = Σ a[…, m, k] · b[…, k, n]`, or `· b[…, n, k]` where that is transposed.
fn multiply(cx: &mut Legalizer<'_>, [a, b]: [Value; 2], out: BufferId, transposed: bool) -> BuildResult<()> {
    let (a, b) = (cx.buffer(a)?, cx.buffer(b)?);
    let (a_dims, b_dims, out_dims) = (cx.b.buffer_dims(a), cx.b.buffer_dims(b), cx.b.buffer_dims(out));
    let mut axes: Vec<Axis> = cx.b.axes("b", &out_dims[..out_dims.len() - 2]).to_vec();
    let batch = cx.b.vars(&axes);
    let sum = cx.b.axis("k", a_dims[a_dims.len() - 1]);
    let (mut a_at, mut b_at) = (batch_index(cx, &a_dims, &batch)?, batch_index(cx, &b_dims, &batch)?);
    let (rows, columns) =
        (cx.b.axis("m", a_dims[a_dims.len() - 2]), cx.b.axis("n", out_dims[out_dims.len() - 1]));
    axes.extend([rows, columns]);
    let (k, n) = (cx.b.var(sum), cx.b.var(columns));
    a_at.extend([cx.b.var(rows), k]);
    b_at.extend(if transposed { [n, k] } else { [k, n] });
    let (a, b) = (cx.b.load(a, a_at)?, cx.b.load(b, b_at)?);
    let value = product(cx, a, b)?;
    let at = cx.b.vars(&axes);
    cx.reduce_into(&axes, &[sum], Combine::Sum, out, &at, value)
}

/// Products with the scale and the mask.
fn score(cx: &mut Legalizer<'_>, products: Value, out: BufferId) -> BuildResult<()> {
    let products = cx.buffer(products)?;
    let mask = if cx.has(3) { Some(cx.input(3)?) } else { None };
    let dtype = cx.b.buffer_dtype(out);
    let scale = cx.b.number(cx.attrs.float("scale").unwrap_or(1.0), dtype);
    let hidden = cx.b.number(cx.attrs.float("hidden").unwrap_or(f64::NEG_INFINITY), dtype);
    cx.b.fill(out, |b, at| {
        let value = b.load_broadcast(products, at)?;
        let value = b.binary(BinaryOp::Mul, value, scale)?;
        let Some(mask) = mask else { return Ok(value) };
        let shown = b.load_broadcast(mask, at)?;
        match b.buffer_dtype(mask) {
            DType::Bool => b.select(shown, value, hidden),
            _ => b.binary(BinaryOp::Add, value, shown),
        }
    })
}
