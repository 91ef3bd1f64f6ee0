//! Neural-network operators: convolution, pooling, normalisation, softmax, resize.

use super::support::{Class, one, plain, rank_only, smaller};
use super::{Arity, AttrDef, AttrKind, InferCx, InferResult, OpDef, OpRegistry, Read};
use crate::diag::Diagnostic;
use crate::shape::{Dim, Overflow, ShapeCx};
use crate::types::{DType, Dims, ShapeInfo};
use smallvec::SmallVec;

pub(super) const CONV: &[AttrDef] = &[
    AttrDef::optional("strides", AttrKind::Ints),
    AttrDef::optional("pads", AttrKind::Ints),
    AttrDef::optional("dilations", AttrKind::Ints),
    AttrDef::optional("group", AttrKind::Int),
];
const CONV_TRANSPOSE: &[AttrDef] = &[
    AttrDef::optional("strides", AttrKind::Ints),
    AttrDef::optional("pads", AttrKind::Ints),
    AttrDef::optional("dilations", AttrKind::Ints),
    AttrDef::optional("output_padding", AttrKind::Ints),
    AttrDef::optional("group", AttrKind::Int),
];
const MAX_POOL: &[AttrDef] = &[
    AttrDef::required("kernel", AttrKind::Ints),
    AttrDef::optional("strides", AttrKind::Ints),
    AttrDef::optional("pads", AttrKind::Ints),
    AttrDef::optional("dilations", AttrKind::Ints),
    AttrDef::optional("ceil_mode", AttrKind::Bool),
];
const AVG_POOL: &[AttrDef] = &[
    AttrDef::required("kernel", AttrKind::Ints),
    AttrDef::optional("strides", AttrKind::Ints),
    AttrDef::optional("pads", AttrKind::Ints),
    AttrDef::optional("dilations", AttrKind::Ints),
    AttrDef::optional("ceil_mode", AttrKind::Bool),
    AttrDef::optional("count_include_pad", AttrKind::Bool),
];
const LAYER_NORM: &[AttrDef] =
    &[AttrDef::required("axis", AttrKind::Int), AttrDef::optional("epsilon", AttrKind::Float)];
const RESIZE: &[AttrDef] = &[
    AttrDef::optional("mode", AttrKind::Str),
    AttrDef::optional("coordinates", AttrKind::Str),
    AttrDef::optional("nearest", AttrKind::Str),
    AttrDef::optional("scales", AttrKind::Floats),
    AttrDef::optional("cubic_a", AttrKind::Float),
    AttrDef::optional("exclude_outside", AttrKind::Bool),
];

/// Interpolation modes of `resize`; the first is the default, here as in the other lists.
pub const RESIZE_MODES: &[&str] = &["nearest", "linear", "cubic"];
/// Coordinate transformations of `resize`.
pub const RESIZE_COORDINATES: &[&str] =
    &["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"];
/// Roundings of `resize` in mode `nearest`.
pub const RESIZE_NEAREST: &[&str] = &["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"];

pub(crate) fn register(ops: &mut OpRegistry) {
    ops.register(OpDef::pure("conv", Arity::between(2, 3), CONV, conv));
    ops.register(OpDef::pure("conv_transpose", Arity::between(2, 3), CONV_TRANSPOSE, conv_transpose));
    ops.register(OpDef::pure("max_pool", Arity::exactly(1), MAX_POOL, |cx| pool(cx, Class::Number)));
    ops.register(OpDef::pure("avg_pool", Arity::exactly(1), AVG_POOL, |cx| pool(cx, Class::Float)));
    const EPSILON: &[AttrDef] = &[AttrDef::optional("epsilon", AttrKind::Float)];
    ops.register(OpDef::pure("batch_norm", Arity::exactly(5), EPSILON, batch_norm));
    ops.register(OpDef::pure("layer_norm", Arity::between(1, 3), LAYER_NORM, layer_norm));
    const AXIS: &[AttrDef] = &[AttrDef::required("axis", AttrKind::Int)];
    ops.register(OpDef::pure("softmax", Arity::exactly(1), AXIS, softmax));
    ops.register(OpDef::pure("log_softmax", Arity::exactly(1), AXIS, softmax));
    ops.register(OpDef::pure("resize", Arity::exactly(2), RESIZE, resize).reading(&[Read::Sizes(1)]));
}

