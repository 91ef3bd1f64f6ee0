//! Attention: weighted means of values, by how much keys are like queries.

use super::linalg::product_of;
use super::support::{Class, one, plain};
use super::{Arity, AttrDef, AttrKind, InferCx, InferResult, OpDef, OpRegistry};
use crate::diag::Diagnostic;
use crate::types::{DType, ShapeInfo};

const ATTENTION: &[AttrDef] = &[
    AttrDef::required("scale", AttrKind::Float),
    AttrDef::optional("hidden", AttrKind::Float),
    AttrDef::optional("safe", AttrKind::Bool),
];

pub(crate) fn register(ops: &mut OpRegistry) {
    ops.register(OpDef::pure("attention", Arity::between(3, 4), ATTENTION, attention));
}

/// Of q `[…, m, d]`, k `[…, n, d]` and v `[…, n, e]`: `[…, m, e]`. Leading dimensions broadcast, and so does the mask with
/// `[…, m, n]`.
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
    let (Some(q), Some(k), Some(v)) = (cx.dims(0)?, cx.dims(1)?, cx.dims(2)?) else {
        return one(plain(dtype, ShapeInfo::Unknown));
    };
    let mut keys = crate::types::Dims::from(k);
    keys.swap(k.len() - 2, k.len() - 1);
    let mut scores = product_of(cx, q, &keys, "a query and a key of attention")?;
    if masked {
        let Some(mask) = cx.dims(3)? else { return one(plain(dtype, ShapeInfo::Unknown)) };
        let mask = ShapeInfo::Known(mask.into());
        scores = cx.broadcast(&[&ShapeInfo::Known(scores), &mask])?.known().unwrap_or_default().into();
    }
    let dims = product_of(cx, &scores, v, "the keys and the values of attention")?;
    one(plain(dtype, ShapeInfo::Known(dims)))
}
