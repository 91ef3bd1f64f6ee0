//! Reading at computed positions.

use super::tensor::{along, count, dims_of, from_bytes, strides, wrapped_index};
use super::{FamilyResult, OpCx};
use crate::error::{EvalError, EvalResult};
use orogen_ir::types::TensorData;

pub(super) fn eval(cx: &OpCx<'_>) -> FamilyResult {
    let result = match cx.name {
        "gather" => gather(cx),
        "gather_elements" => gather_elements(cx),
        "gather_nd" => gather_nd(cx),
        _ => return None,
    };
    Some(result.map(|it| vec![it]))
}

fn gather(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let x = cx.arg(0)?;
    let from = dims_of(x);
    let axis = cx.axis("axis", from.len())?;
    let split = along(&from, axis);
    let rows: Vec<usize> =
        cx.indices(1)?.iter().map(|it| wrapped_index(*it, split.n)).collect::<EvalResult<_>>()?;
    let mut dims = from[..axis].to_vec();
    dims.extend(dims_of(cx.arg(1)?));
    dims.extend(&from[axis + 1..]);
    let len = split.inner * x.dtype().size();
    let rows_of_x = x.unpacked();
    let mut bytes = Vec::with_capacity(count(&dims)? * x.dtype().size());
    for outer in 0..split.outer {
        for row in &rows {
            bytes.extend_from_slice(&rows_of_x[(outer * split.n + row) * len..][..len]);
        }
    }
    from_bytes(x.dtype(), &dims, bytes)
}

/// Positions in a tensor of shape `dims` of the elements that an index of shape `inner` addresses along `axis`.
pub(super) fn element_positions(
    dims: &[usize],
    inner: &[usize],
    axis: usize,
    indices: &[i64],
) -> EvalResult<Vec<usize>> {
    if inner.len() != dims.len() {
        return Err(EvalError::invalid("the index has another rank"));
    }
    if (0..dims.len()).any(|i| i != axis && inner[i] > dims[i]) {
        return Err(EvalError::invalid(format!("an index of shape {inner:?} does not fit {dims:?}")));
    }
    let steps = strides(dims);
    let mut point = vec![0; inner.len()];
    let mut list = Vec::with_capacity(indices.len());
    for index in indices {
        let row = wrapped_index(*index, dims[axis])?;
        let at = point.iter().enumerate().map(|(i, it)| if i == axis { row } else { *it } * steps[i]);
        list.push(at.sum());
        advance(&mut point, inner);
    }
    Ok(list)
}

/// The next point in row-major order.
pub(super) fn advance(point: &mut [usize], dims: &[usize]) {
    for (index, dim) in point.iter_mut().zip(dims).rev() {
        *index += 1;
        if *index < *dim {
            return;
        }
        *index = 0;
    }
}

fn gather_elements(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let (x, indices) = (cx.arg(0)?, cx.indices(1)?);
    let (from, dims) = (dims_of(x), dims_of(cx.arg(1)?));
    let axis = cx.axis("axis", from.len())?;
    let positions = element_positions(&from, &dims, axis, &indices)?;
    super::tensor::pick(x, &dims, positions.into_iter().map(Some), &[])
}

/// Positions of the blocks that rows of `depth` coordinates address, in blocks.
pub(super) fn block_positions(dims: &[usize], depth: usize, indices: &[i64]) -> EvalResult<Vec<usize>> {
    let steps = strides(&dims[..depth]);
    let rows = indices.chunks_exact(depth.max(1)).map(|row| {
        row.iter()
            .zip(dims)
            .zip(&steps)
            .map(|((index, dim), step)| Ok(wrapped_index(*index, *dim)? * step))
            .sum()
    });
    rows.collect()
}