/// The sliding-window attributes of convolutions and pools over `n` spatial dimensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Step from one window to the next.
    pub strides: SmallVec<[i64; 4]>,
    /// Padding before each spatial dimension.
    pub begins: SmallVec<[i64; 4]>,
    /// Padding after each spatial dimension.
    pub ends: SmallVec<[i64; 4]>,
    /// Distance between two taps of a window.
    pub dilations: SmallVec<[i64; 4]>,
}

impl InferCx<'_> {
    /// Reads `strides`, `pads` and `dilations` for `n` spatial dimensions.
    pub fn window(&self, n: usize) -> Result<Window, Diagnostic> {
        let pads = self.ints("pads", 2 * n, 0, i64::MIN)?;
        Ok(Window {
            strides: self.ints("strides", n, 1, 1)?,
            begins: pads[..n].into(),
            ends: pads[n..].into(),
            dilations: self.ints("dilations", n, 1, 1)?,
        })
    }

    fn group(&self) -> Result<i64, Diagnostic> {
        let group = self.attrs.int("group").unwrap_or(1);
        if group < 1 {
            let message = format!("attribute `group` is {group} but must be at least 1");
            return Err(Diagnostic::error("O023", message));
        }
        Ok(group)
    }

    fn bias(&mut self, channels: Dim) -> Result<(), Diagnostic> {
        if !self.has(2) {
            return Ok(());
        }
        self.expect_rank(2, 1)?;
        if let Some(dims) = self.dims(2)? {
            self.require_eq(dims[0], channels, "dimension 0 of operand 2 (bias) and the output channels")?;
        }
        Ok(())
    }
}

/// Rank of a convolution operand: batch, channels and one or more spatial dimensions.
fn spatial_rank(cx: &InferCx<'_>, operands: &[usize]) -> Result<Option<usize>, Diagnostic> {
    let mut found = None;
    for i in operands {
        cx.expect_rank_at_least(*i, 3)?;
        if let Some(rank) = cx.tensor(*i)?.shape.rank() {
            cx.expect_rank(*i, found.unwrap_or(rank))?;
            found = Some(rank);
        }
    }
    Ok(found.map(|it| it - 2))
}

fn conv(cx: &mut InferCx<'_>) -> InferResult {
    cx.tensor_of(0, Class::Number)?;
    let dtype = cx.all_same_dtype(0..cx.args.len())?;
    let result = convolution(cx, dtype)?;
    if let Some(w) = cx.dims(1)? {
        cx.bias(w[0])?;
    }
    Ok(result)
}

/// The result of sliding operand 1 over operand 0, with elements of `dtype`.
pub(super) fn convolution(cx: &mut InferCx<'_>, dtype: DType) -> InferResult {
    let (x, w) = (cx.tensor(0)?, cx.tensor(1)?);
    let Some(n) = spatial_rank(cx, &[0, 1])? else { return one(plain(dtype, ShapeInfo::Unknown)) };
    let (window, group) = (cx.window(n)?, cx.group()?);
    let (Some(x), Some(w)) = (x.dims(), w.dims()) else { return one(plain(dtype, rank_only(n + 2))) };
    let scaled = cx.shapes.scale(w[1], group);
    let channels = cx.no_overflow(scaled)?;
    cx.require_eq(
        x[1],
        channels,
        "dimension 1 of operand 0 (channels) and `group` times dimension 1 of operand 1",
    )?;
    divisible(cx, w[0], group, "dimension 0 of operand 1 (output channels)")?;
    let mut dims = Dims::from_slice(&[x[0], w[0]]);
    for i in 0..n {
        let size = conv_size(cx.shapes, &window, i, x[2 + i], w[2 + i]);
        let size = cx.no_overflow(size)?;
        cx.require_at_least(size, 0, &format!("the window must fit into dimension {} of operand 0", 2 + i))?;
        dims.push(size);
    }
    one(plain(dtype, ShapeInfo::Known(dims)))
}

/// `⌊(x + pads − dilation·(k − 1) − 1) / stride⌋ + 1`.
fn conv_size(shapes: &mut ShapeCx, window: &Window, i: usize, x: Dim, k: Dim) -> Result<Dim, Overflow> {
    let free = free_span(shapes, window, i, x, k)?;
    let steps = shapes.floor_div(free, window.strides[i])?;
    shapes.add_int(steps, 1)
}

