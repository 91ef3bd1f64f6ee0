//! Tensors as plain vectors, and the index arithmetic that operators share.

use crate::error::{EvalError, EvalResult};
use crate::scalar;
use orogen_ir::types::{Bytes, DType, TensorData};

/// The elements of a tensor: floats as f64, integers and booleans as in [`scalar`].
#[derive(Clone, Debug)]
pub(crate) enum Elements {
    Float(Vec<f64>),
    Int(Vec<i64>),
}

/// All elements of a tensor.
pub(crate) fn elements(x: &TensorData) -> Elements {
    if x.dtype().is_float() { Elements::Float(floats(x)) } else { Elements::Int(ints(x)) }
}

/// All elements of a float tensor.
pub(crate) fn floats(x: &TensorData) -> Vec<f64> {
    match x.dtype() {
        DType::F32 => x
            .bytes()
            .chunks_exact(4)
            .map(|it| f64::from(f32::from_le_bytes([it[0], it[1], it[2], it[3]])))
            .collect(),
        dtype => x.unpacked().chunks_exact(dtype.size()).map(|it| scalar::read_float(it, dtype)).collect(),
    }
}

/// All elements of an integer or boolean tensor.
pub(crate) fn ints(x: &TensorData) -> Vec<i64> {
    x.unpacked().chunks_exact(x.dtype().size()).map(|it| scalar::read_int(it, x.dtype())).collect()
}

/// Dimensions in memory arithmetic.
pub(crate) fn dims_of(x: &TensorData) -> Vec<usize> {
    x.dims().iter().map(|it| *it as usize).collect()
}

/// A tensor of rounded floats.
pub(crate) fn from_floats(dtype: DType, dims: &[usize], values: &[f64]) -> EvalResult<TensorData> {
    let mut bytes = vec![0; values.len() * dtype.size()];
    for (element, value) in bytes.chunks_exact_mut(dtype.size()).zip(values) {
        scalar::write_float(element, *value, dtype);
    }
    from_bytes(dtype, dims, bytes)
}

/// A tensor of integers or booleans.
pub(crate) fn from_ints(dtype: DType, dims: &[usize], values: &[i64]) -> EvalResult<TensorData> {
    let mut bytes = vec![0; values.len() * dtype.size()];
    for (element, value) in bytes.chunks_exact_mut(dtype.size()).zip(values) {
        scalar::write_int(element, *value);
    }
    from_bytes(dtype, dims, bytes)
}

/// A tensor of elements that fit the type.
pub(crate) fn from_elements(dtype: DType, dims: &[usize], values: &Elements) -> EvalResult<TensorData> {
    match values {
        Elements::Float(values) => from_floats(dtype, dims, values),
        Elements::Int(values) => from_ints(dtype, dims, values),
    }
}

/// A tensor of raw elements in flight.
pub(crate) fn from_bytes(dtype: DType, dims: &[usize], bytes: Vec<u8>) -> EvalResult<TensorData> {
    let dims = dims.iter().map(|it| *it as u64).collect();
    TensorData::from_unpacked(dtype, dims, bytes.into()).map_err(|it| EvalError::invalid(it.to_string()))
}

/// A tensor of strings as numbers whose meaning is elsewhere.
pub(crate) fn numbered(dims: &[u64], numbers: Bytes) -> EvalResult<TensorData> {
    let data = TensorData::new(DType::Str, dims.to_vec(), numbers);
    data.map_err(|it| EvalError::invalid(it.to_string()))
}

/// The most elements that a result may have: a guard against sizes that a broken model computes.
const MAX_ELEMENTS: usize = 1 << 33;

/// Number of elements.
pub(crate) fn count(dims: &[usize]) -> EvalResult<usize> {
    if dims.contains(&0) {
        return Ok(0);
    }
    let total = dims.iter().try_fold(1_usize, |n, it| n.checked_mul(*it));
    total.filter(|it| *it <= MAX_ELEMENTS).ok_or_else(EvalError::too_large)
}

/// A dimension from an integer operand.
pub(crate) fn size_from(value: i64) -> EvalResult<usize> {
    usize::try_from(value).map_err(|_| EvalError::out_of_range(format!("{value} is no size")))
}

/// Row-major strides, in elements.
pub(crate) fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1_usize; dims.len()];
    for i in (1..dims.len()).rev() {
        strides[i - 1] = strides[i].saturating_mul(dims[i]);
    }
    strides
}

/// The dimensions that numpy broadcasting gives.
pub(crate) fn broadcast(shapes: &[&[usize]]) -> EvalResult<Vec<usize>> {
    let rank = shapes.iter().map(|it| it.len()).max().unwrap_or(0);
    let mut dims = vec![1; rank];
    for shape in shapes {
        for (dim, other) in dims[rank - shape.len()..].iter_mut().zip(*shape) {
            match (*dim, *other) {
                (a, b) if a == b || b == 1 => {}
                (1, b) => *dim = b,
                (a, b) => {
                    return Err(EvalError::invalid(format!("dimensions {a} and {b} do not broadcast")));
                }
            }
        }
    }
    Ok(dims)
}

