//! Sparse tensors: constants of which a file holds only the elements that are not 0.
//!
//! A sparse tensor becomes the dense one that it stands for, whose other elements are 0, or the empty string. Places are
//! what ONNX admits: a number for each element, counted row by row, or a row of coordinates for each; in rising order,
//! each once. A few bytes can stand for any number of elements, so the dense tensor is taken from the budget of the
//! compilation before it is made.

use crate::proto::{GraphProto, SparseTensorProto, TensorProto};
use crate::tensor::{TensorLoader, dtype_of, sizes};
use orogen_ir::ops::{Budget, Cost};
use orogen_ir::types::{DType, TensorData};

/// A constant of a graph.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Initializer<'m> {
    Dense(&'m TensorProto),
    Sparse(&'m SparseTensorProto),
}

impl GraphProto {
    /// Its constants of both kinds.
    pub(crate) fn initializers(&self) -> impl Iterator<Item = Initializer<'_>> {
        let dense = self.initializer.iter().map(Initializer::Dense);
        dense.chain(self.sparse_initializer.iter().map(Initializer::Sparse))
    }
}

impl<'m> Initializer<'m> {
    /// Its name; a sparse tensor has that of its values.
    pub(crate) fn name(self) -> &'m str {
        match self {
            Initializer::Dense(tensor) => &tensor.name,
            Initializer::Sparse(sparse) => sparse.values.as_ref().map_or("", |it| &it.name),
        }
    }

    /// Its element type.
    pub(crate) fn dtype(self) -> Result<DType, String> {
        dtype_of(match self {
            Initializer::Dense(tensor) => tensor.data_type,
            Initializer::Sparse(sparse) => values(sparse)?.data_type,
        })
    }

    /// Bytes of its elements, as far as its shape tells; the most when it has none.
    pub(crate) fn byte_count(self) -> u64 {
        let dims = match self {
            Initializer::Dense(tensor) => &tensor.dims,
            Initializer::Sparse(sparse) => &sparse.dims,
        };
        let bytes = || TensorData::byte_count(self.dtype().ok()?, &sizes(dims).ok()?);
        bytes().map_or(u64::MAX, |it| it as u64)
    }

    /// Its data.
    ///
    /// # Errors
    /// Why there are none, as a clause.
    pub(crate) fn load(self, loader: &TensorLoader, budget: &Budget) -> Result<TensorData, String> {
        match self {
            Initializer::Dense(tensor) => loader.load(tensor),
            Initializer::Sparse(sparse) => dense(sparse, loader, budget),
        }
    }
}

fn values(sparse: &SparseTensorProto) -> Result<&TensorProto, String> {
    sparse.values.as_ref().ok_or_else(|| "it has no values".into())
}

/// The dense tensor.
pub(crate) fn dense(
    sparse: &SparseTensorProto,
    loader: &TensorLoader,
    budget: &Budget,
) -> Result<TensorData, String> {
    let values = loader.load(values(sparse)?).map_err(|reason| format!("its values: {reason}"))?;
    let dims = sizes(&sparse.dims)?;
    let dtype = values.dtype();
    let size = TensorData::unpacked_count(dtype, &dims)
        .ok_or_else(|| format!("its shape {dims:?} is larger than the address space"))?;
    let [count] = values.dims() else {
        return Err(format!("its values must be a vector, but have {} dimensions", values.dims().len()));
    };
    let elements = (size / dtype.size()) as u64;
    let places = places(sparse, loader, &dims, elements, *count)?;
    let cost = Cost { bytes: size as u64, scratch: size as u64, operations: elements };
    if !budget.compute(cost, "a sparse tensor") {
        return Err(format!(
            "the dense tensor that it stands for, {dtype}{dims:?}, is beyond the budget (`--budget N` allows N times as much)"
        ));
    }
    if dtype == DType::Str {
        let mut texts = vec![""; elements as usize];
        for (i, place) in places.iter().enumerate() {
            texts[*place] = values.text(i);
        }
        return TensorData::strings(&dims, texts).map_err(|error| error.to_string());
    }
    let (width, given) = (dtype.size(), values.unpacked());
    let mut bytes = vec![0; size];
    for (i, place) in places.iter().enumerate() {
        bytes[place * width..(place + 1) * width].copy_from_slice(&given[i * width..(i + 1) * width]);
    }
    TensorData::from_unpacked(dtype, dims, bytes.into()).map_err(|error| error.to_string())
}

/// Where the values stand, counted row by row, in rising order.
fn places(
    sparse: &SparseTensorProto,
    loader: &TensorLoader,
    dims: &[u64],
    elements: u64,
    count: u64,
) -> Result<Vec<usize>, String> {
    if count > elements {
        return Err(format!("it has {count} values for {elements} elements"));
    }
    let Some(proto) = &sparse.indices else {
        return if count == 0 { Ok(Vec::new()) } else { Err("it has no indices".into()) };
    };
    let indices = loader.load(proto).map_err(|reason| format!("its indices: {reason}"))?;
    if !indices.dtype().is_int() {
        return Err(format!("its indices are {}, no integers", indices.dtype()));
    }
    let rank = dims.len() as u64;
    // Of no values also what has no rows.
    let rows = match *indices.dims() {
        [n] if n == count => false,
        [n, r] if n == count && r == rank => true,
        _ if count == 0 && indices.is_empty() => return Ok(Vec::new()),
        _ => {
            let shape = indices.dims();
            return Err(format!(
                "its indices must be of shape [{count}] or [{count}, {rank}], but are of shape {shape:?}"
            ));
        }
    };
    let list = indices.to_i64();
    let at = |index: i64, size: u64| {
        let found = u64::try_from(index).ok().filter(|it| *it < size);
        found.ok_or_else(|| format!("index {index} is not from 0 to {}", size as i128 - 1))
    };
    let place = |i: usize| match rows {
        false => at(list[i], elements),
        true => dims
            .iter()
            .enumerate()
            .try_fold(0, |place, (axis, size)| Ok(place * size + at(list[i * dims.len() + axis], *size)?)),
    };
    let mut places = Vec::new();
    for i in 0..count as usize {
        let place = place(i).map_err(|reason| format!("value {i}: {reason}"))? as usize;
        if places.last().is_some_and(|last| *last >= place) {
            return Err(format!("value {i} does not stand after the one before it"));
        }
        places.push(place);
    }
    Ok(places)
}
