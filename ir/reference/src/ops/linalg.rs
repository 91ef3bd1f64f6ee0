//! Matrix products.

use super::tensor::{
    Elements, Number, add_scaled, broadcast, broadcast_positions, count, dims_of, elements, from_elements,
};
use super::{FamilyResult, OpCx};
use crate::error::{EvalError, EvalResult};
use crate::scalar;
use orogen_ir::types::TensorData;

pub(super) fn eval(cx: &OpCx<'_>) -> FamilyResult {
    match cx.name {
        "matmul" => Some(matmul(cx)),
        _ => None,
    }
}

/// Numpy's `matmul`: a 1-D operand is a row (left) or a column (right) whose dimension is dropped again; leading
/// dimensions broadcast.
pub(super) fn matmul(cx: &OpCx<'_>) -> EvalResult<Vec<TensorData>> {
    let dtype = cx.same_dtype(0..2)?;
    let (a, b) = (cx.arg(0)?, cx.arg(1)?);
    let (mut dims_a, mut dims_b) = (dims_of(a), dims_of(b));
    if dims_a.is_empty() || dims_b.is_empty() {
        return Err(EvalError::invalid("a scalar has no matrix product"));
    }
    let (vector_a, vector_b) = (dims_a.len() == 1, dims_b.len() == 1);
    if vector_a {
        dims_a.insert(0, 1);
    }
    if vector_b {
        dims_b.push(1);
    }
    let (batch_a, matrix_a) = dims_a.split_at(dims_a.len() - 2);
    let (batch_b, matrix_b) = dims_b.split_at(dims_b.len() - 2);
    let (n, k, m) = (matrix_a[0], matrix_a[1], matrix_b[1]);
    if matrix_b[0] != k {
        return Err(EvalError::invalid(format!("inner dimensions {k} and {} differ", matrix_b[0])));
    }
    let batch = broadcast(&[batch_a, batch_b])?;
    let (at_a, at_b) = (broadcast_positions(batch_a, &batch), broadcast_positions(batch_b, &batch));
    let total = count(&[count(&batch)?, n, m])?;
    let values = match (elements(a), elements(b)) {
        (Elements::Float(a), Elements::Float(b)) => {
            let mut y = vec![0.0; total];
            products(&a, &b, &mut y, [n, k, m], &at_a, &at_b);
            Elements::Float(y)
        }
        (Elements::Int(a), Elements::Int(b)) => {
            let mut y = vec![0; total];
            products(&a, &b, &mut y, [n, k, m], &at_a, &at_b);
            y.iter_mut().for_each(|it| *it = scalar::wrap(*it, dtype));
            Elements::Int(y)
        }
        _ => return Err(EvalError::invalid("operands of different types")),
    };
    let mut dims = batch;
    dims.extend((!vector_a).then_some(n));
    dims.extend((!vector_b).then_some(m));
    Ok(vec![from_elements(dtype, &dims, &values)?])
}

fn products<T: Number>(a: &[T], b: &[T], y: &mut [T], [n, k, m]: [usize; 3], at_a: &[usize], at_b: &[usize]) {
    if n * m == 0 {
        return;
    }
    for (i, y) in y.chunks_exact_mut(n * m).enumerate() {
        let (a, b) = (&a[at_a[i] * n * k..][..n * k], &b[at_b[i] * k * m..][..k * m]);
        for (row, y) in y.chunks_exact_mut(m).enumerate() {
            for (inner, b) in b.chunks_exact(m).enumerate() {
                add_scaled(y, a[row * k + inner], b);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, f32s, i64s, iota, none, run};

    #[test]
    fn shapes_follow_numpy() {
        let (a, b) = (iota(&[2, 3]), iota(&[3, 2]));
        assert_eq!(
            run("matmul", none(), &[a.clone(), b.clone()]),
            (vec![2, 2], vec![10.0, 13.0, 28.0, 40.0])
        );
        let v = iota(&[3]);
        assert_eq!(run("matmul", none(), &[a.clone(), v.clone()]), (vec![2], vec![5.0, 14.0]));
        assert_eq!(run("matmul", none(), &[v.clone(), b.clone()]), (vec![2], vec![10.0, 13.0]));
        assert_eq!(run("matmul", none(), &[v.clone(), v.clone()]), (vec![], vec![5.0]));
        let batched = run("matmul", none(), &[iota(&[2, 1, 2, 3]), iota(&[4, 3, 2])]);
        assert_eq!(batched.0, [2, 4, 2, 2]);
        // Batch 1, 3: rows 6.. of the left, rows 18.. of the right.
        assert_eq!(batched.1[28..], [424.0, 445.0, 604.0, 634.0]);
        assert!(eval("matmul", none(), &[a, v.clone().reshaped(vec![1, 3]).unwrap()]).is_err());
        assert!(eval("matmul", none(), &[f32s(&[], &[1.0]), v]).is_err());
    }

    #[test]
    fn empty_and_integer_products() {
        assert_eq!(run("matmul", none(), &[iota(&[2, 0]), iota(&[0, 2])]), (vec![2, 2], vec![0.0; 4]));
        assert_eq!(run("matmul", none(), &[iota(&[0, 3]), iota(&[3, 2])]).0, [0, 2]);
        assert_eq!(run("matmul", none(), &[iota(&[2, 3]), iota(&[3, 0])]).0, [2, 0]);
        let big = i64s(&[1, 2], &[i64::MAX, 1]);
        assert_eq!(eval("matmul", none(), &[big, i64s(&[2, 1], &[2, 3])]).unwrap().to_i64(), [1]);
    }
}