/// How far a window can move: `x + pads − dilation·(k − 1) − 1`.
fn free_span(shapes: &mut ShapeCx, window: &Window, i: usize, x: Dim, k: Dim) -> Result<Dim, Overflow> {
    let padding = window.begins[i].checked_add(window.ends[i]).ok_or(Overflow)?;
    let padded = shapes.add_int(x, padding)?;
    let taps = shapes.add_int(k, -1)?;
    let reach = shapes.scale(taps, window.dilations[i])?;
    let free = shapes.sub(padded, reach)?;
    shapes.add_int(free, -1)
}

/// Requires `k | dim`, statically or at run time.
fn divisible(cx: &mut InferCx<'_>, dim: Dim, k: i64, what: &str) -> Result<(), Diagnostic> {
    let rest = cx.shapes.modulo(dim, k);
    let (rest, zero) = (cx.no_overflow(rest)?, cx.shapes.int(0));
    cx.require_eq(rest, zero, &format!("{what} modulo `group` {k}"))
}

fn conv_transpose(cx: &mut InferCx<'_>) -> InferResult {
    let (x, w) = (cx.tensor_of(0, Class::Number)?, cx.tensor(1)?);
    let dtype = cx.all_same_dtype(0..cx.args.len())?;
    let Some(n) = spatial_rank(cx, &[0, 1])? else { return one(plain(dtype, ShapeInfo::Unknown)) };
    let (window, group) = (cx.window(n)?, cx.group()?);
    let extra = cx.ints("output_padding", n, 0, 0)?;
    let (Some(x), Some(w)) = (x.dims(), w.dims()) else { return one(plain(dtype, rank_only(n + 2))) };
    cx.require_eq(x[1], w[0], "dimension 1 of operand 0 (channels) and dimension 0 of operand 1")?;
    divisible(cx, w[0], group, "dimension 0 of operand 1 (channels)")?;
    let scaled = cx.shapes.scale(w[1], group);
    let channels = cx.no_overflow(scaled)?;
    cx.bias(channels)?;
    let mut dims = Dims::from_slice(&[x[0], channels]);
    for i in 0..n {
        let size = transposed_size(cx.shapes, &window, i, x[2 + i], w[2 + i], extra[i]);
        let size = cx.no_overflow(size)?;
        cx.require_at_least(size, 0, &format!("the size of result dimension {}", 2 + i))?;
        dims.push(size);
    }
    one(plain(dtype, ShapeInfo::Known(dims)))
}

/// `stride·(x − 1) + output_padding + dilation·(k − 1) + 1 − pads`.
fn transposed_size(
    shapes: &mut ShapeCx,
    window: &Window,
    i: usize,
    x: Dim,
    k: Dim,
    extra: i64,
) -> Result<Dim, Overflow> {
    let (steps, taps) = (shapes.add_int(x, -1)?, shapes.add_int(k, -1)?);
    let moved = shapes.scale(steps, window.strides[i])?;
    let reach = shapes.scale(taps, window.dilations[i])?;
    let size = shapes.add(moved, reach)?;
    let padding = window.begins[i].checked_add(window.ends[i]).ok_or(Overflow)?;
    let constant = extra.checked_add(1).and_then(|it| it.checked_sub(padding)).ok_or(Overflow)?;
    shapes.add_int(size, constant)
}

fn pool(cx: &mut InferCx<'_>, class: Class) -> InferResult {
    let ty = cx.tensor_of(0, class)?;
    let n = cx.attrs.ints("kernel").unwrap_or_default().len();
    let kernel = cx.ints("kernel", n, 1, 1)?;
    let window = cx.window(n)?;
    cx.expect_rank(0, n + 2)?;
    let Some(x) = ty.dims() else { return one(plain(ty.dtype, rank_only(n + 2))) };
    let mut dims = Dims::from_slice(&x[..2]);
    for i in 0..n {
        let k = cx.shapes.int(kernel[i]);
        let size = match cx.flag("ceil_mode") {
            true => ceil_size(cx.shapes, &window, i, x[2 + i], k),
            false => conv_size(cx.shapes, &window, i, x[2 + i], k),
        };
        let size = cx.no_overflow(size)?;
        cx.require_at_least(size, 0, &format!("the window must fit into dimension {} of operand 0", 2 + i))?;
        dims.push(size);
    }
    one(plain(ty.dtype, ShapeInfo::Known(dims)))
}

