//! Attention: weighted means of values, by how much keys are like queries.

use super::linalg::product_of;
use super::support::{Class, one, plain};
use super::{Arity, AttrDef, AttrKind, InferCx, InferResult, OpDef, OpRegistry};
use crate::diag::Diagnostic;
use crate::shape::Dim;
use crate::types::{DType, Dims, ShapeInfo};

const ATTENTION: &[AttrDef] = &[
    AttrDef::required("scale", AttrKind::Float),
    AttrDef::optional("hidden", AttrKind::Float),
    AttrDef::optional("safe", AttrKind::Bool),
    AttrDef::optional("q_perm", AttrKind::Ints),
    AttrDef::optional("k_perm", AttrKind::Ints),
    AttrDef::optional("v_perm", AttrKind::Ints),
    AttrDef::optional("out_perm", AttrKind::Ints),
    AttrDef::optional("fused", AttrKind::Bool),
];

/// The attributes that say how q, k and v are transposed before they are read.
pub const ATTENTION_PERMS: [&str; 3] = ["q_perm", "k_perm", "v_perm"];

pub(crate) fn register(ops: &mut OpRegistry) {
    ops.register(OpDef::pure("attention", Arity::between(3, 4), ATTENTION, attention));
}

/// Of q `[…, m, d]`, k `[…, n, d]` and v `[…, n, e]`: `[…, m, e]`. Leading dimensions broadcast, and so does the mask with
/// `[…, m, n]`. Shapes are those after transposes of operands and before the one of the result.
fn attention(cx: &mut InferCx<'_>) -> InferResult {
    cx.tensor_of(0, Class::Float)?;
    let dtype = cx.all_same_dtype(0..3)?;
    (0..3).try_for_each(|i| cx.expect_rank_at_least(i, 2))?;
    let masked = cx.args.len() > 3;
    if masked {
        let mask = cx.tensor(3)?.dtype;
        if mask != DType::Bool && mask != dtype {
            let message = format!("operand 3 (mask) is {mask} but must be bool or {dtype}");
            return Err(Diagnostic::error("O013", message));
        }
        if mask != DType::Bool && cx.attrs.float("hidden").is_some() {
            let message = "attribute `hidden` stands for what a mask of truth values hides";
            return Err(Diagnostic::error("O023", message).help("leave it out where the mask is added"));
        }
    }
    let unknown = || one(plain(dtype, ShapeInfo::Unknown));
    let Some(q) = transposed(cx, 0)? else { return unknown() };
    let Some(k) = transposed(cx, 1)? else { return unknown() };
    let Some(v) = transposed(cx, 2)? else { return unknown() };
    let mut keys = k;
    let rank = keys.len();
    keys.swap(rank - 2, rank - 1);
    let mut scores = product_of(cx, &q, &keys, "a query and a key of attention")?;
    if masked {
        let Some(mask) = cx.dims(3)? else { return unknown() };
        let mask = ShapeInfo::Known(mask.into());
        scores = cx.broadcast(&[&ShapeInfo::Known(scores), &mask])?.known().unwrap_or_default().into();
    }
    let dims = product_of(cx, &scores, &v, "the keys and the values of attention")?;
    let dims = permuted(cx, "out_perm", &dims)?;
    one(plain(dtype, ShapeInfo::Known(dims)))
}

/// The dimensions of an operand as it is read.
fn transposed(cx: &InferCx<'_>, i: usize) -> Result<Option<Dims>, Diagnostic> {
    let Some(dims) = cx.dims(i)? else { return Ok(None) };
    permuted(cx, ATTENTION_PERMS[i], dims).map(Some)
}

/// Dimensions in the order that an attribute gives them, in their own without it.
fn permuted(cx: &InferCx<'_>, name: &str, dims: &[Dim]) -> Result<Dims, Diagnostic> {
    if cx.attrs.ints(name).is_none() {
        return Ok(dims.into());
    }
    cx.ints(name, dims.len(), 0, 0)?;
    Ok(cx.axes(name, dims.len())?.iter().map(|it| dims[*it]).collect())
}