fn gather_nd(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let (x, indices) = (cx.arg(0)?, cx.indices(1)?);
    let (from, at) = (dims_of(x), dims_of(cx.arg(1)?));
    let batch = cx.attrs.int("batch_dims").unwrap_or(0);
    let batch =
        usize::try_from(batch).map_err(|_| EvalError::invalid("attribute `batch_dims` is negative"))?;
    let Some((depth, outer)) = at.split_last() else {
        return Err(EvalError::invalid("the index is a scalar"));
    };
    if outer.len() < batch || from.len() < batch + depth || outer[..batch] != from[..batch] {
        return Err(EvalError::invalid(format!("an index of shape {at:?} does not fit {from:?}")));
    }
    let (batches, rest) = (count(&from[..batch])?, &from[batch..]);
    let block = count(&rest[*depth..])? * x.dtype().size();
    let dims: Vec<usize> = outer.iter().chain(&rest[*depth..]).copied().collect();
    let rows = count(outer)?;
    let positions = if *depth == 0 { vec![0; rows] } else { block_positions(rest, *depth, &indices)? };
    let blocks = x.unpacked();
    let mut bytes = Vec::with_capacity(count(&dims)? * x.dtype().size());
    for (row, position) in positions.iter().enumerate() {
        let base = row * batches / rows * count(&rest[..*depth])?;
        bytes.extend_from_slice(&blocks[(base + position) * block..][..block]);
    }
    from_bytes(x.dtype(), &dims, bytes)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, f32s, i64s, iota, none, run};
    use orogen_ir::types::{DType, TensorData};

    #[test]
    fn gathers_rows() {
        let x = iota(&[2, 3]);
        let axis = |axis: i64| none().with("axis", axis);
        let picked = run("gather", axis(1), &[x.clone(), i64s(&[2], &[-1, 0])]);
        assert_eq!(picked, (vec![2, 2], vec![2.0, 0.0, 5.0, 3.0]));
        let scalar = TensorData::from_slice(DType::I32, &[], &[1]);
        assert_eq!(run("gather", axis(0), &[x.clone(), scalar]), (vec![3], vec![3.0, 4.0, 5.0]));
        assert!(eval("gather", axis(1), &[x.clone(), i64s(&[1], &[3])]).is_err());
        assert_eq!(run("gather", axis(0), &[x, i64s(&[0], &[])]).0, [0, 3]);
        assert!(eval("gather", axis(0), &[f32s(&[0, 3], &[]), i64s(&[1], &[0])]).is_err());
    }

    #[test]
    fn gathers_elements() {
        let x = iota(&[2, 3]);
        let axis = |axis: i64| none().with("axis", axis);
        let picked = run("gather_elements", axis(1), &[x.clone(), i64s(&[2, 2], &[0, -1, 1, 1])]);
        assert_eq!(picked, (vec![2, 2], vec![0.0, 2.0, 4.0, 4.0]));
        assert_eq!(
            run("gather_elements", axis(0), &[x.clone(), i64s(&[1, 3], &[1, 0, 1])]).1,
            [3.0, 1.0, 5.0]
        );
        assert!(eval("gather_elements", axis(0), &[x, i64s(&[1, 4], &[0; 4])]).is_err());
    }

    #[test]
    fn gathers_blocks() {
        let x = iota(&[2, 2, 2]);
        let picked = run("gather_nd", none(), &[x.clone(), i64s(&[2, 2], &[0, 1, 1, 0])]);
        assert_eq!(picked, (vec![2, 2], vec![2.0, 3.0, 4.0, 5.0]));
        let picked = run("gather_nd", none().with("batch_dims", 1), &[x.clone(), i64s(&[2, 1], &[1, 0])]);
        assert_eq!(picked, (vec![2, 2], vec![2.0, 3.0, 4.0, 5.0]));
        assert_eq!(run("gather_nd", none(), &[x.clone(), i64s(&[1, 3], &[1, 1, 1])]), (vec![1], vec![7.0]));
        assert!(eval("gather_nd", none(), &[x.clone(), i64s(&[1, 4], &[0; 4])]).is_err());
        assert_eq!(run("gather_nd", none(), &[x, i64s(&[0, 1], &[])]).0, [0, 2, 2]);
    }
}
