//! Contractions: one reduction stage over a product of two loads.
//!
//! Integers of quantised values are read as `cast<i32>(load x) − cast<i32>(load zero)`, or as `cast<i32>(load x)` where
//! the zero point is known to be 0. Padding is the zero point: the load's `otherwise` is the load of it, or 0.
//! In products with floats they are read as `cast<f32>(load x) − cast<f32>(load zero)`.

use super::context::{overflow, wide};
use super::quantized::centred;
use super::{LegalizeFn, Legalizer, Lowering};
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{Axis, BinaryOp, BufferId, BuildResult, Combine, CompareOp, ExprId};
use orogen_ir::shape::Dim;
use orogen_ir::types::{DType, Dims};

pub(super) const ROWS: &[(&str, LegalizeFn)] = &[
    ("matmul", |cx| matmul(cx, plain)),
    ("matmul_integer", |cx| matmul(cx, from_zero_point)),
    ("conv", |cx| conv(cx, plain, Some(2))),
    ("conv_integer", |cx| conv(cx, from_zero_point, None)),
    ("matmul_mixed", |cx| matmul(cx, converted)),
    ("conv_mixed", |cx| conv(cx, converted, None)),
    ("conv_transpose", conv_transpose),
];

/// How operand `i` is read at a place, in or out of range when it is `padded`.
type Read = fn(&mut Legalizer<'_>, i: usize, at: Dims, padded: bool) -> BuildResult<ExprId>;

fn plain(cx: &mut Legalizer<'_>, i: usize, at: Dims, padded: bool) -> BuildResult<ExprId> {
    let buffer = cx.input(i)?;
    if !padded {
        return cx.b.load(buffer, at);
    }
    let zero = cx.b.number(0.0, cx.b.buffer_dtype(buffer));
    cx.b.load_or(buffer, at, zero)
}

/// The distance from the zero point, which is operand `i + 2`.
fn from_zero_point(cx: &mut Legalizer<'_>, i: usize, at: Dims, padded: bool) -> BuildResult<ExprId> {
    if !cx.has(i + 2) || cx.is_zero(i + 2) {
        let value = plain(cx, i, at, padded)?;
        return centred(&mut cx.b, value, None);
    }
    let (x, zero) = (cx.input(i)?, cx.input(i + 2)?);
    let zero = cx.b.load_broadcast(zero, &at)?;
    let value = if padded { cx.b.load_or(x, at, zero)? } else { cx.b.load(x, at)? };
    centred(&mut cx.b, value, Some(zero))
}

/// An operand in f32; integers less their zero point, which is operand 2.
fn converted(cx: &mut Legalizer<'_>, i: usize, at: Dims, padded: bool) -> BuildResult<ExprId> {
    let buffer = cx.input(i)?;
    let is_int = cx.b.buffer_dtype(buffer).is_int();
    let value = plain(cx, i, at.clone(), padded)?;
    let value = cx.b.cast(DType::F32, value);
    if !is_int || !cx.has(2) || cx.is_zero(2) {
        return Ok(value);
    }
    let zero = cx.input(2)?;
    let zero = cx.b.load_broadcast(zero, &at)?;
    let zero = cx.b.cast(DType::F32, zero);
    cx.b.binary(BinaryOp::Sub, value, zero)
}

/// The type that sums of products are computed in. Integers below 32 bits wrap where the sum is stored: that is the same,
/// and `i32` has instructions that add several products.
fn sums(dtype: DType) -> DType {
    if dtype.is_int() && dtype.size() < 4 { DType::I32 } else { wide(dtype) }
}

/// The product of two values in the type that sums are computed in.
pub(super) fn product(cx: &mut Legalizer<'_>, a: ExprId, b: ExprId) -> BuildResult<ExprId> {
    let dtype = sums(cx.b.dtype_of(a));
    let (a, b) = (cx.b.cast(dtype, a), cx.b.cast(dtype, b));
    cx.b.binary(BinaryOp::Mul, a, b)
}

fn matmul(mut cx: Legalizer<'_>, read: Read) -> Result<Lowering, Diagnostic> {
    let ((_, a_dims), (_, b_dims)) = (cx.operand(0)?, cx.operand(1)?);
    let out = cx.output(0)?;
    let out_dims = cx.b.buffer_dims(out);
    let vectors = usize::from(a_dims.len() == 1) + usize::from(b_dims.len() == 1);
    let batch_rank = out_dims.len() + vectors - 2;
    let mut axes: Vec<Axis> = cx.b.axes("b", &out_dims[..batch_rank]).to_vec();
    let batch = cx.b.vars(&axes);
    let sum = cx.b.axis("k", a_dims[a_dims.len() - 1]);
    let k = cx.b.var(sum);
    let mut a_at = batch_index(&mut cx, &a_dims, &batch)?;
    let mut b_at = batch_index(&mut cx, &b_dims, &batch)?;
    if a_dims.len() > 1 {
        let axis = cx.b.axis("m", a_dims[a_dims.len() - 2]);
        axes.push(axis);
        a_at.push(cx.b.var(axis));
    }
    a_at.push(k);
    b_at.push(k);
    if b_dims.len() > 1 {
        let axis = cx.b.axis("n", b_dims[b_dims.len() - 1]);
        axes.push(axis);
        b_at.push(cx.b.var(axis));
    }
    let (a, b) = (read(&mut cx, 0, a_at, false)?, read(&mut cx, 1, b_at, false)?);
    let mut value = product(&mut cx, a, b)?;
    // Sums of integers that are floats: each term is one exactly.
    if cx.b.buffer_dtype(out).is_float() {
        value = cx.b.cast(sums(cx.b.buffer_dtype(out)), value);
    }
    let at = cx.b.vars(&axes);
    cx.reduce_into(&axes, &[sum], Combine::Sum, out, &at, value)?;
    cx.finish()
}

/// Where an operand of shape `[…, rows, columns]` is read for a point of the broadcast leading dimensions.
pub(super) fn batch_index(cx: &mut Legalizer<'_>, dims: &[Dim], batch: &[Dim]) -> BuildResult<Dims> {
    let own = dims.len().saturating_sub(2);
    cx.b.broadcast_at(&dims[..own], &batch[batch.len() - own..])
}

/// What convolutions share: operands, result, attributes over `n` spatial dimensions.
struct Conv {
    x_dims: Dims,
    w_dims: Dims,
    /// Which operand is the bias, when there is one.
    bias: Option<usize>,
    out: BufferId,
    out_dims: Dims,
    strides: Vec<i64>,
    dilations: Vec<i64>,
    pads: Vec<i64>,
    group: i64,
}

impl Conv {
    fn new(cx: &mut Legalizer<'_>, bias: Option<usize>) -> BuildResult<Self> {
        let ((_, x_dims), (_, w_dims)) = (cx.operand(0)?, cx.operand(1)?);
        let out = cx.output(0)?;
        let n = x_dims.len().saturating_sub(2);
        Ok(Conv {
            bias: bias.filter(|it| cx.has(*it)),
            out,
            out_dims: cx.b.buffer_dims(out),
            strides: cx.ints_attr("strides", n, 1),
            dilations: cx.ints_attr("dilations", n, 1),
            pads: cx.ints_attr("pads", 2 * n, 0),
            group: cx.attrs.int("group").unwrap_or(1),
            x_dims,
            w_dims,
        })
    }

    fn spatial(&self) -> usize {
        self.x_dims.len() - 2
    }

    fn padded(&self) -> bool {
        self.pads.iter().any(|it| *it != 0)
    }

    /// Where sums of a type go: the result, or a local that a bias stage reads.
    fn target(&self, cx: &mut Legalizer<'_>, dtype: DType) -> BufferId {
        if self.bias.is_some() { cx.b.local("sum", dtype, &self.out_dims) } else { self.out }
    }

    /// Adds the bias, when there is one.
    fn bias(&self, cx: &mut Legalizer<'_>, target: BufferId) -> BuildResult<()> {
        let Some(bias) = self.bias else { return Ok(()) };
        let bias = cx.input(bias)?;
        let (dtype, out_dtype) = (cx.b.buffer_dtype(target), cx.b.buffer_dtype(self.out));
        cx.b.fill(self.out, |b, at| {
            let sum = b.load(target, at.iter().copied())?;
            let addend = b.load(bias, [at[1]])?;
            let addend = b.cast(dtype, addend);
            let sum = b.binary(BinaryOp::Add, sum, addend)?;
            Ok(b.cast(out_dtype, sum))
        })
    }

    /// The channel axes: those of the result with its channel index, and the group with the index inside it. With one
    /// channel a group (or one group) a single axis does, and every index stays affine.
    fn channels(&self, cx: &mut Legalizer<'_>, inside: Dim) -> BuildResult<Channels> {
        let zero = cx.b.shapes().int(0);
        if self.group == 1 {
            let axis = cx.b.axis("o", inside);
            let channel = cx.b.var(axis);
            return Ok(Channels { axes: vec![axis], channel, group: zero, inside: channel });
        }
        let groups = cx.b.shapes().int(self.group);
        let axis = cx.b.axis("g", groups);
        let group = cx.b.var(axis);
        if cx.is_one(inside) {
            return Ok(Channels { axes: vec![axis], channel: group, group, inside: zero });
        }
        let inner = cx.b.axis("o", inside);
        let inner_var = cx.b.var(inner);
        let first = cx.mul(group, inside)?;
        let channel = cx.add(first, inner_var)?;
        Ok(Channels { axes: vec![axis, inner], channel, group, inside: inner_var })
    }

    /// A reduction axis, or index 0 without an axis when its extent is 1.
    fn tap(cx: &mut Legalizer<'_>, hint: &str, extent: Dim, reduce: &mut Vec<Axis>) -> Dim {
        if cx.is_one(extent) {
            return cx.b.shapes().int(0);
        }
        let axis = cx.b.axis(hint, extent);
        reduce.push(axis);
        cx.b.var(axis)
    }
}

/// Result channels of a grouped convolution.
struct Channels {
    axes: Vec<Axis>,
    channel: Dim,
    group: Dim,
    inside: Dim,
}

fn conv(mut cx: Legalizer<'_>, read: Read, bias: Option<usize>) -> Result<Lowering, Diagnostic> {
    let conv = Conv::new(&mut cx, bias)?;
    let batch = cx.b.axis("n", conv.out_dims[0]);
    let out_channels = conv.w_dims[0];
    let per_group = cx.b.shapes().floor_div(out_channels, conv.group).map_err(overflow)?;
    let channels = conv.channels(&mut cx, per_group)?;
    let mut axes = vec![batch];
    axes.extend(&channels.axes);
    let mut reduce = Vec::new();
    let ic = Conv::tap(&mut cx, "c", conv.w_dims[1], &mut reduce);
    let first = cx.mul(channels.group, conv.w_dims[1])?;
    let n = cx.b.var(batch);
    let mut at = Dims::from_slice(&[n, channels.channel]);
    let mut x_at = Dims::from_slice(&[n, cx.add(first, ic)?]);
    let mut w_at = Dims::from_slice(&[channels.channel, ic]);
    for i in 0..conv.spatial() {
        let axis = cx.b.axis(&format!("o{i}"), conv.out_dims[2 + i]);
        axes.push(axis);
        let o = cx.b.var(axis);
        let k = Conv::tap(&mut cx, &format!("k{i}"), conv.w_dims[2 + i], &mut reduce);
        let start = cx.linear(o, conv.strides[i], -conv.pads[i])?;
        let offset = cx.linear(k, conv.dilations[i], 0)?;
        x_at.push(cx.add(start, offset)?);
        at.push(o);
        w_at.push(k);
    }
    let (x, w) = (read(&mut cx, 0, x_at, conv.padded())?, read(&mut cx, 1, w_at, false)?);
    let value = product(&mut cx, x, w)?;
    finish_contraction(cx, &conv, &axes, &reduce, &at, value)
}

fn finish_contraction(
    mut cx: Legalizer<'_>,
    conv: &Conv,
    axes: &[Axis],
    reduce: &[Axis],
    at: &[Dim],
    value: ExprId,
) -> Result<Lowering, Diagnostic> {
    let dtype = cx.b.dtype_of(value);
    let target = conv.target(&mut cx, dtype);
    cx.reduce_into(axes, reduce, Combine::Sum, target, at, value)?;
    conv.bias(&mut cx, target)?;
    cx.finish()
}

/// Each result element gathers the inputs that reach it: tap `k` of position `i` goes to `stride·i + dilation·k − pad`. A tap
/// that comes from no position adds nothing, whatever its weight is.
fn conv_transpose(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let conv = Conv::new(&mut cx, Some(2))?;
    let batch = cx.b.axis("n", conv.out_dims[0]);
    let channels = conv.channels(&mut cx, conv.w_dims[1])?;
    let in_channels = cx.b.shapes().floor_div(conv.w_dims[0], conv.group).map_err(overflow)?;
    let mut axes = vec![batch];
    axes.extend(&channels.axes);
    let mut reduce = Vec::new();
    let ic = Conv::tap(&mut cx, "c", in_channels, &mut reduce);
    let first = cx.mul(channels.group, in_channels)?;
    let (n, channel) = (cx.b.var(batch), cx.add(first, ic)?);
    let mut at = Dims::from_slice(&[n, channels.channel]);
    let mut x_at = Dims::from_slice(&[n, channel]);
    let mut w_at = Dims::from_slice(&[channel, channels.inside]);
    let mut phases = Vec::new();
    let mut positions = Vec::new();
    for i in 0..conv.spatial() {
        let (stride, dilation) = (conv.strides[i], conv.dilations[i]);
        let spatial = Spatial { i, stride, dilation, out: conv.out_dims[2 + i], k: conv.w_dims[2 + i] };
        if conv.tiles(&cx, &spatial) {
            let (position, tap) = spatial.tile(&mut cx, conv.x_dims[2 + i], &mut axes);
            let start = cx.linear(position, stride, 0)?;
            at.push(cx.add(start, tap)?);
            x_at.push(position);
            w_at.push(tap);
        } else {
            let axis = cx.b.axis(&format!("o{i}"), spatial.out);
            axes.push(axis);
            let o = cx.b.var(axis);
            let k = Conv::tap(&mut cx, &format!("k{i}"), spatial.k, &mut reduce);
            let shifted = cx.linear(o, 1, conv.pads[i])?;
            let offset = cx.linear(k, dilation, 0)?;
            let numerator = cx.sub(shifted, offset)?;
            phases.push(cx.b.shapes().modulo(numerator, stride).map_err(overflow)?);
            let position = cx.b.shapes().floor_div(numerator, stride).map_err(overflow)?;
            positions.push((position, conv.x_dims[2 + i]));
            x_at.push(position);
            at.push(o);
            w_at.push(k);
        }
    }
    let x = plain(&mut cx, 0, x_at, !positions.is_empty())?;
    let w = plain(&mut cx, 1, w_at, false)?;
    let mut value = product(&mut cx, x, w)?;
    let nothing = cx.b.number(0.0, cx.b.dtype_of(value));
    let zero = cx.b.int(0, DType::I64)?;
    let mut hits = Vec::new();
    for phase in phases.into_iter().filter(|it| cx.as_int(*it) != Some(0)).collect::<Vec<_>>() {
        let phase = cx.b.dim(phase, DType::I64)?;
        hits.push(cx.b.compare(CompareOp::Eq, phase, zero)?);
    }
    // Zeros would make NaN of an infinite weight; of integers there are none.
    if cx.b.dtype_of(value).is_float() {
        for (position, extent) in positions {
            let (position, extent) = (cx.b.dim(position, DType::I64)?, cx.b.dim(extent, DType::I64)?);
            hits.push(cx.b.compare(CompareOp::Ge, position, zero)?);
            hits.push(cx.b.compare(CompareOp::Lt, position, extent)?);
        }
    }
    for hit in hits {
        value = cx.b.select(hit, value, nothing)?;
    }
    finish_contraction(cx, &conv, &axes, &reduce, &at, value)
}

/// One spatial dimension of a transposed convolution.
struct Spatial {
    i: usize,
    stride: i64,
    dilation: i64,
    out: Dim,
    k: Dim,
}

impl Spatial {
    /// Axes over input positions and over taps, which are also the positions inside a tile of the result.
    fn tile(&self, cx: &mut Legalizer<'_>, positions: Dim, axes: &mut Vec<Axis>) -> (Dim, Dim) {
        let outer = cx.b.axis(&format!("o{}", self.i), positions);
        let inner = cx.b.axis(&format!("r{}", self.i), self.k);
        axes.extend([outer, inner]);
        (cx.b.var(outer), cx.b.var(inner))
    }
}

impl Conv {
    /// Whether the taps of one input position make one tile of the result, so that tiles do not overlap and leave no
    /// gap: each result element then has exactly one tap.
    fn tiles(&self, cx: &Legalizer<'_>, spatial: &Spatial) -> bool {
        let (i, n) = (spatial.i, self.spatial());
        let unpadded = self.pads[i] == 0 && self.pads[n + i] == 0 && spatial.dilation == 1;
        let whole = self.ceil_tiles(cx, spatial);
        unpadded && cx.as_int(spatial.k) == Some(spatial.stride) && whole
    }

    /// Whether the result is exactly `stride` times the input along this dimension.
    fn ceil_tiles(&self, cx: &Legalizer<'_>, spatial: &Spatial) -> bool {
        let mut shapes = cx.b.program().shapes.clone();
        let tiles = shapes.scale(self.x_dims[2 + spatial.i], spatial.stride);
        tiles.is_ok_and(|it| shapes.prove_eq(it, spatial.out).is_always())
    }
}
