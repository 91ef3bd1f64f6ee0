//! Routines, from their definitions. What code generation has under a name must give the same.

use crate::error::{EvalError, EvalResult};
use crate::ops::{eval_named, top_k, tree_ensemble, with_bits};
use crate::scalar;
use orogen_ir::types::{Attrs, DType, TensorData};

/// What a routine computes.
pub(crate) fn eval(
    name: &str,
    attrs: &Attrs,
    operands: &[TensorData],
    results: &[&[u64]],
) -> EvalResult<Vec<TensorData>> {
    match (name, operands, results) {
        ("attention", [_, _, _] | [_, _, _, _], [_]) => eval_named("attention", attrs, operands),
        ("bits", [x], [_]) => {
            let to = attrs.dtype("to").ok_or_else(|| EvalError::invalid("attribute `to` is missing"))?;
            Ok(vec![with_bits(x, to)?])
        }
        ("nonzero", [x], [result]) => nonzero(x, result),
        ("tree_ensemble", [_, _, _, _], [_]) => Ok(vec![tree_ensemble(attrs, operands)?]),
        ("top_k", [x], [result, _]) => {
            let axis = attrs.int("axis").and_then(|it| usize::try_from(it).ok());
            let sizes = axis.and_then(|axis| Some((axis, *x.dims().get(axis)?, *result.get(axis)?)));
            let Some((axis, _, wanted)) = sizes.filter(|(_, most, wanted)| wanted <= most) else {
                return Err(EvalError::invalid("more are wanted than there are along the axis"));
            };
            top_k(x, axis, wanted as usize, attrs.bool("smallest").unwrap_or(false))
        }
        _ => Err(EvalError::unsupported(format!("routine `{name}` of such parameters has no evaluation"))),
    }
}

/// The indices of all elements that are not zero, in row-major order: column `j` of the result is the index of the
/// `j`-th of them. Beyond the last one columns are 0; what finds no room is left out.
fn nonzero(x: &TensorData, result: &[u64]) -> EvalResult<Vec<TensorData>> {
    let rank = x.dims().len();
    let &[rows, room] = result else {
        return Err(EvalError::invalid("the indices are not a matrix"));
    };
    if rows != rank as u64 {
        return Err(EvalError::invalid(format!("an index has {rank} coordinates, not {rows}")));
    }
    let room = usize::try_from(room).map_err(|_| EvalError::too_large())?;
    let mut columns = Vec::new();
    for i in scalar::hits(x).into_iter().take(room) {
        let mut rest = i as u64;
        let mut index = vec![0_i64; rank];
        for (at, extent) in index.iter_mut().zip(x.dims()).rev() {
            *at = (rest % extent) as i64;
            rest /= extent;
        }
        columns.push(index);
    }
    columns.resize(room, vec![0; rank]);
    let rows = (0..rank).flat_map(|axis| columns.iter().map(move |it| it[axis]));
    let bytes: Vec<u8> = rows.flat_map(i64::to_le_bytes).collect();
    let data = TensorData::new(DType::I64, result.to_vec(), bytes.into());
    Ok(vec![data.map_err(|it| EvalError::invalid(it.to_string()))?])
}
