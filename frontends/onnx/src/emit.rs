//! What converters are written with: types of values, constants, and operations on the sink.

use crate::node::{NodeCx, bad, not_supported};
use crate::sink::{Ranked, Value};
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::{Attr, Attrs, DType, Dims, TensorData, TensorType, Type};

/// Constants of more elements than this are never read as lists of axes, sizes and the like.
const MAX_LIST: usize = 4096;

/// One entry of a shape that is put together, see [`NodeCx::shape_vector`].
#[derive(Clone, Debug)]
pub enum Size {
    /// A number.
    Const(i64),
    /// One dimension of a value.
    Of(Value, usize),
    /// The product of several dimensions of a value.
    Product(Value, Vec<usize>),
}

impl<'m> NodeCx<'_, 'm> {
    /// Emits an operation of the standard operator list and returns all its results.
    pub fn emit_all(&mut self, op: &str, attrs: Attrs, args: &[Value]) -> Result<Vec<Value>, Diagnostic> {
        let id = self
            .sink
            .ops()
            .find(op)
            .ok_or_else(|| not_supported(format!("this build has no operator `{op}`")))?;
        self.sink.emit(id, attrs, args)
    }

    /// Emits an operation of one result.
    pub fn emit(&mut self, op: &str, attrs: Attrs, args: &[Value]) -> Result<Value, Diagnostic> {
        let results = self.emit_all(op, attrs, args)?;
        results.first().copied().ok_or_else(|| not_supported(format!("operator `{op}` has no result")))
    }

    /// Emits an operation of one operand and no attributes.
    pub fn unary(&mut self, op: &str, x: Value) -> Result<Value, Diagnostic> {
        self.emit(op, Attrs::none(), &[x])
    }

    /// Emits an operation of two operands, broadcast, and no attributes.
    pub fn binary(&mut self, op: &str, a: Value, b: Value) -> Result<Value, Diagnostic> {
        self.emit(op, Attrs::none(), &[a, b])
    }

    /// `op(x, number)` with the number in the element type of `x`.
    pub fn with_number(&mut self, op: &str, x: Value, number: f64) -> Result<Value, Diagnostic> {
        let number = self.number_like(x, number)?;
        self.binary(op, x, number)
    }

    /// Element by element: `a` where `cond` is true, else `b`.
    pub fn select(&mut self, cond: Value, a: Value, b: Value) -> Result<Value, Diagnostic> {
        self.emit("where", Attrs::none(), &[cond, a, b])
    }

    /// The tensor type of a value.
    pub fn tensor_type(&self, value: Value) -> Result<&TensorType, Diagnostic> {
        match self.sink.type_of(value) {
            Type::Tensor(it) => Ok(it),
            _ => Err(bad("an operand is not a tensor")),
        }
    }

    /// The element type of a value.
    pub fn dtype(&self, value: Value) -> Result<DType, Diagnostic> {
        Ok(self.tensor_type(value)?.dtype)
    }

    /// The number of dimensions of a value.
    pub fn rank(&self, value: Value) -> Result<usize, Diagnostic> {
        self.tensor_type(value)?
            .shape
            .rank()
            .ok_or_else(|| not_supported("the number of dimensions of an operand is not known"))
    }

    /// The dimensions of a value, when known.
    pub fn dims(&self, value: Value) -> Option<Dims> {
        self.tensor_type(value).ok()?.dims().map(Dims::from)
    }

    /// Dimension `axis` of a value when it is a known number.
    pub fn static_dim(&mut self, value: Value, axis: usize) -> Option<i64> {
        let dim = *self.dims(value)?.get(axis)?;
        self.sink.shapes().as_int(dim)
    }

    /// All dimensions of a value when they are known numbers.
    pub fn static_dims(&mut self, value: Value) -> Option<Vec<i64>> {
        let dims = self.dims(value)?;
        let shapes = self.sink.shapes();
        dims.iter().map(|it| shapes.as_int(*it)).collect()
    }

    /// An axis counted from the start; `axis` may be negative.
    pub fn axis(&self, value: Value, axis: i64) -> Result<usize, Diagnostic> {
        normal_axis(axis, self.rank(value)?)
    }

    /// Axes counted from the start, in increasing order.
    pub fn axes(&self, value: Value, axes: &[i64]) -> Result<Vec<i64>, Diagnostic> {
        normal_axes(axes, self.rank(value)?)
    }

    /// A boolean for each of `rank` axes: whether it is one of `axes`, a vector of integers that count from the start or,
    /// below 0, from the end.
    pub fn axis_mask(&mut self, axes: Value, rank: usize) -> Result<Value, Diagnostic> {
        let hits = self.axis_hits(axes, rank)?;
        self.reduce("reduce_max", hits, &[1], false)
    }

    /// The same for each of `axes`: a boolean for each of `rank` axes and each of them.
    pub(crate) fn axis_hits(&mut self, axes: Value, rank: usize) -> Result<Value, Diagnostic> {
        let count = rank as i64;
        let column = vec![count as u64, 1];
        let from_start = self.constant(i64_data(column.clone(), &(0..count).collect::<Vec<_>>()));
        let from_end = self.constant(i64_data(column, &(-count..0).collect::<Vec<_>>()));
        let (after, before) =
            (self.binary("equal", from_start, axes)?, self.binary("equal", from_end, axes)?);
        self.binary("or", after, before)
    }

    /// A constant.
    pub fn constant(&mut self, data: TensorData) -> Value {
        self.sink.constant("", data)
    }

    /// A constant vector of integers.
    pub fn int_vector(&mut self, list: &[i64]) -> Value {
        self.constant(i64_data(vec![list.len() as u64], list))
    }

    /// A constant integer of rank 0.
    pub fn int_scalar(&mut self, number: i64) -> Value {
        self.constant(i64_data(Vec::new(), &[number]))
    }

    /// A constant number of rank 0.
    pub fn number(&mut self, dtype: DType, number: f64) -> Value {
        self.constant(TensorData::from_f64(dtype, &[], [number]))
    }

    /// A constant number of rank 0 in the element type of `like`.
    pub fn number_like(&mut self, like: Value, number: f64) -> Result<Value, Diagnostic> {
        let dtype = self.dtype(like)?;
        Ok(self.number(dtype, number))
    }

    /// The data of a constant. An input that may be overridden is one from then on, unless the user chose otherwise: ask
    /// for what has to be known.
    pub fn constant_data(&self, value: Value) -> Option<&TensorData> {
        self.sink.needed_data(value)
    }

    /// The integers of a small constant, or of a value whose elements are all known numbers. As
    /// [`constant_data`](Self::constant_data), this is for what has to be known.
    pub fn const_ints(&mut self, value: Value) -> Option<Vec<i64>> {
        match self.sink.needed_data(value).map(small_ints) {
            Some(known) => known,
            None => self.known_ints(value),
        }
    }

    /// The same for what is built otherwise when it is not known: inputs that may be overridden stay so.
    pub fn known_ints(&mut self, value: Value) -> Option<Vec<i64>> {
        if let Some(data) = self.sink.constant_data(value) {
            return small_ints(data);
        }
        let elements = self.tensor_type(value).ok()?.elements.clone()?;
        let shapes = self.sink.shapes();
        elements.iter().map(|it| shapes.as_int(*it)).collect()
    }

    /// The integers of operand `i`, which must be a constant; `None` when the operand is left out.
    pub fn const_input(&mut self, i: usize, what: &str) -> Result<Option<Vec<i64>>, Diagnostic> {
        let Some(value) = self.optional(i) else { return Ok(None) };
        match self.const_ints(value) {
            Some(list) => Ok(Some(list)),
            None => Err(not_supported(format!("operand {i} ({what}) must be a constant"))),
        }
    }

    /// The number of a constant of one element.
    pub fn const_number(&self, value: Value) -> Option<f64> {
        let data = self.sink.needed_data(value)?;
        (data.len() == 1 && !data.dtype().is_only_moved()).then(|| data.get_f64(0))
    }

    /// The value in another element type.
    pub fn cast(&mut self, value: Value, to: DType) -> Result<Value, Diagnostic> {
        if self.dtype(value)? == to {
            return Ok(value);
        }
        self.emit("cast", Attrs::none().with("to", to), &[value])
    }

    /// The value as a vector of i64.
    pub fn as_i64(&mut self, value: Value) -> Result<Value, Diagnostic> {
        self.cast(value, DType::I64)
    }

    /// Sizes as a vector of i64 with elements that its type knows. Operands that an operator reads need no such step.
    pub fn known_sizes(&mut self, value: Value) -> Result<Value, Diagnostic> {
        let value = self.as_i64(value)?;
        self.sink.known_sizes(value)
    }

    /// The whole shape of a value as a vector.
    pub fn shape_of(&mut self, value: Value) -> Result<Value, Diagnostic> {
        self.emit("shape_of", Attrs::none(), &[value])
    }

    /// Dimensions `start..end` of a value as a vector.
    pub fn shape_part(&mut self, value: Value, start: usize, end: usize) -> Result<Value, Diagnostic> {
        let attrs = Attrs::none().with("start", start as i64).with("end", end as i64);
        self.emit("shape_of", attrs, &[value])
    }

    /// A shape put together from numbers and dimensions.
    pub fn shape_vector(&mut self, sizes: &[Size]) -> Result<Value, Diagnostic> {
        if let Some(list) = sizes.iter().map(|it| self.static_size(it)).collect::<Option<Vec<i64>>>() {
            return Ok(self.int_vector(&list));
        }
        let mut parts = Vec::new();
        for size in sizes {
            let part = match size {
                Size::Const(it) => self.int_vector(&[*it]),
                Size::Of(value, axis) => self.shape_part(*value, *axis, axis + 1)?,
                Size::Product(value, axes) => {
                    let mut product = self.int_vector(&[1]);
                    for axis in axes {
                        let dim = self.shape_part(*value, *axis, axis + 1)?;
                        product = self.binary("mul", product, dim)?;
                    }
                    product
                }
            };
            parts.push(part);
        }
        self.concat(&parts, 0)
    }

    fn static_size(&mut self, size: &Size) -> Option<i64> {
        match size {
            Size::Const(it) => Some(*it),
            Size::Of(value, axis) => self.static_dim(*value, *axis),
            Size::Product(value, axes) => axes
                .iter()
                .try_fold(1i64, |product, axis| product.checked_mul(self.static_dim(*value, *axis)?)),
        }
    }

    /// The value under another shape, taken literally: 0 is a size.
    pub fn reshape(&mut self, value: Value, shape: Value) -> Result<Value, Diagnostic> {
        self.emit("reshape", Attrs::none().with("allow_zero", true), &[value, shape])
    }

    /// The value under a shape put together from numbers and dimensions.
    pub fn reshape_to(&mut self, value: Value, sizes: &[Size]) -> Result<Value, Diagnostic> {
        let shape = self.shape_vector(sizes)?;
        self.reshape(value, shape)
    }

    /// The value with its dimensions in another order.
    pub fn transpose(&mut self, value: Value, perm: &[usize]) -> Result<Value, Diagnostic> {
        if perm.iter().enumerate().all(|(i, axis)| i == *axis) {
            return Ok(value);
        }
        let perm: Vec<i64> = perm.iter().map(|it| *it as i64).collect();
        self.emit("transpose", Attrs::none().with("perm", perm), &[value])
    }

    /// Adds dimensions of size 1 at these places of the result.
    pub fn unsqueeze(&mut self, value: Value, axes: &[i64]) -> Result<Value, Diagnostic> {
        if axes.is_empty() {
            return Ok(value);
        }
        self.emit("unsqueeze", Attrs::none().with("axes", axes), &[value])
    }

    /// A value under as many dimensions as the greatest of these ranks, and its rank.
    pub(crate) fn of_ranks(
        &mut self,
        value: Value,
        ranked: Option<Ranked>,
        ranks: &[usize],
    ) -> Result<[Value; 2], Diagnostic> {
        let value = match &ranked {
            Some(ranked) if matches!(self.sink.type_of(value), Type::Optional(_)) => {
                self.taken_out(value, ranked.rank, &ranked.ranks, ranked.ranks.last().copied().unwrap_or(0))?
            }
            _ => value,
        };
        let own = self.rank(value)?;
        let most = ranks.last().copied().unwrap_or(own);
        let foreseen = match &ranked {
            Some(ranked) => ranked.ranks.iter().all(|it| ranks.contains(it)),
            None => ranks.contains(&own),
        };
        if !foreseen {
            return Err(self.unforeseen_rank());
        }
        let axes: Vec<i64> = (own as i64..most as i64).collect();
        let value = self.unsqueeze(value, &axes)?;
        let rank = match ranked {
            Some(ranked) => ranked.rank,
            None => self.int_scalar(own as i64),
        };
        Ok([value, rank])
    }

    /// The tensor of this rank that an optional holds.
    pub(crate) fn held(&mut self, value: Value, rank: usize) -> Result<Value, Diagnostic> {
        self.emit("optional_get", Attrs::none().with("rank", rank as i64), &[value])
    }

    /// The tensor that an optional holds, which has one of these ranks, under `most` dimensions.
    fn taken_out(
        &mut self,
        value: Value,
        rank: Value,
        ranks: &[usize],
        most: usize,
    ) -> Result<Value, Diagnostic> {
        let Some((first, others)) = ranks.split_first() else { return Err(bad("no rank fits")) };
        let of_rank = |cx: &mut NodeCx<'_, '_>| {
            let tensor = cx.held(value, *first)?;
            let axes: Vec<i64> = (*first as i64..most as i64).collect();
            cx.unsqueeze(tensor, &axes)
        };
        if others.is_empty() {
            return of_rank(self);
        }
        let is = self.with_number("equal", rank, *first as f64)?;
        self.choose(is, &mut |cx, taken| match taken {
            true => of_rank(cx),
            false => cx.taken_out(value, rank, others, most),
        })
    }

    /// A value that is one of two, by a condition of rank 0.
    pub(crate) fn choose(
        &mut self,
        cond: Value,
        build: &mut dyn FnMut(&mut NodeCx<'_, 'm>, bool) -> Result<Value, Diagnostic>,
    ) -> Result<Value, Diagnostic> {
        let (node, inputs, source) = (self.bare(), self.operands().to_vec(), self.describe());
        let around = &mut *self.around;
        let results = self.sink.if_else(cond, &mut |sink, taken| {
            sink.set_source(&source);
            let mut cx = NodeCx::new(node.clone(), inputs.clone(), sink, around);
            Ok(vec![build(&mut cx, taken)?])
        })?;
        self.sink.set_source(&source);
        results.first().copied().ok_or_else(|| bad("a branch has no result"))
    }

    /// What trying did not find.
    pub(crate) fn unforeseen_rank(&self) -> Diagnostic {
        not_supported("the rank of a value depends on several branches or loops inside each other")
    }

    /// Removes dimensions of size 1.
    pub fn squeeze(&mut self, value: Value, axes: &[i64]) -> Result<Value, Diagnostic> {
        if axes.is_empty() {
            return Ok(value);
        }
        self.emit("squeeze", Attrs::none().with("axes", axes), &[value])
    }

    /// Values one after the other along an axis.
    pub fn concat(&mut self, values: &[Value], axis: i64) -> Result<Value, Diagnostic> {
        match values {
            [one] => Ok(*one),
            _ => self.emit("concat", Attrs::none().with("axis", axis), values),
        }
    }

    /// Elements `start..end` along an axis.
    pub fn slice(&mut self, value: Value, axis: usize, start: i64, end: i64) -> Result<Value, Diagnostic> {
        let (start, end) = (self.int_vector(&[start]), self.int_vector(&[end]));
        self.slice_between(value, axis, start, end)
    }

    /// Elements along an axis between two vectors of one element.
    pub fn slice_between(
        &mut self,
        value: Value,
        axis: usize,
        start: Value,
        end: Value,
    ) -> Result<Value, Diagnostic> {
        let step = self.int_vector(&[1]);
        self.emit("slice", Attrs::none().with("axes", vec![axis as i64]), &[value, start, end, step])
    }

    /// A reduction over these axes.
    pub fn reduce(&mut self, op: &str, x: Value, axes: &[i64], keepdims: bool) -> Result<Value, Diagnostic> {
        if axes.is_empty() {
            return Ok(x);
        }
        self.emit(op, Attrs::none().with("axes", axes).with("keepdims", keepdims), &[x])
    }

    /// A tensor of one repeated number.
    pub fn full(&mut self, shape: Value, value: Value) -> Result<Value, Diagnostic> {
        self.emit("full", Attrs::none(), &[shape, value])
    }

    /// `x·scale + offset`.
    pub fn affine(&mut self, x: Value, scale: f64, offset: f64) -> Result<Value, Diagnostic> {
        let scaled = if scale == 1.0 { x } else { self.with_number("mul", x, scale)? };
        if offset == 0.0 { Ok(scaled) } else { self.with_number("add", scaled, offset) }
    }

    /// The value limited to a range.
    pub fn clamp(&mut self, x: Value, low: f64, high: f64) -> Result<Value, Diagnostic> {
        let raised = self.with_number("max", x, low)?;
        self.with_number("min", raised, high)
    }

    /// `x·x`.
    pub fn square(&mut self, x: Value) -> Result<Value, Diagnostic> {
        self.binary("mul", x, x)
    }

    /// A vector or scalar constant seen as `x` along one axis, with dimensions of size 1 elsewhere.
    pub fn along_axis(&mut self, value: Value, axis: usize, rank: usize) -> Result<Value, Diagnostic> {
        if self.rank(value)? == 0 || (self.rank(value)? == 1 && axis + 1 == rank) {
            return Ok(value);
        }
        let trailing: Vec<i64> = (1..(rank - axis) as i64).collect();
        self.unsqueeze(value, &trailing)
    }
}