/// Positions in an operand of shape `from` for every element of the broadcast shape `to`.
pub(crate) fn broadcast_positions(from: &[usize], to: &[usize]) -> Vec<usize> {
    let skip = to.len() - from.len();
    let own = strides(from);
    let steps: Vec<usize> = (0..to.len())
        .map(|i| match i.checked_sub(skip) {
            Some(j) if from[j] != 1 => own[j],
            _ => 0,
        })
        .collect();
    positions(to, &steps)
}

/// `Σ index · step` for every index of `dims` in row-major order.
pub(crate) fn positions(dims: &[usize], steps: &[usize]) -> Vec<usize> {
    let mut list = vec![0];
    for (dim, step) in dims.iter().zip(steps) {
        list = list.iter().flat_map(|base| (0..*dim).map(move |i| base + i * step)).collect();
    }
    list
}

/// One entry a point of a box: the sum of one entry of each list, in row-major order; `None` when any is.
pub(crate) fn combined_positions(lists: &[Vec<Option<usize>>]) -> Vec<Option<usize>> {
    let mut all = vec![Some(0)];
    for list in lists {
        all = all.iter().flat_map(|base| list.iter().map(move |it| Some((*base)? + (*it)?))).collect();
    }
    all
}

/// The tensor whose elements lie at `positions` of `x`; `fill` stands for `None`.
pub(crate) fn pick(
    x: &TensorData,
    dims: &[usize],
    positions: impl IntoIterator<Item = Option<usize>>,
    fill: &[u8],
) -> EvalResult<TensorData> {
    let size = x.dtype().size();
    let from = x.unpacked();
    let mut bytes = Vec::with_capacity(count(dims)? * size);
    for position in positions {
        bytes.extend_from_slice(match position {
            Some(it) => &from[it * size..(it + 1) * size],
            None => fill,
        });
    }
    from_bytes(x.dtype(), dims, bytes)
}

/// An index that may count from the end.
pub(crate) fn wrapped_index(index: i64, extent: usize) -> EvalResult<usize> {
    let signed = extent as i64;
    let position = if index < 0 { index.saturating_add(signed) } else { index };
    match usize::try_from(position) {
        Ok(it) if it < extent => Ok(it),
        _ => Err(EvalError::out_of_range(format!("index {index} is out of range for {extent} elements"))),
    }
}

/// A shape seen along one axis: `outer` blocks of `n` rows of `inner` elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AlongAxis {
    pub(crate) outer: usize,
    pub(crate) n: usize,
    pub(crate) inner: usize,
}

/// Splits a shape at `axis`.
pub(crate) fn along(dims: &[usize], axis: usize) -> AlongAxis {
    AlongAxis {
        outer: dims[..axis].iter().product(),
        n: dims[axis],
        inner: dims[axis + 1..].iter().product(),
    }
}

/// A number type that sums of products work in.
pub(crate) trait Number: Copy {
    fn add(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
}

impl Number for f64 {
    fn add(self, other: f64) -> f64 {
        self + other
    }
    fn mul(self, other: f64) -> f64 {
        self * other
    }
}

impl Number for i64 {
    fn add(self, other: i64) -> i64 {
        self.wrapping_add(other)
    }
    fn mul(self, other: i64) -> i64 {
        self.wrapping_mul(other)
    }
}

/// `y[i] += k · x[i]`.
pub(crate) fn add_scaled<T: Number>(y: &mut [T], k: T, x: &[T]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = y.add(k.mul(*x));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_row_major() {
        assert_eq!(positions(&[2, 3], &[3, 1]), [0, 1, 2, 3, 4, 5]);
        assert_eq!(positions(&[3, 2], &[1, 3]), [0, 3, 1, 4, 2, 5]);
        assert_eq!(positions(&[], &[]), [0]);
        assert!(positions(&[2, 0], &[0, 1]).is_empty());
        assert_eq!(broadcast_positions(&[2, 1], &[2, 2, 3]), [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]);
        assert_eq!(combined_positions(&[vec![Some(4), None], vec![Some(1)]]), [Some(5), None]);
    }

    #[test]
    fn broadcasting_follows_numpy() {
        assert_eq!(broadcast(&[&[2, 1, 4], &[3, 1]]).unwrap(), [2, 3, 4]);
        assert_eq!(broadcast(&[&[0], &[1]]).unwrap(), [0]);
        assert_eq!(broadcast(&[&[], &[2]]).unwrap(), [2]);
        assert!(broadcast(&[&[2], &[3]]).is_err());
        assert!(broadcast(&[&[0], &[2]]).is_err());
    }
}
