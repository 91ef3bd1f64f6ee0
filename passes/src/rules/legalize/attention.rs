//! Attention as one kernel where it is asked for and fits, else as the kernels of its parts, in the forms that these have by
//! themselves: fusion and selection of code treat them alike.

use super::context::overflow;
use super::contraction::{batch_index, product};
use super::normalize::softmax_of;
use super::{LegalizeFn, Legalizer, Lowering, Value};
use crate::rules::attention::kernel::{Operands, is_fused, keeps_neighbours};
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{Axis, BinaryOp, BufferId, BuildResult, Combine, UnaryOp};
use orogen_ir::ops::ATTENTION_PERMS;
use orogen_ir::shape::Dim;
use orogen_ir::types::{Attrs, DType, Dims};

pub(super) const ROWS: &[(&str, LegalizeFn)] = &[("attention", attention)];

fn attention(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let dtype = cx.arg(0)?.dtype;
    let (q, k, v) = (as_read(&cx, 0)?, as_read(&cx, 1)?, as_read(&cx, 2)?);
    if is_fused(cx.attrs) && fits(&cx, [&q, &k, &v])? {
        for i in 0..cx.operand_count() {
            cx.input(i)?;
        }
        cx.output(0)?;
        let own = cx.attrs.iter().filter(|it| it.0 != "fused");
        let attrs = own.fold(Attrs::none(), |attrs, (name, value)| attrs.with(name, value.clone()));
        cx.emit_routine("attention", attrs);
        return cx.finish();
    }
    let mut dims = broadcast(&mut cx, &q[..q.len() - 2], &k[..k.len() - 2])?;
    dims.extend([q[q.len() - 2], k[k.len() - 2]]);
    let out = cx.between("products", dtype, &dims)?;
    let mut keys: Vec<usize> = (0..k.len()).collect();
    keys.swap(k.len() - 2, k.len() - 1);
    let q_perm = perm(&cx, ATTENTION_PERMS[0], q.len());
    let k_perm = perm(&cx, ATTENTION_PERMS[1], k.len());
    let keys = in_order(&k_perm, &keys);
    let own = (0..dims.len()).collect();
    multiply(&mut cx, [(Value::Operand(0), q_perm), (Value::Operand(1), keys)], (out, own))?;
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
    let own = (0..dims.len()).collect();
    let v_perm = perm(&cx, ATTENTION_PERMS[2], v.len());
    let out_perm = perm(&cx, "out_perm", cx.b.buffer_dims(out).len());
    multiply(&mut cx, [(weights, own), (Value::Operand(2), v_perm)], (out, out_perm))?;
    cx.finish()
}

/// The dimensions of an operand as it is read.
fn as_read(cx: &Legalizer<'_>, i: usize) -> BuildResult<Dims> {
    let own = cx.arg_dims(i)?;
    Ok(in_order(own, &perm(cx, ATTENTION_PERMS[i], own.len())).into())
}

/// A permutation that inference checked; without the attribute all stays where it is.
fn perm(cx: &Legalizer<'_>, name: &str, rank: usize) -> Vec<usize> {
    match cx.attrs.ints(name) {
        None => (0..rank).collect(),
        Some(_) => cx.axes_attr(name),
    }
}

/// Elements in the order of a permutation.
fn in_order<T: Copy>(own: &[T], perm: &[usize]) -> Vec<T> {
    perm.iter().map(|it| own[*it]).collect()
}

/// What has these elements in the order of a permutation.
fn undone(read: &[Dim], perm: &[usize]) -> Dims {
    let mut own = Dims::from(read);
    perm.iter().zip(read).for_each(|(to, it)| own[*to] = *it);
    own
}

/// Whether the routine reads what the operands are.
fn fits(cx: &Legalizer<'_>, [q, k, v]: [&[Dim]; 3]) -> BuildResult<bool> {
    let mask = if cx.has(3) { Some(cx.arg_dims(3)?) } else { None };
    let own = cx.result_dims(0)?;
    let out = undone(own, &perm(cx, "out_perm", own.len()));
    let operands = Operands { q, k, v, mask, out: &out };
    Ok(operands.fit(cx.caller, cx.arg(0)?.dtype) && keeps_neighbours(cx.attrs))
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

/// `out[…, m, n] = Σ a[…, m, k] · b[…, k, n]`, each operand read through its permutation, the result written through one.
fn multiply(
    cx: &mut Legalizer<'_>,
    [(a, a_perm), (b, b_perm)]: [(Value, Vec<usize>); 2],
    (out, out_perm): (BufferId, Vec<usize>),
) -> BuildResult<()> {
    let (a, b) = (cx.buffer(a)?, cx.buffer(b)?);
    let a_dims = in_order(&cx.b.buffer_dims(a), &a_perm);
    let b_dims = in_order(&cx.b.buffer_dims(b), &b_perm);
    // Dimension `i` of the result is that of the product at this place.
    let out_dims = undone(&cx.b.buffer_dims(out), &out_perm);
    let mut axes: Vec<Axis> = cx.b.axes("b", &out_dims[..out_dims.len() - 2]).to_vec();
    let batch = cx.b.vars(&axes);
    let sum = cx.b.axis("k", a_dims[a_dims.len() - 1]);
    let (mut a_at, mut b_at) = (batch_index(cx, &a_dims, &batch)?, batch_index(cx, &b_dims, &batch)?);
    let (rows, columns) =
        (cx.b.axis("m", a_dims[a_dims.len() - 2]), cx.b.axis("n", out_dims[out_dims.len() - 1]));
    axes.extend([rows, columns]);
    let (k, n) = (cx.b.var(sum), cx.b.var(columns));
    a_at.extend([cx.b.var(rows), k]);
    b_at.extend([k, n]);
    let (a, b) = (cx.b.load(a, undone(&a_at, &a_perm))?, cx.b.load(b, undone(&b_at, &b_perm))?);
    let value = product(cx, a, b)?;
    let at = cx.b.vars(&axes);
    cx.reduce_into(&axes, &[sum], Combine::Sum, out, &in_order(&at, &out_perm), value)
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