/// Attributes from pairs.
pub(crate) fn attrs<const N: usize>(list: [(&str, Attr); N]) -> Attrs {
    list.into_iter().fold(Attrs::none(), |attrs, (name, value)| attrs.with(name, value))
}

/// An integer tensor.
pub(crate) fn i64_data(dims: Vec<u64>, list: &[i64]) -> TensorData {
    let bytes: Vec<u8> = list.iter().flat_map(|it| it.to_le_bytes()).collect();
    TensorData::new(DType::I64, dims, bytes.into()).expect("the dimensions count the elements")
}

/// An axis counted from the start.
pub(crate) fn normal_axis(axis: i64, rank: usize) -> Result<usize, Diagnostic> {
    let counted = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(counted)
        .ok()
        .filter(|it| *it < rank)
        .ok_or_else(|| bad(format!("axis {axis} is out of range for {rank} dimensions")))
}

/// Axes counted from the start, in increasing order.
pub(crate) fn normal_axes(axes: &[i64], rank: usize) -> Result<Vec<i64>, Diagnostic> {
    let mut list: Vec<i64> =
        axes.iter().map(|it| Ok(normal_axis(*it, rank)? as i64)).collect::<Result<_, Diagnostic>>()?;
    list.sort_unstable();
    let count = list.len();
    list.dedup();
    if list.len() < count {
        return Err(bad(format!("axes {axes:?} name one axis twice")));
    }
    Ok(list)
}

fn small_ints(data: &TensorData) -> Option<Vec<i64>> {
    (data.len() <= MAX_LIST && data.dtype().is_integral()).then(|| data.to_i64())
}