/// Rounded up, but without windows that would start beyond the input and its leading padding.
fn ceil_size(shapes: &mut ShapeCx, window: &Window, i: usize, x: Dim, k: Dim) -> Result<Dim, Overflow> {
    let free = free_span(shapes, window, i, x, k)?;
    let steps = shapes.ceil_div(free, window.strides[i])?;
    let all = shapes.add_int(steps, 1)?;
    let span = shapes.add_int(x, window.begins[i])?;
    let starting_inside = shapes.ceil_div(span, window.strides[i])?;
    smaller(shapes, all, starting_inside).ok_or(Overflow)
}

fn batch_norm(cx: &mut InferCx<'_>) -> InferResult {
    let ty = cx.tensor_of(0, Class::Float)?;
    cx.all_same_dtype(0..5)?;
    cx.expect_rank_at_least(0, 2)?;
    for i in 1..5 {
        cx.expect_rank(i, 1)?;
        if let (Some(x), Some(dims)) = (ty.dims(), cx.dims(i)?) {
            cx.require_eq(
                dims[0],
                x[1],
                &format!("dimension 0 of operand {i} and dimension 1 of operand 0"),
            )?;
        }
    }
    one(plain(ty.dtype, ty.shape.clone()))
}

fn layer_norm(cx: &mut InferCx<'_>) -> InferResult {
    let ty = cx.tensor_of(0, Class::Float)?;
    cx.all_same_dtype(0..cx.args.len())?;
    let Some(rank) = ty.shape.rank() else { return one(plain(ty.dtype, ty.shape.clone())) };
    let axis = cx.axis("axis", rank)?;
    for i in 1..cx.args.len() {
        cx.expect_rank(i, rank - axis)?;
        if let (Some(x), Some(dims)) = (ty.dims(), cx.dims(i)?) {
            for (j, dim) in dims.iter().enumerate() {
                let what = format!("dimension {j} of operand {i} and dimension {} of operand 0", axis + j);
                cx.require_eq(*dim, x[axis + j], &what)?;
            }
        }
    }
    one(plain(ty.dtype, ty.shape.clone()))
}

fn softmax(cx: &mut InferCx<'_>) -> InferResult {
    let ty = cx.tensor_of(0, Class::Float)?;
    if let Some(rank) = ty.shape.rank() {
        cx.axis("axis", rank)?;
    }
    one(plain(ty.dtype, ty.shape.clone()))
}

fn resize(cx: &mut InferCx<'_>) -> InferResult {
    let ty = cx.tensor_of(0, Class::Number)?;
    let mode = cx.choice("mode", RESIZE_MODES)?;
    cx.choice("coordinates", RESIZE_COORDINATES)?;
    cx.choice("nearest", RESIZE_NEAREST)?;
    if mode != "nearest" {
        cx.tensor_of(0, Class::Float)?;
    }
    let Some(rank) = cx.list_len(1)? else { return one(plain(ty.dtype, ty.shape.clone().forget())) };
    cx.expect_rank(0, rank)?;
    if let Some(scales) = cx.attrs.floats("scales") {
        if scales.len() != rank {
            let message = format!("attribute `scales` has {} numbers but must have {rank}", scales.len());
            return Err(Diagnostic::error("O022", message));
        }
        if let Some(bad) = scales.iter().find(|it| !(it.is_finite() && **it > 0.0)) {
            return Err(Diagnostic::error(
                "O023",
                format!("attribute `scales` holds {bad} but must be positive"),
            ));
        }
    }
    let Some(sizes) = cx.elements(1) else { return one(plain(ty.dtype, rank_only(rank))) };
    for (i, size) in sizes.iter().enumerate() {
        cx.require_at_least(*size, 0, &format!("element {i} of operand 1 (sizes)"))?;
    }
    one(plain(ty.dtype, ShapeInfo::Known(sizes.into())))
}

impl ShapeInfo {
    /// The rank alone.
    pub(super) fn forget(self) -> ShapeInfo {
        self.rank().map_or(ShapeInfo::Unknown, rank_only)
    }
}
