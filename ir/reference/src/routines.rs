//! Routines, from their definitions. What code generation has under a name must give the same.

use crate::error::{EvalError, EvalResult};
use orogen_ir::types::{Attrs, DType, TensorData};

/// What a routine computes.
pub(crate) fn eval(
    name: &str,
    _attrs: &Attrs,
    operands: &[TensorData],
    results: &[&[u64]],
) -> EvalResult<Vec<TensorData>> {
    match (name, operands, results) {
        ("nonzero", [x], [result]) => nonzero(x, result),
        _ => Err(EvalError::unsupported(format!("routine `{name}` of such parameters has no evaluation"))),
    }
}

/// The indices of all elements that are not zero, in row-major order: column `j` of the result is the index of the
/// `j`-th of them. The caller knows how many there are.
fn nonzero(x: &TensorData, result: &[u64]) -> EvalResult<Vec<TensorData>> {
    let (rank, count) = (x.dims().len(), (0..x.len()).filter(|i| is_nonzero(x, *i)).count());
    if *result != [rank as u64, count as u64] {
        return Err(EvalError::invalid(format!(
            "{count} elements are not zero, but there is room for {result:?}"
        )));
    }
    let mut columns = Vec::with_capacity(count);
    for i in (0..x.len()).filter(|i| is_nonzero(x, *i)) {
        let mut rest = i as u64;
        let mut index = vec![0_i64; rank];
        for (at, extent) in index.iter_mut().zip(x.dims()).rev() {
            *at = (rest % extent) as i64;
            rest /= extent;
        }
        columns.push(index);
    }
    let rows = (0..rank).flat_map(|axis| columns.iter().map(move |it| it[axis]));
    let bytes: Vec<u8> = rows.flat_map(i64::to_le_bytes).collect();
    let data = TensorData::new(DType::I64, result.to_vec(), bytes.into());
    Ok(vec![data.map_err(|it| EvalError::invalid(it.to_string()))?])
}

fn is_nonzero(x: &TensorData, i: usize) -> bool {
    if x.dtype().is_float() { x.get_f64(i) != 0.0 } else { x.get_i64(i) != 0 }
}
